"""Decides which URLs may be fetched: only http and https, only public addresses, checked after DNS resolution.

Public addresses are determined by the IANA special-purpose registries (RFC 6890 and its updates), read strictly. Hosts
are parsed by the WHATWG URL standard, so that 0x7f.1 is the same address as in a browser.
"""

import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import idna

from agentkit._lazy.patterns import pattern
from agentkit._text import cut
from agentkit._threads import WORKERS
from agentkit.errors import BlockedAddressError, FetchError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""Maps a host and port to all addresses of the host, as text."""
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        # IPv4: this network, private, shared, loopback, link-local, IETF, documentation, 6to4 relays, private,
        # benchmarking, documentation, multicast, reserved and broadcast; and Azure's platform address
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        # IPv6, within 2000::/3: IETF protocols with Teredo and ORCHID, documentation
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
"""These names and their subdomains are not public (RFC 6761, RFC 6762, RFC 8375, names common in offices, and names
of clouds' metadata services). A name without a dot is not public either."""


def check_url(url: str, *, allow: Iterable[str] = (), resolver: Resolver | None = None) -> list[str]:
    """Return the addresses that `fetch` would connect to, without connecting. Raises what `fetch` raises."""
    target = Guard(AllowList(allow), resolver or system_resolver, Deadline(20.0)).checked(url)
    return [str(address) for address in target.addresses]


class Deadline:
    """The time at which a fetch is aborted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds, more than 0. Raises TimeoutError when none remain."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True)
class Target:
    """A parsed URL, its host in ASCII, and its checked addresses."""

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
        return shown_url(self.url)

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


PORTS = {"http": 80, "https": 443}
_URL = pattern(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = pattern(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
_BRACKETED = pattern(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::([0-9]{0,5}))?")
_NAMED = pattern(r"([^:\[\]]{1,1000})(?::([0-9]{0,5}))?")
_LABEL = pattern(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = pattern(r"0x[0-9a-f]*|[0-9]+")
_CREDENTIALS = pattern(r"((?>[^/\\?#]*)(?<=:)|)([/\\]*+)[^/?#]*@")


@dataclass(frozen=True)
class Guard:
    """Checks a URL before anything is sent to it."""

    allowed: "AllowList"
    resolver: Resolver
    deadline: Deadline

    def checked(self, url: str) -> Target:
        """Return the URL with its allowed addresses. Raises BlockedAddressError or FetchError."""
        scheme, host, port, rest = _parsed(url)
        named = self.allowed.names(host, port)
        inner = False
        address = _as_address(host, url)
        if address is not None:
            host, addresses = str(address), [address]
        else:
            inner = _is_inner(host) and not named
            if inner and not self.allowed.has_networks(port):  # no DNS answer could make it allowed
                raise _blocked(url, f"{host} is a name of an internal network")
            addresses = _resolved(host, port, self.resolver, self.deadline, url)
        for each in () if named else addresses:
            self._check(each, port, inner, url)
        return Target(scheme, host, port, rest, tuple(addresses))

    def _check(self, address: Address, port: int, inner: bool, url: str) -> None:
        if self.allowed.holds(address, port):
            return
        if inner:
            raise _blocked(url, f"its name is of an internal network, and {address} is not an allowed address")
        if not is_public(address):
            raise _blocked(url, f"its address {address} is not public")


def _blocked(url: object, why: str) -> BlockedAddressError:
    return BlockedAddressError(f"{shown_url(url)} is not fetched: {why}")


def _parsed(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host in ASCII, port and the rest; strict, so that no two URL parsers can disagree about it."""
    if not isinstance(url, str):
        raise FetchError(f"{url!r} is not fetched: a URL must be a string that begins with http:// or https://")
    if _FORBIDDEN.search(url):
        raise _blocked(url, "a URL must not contain spaces, control characters or backslashes")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _blocked(url, "only http:// and https:// URLs are allowed")
    scheme, authority, rest = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise _blocked(url, "it contains a user name")
    named = _BRACKETED.fullmatch(authority) or _NAMED.fullmatch(authority)
    if named is None:
        raise _blocked(url, f"'{shown_url(authority)}' is not a valid host and port")
    port = int(named[2]) if named[2] else PORTS[scheme]
    if not 0 < port < 65536:
        raise _blocked(url, f"port {port} is not valid")
    host = named[1] if authority.startswith("[") else _ascii(named[1], url)
    return scheme, host, port, rest if rest.startswith("/") or not rest else f"/{rest}"


def _ascii(host: str, url: str) -> str:
    """Return a host name in ASCII (UTS 46), in lower case and without a trailing dot."""
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        name = ""
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise _blocked(url, f"'{shown_url(host)}' is not a valid host name")
    return name


def _as_address(host: str, url: str) -> Address | None:
    """Return the address a host is written as, in any notation that some program accepts; None for a name."""
    if ":" in host:
        with contextlib.suppress(ValueError):
            return ipaddress.IPv6Address(host)
        raise _blocked(url, f"'{shown_url(host)}' is not a valid IPv6 address")
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    value = _ipv4_number(host.split("."))
    if value is None:
        raise _blocked(url, f"'{shown_url(host)}' is not a valid IPv4 address")
    return ipaddress.IPv4Address(value)


def _ipv4_number(parts: Sequence[str]) -> int | None:
    """Parse one to four numbers, decimal, octal (0...) or hexadecimal (0x...); the last fills the remaining bytes."""
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
    return sum(number << 8 * (3 - index) for index, number in enumerate(first)) + last


def _is_inner(host: str) -> bool:
    return "." not in host or any(f".{host}".endswith(f".{suffix}") for suffix in INNER_SUFFIXES)


def is_public(address: Address) -> bool:
    """Whether an address is public; an IPv6 address with an embedded IPv4 address counts as that one."""
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


class AllowList:
    """The allow-list: names and networks, each optionally with one port."""

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


def _resolved(host: str, port: int, resolver: Resolver, deadline: Deadline, url: str) -> list[Address]:
    """Resolve a name to all its addresses, in a thread that is abandoned at the deadline, since DNS has no timeout."""
    answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(resolver(host, port))
        except Exception as error:  # noqa: BLE001 - reported by the waiting thread
            answers.put(error)

    WORKERS.submit(resolve)
    try:
        answer = answers.get(timeout=deadline.left())
    except (Empty, TimeoutError):
        raise FetchError(f"{shown_url(url)} was not fetched: the name {host} was not resolved in time") from None
    if isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN:
        raise FetchError(f"{shown_url(url)} was not fetched: no name server responds for {host}; try again later")
    if isinstance(answer, Exception) or not answer:
        raise FetchError(f"{shown_url(url)} was not fetched: the host {host} does not exist")
    try:
        return [ipaddress.ip_address(each.partition("%")[0]) for each in answer]
    except ValueError:
        raise FetchError(f"{shown_url(url)} was not fetched: the name {host} resolves to no IP address") from None


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Resolve a host with the system's DNS."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def shown_url(url: object) -> str:
    """Return a URL or a part of one for a message: without credentials and unprintable characters, at most 300 long."""
    text = str(url)
    found = _CREDENTIALS.match(text)
    text = found[1] + found[2] + text[found.end() :] if found else text
    return cut("".join(character if character.isprintable() else "?" for character in text[:301]), 300)
