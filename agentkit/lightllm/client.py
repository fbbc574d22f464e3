"""Drop-in clients with the surface of the openai package, on `requests`: see LIGHTLLM_USAGE.md.

    from agentkit import LightLLMClient as OpenAI

`LightLLMClient` renders the chat template, asks LightLLM's `/generate` and reads the tool calls out of the text.
`OpenAICompatibleClient` is the same surface for servers that speak chat completions themselves.
"""

import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import openai

from agentkit._closing import Closable
from agentkit.backend import is_broken_off
from agentkit.errors import ConfigurationError
from agentkit.lightllm.chat_api import ChatServer, invalid_call, told_message
from agentkit.lightllm.generate_api import (
    Frame,
    Generated,
    TextServer,
    forced_prompt,
    forced_tool,
    parameters_of,
    reader_for,
    stops_of,
)
from agentkit.lightllm.openai_types import ChatCompletion, ChatCompletionChunk, chunk, completion
from agentkit.net.http_client import status_error
from agentkit.net.images import MOST_BYTES, PictureLoader
from agentkit.text.call_format import BadCall, Call, OnlyThought, Piece, Text, Thought, settled
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.parser import Reader
from agentkit.text.prompt import PromptMaker

Tools = Sequence[Mapping[str, Any]] | None

IGNORED = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "parallel_tool_calls", "top_logprobs", "safety_identifier"),
        *("prompt_cache_key", "verbosity", "reasoning_effort", "logit_bias", "modalities", "prediction"),
    )
)
"""Arguments of OpenAI's `create` that mean nothing to a text server; they are taken, so that code need not change."""


class Stream(Closable, Iterator[ChatCompletionChunk]):
    """The chunks of a reply as they come. Close it, or leave its `with`, to stop the generation."""

    def __init__(self, chunks: Iterator[ChatCompletionChunk]) -> None:
        self._chunks = chunks

    def __next__(self) -> ChatCompletionChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stop it; the server ends the generation."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


class LightLLMClient(Closable):
    """A LightLLM server with the surface of `openai.OpenAI`; shared by threads.

    api_key: for a gateway before the server, which itself asks for none. base_url: the server's root, or its
    `/generate`. timeout: seconds without a byte. max_retries: after connection errors, 408, 409, 429 and 5xx.
    mode: "generate", or "chat" for the server's own `/v1/chat/completions`. family: of models (see
    `agentkit.text.families.FAMILIES`), when the model's name and the server's don't tell. template: a Jinja file, a
    tokenizer_config.json, or a ChatTemplate, instead of the family's own. image_placeholder: what stands for a
    picture in the prompt. escape_special_tokens: whether special tokens in texts of users and tools are broken; turn
    it off only where all text is trusted. files: whether `file:` pictures are read. allow_hosts: hosts of pictures
    that may be asked although they are not public. max_image_bytes: of one picture.

    Raises ConfigurationError for an option that can't work.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = "http://localhost:8000",
        timeout: float = 600.0,
        *,
        max_retries: int = 2,
        mode: Literal["generate", "chat"] = "generate",
        family: str | None = None,
        template: str | Path | ChatTemplate | None = None,
        image_placeholder: str | None = None,
        escape_special_tokens: bool = True,
        files: bool = True,
        allow_hosts: Iterable[str] = (),
        max_image_bytes: int = MOST_BYTES,
    ) -> None:
        if mode not in ("generate", "chat"):
            raise ConfigurationError(f'mode={mode!r}: it is "generate" or "chat"')
        if isinstance(template, str | Path):
            template = ChatTemplate.from_file(template)
        self._server = TextServer(
            base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            family=family,
            template=template,
            image_placeholder=image_placeholder,
            neutral=escape_special_tokens,
            pictures=PictureLoader(files, tuple(allow_hosts), max_image_bytes),
        )
        self.base_url = self._server.transport.base_url
        self._chat_server = ChatServer(self._server) if mode == "chat" else None
        self.chat = _Chat(_LightLLMCompletions(self._server, self._chat_server))

    def __repr__(self) -> str:
        return f"LightLLMClient(base_url={self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._server.transport.close()

    def count_tokens(self, messages: Sequence[Any], tools: Tools = None, *, model: str = "", **variables: Any) -> int:
        """The tokens of the prompt that messages and tools make, by the server's tokenizer (`/tokens`).

        variables: for the chat template, such as enable_thinking. Raises what `create` raises.
        """
        maker = self._server.maker(model)
        return self._server.count(maker.prompt([as_dict(message) for message in messages], tools, variables))

    def health(self) -> bool:
        """Whether the server says that it is well; False too when it can't be reached."""
        try:
            self._server.transport.get("/health", timeout=10.0)
        except openai.APIError:
            return False
        return True


