"""The guarded GET: the one place that opens an address which a user, a page or a model has named.

Only http and https, only public addresses, checked after DNS and at every redirect; the connection goes to the very
address that was checked, so that a second DNS answer changes nothing. Bytes, seconds and redirects are capped.

Which addresses are public: the IANA special-purpose registries (RFC 6890 and its updates), read strictly. How hosts
are read: the WHATWG URL standard's host parser, so that 0x7f.1 is the address it is to a browser.
"""

import codecs
import contextlib
import functools
import http.client
import io
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urljoin

import idna
import requests
import urllib3
from requests.adapters import HTTPAdapter

from agentkit._threads import WORKERS
from agentkit.errors import BlockedAddressError, FetchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port -> all its addresses, as text."""

REDIRECTS = (301, 302, 303, 307, 308)
PIECE = 65_536
"""Bytes that are decompressed at a time."""
LATE = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
UNPACKED = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that are read: those asked for, and none."""
SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|session|credential|password", re.IGNORECASE)
"""Names of headers that another site must not see."""

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        # IPv4: this network, private, shared, loopback, link-local, IETF, documentation, 6to4 relays, private,
        # benchmarking, documentation, multicast, reserved and broadcast; and Azure's platform address
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        # IPv6, of what is left of 2000::/3: IETF protocols with Teredo and ORCHID, documentation
        *("2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
ISATAP = (0x00005EFE, 0x02005EFE)

INNER_SUFFIXES = (
    *("localhost", "local", "internal", "lan", "home", "corp", "intranet", "private", "home.arpa"),
    *("localdomain", "localdomain4", "localdomain6"),
    *("metadata.goog", "metadata.tencentyun.com", "metadata.platformequinix.com"),
)
"""These and the names below them are not public (RFC 6761, RFC 6762, RFC 8375, what offices use, and clouds'
names for their metadata services). A name without a dot is not public either."""


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
    deadline = _Deadline(timeout)
    guard = _Guard(_Allowed(allow), resolver or _system_resolver, deadline)
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
    raise FetchError(f"{_shown(url)} was not fetched: more than {max_redirects} redirects, the last to {target.shown}")


def check_url(url: str, *, allow: Iterable[str] = (), resolver: Resolver | None = None) -> list[str]:
    """The addresses that `fetch` would connect to, without connecting. Raises as `fetch` does."""
    target = _Guard(_Allowed(allow), resolver or _system_resolver, _Deadline(20.0)).checked(url)
    return [str(address) for address in target.addresses]


@functools.cache
def _user_agent() -> str:
    from importlib import metadata  # slow to load, and of use here only

    try:
        version = metadata.version("agentkit-loop")
    except metadata.PackageNotFoundError:  # run from its sources
        version = "0"
    return f"agentkit/{version} (+python-requests)"


class _Deadline:
    """The moment at which a fetch has taken long enough."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moment = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, more than 0. Raises TimeoutError when there are none."""
        left = self._moment - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@contextlib.contextmanager
def _blamed_on(url: str) -> Iterator[None]:
    """Whoever asked for one address and is told of another learns how the two belong together."""
    try:
        yield
    except FetchError as error:
        raise type(error)(f"{error} ({_shown(url)} redirects there)") from None


# What a URL names


@dataclass(frozen=True)
class _Target:
    """A URL taken apart, its host in ASCII, and the addresses that were checked."""

    scheme: str
    host: str
    port: int
    rest: str
    addresses: tuple[Address, ...]

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.rest or '/'}"

    @property
    def shown(self) -> str:
        """The URL for a message."""
        return _shown(self.url)

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::([0-9]{0,5}))?")
_NAMED = re.compile(r"([^:\[\]]{1,1000})(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")


