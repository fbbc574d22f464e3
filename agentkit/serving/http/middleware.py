"""ASGI middleware for every request: metrics, security headers, and a response for unexpected errors."""

import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentkit.serving.http.errors import is_of_openai, logged_status_and_detail, response_of
from agentkit.serving.http.metrics import Metrics

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HEADERS = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
}


class ErrorGuard:
    """Answers 500 for an unexpected error; innermost, so that outer middleware still adds its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watched_send(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:
            if has_started or scope["type"] != "http":
                raise
            await response_of(scope["path"], *logged_status_and_detail(error))(scope, receive, send)


class RequestMonitor:
    """Counts requests, and adds headers to responses: for security, and the id that SDKs of the OpenAI API show."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.perf_counter() - started)
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((k, v) for k, v in HEADERS.items() if k not in present)]
                if is_of_openai(scope["path"]):
                    message["headers"].append((b"x-request-id", f"req_{secrets.token_hex(16)}".encode()))
            await send(message)

        await self._app(scope, receive, watched_send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route: Any = scope.get("route")
        method = scope["method"] if scope["method"] in METHODS else "other"  # clients may send arbitrary methods
        self._metrics.count(method, getattr(route, "path", "other"), status, seconds)
