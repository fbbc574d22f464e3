"""The address of an API: the one that is given, or the one that its description names."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from agentkit._text import cut
from agentkit.errors import ConfigurationError
from agentkit.net.outgoing import REQUESTS, check_environment
from agentkit.net.url_guard import PORTS, shown_url
from agentkit.openapi.document import Document, UnresolvableError, items, mapping
from agentkit.openapi.swagger import servers_of

MAX_URL = 4000
"""Characters of a server's address."""
_GIVE = "pass base_url='https://...'"


def base_url_of(base_url: str | None, document: Document) -> str:
    """The address before the paths, without a slash at its end. Raises ConfigurationError."""
    if base_url is not None:
        return checked(base_url, f"base_url={shown_url(base_url)!r}")
    declared = servers_of(document) if document.is_swagger else items(document.root.get("servers"))
    if not declared and document.url:
        declared = [{"url": "/"}]  # what it means to name no server
    return _address(declared, document)


def server_of(operation: Mapping[str, Any], item: Mapping[str, Any], base: str, document: Document) -> str:
    """The address of one operation: its own server's, if it has one on the same host. Raises UnresolvableError for one
    on another host, which is not called."""
    declared = items(operation.get("servers")) or items(item.get("servers"))
    if not declared:
        return base
    try:
        own = _address(declared, document)
    except ConfigurationError as error:
        raise UnresolvableError(str(error)) from None
    if origin_of(own) != origin_of(base):
        raise UnresolvableError(f"its server is {shown_url(own)}, another than {shown_url(base)}: {_GIVE} for it")
    return own


def checked(url: Any, what: str) -> str:
    """An address that can be called, in ASCII. Raises ConfigurationError."""
    if not isinstance(url, str) or not re.match(r"https?://[^/\s]", url, re.IGNORECASE) or re.search(r"[\s\\]", url):
        raise ConfigurationError(f"{what} is no address of an API: {_GIVE}")
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
        prepared = requests.PreparedRequest()
        prepared.prepare_url(url, None)
    except (ValueError, requests.RequestException):
        raise ConfigurationError(f"{what} is no valid address: {_GIVE}") from None
    if "@" in parts.netloc:
        raise ConfigurationError(f"{what} has a user name: {_GIVE} without it, and auth=(user, password)")
    if parts.query or parts.fragment or not has_port:
        raise ConfigurationError(f"{what} has more than a host, a port and a path: {_GIVE} without the rest")
    check_environment(url, REQUESTS)
    return str(prepared.url).rstrip("/")


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme.lower(), 0)


def _address(servers: list[Any], document: Document) -> str:
    if not servers:
        raise ConfigurationError(f"{document.origin} names no server: {_GIVE}")
    server = mapping(servers[0])
    url = server.get("url")
    if not isinstance(url, str) or len(url) > MAX_URL:
        raise ConfigurationError(f"the first server of {document.origin} has no url that can be called: {_GIVE}")
    url = _with_defaults(url, mapping(server.get("variables")), document)
    if len(url) > MAX_URL:
        raise ConfigurationError(
            f"the address of the first server of {document.origin} has more than {MAX_URL:,} characters: {_GIVE}"
        )
    if document.url:
        url = urljoin(document.url, url)
    elif not re.match(r"https?://", url, re.IGNORECASE):
        raise ConfigurationError(
            f"the server of {document.origin} is {cut(url, 120)!r}, which is relative to an address that is not known: "
            f"{_GIVE}"
        )
    return checked(url, f"the server of {document.origin}, {shown_url(url)!r},")


def _with_defaults(url: str, variables: Mapping[str, Any], document: Document) -> str:
    """A server's address with the default values of its variables, in which braces mean nothing."""

    def default_of(found: re.Match[str]) -> str:
        name = found[1]
        default = mapping(variables.get(name)).get("default")
        if not isinstance(default, str | int | float):
            raise ConfigurationError(
                f"the server of {document.origin} has a variable {cut(name, 80)!r} without a default value: {_GIVE}"
            )
        return cut(str(default), MAX_URL)

    return re.sub(r"\{([^{}]{1,200})\}", default_of, url)
