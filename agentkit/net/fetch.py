"""The guarded GET: the one place that opens an address which a user, a page or a model has named.

Only http and https, only public addresses, checked after DNS and at every redirect; the connection goes to the very
address that was checked, so that a second DNS answer changes nothing. Bytes, seconds and redirects are capped.
"""

import contextlib
import functools
import http.client
import io
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter

from agentkit.errors import FetchError
from agentkit.net.charset import content_type_of, decode
from agentkit.net.url_guard import PORTS, AllowList, Deadline, Guard, Resolver, Target, shown_url, system_resolver

REDIRECTS = (301, 302, 303, 307, 308)
PIECE = 65_536
"""Bytes that are decompressed at a time."""
LATE = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
UNPACKED = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that are read: those asked for, and none."""
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|session|credential|password", re.IGNORECASE)
"""Names of headers that another site must not see."""


@dataclass(frozen=True)
class Page:
    """What was fetched.

    url: the final address. content_type: media type in lower case, without parameters, "" when none was told.
    charset: from the header, if any. content: the body's bytes, decompressed. truncated: whether it was cut.
    """

    url: str
    status: int
    content_type: str
    charset: str | None
    content: bytes = field(repr=False)
    truncated: bool = False

    @property
    def text(self) -> str:
        """The body as text: by its byte order mark, the header, what the document says of itself, or as it looks."""
        return decode(self.content, self.charset)


def fetch(
    url: str,
    *,
    timeout: float = 20.0,
    max_bytes: int = 10_000_000,
    max_redirects: int = 5,
    allow: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    truncate: bool = False,
    resolver: Resolver | None = None,
) -> Page:
    """GET a page.

    timeout: seconds for everything, redirects and a slow body included. max_bytes: of the body, decompressed;
    truncate: cut a longer one instead of refusing it. allow: hosts that may be asked although they are not public:
    "host", "host:port", an address or a network ("10.0.0.0/8"). resolver: instead of the system's DNS.

    Raises BlockedAddressError when the address, or that of a redirect, is not public; FetchError for everything
    else that goes wrong. Both say it in a sentence that a model can act on.
    """
    deadline = Deadline(timeout)
    guard = Guard(AllowList(allow), resolver or system_resolver, deadline)
    sent = {"User-Agent": _user_agent(), "Accept": "*/*", "Accept-Encoding": "gzip, deflate"} | dict(headers or {})
    target = guard.checked(url)
    for _ in range(max_redirects + 1):
        with _Hop(target, sent, deadline) as hop:
            onward = hop.redirect()
            if onward is None:
                return hop.page(max_bytes, truncate)
        with _blamed_on(url):
            following = guard.checked(onward)
        if following.origin != target.origin:
            sent = {name: value for name, value in sent.items() if not SECRET_HEADER.search(name)}
        target = following
    raise FetchError(
        f"{shown_url(url)} was not fetched: more than {max_redirects} redirects, the last to {target.shown}"
    )


@functools.cache
def _user_agent() -> str:
    from importlib import metadata  # slow to load, and of use here only

    try:
        version = metadata.version("agentkit-loop")
    except metadata.PackageNotFoundError:  # run from its sources
        version = "0"
    return f"agentkit/{version} (+python-requests)"


@contextlib.contextmanager
def _blamed_on(url: str) -> Iterator[None]:
    """Whoever asked for one address and is told of another learns how the two belong together."""
    try:
        yield
    except FetchError as error:
        raise type(error)(f"{error} ({shown_url(url)} redirects there)") from None


class _Hop:
    """One request, to one of the checked addresses, until the deadline."""

    def __init__(self, target: Target, headers: Mapping[str, str], deadline: Deadline) -> None:
        self._target = target
        self._headers = headers
        self._deadline = deadline
        self._session = _Session(self)
        self._handle: socket.socket | None = None
        self._response: requests.Response | None = None
        self._expired = False

    def __enter__(self) -> "_Hop":
        try:
            with self._told():
                left = self._deadline.left()
                self._watch = threading.Timer(left, self._expire)
                self._watch.daemon = True
                self._watch.start()
                self._response = self._session.get(
                    self._target.url, headers=self._headers, stream=True, allow_redirects=False, timeout=left
                )
                self._check_time()  # headers that were cut off look like headers that end
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_watch"):
            self._watch.cancel()
        if self._response is not None:
            self._response.close()
        self._session.close()
        if self._handle is not None:
            self._handle.close()

    def redirect(self) -> str | None:
        """Where the answer sends us on to, if it does. Raises FetchError when that is nothing like a URL."""
        response = self._answered()
        location = response.headers.get("location")
        if response.status_code not in REDIRECTS or not location:
            return None
        with contextlib.suppress(UnicodeError):
            location = location.encode("latin-1").decode("utf-8")
        try:
            return urljoin(self._target.url, location.strip().replace(" ", "%20"))
        except ValueError:
            raise FetchError(
                f"{self._target.shown} was not fetched: it redirects to '{shown_url(location)}', which is no URL"
            ) from None

    def page(self, max_bytes: int, truncate: bool) -> Page:
        """The page, its body read up to the cap. Raises FetchError when it is an error page, broken or too long."""
        response = self._answered()
        status = response.status_code
        if status >= 400:
            raise FetchError(f"{self._target.shown} answered {status} {_phrase(status)}".rstrip())
        packed = response.headers.get("content-encoding", "")
        if any(each.strip().lower() not in UNPACKED for each in packed.split(",")):
            raise FetchError(
                f"{self._target.shown} was not fetched: it is compressed as '{shown_url(packed)}', which "
                "was not asked for"
            )
        content, whole = self._body(response, max_bytes)
        if not whole and not truncate:
            raise FetchError(f"{self._target.shown} was not fetched: it is larger than {max_bytes:,} bytes")
        kind, charset = content_type_of(response.headers.get("content-type", ""))
        return Page(self._target.url, status, kind, charset, content, truncated=not whole)

    def _answered(self) -> requests.Response:
        assert self._response is not None, "a hop is used inside its with block"
        return self._response

    def _body(self, response: requests.Response, max_bytes: int) -> tuple[bytes, bool]:
        """The body decompressed, and whether that is all of it."""
        content = bytearray()
        with self._told():
            for piece in response.raw.stream(PIECE, decode_content=True):
                content += piece
                if len(content) > max_bytes:
                    return bytes(content[:max_bytes]), False
                self._check_time()
            self._check_time()  # a connection that is shut down can look like the end of a body
        return bytes(content), True

    def _check_time(self) -> None:
        if self._expired:
            raise TimeoutError
        self._deadline.left()

    def _expire(self) -> None:
        """Time is up: whatever waits for this server, byte by byte perhaps, sees its connection end."""
        self._expired = True
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def dial(self) -> socket.socket:
        """Connect to the first checked address that answers. The time left is shared among those not yet tried.

        Asks no DNS: the addresses are numbers. Raises OSError.
        """
        addresses, failure = self._target.addresses, OSError("no address")
        for tried, address in enumerate(addresses):
            try:
                seconds = self._deadline.left() / (len(addresses) - tried)
                return self._watched(socket.create_connection((str(address), self._target.port), seconds))
            except OSError as error:
                failure = error
        raise failure

    def _watched(self, connection: socket.socket) -> socket.socket:
        """The connection, set up so that the watch can end it."""
        self._handle = connection.dup()  # a handle of our own: TLS takes the socket itself over
        if self._expired:  # the watch came before there was anything to end
            connection.close()
            raise TimeoutError
        connection.settimeout(self._deadline.left())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong on the wire, in a sentence."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if self._expired or any(isinstance(cause, LATE) for cause in _causes(error)):
                why = f"it took longer than {self._deadline.seconds:g} seconds"
            else:
                why = _reason(error, self._target.port, connected=self._handle is not None)
            raise FetchError(f"{self._target.shown} was not fetched: {why}") from None


def _reason(error: BaseException, port: int, *, connected: bool) -> str:
    """Why a request came to nothing, for somebody who knows no Python."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not valid ({cause.verify_message.rstrip('.')})"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"port {port} of the server does not speak TLS as it should"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"the server can't be reached: nothing listens at port {port}"
    if not connected:
        return "the server can't be reached"
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return "its compressed body is damaged"
    return "the server's answer broke off or is not HTTP"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _phrase(status: int) -> str:
    """What a status means. Not in the server's words: those would reach a model as if they were ours."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class _Session(requests.Session):
    """A session for one request, which neither the environment nor the answer leads elsewhere."""

    def __init__(self, hop: _Hop) -> None:
        super().__init__()
        self.trust_env = False  # a proxy or a .netrc would send it elsewhere, or send a password along
        for scheme in PORTS:
            self.mount(f"{scheme}://", _PinnedAdapter(hop))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: told of a redirect, requests reads its whole body, however long, even if it shall not follow."""
        return None