@dataclass(frozen=True)
class _Guard:
    """Who decides what may be asked: the verdict on one URL, before anything is sent to it."""

    allowed: "_Allowed"
    resolver: Resolver
    deadline: _Deadline

    def checked(self, url: str) -> _Target:
        """The URL with its addresses, each of which may be asked. Raises BlockedAddressError or FetchError."""
        scheme, host, port, rest = _taken_apart(url)
        named = self.allowed.names(host, port)
        inner = False
        address = _as_address(host, url)
        if address is not None:
            host, addresses = str(address), [address]
        else:
            inner = _is_inner(host) and not named
            if inner and not self.allowed.has_networks(port):  # what DNS says would change nothing
                raise _blocked(url, f"{host} is a name of an inner network")
            addresses = _resolved(host, port, self.resolver, self.deadline, url)
        for each in () if named else addresses:
            self._check(each, port, inner, url)
        return _Target(scheme, host, port, rest, tuple(addresses))

    def _check(self, address: Address, port: int, inner: bool, url: str) -> None:
        if self.allowed.holds(address, port):
            return
        if inner:
            raise _blocked(url, f"it is named as a host of an inner network, and {address} is not an allowed address")
        if not is_public(address):
            raise _blocked(url, f"its address {address} is not public")


def _blocked(url: object, why: str) -> BlockedAddressError:
    return BlockedAddressError(f"{_shown(url)} is not fetched: {why}")


def _taken_apart(url: str) -> tuple[str, str, int, str]:
    """Scheme, host in ASCII, port and the rest. Stricter than any parser, so that no two can read it differently."""
    if not isinstance(url, str):
        raise FetchError(f"{url!r} is not fetched: a URL is a text that begins with http:// or https://")
    if _FORBIDDEN.search(url):
        raise _blocked(url, "a URL has no spaces, control characters or backslashes")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _blocked(url, "only http:// and https:// are")
    scheme, authority, rest = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise _blocked(url, "it has a user name in it")
    named = _BRACKETED.fullmatch(authority) or _NAMED.fullmatch(authority)
    if named is None:
        raise _blocked(url, f"'{_shown(authority)}' is no host and port")
    port = int(named[2]) if named[2] else PORTS[scheme]
    if not 0 < port < 65536:
        raise _blocked(url, f"there is no port {port}")
    host = named[1] if authority.startswith("[") else _ascii(named[1], url)
    return scheme, host, port, rest if rest.startswith("/") or not rest else f"/{rest}"


def _ascii(host: str, url: str) -> str:
    """A host as DNS knows it (UTS 46), without the dot at its end."""
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        name = ""
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise _blocked(url, f"'{_shown(host)}' is no host name")
    return name


def _as_address(host: str, url: str) -> Address | None:
    """The address a host is written as, in any notation that some program reads; None when it is a name."""
    if ":" in host:
        with contextlib.suppress(ValueError):
            return ipaddress.IPv6Address(host)
        raise _blocked(url, f"'{_shown(host)}' is no IPv6 address")
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    value = _ipv4_number(host.split("."))
    if value is None:
        raise _blocked(url, f"'{_shown(host)}' is no IPv4 address")
    return ipaddress.IPv4Address(value)


def _ipv4_number(parts: Sequence[str]) -> int | None:
    """One to four numbers, decimal, octal (0...) or hexadecimal (0x...), the last filling what is left."""
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = []
    for part in parts:
        base = 16 if part.startswith("0x") else 8 if part.startswith("0") and part != "0" else 10
        try:
            numbers.append(int(part.removeprefix("0x") or "0", base))
        except ValueError:  # an 8 or 9 among octal digits
            return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        return None
    return sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last


def _is_inner(host: str) -> bool:
    return "." not in host or any(f".{host}".endswith(f".{suffix}") for suffix in INNER_SUFFIXES)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may be there; addresses that carry an IPv4 address count as that one."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC)
    value = int(address)
    if address in MAPPED or address in NAT64:
        return is_public(ipaddress.IPv4Address(value & 0xFFFFFFFF))
    if address not in GLOBAL_UNICAST or any(address in network for network in NOT_PUBLIC):
        return False
    if address in SIX_TO_FOUR:
        return is_public(ipaddress.IPv4Address(value >> 80 & 0xFFFFFFFF))
    if value >> 32 & 0xFFFFFFFF in ISATAP:
        return is_public(ipaddress.IPv4Address(value & 0xFFFFFFFF))
    return True


