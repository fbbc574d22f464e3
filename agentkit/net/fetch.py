"""The guarded GET: the only code that opens a URL given by a user, a page or a model.

It allows only http and https and only public addresses, checked after DNS resolution and at every redirect. It connects
to the address that was checked, so that a second DNS answer changes nothing. Bytes, seconds and redirects are limited.
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

from agentkit.errors import ConfigurationError, FetchError
from agentkit.net.charset import content_type_of, decode
from agentkit.net.outgoing import check_key_log
from agentkit.net.url_guard import PORTS, AllowList, Deadline, Guard, Resolver, Target, shown_url, system_resolver

REDIRECTS = (301, 302, 303, 307, 308)
CHUNK_BYTES = 65_536
"""Maximum number of bytes decompressed at a time."""
TIMEOUTS = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
CONTENT_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Supported content encodings: those requested, and none."""
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|session|credential|password", re.IGNORECASE)
"""Matches names of headers that must not be sent to another origin."""


@dataclass(frozen=True)
class Page:
    """A fetched page.

    url: the final URL, after redirects. content_type: media type in lower case, without parameters; "" when the server
    sent none. charset: from the Content-Type header, if any. content: the decompressed body. truncated: whether the
    body was cut at the size limit.
    """

    url: str
    status: int
    content_type: str
    charset: str | None
    content: bytes = field(repr=False)
    truncated: bool = False

    @property
    def text(self) -> str:
        """The body as text, decoded by byte order mark, the header, the charset the document declares, or detection."""
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

    timeout: total seconds, including redirects and a slow body. max_bytes: maximum size of the decompressed body.
    truncate: cut a longer body instead of raising. allow: hosts that may be contacted although they are not public:
    "host", "host:port", an address or a network ("10.0.0.0/8"). resolver: used instead of the system's DNS.

    Raises BlockedAddressError when the address, or that of a redirect, is not public; FetchError for every other
    failure. Both messages are sentences that a model can act on.
    """
    deadline = Deadline(timeout)
    guard = Guard(AllowList(allow), resolver or system_resolver, deadline)
    sent_headers = {"User-Agent": _user_agent(), "Accept": "*/*", "Accept-Encoding": "gzip, deflate"} | dict(
        headers or {}
    )
    target = guard.checked(url)
    for _ in range(max_redirects + 1):
        with _Hop(target, sent_headers, deadline) as hop:
            location = hop.redirect()
            if location is None:
                return hop.page(max_bytes, truncate)
        with _redirected_from(url):
            following = guard.checked(location)
        if following.origin != target.origin:
            sent_headers = {name: value for name, value in sent_headers.items() if not SECRET_HEADER.search(name)}
        target = following
    raise FetchError(
        f"{shown_url(url)} was not fetched: more than {max_redirects} redirects, the last to {target.shown}"
    )


@functools.cache
def _user_agent() -> str:
    from importlib import metadata  # slow to import, and only used here

    try:
        version = metadata.version("agentkit-loop")
    except metadata.PackageNotFoundError:  # run from a source tree
        version = "0"
    return f"agentkit/{version} (+python-requests)"


@contextlib.contextmanager
def _redirected_from(url: str) -> Iterator[None]:
    """Add the requested URL to the message of an error about the URL it redirects to."""
    try:
        yield
    except FetchError as error:
        raise type(error)(f"{error} ({shown_url(url)} redirects there)") from None


class _Hop:
    """One request to one of the checked addresses, limited by the deadline."""

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
            with self._translated_errors():
                left = self._deadline.left()
                self._timer = threading.Timer(left, self._expire)
                self._timer.daemon = True
                self._timer.start()
                self._response = self._session.get(
                    self._target.url, headers=self._headers, stream=True, allow_redirects=False, timeout=left
                )
                self._check_time()  # a connection shut down within the headers looks like their end
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_timer"):
            self._timer.cancel()
        if self._response is not None:
            self._response.close()
        self._session.close()
        if self._handle is not None:
            self._handle.close()

    def redirect(self) -> str | None:
        """Return the URL the response redirects to, if it does. Raises FetchError when it is not a valid URL."""
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
                f"{self._target.shown} was not fetched: it redirects to '{shown_url(location)}', "
                "which is not a valid URL"
            ) from None

    def page(self, max_bytes: int, truncate: bool) -> Page:
        """Return the page, its body read up to the limit. Raises FetchError for an error status or a bad body."""
        response = self._answered()
        status = response.status_code
        if status >= 400:
            raise FetchError(f"{self._target.shown} answered {status} {_phrase(status)}".rstrip())
        encoding = response.headers.get("content-encoding", "")
        if any(each.strip().lower() not in CONTENT_ENCODINGS for each in encoding.split(",")):
            raise FetchError(
                f"{self._target.shown} was not fetched: it is compressed as '{shown_url(encoding)}', which "
                "was not requested"
            )
        content, is_complete = self._body(response, max_bytes)
        if not is_complete and not truncate:
            raise FetchError(f"{self._target.shown} was not fetched: it is larger than {max_bytes:,} bytes")
        kind, charset = content_type_of(response.headers.get("content-type", ""))
        return Page(self._target.url, status, kind, charset, content, truncated=not is_complete)

    def _answered(self) -> requests.Response:
        assert self._response is not None, "a hop must be used inside its with block"
        return self._response

    def _body(self, response: requests.Response, max_bytes: int) -> tuple[bytes, bool]:
        """Return the decompressed body, and whether it is complete."""
        content = bytearray()
        with self._translated_errors():
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
                content += chunk
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
        """Shut the connection down at the deadline, which wakes a thread that waits for the server."""
        self._expired = True
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def dial(self) -> socket.socket:
        """Connect to the first checked address that accepts. The remaining time is divided among those not yet tried.

        The addresses are numeric, so no DNS lookup is made. Raises OSError.
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
        """Prepare the connection so that the timer can shut it down; return it."""
        self._handle = connection.dup()  # a duplicate, since TLS takes over the socket itself
        if self._expired:  # the timer fired before there was a connection
            connection.close()
            raise TimeoutError
        connection.settimeout(self._deadline.left())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn connection errors into a FetchError with a plain sentence."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if self._expired or any(isinstance(cause, TIMEOUTS) for cause in _causes(error)):
                why = f"it took longer than {self._deadline.seconds:g} seconds"
            else:
                why = _reason(error, self._target.port, connected=self._handle is not None)
            raise FetchError(f"{self._target.shown} was not fetched: {why}") from None