class _PinnedAdapter(HTTPAdapter):
    """Pins each new connection to the checked addresses of a hop; Host, SNI and certificate check keep the name.

    By the instance and not by a class of our own, so that vcrpy, which replaces the classes, records these too.
    """

    def __init__(self, hop: _Hop) -> None:
        self._hop = hop
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        dial = self._hop.dial

        class Pool(urllib3.HTTPConnectionPool):
            def _new_conn(self) -> Any:
                return _pinned(super()._new_conn(), dial)

        class PoolTLS(urllib3.HTTPSConnectionPool):
            def _new_conn(self) -> Any:
                return _pinned(super()._new_conn(), dial)

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": PoolTLS}


def _pinned(connection: Any, dial: Callable[[], socket.socket]) -> Any:
    """The same connection, which will ask no DNS, and read its answer in bounded pieces."""
    connection._new_conn = dial
    connection.response_class = _Answer
    return connection


class _Answer(http.client.HTTPResponse):
    """An answer of which nothing is read but in pieces of a bounded size."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _Bounded(self.fp.detach())


class _Bounded(io.BufferedReader):
    """What a server sends. Lines have an end, and "all there is" is never asked for: a chunk whose length is given
    as -1 would be read as that, into memory and past the cap."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise OSError("a chunk of no length")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(PIECE + 1 if size is None or size < 0 else size)
