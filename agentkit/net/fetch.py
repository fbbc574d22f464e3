"""The guarded GET: the only code that opens a URL given by a user, a page or a model.

It allows only http and https and only public addresses, checked after DNS resolution and at every redirect. It connects
to the address that was checked, so that a second DNS answer changes nothing. Bytes, seconds and redirects are limited.
"""

import contextlib
import functools
import http.client
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urljoin

import requests
import urllib3
from requests.cookies import RequestsCookieJar

from agentkit.errors import ConfigurationError, FetchError, StatusError
from agentkit.net.bounded import CHUNK_BYTES
from agentkit.net.charset import decode
from agentkit.net.content_coding import (
    accepted,
    compressions,
    corrected,
    ended_early,
    first_bytes,
    is_readable,
    salvage,
    unpacked,
)
from agentkit.net.error_text import causes_of
from agentkit.net.media_type import content_type_of, read_as
from agentkit.net.outgoing import check_key_log
from agentkit.net.page_cache import Kept, PageCache
from agentkit.net.pinned import PinnedSession
from agentkit.net.refresh import refresh_in, refresh_of
from agentkit.net.url_guard import AllowList, Deadline, Guard, Resolver, Target, shown_url, system_resolver

REDIRECTS = (301, 302, 303, 307, 308)
TIMEOUTS = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
ERROR_BYTES, ERROR_SECONDS = 65_536, 3.0
"""How much of the body of an error is read, and for how long."""
BEGINNING_IS_READABLE = ("text/", "application/json", "application/xml", "application/xhtml", "application/x-ndjson")
"""Media types of which the beginning is worth something without the rest."""
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|session|credential|password", re.IGNORECASE)
"""Matches names of headers that must not be sent to another origin."""