class _Allowed:
    """The allow-list: names, and networks, each perhaps with one port."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[Network, int | None]] = []
        for entry in [entries] if isinstance(entries, str) else entries:
            host, port = self._split(entry.strip().lower())
            try:
                self._networks.append((ipaddress.ip_network(host.strip("[]"), strict=False), port))
            except ValueError:
                self._names.add((host.removesuffix("."), port))

    def has_networks(self, port: int) -> bool:
        """Whether some address is allowed at this port."""
        return any(only in (None, port) for _, only in self._networks)

    @staticmethod
    def _split(entry: str) -> tuple[str, int | None]:
        host, colon, port = entry.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
            return host, int(port)
        return entry, None

    def names(self, host: str, port: int) -> bool:
        """Whether the host itself is listed."""
        return (host, None) in self._names or (host, port) in self._names

    def holds(self, address: Address, port: int) -> bool:
        """Whether the address lies in a listed network."""
        return any(only in (None, port) and address in network for network, only in self._networks)


def _resolved(host: str, port: int, resolver: Resolver, deadline: _Deadline, url: str) -> list[Address]:
    """All addresses of a name; DNS knows no time limit, so it is asked in a thread that may be left behind."""
    answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            answers.put(error)

    WORKERS.submit(ask)
    try:
        answer = answers.get(timeout=deadline.left())
    except (Empty, TimeoutError):
        raise FetchError(f"{_shown(url)} was not fetched: the name {host} was not resolved in time") from None
    if isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN:
        raise FetchError(f"{_shown(url)} was not fetched: no name server answers for {host}; it may later")
    if isinstance(answer, Exception) or not answer:
        raise FetchError(f"{_shown(url)} was not fetched: there is no host named {host}")
    try:
        return [ipaddress.ip_address(each.partition("%")[0]) for each in answer]
    except ValueError:
        raise FetchError(f"{_shown(url)} was not fetched: the name {host} resolves to no IP address") from None


def _system_resolver(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# One request


class _Hop:
    """One request, to one of the checked addresses, until the deadline."""

    def __init__(self, target: _Target, headers: Mapping[str, str], deadline: _Deadline) -> None:
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
                f"{self._target.shown} was not fetched: it redirects to '{_shown(location)}', which is no URL"
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
                f"{self._target.shown} was not fetched: it is compressed as '{_shown(packed)}', which was not asked for"
            )
        content, whole = self._body(response, max_bytes)
        if not whole and not truncate:
            raise FetchError(f"{self._target.shown} was not fetched: it is larger than {max_bytes:,} bytes")
        kind, charset = _content_type(response.headers.get("content-type", ""))
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


def _shown(url: object) -> str:
    """A URL, or a part of one, for a message: no user name and password, nothing unprintable, not too long."""
    text = re.sub(r"^([^/\\?#]*:)?([/\\]*)[^/?#]*@", r"\1\2", str(url))
    text = "".join(character if character.isprintable() else "?" for character in text[:301])
    return text if len(text) <= 300 else text[:300] + "…"


# Text


def _content_type(header: str) -> tuple[str, str | None]:
    kind, _, parameters = header.partition(";")
    charset = re.search(r"""charset\s*=\s*["']?([^\s"';]+)""", parameters, re.IGNORECASE)
    return kind.strip().lower(), charset.group(1) if charset else None


_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECLARED = re.compile(
    rb"""(?:^\s*<\?xml[^>]*?\sencoding|<meta[^>]*?[\s;"']charset)\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""",
    re.IGNORECASE,
)
_LABELS = {
    label: codec
    for codec, labels in (
        ("cp932", ("x-sjis", "windows-31j")),
        ("gb18030", ("x-gbk", "gb_2312-80", "csgb2312")),
        ("big5hkscs", ("x-x-big5", "cn-big5")),
        ("euc_jp", ("x-euc-jp",)),
        ("cp949", ("windows-949",)),
        ("cp874", ("windows-874", "dos-874")),
        ("iso8859-8", ("iso-8859-8-i", "visual", "logical")),
        ("koi8-r", ("koi8", "koi")),
        ("koi8-u", ("koi8-ru",)),
        ("mac-roman", ("x-mac-roman",)),
        ("mac-cyrillic", ("x-mac-cyrillic", "x-mac-ukrainian")),
        ("utf-8", ("unicode-1-1-utf-8", "unicode11utf8", "x-unicode20utf8")),
        ("utf-16-le", ("ucs-2", "unicode", "csunicode")),
        ("utf-16-be", ("unicodefffe",)),
        *((f"cp{number}", (f"x-cp{number}",)) for number in range(1250, 1259)),
    )
    for label in labels
}
"""Names of charsets that Python does not know."""
_READ_AS = {
    part: whole
    for whole, parts in (
        ("cp1252", ("ascii", "iso8859-1")),
        ("cp1254", ("iso8859-9",)),
        ("cp874", ("iso8859-11", "tis-620")),
        ("gb18030", ("gb2312", "gbk")),
        ("big5hkscs", ("big5",)),
        ("cp932", ("shift_jis",)),
        ("cp949", ("euc_kr",)),
        ("utf-16-le", ("utf-16",)),
        ("utf-8", ("utf-8-sig",)),
    )
    for part in parts
}
"""What browsers read when a charset is named: a larger one that it is a part of (the WHATWG encoding standard)."""
_CODECS = frozenset(
    (
        *("utf-8", "utf-16-le", "utf-16-be", "gb18030", "big5hkscs", "cp932", "cp949", "euc_jp", "iso2022_jp"),
        *("cp866", "cp874", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"),
        *(f"cp{number}" for number in range(1250, 1259)),
        *(f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    )
)
"""Python's names of the charsets of the web. Not its other codecs: punycode or utf-7 are no charsets of pages."""


def decode(content: bytes, charset: str | None = None) -> str:
    """Bytes as text, whatever they are: by byte order mark, `charset`, the document's own word, or their looks."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    named = _named(content, charset)
    for encoding in named:
        text = content.decode(encoding, "replace")
        if _mistakes(text) <= 1:  # a page that was cut may end within a character
            return text
    with contextlib.suppress(UnicodeError):
        return content.decode("utf-8")
    return content.decode(named[0] if named else _guessed(content), "replace")


def _named(content: bytes, charset: str | None) -> list[str]:
    """The codecs for the charsets that the header and the document name, as far as there are such."""
    header = _codec(charset)
    declared = _DECLARED.search(content[:2048])
    own = _codec(declared[1].decode("ascii")) if declared else None
    if own is not None and own.startswith("utf-16"):
        own = "utf-8"  # or its name could not have been read
    return [codec for codec in (header, own) if codec is not None]


def _codec(label: str | None) -> str | None:
    """Python's codec for a charset's name, None when the web knows no such charset."""
    name = (label or "").strip().lower()
    if not re.fullmatch(r"[a-z0-9_:.-]{1,40}", name):
        return None
    try:
        found = codecs.lookup(_LABELS.get(name, name)).name
    except (LookupError, ValueError):
        return None
    found = _READ_AS.get(found, found)
    return found if found in _CODECS else None


def _mistakes(text: str) -> float:
    """How many characters in a hundred could not be read; a short text counts as one of a hundred characters."""
    return 100 * text.count("\ufffd") / max(len(text), 100)


def _guessed(content: bytes) -> str:
    """The codec that a text looks to be in. A long UTF-8 page with a mistake or two looks like UTF-8."""
    if _mistakes(content.decode("utf-8", "replace")) < 1 and len(content) > 1000:
        return "utf-8"
    import charset_normalizer

    best = charset_normalizer.from_bytes(content[:20_000]).best()
    return best.encoding if best else "utf-8"
