"""What each request passes before FastAPI sees it: one layer, since each costs a call for every message."""

import os
import time
from collections.abc import Mapping
from typing import Any

from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit.serving.http import access_log
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.direct import OBSERVED, DirectRoute
from agentkit.serving.http.errors import is_of_openai, response_of, response_to
from agentkit.serving.http.gate import SUBJECT, Refusal, path_of, without_body
from agentkit.serving.http.root_path import RootPath

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
}
_HEADERS = [*HEADERS.items()]

REQUEST_IDS = (b"x-request-id", b"request-id")
"""Headers from which the SDKs of OpenAI's and of Anthropic's API read the id of a request."""

BEGUN = "agentkit.begun"
"""In the scope of a request whose response has begun."""


class Entrance:
    """Logs and counts requests, adds headers to their responses (for security, and the id that SDKs of the OpenAI API
    show), refuses those that the gate does not let through, and answers 500 for an unexpected error. direct: the
    routes that it calls itself, by their paths."""

    def __init__(self, app: ASGIApp, state: State, direct: Mapping[str, DirectRoute]) -> None:
        settings = state.settings
        self._app = app
        self._direct = direct
        self._metrics = state.metrics
        self._is_logged = settings.agentkit_access_log
        self._root = RootPath(settings.agentkit_root_path)
        self._gate = state.gate
        self._guarded: ASGIApp = self._guard
        if settings.agentkit_cors:
            self._guarded = CORSMiddleware(
                self._guard,
                allow_origins=list(settings.agentkit_cors),
                allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
                allow_headers=["*"],  # SDKs send headers of their own; credentials other than the key are not read
                allow_private_network=True,
                expose_headers=["Retry-After", "X-Request-Id", "Request-Id", "X-Should-Retry", "X-Tools-Not-Offered"],
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked, started = scope, time.perf_counter()
        scope = self._root.within(asked)

        async def watched_send(message: Message) -> None:
            if BEGUN not in scope:
                scope[BEGUN] = True
                self._begin(asked, scope, message, time.perf_counter() - started)
            await send(message)

        redirection = self._root.redirection(asked)
        await (redirection or self._guarded)(scope, receive, watched_send)

    def _begin(self, asked: Scope, scope: Scope, message: Message, seconds: float) -> None:
        """The first message of a response is about to be sent. asked: the scope as the client's request has it."""
        if self._is_logged:
            access_log.log(asked, message)
        if message["type"] != "http.response.start":
            return
        self._count(scope, message["status"], seconds)
        headers = [*message["headers"]]
        present = {name.lower() for name, _ in headers}
        headers += _HEADERS if present.isdisjoint(HEADERS) else [each for each in _HEADERS if each[0] not in present]
        if is_of_openai(scope["path"]):
            request_id = b"req_%b" % os.urandom(16).hex().encode()
            headers += [(name, request_id) for name in REQUEST_IDS]
        message["headers"] = headers
        self._root.redirect(message)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route: Any = scope.get("route")
        method = scope["method"] if scope["method"] in METHODS else "other"  # clients may send arbitrary methods
        self._metrics.count(method, getattr(route, "path", "other"), status, seconds)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._let_through(scope, receive, send)
        except Refusal as refusal:
            await response_of(scope["path"], refusal.status, refusal.detail, refusal.headers)(scope, receive, send)
        except Exception as error:
            if BEGUN in scope or scope["type"] != "http":
                raise
            await response_to(scope, error)(scope, receive, send)

    async def _let_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate.check(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, without_body(send))
        else:
            await self._app_for(scope)(scope, self._gate.limited(receive), send)

    def answers(self, scope: Scope) -> bool:
        """Whether a request that is let through is for a direct route, at a path without a root."""
        return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._direct

    def _app_for(self, scope: Scope) -> ASGIApp:
        if scope["method"] != "POST" or SUBJECT not in scope or OBSERVED in scope:
            return self._app
        return self._direct.get(path_of(scope), self._app)
