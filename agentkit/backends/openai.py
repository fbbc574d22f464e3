"""The backend for OpenAI's chat completions API and compatible servers, using the openai package's client.

The client is used as a transport: encoded JSON goes through its `post`, since `chat.completions.create` rebuilds the
whole history as models at each turn (18 ms of CPU with 100 messages, against 0.6 ms). Its retries, timeouts, connection
pool and error classes are kept.
"""

import contextlib
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
from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.backends.chat_protocol import (
    Accumulator,
    chat_completions_body,
    check_sampling,
    context_length_in,
    merged_sampling,
)
from agentkit.backends.fallback_calls import PassThrough, ReplyText
from agentkit.errors import ConfigurationError
from agentkit.event import CallDelta, ReasoningDelta, Reply, TextDelta
from agentkit.net.abort import track_connections
from agentkit.net.hosted import is_hosted
from agentkit.net.keys import blotted, checked_key, repeats
from agentkit.net.outgoing import HTTPX, check_environment, httpx_client, route_hint

if TYPE_CHECKING:
    import httpx2
    from openai import APIError, OpenAI

    from agentkit.net.openai_stream import DrainedStream

LOCAL = {
    "llamacpp": "http://localhost:8080/v1",
    "vllm": "http://localhost:8000/v1",
    "ollama": "http://localhost:11434/v1",
}
"""Default base URLs of self-hosted servers; these accept any key."""

logger = logging.getLogger("agentkit")

NO_KEY = "not-needed"
OPENAI_URL = "https://api.openai.com/v1"