@dataclass(frozen=True)
class Page:
    """A fetched page.

    url: the final URL, after redirects. content_type: media type in lower case, without parameters, as the server
    declares it, or as the first bytes tell where it declares none that says anything; "" when neither does. charset:
    from the Content-Type header, if any. content: the decompressed body. truncated: whether the body was cut at the
    size limit. incomplete: whether the server ended it early, or its compressed body is
    damaged: what comes before the damage is there. headers: of the response, their names in lower case.
    """

    url: str
    status: int
    content_type: str
    charset: str | None
    content: bytes = field(repr=False)
    truncated: bool = False
    incomplete: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The body as text: UTF-8 if it is valid, else by the header, the charset the document declares, or
        detection."""
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
    permit: Callable[[str], None] | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Page:
    """GET a page.

    timeout: total seconds, including redirects and a slow body. max_bytes: maximum size of the decompressed body.
    max_redirects: by status, by a Refresh header and by <meta http-equiv="refresh"> together. Cookies are kept until
    the end of the redirects. truncate: cut a longer body (one that is not text is refused all the same by its
    Content-Length), and return what came of one that the server ended early, instead of raising. allow: hosts that may
    be contacted although they are not public: "host", "host:port", an address or a network ("10.0.0.0/8"). resolver:
    used instead of the system's DNS. permit: called with each URL before it is requested, that of a redirect too; a
    FetchError that it raises ends the fetch. cache: a file in which pages are kept, as HTTP allows, and revalidated;
    not used with `headers`. Needs the extra 'web'.

    Raises BlockedAddressError when the address, or that of a redirect, is not public; StatusError when the server
    answers with an error; FetchError for every other failure. The messages are sentences that a model can act on.
    """
    deadline = Deadline(timeout)
    guard = Guard(AllowList(allow), resolver or system_resolver, deadline)
    sent = {"User-Agent": user_agent(), "Accept": "*/*", "Accept-Encoding": accepted()} | dict(headers or {})
    kept = PageCache(cache) if cache is not None and not headers else None
    request = _Request(max_bytes, truncate, deadline, permit, kept, RequestsCookieJar())
    target = guard.checked(url)
    for _ in range(max_redirects + 1):
        answer = request.answer(target, sent)
        if isinstance(answer, Page):
            return answer
        with _redirected_from(url):
            following = guard.checked(answer)
        if following.origin != target.origin:
            sent = {name: value for name, value in sent.items() if not SECRET_HEADER.search(name)}
        target = following
    raise FetchError(
        f"{shown_url(url)} was not fetched: more than {max_redirects} redirects, the last to {target.shown}"
    )


@dataclass(frozen=True)
class _Request:
    """What holds for every hop of a fetch."""

    max_bytes: int
    truncate: bool
    deadline: Deadline
    permit: Callable[[str], None] | None
    cache: PageCache | None
    cookies: RequestsCookieJar

    def answer(self, target: Target, headers: Mapping[str, str]) -> Page | str:
        """Return the page at an address, or the URL to which it redirects."""
        kept = None if self.cache is None or len(self.cookies) else self.cache.kept(target.url, headers)
        fresh = self._kept_page(target, kept) if kept is not None and kept.is_fresh else None
        page = self._requested(target, headers, kept) if fresh is None else fresh
        if isinstance(page, str):
            return page
        address = refresh_of(page.headers.get("refresh"))
        if address is None and page.content_type in ("text/html", "application/xhtml+xml"):
            address = refresh_in(page.content)
        following = None if address is None else _refreshed(target, address)
        return page if following is None else following

    def _requested(self, target: Target, headers: Mapping[str, str], kept: Kept | None) -> Page | str:
        if self.permit is not None:
            self.permit(target.url)
        conditions = {} if kept is None else kept.conditions
        with _Hop(target, {**headers, **conditions}, self.deadline, self.cookies) as hop:
            location = hop.redirect()
            if location is not None:
                return location
            if hop.status != 304 or kept is None:
                page = hop.page(self.max_bytes, self.truncate)
                if kept is not None and not page.truncated and not page.incomplete:
                    kept.store(page.status, page.headers, page.content)
                return page
            kept.renew(hop.headers)
        renewed = self._kept_page(target, kept)
        return self._requested(target, headers, kept.without_conditions()) if renewed is None else renewed

    def _kept_page(self, target: Target, kept: Kept) -> Page | None:
        """Return the page that is kept; None when it is larger than what is asked for, or was dropped."""
        if kept.content is None or len(kept.content) > self.max_bytes:
            return None
        return _page(target, 200, kept.headers, kept.content)


@functools.cache
def user_agent() -> str:
    """Return what requests to other servers than those of models say of who sends them."""
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


def _page(
    target: Target,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    truncated: bool = False,
    incomplete: bool = False,
) -> Page:
    kind, charset = content_type_of(headers.get("content-type", ""))
    return Page(target.url, status, read_as(kind, content), charset, content, truncated, incomplete, headers)


def _refreshed(target: Target, address: str) -> str | None:
    """Return the URL to which a page refreshes itself; None when it is the page itself, or nothing to fetch."""
    try:
        url = _joined(target, address)
    except FetchError:
        return None
    return url if url.lower().startswith(("http:", "https:")) and url.partition("#")[0] != target.url else None


def _joined(target: Target, location: str) -> str:
    """Return the URL of a redirect. Raises FetchError when it is not valid."""
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(target.url, location.strip().replace(" ", "%20"))
    except ValueError:
        raise FetchError(
            f"{target.shown} was not fetched: it redirects to '{shown_url(location)}', which is not a valid URL"
        ) from None


class _Hop:
    """One request to one of the checked addresses, limited by the deadline."""

    def __init__(
        self, target: Target, headers: Mapping[str, str], deadline: Deadline, cookies: RequestsCookieJar
    ) -> None:
        self._target = target
        self._headers = headers
        self._deadline = deadline
        self._session = PinnedSession(self.dial)
        self._session.cookies = cookies
        self._handle: socket.socket | None = None
        self._response: requests.Response | None = None
        self._expired = False

    def __enter__(self) -> "_Hop":
        try:
            with self._translated_errors():
                left = self._deadline.left()
                self._expire_in(left)
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

    @property
    def status(self) -> int:
        return self._answered().status_code

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response, their names in lower case."""
        return {name.lower(): value for name, value in self._answered().headers.items()}

    def redirect(self) -> str | None:
        """Return the URL the response redirects to, if it does. Raises FetchError when it is not a valid URL."""
        location = self._answered().headers.get("location")
        return _joined(self._target, location) if self.status in REDIRECTS and location else None

    def page(self, max_bytes: int, truncate: bool) -> Page:
        """Return the page, its body read up to the limit. Raises FetchError for an error status or a bad body."""
        status, headers = self.status, self.headers
        names, raw = compressions(headers.get("content-encoding", "")), self._answered().raw
        if names:
            with self._translated_errors():
                first = first_bytes(raw)
            names = corrected(names, first)
        raw.headers["content-encoding"] = ", ".join(names)  # other words would be taken for deflate
        if names:
            salvage(raw, first)
        if status >= 400:
            message = f"{self._target.shown} answered {status} {_phrase(status)}".rstrip()
            raise StatusError(message, status, headers, self._error_body() if is_readable(names) else b"")
        if not is_readable(names):
            raise FetchError(
                f"{self._target.shown} was not fetched: it is compressed as '{shown_url(', '.join(names))}', which "
                "was not requested"
            )
        is_useful = truncate and content_type_of(headers.get("content-type", ""))[0].startswith(BEGINNING_IS_READABLE)
        if _declared_length(headers) > max_bytes and not is_useful:
            raise self._too_large(max_bytes)
        content, truncated, incomplete = self._body(max_bytes, keep=truncate)
        if not names and content_type_of(headers.get("content-type", ""))[0].startswith("text/"):
            content, is_damaged = unpacked(content, max_bytes)
            incomplete = incomplete or is_damaged
            content, truncated = content[:max_bytes], truncated or len(content) > max_bytes
        if truncated and not truncate:
            raise self._too_large(max_bytes)
        return _page(self._target, status, headers, content, truncated=truncated, incomplete=incomplete)

    def _too_large(self, max_bytes: int) -> FetchError:
        return FetchError(f"{self._target.shown} was not fetched: it is larger than {max_bytes:,} bytes")

    def _answered(self) -> requests.Response:
        assert self._response is not None, "a hop must be used inside its with block"
        return self._response

    def _body(self, max_bytes: int, *, keep: bool) -> tuple[bytes, bool, bool]:
        """Return the decompressed body, whether it was cut at the limit, and whether the server ended it early.

        keep: return what came of a body that breaks off, instead of raising.
        """
        content, raw = bytearray(), self._answered().raw
        raw.enforce_content_length = False  # what came would be lost
        try:
            with self._translated_errors():
                truncated = self._read(content, max_bytes)
                if not truncated and raw.length_remaining and not (keep and content):
                    raise http.client.IncompleteRead(b"", raw.length_remaining)
        except FetchError:
            if not (keep and content) or self._expired:
                raise
            return bytes(content), False, True
        is_cut = bool(raw.length_remaining) or (ended_early(raw) and raw.tell() > 0)
        return bytes(content[:max_bytes]), truncated, is_cut and not truncated

    def _read(self, content: bytearray, max_bytes: int) -> bool:
        """Append the decompressed body to `content`; return whether it is longer than the limit."""
        for chunk in self._answered().raw.stream(CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > max_bytes:
                return True
            self._check_time()
        self._check_time()  # a connection that is shut down can look like the end of a body
        return False

    def _error_body(self) -> bytes:
        """Return the beginning of the body of an error, which may tell what kind of error it is."""
        self._timer.cancel()
        content = bytearray()
        with contextlib.suppress(FetchError, TimeoutError), self._translated_errors():
            self._expire_in(min(self._deadline.left(), ERROR_SECONDS))
            self._read(content, ERROR_BYTES)
        return bytes(content[:ERROR_BYTES])

    def _expire_in(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

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
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            if self._expired or any(isinstance(cause, TIMEOUTS) for cause in causes_of(error)):
                why = f"it took longer than {self._deadline.seconds:g} seconds"
            else:
                why = _reason(error, self._target.port, connected=self._handle is not None)
            raise FetchError(f"{self._target.shown} was not fetched: {why}") from None


def _declared_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "").strip()
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _reason(error: BaseException, port: int, *, connected: bool) -> str:
    """Say why a request failed, in terms a reader without Python knowledge understands."""
    causes = list(causes_of(error))
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


def _phrase(status: int) -> str:
    """Return the standard phrase of a status, not the server's own, which is untrusted text."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
