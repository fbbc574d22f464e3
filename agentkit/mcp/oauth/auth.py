"""`OAuth`: adds a token to each request, and gets one where the server asks for it."""

import threading
from dataclasses import dataclass, replace
from typing import Any

import requests
from requests.auth import AuthBase

from agentkit._forking import freed_by_forks
from agentkit.errors import ConfigurationError
from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth.asking import Asking, failure
from agentkit.mcp.oauth.granting import Opener, Registered, Tokens, authorized, registered, renewed
from agentkit.mcp.oauth.metadata import (
    AuthorizationServer,
    Challenge,
    Resource,
    authorization_server,
    challenge_of,
    resource_of,
)
from agentkit.mcp.oauth.store import Store

MAX_ROUNDS = 2
"""How often a person is asked for one request."""
OFFLINE = "offline_access"


@dataclass(frozen=True)
class _Grant:
    """What is known of one MCP server."""

    resource: Resource
    server: AuthorizationServer
    client: Registered | None = None
    tokens: Tokens | None = None


class OAuth(AuthBase):
    """Authorizes requests to MCP servers with OAuth 2.1: `MCP("https://host/mcp", auth=OAuth(opener=Browser()))`.

    opener: sends a person to the authorization server (`agentkit.mcp.oauth.browser.Browser`); None: nobody is asked,
    stored tokens are used and renewed. client_id, client_secret: of a client that is registered by hand. client_url:
    the URL of a document that describes the client. scope: what is asked for in place of what the server names.
    store: where tokens are kept; None: the user's file.

    Used by several threads, one of which asks while the others wait. What goes wrong is an MCPError with the code 401.
    """

    def __init__(
        self,
        opener: Opener | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        client_url: str | None = None,
        scope: str | None = None,
        store: Store | None = None,
    ) -> None:
        if client_secret is not None and client_id is None:
            raise ConfigurationError("client_secret= needs client_id=")
        if client_url is not None and not client_url.startswith("https://"):
            raise ConfigurationError("client_url= has to be an https URL")
        self._opener, self._client_url, self._scope = opener, client_url, scope
        self._given = None if client_id is None else Registered(client_id, client_secret)
        self._given_for: str | None = None
        self._store = store or Store.of_user()
        self._grants: dict[str, _Grant] = {}
        self._lock = freed_by_forks(threading.Lock())

    def __repr__(self) -> str:
        return "OAuth()"

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process nobody is asked: it has the tokens that are stored."""
        given = self._given or Registered("")
        return _remade, (given.client_id or None, given.client_secret, self._client_url, self._scope, self._store)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        grant = self._grants.get(_server_of(r))
        if grant is not None and grant.tokens is not None:
            r.headers["Authorization"] = f"Bearer {grant.tokens.access_token}"
        r.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return r

    def _answered(self, response: requests.Response, **options: Any) -> requests.Response:
        """Get a token where a response asks for one, and send the request again."""
        for _ in range(MAX_ROUNDS):
            challenge = challenge_of(response.headers.get("WWW-Authenticate", ""))
            needs_more = response.status_code == 403 and challenge.error == "insufficient_scope"
            if (response.status_code != 401 and not needs_more) or (
                needs_more and self._has_asked_for(response, challenge)
            ):
                return response
            request = response.request.copy()
            response.close()
            tokens = self._tokens(request, challenge, needs_more)
            request.headers["Authorization"] = f"Bearer {tokens.access_token}"
            again: requests.Response = response.connection.send(request, **options)
            again.history.append(response)
            again.request = request
            response = again
        return response

    def _has_asked_for(self, response: requests.Response, challenge: Challenge) -> bool:
        """Whether the token was got with the scope that is said to be missing: to ask for it again would not help."""
        grant = self._grants.get(_server_of(response.request))
        asked = set(grant.tokens.scope.split()) if grant is not None and grant.tokens is not None else set()
        return bool(challenge.scope) and set(challenge.scope.split()) <= asked

    def _tokens(self, request: requests.PreparedRequest, challenge: Challenge, needs_more: bool) -> Tokens:
        """Tokens for a request that was refused. Raises MCPError."""
        url = _server_of(request)
        with self._lock:
            known = self._grants.get(url)
            sent = request.headers.get("Authorization")
            if known is not None and known.tokens is not None and sent != f"Bearer {known.tokens.access_token}":
                return known.tokens  # another thread has got them meanwhile
            grant = self._granted(url, challenge, needs_more, known)
            self._grants[url] = grant
        assert grant.tokens is not None
        return grant.tokens

    def _granted(self, url: str, challenge: Challenge, needs_more: bool, known: _Grant | None) -> _Grant:
        asking = Asking(url)
        resource = resource_of(url, challenge, asking)
        server = authorization_server(resource, url, asking)
        grant = _Grant(resource, server)
        old = self._store.tokens(server.issuer, resource.identifier)
        if old is not None and known is None and old.is_fresh and not needs_more:
            return replace(grant, tokens=old)
        if self._opener is None and (old is None or needs_more):
            raise failure("somebody has to log in: give OAuth an opener, such as agentkit.mcp.oauth.browser.Browser()")
        client = self._client(server, asking)
        tokens = None
        if old is not None and old.refresh_token and not needs_more:
            tokens = self._renewed(grant, client, old, asking)
        if tokens is None and self._opener is not None:
            scope = self._scope_for(grant, challenge, old if needs_more else None)
            tokens = authorized(server, client, resource, scope, self._opener, asking)
        if tokens is None:
            raise failure("the stored login is not valid any more: somebody has to log in again")
        self._store.keep_tokens(server.issuer, resource.identifier, tokens)
        return replace(grant, client=client, tokens=tokens)

    def _client(self, server: AuthorizationServer, asking: Asking) -> Registered:
        """The client at an authorization server: what is known to one is not told to another."""
        if self._given is not None:
            if self._given_for not in (None, server.issuer):
                raise failure(f"client_id= is known to {self._given_for}, and not to {server.issuer}")
            self._given_for = server.issuer
            return self._given
        redirect_uri = self._opener.redirect_uri if self._opener is not None else ""
        found = self._store.client(server.issuer, redirect_uri)
        if found is None:
            found = registered(server, self._client_url, redirect_uri, asking)
            self._store.keep_client(server.issuer, redirect_uri, found)
        return found

    @staticmethod
    def _renewed(grant: _Grant, client: Registered, old: Tokens, asking: Asking) -> Tokens | None:
        try:
            return renewed(grant.server, client, grant.resource, old, asking)
        except MCPError:
            return None

    def _scope_for(self, grant: _Grant, challenge: Challenge, old: Tokens | None) -> str:
        """What to ask for: what the server needs, and what was granted before; tokens that can be renewed, where the
        authorization server gives them on demand."""
        named = challenge.scope or " ".join(grant.resource.scopes or ())
        wanted = [*(old.scope.split() if old is not None else ()), *(self._scope or named).split()]
        if OFFLINE in grant.server.scopes:
            wanted.append(OFFLINE)
        return " ".join(dict.fromkeys(wanted))


def _remade(
    client_id: str | None, client_secret: str | None, client_url: str | None, scope: str | None, store: Store
) -> OAuth:
    return OAuth(client_id=client_id, client_secret=client_secret, client_url=client_url, scope=scope, store=store)


def _server_of(request: requests.PreparedRequest) -> str:
    """The URL of the MCP server, without its query."""
    return str(request.url).partition("?")[0]