class OpenAICompatibleClient(Closable):
    """Any server with OpenAI's chat completions, with the surface of `openai.OpenAI`, on `requests`.

    api_key, base_url (up to and with "/v1"), timeout (seconds without a byte), max_retries: as in the openai package.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = "http://localhost:8000/v1",
        timeout: float = 600.0,
        *,
        max_retries: int = 2,
    ) -> None:
        from agentkit.net.http_client import Transport

        self._transport = Transport(
            base_url.rstrip("/").removesuffix("/chat/completions"),
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
        )
        self.base_url = self._transport.base_url
        self.chat = _Chat(_PlainCompletions(self._transport))

    def __repr__(self) -> str:
        return f"OpenAICompatibleClient(base_url={self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class _Chat:
    """`client.chat`, which has `completions`."""

    def __init__(self, completions: Any) -> None:
        self.completions = completions


class _PlainCompletions:
    """`client.chat.completions` of an OpenAI-compatible server."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: bool = False,
        timeout: float | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Any:
        """A reply: a ChatCompletion, or a Stream of ChatCompletionChunk with stream=True.

        fields: everything that the server knows (temperature, tools, tool_choice, response_format, ...); None leaves
        one out. Raises the openai package's errors.
        """
        body = {
            "model": model,
            "messages": [as_dict(message) for message in messages],
            **{key: value for key, value in fields.items() if value is not None},
            **(extra_body or {}),
            "stream": stream,
        }
        if not stream:
            answer = self._transport.post("/chat/completions", body, timeout=timeout, headers=extra_headers)
            return completion(told_message(answer))
        events = self._transport.events("/chat/completions", body, timeout=timeout, headers=extra_headers)
        return Stream(chunk(event) for event in events)


class _LightLLMCompletions:
    """`client.chat.completions` of a LightLLM server."""

    def __init__(self, server: TextServer, chat_server: ChatServer | None) -> None:
        self._server = server
        self._chat_server = chat_server

    @overload
    def create(self, model: str, messages: Sequence[Any], *, stream: Literal[True], **kwargs: Any) -> Stream: ...
    @overload
    def create(self, model: str, messages: Sequence[Any], **kwargs: Any) -> ChatCompletion: ...
    def create(
        self,
        model: str,
        messages: Sequence[Any],
        temperature: float | None = 0.6,
        top_p: float | None = 0.95,
        max_tokens: int | None = 10000,
        stop: str | Sequence[str] | None = None,
        presence_penalty: float | None = 1.1,
        logprobs: bool = False,
        tools: Tools = None,
        top_k: int | None = 50,
        repetition_penalty: float | None = 1.0,
        **kwargs: Any,
    ) -> ChatCompletion | Stream:
        """A reply: a ChatCompletion, or a Stream of ChatCompletionChunk with stream=True.

        max_tokens: None takes 10000. stop: up to eight strings. kwargs: stream, stream_options, n, seed, tool_choice
        ("none", "auto", "required" or a function), response_format, frequency_penalty, max_completion_tokens,
        chat_template_kwargs, extra_body (parameters of the server under its own names), extra_headers, timeout
        (seconds). The others of OpenAI's that mean nothing here (`IGNORED`) are taken and left out.

        Raises the openai package's APIError and its children; TypeError for an argument that nobody knows.
        """
        asked = _Asked(
            model=model,
            messages=[as_dict(message) for message in messages],
            tools=list(tools) if tools else None,
            sampling={
                "temperature": temperature,
                "top_p": top_p,
                "top_k": top_k,
                "max_tokens": kwargs.pop("max_completion_tokens", None) or max_tokens or 10000,
                "presence_penalty": presence_penalty,
                "repetition_penalty": repetition_penalty,
            },
            stop=stop,
            logprobs=bool(logprobs),
            options=kwargs,
        )
        if self._chat_server is not None:
            answer = self._chat_server.create(asked.chat_body(), asked.transport_options(), asked.stream)
            return completion(answer) if isinstance(answer, dict) else Stream(chunk(event) for event in answer)
        return self._streamed(asked) if asked.stream else self._whole(asked)

    def _whole(self, asked: "_Asked") -> ChatCompletion:
        reply = _Reply(self._server, asked)
        generated = self._server.whole(reply.body, **asked.transport_options())
        return completion(reply.answer(generated))

    def _streamed(self, asked: "_Asked") -> Stream:
        if asked.n > 1:
            raise status_error(400, f"n={asked.n} with stream=True: LightLLM streams one reply a request")
        return Stream(_Reply(self._server, asked).chunks(asked.transport_options()))


