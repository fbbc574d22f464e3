"""One request to the server of an API: sent once, on a connection of its own, whose response is read up to a limit.

Nothing is sent again: no retry, no redirect, no connection that the server may have closed meanwhile. Whoever waits
for the response may stop waiting; the connection is closed then.
"""

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from agentkit._threads import WORKERS
from agentkit.net.abort import AbortableRequest, Aborted, is_aborted
from agentkit.net.api_errors import cause_of
from agentkit.net.content_coding import accepted
from agentkit.net.fetch import user_agent
from agentkit.net.outgoing import REQUESTS, requests_options, route_hint
from agentkit.net.pinned import CHUNK_BYTES, BoundedResponse
from agentkit.net.trace_headers import trace_headers
from agentkit.net.tracked_pools import HTTPPool, HTTPSPool, TrackingAdapter

CONNECT_SECONDS = 15.0
Signing = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""What adds the credentials to a request, as a `requests.auth.AuthBase` does."""
Waiting = Callable[[Callable[[float | None], bool]], object]
"""Waits for something: it is given a function that waits at most so many seconds (None: for ever) and returns whether
it has come. Raises when nobody waits any more."""
NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError, ConnectionRefusedError)


@dataclass(frozen=True)
class ApiRequest:
    """A request. url: complete, but for `secret_query`. headers: bytes where they are not ASCII. secret_query: what is
    added to the query ("key=...") and is seen by no log. signing: see `Signing`."""

    method: str
    url: str
    headers: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    secret_query: str = field(default="", repr=False)
    signing: Signing | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ApiResponse:
    """A response. headers: their names in lower case. content: the decompressed body, up to the limit. truncated:
    whether there is more of it. signed: the values of the headers that `signing` has set."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    truncated: bool = False
    signed: tuple[str, ...] = field(default=(), repr=False)


class NotAnsweredError(Exception):
    """There is no response. The message says why. is_sent: whether the server may have received the request."""

    def __init__(self, message: str, is_sent: bool) -> None:
        super().__init__(message)
        self.is_sent = is_sent


def answered(request: ApiRequest, max_bytes: int, wait: Waiting) -> ApiResponse:
    """Send a request and return its response.

    Raises NotAnsweredError, what `wait` raises, what `signing` raises, and ConfigurationError where the environment
    names a proxy or TLS files that can't be used.
    """
    exchange = _Exchange(request, max_bytes)
    WORKERS.submit(exchange.work)
    try:
        wait(exchange.has_ended.wait)
    except BaseException:
        exchange.connection.abort()
        raise
    if exchange.response is None:
        raise exchange.error or NotAnsweredError("the request was ended", True)
    return exchange.response


class _Exchange:
    """A request that another thread sends."""

    def __init__(self, request: ApiRequest, max_bytes: int) -> None:
        self.connection = AbortableRequest()
        self.has_ended = threading.Event()
        self.response: ApiResponse | None = None
        self.error: BaseException | None = None
        self._request = request
        self._max_bytes = max_bytes

    def work(self) -> None:
        try:
            with self.connection:
                self.response = self._answered()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            self.error = error
        finally:
            self.has_ended.set()

    def _answered(self) -> ApiResponse:
        prepared, signed = _prepared(self._request)
        options = requests_options(self._request.url)
        try:
            with _Session(self._request.secret_query) as session:
                # Whoever waits has a limit of its own; this one is for a server that a closed connection does not end.
                response = session.send(
                    prepared, stream=True, timeout=(CONNECT_SECONDS, None), allow_redirects=False, **options
                )
                with response:
                    content, truncated = self._body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise _not_answered(self._request.url, error) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ApiResponse(response.status_code, headers, content, truncated, signed)

    def _body(self, response: requests.Response) -> tuple[bytes, bool]:
        content = bytearray()
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > self._max_bytes:
                return bytes(content[: self._max_bytes]), True
        return bytes(content), False


def _prepared(request: ApiRequest) -> tuple[requests.PreparedRequest, tuple[str, ...]]:
    """The request as it is sent, and the values of the headers that its signing has set."""
    headers = {"User-Agent": user_agent(), "Accept": "*/*", "Accept-Encoding": accepted(), **trace_headers()}
    prepared = requests.PreparedRequest()
    prepared.prepare(
        method=request.method,
        url=request.url,
        headers=headers | dict(request.headers),
        data=request.body,
        cookies={},
    )
    prepared.url = request.url  # as it is: requests would decode the dots in it, and resolve them as a path
    if request.signing is None:
        return prepared, ()
    before = dict(prepared.headers)
    prepared = request.signing(prepared) or prepared
    prepared.prepare_content_length(prepared.body)
    changed = (str(value) for name, value in prepared.headers.items() if before.get(name) != value)
    return prepared, tuple(changed)


class _Session(requests.Session):
    """A session for one request. It reads no environment, follows no redirect, and not even reads where one leads:
    requests would read the whole body for it."""

    def __init__(self, secret_query: str) -> None:
        super().__init__()
        self.trust_env = False
        adapter = _Adapter(secret_query)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Adapter(TrackingAdapter):
    def __init__(self, secret_query: str) -> None:
        class Pool(HTTPPool):
            def _new_conn(self) -> Any:
                return _adapted(super()._new_conn(), secret_query)

        class PoolTLS(HTTPSPool):
            def _new_conn(self) -> Any:
                return _adapted(super()._new_conn(), secret_query)

        self.pools = {"http": Pool, "https": PoolTLS}
        super().__init__(max_retries=0)


def _adapted(made: Any, secret_query: str) -> Any:
    """Patch a connection to read its response in bounded chunks, to send nothing once nobody waits (it may have taken
    long to connect), and to add what is secret to the query: here, since urllib3 logs the address that it is given."""
    connection = getattr(
        made, "real_connection", made
    )  # vcrpy stands before it, and records what comes without the key
    connection.response_class = BoundedResponse
    connect, begin = connection.connect, connection.putrequest

    def connect_unless_aborted() -> None:
        connect()
        if is_aborted():
            connection.close()
            raise Aborted

    def putrequest(method: str, url: str, *args: Any, **options: Any) -> None:
        more = f"{'&' if '?' in url else '?'}{secret_query}" if secret_query else ""
        begin(method, url + more, *args, **options)

    connection.connect, connection.putrequest = connect_unless_aborted, putrequest
    return made


def _not_answered(url: str, error: Exception) -> NotAnsweredError:
    causes: list[BaseException] = [error]
    while inner := causes[-1].__cause__ or causes[-1].__context__ or getattr(causes[-1], "reason", None):
        if not isinstance(inner, BaseException) or inner in causes:
            break
        causes.append(inner)
    if any(isinstance(each, NOT_SENT) for each in causes):
        return NotAnsweredError(f"it can't be reached ({route_hint(url, REQUESTS)}): {cause_of(error)}", False)
    return NotAnsweredError(f"it did not answer as an HTTP server does: {cause_of(error)}", True)
