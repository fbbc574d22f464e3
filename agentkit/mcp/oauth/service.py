"""`ClientCredentials`: the tokens of a program that is a client by itself, so that nobody has to log in."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from agentkit.errors import ConfigurationError
from agentkit.mcp.oauth.asking import Refused, failure
from agentkit.mcp.oauth.bearer import Authority, Bearer, Need, authority_of
from agentkit.mcp.oauth.granting import Registered, Tokens, granted_to
from agentkit.net.kept_keys import keyless
from agentkit.net.keys import is_secret_name

BACK_OFF = 60.0
"""Seconds for which a client is not shown again to an authorization server that has refused it: many lock one out that
tries a wrong secret again and again."""
AGAIN = 10.0
"""Seconds for which no other token is got in the place of one that the MCP server has refused at once."""
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The kind of an assertion (RFC 7523)."""

Assertion = Callable[[str], str]
"""Returns a signed JWT that says who the client is. It gets the authorization server's issuer, its audience."""


class ClientCredentials(Bearer):
    """Authorizes requests to MCP servers with tokens of the program itself (OAuth's client credentials grant, the MCP
    extension io.modelcontextprotocol/oauth-client-credentials), as services and CI jobs need them:
    `MCP("https://host/mcp", auth=ClientCredentials("id", secret, issuer="https://login.example"))`.

    client_id, client_secret: of a client that was registered by hand for this grant. issuer: the URL of the
    authorization server that knows it, and the only one that gets the secret. assertion: in place of a secret: a
    function that returns a signed JWT for that server (`private_key_jwt`, workload identities). scope: what is asked
    for in place of what the MCP server names, such as "api://.../.default" of Entra. resource: what tokens are for (RFC
    8707), in place of what the MCP server calls itself; "" sends none. parameters: others of the request, such as
    {"audience": ...} of Auth0.

    A token is got when a server asks for one, and kept in memory until it is refused. A client that the authorization
    server refuses is not shown to it again for BACK_OFF seconds.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        issuer: str,
        assertion: Assertion | None = None,
        scope: str | None = None,
        resource: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        if (client_secret is None) == (assertion is None):
            raise ConfigurationError("ClientCredentials: one of client_secret= and assertion=")
        for name, value in (("client_id", client_id), ("client_secret", client_secret), ("issuer", issuer)):
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise ConfigurationError(f"ClientCredentials({name}=...): a text that is not empty")
        if not issuer.startswith(("https://", "http://")):
            raise ConfigurationError("ClientCredentials(issuer=...): the URL of an authorization server")
        self._client = Registered(client_id, client_secret, "" if assertion is None else "private_key_jwt")
        self._issuer, self._assertion = issuer, assertion
        self._scope, self._resource, self._parameters = scope, resource, dict(parameters or {})
        self._refused: dict[str, tuple[float, str]] = {}
        self._got: dict[str, float] = {}

    def __repr__(self) -> str:
        return "ClientCredentials()"

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the secret, which is read from the environment again where it is loaded."""
        secret = self._client.client_secret
        told = keyless(secret, [secret]) if secret else None
        named = self._parameters.items()
        parameters = {name: keyless(value, [value] if is_secret_name(name) else []) for name, value in named}
        options = (self._issuer, self._assertion, self._scope, self._resource, parameters)
        return _remade, (self._client.client_id, told, *options)

    def _granted(self, need: Need) -> Tokens | None:
        authority = authority_of(need, self._issuer, self._issuer)
        old, issuer = self._known.get(need.url), authority.server.issuer
        scope = self._scope_for(need, authority, old)
        is_new = old is not None and not old.has_ended and time.monotonic() - self._got[need.url] < AGAIN
        if is_new and not need.needs_more:
            return None  # what the authorization server grants is not accepted
        if old is not None and need.needs_more and set(scope.split()) <= set(old.scope.split()):
            return None  # it was asked for before, and did not help
        at, said = self._refused.get(issuer, (0.0, ""))
        if said and time.monotonic() - at < BACK_OFF:
            raise failure(f"{said} (it is not asked again within {BACK_OFF:g} s)")
        try:
            tokens = self._asked(authority, scope)
        except Refused as error:
            self._refused[issuer] = time.monotonic(), str(error)
            raise
        self._refused.pop(issuer, None)
        self._got[need.url] = time.monotonic()
        return tokens

    def _asked(self, authority: Authority, scope: str) -> Tokens:
        try:
            return self._sent(authority, scope)
        except Refused as error:
            if error.error != "invalid_scope" or self._scope or not scope:
                raise
            return self._sent(authority, "")  # what the MCP server names may be for people alone

    def _sent(self, authority: Authority, scope: str) -> Tokens:
        resource = authority.resource.identifier if self._resource is None else self._resource
        server, parameters = authority.server, self._parameters | self._proof(authority.server.issuer)
        return granted_to(server, self._client, resource, scope, authority.asking, parameters)

    def _proof(self, issuer: str) -> dict[str, str]:
        """What shows who the client is, where that is no secret. Raises MCPError when the program's function fails."""
        if self._assertion is None:
            return {}
        try:
            made = self._assertion(issuer)
        except Exception as error:
            raise failure(f"assertion= of ClientCredentials has failed: {type(error).__name__}: {error}") from error
        if not isinstance(made, str):
            raise failure(f"assertion= of ClientCredentials has to return a text, not {type(made).__name__}")
        return {"client_assertion_type": JWT_BEARER, "client_assertion": made}

    def _scope_for(self, need: Need, authority: Authority, old: Tokens | None) -> str:
        """What to ask for: the user's scope, or what the server needs; both where that is more than old tokens have."""
        named = need.challenge.scope or " ".join(authority.resource.scopes or ())
        wanted = (self._scope or named).split()
        if need.needs_more and old is not None:
            wanted = [*old.scope.split(), *wanted, *need.challenge.scope.split()]
        return " ".join(dict.fromkeys(wanted))


def _remade(
    client_id: str,
    client_secret: str | None,
    issuer: str,
    assertion: Assertion | None,
    scope: str | None,
    resource: str | None,
    parameters: dict[str, str],
) -> ClientCredentials:
    return ClientCredentials(
        client_id,
        client_secret,
        issuer=issuer,
        assertion=assertion,
        scope=scope,
        resource=resource,
        parameters=parameters,
    )
