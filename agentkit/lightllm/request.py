"""One request to /generate: parses its arguments, and builds the reply from the generated text."""

import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from agentkit.backend import is_broken_off
from agentkit.backends.text_reply import StreamDeltas, whole_message
from agentkit.lightllm.generate_api import (
    Frame,
    Generated,
    TextServer,
    forced_prompt,
    forced_tool,
    parameters_of,
    parser_for,
    stops_of,
)
from agentkit.lightllm.openai_types import ChatCompletionChunk, chunk
from agentkit.text.parser import ReplyParser

Tools = Sequence[Mapping[str, Any]] | None


IGNORED = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "parallel_tool_calls", "top_logprobs", "safety_identifier"),
        *("prompt_cache_key", "verbosity", "reasoning_effort", "logit_bias", "modalities", "prediction"),
    )
)
"""Arguments of OpenAI's `create` without meaning for a text server; accepted so that code need not change."""


class CreateRequest:
    """The parsed arguments of one `create`."""

    def __init__(
        self,
        *,
        model: str,
        messages: list[dict[str, Any]],
        tools: list[Mapping[str, Any]] | None,
        sampling: dict[str, Any],
        stop: str | Sequence[str] | None,
        logprobs: bool,
        options: dict[str, Any],
    ) -> None:
        self.model = model
        self.messages = messages
        self.sampling = sampling
        self.stop = stop
        self.logprobs = logprobs
        self.stream = bool(options.pop("stream", False))
        self.stream_options = options.pop("stream_options", None) or {}
        self.n = int(options.pop("n", None) or 1)
        self.seed = options.pop("seed", None)
        self.response_format = options.pop("response_format", None)
        self.frequency_penalty = options.pop("frequency_penalty", None)
        self.extra_body = dict(options.pop("extra_body", None) or {})
        variables = options.pop("chat_template_kwargs", None) or self.extra_body.pop("chat_template_kwargs", None)
        self.variables: dict[str, Any] = dict(variables or {})
        self.tool_choice = options.pop("tool_choice", None) or "auto"
        self._headers = options.pop("extra_headers", None)
        self._timeout = options.pop("timeout", None)
        unknown = sorted(options.keys() - IGNORED)
        if unknown:
            raise TypeError(
                f"create() got an unknown argument {unknown[0]!r}; pass parameters of the server in extra_body"
            )
        self.all_tools = tools
        self.tools = None if self.tool_choice == "none" else tools
        self.forced = forced_tool(self.tool_choice, self.tools)

    def transport_options(self) -> dict[str, Any]:
        """Return the options for `Transport.post` and `Transport.events`."""
        return {"timeout": self._timeout, "headers": self._headers}

    def chat_body(self) -> dict[str, Any]:
        """Return the arguments as the body of a chat completions request."""
        body = {
            "model": self.model,
            "messages": self.messages,
            "tools": self.all_tools,
            "tool_choice": self.tool_choice if self.all_tools else None,
            **self.sampling,
            "stop": self.stop,
            "n": self.n if self.n > 1 else None,
            "seed": self.seed,
            "frequency_penalty": self.frequency_penalty,
            "response_format": self.response_format,
            "chat_template_kwargs": self.variables or None,
            "stream_options": self.stream_options or None,
            **self.extra_body,
        }
        return {key: value for key, value in body.items() if value is not None}


class GenerateReply:
    """One request to `/generate`, and the reply built from its text."""

    def __init__(self, server: TextServer, request: CreateRequest) -> None:
        self._server = server
        self._request = request
        self._maker = server.maker(request.model)
        self._stops = stops_of(self._maker.family, request.stop)
        prompt = self._maker.prompt(request.messages, request.tools, request.variables)
        self._prompt, self._begun = forced_prompt(self._maker, prompt, request.forced)
        self._new_id = self._maker.family.new_call_id
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": request.model,
        }
        self.body = server.body(
            self._prompt,
            parameters_of(
                **request.sampling,
                stops=self._stops,
                frequency_penalty=request.frequency_penalty,
                n=request.n,
                seed=request.seed,
                response_format=request.response_format,
                more=request.extra_body,
            ),
        )

    def answer(self, generated: Sequence[Generated]) -> dict[str, Any]:
        """Return the JSON of a chat completion."""
        output = sum(each.output_tokens for each in generated)
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [self._choice(index, each) for index, each in enumerate(generated)],
            "usage": _usage(generated[0].prompt_tokens, output),
        }

    def chunks(self, options: Mapping[str, Any]) -> Iterator[ChatCompletionChunk]:
        """Return the chunks of a stream; the request is sent immediately."""
        return self._chunks(self._server.frames(self.body, **options))

    def _chunks(self, frames: Generator[Frame, None, None]) -> Iterator[ChatCompletionChunk]:
        yield self._chunk({"role": "assistant", "content": ""})
        parser = self._parser()
        deltas = StreamDeltas(self._new_id)
        prompt_tokens = output_tokens = 0
        reason: str | None = None
        for delta in deltas.all_of(parser.feed(self._begun)):
            yield self._chunk(delta)
        for frame in frames:
            prompt_tokens, output_tokens = frame.prompt_tokens, frame.output_tokens
            reason = frame.finish_reason or reason
            for delta in deltas.all_of(parser.feed(frame.text)):
                yield self._chunk(delta, logprobs=self._logprobs([frame.logprobs]))
        for delta in deltas.all_of(parser.finish(cut_off=is_broken_off(reason or ""))):
            yield self._chunk(delta)
        calls = list(deltas.calls())
        yield from map(self._chunk, calls)
        yield self._chunk({}, finish_reason="tool_calls" if calls else reason or "stop")
        if self._request.stream_options.get("include_usage"):
            yield chunk({**self._head, **_CHUNK, "choices": [], "usage": _usage(prompt_tokens, output_tokens)})

    def _choice(self, index: int, generated: Generated) -> dict[str, Any]:
        text, cut_off = self._begun + generated.text, is_broken_off(generated.finish_reason)
        message = whole_message(self._parser(), text, self._new_id, cut_off=cut_off)
        return {
            "index": index,
            "message": message,
            "finish_reason": "tool_calls" if message["tool_calls"] else generated.finish_reason,
            "logprobs": self._logprobs(generated.logprobs),
        }

    def _parser(self) -> ReplyParser:
        return parser_for(self._maker, self._request.tools, self._prompt, self._stops, self._request.messages)

    def _chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None
    ) -> ChatCompletionChunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return chunk({**self._head, **_CHUNK, "choices": [choice]})

    def _logprobs(self, logprobs: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
        """Convert the server's logprobs, {token id: {"logprob", "decoded_token"}} for each token, to OpenAI's."""
        if not self._request.logprobs:
            return None
        content = []
        for entry in logprobs:
            for token_id, value in entry.items() if isinstance(entry, Mapping) else ():
                if isinstance(value, Mapping) and "logprob" in value:
                    token = value.get("decoded_token") or str(token_id)
                    one = {"token": token, "logprob": value["logprob"], "bytes": list(token.encode("utf-8", "replace"))}
                    content.append({**one, "top_logprobs": []})
                    break
        return {"content": content, "refusal": None}


_CHUNK = {"object": "chat.completion.chunk"}


def as_dict(message: Any) -> dict[str, Any]:
    """Return a message as a dict: it may be one, or a message returned by `create`."""
    if isinstance(message, Mapping):
        return dict(message)
    dump = getattr(message, "model_dump", None)
    if dump is None:
        raise TypeError(f"a message must be a dict or the message of a reply, not a {type(message).__name__}")
    dumped: dict[str, Any] = dump(exclude_none=True)
    return dumped


def _usage(prompt_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }
