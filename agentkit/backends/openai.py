"""OpenAI's chat completions, and every server that speaks them, through the openai package's own client.

The client is used as a transport: ready JSON goes through its `post`, since `chat.completions.create` rebuilds the
whole history in models at each turn (18 ms of CPU with 100 messages, against 0.6 ms). Its retries, time limits,
connection pool and error classes stay.
"""

import contextlib
import copy
import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentkit._text import cut, without_credentials
from agentkit.backend import Backend, Pieces, Request
from agentkit.backends.chat_protocol import Accumulator, chat_completions_body, context_length_in
from agentkit.backends.fallback_calls import PassThrough, ReplyText
from agentkit.errors import ConfigurationError
from agentkit.event import CallDelta, ReasoningDelta, Reply, TextDelta
from agentkit.net.abort import note_speakers
from agentkit.net.hosted import is_hosted

if TYPE_CHECKING:
    import httpx2
    from openai import APIError, OpenAI

    from agentkit.net.openai_stream import WholeStream

LOCAL = {
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
    "ollama": "http://localhost:11434/v1",
}
"""Servers of one's own, where they listen unless told otherwise; they take any key."""

logger = logging.getLogger("agentkit")

NO_KEY = "not-needed"
RESERVED = ("model", "messages", "stream", "stream_options", "tools")


class OpenAIBackend:
    """A model behind OpenAI's chat completions API.

    model: its name on the server. base_url: up to and with "/v1"; None is OpenAI's own. api_key: may be left out for
    a server of one's own. timeout: seconds without a byte. max_retries: after connection errors,
    408, 409, 429 and 5xx, with back-off. images: whether the server takes images; None finds out. text_calls:
    whether tool calls that the server has left in a reply's text (`<tool_call>...`) are taken for calls.
    escape_special_tokens: whether special tokens (`<|im_end|>`) in what tools and users said are broken in requests.
    Both are so for servers of one's own, and not for hosted APIs (`agentkit.net.hosted`), unless told otherwise.
    sampling: more fields of the request, such as temperature=0.2, tool_choice="required" or
    response_format={...}; None leaves a field out.

    Raises ConfigurationError when there is neither a key nor a base_url, or a field of `sampling` is not the
    user's to set.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        images: bool | None = None,
        text_calls: bool | None = None,
        escape_special_tokens: bool | None = None,
        **sampling: Any,
    ) -> None:
        for name in RESERVED:
            if name in sampling:
                raise ConfigurationError(f"OpenAIBackend({name}=...): the agent sets this field of a request itself")
        self.model = model
        self.base_url = base_url
        if not api_key and not base_url:
            raise ConfigurationError(
                f'OpenAIBackend({model!r}) needs api_key=... or base_url=...; the name "openai:{model}" reads '
                "OPENAI_API_KEY from the environment"
            )
        self._api_key = api_key or NO_KEY
        self._timeout = timeout
        self._max_retries = max_retries
        self._images = images
        is_own = not is_hosted(base_url)
        self._text_calls = is_own if text_calls is None else text_calls
        self._reads_text = is_own or self._text_calls
        self._escapes = is_own if escape_special_tokens is None else escape_special_tokens
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._takes_stream_options = True
        self._takes_schema = True
        self._streams = True
        self._lock = threading.Lock()
        self._client: OpenAI | None = None
        self._closed = False
        self._connections: OpenAIBackend | None = None

    def __repr__(self) -> str:
        where = f", base_url={without_credentials(self.base_url)!r}" if self.base_url else ""
        return f"OpenAIBackend({self.model!r}{where})"

    def with_sampling(self, **sampling: Any) -> "OpenAIBackend":
        """The same server through the same connections, with other fields of the request; those given go over the
        backend's own, None leaves one out. It is closed with the one it was made from."""
        made = copy.copy(self)
        merged = {**self._sampling, **sampling}
        made._sampling = {key: value for key, value in merged.items() if value is not None}
        made._connections = self._connections or self
        return made

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        from openai import APIConnectionError, APIError

        try:
            yield from self._replied(request)
        except (AttributeError, KeyError, TypeError) as error:
            raise _api_error(f"the server's reply has a form that no chat completion has: {error}") from error
        except APIConnectionError as error:
            error.message = (
                f"{error.message.rstrip('.')}: {without_credentials(error.request.url)} (is the server running?)"
            )
            error.args = (error.message,)
            raise
        except APIError as error:
            if self._api_key != NO_KEY and self._api_key in f"{error} {error.body}":
                raise _without_key(error, self._api_key) from None
            raise

    def _replied(self, request: Request) -> Pieces:
        from agentkit.net.openai_stream import WholeStream

        client = self._connected()
        accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
        answer = self._post(client, request)
        if isinstance(answer, WholeStream):
            deltas = self._streamed(client, answer, accumulator)
        else:
            deltas = accumulator.feed(_answer(answer))
        text = ReplyText(request, self.model, reads_calls=self._reads_calls) if self._reads_text else PassThrough()
        for delta in deltas:
            for shown in text.read(delta):
                if request.stream:
                    yield shown
        if accumulator.is_empty:
            from agentkit.net.api_errors import in_body

            raise in_body(_api_error("the server sent no reply: no text, no tool call, no reason for ending"))
        for piece in text.finish(accumulator.reply()):
            if request.stream or isinstance(piece, Reply):
                yield piece

    @property
    def _reads_calls(self) -> bool:
        return self._text_calls and self._sampling.get("tool_choice") != "none"

    @property
    def tells_schema(self) -> bool:
        """Whether the server tells the model of the schema of a response_format; others only hold it to it."""
        return self.base_url is None or "//api.openai.com" in self.base_url

    def takes_schema(self, has_tools: bool) -> bool:
        """Whether the server takes a response_format with a schema; beside tools only OpenAI's own does, since others
        would hold tool calls to it too."""
        return self._takes_schema and (self.tells_schema or not has_tools)

    @property
    def takes_images(self) -> bool | None:
        """Whether the server takes images; None as long as that is not known."""
        return self._images

    def context_length(self) -> int | None:
        """The tokens that prompt and reply may have together, where the server tells; it is asked.

        Raises APIConnectionError when it can't be.
        """
        import httpx2
        from openai import APIStatusError

        client = self._connected()
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        told = None
        with contextlib.suppress(APIStatusError, ValueError):
            told = context_length_in(client.get("/models", cast_to=httpx2.Response).json(), self.model)
        if told is None:  # llama.cpp tells what it was started with on a page of its own
            with contextlib.suppress(APIStatusError, ValueError, AttributeError):
                props = client.get(f"{root}/props", cast_to=httpx2.Response).json()
                told = (props.get("default_generation_settings") or {}).get("n_ctx")
        return told if isinstance(told, int) else None

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        with self._lock:
            client, self._client, self._closed = self._client, None, True
        if client is not None:
            client.close()

    def _connected(self) -> "OpenAI":
        if self._connections is not None:
            return self._connections._connected()
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: make a new one")
            if self._client is None:
                from openai import OpenAI  # takes half a second of CPU: not before the first request

                self._client = OpenAI(
                    api_key=self._api_key,
                    base_url=self.base_url or "https://api.openai.com/v1",
                    timeout=self._timeout,
                    max_retries=self._max_retries,
                )
                note_speakers(self._client._client)
            return self._client

    def _streamed(
        self, client: "OpenAI", stream: "WholeStream", accumulator: Accumulator
    ) -> Iterator[TextDelta | ReasoningDelta | CallDelta]:
        from openai import APIConnectionError, APIError

        with closing(stream):
            kind = stream.response.headers.get("content-type", "")
            if "json" in kind or "html" in kind:  # it does not stream, or is no model server
                yield from accumulator.feed(_answer(_read(stream.response)))
                return
            try:
                for chunk in stream:
                    if isinstance(chunk, dict):
                        yield from accumulator.feed(chunk)
            except APIConnectionError:
                raise
            except APIError as error:  # an event that tells an error: the package has no class for it
                _raise_if_error({"error": error.body})
                raise
            except json.JSONDecodeError as error:
                raise _api_error(f"the server sent an event that is not JSON: {error}") from None
            if not (accumulator.is_empty or accumulator.finish_reason or stream.is_done):
                raise _cut_off(stream.response.request)

    def _post(self, client: "OpenAI", request: Request) -> "httpx2.Response | WholeStream":
        """Send a request; again without what the server turns out to refuse."""
        from openai import APIStatusError

        while True:
            try:
                return self._send(client, request)
            except APIStatusError as error:
                if not self._learns_from(error, request):
                    raise

    def _send(self, client: "OpenAI", request: Request) -> "httpx2.Response | WholeStream":
        import httpx2

        from agentkit.net.openai_stream import WholeStream

        options: Any = {"headers": {"content-type": "application/json"}}
        if request.stream and not self._streams:
            request = replace(request, stream=False)
        if request.response_format is not None and not self.takes_schema(bool(request.tools)):
            request = replace(request, response_format=None)
        body = self._body(request)
        if request.stream:
            return client.post(
                "/chat/completions", cast_to=object, content=body, options=options, stream=True, stream_cls=WholeStream
            )
        return client.post("/chat/completions", cast_to=httpx2.Response, content=body, options=options)

    def _body(self, request: Request) -> bytes:
        fields: dict[str, Any] = {"model": self.model, **self._sampling}
        if request.stream and self._takes_stream_options:
            fields["stream_options"] = {"include_usage": True}
        return chat_completions_body(fields, request, images=self._images is not False, escaped=self._escapes)

    def _learns_from(self, error: Any, request: Request) -> bool:
        """Whether the server refused something that can be left out, which is remembered."""
        said = str(error.body or error.message).lower()
        if request.stream and self._takes_stream_options and "stream_options" in said:
            self._takes_stream_options = False
            return True
        refuses = error.status_code in (400, 403, 422, 500, 501)
        if request.stream and self._streams and refuses and re.search(r"\bstream(ing)?\b", said):
            self._streams = False
            return True
        if request.response_format and self._takes_schema and re.search(r"response_format|schema|grammar|guided", said):
            self._takes_schema = False
            return True
        if self._images is None and request.transcript.has_images and "image" in said:
            self._images = False
            logger.warning("%r refuses images: it is told in words that there is one (%s)", self, cut(said, 200))
            return True
        return False


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """The backend for `openai:MODEL`, `llamacpp:MODEL`, `vllm:MODEL` or `ollama:MODEL`, each with `@url`."""
    if provider == "openai":
        url = _with_path(url) or environment.get("OPENAI_BASE_URL") or None
        if not model:
            raise ConfigurationError('"openai:" names no model: write openai:gpt-5-mini, or whatever the server has')
        key = environment.get("OPENAI_API_KEY")
        if not key and not url:
            raise ConfigurationError(
                f"openai:{model} needs a key: set OPENAI_API_KEY, or name a server of your own with "
                f"openai:{model}@http://host:port/v1"
            )
    else:
        url = _with_path(url) or LOCAL[provider]
        key = None
        if not model and provider != "llamacpp":
            raise ConfigurationError(f'"{provider}:" names no model: write {provider}:NAME[@url]')
    return OpenAIBackend(model or "default", base_url=url, api_key=key)