class OpenAIBackend:
    """A model behind OpenAI's chat completions API.

    model: its name on the server. base_url: up to and including "/v1"; None means OpenAI's. api_key: optional for
    self-hosted servers. timeout: read timeout in seconds. max_retries: maximum retries after connection errors, 408,
    409, 429 and 5xx, with backoff. images: whether the server accepts images; None detects it. text_calls: whether
    tool calls that the server left in the text of a reply (`<tool_call>...`) are parsed as calls.
    escape_special_tokens: whether special tokens (`<|im_end|>`) in tool results and user messages are escaped in
    requests. By default, both are on for self-hosted servers and off for hosted APIs (`agentkit.net.hosted`).
    sampling: further fields of the request, such as temperature=0.2, tool_choice="required" or
    response_format={...}; None omits a field.

    Raises ConfigurationError without api_key and base_url, for a key that can't be one (with white space, quotation
    marks, "Bearer "), for a proxy or TLS files of the environment that can't be used, or when `sampling` contains a
    field that the agent sets itself.
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
        check_sampling(sampling)
        self.model = model
        self.base_url = base_url
        if not api_key and not base_url:
            raise ConfigurationError(
                f'OpenAIBackend({model!r}) needs api_key=... or base_url=...; the name "openai:{model}" reads '
                "OPENAI_API_KEY from the environment"
            )
        self._api_key = checked_key(api_key, "api_key") or NO_KEY
        check_environment(base_url or OPENAI_URL, HTTPX)
        self._timeout = timeout
        self._max_retries = max_retries
        self._images = images
        is_self_hosted = not is_hosted(base_url)
        self._text_calls = is_self_hosted if text_calls is None else text_calls
        self._reads_text = is_self_hosted or self._text_calls
        self._escapes = is_self_hosted if escape_special_tokens is None else escape_special_tokens
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._takes_stream_options = True
        self._takes_schema = True
        self._streams = True
        self._lock = threading.Lock()
        self._client: OpenAI | None = None
        self._closed = False
        self._context_length: int | None = None

    def __repr__(self) -> str:
        where = f", base_url={without_credentials(self.base_url)!r}" if self.base_url else ""
        return f"OpenAIBackend({self.model!r}{where})"

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        from openai import APIConnectionError, APIError

        try:
            yield from self._replied(request)
        except (AttributeError, KeyError, TypeError) as error:
            raise _api_error(f"the server's reply is not a valid chat completion: {error}") from error
        except APIConnectionError as error:
            error.message = (
                f"{error.message.rstrip('.')}: {without_credentials(error.request.url)} "
                f"({route_hint(self.base_url or OPENAI_URL, HTTPX)})"
            )
            error.args = (error.message,)
            raise
        except APIError as error:
            if self._api_key != NO_KEY and repeats(f"{error} {error.body}", self._api_key):
                raise _without_key(error, self._api_key) from None
            raise

    def _replied(self, request: Request) -> ReplyStream:
        from agentkit.net.openai_stream import DrainedStream

        client = self._connected()
        accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
        answer = self._post(client, request)
        if isinstance(answer, DrainedStream):
            deltas = self._streamed(client, answer, accumulator)
        else:
            deltas = accumulator.feed(_answer(answer))
        text = self._text_reader(request)
        for delta in deltas:
            for visible in text.read(delta):
                if request.stream:
                    yield visible
        if accumulator.is_empty:
            from agentkit.net.api_errors import mark_in_body

            raise mark_in_body(_api_error("the server sent an empty reply: no text, no tool call and no finish_reason"))
        for item in text.finish(accumulator.reply()):
            if request.stream or isinstance(item, Reply):
                yield item

    def _text_reader(self, request: Request) -> ReplyText | PassThrough:
        if not self._reads_text:
            return PassThrough()
        reads_calls = self._text_calls and {**self._sampling, **request.sampling}.get("tool_choice") != "none"
        return ReplyText(request, self.model, reads_calls=reads_calls)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`. Only OpenAI's own API accepts a schema together with tools;
        other servers would apply it to tool calls too."""
        is_openai = self.base_url is None or "//api.openai.com" in self.base_url
        if ask and self._context_length is None:
            self._context_length = self._queried_context_length()
        return Capabilities(
            self.model,
            self.base_url,
            schema="no" if not self._takes_schema else "always" if is_openai else "text",
            tells_schema=is_openai,
            images=self._images,
            context_length=self._context_length,
        )

    def _queried_context_length(self) -> int | None:
        import httpx2
        from openai import APIStatusError

        client = self._connected()
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        length = None
        with contextlib.suppress(APIStatusError, ValueError):
            length = context_length_in(client.get("/models", cast_to=httpx2.Response).json(), self.model)
        if length is None:  # llama.cpp reports it in its own endpoint
            with contextlib.suppress(APIStatusError, ValueError, AttributeError):
                props = client.get(f"{root}/props", cast_to=httpx2.Response).json()
                length = (props.get("default_generation_settings") or {}).get("n_ctx")
        return length if isinstance(length, int) else None

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        with self._lock:
            client, self._client, self._closed = self._client, None, True
        if client is not None:
            client.close()

    def _connected(self) -> "OpenAI":
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: create a new one")
            if self._client is None:
                from openai import OpenAI  # takes half a second of CPU, so it is imported at the first request

                import agentkit.net.pickled_errors  # noqa: F401 - whatever this client raises

                url = self.base_url or OPENAI_URL
                self._client = OpenAI(
                    api_key=self._api_key,
                    base_url=url,
                    timeout=self._timeout,
                    max_retries=self._max_retries,
                    http_client=httpx_client(url, timeout=self._timeout),
                )
                track_connections(self._client._client)
            return self._client

    def _streamed(
        self, client: "OpenAI", stream: "DrainedStream", accumulator: Accumulator
    ) -> Iterator[TextDelta | ReasoningDelta | CallDelta]:
        from openai import APIConnectionError, APIError

        with closing(stream):
            kind = stream.response.headers.get("content-type", "")
            if "json" in kind or "html" in kind:  # the server does not stream, or is not a model server
                yield from accumulator.feed(_answer(_read(stream.response)))
                return
            try:
                for chunk in stream:
                    if isinstance(chunk, dict):
                        yield from accumulator.feed(chunk)
            except APIConnectionError:
                raise
            except APIError as error:  # an error event: the package has no class for it
                _raise_if_error({"error": error.body})
                raise
            except json.JSONDecodeError as error:
                raise _api_error(f"the server sent an event that is not JSON: {error}") from None
            if not (accumulator.is_empty or accumulator.finish_reason or stream.is_done):
                raise _cut_off(stream.response.request)

    def _post(self, client: "OpenAI", request: Request) -> "httpx2.Response | DrainedStream":
        """Send a request; send it again without options that the server rejects."""
        from openai import APIStatusError

        while True:
            try:
                return self._send(client, request)
            except APIStatusError as error:
                if not self._disables_rejected(error, request):
                    raise

    def _send(self, client: "OpenAI", request: Request) -> "httpx2.Response | DrainedStream":
        import httpx2

        from agentkit.net.openai_stream import DrainedStream

        options: Any = {"headers": {"content-type": "application/json"}}
        if request.stream and not self._streams:
            request = replace(request, stream=False)
        if request.response_format is not None and not self.capabilities().takes_schema(bool(request.tools)):
            request = replace(request, response_format=None)
        body = self._body(request)
        if request.stream:
            return client.post(
                "/chat/completions",
                cast_to=object,
                content=body,
                options=options,
                stream=True,
                stream_cls=DrainedStream,
            )
        return client.post("/chat/completions", cast_to=httpx2.Response, content=body, options=options)

    def _body(self, request: Request) -> bytes:
        fields: dict[str, Any] = {"model": self.model, **merged_sampling(self._sampling, request)}
        if request.stream and self._takes_stream_options:
            fields["stream_options"] = {"include_usage": True}
        return chat_completions_body(fields, request, images=self._images is not False, escaped=self._escapes)

    def _disables_rejected(self, error: Any, request: Request) -> bool:
        """Disable an optional feature that the server rejected, permanently; return whether there was one."""
        text = str(error.body or error.message).lower()
        if request.stream and self._takes_stream_options and "stream_options" in text:
            self._takes_stream_options = False
            return True
        is_rejection = error.status_code in (400, 403, 422, 500, 501)
        if request.stream and self._streams and is_rejection and re.search(r"\bstream(ing)?\b", text):
            self._streams = False
            return True
        if request.response_format and self._takes_schema and re.search(r"response_format|schema|grammar|guided", text):
            self._takes_schema = False
            return True
        if self._images is None and request.transcript.has_images and "image" in text:
            self._images = False
            logger.warning("%r rejects images: they are replaced by a sentence (%s)", self, cut(text, 200))
            return True
        return False


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `openai:MODEL`, `llamacpp:MODEL`, `vllm:MODEL` or `ollama:MODEL`, each with `@url`."""
    if provider == "openai":
        url = _with_path(url) or environment.get("OPENAI_BASE_URL") or None
        if not model:
            raise ConfigurationError(
                '"openai:" contains no model name: write openai:gpt-5-mini, or a model of the server'
            )
        key = checked_key(environment.get("OPENAI_API_KEY"), "OPENAI_API_KEY")
        if not key and not url:
            raise ConfigurationError(
                f"openai:{model} needs a key: set OPENAI_API_KEY, or use a self-hosted server with "
                f"openai:{model}@http://host:port/v1"
            )
    else:
        url = _with_path(url) or LOCAL[provider]
        key = None
        if not model and provider != "llamacpp":
            raise ConfigurationError(f'"{provider}:" contains no model name: write {provider}:NAME[@url]')
    return OpenAIBackend(model or "default", base_url=url, api_key=key)


def _with_path(url: str | None) -> str | None:
    """Add the common path "/v1" to a base URL without a path."""
    if url is None or urlsplit(url).path.strip("/"):
        return url
    return url.rstrip("/") + "/v1"


def _read(response: "httpx2.Response") -> "httpx2.Response":
    """Read a complete response to a streaming request; return it."""
    import httpx2
    from openai import APIConnectionError

    try:
        response.read()
    except httpx2.TransportError as error:
        raise APIConnectionError(request=response.request) from error
    return response


def _answer(response: "httpx2.Response") -> dict[str, Any]:
    """Return the JSON of a complete response. Raises the error that it contains, or APIResponseValidationError."""
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
        message=f"{without_credentials(response.request.url)} answered {response.status_code} with {kind}, which is "
        f"not a chat completion (is the base URL right? it usually ends in /v1): {response.text[:200]!r}",
    )


def _raise_if_error(answer: Mapping[str, Any]) -> None:
    """Raise the error that a server reports in a body with status 200."""
    if not answer.get("error"):
        return
    from agentkit.net.api_errors import error_in_body  # imports requests, so only when there is an error

    raise error_in_body(answer)


def _without_key(error: "APIError", key: str) -> "APIError":
    """Remove the key, which some servers repeat when they reject it, from an error; return the error."""
    error.message = blotted(error.message, key)
    error.args = (error.message,)
    error.body = None
    return error


def _cut_off(request: "httpx2.Request") -> Exception:
    from openai import APIConnectionError

    return APIConnectionError(message="the stream ended before the reply was finished", request=request)


def _api_error(message: str) -> "APIError":
    from agentkit.net.api_errors import api_error  # imports requests, so only when there is an error

    return api_error(message)
