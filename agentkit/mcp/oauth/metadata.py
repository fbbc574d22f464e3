"""What an MCP server and its authorization server say of themselves (RFC 9728, RFC 8414, OpenID Connect Discovery)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth.asking import Asking, failure, secured
from agentkit.net.url_guard import shown_url

MAX_CHALLENGE = 4_000
"""Characters of a WWW-Authenticate header that are read."""

MAX_ISSUERS = 2
"""How many issuers are asked for their metadata: the one that is named, and the one that it names."""
TENANT = "{tenantid}"

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
    """What an authorization server says. issuer: as its metadata writes it. authorization_endpoint: "" where nobody can
    log in, as at one for services alone (RFC 8414). challenges: its methods of PKCE; None when it does not say."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    takes_client_urls: bool = False
    names_issuer: bool = False
    challenges: tuple[str, ...] | None = ("S256",)

    def check_logins(self, by_hand: bool) -> None:
        """Raise MCPError where nobody can log in, or not with S256 of PKCE. by_hand: whether the client was registered
        by hand: who did that knows the server, and several that do support it, such as Entra and Cognito, don't say
        so."""
        if not self.authorization_endpoint:
            raise failure(
                f"the authorization server {self.issuer} has no authorization_endpoint: nobody can log in there"
            )
        if "S256" in (self.challenges or ()) or (self.challenges is None and by_hand):
            return
        advice = (
            ""
            if self.challenges is not None
            else (
                " (it does not mention it: if it does, as Entra and Cognito do, register a client there by hand, and "
                "give client_id= to OAuth, or --client-id)"
            )
        )
        raise failure(
            f"the authorization server {self.issuer} does not support PKCE with S256, which MCP asks for{advice}"
        )

    def is_named(self, issuer: str) -> bool:
        """Whether this is its issuer, as it is named elsewhere."""
        return _is_described_by(self.issuer, issuer)


def resource_of(
    url: str, challenge: Challenge, asking: Asking, wanted: str | None = None, named: str | None = None
) -> Resource:
    """Find out who authorizes requests to an MCP server. wanted: the authorization server that has to; None: the first
    one that the server names. named: the one that the program has named, which counts where the server says nothing.
    Raises MCPError for a server that names another resource, or none that can be used."""
    origin, path = _split(url)
    places = [asking.check(challenge.metadata, "resource_metadata")] if challenge.metadata else []
    places = places or [f"{origin}/.well-known/oauth-protected-resource{each}" for each in dict.fromkeys((path, ""))]
    found = next((each for each in map(asking.get, places) if each is not None), None)
    if found is None:  # before 2025-06-18 the server was its own; one behind a gateway may say nothing
        issuer = _chosen([origin], wanted) if named is None else asking.check(named, "issuer=")
        return Resource(url, issuer, is_described=False)
    identifier, issuers = found.get("resource"), found.get("authorization_servers")
    issuers = issuers if isinstance(issuers, list) else []
    if not isinstance(identifier, str) or not covers(identifier, url):
        raise failure("the server's metadata is for another resource: no token is sent to it")
    told = [secured(each, url) if isinstance(each, str) else each for each in issuers]
    issuer = asking.check(_chosen(told or [origin], wanted), "the authorization server")
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
    """Find what an authorization server says; where that is about another issuer, what this one says of itself at its
    own address, to which the MCP server might as well have led. Raises MCPError when it says nothing, or is about
    another one once more."""
    issuer, named_by = resource.issuer, ""
    for _ in range(MAX_ISSUERS):
        place, found = _described(issuer, asking, named_by)
        if found is None:
            break
        said = found.get("issuer")
        if isinstance(said, str) and _is_described_by(secured(said, url), issuer):
            return _server(found, said, asking)
        named_by = f"the metadata at {place} is of another authorization server"
        issuer = asking.check(said, f"{named_by}, which")
    origin = _split(url)[0]
    if not named_by and is_same_issuer(issuer, origin):  # as of 2025-03-26
        return AuthorizationServer(origin, f"{origin}/authorize", f"{origin}/token", f"{origin}/register")
    raise failure(
        f"{named_by}, {shown_url(issuer)}" if named_by else f"the authorization server {issuer} has no metadata"
    )


def _described(issuer: str, asking: Asking, named_by: str) -> tuple[str, Mapping[str, Any] | None]:
    """The metadata of an issuer and where it was found; None where there is none. named_by: for the message, where
    another server has named it."""
    try:
        described = ((place, asking.get(place)) for place in _places(issuer))
        return next(((place, found) for place, found in described if found is not None), ("", None))
    except MCPError as error:
        if not named_by:
            raise
        raise failure(f"{named_by}, {shown_url(issuer)}: {error}") from None


def _is_described_by(said: str, issuer: str) -> bool:
    """Whether metadata is that of an issuer. said: the issuer in it. That of Entra for several tenants has a
    placeholder in the place of a tenant."""
    if is_same_issuer(said, issuer):
        return True
    (own, path), (asked, below) = _split(said), _split(issuer)
    steps = list(zip(path.split("/"), below.split("/"), strict=False))
    is_as_long = path.count("/") == below.count("/")
    return own == asked and is_as_long and all(one in (other, TENANT) for one, other in steps)


def _server(found: Mapping[str, Any], issuer: str, asking: Asking) -> AuthorizationServer:
    registration, entrance = found.get("registration_endpoint"), found.get("authorization_endpoint")
    return AuthorizationServer(
        issuer,
        "" if entrance is None else asking.check(entrance, "authorization_endpoint"),
        asking.check(found.get("token_endpoint"), "token_endpoint"),
        None if registration is None else asking.check(registration, "registration_endpoint"),
        _texts(found.get("scopes_supported")) or (),
        _texts(found.get("token_endpoint_auth_methods_supported")) or (),
        found.get("client_id_metadata_document_supported") is True,
        found.get("authorization_response_iss_parameter_supported") is True,
        _texts(found.get("code_challenge_methods_supported")),
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
