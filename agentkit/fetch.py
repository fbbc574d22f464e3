"""The guarded GET: the one place that opens an address which a user, a page or a model has named.

Only http and https, only public addresses, checked after DNS and at every redirect; the connection goes to the very
address that was checked, so that a second DNS answer changes nothing. Bytes, seconds and redirects are capped.

Which addresses are public: the IANA special-purpose registries (RFC 6890 and its updates), read strictly. How hosts
are read: the WHATWG URL standard's host parser, so that 0x7f.1 is the address it is to a browser.
"""

import contextlib
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urljoin, urlsplit

import idna
import requests
import urllib3
from requests.adapters import HTTPAdapter

from agentkit.errors import BlockedAddressError, FetchError
from agentkit.workers import WORKERS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port -> all its addresses, as text."""

USER_AGENT = "agentkit (+python-requests)"
REDIRECTS = (301, 302, 303, 307, 308)
PIECE = 65_536
"""Bytes that are decompressed at a time."""

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
    "localhost",
    "local",
    "internal",
    "lan",
    "home",
    "corp",
    "intranet",
    "private",
    "localdomain",
    "home.arpa",
)
"""Names below these are never public (RFC 6761, RFC 6762, RFC 8375, and what offices use)."""

INNER_NAMES = ("metadata.goog",)


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
    deadline = time.monotonic() + timeout
    allowed = _Allowed(allow)
    sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"} | dict(headers or {})
    for _ in range(max_redirects + 1):
        target = _checked(url, allowed, resolver or _system_resolver, deadline)
        with _Hop(target, sent, deadline, timeout) as hop:
            onward = hop.redirect()
            if onward is None:
                return hop.page(max_bytes, truncate)
        if _origin(onward) != _origin(url):
            sent = {name: value for name, value in sent.items() if name.lower() not in ("authorization", "cookie")}
        url = onward
    raise FetchError(f"{_shown(url)} was not fetched: more than {max_redirects} redirects")


def check_url(url: str, *, allow: Iterable[str] = (), resolver: Resolver | None = None) -> list[str]:
    """The addresses that `fetch` would connect to, without connecting. Raises as `fetch` does."""
    target = _checked(url, _Allowed(allow), resolver or _system_resolver, time.monotonic() + 20)
    return [str(address) for address in target.addresses]


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
        standard = {"http": 80, "https": 443}[self.scheme]
        port = "" if self.port == standard else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.rest or '/'}"


_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::([0-9]*))?")
_NAMED = re.compile(r"([^:\[\]]+)(?::([0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def _checked(url: str, allowed: "_Allowed", resolver: Resolver, deadline: float) -> _Target:
    scheme, host, port, rest = _taken_apart(url)
    address = _as_address(host, url)
    if address is not None:
        host = str(address)
        addresses = [address]
    elif not allowed.names(host, port) and _is_inner(host):
        raise BlockedAddressError(f"{_shown(url)} is not fetched: {host} is a name of an inner network")
    else:
        addresses = _resolved(host, port, resolver, deadline, url)
    for each in addresses:
        if not (is_public(each) or allowed.names(host, port) or allowed.holds(each, port)):
            raise BlockedAddressError(f"{_shown(url)} is not fetched: its address {each} is not public")
    return _Target(scheme, host, port, rest, tuple(addresses))


def _taken_apart(url: str) -> tuple[str, str, int, str]:
    """Scheme, host in ASCII, port and the rest. Stricter than any parser, so that no two can read it differently."""
    if not isinstance(url, str):
        raise FetchError(f"{url!r} is not fetched: a URL is a text that begins with http:// or https://")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise BlockedAddressError(
            f"{_shown(url)} is not fetched: a URL has no spaces, control characters or backslashes"
        )
    parts = _URL.fullmatch(url)
    if parts is None:
        raise BlockedAddressError(f"{_shown(url)} is not fetched: only http:// and https:// are")
    scheme, authority, rest = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise BlockedAddressError(f"{_shown(url)} is not fetched: it has a user name in it")
    named = _BRACKETED.fullmatch(authority) or _NAMED.fullmatch(authority)
    if named is None:
        raise BlockedAddressError(f"{_shown(url)} is not fetched: {authority!r} is no host and port")
    port = int(named[2]) if named[2] else {"http": 80, "https": 443}[scheme]
    if not 0 < port < 65536:
        raise BlockedAddressError(f"{_shown(url)} is not fetched: there is no port {port}")
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
        raise BlockedAddressError(f"{_shown(url)} is not fetched: {host!r} is no host name")
    return name


def _as_address(host: str, url: str) -> Address | None:
    """The address a host is written as, in any notation that some program reads; None when it is a name."""
    if ":" in host:
        with contextlib.suppress(ValueError):
            return ipaddress.IPv6Address(host)
        raise BlockedAddressError(f"{_shown(url)} is not fetched: {host!r} is no IPv6 address")
    if not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        return None
    value = _ipv4_number(host.split("."))
    if value is None:
        raise BlockedAddressError(f"{_shown(url)} is not fetched: {host!r} is no IPv4 address")
    return ipaddress.IPv4Address(value)


def _ipv4_number(parts: Sequence[str]) -> int | None:
    """One to four numbers, decimal, octal (0...) or hexadecimal (0x...), the last filling what is left."""
    if len(parts) > 4:
        return None
    numbers = []
    for part in parts:
        base = 16 if part.startswith("0x") else 8 if part.startswith("0") and part != "0" else 10
        try:
            numbers.append(int(part.removeprefix("0x") or "0", base))
        except ValueError:
            return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        return None
    return sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last


def _is_inner(host: str) -> bool:
    inner = any(host == suffix or host.endswith(f".{suffix}") for suffix in INNER_SUFFIXES)
    return "." not in host or inner or host in INNER_NAMES


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


def _resolved(host: str, port: int, resolver: Resolver, deadline: float, url: str) -> list[Address]:
    """All addresses of a name; DNS knows no time limit, so it is asked in a thread that may be left behind."""
    answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            answers.put(error)

    WORKERS.submit(ask)
    try:
        answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        raise FetchError(f"{_shown(url)} was not fetched: the name {host} was not resolved in time") from None
    if isinstance(answer, Exception) or not answer:
        raise FetchError(f"{_shown(url)} was not fetched: there is no host named {host}")
    return [ipaddress.ip_address(each.partition("%")[0]) for each in answer]


def _system_resolver(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# One request


class _Hop:
    """One request, to one of the checked addresses, until the deadline."""

    def __init__(self, target: _Target, headers: Mapping[str, str], deadline: float, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._deadline = deadline
        self._connections: list[socket.socket] = []
        self._expired = False
        self._watch = threading.Timer(max(0.0, deadline - time.monotonic()), self._expire)
        self._watch.daemon = True
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or a .netrc would send it elsewhere, or send a password along
        self._session.mount(f"{target.scheme}://", _PinnedAdapter(self))
        self._headers = headers

    def __enter__(self) -> "_Hop":
        self._watch.start()
        try:
            with self._told():
                self._response = self._session.get(
                    self._target.url, headers=self._headers, stream=True, allow_redirects=False, timeout=self._left()
                )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        if hasattr(self, "_response"):
            self._response.close()
        self._session.close()
        for connection in self._connections:
            connection.close()

    def redirect(self) -> str | None:
        """Where the answer sends us on to, if it does."""
        location = self._response.headers.get("location")
        if self._response.status_code not in REDIRECTS or not location:
            return None
        with contextlib.suppress(UnicodeError):
            location = location.encode("latin-1").decode("utf-8")
        return urljoin(self._target.url, location)

    def page(self, max_bytes: int, truncate: bool) -> Page:
        """The page, its body read up to the cap."""
        response = self._response
        if response.status_code >= 400:
            raise FetchError(
                f"{_shown(self._target.url)} answered {response.status_code} {response.reason or ''}".strip()
            )
        content, whole = self._body(max_bytes)
        if not whole and not truncate:
            raise FetchError(f"{_shown(self._target.url)} was not fetched: it is larger than {max_bytes:,} bytes")
        kind, charset = _content_type(response.headers.get("content-type", ""))
        return Page(self._target.url, response.status_code, kind, charset, content, truncated=not whole)

    def _body(self, max_bytes: int) -> tuple[bytes, bool]:
        pieces, size = [], 0
        with self._told():
            for piece in self._response.raw.stream(PIECE, decode_content=True):
                self._left()
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    return b"".join(pieces)[:max_bytes], False
            if self._expired:  # a connection that is shut down can look like the end of a body
                raise TimeoutError
        return b"".join(pieces), True

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _expire(self) -> None:
        """Time is up: whatever waits for this server, byte by byte perhaps, sees its connection end."""
        self._expired = True
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def pinned(self, connection: Any) -> Any:
        """The same connection, which will dial the first checked address that answers, whatever DNS says by now;
        Host, SNI and certificate check keep the name. (urllib3 dials `_dns_host`, and only that.)"""
        dial = connection._new_conn

        def dial_checked() -> socket.socket:
            name, failure = connection._dns_host, None
            try:
                for address in self._target.addresses:
                    connection._dns_host = str(address)
                    try:
                        made: socket.socket = dial()
                    except urllib3.exceptions.HTTPError as error:
                        failure = error
                        continue
                    self._connections.append(made.dup())  # a handle of our own: TLS takes the socket itself over
                    return made
            finally:
                connection._dns_host = name
            assert failure is not None
            raise failure

        connection._new_conn = dial_checked
        return connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong on the wire, in a sentence."""
        shown = _shown(self._target.url)
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if self._expired or isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
                raise FetchError(f"{shown} was not fetched: it took longer than {self._timeout:g} seconds") from None
            if isinstance(error, requests.exceptions.SSLError):
                raise FetchError(f"{shown} was not fetched: its TLS certificate is not valid") from None
            if isinstance(error, requests.ConnectionError) and not hasattr(self, "_response"):
                raise FetchError(f"{shown} was not fetched: the server can't be reached") from None
            raise FetchError(f"{shown} was not fetched: the server's answer broke off or is not HTTP") from None


