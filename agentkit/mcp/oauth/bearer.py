"""Requests with a bearer token: one that a server refuses is sent again with the token that it asks for."""

import contextlib
import json
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from requests.auth import AuthBase

from agentkit._forking import freed_by_forks
from agentkit._threads import POLL_INTERVAL
from agentkit.mcp.errors import MCPError
from agentkit.mcp.oauth.asking import UNAUTHORIZED, Asking, failure
from agentkit.mcp.oauth.granting import Tokens
from agentkit.mcp.oauth.metadata import (
    AuthorizationServer,
    Challenge,
    Resource,
    authorization_server,
    challenge_of,
    resource_of,
)
from agentkit.net.abort import Aborted, is_aborted

AHEAD = 60.0
"""Seconds between two tries to renew a token before a request."""
MAX_ROUNDS = 2
"""How often a token is got for one request."""
TURN_SECONDS = 360.0
"""How long a thread waits for another one that gets a token: a person may have to log in."""


@dataclass(frozen=True)
class Need:
    """What a refused request needs. url: of the MCP server. refused: the token that was sent, "" for none."""

    url: str
    challenge: Challenge
    refused: str = ""
    needs_more: bool = False
    may_ask: bool = True

    def is_met_by(self, tokens: Tokens) -> bool:
        """Whether these tokens may be what it needs."""
        return tokens.is_fresh and tokens.access_token != self.refused and self.has_scope_of(tokens)

    def has_scope_of(self, tokens: Tokens) -> bool:
        """Whether the scope of these tokens may be enough."""
        if not self.needs_more:
            return True
        return tokens.access_token != self.refused and set(self.challenge.scope.split()) <= set(tokens.scope.split())


@dataclass(frozen=True)
class Authority:
    """Who authorizes requests to an MCP server."""

    server: AuthorizationServer
    resource: Resource
    asking: Asking


def authority_of(need: Need, issuer: str | None, named: str | None) -> Authority:
    """Find out who authorizes requests to an MCP server. issuer: the authorization server that has to; None: the one
    that the MCP server names first. named: the one that the program has named, which may be at a private address.
    Raises MCPError."""
    asking = Asking(need.url, named)
    resource = resource_of(need.url, need.challenge, asking, issuer, named)
    return Authority(authorization_server(resource, need.url, asking), resource, asking)


class Bearer(AuthBase):
    """Authorizes requests to MCP servers with tokens, which a subclass gets (`_granted`). Used by several threads, one
    of which gets a token while the others wait. What goes wrong is an MCPError with the code 401."""

    def __init__(self) -> None:
        self._known: dict[str, Tokens] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._challenges: dict[str, Challenge] = {}
        self._tried: dict[str, float] = {}
        self._lock = freed_by_forks(threading.Lock())

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        tokens = self._at_hand(_server_of(r))
        if tokens is not None and tokens.has_ended:
            tokens = self._ahead(_server_of(r), tokens)
        if tokens is not None:
            r.headers["Authorization"] = f"Bearer {tokens.access_token}"
        r.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return r

    def _at_hand(self, url: str) -> Tokens | None:
        """The tokens with which requests to an MCP server begin."""
        return self._known.get(url)

    def _ahead(self, url: str, ended: Tokens) -> Tokens:
        """Tokens in the place of those whose time is over, got before the server is asked: some tell of it by an error
        of the tool. These, where there are no others. Raises Aborted."""
        need = Need(url, self._challenges.get(url, Challenge()), ended.access_token, may_ask=False)
        with self._turn():
            known = self._known.get(url, ended)
            if known.access_token != ended.access_token or time.monotonic() < self._tried.get(url, 0.0):
                return known
            self._tried[url] = time.monotonic() + AHEAD
            with contextlib.suppress(MCPError):  # the server says what is wrong
                self._known[url] = self._granted(need) or ended
            return self._known.get(url, ended)

    @abstractmethod
    def _granted(self, need: Need) -> Tokens | None:
        """Tokens for a request that was refused; None where none would help. Raises MCPError, Aborted."""

    def _answered(self, response: requests.Response, **options: Any) -> requests.Response:
        """Get a token where a response asks for one, and send the request again."""
        for _ in range(MAX_ROUNDS):
            challenge = challenge_of(response.headers.get("WWW-Authenticate", ""))
            needs_more = response.status_code == 403 and challenge.error == "insufficient_scope"
            if response.status_code != UNAUTHORIZED and not needs_more:
                return response
            request = response.request.copy()
            try:
                tokens = self._tokens(request, challenge, needs_more)
            except BaseException:
                response.close()
                raise
            if tokens is None:
                return response
            response.close()
            request.headers["Authorization"] = f"Bearer {tokens.access_token}"
            again: requests.Response = response.connection.send(request, **options)
            again.history.append(response)
            again.request = request
            response = again
        return response

    def _tokens(self, request: requests.PreparedRequest, challenge: Challenge, needs_more: bool) -> Tokens | None:
        """Tokens for a request that was refused; None where none would help. Raises MCPError, Aborted."""
        refused = str(request.headers.get("Authorization") or "").removeprefix("Bearer ")
        need = Need(_server_of(request), challenge, refused, needs_more, _is_call(request))
        began = time.monotonic()
        with self._turn():
            known = self._known.get(need.url)
            if known is not None and known.access_token != need.refused:
                return known  # another thread has got them meanwhile
            failed_at, message = self._failed.get(need.url, (0.0, ""))
            if failed_at >= began:  # another thread has tried meanwhile
                raise failure(message)
            try:
                tokens = self._granted(need)
            except MCPError as error:
                self._failed[need.url] = (time.monotonic(), str(error))
                raise
            if tokens is not None:
                self._known[need.url], self._challenges[need.url] = tokens, challenge
            return tokens

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other thread gets tokens. Raises Aborted when the request is not waited for any more."""
        end = time.monotonic() + TURN_SECONDS
        while not self._lock.acquire(timeout=POLL_INTERVAL):
            check_aborted()
            if time.monotonic() > end:
                raise failure(f"another call has been logging in for {TURN_SECONDS:g} s: try again later")
        try:
            check_aborted()
            yield
        finally:
            self._lock.release()


def check_aborted() -> None:
    """Raise Aborted when nobody waits for the request of this thread any more."""
    if is_aborted():
        raise Aborted


def _server_of(request: requests.PreparedRequest) -> str:
    """The URL of the MCP server, without its query."""
    return str(request.url).partition("?")[0]


def _is_call(request: requests.PreparedRequest) -> bool:
    """Whether somebody waits for an answer: no notification, no stream for all calls, no end of a session."""
    if request.method != "POST":
        return False
    try:
        message = json.loads(request.body or b"")
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(message, dict) and "id" in message and "method" in message
