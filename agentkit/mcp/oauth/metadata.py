"""What an MCP server and its authorization server say of themselves (RFC 9728, RFC 8414, OpenID Connect Discovery)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agentkit.mcp.oauth.asking import Asking, failure, secured
from agentkit.net.url_guard import shown_url

MAX_CHALLENGE = 4_000
"""Characters of a WWW-Authenticate header that are read."""

_PARAMETER = re.compile(r'([A-Za-z_]{1,40})\s{0,9}=\s{0,9}(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Challenge:
    """What a response that asks for authorization says. scope: what is needed; "" when it does not say."""

    scope: str = ""
    error: str = ""
    metadata: str = ""


def challenge_of(header: str) -> Challenge:
    """Read a WWW-Authenticate header."""
    header = header[:MAX_CHALLENGE]
    start = header.lower().find("bearer")
    found: dict[str, str] = {}
    for each in _PARAMETER.finditer(header, start if start >= 0 else len(header)):
        found.setdefault(each[1].lower(), each[2] if each[2] is not None else each[3])
    return Challenge(found.get("scope", ""), found.get("error", ""), found.get("resource_metadata", ""))


@dataclass(frozen=True)
class Resource:
    """What an MCP server says. identifier: its own, as it writes it. issuer: of its authorization server. scopes: None
    when it does not say. is_described: whether it says anything."""

    identifier: str
    issuer: str
    scopes: tuple[str, ...] | None = None
    is_described: bool = True


@dataclass(frozen=True)
class AuthorizationServer:
    """What an authorization server says. issuer: as its metadata writes it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    takes_client_urls: bool = False
    names_issuer: bool = False


def resource_of(url: str, challenge: Challenge, asking: Asking, wanted: str | None = None) -> Resource:
    """Find out who authorizes requests to an MCP server. wanted: the authorization server that has to; None: the first
    one that the server names. Raises MCPError for one that names another resource, or none that can be used."""
    origin, path = _split(url)
    places = [asking.check(challenge.metadata, "resource_metadata")] if challenge.metadata else []
    places = places or [f"{origin}/.well-known/oauth-protected-resource{each}" for each in dict.fromkeys((path, ""))]
    found = next((each for each in map(asking.get, places) if each is not None), None)
    if found is None:  # before 2025-06-18 the server was its own
        return Resource(url, _chosen([origin], wanted), is_described=False)
    identifier, issuers = found.get("resource"), found.get("authorization_servers")
    issuers = issuers if isinstance(issuers, list) else []
    if not isinstance(identifier, str) or not covers(identifier, url):
        raise failure("the server's metadata is for another resource: no token is sent to it")
    named = [secured(each, url) if isinstance(each, str) else each for each in issuers or ()]
    issuer = asking.check(_chosen(named or [origin], wanted), "the authorization server")
    return Resource(identifier, issuer, _texts(found.get("scopes_supported")))


def _chosen(issuers: list[Any], wanted: str | None) -> Any:
    if wanted is None:
        return issuers[0]
    for each in issuers:
        if is_same_issuer(each, wanted):
            return each
    raise failure(f"the server is not authorized by {wanted}, but by {shown_url(issuers[0])}: nothing was sent there")


def is_same_issuer(one: object, other: str) -> bool:
    """Whether two issuers are one: a "/" at the end makes no difference, since both are described at one address, and
    many servers (Google's among them) write it in one place and not in the other."""
    return isinstance(one, str) and one.rstrip("/") == other.rstrip("/")


def authorization_server(resource: Resource, url: str, asking: Asking) -> AuthorizationServer:
    """Find what an authorization server says. Raises MCPError when it says nothing, is another than it is called, or
    does not support PKCE."""
    for place in _places(resource.issuer):
        found = asking.get(place)
        if found is None:
            continue
        issuer = found.get("issuer")
        if not isinstance(issuer, str) or not is_same_issuer(secured(issuer, url), resource.issuer):
            raise failure(f"the metadata at {place} is of another authorization server")
        return _server(found, issuer, asking)
    origin = _split(url)[0]
    if is_same_issuer(resource.issuer, origin):  # as of 2025-03-26
        return AuthorizationServer(origin, f"{origin}/authorize", f"{origin}/token", f"{origin}/register")
    raise failure(f"the authorization server {resource.issuer} has no metadata")


def _server(found: Mapping[str, Any], issuer: str, asking: Asking) -> AuthorizationServer:
    if "S256" not in (_texts(found.get("code_challenge_methods_supported")) or ()):
        raise failure(f"the authorization server {issuer} does not support PKCE with S256, which MCP asks for")
    registration = found.get("registration_endpoint")
    return AuthorizationServer(
        issuer,
        asking.check(found.get("authorization_endpoint"), "authorization_endpoint"),
        asking.check(found.get("token_endpoint"), "token_endpoint"),
        None if registration is None else asking.check(registration, "registration_endpoint"),
        _texts(found.get("scopes_supported")) or (),
        _texts(found.get("token_endpoint_auth_methods_supported")) or (),
        found.get("client_id_metadata_document_supported") is True,
        found.get("authorization_response_iss_parameter_supported") is True,
    )


def _places(issuer: str) -> Iterator[str]:
    origin, path = _split(issuer)
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


def _split(url: str) -> tuple[str, str]:
    """The origin and the path of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.rstrip("/")


def covers(identifier: str, url: str) -> bool:
    """Whether a resource is the server at a URL, or what the server is a part of."""
    try:
        (own, path), (asked, below) = _split(secured(identifier, url)), _split(url)
    except ValueError:
        return False
    return own.lower() == asked.lower() and (below == path or below.startswith(f"{path}/"))


def _texts(value: object) -> tuple[str, ...] | None:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else None