def _reason(error: BaseException, port: int, *, connected: bool) -> str:
    """Say why a request failed, in terms a reader without Python knowledge understands."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not valid ({cause.verify_message.rstrip('.')})"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"port {port} of the server does not speak TLS correctly"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"the server can't be reached: nothing listens on port {port}"
    try:
        check_key_log()
    except ConfigurationError as problem:
        return str(problem)
    if not connected:
        return "the server can't be reached"
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return "its compressed body is damaged"
    return "the server's response was incomplete or is not HTTP"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _phrase(status: int) -> str:
    """Return the standard phrase of a status, not the server's own, which is untrusted text."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


class _Session(requests.Session):
    """A session for one request that ignores proxies of the environment and does not follow redirects."""

    def __init__(self, hop: _Hop) -> None:
        super().__init__()
        self.trust_env = False  # a proxy would redirect the request, a .netrc would add a password
        for scheme in PORTS:
            self.mount(f"{scheme}://", _PinnedAdapter(hop))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: for a redirect, requests would read the whole body, however long, even without following it."""
        return None


class _PinnedAdapter(HTTPAdapter):
    """Pins each new connection to the checked addresses of a hop; Host, SNI and certificate check use the host name.

    It patches connection instances instead of using its own class, so that vcrpy, which replaces the classes, can
    record them.
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
    """Patch a connection to connect without DNS and to read its response in bounded chunks; return it."""
    connection._new_conn = dial
    connection.response_class = _Response
    return connection


class _Response(http.client.HTTPResponse):
    """A response that is only read in chunks of a bounded size."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _Bounded(self.fp.detach())


class _Bounded(io.BufferedReader):
    """A reader with bounded lines that refuses to read to the end.

    Otherwise an HTTP chunk with the length -1 would be read to the end into memory, past the size limit.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise OSError("a chunk of unknown length")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(CHUNK_BYTES + 1 if size is None or size < 0 else size)
