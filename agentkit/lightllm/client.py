"""Drop-in clients with the interface of the openai package, built on `requests`: see LIGHTLLM_USAGE.md.

    from agentkit import LightLLMClient as OpenAI

`LightLLMClient` renders the chat template, calls LightLLM's `/generate` and parses the tool calls in the text.
`OpenAICompatibleClient` has the same interface for servers that implement chat completions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import openai

from agentkit._closing import Closable
from agentkit.errors import ConfigurationError
from agentkit.lightllm.chat_api import ChatServer, checked_completion
from agentkit.lightllm.generate_api import TextServer
from agentkit.lightllm.openai_types import ChatCompletion, ChatCompletionChunk, chunk, completion
from agentkit.lightllm.request import CreateRequest, GenerateReply, Tools, as_dict
from agentkit.net.api_errors import status_error
from agentkit.net.image_bytes import MAX_BYTES
from agentkit.net.images import ImageLoader
from agentkit.text.chat_template import ChatTemplate


class Stream(Closable, Iterator[ChatCompletionChunk]):
    """Iterates over the chunks of a reply as they arrive. Close it, or leave its `with`, to stop the generation."""

    def __init__(self, chunks: Iterator[ChatCompletionChunk]) -> None:
        self._chunks = chunks

    def __next__(self) -> ChatCompletionChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Close the stream; the server stops the generation."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


class LightLLMClient(Closable):
    """A LightLLM server with the interface of `openai.OpenAI`; thread-safe.

    api_key: for a gateway in front of the server; LightLLM itself needs none. base_url: the server's root, or its
    `/generate`. timeout: read timeout in seconds. max_retries: maximum retries after connection errors, 408, 409, 429
    and 5xx. mode: "generate", or "chat" for the server's `/v1/chat/completions`. family: the model family (see
    agentkit/text/families), needed when neither the model's name nor the server's identifies it. template:
    a Jinja file, a tokenizer_config.json, or a ChatTemplate, instead of the family's. image_placeholder: the text that
    represents an image in the prompt. escape_special_tokens: whether special tokens in user and tool text are escaped;
    turn it off only where all text is trusted. files: whether `file:` images are read, from regular files only.
    allow_hosts: hosts from which images may be loaded although they are not public. max_image_bytes: maximum size of
    one image in bytes.

    Raises ConfigurationError for an invalid option.
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
        max_image_bytes: int = MAX_BYTES,
    ) -> None:
        if mode not in ("generate", "chat"):
            raise ConfigurationError(f'mode={mode!r} is invalid: use "generate" or "chat"')
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
            images=ImageLoader(files, tuple(allow_hosts), max_image_bytes),
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
        """Count the tokens of the prompt for messages and tools, with the server's tokenizer (`/tokens`).

        variables: of the chat template, such as enable_thinking. Raises what `create` raises.
        """
        maker = self._server.maker(model)
        return self._server.count(maker.prompt([as_dict(message) for message in messages], tools, variables))

    def health(self) -> bool:
        """Return whether the server reports that it is healthy; False if it can't be reached."""
        try:
            self._server.transport.get("/health", timeout=10.0)
        except openai.APIError:
            return False
        return True


class OpenAICompatibleClient(Closable):
    """Any server with OpenAI's chat completions, with the interface of `openai.OpenAI`, built on `requests`.

    api_key, base_url (up to and including "/v1"), timeout (read timeout in seconds), max_retries: as in the openai
    package.
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
        """Return a ChatCompletion, or with stream=True a Stream of ChatCompletionChunk.

        fields: any field the server supports (temperature, tools, tool_choice, response_format, ...); None omits a
        field. Raises the openai package's errors.
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
            return completion(checked_completion(answer))
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
        """Return a ChatCompletion, or with stream=True a Stream of ChatCompletionChunk.

        max_tokens: None means 10000. stop: up to eight strings. kwargs: stream, stream_options, n, seed, tool_choice
        ("none", "auto", "required" or a function), response_format, frequency_penalty, max_completion_tokens,
        chat_template_kwargs, extra_body (parameters under LightLLM's names), extra_headers, timeout (seconds).
        OpenAI's other arguments, which have no meaning here (`IGNORED`), are accepted and not sent.

        Raises the openai package's APIError and its subclasses; TypeError for an unknown argument.
        """
        request = CreateRequest(
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
            answer = self._chat_server.create(request.chat_body(), request.transport_options(), request.stream)
            return completion(answer) if isinstance(answer, dict) else Stream(chunk(event) for event in answer)
        return self._streamed(request) if request.stream else self._whole(request)

    def _whole(self, request: "CreateRequest") -> ChatCompletion:
        reply = GenerateReply(self._server, request)
        generated = self._server.whole(reply.body, **request.transport_options())
        return completion(reply.answer(generated))

    def _streamed(self, request: "CreateRequest") -> Stream:
        if request.n > 1:
            raise status_error(400, f"n={request.n} with stream=True: LightLLM streams only one reply per request")
        return Stream(GenerateReply(self._server, request).chunks(request.transport_options()))
