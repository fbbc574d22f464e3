"""Connections to one server that are kept for the next request, made by urllib3 (through a proxy, over TLS), or plain.

urllib3 connects, and `http.client` below it sends requests and reads responses: what urllib3 adds to a request and a
response takes as much time as both. Its own pool waits for a lock at each request; here idle connections are in a
deque, whose operations are atomic.
"""

import contextlib
import http.client
import socket
import ssl
import time
from collections import deque
from functools import partial
from typing import Any

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._lazy.logs import logger_of
from agentkit.errors import ConfigurationError
from agentkit.net.abort import Aborted, disown, is_aborted, record_owner
from agentkit.net.bounded import BoundedResponse
from agentkit.net.dialling import dialled
from agentkit.net.outgoing import URLLIB3, is_tls, proxy_for
from agentkit.net.parsed_url import parsed_url
from agentkit.net.sent_headers import SentHeaders
from agentkit.net.server_urls import basic_authorization
from agentkit.net.unpatched import HTTPConnection, is_played, is_recorded
from agentkit.net.watcher import WATCHER, Watched, shut_down_after

logger = logger_of("agentkit.http")

KEPT_SECONDS = 15.0
"""How long an idle connection is kept. Some gateways forget one after half a minute and tell neither side: a request
that is sent on it waits for a response until its time is over."""
STALE_AFTER = 1.0
"""Seconds of idleness after which a server may have closed a connection in the moment in which it is used again."""
MAX_KEPT = 256
OUT_OF_TIME = "the time for the whole response is over"
SLICE_BYTES = 1 << 18
_WITH_BODY = ("POST", "PUT", "PATCH")
_END = b"\r\n\r\n"
_LENGTHS = {"content-length", "transfer-encoding"}
REFUSED_WHILE_SENDING = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
    if hasattr(socket, name)
]
"""A server that is gone is noticed while a reply is waited for."""
_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *_KEEP_ALIVE]


