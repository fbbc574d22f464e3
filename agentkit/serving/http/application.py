"""The service as a FastAPI application, which its direct routes are called without."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from agentkit.serving.http.middleware import Entrance


class Application(FastAPI):
    """FastAPI with an `Entrance` before its routes, which is given at once what the direct routes (`http.direct`)
    answer: FastAPI, Starlette and their own middleware put six calls around each request, and two around each piece of
    its response, that have nothing to do for these.

    All other requests pass them. So do those of an application that is mounted in another one, that has a root path,
    a limit of the body or further middleware, and of one whose requests FastAPI makes spans of (OpenTelemetry).
    """

    def __init__(self, entrance: Callable[[ASGIApp], Entrance], **options: Any) -> None:
        self._make_entrance = entrance
        self._entrance: Entrance | None = None
        super().__init__(**options)
        self.add_middleware(self._entered)

    def _entered(self, inner: ASGIApp) -> Entrance:
        """The middleware, made once the application is complete."""
        made = self._make_entrance(inner)
        has_more = len(self.user_middleware) > 1 or self.max_body_size is not None or bool(self.root_path)
        self._entrance = None if has_more else made
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See FastAPI."""
        entrance = self._entrance
        if entrance is None or not entrance.answers(scope) or "app" in scope or self._is_observed():
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await entrance(scope, receive, send)

    def _is_observed(self) -> bool:
        """Whether FastAPI may make a span of a request."""
        telemetry = getattr(self, "_native_telemetry", None)
        return telemetry is None or bool(telemetry.enabled())
