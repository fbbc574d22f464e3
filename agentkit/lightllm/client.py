"""Drop-in clients with the surface of the openai package, on `requests`: see LIGHTLLM_USAGE.md.

    from agentkit import LightLLMClient as OpenAI

`LightLLMClient` renders the chat template, asks LightLLM's `/generate` and reads the tool calls out of the text.
`OpenAICompatibleClient` is the same surface for servers that speak chat completions themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import openai

from agentkit._closing import Closable
from agentkit.errors import ConfigurationError
from agentkit.lightllm.chat_api import ChatServer, told_message
from agentkit.lightllm.generate_api import (
    TextServer,
)
from agentkit.lightllm.openai_types import ChatCompletion, ChatCompletionChunk, chunk, completion
from agentkit.lightllm.request import CreateRequest, GenerateReply, Tools, as_dict
from agentkit.net.api_errors import status_error
from agentkit.net.images import MAX_BYTES, ImageLoader
from agentkit.text.chat_template import ChatTemplate


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
        max_image_bytes: int = MAX_BYTES,
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
            pictures=ImageLoader(files, tuple(allow_hosts), max_image_bytes),
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
        asked = CreateRequest(
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

    def _whole(self, asked: "CreateRequest") -> ChatCompletion:
        reply = GenerateReply(self._server, asked)
        generated = self._server.whole(reply.body, **asked.transport_options())
        return completion(reply.answer(generated))

    def _streamed(self, asked: "CreateRequest") -> Stream:
        if asked.n > 1:
            raise status_error(400, f"n={asked.n} with stream=True: LightLLM streams one reply a request")
        return Stream(GenerateReply(self._server, asked).chunks(asked.transport_options()))