class Connection:
    """A connection to a server, or to a proxy before it. sock: its socket, from when it connects, also while a response
    that ends with the connection is read. owner: the request that uses it (`net.abort`). is_reused: whether it has
    carried a request before. prefix: what stands before the paths of requests to a proxy that passes them on."""

    def __init__(self, pool: Any, prefix: str = "") -> None:
        self.sock: Any = None
        self.owner: Any = None
        self.is_reused = False
        self.idle_since = self.was_idle = 0.0
        self._limit: Watched | None = None
        self._head: tuple[tuple[str, str], SentHeaders, bytes] | None = None
        self._http = pool._new_conn()
        self.is_real = not is_played(self._http)
        self._prefix = prefix
        self._for_proxy = dict(pool.proxy_headers or {}) if prefix else {}

    def connect(self, pool: Any, seconds: float | None) -> None:
        """Connect. seconds: the limit, None for none. Raises urllib3's errors, OSError, and Aborted."""
        record_owner(self)
        made = self._http
        is_tunnelled = pool.proxy is not None and not self._prefix
        if not self.is_real:
            if is_tunnelled:
                pool._prepare_proxy(made)
            return
        made.timeout = seconds
        made.response_class = BoundedResponse
        if not _is_socks(made):
            made._new_conn = partial(dialled, made, seconds, self._note)
        try:
            if is_tunnelled:
                pool._prepare_proxy(made)
            else:
                made.connect()
        except Exception:
            if is_aborted():
                raise Aborted from None
            raise
        finally:
            vars(made).pop("_new_conn", None)  # it holds the connection itself
            watched, self.sock = self.sock, _innermost(made.sock)
            if watched is not None and watched is not self.sock:
                watched.close()
        if is_aborted():
            self.close()
            raise Aborted

    def _note(self, made: socket.socket) -> None:
        """Watch a socket that connects: by a copy, since TLS takes the socket itself over."""
        watched, self.sock = self.sock, made.dup()
        if watched is not None:
            watched.close()

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: SentHeaders, seconds: float | None
    ) -> http.client.HTTPResponse:
        """Send a request and return the response, of which the headers are read. target: the path and the query.
        seconds: the limit of each read, and of sending each slice of a long body. Raises OSError and
        http.client.HTTPException."""
        made = self._http
        if not self.is_real:
            made.timeout = seconds
            made.request(method, self._prefix + target, body=body, headers=dict(headers.items()))
            played: http.client.HTTPResponse = made.getresponse()
            return played
        if self.sock.gettimeout() != seconds:
            self.sock.settimeout(seconds)
        if self._for_proxy:
            headers = headers.with_added(self._for_proxy)
        try:
            # The head has the key, and so is no variable here (`SentHeaders`).
            if body is None or len(body) <= SLICE_BYTES:  # in one piece: the server would wake for each of two
                made.sock.sendall(self._head_of(method, target, body, headers) + (body or b""))
            else:
                made.sock.sendall(self._head_of(method, target, body, headers))
                for start in range(0, len(body), SLICE_BYTES):
                    made.sock.sendall(body[start : start + SLICE_BYTES])
        except REFUSED_WHILE_SENDING:  # it may have answered before it has read all
            pass
        except BaseException as error:  # noqa: BLE001 - raised again
            raise error.with_traceback(None)  # noqa: B904 - `sendall` of TLS is Python: its frames have what they send
        return HTTPConnection.getresponse(made)

    def _head_of(self, method: str, target: str, body: bytes | None, headers: SentHeaders) -> bytes:
        """The head of a request, after which `http.client` waits for the response. The last one is kept: the next
        request mostly has the same, but for the length. Raises ValueError for what can't stand in a head."""
        made, line = self._http, (method, self._prefix + target)
        known = self._head
        pieces: list[bytes] = []
        made.send = pieces.append
        try:
            if known is not None and known[0] == line and known[1] == headers:
                HTTPConnection.putrequest(made, *line, skip_host=True, skip_accept_encoding=True)
                HTTPConnection.endheaders(made)  # the next step of `made`; the head is written already
                head = known[2]
            else:
                _put_headers(made, *line, headers)
                head = b"".join(pieces).removesuffix(_END)
                self._head = line, headers, head
        finally:
            del made.send
        if not headers.has_any(_LENGTHS) and (body is not None or method in _WITH_BODY):
            head += b"\r\ncontent-length: %d" % len(body or b"")
        return head + _END

    def limit(self, seconds: float | None) -> None:
        """Shut it down after so many seconds, unless it is free again by then. None: no limit."""
        if self._limit is not None:
            self.unlimit()
        if seconds is not None and isinstance(self.sock, socket.socket):
            self._limit = shut_down_after(self.sock, seconds)

    def unlimit(self) -> bool:
        """Take the limit away; return whether its seconds are over."""
        limit, self._limit = self._limit, None
        if limit is None:
            return False
        WATCHER.remove(limit)
        return limit.is_due(time.monotonic())

    @property
    def is_out_of_time(self) -> bool:
        """Whether the seconds of `limit` are over."""
        return self._limit is not None and self._limit.is_due(time.monotonic())

    def check(self) -> None:
        """Raise Aborted, or TimeoutError, if that is why what was read has come to an end."""
        if is_aborted():
            raise Aborted
        if self.is_out_of_time:
            raise TimeoutError(OUT_OF_TIME)

    def fail(self, error: BaseException) -> None:
        """Close it after an error; raise Aborted, or TimeoutError, if that is what has caused it."""
        is_late = self.is_out_of_time
        self.close()
        if not isinstance(error, Exception):
            return
        if is_aborted():
            raise Aborted from None
        if is_late:
            raise TimeoutError(OUT_OF_TIME) from error

    @property
    def is_usable(self) -> bool:
        """Whether it can carry a request: it is kept not too long, and has nothing to say."""
        made = self._http
        if self.is_expired or made.sock is None or not made.is_connected:
            return False
        pending = getattr(made.sock, "pending", None)  # what TLS has read, which the socket does not show
        return pending is None or not pending()

    @property
    def is_expired(self) -> bool:
        """Whether it has been idle for too long."""
        return time.monotonic() - self.idle_since >= KEPT_SECONDS

    @property
    def may_be_stale(self) -> bool:
        """Whether a failure before any of the response may mean that the server had closed it, as one that is idle."""
        return self.is_reused and self.was_idle >= STALE_AFTER

    @property
    def is_open(self) -> bool:
        """Whether the server has not said that it closes it."""
        return self._http.sock is not None

    def close(self) -> None:
        """Close it."""
        self.unlimit()
        with contextlib.suppress(OSError):
            self._http.close()

    def __del__(self) -> None:
        try:  # at the end of the program there may be no contextlib any more
            self.unlimit()
            self._http.close()
        except Exception:  # noqa: BLE001
            pass


