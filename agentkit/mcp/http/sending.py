"""Sends HTTP requests to one MCP server: connections for many threads, redirects within the server, what may go wrong.

Each request belongs to a `Flight`, which any thread can abort, whatever the request waits for.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar

from agentkit._forking import freed_by_forks, notice_fork, renewed_by_forks
from agentkit._lazy.logs import WARNING, logger_of
from agentkit.errors import ConfigurationError
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.headers import checked_headers
from agentkit.mcp.http.addresses import redirected, shown_location
from agentkit.mcp.secrets import keys_in_url
from agentkit.net.abort import AbortableRequest, disown, keep_socket, record_owner
from agentkit.net.drain import drain
from agentkit.net.error_text import innermost
from agentkit.net.keys import blotted_beginning
from agentkit.net.outgoing import REQUESTS, check_environment, requests_options
from agentkit.net.route_hints import route_hint
from agentkit.net.tracked_pools import TrackingAdapter, TrackingPool
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit.mcp")

CONNECT_TIMEOUT = 10.0
MAX_REDIRECTS = 5
IDLE_SECONDS = 60.0
"""A connection that was idle for longer is not used again: proxies forget those without a word, and the request would
fail after it was sent."""
READ_BYTES = 1 << 16

MAX_NOTED = 8
"""How many values are remembered that `auth` has put into headers."""
MAX_COOKIES, MAX_COOKIE_CHARACTERS = 30, 4096
"""How many cookies of a server are kept, and how long one may be."""

_PLAIN_HEADERS = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "cookie", "date", "host"),
        *("last-event-id", "transfer-encoding", "user-agent"),
    )
)
"""Headers that authorize nothing; those of MCP don't, either."""
_KEPT = frozenset((307, 308))
"""Redirects that keep the method and the body."""
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


class Flight(AbortableRequest):
    """A request, or several in turn. was_sent: whether a part of it may have reached the server."""

    was_sent = False


class _Connection:
    """A connection of urllib3 on which nothing is sent for a request that was aborted while it was being opened."""

    idle_since = 0.0

    def send(self, data: Any) -> None:
        if self.sock is None:  # type: ignore[attr-defined]
            self.connect()  # type: ignore[attr-defined]
        keep_socket(self)
        record_owner(self)
        owner = self.owner  # type: ignore[attr-defined]
        if isinstance(owner, Flight):
            owner.was_sent = True
        super().send(data)  # type: ignore[misc]


