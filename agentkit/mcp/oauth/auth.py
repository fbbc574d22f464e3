"""`OAuth`: the tokens of a person who has logged in, and logging in where a server asks for that."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from agentkit._lazy.logs import logger_of
from agentkit.errors import ConfigurationError
from agentkit.mcp.errors import MCPError
from agentkit.mcp.http.sending import Flight, Sender
from agentkit.mcp.oauth.asking import UNAUTHORIZED, Refused, failure
from agentkit.mcp.oauth.bearer import Authority, Bearer, Need, authority_of, check_aborted
from agentkit.mcp.oauth.granting import Opener, Registered, Tokens, authorized, registered, renewed
from agentkit.mcp.oauth.metadata import (
    AuthorizationServer,
    Challenge,
    challenge_of,
)
from agentkit.mcp.oauth.store import Store
from agentkit.net.kept_keys import keyless

logger = logger_of("agentkit")

BACK_OFF = 60.0
"""Seconds for which nobody is asked again after a login that has failed."""
MAX_SCOPE = 200
"""Characters of a scope that are shown."""
OFFLINE = "offline_access"
_FINAL = frozenset(
    (
        *("invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"),
        *("unsupported_grant_type", "invalid_target"),
    )
)
"""Errors (RFC 6749, RFC 8707) of a refresh token that won't be accepted later either."""
_UNKNOWN_CLIENT = frozenset(("invalid_client", "unauthorized_client"))
_PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class _Login:
    """What came of asking a person, at a time (monotonic): an error, or a token."""

    at: float
    error: str
    token: str = ""