class Connections:
    """The connections to the server of a URL; thread-safe. The proxy and the TLS files of the environment are read when
    a connection is made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._origin = parsed_url(url).origin
        self._idle: deque[Connection] = deque()
        self._pools: dict[Any, Any] = {}
        self.is_closed = False
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: begin without connections."""
        self._idle = deque()

    def take(self, seconds: float | None, is_new: bool = False) -> Connection:
        """A connection for one request: an idle one, unless it has to be new. seconds: how long connecting may take.
        Raises ConfigurationError, urllib3's errors, OSError, and Aborted."""
        notice_fork()
        if self.is_closed:
            raise ConfigurationError("this client is closed: create a new one")
        kept = None if is_new else self._kept()
        if kept is None:
            pool = self._pool()
            is_forwarded = pool.proxy is not None and self._origin.startswith("http:")
            connection = Connection(pool, self._origin if is_forwarded else "")
        else:
            connection = kept
        try:
            if kept is None:
                connection.connect(pool, seconds)
            else:
                record_owner(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _kept(self) -> Connection | None:
        """An idle connection that can be used again; those that can't are closed."""
        while self._idle:
            try:
                found = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if found.is_usable and not is_recorded():
                found.was_idle = time.monotonic() - found.idle_since
                return found
            found.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose response was read to its end."""
        disown(connection)
        is_late = connection.unlimit()  # then it is perhaps being shut down
        if is_late or self.is_closed or not connection.is_real or not connection.is_open:
            connection.close()
            return
        connection.is_reused = True
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > 1 or self.is_closed:
            self._drop_old()

    def _drop_old(self) -> None:
        with contextlib.suppress(IndexError):
            while len(self._idle) > MAX_KEPT or self._idle[0].is_expired or self.is_closed:
                self._idle.popleft().close()

    def close(self) -> None:
        """Close the idle connections; those in use when their responses have ended."""
        self.is_closed = True
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()

    def _pool(self) -> Any:
        """What knows how to connect now, a pool of urllib3 but for plain HTTP; no connection is kept in it."""
        proxy = proxy_for(self._url, URLLIB3)
        options: dict[str, Any] = {"socket_options": _OPTIONS}
        if proxy is None and self._origin.startswith("http:") and not is_recorded():
            from agentkit.net.plain_http import PlainPool

            parts = parsed_url(self._url)
            return PlainPool(parts.host, parts.port or 80, _OPTIONS)
        if is_tls(self._url, proxy):
            from agentkit.net.tls import tls_context

            options["ssl_context"] = tls_context()
        key = (proxy, options.get("ssl_context"))
        found = self._pools.get(key)
        if found is None:
            found = self._pools[key] = _manager(proxy.url if proxy else None, options).connection_from_url(self._url)
        return found


def _put_headers(made: Any, method: str, target: str, headers: SentHeaders) -> None:
    """Have `http.client` write the head of a request, but for the length of its body. Raises ValueError for what can't
    stand in one."""
    skips = {"skip_host": headers.has_any(["host"]), "skip_accept_encoding": headers.has_any(["accept-encoding"])}
    HTTPConnection.putrequest(made, method, target, **skips)
    for name, value in headers.items():
        HTTPConnection.putheader(made, name, value)
    HTTPConnection.endheaders(made)


def _manager(proxy: str | None, options: dict[str, Any]) -> Any:
    """What makes the pools of urllib3. proxy: its URL."""
    import urllib3  # takes longer to import than a request takes

    if proxy is None:
        return urllib3.PoolManager(**options)
    if proxy.startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, **options)
    user, _, password = (urllib3.util.parse_url(proxy).auth or "").partition(":")
    authorization = basic_authorization(user, password)
    headers = {"proxy-authorization": authorization} if authorization else None
    if proxy.startswith("https:"):
        options["proxy_ssl_context"] = options["ssl_context"]
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def _innermost(made: Any) -> Any:
    """The socket below TLS within TLS, of a proxy, which is not a socket itself."""
    while made is not None and not isinstance(made, socket.socket):
        made = getattr(made, "socket", None)
    return made


def _is_socks(connection: Any) -> bool:
    return "SOCKS" in type(connection).__name__