class _HTTPConnection(_Connection, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _Pool(TrackingPool):
    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if connection.sock is not None and time.monotonic() - connection.idle_since > IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
            disown(conn)
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_Pool, urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(_Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Noted:
    """What authorizes requests: the headers of the user, and what `auth` has added lately. An answer that repeats it
    may come on another stream, or before there is a response."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = frozenset(headers.values())
        self._added: tuple[str, ...] = ()
        self._lock = freed_by_forks(threading.Lock())

    @property
    def values(self) -> list[str]:
        return [*self._headers, *self._added]

    def add(self, request: requests.PreparedRequest) -> None:
        found = {
            value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
            if name.lower() not in _PLAIN_HEADERS and not name.lower().startswith("mcp-")
        }
        with self._lock:
            kept = (each for each in self._added if each not in found)
            self._added = (*(found - self._headers), *kept)[:MAX_NOTED]


class _Adapter(TrackingAdapter):
    """noted: gets what authorizes each request, also those that `auth` sends once more."""

    pools: Mapping[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}

    def __init__(self, noted: "_Noted", **options: Any) -> None:
        super().__init__(**options)
        self._noted = noted

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self._noted.add(request)
        return super().send(request, *args, **options)


class _FewCookies(DefaultCookiePolicy):
    """Keeps a bounded number of cookies: those of load balancers are sent back, what else a server sets is not let
    grow."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[str, str, str]] = set()

    def set_ok(self, cookie: Any, request: Any) -> bool:
        key = (cookie.domain, cookie.path, cookie.name)
        is_small = len(cookie.name) + len(cookie.value or "") + len(cookie.path) <= MAX_COOKIE_CHARACTERS
        has_room = key in self._known or len(self._known) < MAX_COOKIES
        if not (is_small and has_room and super().set_ok(cookie, request)):
            return False
        self._known.add(key)
        return True


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: for a redirect, requests would read the whole body, however long, even without following it."""
        return None


class Sender:
    """Sends requests to one server; thread-safe.

    url: of the server; the user's, and trusted. headers: sent with each request. auth: called for each request.
    where: the server, for messages. Raises ConfigurationError for a URL, a header or an environment that can't work.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, auth: AuthBase | None = None) -> None:
        parts = _checked_url(url)
        if auth is not None and not callable(auth):
            raise ConfigurationError(
                f"auth= has to be a requests.auth.AuthBase, and is a {type(auth).__name__}: a token alone goes into "
                'headers={"Authorization": "Bearer ..."}'
            )
        self.url = url.partition("#")[0]
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # a secret may be part of the path
        self._headers = checked_headers(headers)
        self._auth = auth
        self._noted = _Noted(self._headers)
        check_environment(self.url, REQUESTS)
        self._session: requests.Session | None = self._new_session()
        renewed_by_forks(self)

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.cookies = RequestsCookieJar(policy=_FewCookies())
        session.trust_env = False  # `requests_options` reads it; a .netrc is not for this server
        session.headers.update({"User-Agent": "agentkit", **self._headers})
        adapter = _Adapter(self._noted, pool_maxsize=64)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def renew_in_child(self) -> None:
        """In a child: begin without connections."""
        if self._session is not None:
            self._session = self._new_session()

    def close(self) -> None:
        """Close the connections that are not in use."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def has_credentials(self) -> bool:
        """Whether requests are sent with something that authorizes them."""
        return self._auth is not None or any(name.lower() == "authorization" for name in self._headers)

    def opened(
        self,
        flight: Flight,
        method: str,
        headers: Mapping[str, str | bytes],
        body: bytes | None = None,
        seconds: float = CONNECT_TIMEOUT,
        url: str | None = None,
    ) -> requests.Response:
        """Send a request, and return its response once its headers have arrived; redirects within the server are
        followed. It has to be called in a thread that has entered the flight.

        seconds: for connecting. url: at the same server; None: the server's own.

        Raises Gone when there is no response, Slow when connecting takes too long, Aborted.
        """
        target = url or self.url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._sent(flight, method, target, headers, body, seconds)
            following = self._following(method, response)
            if following is None:
                return response
            if response.status_code == 308 and url is None:
                self.url = following
            finish(response)
            target = following
        raise MCPError(f"{self.where} redirects without an end", response.status_code)

    def _sent(
        self,
        flight: Flight,
        method: str,
        url: str,
        headers: Mapping[str, str | bytes],
        body: bytes | None,
        seconds: float,
    ) -> requests.Response:
        notice_fork()
        session = self._session
        if session is None:
            raise Gone(f"the connection to {self.where} is closed", sent=False)
        flight.was_sent = False
        with self.told_apart(flight):
            return session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=(min(CONNECT_TIMEOUT, max(seconds, 0.01)), None),
                stream=True,
                allow_redirects=False,
                auth=self._auth,
                **requests_options(url),
            )

    @contextlib.contextmanager
    def told_apart(self, flight: Flight) -> Iterator[None]:
        """Turn what HTTP libraries and `auth` raise into Gone."""
        try:
            yield
        except (Gone, Slow, MCPError, ConfigurationError):
            raise
        except requests.exceptions.InvalidHeader:
            problem = "auth= has set a header that can't be sent (it is not shown here)"
            raise Gone(f"{self.where} was not asked: {problem}", sent=False) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._gone(flight, error) from None
        except Exception as error:  # noqa: BLE001 - of `auth`; the message may hold a key, so it is not told or logged
            log_raised(logger, WARNING, "a request to an MCP server raised", error, is_secret=True)
            raise Gone(
                f"the request to {self.where} could not be made (is auth= right?): {type(error).__name__}",
                sent=flight.was_sent,
            ) from None

    def _gone(self, flight: Flight, error: BaseException) -> Gone:
        if flight.was_sent:
            return Gone(f"{self.where} closed the connection before its answer was complete")
        hint = route_hint(self.url, REQUESTS, error).replace("running?", "running, is the URL right?")
        return Gone(f"{self.where} can't be reached ({hint}): {_cause_of(error)}", sent=False)

    def _following(self, method: str, response: requests.Response) -> str | None:
        """Return the URL of a redirect that is followed: within the server, with the same method."""
        location = response.headers.get("Location")
        if response.status_code not in (_KEPT if method != "GET" else _REDIRECTS) or not location:
            return None
        return redirected(response.url, location)

    def blotted(self, text: str, response: requests.Response | None = None) -> str:
        """A text of the server without what authorizes requests to it."""
        secrets = self._noted.values
        if response is not None:
            secrets.append(str(response.request.headers.get("Authorization") or ""))
        parts = [secret.partition(" ")[2] for secret in secrets]
        return blotted_beginning(text, [*secrets, *parts, *keys_in_url(self.url)])


def chunks(response: requests.Response) -> Iterator[bytes]:
    """The body of a response, decompressed, as it arrives."""
    while chunk := response.raw.read1(READ_BYTES, decode_content=True):
        yield chunk


def finish(response: requests.Response) -> None:
    """End a response whose content is known, so that its connection can be used again where little is left of it."""
    with contextlib.suppress(Exception):
        drain(chunks(response), getattr(getattr(response.raw, "connection", None), "sock", None))
    response.close()


def _checked_url(url: object) -> SplitResult:
    if not isinstance(url, str):
        raise ConfigurationError(f"the URL of an MCP server has to be a text, and is a {type(url).__name__}")
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or " " in url or not url.isprintable():
        raise ConfigurationError(
            f"{shown_location(url)!r} is not the URL of an MCP server: write http://host:port/mcp or https://host/mcp"
        )
    return parts


def _cause_of(error: BaseException) -> str:
    """The innermost cause, without the addresses and paths that libraries put into their messages."""
    error = innermost(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
