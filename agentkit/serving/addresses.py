"""Addresses in what clients are told: those inside of a network are for the log only."""

import ipaddress
import re
from urllib.parse import urlsplit

MAX_READ = 4000
"""Characters of a text that are looked at; no more of it is told."""

INSTEAD = "(its address)"

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,15}://[^\s'\"<>(),;|]{1,500}")
_HOST = re.compile(r"(?<![\w.:-])(?:\[[0-9a-fA-F:.]{2,45}\]|\d{1,3}(?:\.\d{1,3}){3}|localhost)(?::\d{1,5})?(?![\w-])")
"""An IP address, or this machine, with a port or not."""

_NAMED = re.compile(r"(?<![\w.-])[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?![\w-])(?::\d{1,5})?")
"""A name with dots, with a port or not."""

_INTERNAL = frozenset(
    ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "svc", "arpa")
)
"""Ends of names that mean something inside of a network only."""


def without_addresses(text: str, url: str = "") -> str:
    """The beginning of a text without addresses inside of a network: IP addresses that are not public, `localhost`,
    names without a dot in URLs, and names such as `llm.internal`. url: another address that is not told, wherever it
    is, with its path; its host is not told alone either."""
    text = text[:MAX_READ]
    parts = _parts(url)
    if parts is not None:
        netloc, host = parts
        server = re.escape(netloc)
        text = re.sub(rf"(?:https?://)?{server}[^\s,;)\"']*", INSTEAD, text, flags=re.IGNORECASE)
        alone = re.escape(host)  # without a dot it may be a word of the text as well
        alone = rf"(?<![\w.-]){alone}(?![\w-])" if "." in host else rf"(?<=host=['\"]){alone}(?=['\"])"
        text = re.sub(alone, INSTEAD, text, flags=re.IGNORECASE)
    text = _URL.sub(lambda found: INSTEAD if _is_internal_url(found[0]) else found[0], text)
    text = _HOST.sub(lambda found: INSTEAD if is_internal(_host_of(found[0])) else found[0], text)
    return _NAMED.sub(lambda found: INSTEAD if is_internal(_host_of(found[0])) else found[0], text)


def is_internal(host: str) -> bool:
    """Whether a host, by its address or name, is inside of a network."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.rpartition(".")[2] in _INTERNAL


def _is_internal_url(url: str) -> bool:
    parts = _parts(url)
    return parts is None or "." not in parts[1].strip("[]") or is_internal(parts[1])


def _parts(url: str) -> tuple[str, str] | None:
    """The host with its port and alone, without credentials; None for what is no URL."""
    try:
        found = urlsplit(url)
        host = found.hostname
    except ValueError:
        return None
    return (found.netloc.rpartition("@")[2], host) if host else None


def _host_of(written: str) -> str:
    host, _, port = written.rpartition(":")
    return host if host and port.isdigit() and not written.endswith("]") else written
