"""How tokens are got: a client that the authorization server knows, the code that a person's browser brings back, the
token for it, or for the client itself."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import parse_qs, parse_qsl, quote_plus, urlencode, urlsplit

from requests.auth import HTTPBasicAuth

from agentkit._text import in_a_line
from agentkit.mcp.oauth.asking import Asking, Refused, failure
from agentkit.mcp.oauth.metadata import AuthorizationServer, Resource
from agentkit.net.keys import is_secret_name

NAME = "agentkit"
EARLY = 30.0
"""A token is renewed this many seconds before it ends."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,100000}")
"""What a header can carry: RFC 6750 allows fewer signs, and not all servers keep to that."""
_DIGITS = re.compile(r"[0-9]{1,12}")
_REFUSES_SCOPE = ("invalid_scope", "invalid_client_metadata", "invalid_request")
"""Errors of a server that may be about the scope alone: it is asked again without one."""
_SECRET = frozenset(("code", "code_verifier", "refresh_token", "client_secret", "client_assertion"))
"""What of a form must not be shown."""
_OTHER_TARGET = " (OAuth(resource=...), or --resource, says what the tokens are for; '' leaves that open)"
_RENEWABLE = {"https://accounts.google.com": {"access_type": "offline", "prompt": "consent"}}
"""What asks for tokens that can be renewed, where no scope does."""


class Opener(Protocol):
    """Sends a person to the authorization server. redirect_uri: where they come back to. It may have a method
    `comes_back_to(redirect_uri)` (`Browser`), which has them come back to another address, for which a client was
    registered before, and returns whether they do."""

    redirect_uri: str

    def __call__(self, url: str) -> str:
        """Open a URL in a browser, and return the URL to which the browser was sent in the end."""
        ...


@dataclass(frozen=True)
class Registered:
    """A client that an authorization server knows. method: how it authenticates at the token endpoint. scope: what it
    was registered for; "" for no limit that is known."""

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    method: str = ""
    scope: str = ""

    def may_ask_for(self, scope: str) -> bool:
        """Whether the authorization server may grant it this scope."""
        return not self.scope or set(scope.split()) <= set(self.scope.split())

    @classmethod
    def of(cls, found: object) -> "Registered | None":
        """The client that was stored; None for what is none."""
        if not isinstance(found, dict) or not isinstance(found.get("client_id"), str):
            return None
        secret = found.get("client_secret")
        method, scope = str(found.get("method") or ""), str(found.get("scope") or "")
        return cls(found["client_id"], secret if isinstance(secret, str) else None, method, scope)


@dataclass(frozen=True)
class Tokens:
    """What an authorization server has granted. scope: what was asked for. ends: seconds since 1970; None: not said.
    client: to which they were given; no other can renew them. granted: the scope that the server says it has granted;
    "" where it does not say. resource: what was sent as `resource` (RFC 8707), "" for nothing; None: what the MCP
    server calls itself."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str = ""
    ends: float | None = None
    client: Registered | None = None
    granted: str = ""
    resource: str | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether it has not ended."""
        return self.ends is None or time.time() < self.ends - EARLY

    @property
    def has_ended(self) -> bool:
        """Whether its time is over."""
        return self.ends is not None and time.time() >= self.ends

    def as_dict(self) -> dict[str, Any]:
        """Its fields, as JSON has them."""
        return asdict(self)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Tokens | None":
        """The tokens that were stored; None for what is none."""
        token, ends, resource = found.get("access_token"), found.get("ends"), found.get("resource")
        if not _is_token(token):
            return None
        return cls(
            str(token),
            _token_or_none(found.get("refresh_token")),
            str(found.get("scope") or ""),
            float(ends) if isinstance(ends, int | float) else None,
            Registered.of(found.get("client")),
            str(found.get("granted") or ""),
            resource if isinstance(resource, str) else None,
        )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and bool(_TOKEN.fullmatch(value))


def _token_or_none(value: object) -> str | None:
    return str(value) if _is_token(value) else None


def registered(
    server: AuthorizationServer, client_url: str | None, redirect_uri: str, asking: Asking, scope: str = ""
) -> Registered:
    """Become known to an authorization server: by the URL of a document about the client, or by registration. scope:
    what is going to be asked for, which some servers grant only to clients that were registered for it. Raises MCPError
    where neither is possible."""
    if client_url is not None and server.takes_client_urls:
        return Registered(client_url, None, "none")
    if server.registration_endpoint is None:
        raise failure(
            f"the authorization server {server.issuer} registers no clients: register one there by hand, and give "
            "client_id= (and client_secret= with issuer=) to OAuth"
        )
    asked = {
        "client_name": NAME,
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": _method(server, has_secret="none" not in server.methods and bool(server.methods)),
    }
    try:
        found = _registration(server, {**asked, "scope": scope} if scope else asked, asking)
    except Refused as error:
        if not scope or error.error not in _REFUSES_SCOPE:
            raise
        scope, found = "", _registration(server, asked, asking)
    client_id, secret, method = (
        found.get(name) for name in ("client_id", "client_secret", "token_endpoint_auth_method")
    )
    if not isinstance(client_id, str) or not client_id or not client_id.isprintable():
        raise failure(f"the authorization server {server.issuer} has registered a client without an id")
    is_usable = isinstance(secret, str) and secret.isprintable()
    return Registered(client_id, secret if is_usable else None, method if isinstance(method, str) else "", scope)