class _Asked:
    """The arguments of one `create`, taken apart."""

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
                f"create() got an unknown argument {unknown[0]!r}; parameters of the server go into extra_body"
            )
        self.all_tools = tools
        self.tools = None if self.tool_choice == "none" else tools
        self.forced = forced_tool(self.tool_choice, self.tools)

    def transport_options(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "headers": self._headers}

    def chat_body(self) -> dict[str, Any]:
        """The same as a request of chat completions."""
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


class _Reply:
    """One request of `/generate` and what its text becomes."""

    def __init__(self, server: TextServer, asked: _Asked) -> None:
        self._server = server
        self._asked = asked
        self._maker = server.maker(asked.model)
        self._stops = stops_of(self._maker.family, asked.stop)
        prompt = self._maker.prompt(asked.messages, asked.tools, asked.variables)
        self._prompt, self._begun = forced_prompt(self._maker, prompt, asked.forced)
        self._ids = _Ids(self._maker)
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": asked.model,
        }
        self.body = server.body(
            self._prompt,
            parameters_of(
                **asked.sampling,
                stops=self._stops,
                frequency_penalty=asked.frequency_penalty,
                n=asked.n,
                seed=asked.seed,
                response_format=asked.response_format,
                more=asked.extra_body,
            ),
        )

    def answer(self, generated: Sequence[Generated]) -> dict[str, Any]:
        """The JSON of a chat completion."""
        output = sum(each.output_tokens for each in generated)
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [self._choice(place, each) for place, each in enumerate(generated)],
            "usage": _usage(generated[0].prompt_tokens, output),
        }

    def chunks(self, options: Mapping[str, Any]) -> Iterator[ChatCompletionChunk]:
        """The chunks of a stream, which is asked for at once."""
        return self._chunks(self._server.frames(self.body, **options))

    def _chunks(self, frames: Generator[Frame, None, None]) -> Iterator[ChatCompletionChunk]:
        yield self._chunk({"role": "assistant", "content": ""})
        reader = self._reader()
        calls: list[Call] = []  # given last: what was read so far may turn out to be reasoning
        prompt_tokens = output_tokens = 0
        reason: str | None = None
        for delta in self._deltas(reader.feed(self._begun), calls):
            yield self._chunk(delta)
        for frame in frames:
            prompt_tokens, output_tokens = frame.prompt_tokens, frame.output_tokens
            reason = frame.finish_reason or reason
            for delta in self._deltas(reader.feed(frame.text), calls):
                yield self._chunk(delta, logprobs=self._logprobs([frame.logprobs]))
        for delta in self._deltas(reader.finish(cut_off=is_broken_off(reason or "")), calls):
            yield self._chunk(delta)
        for place, call in enumerate(calls):
            yield self._chunk({"tool_calls": [self._ids.call(place, call)]})
        yield self._chunk({}, finish_reason="tool_calls" if calls else reason or "stop")
        if self._asked.stream_options.get("include_usage"):
            yield chunk({**self._head, **_CHUNK, "choices": [], "usage": _usage(prompt_tokens, output_tokens)})

    def _choice(self, place: int, generated: Generated) -> dict[str, Any]:
        reader = self._reader()
        text = self._begun + generated.text
        pieces = settled([*reader.feed(text), *reader.finish(cut_off=is_broken_off(generated.finish_reason))])
        message: dict[str, Any] = {"role": "assistant", "content": reader.spoken, "tool_calls": None}
        thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
        if thoughts:
            message["reasoning_content"] = thoughts
        calls = [self._ids.call(number, call) for number, call in enumerate(_calls(pieces))]
        if calls:
            message["tool_calls"] = calls
        bad = [invalid_call(piece) for piece in pieces if isinstance(piece, BadCall)]
        if bad:
            message["invalid_tool_calls"] = bad
        return {
            "index": place,
            "message": message,
            "finish_reason": "tool_calls" if calls else generated.finish_reason,
            "logprobs": self._logprobs(generated.logprobs),
        }

    def _reader(self) -> Reader:
        return reader_for(self._maker, self._asked.tools, self._prompt, self._stops, self._asked.messages)

    @staticmethod
    def _deltas(pieces: Iterable[Piece], calls: list[Call]) -> Iterator[dict[str, Any]]:
        for piece in pieces:
            if isinstance(piece, Text):
                yield {"content": piece.text}
            elif isinstance(piece, Call):
                calls.append(piece)
            elif isinstance(piece, BadCall):
                yield {"content": piece.text, "invalid_tool_calls": [invalid_call(piece)]}
            else:
                if isinstance(piece, OnlyThought):
                    calls.clear()
                yield {"reasoning_content": piece.text}

    def _chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None
    ) -> ChatCompletionChunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return chunk({**self._head, **_CHUNK, "choices": [choice]})

    def _logprobs(self, given: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
        """OpenAI's logprobs of the server's, which are {token id: {"logprob", "decoded_token"}} for each token."""
        if not self._asked.logprobs:
            return None
        content = []
        for entry in given:
            for token_id, told in (entry or {}).items():
                if isinstance(told, Mapping) and "logprob" in told:
                    token = told.get("decoded_token") or str(token_id)
                    one = {"token": token, "logprob": told["logprob"], "bytes": list(token.encode("utf-8", "replace"))}
                    content.append({**one, "top_logprobs": []})
                    break
        return {"content": content, "refusal": None}


_CHUNK = {"object": "chat.completion.chunk"}


class _Ids:
    """Makes the `tool_calls` of a reply, with ids that no other call has."""

    def __init__(self, maker: PromptMaker) -> None:
        self._is_mistral = maker.format.name == "mistral"

    def call(self, place: int, call: Call) -> dict[str, Any]:
        return {
            "index": place,
            "id": call.id or self._new(),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }

    def _new(self) -> str:
        made = uuid.uuid4().hex
        return made[:9] if self._is_mistral else f"call_{made[:24]}"  # Mistral's templates want nine letters


def as_dict(message: Any) -> dict[str, Any]:
    """A message as a dict: it may be one, or what `create` has returned before."""
    if isinstance(message, Mapping):
        return dict(message)
    dump = getattr(message, "model_dump", None)
    if dump is None:
        raise TypeError(f"a message is a dict, or the message of a reply, not a {type(message).__name__}")
    dumped: dict[str, Any] = dump(exclude_none=True)
    return dumped


def _calls(pieces: Iterable[Piece]) -> list[Call]:
    return [piece for piece in pieces if isinstance(piece, Call)]


def _usage(prompt_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }
