"""One request to /generate: parses its arguments, and builds the reply from the generated text."""

import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from agentkit.backend import is_broken_off
from agentkit.backends.text_reply import StreamDeltas, whole_message
from agentkit.lightllm.defaults import DEFAULTS
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
from agentkit.net.api_errors import status_error
from agentkit.text.parser import ReplyParser

Tools = Sequence[Mapping[str, Any]] | None

WITHOUT_EFFECT = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier", "prediction"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    )
)
"""Arguments of OpenAI's `create` that a text server needs for nothing: for accounts, caches, speed and permissions.
They are accepted so that code need not change, and not sent."""

_HARMLESS: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "modalities": (None, [], ["text"]),
    "web_search_options": (None,),
    "moderation": (None,),
    "verbosity": (None, "medium"),
    "logit_bias": (None, {}),
    "functions": (None, []),
    "function_call": (None, "none"),
}
"""Arguments of OpenAI's `create` that would change the answer and that a text server can't follow, with the values that
ask for nothing."""

_INSTEAD = {
    "functions": "use tools=",
    "function_call": "use tool_choice=",
    "logit_bias": 'to forbid tokens, pass extra_body={"logit_bias": {...}} to client.completions.create',
}


class CreateRequest:
    """The body of a chat completions request, parsed. Keys that OpenAI's API does not have are parameters of the
    server, which override the others.

    Raises BadRequestError for a tool_choice that can't be met.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        rest = dict(body)
        self.body = body
        self.model: str = rest.pop("model", None) or ""
        self.messages: list[dict[str, Any]] = rest.pop("messages", None) or []
        self.sampling = {name: rest.pop(name, default) for name, default in DEFAULTS.items()}
        most = rest.pop("max_completion_tokens", None)
        self.sampling["max_tokens"] = most or self.sampling["max_tokens"] or DEFAULTS["max_tokens"]
        self.stop: str | Sequence[str] | None = rest.pop("stop", None)
        self.logprobs = bool(rest.pop("logprobs", False))
        self.top_logprobs: int = rest.pop("top_logprobs", None) or 0
        self.stream = bool(rest.pop("stream", False))
        self.stream_options: Mapping[str, Any] = rest.pop("stream_options", None) or {}
        self.n = int(rest.pop("n", None) or 1)
        self.seed = rest.pop("seed", None)
        self.response_format = rest.pop("response_format", None)
        self.frequency_penalty = rest.pop("frequency_penalty", None)
        self.variables = _variables(rest.pop("chat_template_kwargs", None), rest.pop("reasoning_effort", None))
        self.tool_choice = rest.pop("tool_choice", None) or "auto"
        all_tools = rest.pop("tools", None)
        self.tools: list[Mapping[str, Any]] | None = None if self.tool_choice == "none" else all_tools or None
        self.forced = forced_tool(self.tool_choice, self.tools)
        self.parameters = {name: value for name, value in rest.items() if name not in WITHOUT_EFFECT}

    def refuse_unsupported(self) -> None:
        """Raise BadRequestError for what a text server can't do."""
        for name, harmless in _HARMLESS.items():
            if self.parameters.pop(name, None) not in harmless:
                instead = _INSTEAD.get(name, "leave it out, or ask a server that supports it")
                raise status_error(400, f"{name}= can't be followed by LightLLM's /generate: {instead}")
        self.refuse_several_streams()

    def refuse_several_streams(self) -> None:
        """Raise BadRequestError for a stream of more than one reply."""
        if self.stream and self.n > 1:
            raise status_error(400, f"n={self.n} with stream=True: LightLLM streams only one reply per request")

    def chat_body(self) -> dict[str, Any]:
        """Return the body for a server's own chat completions, with the defaults, and without nulls."""
        body = {**self.body, **self.sampling, "n": self.n if self.n > 1 else None}
        body.pop("max_completion_tokens", None)
        if not body.get("tools"):
            body = {name: value for name, value in body.items() if name not in ("tools", "tool_choice")}
        return {name: value for name, value in body.items() if value is not None}


def _variables(given: Mapping[str, Any] | None, effort: str | None) -> dict[str, Any]:
    """Return the variables of the chat template. effort: OpenAI's reasoning_effort, which is one of them."""
    variables: dict[str, Any] = {} if effort is None else {"reasoning_effort": effort}
    if effort == "none":
        variables["enable_thinking"] = False
    return {**variables, **(given or {})}


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
                more=request.parameters,
            ),
        )

    def answer(self, generated: Sequence[Generated]) -> dict[str, Any]:
        """Return the JSON of a chat completion."""
        output = sum(each.output_tokens for each in generated)
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [self._choice(index, each) for index, each in enumerate(generated)],
            "usage": usage_of(generated[0].prompt_tokens, output),
        }

    def chunks(self, frames: Generator[Frame, None, None]) -> Iterator[dict[str, Any]]:
        """Yield the JSON of the chunks of a stream."""
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
                yield self._chunk(delta, logprobs=self._logprobs([frame.logprobs], frame.text))
        for delta in deltas.all_of(parser.finish(cut_off=is_broken_off(reason or ""))):
            yield self._chunk(delta)
        calls = list(deltas.calls())
        yield from map(self._chunk, calls)
        yield self._chunk({}, finish_reason="tool_calls" if calls else reason or "stop")
        if self._request.stream_options.get("include_usage"):
            yield {**self._head, **_CHUNK, "choices": [], "usage": usage_of(prompt_tokens, output_tokens)}

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

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return {**self._head, **_CHUNK, "choices": [choice]}

    def _logprobs(self, logprobs: Sequence[Mapping[str, Any] | None], text: str = "") -> dict[str, Any] | None:
        """Convert the server's logprobs, {token id: {"logprob", "decoded_token"}} for each token, to OpenAI's."""
        if not self._request.logprobs:
            return None
        tops = self._request.top_logprobs > 0
        tokens = [token for entry in logprobs if (token := chosen_token(entry, text))]
        content = [{**token, "top_logprobs": [token] if tops else []} for token in tokens]
        return {"content": content, "refusal": None}


_CHUNK = {"object": "chat.completion.chunk"}


def chosen_token(entry: Mapping[str, Any] | None, text: str = "") -> dict[str, Any] | None:
    """Return the token that was chosen, its log probability and its bytes, from {token id: {"logprob", ...}}; LightLLM
    reports no other tokens. text: the token, where the server says only its id. None when the entry says nothing."""
    for token_id, value in entry.items() if isinstance(entry, Mapping) else ():
        if isinstance(value, Mapping) and "logprob" in value:
            token = value.get("decoded_token")
            if not isinstance(token, str):
                token = text or str(token_id)
            return {"token": token, "logprob": value["logprob"], "bytes": list(token.encode("utf-8", "replace"))}
    return None


def usage_of(prompt_tokens: int, output_tokens: int) -> dict[str, int]:
    """Return the usage in OpenAI's form."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }
