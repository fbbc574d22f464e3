"""One request to the server of an API: sent once, on a connection of its own, whose response is read up to a limit.

Nothing is sent again: no retry, no redirect, no connection that the server may have closed meanwhile. Whoever waits
for the response may stop waiting; the connection is closed then.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3
from requests.utils import check_header_validity

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._threads import WORKERS
from agentkit.errors import AgentkitError, Remade
from agentkit.net.abort import AbortableRequest, Aborted, is_aborted, keep_socket
from agentkit.net.bounded import CHUNK_BYTES, BoundedResponse
from agentkit.net.content_coding import accepted
from agentkit.net.error_text import cause_of, causes_of
from agentkit.net.fetch import user_agent
from agentkit.net.outgoing import REQUESTS, requests_options
from agentkit.net.pinned import pinned
from agentkit.net.route_hints import route_hint
from agentkit.net.trace_headers import trace_headers
from agentkit.net.tracked_pools import HTTPPool, HTTPSPool, TrackingAdapter
from agentkit.net.url_guard import AllowList, Deadline, Guard, Target, system_resolver
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit")

CONNECT_SECONDS = 15.0
"""For a connection, and for the look-up of a name before it."""
Signing = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""What adds the credentials to a request, as a `requests.auth.AuthBase` does."""
Waiting = Callable[[Callable[[float | None], bool]], object]
"""Waits for something: it is given a function that waits at most so many seconds (None: for ever) and returns whether
it has come. Raises when nobody waits any more."""
NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError, ConnectionRefusedError)


@dataclass(frozen=True)
class ApiRequest:
    """A request. url: complete, but for `secret_query`. headers: bytes where they are not ASCII. secret_query: what is
    added to the query ("key=...") and is seen by no log. signing: see `Signing`. only_public: whether it is sent to
    public addresses alone, and past no proxy, which would look the name up again."""

    method: str
    url: str
    headers: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    secret_query: str = field(default="", repr=False)
    signing: Signing | None = field(default=None, repr=False)
    only_public: bool = False


@dataclass(frozen=True)
class ApiResponse:
    """A response. headers: their names in lower case. content: the decompressed body, up to the limit. truncated:
    whether there is more of it. signed: the values of the headers that `signing` has set."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    truncated: bool = False
    signed: tuple[str, ...] = field(default=(), repr=False)


class NotAnsweredError(Remade, Exception):
    """There is no response. The message says why. is_sent: whether the server may have received the request."""

    def __init__(self, message: str, is_sent: bool) -> None:
        super().__init__(message)
        self.is_sent = is_sent


def answered(request: ApiRequest, max_bytes: int, wait: Waiting) -> ApiResponse:
    """Send a request and return its response.

    Raises NotAnsweredError, also where `signing` fails; what `wait` raises; FetchError for an address that is not
    public, where only such are allowed; and ConfigurationError where the environment names a proxy or TLS files that
    can't be used.
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
        request = self._request
        target = _public(request.url) if request.only_public else None
        options = requests_options(request.url)
        if target is not None:
            options["proxies"] = {}
        prepared, signed = _prepared(request)
        try:
            with _Session(request.secret_query, target) as session:
                # Whoever waits has a limit of its own; this one is for a server that a closed connection does not end.
                response = session.send(
                    prepared, stream=True, timeout=(CONNECT_SECONDS, None), allow_redirects=False, **options
                )
                with response:
                    content, truncated = self._body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise _not_answered(request, error) from None
        except AgentkitError:
            raise
        except Exception as error:  # noqa: BLE001 - of a hook that signing has set, or of what it has made
            raise _not_made(error, True) from None
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
    try:
        prepared = request.signing(prepared) or prepared
        prepared.prepare_content_length(prepared.body)
        changed = {name: value for name, value in prepared.headers.items() if before.get(name) != value}
    except AgentkitError:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's
        raise _not_made(error, False) from None
    try:
        for each in changed.items():
            check_header_validity(each)
            "".join(map(_text, each)).encode("latin-1")
    except (requests.RequestException, UnicodeError):  # both hold the value
        raise NotAnsweredError("auth= has set a header that can't be sent (it is not shown here)", False) from None
    return prepared, tuple(_text(value) for value in changed.values())


def _text(part: str | bytes) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else part


def _not_made(error: Exception, is_sent: bool) -> NotAnsweredError:
    """What `signing` or its hooks raised. The message may hold the key, so it is neither told nor logged."""
    log_raised(logger, WARNING, "a request to an API raised", error, is_secret=True)
    return NotAnsweredError(f"the request could not be made (is auth= right?): {type(error).__name__}", is_sent)


def _public(url: str) -> Target:
    """The addresses of a server, all of them public. Raises FetchError."""
    return Guard(AllowList(()), system_resolver, Deadline(CONNECT_SECONDS)).checked(url)


class _Session(requests.Session):
    """A session for one request. It reads no environment, follows no redirect, and not even reads where one leads:
    requests would read the whole body for it. target: the addresses to which alone it connects."""

    def __init__(self, secret_query: str, target: Target | None) -> None:
        super().__init__()
        self.trust_env = False
        adapter = _Adapter(secret_query, target)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Adapter(TrackingAdapter):
    def __init__(self, secret_query: str, target: Target | None) -> None:
        class Pool(HTTPPool):
            def _new_conn(self) -> Any:
                return _adapted(super()._new_conn(), secret_query, target)

        class PoolTLS(HTTPSPool):
            def _new_conn(self) -> Any:
                return _adapted(super()._new_conn(), secret_query, target)

        self.pools = {"http": Pool, "https": PoolTLS}
        self._responses: list[requests.Response] = []
        super().__init__(max_retries=0)

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Keep the response: a hook that `signing` has set may raise, and nobody else would have it then."""
        response = super().send(*args, **options)
        self._responses.append(response)
        return response

    def close(self) -> None:
        """Close the responses too."""
        for each in self._responses:
            each.close()
        super().close()


def _adapted(made: Any, secret_query: str, target: Target | None) -> Any:
    """Patch a connection to read its response in bounded chunks, to send nothing once nobody waits (it may have taken
    long to connect), to connect to checked addresses, and to add what is secret to the query: here, since urllib3 logs
    the address that it is given."""
    connection = getattr(
        made, "real_connection", made
    )  # vcrpy stands before it, and records what comes without the key
    connection.response_class = BoundedResponse
    if target is not None:
        pinned(connection, lambda: _dialled(connection, target))
    connect, begin = connection.connect, connection.putrequest

    def connect_unless_aborted() -> None:
        connect()
        keep_socket(connection)
        if is_aborted():
            connection.close()
            raise Aborted

    def putrequest(method: str, url: str, *args: Any, **options: Any) -> None:
        more = f"{'&' if '?' in url else '?'}{secret_query}" if secret_query else ""
        begin(method, url + more, *args, **options)

    connection.connect, connection.putrequest = connect_unless_aborted, putrequest
    return made


def _dialled(connection: Any, target: Target) -> socket.socket:
    """A connection to the first of the addresses that accepts; they share the time. Raises NewConnectionError."""
    seconds, failure = CONNECT_SECONDS / len(target.addresses), OSError("no address")
    for address in target.addresses:
        try:
            made = socket.create_connection((str(address), target.port), seconds)
        except OSError as error:
            failure = error
            continue
        made.settimeout(CONNECT_SECONDS)  # for TLS, as urllib3 has it
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    raise urllib3.exceptions.NewConnectionError(connection, str(failure)) from failure


def _not_answered(request: ApiRequest, error: Exception) -> NotAnsweredError:
    causes = list(causes_of(error))
    if request.signing is not None and isinstance(causes[-1], requests.RequestException):
        return _not_made(error, True)  # perhaps of a hook's own request, with its address
    if any(isinstance(each, NOT_SENT) for each in causes):
        hint = "is the server running?" if request.only_public else route_hint(request.url, REQUESTS, error)
        return NotAnsweredError(f"it can't be reached ({hint}): {cause_of(error)}", False)
    return NotAnsweredError(f"it did not answer as an HTTP server does: {cause_of(error)}", True)
