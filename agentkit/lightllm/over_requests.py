"""The openai package's HTTP client on agentkit's `Transport`: `openai.OpenAI(http_client=RequestsClient(...))`.

The package builds the requests and reads the responses. What is between them is agentkit's own: connections, retries,
streams in whatever form, errors that say what to do. Those errors are the openai package's classes, which it passes on
as they are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import httpx2
import openai

from agentkit._text import json_bytes
from agentkit.errors import ConfigurationError
from agentkit.net.api_errors import api_error
from agentkit.net.dialling import failures
from agentkit.net.http_client import Transport
from agentkit.net.http_response import Response
from agentkit.net.sent_headers import ChangedHeaders
from agentkit.net.time_limits import Timeout

T = TypeVar("T")
CHAT = "/chat/completions"
_NOT_FORWARDED = ("host", "connection", "content-length", "accept-encoding", "transfer-encoding")
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding", "content-type", "connection")
_RETRIES: ContextVar[int | None] = ContextVar("retries of a request", default=None)


@contextmanager
def retries_of_requests(count: int) -> Iterator[None]:
    """Within it, failed requests of this thread are sent again `count` times: by the transport, which knows when."""
    token = _RETRIES.set(count)
    try:
        yield
    finally:
        _RETRIES.reset(token)


class RequestsClient(httpx2.Client):
    """An HTTP client whose requests are answered by a `RequestsTransport`. made_for: the options that it depends on, by
    which clients that may share it are known."""

    def __init__(self, answering: "RequestsTransport", made_for: object) -> None:
        super().__init__(transport=answering, trust_env=False)
        self.answering = answering
        self.made_for = made_for


class RequestsTransport(httpx2.BaseTransport):
    """Sends requests with a `Transport`, chat completions as agentkit reads them."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._base = httpx2.URL(transport.base_url)
        self._base_path = self._base.raw_path.decode("ascii").rstrip("/")

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response to a request. Raises the openai package's errors."""
        path = self._path_of(request)
        if request.method == "POST" and path.partition("?")[0] == CHAT:
            return self.chat(path, request)
        return self.forward(path, request)

    def chat(self, path: str, request: httpx2.Request) -> httpx2.Response:
        """Return the response to a chat completions request."""
        if json_of(request).get("stream"):
            return streamed_response(*self.transport.streamed(path, request.content, **options_of(request)))
        headers, answer = self.transport.exchange(path, request.content, **options_of(request))
        return json_response(headers, checked_completion(answer))

    def forward(self, path: str, request: httpx2.Request) -> httpx2.Response:
        """Return the response of the server, unchanged."""
        content = request.read()
        body = None if request.method == "GET" and not content else content
        response = self.transport.answered(request.method, path, body, **options_of(request))
        stream = _Body(self._pieces(response), response)
        kept = _bytes_of(response.headers, _OF_THE_BODY[:3])
        return httpx2.Response(response.status_code, headers=kept, stream=stream)

    def _pieces(self, response: Response) -> Iterator[bytes]:
        try:
            yield from response.pieces()
        except failures() as error:
            raise self.transport.broken(response, error) from error

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def _path_of(self, request: httpx2.Request) -> str:
        """Return the path and the query behind the base URL."""
        url = request.url
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise ConfigurationError(f"{url.host} is not the server of this client: create a client for it")
        return url.raw_path.decode("ascii").removeprefix(self._base_path)


class _Body(httpx2.SyncByteStream):
    """The body of a response as it arrives."""

    def __init__(self, chunks: Iterable[bytes], response: Response | None = None) -> None:
        self._chunks = chunks
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


class _Events(httpx2.SyncByteStream):
    """Server-sent events, made of their JSON as it arrives."""

    def __init__(self, events: Iterator[Mapping[str, Any]]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        for event in self._events:
            yield b"data: %s\n\n" % json_bytes(event)
        yield b"data: [DONE]\n\n"

    def close(self) -> None:
        close = getattr(self._events, "close", None)
        if close is not None:
            close()


class EventStream(openai.Stream[T]):
    """The openai package's stream, which takes events as they are where they are at hand, and not out of their text."""

    def __stream__(self) -> Iterator[T]:
        events = self.response.extensions.get("events")
        if events is None:  # from another HTTP client
            yield from super().__stream__()
            return
        kind: Any = self._cast_to
        try:
            for event in events:
                yield kind.construct(**event)
        finally:
            self.response.close()


def json_of(request: httpx2.Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request."""
    body = json.loads(request.read())
    if not isinstance(body, dict):
        raise ConfigurationError("the body of this request must be a JSON object")
    return body


def options_of(request: httpx2.Request) -> dict[str, Any]:
    """Return the options of a request for a `Transport`: its headers, timeout and retries."""
    headers: dict[str, str | None] = {"authorization": None}  # not the client's, when this request is to have none
    headers |= {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
    return {"headers": ChangedHeaders(headers), "timeout": _timeout_of(request), "max_retries": _RETRIES.get()}


def _timeout_of(request: httpx2.Request) -> Timeout:
    limits = request.extensions.get("timeout") or {}
    return timeout_of(limits.get("connect"), limits.get("read"))


def timeout_of(connect: float | None, read: float | None) -> Timeout:
    """Return a timeout for a `Transport`. The same number for both is that of the read: connecting never takes long."""
    return connect if connect is not None and connect == read else (connect, read)


def json_response(headers: Mapping[str, str], answer: Mapping[str, Any]) -> httpx2.Response:
    """Return a response with a JSON body, and the other headers of the server's."""
    return httpx2.Response(200, headers=_headers(headers, "application/json"), stream=_Body([json_bytes(answer)]))


def streamed_response(headers: Mapping[str, str], events: Iterator[Mapping[str, Any]]) -> httpx2.Response:
    """Return a response that streams events, and the other headers of the server's."""
    kept = _headers(headers, "text/event-stream")
    return httpx2.Response(200, headers=kept, stream=_Events(events), extensions={"events": events})


def _headers(headers: Mapping[str, str], kind: str) -> list[tuple[bytes, bytes]]:
    return [*_bytes_of(headers, _OF_THE_BODY), (b"content-type", kind.encode())]


def _bytes_of(headers: Mapping[str, str], without: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """The headers of a response as they came: their values may be no ASCII."""
    kept = [(name, value) for name, value in headers.items() if name.lower() not in without]
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in kept]


def checked_completion(answer: Any) -> dict[str, Any]:
    """Return a complete response of a chat completions server. Raises APIError if it is invalid."""
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list) or not answer["choices"]:
        raise api_error(f"the server's response is not a chat completion: {str(answer)[:200]}", answer)
    return answer