class OAuth(Bearer):
    """Authorizes requests to MCP servers with OAuth 2.1: `MCP("https://host/mcp", auth=OAuth(opener=Browser()))`.

    opener: sends a person to the authorization server (`agentkit.mcp.oauth.browser.Browser`); None: nobody is asked,
    stored tokens are used and renewed. client_id, client_secret: of a client that is registered by hand. issuer: the
    authorization server that is used, and no other; needed for a client_secret, which is sent to nobody else.
    client_url: the URL of a document that describes the client. scope: what is asked for in place of what the server
    names; what a call is refused for is asked for in addition. resource: what tokens are for (RFC 8707), in place of
    what the server calls itself; "" sends none, for Entra, which refuses it. store: where tokens are kept; None: the
    user's file.

    A person is asked for calls only, and not within BACK_OFF seconds after a login that has failed.
    """

    def __init__(
        self,
        opener: Opener | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        issuer: str | None = None,
        client_url: str | None = None,
        scope: str | None = None,
        resource: str | None = None,
        store: Store | None = None,
    ) -> None:
        if client_secret is not None and client_id is None:
            raise ConfigurationError("client_secret= needs client_id=")
        if client_secret is not None and issuer is None:
            raise ConfigurationError(
                "client_secret= needs issuer=, the URL of the authorization server that knows the client: an MCP "
                "server could name another one, which would get the secret"
            )
        if client_url is not None and not client_url.startswith("https://"):
            raise ConfigurationError("client_url= has to be an https URL")
        super().__init__()
        self._looked_up: set[str] = set()
        self._opener, self._client_url, self._scope = opener, client_url, scope
        self._issuer, self._named = issuer, issuer
        self._resource = resource
        self._given = None if client_id is None else Registered(client_id, client_secret)
        self._store = store or Store.of_user()
        self._logins: dict[tuple[str, str], _Login] = {}

    def __repr__(self) -> str:
        return "OAuth()"

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process nobody is asked: it has the tokens that are stored."""
        given = self._given or Registered("")
        secret = given.client_secret and keyless(given.client_secret, [given.client_secret])
        options = (given.client_id or None, secret, self._issuer, self._client_url, self._scope, self._resource)
        return _remade, (*options, self._store)

    def _at_hand(self, url: str) -> Tokens | None:
        """The tokens with which requests begin: a server that lets everybody in would not ask for those of a login."""
        known = self._known.get(url)
        if known is None and url not in self._looked_up:
            self._looked_up.add(url)
            with contextlib.suppress(ConfigurationError):
                known = self._store.tokens_at(url, self._issuer)
            if known is not None:
                self._known.setdefault(url, known)
        return known

    def login(self, url: str) -> None:
        """Have a person log in to the MCP server at a URL, whether or not it asks for that now, and store the tokens.
        Raises MCPError, Gone when the server can't be reached, ConfigurationError."""
        sender, flight = Sender(url), Flight()
        with flight, contextlib.closing(sender.opened(flight, "POST", _HEADERS, _PING)) as response:
            status, challenge = response.status_code, challenge_of(response.headers.get("WWW-Authenticate", ""))
        sender.close()
        need = Need(url.partition("?")[0].partition("#")[0], challenge)
        with self._turn():
            authority = self._authority(need)
            if status != UNAUTHORIZED and not authority.resource.is_described:
                raise failure(f"{sender.where} does not ask for a login (it answered {status})")
            old = None if self._scope else self._stored(authority)
            tokens = self._logged_in(need, authority, self._scope_for(authority, challenge, old))
            self._known[need.url], self._challenges[need.url] = tokens, challenge
            self._store_tokens(authority, tokens)

    def _granted(self, need: Need) -> Tokens | None:
        authority = self._authority(need)
        tokens = self._kept(need, authority)
        if tokens is not None or not need.may_ask:
            return tokens
        old = self._stored(authority) or self._known.get(need.url)
        scope = self._scope_for(authority, need.challenge, old if need.needs_more else None)
        if need.needs_more and old is not None and set(scope.split()) <= set(old.scope.split()):
            return None  # it was asked for before, and did not help
        last = self._logins.get((need.url, authority.server.issuer))
        is_recent = last is not None and time.monotonic() - last.at < BACK_OFF
        if is_recent and last is not None and last.token == need.refused != "" and not need.needs_more:
            return None  # what a login brings is not accepted
        if is_recent and last is not None and last.error:
            raise failure(f"{last.error} (nobody is asked again within {BACK_OFF:g} s)")
        tokens = self._logged_in(need, authority, scope)
        self._keep(authority, tokens)
        return tokens

    def _authority(self, need: Need) -> Authority:
        """Who authorizes requests. What is known to one authorization server is not told to another."""
        authority = authority_of(need, self._issuer, self._named)
        if self._given is not None:
            self._issuer = authority.resource.issuer
        return authority

    def _stored(self, authority: Authority) -> Tokens | None:
        return self._store.tokens(authority.server.issuer, authority.resource.identifier)

    def _keep(self, authority: Authority, tokens: Tokens) -> None:
        """Store tokens; where that is not possible, this program alone has them."""
        with _told():
            self._store_tokens(authority, tokens)

    def _store_tokens(self, authority: Authority, tokens: Tokens) -> None:
        """Store tokens: without the secret of a client that was given, which is not ours to keep. Raises
        ConfigurationError when the file can't be written: then they are stored in memory."""
        if self._given is not None and tokens.client is not None:
            tokens = replace(tokens, client=Registered(tokens.client.client_id))
        self._store.keep_tokens(authority.server.issuer, authority.resource.identifier, tokens)

    def _kept(self, need: Need, authority: Authority) -> Tokens | None:
        """The stored tokens, renewed where they have ended; None where they don't help."""
        old = self._stored(authority)
        if old is None or need.is_met_by(old):
            return old
        if old.refresh_token is None or not need.has_scope_of(old):
            return None
        with self._store.renewing(authority.server.issuer):
            old = self._stored(authority)
            if old is None or need.is_met_by(old):  # another program has renewed them meanwhile
                return old
            self._store.check_writable(authority.server.issuer, authority.resource.identifier)  # before it is used up
            return self._renewed(authority, old)

    def _renewed(self, authority: Authority, old: Tokens) -> Tokens | None:
        client, given = old.client, self._given
        if client is not None and given is not None and given.client_id == client.client_id:
            client = given
        if client is None or old.refresh_token is None:
            return None
        try:
            tokens = renewed(authority.server, client, authority.resource, old, authority.asking)
        except Refused as error:
            if error.error not in _FINAL:
                raise
            if error.error in _UNKNOWN_CLIENT:
                self._forget(authority, client)
            return None
        self._keep(authority, tokens)
        return tokens

    def _logged_in(self, need: Need, authority: Authority, scope: str) -> Tokens:
        """Ask a person, and return what that brings."""
        if self._opener is None:
            needed = f" (it needs the scope {scope[:MAX_SCOPE]!r}: --scope)" if need.needs_more else ""
            raise failure(
                f"somebody has to log in to {_origin(need.url)}{needed}: run agentkit mcp login URL, or give OAuth an "
                "opener, such as agentkit.mcp.oauth.browser.Browser()"
            )
        authority.server.check_logins(self._given is not None)
        client, is_ours = self._client(authority, self._opener, scope)
        check_aborted()
        server, resource = authority.server, self._resource
        sent = authority.resource.identifier if resource is None else resource
        try:
            tokens = authorized(server, client, sent, scope, self._opener, authority.asking)
        except BaseException as error:
            words = str(error) if isinstance(error, MCPError) else f"the login has failed: {type(error).__name__}"
            if isinstance(error, Exception):
                self._logins[need.url, server.issuer] = _Login(time.monotonic(), words)
            if is_ours:  # perhaps it is not known there any more: the browser shows that, and nobody comes back
                self._forget(authority, client)
            raise
        self._logins[need.url, server.issuer] = _Login(time.monotonic(), "", tokens.access_token)
        return replace(tokens, resource=resource)

    def _client(self, authority: Authority, opener: Opener, scope: str) -> tuple[Registered, bool]:
        """The client at an authorization server, and whether it is one that was registered before. scope: what is going
        to be asked for."""
        if self._given is not None:
            return self._given, False
        issuer, redirect_uri = authority.server.issuer, opener.redirect_uri
        if not redirect_uri:
            raise failure("the opener has no redirect_uri, to which a person could come back")
        kept = self._store.client(issuer, redirect_uri)
        is_only = not self._registers(authority.server)
        if (
            kept is not None
            and (is_only or kept[0].may_ask_for(scope))
            and (_comes_back_to(opener, kept[1]) or is_only)
        ):
            return kept[0], True
        found = registered(authority.server, self._client_url, redirect_uri, authority.asking, scope)
        with _told():
            self._store.keep_client(issuer, redirect_uri, found)
        return found, False

    def _registers(self, server: AuthorizationServer) -> bool:
        """Whether another client can be had at an authorization server."""
        return server.registration_endpoint is not None or bool(self._client_url and server.takes_client_urls)

    def _forget(self, authority: Authority, client: Registered) -> None:
        with contextlib.suppress(ConfigurationError):
            self._store.forget_client(authority.server.issuer, client)

    def _scope_for(self, authority: Authority, challenge: Challenge, old: Tokens | None) -> str:
        """What to ask for: the user's scope, or what the server needs. old: tokens that were not enough: what they were
        for, and what the server needs, are asked for too. Tokens that can be renewed, where the authorization server
        gives them on demand."""
        named = challenge.scope or " ".join(authority.resource.scopes or ())
        wanted = (self._scope or named).split()
        if old is not None:
            wanted = [*old.scope.split(), *wanted, *challenge.scope.split()]
        if OFFLINE in authority.server.scopes:
            wanted.append(OFFLINE)
        return " ".join(dict.fromkeys(wanted))