def _registration(server: AuthorizationServer, asked: Mapping[str, Any], asking: Asking) -> Mapping[str, Any]:
    return asking.post(str(server.registration_endpoint), "the client was not registered", json=asked)


def authorized(
    server: AuthorizationServer, client: Registered, resource: str, scope: str, opener: Opener, asking: Asking
) -> Tokens:
    """Have a person agree, and return the tokens. resource: what they are for, "" to leave that open. Raises MCPError
    when they don't, or when what comes back is not from this authorization server."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": opener.redirect_uri,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        **({"resource": resource} if resource else {}),
        **({"scope": scope} if scope else {}),
        **_RENEWABLE.get(server.issuer.rstrip("/"), {}),
    }
    code = _code(opener(_with_parameters(server.authorization_endpoint, asked)), server, state)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": opener.redirect_uri,
        "code_verifier": verifier,
    }
    return _granted(server, client, resource, form, scope, asking)


def renewed(server: AuthorizationServer, client: Registered, resource: Resource, old: Tokens, asking: Asking) -> Tokens:
    """New tokens for the refresh token, which was given to this client. Raises Refused when it is not valid any more,
    MCPError when that is not known."""
    form = {"grant_type": "refresh_token", "refresh_token": old.refresh_token or ""}
    sent = resource.identifier if old.resource is None else old.resource
    wanted = old.granted or old.scope  # without it some servers, such as Entra, give a token for something else
    try:
        found = _granted(server, client, sent, {**form, "scope": wanted} if wanted else form, old.scope, asking)
    except Refused as error:
        if not wanted or error.error not in _REFUSES_SCOPE:
            raise
        found = _granted(server, client, sent, form, old.scope, asking)
    token, granted = found.refresh_token or old.refresh_token, found.granted or old.granted
    return replace(found, refresh_token=token, granted=granted, resource=old.resource)


def granted_to(
    server: AuthorizationServer,
    client: Registered,
    resource: str,
    scope: str,
    asking: Asking,
    parameters: Mapping[str, str],
) -> Tokens:
    """Tokens for a client itself, on behalf of nobody (RFC 6749, 4.4). parameters: further ones of the request. Raises
    Refused, MCPError."""
    form = {**parameters, "grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    return _granted(server, client, resource, form, scope, asking)


def _with_parameters(endpoint: str, asked: Mapping[str, str]) -> str:
    """An address with these parameters, each of them once: the endpoint may have some of its own."""
    parts = urlsplit(endpoint)
    own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in asked]
    return parts._replace(query=urlencode([*own, *asked.items()])).geturl()


def _code(answer: str, server: AuthorizationServer, state: str) -> str:
    """The code in the URL to which the browser was sent."""
    found = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
    if not secrets.compare_digest(found.get("state", "").encode(), state.encode()):
        raise failure("the answer of the browser is to another question (its state is not ours): nothing was done")
    issuer = found.get("iss")
    if (issuer is None and server.names_issuer) or (issuer is not None and not server.is_named(issuer)):
        raise failure(f"the answer of the browser is not from {server.issuer} (iss): nothing was done")
    if "error" in found:
        said = in_a_line(f"{found['error']} {found.get('error_description', '')}".strip(), 300)
        advice = _OTHER_TARGET if found["error"] == "invalid_target" else ""
        raise failure(f"the authorization server {server.issuer} has refused: {said}{advice}")
    if not found.get("code"):
        raise failure("the answer of the browser has no code")
    return found["code"]


def _granted(
    server: AuthorizationServer,
    client: Registered,
    resource: str,
    form: Mapping[str, str],
    scope: str,
    asking: Asking,
) -> Tokens:
    data, auth = {**form, **({"resource": resource} if resource else {})}, None
    method = client.method or _method(server, client.client_secret is not None)
    if method == "client_secret_basic" and client.client_secret:
        auth = HTTPBasicAuth(quote_plus(client.client_id), quote_plus(client.client_secret))
    else:
        data["client_id"] = client.client_id
        if method == "client_secret_post" and client.client_secret:
            data["client_secret"] = client.client_secret
    hidden = tuple(_hidden(data, client))
    found = asking.post(server.token_endpoint, "no token was given", hidden, data=data, auth=auth)
    token, kind = found.get("access_token"), found.get("token_type") or "Bearer"
    if not _is_token(token) or not (isinstance(kind, str) and kind.lower() == "bearer"):
        raise failure(f"the authorization server {server.issuer} has given no bearer token that can be sent")
    seconds, granted = _seconds(found.get("expires_in")), found.get("scope")
    return Tokens(
        str(token),
        _token_or_none(found.get("refresh_token")),
        scope,
        None if seconds is None else time.time() + seconds,
        client,
        granted if isinstance(granted, str) else "",
    )


def _seconds(value: object) -> float | None:
    """A time that a server tells as a number, or as the text of one; None for none."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _hidden(form: Mapping[str, str], client: Registered) -> Iterator[str]:
    """What is sent that must not be shown, in the forms in which it is sent."""
    named = [value for name, value in form.items() if name in _SECRET or is_secret_name(name)]
    values = [*named, client.client_secret or ""]
    for each in values:
        yield from (each, quote_plus(each))
    if client.client_secret:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
        yield base64.b64encode(pair.encode()).decode()


def _method(server: AuthorizationServer, has_secret: bool) -> str:
    """How a client authenticates at the token endpoint."""
    if not has_secret:
        return "none"
    known = ("client_secret_basic", "client_secret_post")
    return next((each for each in server.methods if each in known), known[0])