def _with_path(url: str | None) -> str | None:
    """A server's address with the path that all of them answer on, where none was given."""
    if url is None or urlsplit(url).path.strip("/"):
        return url
    return url.rstrip("/") + "/v1"


def _read(response: "httpx2.Response") -> "httpx2.Response":
    """A whole answer to a request for a stream."""
    import httpx2
    from openai import APIConnectionError

    try:
        response.read()
    except httpx2.TransportError as error:
        raise APIConnectionError(request=response.request) from error
    return response


def _answer(response: "httpx2.Response") -> dict[str, Any]:
    """The JSON of a whole answer, or the error it turns out to be."""
    from openai import APIResponseValidationError

    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        _raise_if_error(answer)
        if isinstance(answer.get("choices"), list) and answer["choices"]:
            return answer
    kind = response.headers.get("content-type", "no content type").split(";")[0]
    raise APIResponseValidationError(
        response,
        answer,
        message=f"{without_credentials(response.request.url)} answered {response.status_code} with {kind}, which is no "
        f"chat completion (is the base URL right? it mostly ends in /v1): {response.text[:200]!r}",
    )


def _raise_if_error(answer: Mapping[str, Any]) -> None:
    """Raise what a server says in an error object although it answered 200."""
    if not answer.get("error"):
        return
    from agentkit.net.api_errors import error_in_body  # loads requests: only where there is an error

    raise error_in_body(answer)


def _without_key(error: "APIError", key: str) -> "APIError":
    """The same error without the key, which some servers repeat when they refuse it."""
    error.message = error.message.replace(key, "(key)")
    error.args = (error.message,)
    error.body = None
    return error


def _cut_off(request: "httpx2.Request") -> Exception:
    from openai import APIConnectionError

    return APIConnectionError(message="the stream ended before the reply was finished", request=request)


def _api_error(message: str) -> "APIError":
    from agentkit.net.api_errors import api_error  # loads requests: only where there is an error

    return api_error(message)