def stored_login(url: str) -> OAuth | None:
    """What authorizes requests to a server to which somebody has logged in (`agentkit mcp login URL`), and asks nobody;
    None where there is no such login, or where it can't be read."""
    try:
        store = Store.of_user()
        return OAuth(store=store) if store.has_login(url) else None
    except ConfigurationError:
        return None


def _remade(
    client_id: str | None,
    client_secret: str | None,
    issuer: str | None,
    client_url: str | None,
    scope: str | None,
    resource: str | None,
    store: Store,
) -> OAuth:
    return OAuth(
        client_id=client_id,
        client_secret=client_secret,
        issuer=issuer,
        client_url=client_url,
        scope=scope,
        resource=resource,
        store=store,
    )


def _comes_back_to(opener: Opener, redirect_uri: str) -> bool:
    """Whether a browser is waited for at the address that a client was registered for: some servers compare its port
    too."""
    comes_back_to: Callable[[str], bool] | None = getattr(opener, "comes_back_to", None)
    return comes_back_to is None or comes_back_to(redirect_uri)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Log that the file can't be written, and go on."""
    try:
        yield
    except ConfigurationError as error:
        logger.warning("%s; until the program ends, the login is kept in memory", error)


def _origin(url: str) -> str:
    """What of a URL is shown: a secret may be part of the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