class _PinnedAdapter(HTTPAdapter):
    """Pins each new connection to the checked addresses of a hop.

    By the instance and not by a class of our own, so that vcrpy, which replaces the classes, records these too.
    """

    def __init__(self, hop: _Hop) -> None:
        self._hop = hop
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        hop = self._hop

        class Pool(urllib3.HTTPConnectionPool):
            def _new_conn(self) -> Any:
                return hop.pinned(super()._new_conn())

        class PoolTLS(urllib3.HTTPSConnectionPool):
            def _new_conn(self) -> Any:
                return hop.pinned(super()._new_conn())

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": PoolTLS}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _shown(url: object) -> str:
    """A URL for a message: no user name and password, no control characters, not too long."""
    text = re.sub(r"(?<=//)[^/?#]*@", "", str(url))
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)
    return text if len(text) <= 300 else text[:300] + "…"


# Text


def _content_type(header: str) -> tuple[str, str | None]:
    kind, _, parameters = header.partition(";")
    charset = re.search(r"""charset\s*=\s*["']?([^\s"';]+)""", parameters, re.IGNORECASE)
    return kind.strip().lower(), charset.group(1) if charset else None


_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECLARED = re.compile(
    rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE
)
_READ_AS = {
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
} | {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "euc-kr": "cp949",
    "iso-8859-9": "cp1254",
    "x-sjis": "cp932",
}
"""What browsers read when one of these is named (the WHATWG encoding standard)."""


def decode(content: bytes, charset: str | None = None) -> str:
    """Bytes as text, whatever they are: by byte order mark, `charset`, the document's own word, or their looks."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    declared = _DECLARED.search(content[:2048])
    for name in (charset, declared.group(1).decode("ascii") if declared else None):
        encoding = _READ_AS.get((name or "").lower(), name or "")
        if encoding.lower().startswith("utf-16") and declared and not charset:
            encoding = "utf-8"  # it could not have been read so far
        with contextlib.suppress(LookupError, UnicodeError, ValueError):
            if encoding:
                return content.decode(encoding)
    with contextlib.suppress(UnicodeError):
        return content.decode("utf-8")
    import charset_normalizer

    best = charset_normalizer.from_bytes(content[:100_000]).best()
    return content.decode(best.encoding if best else "utf-8", "replace")
