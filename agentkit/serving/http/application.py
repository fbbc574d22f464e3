"""The service as a FastAPI application, which its direct routes are called without."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import fastapi.applications
import starlette.applications
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from agentkit.serving.http.described import with_security
from agentkit.serving.http.direct import OF_SERVER, is_of_server
from agentkit.serving.http.middleware import Entrance

_CALLS = (FastAPI.__call__, Starlette.__call__)
_BUILD = FastAPI.build_middleware_stack
_MODULES = {fastapi.applications.__name__, starlette.applications.__name__}
_ARE_ORIGINAL = all(
    type(each) is FunctionType and each.__globals__["__name__"] in _MODULES for each in (*_CALLS, _BUILD)
)
"""Whether those were FastAPI's and Starlette's own when this module was imported."""


class Application(FastAPI):
    """FastAPI with an `Entrance` before its routes, which is given at once what the direct routes (`http.direct`)
    answer: FastAPI, Starlette and their own middleware put six calls around each request, and two around each piece of
    its response, that have nothing to do for these.

    All other requests pass them. So do those of an application that is mounted in another one, that has a root path,
    a limit of the body or further middleware, of one whose requests FastAPI makes spans of (OpenTelemetry), and all of
    them where another package has replaced what they pass, as those for monitoring do.
    """

    def __init__(self, entrance: Callable[[ASGIApp], Entrance], needs_key: Callable[[], bool], **options: Any) -> None:
        self._make_entrance = entrance
        self._needs_key = needs_key
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
        scope[OF_SERVER] = is_of_server(receive)
        await entrance(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """See FastAPI."""
        return with_security(super().openapi(), self._needs_key())

    def _is_observed(self) -> bool:
        """Whether FastAPI may make a span of a request, or another package sees those that pass FastAPI."""
        telemetry = getattr(self, "_native_telemetry", None)
        return telemetry is None or bool(telemetry.enabled()) or self._is_replaced()

    def _is_replaced(self) -> bool:
        """Whether a function that requests pass is not that of FastAPI or Starlette."""
        builds = getattr(self.build_middleware_stack, "__func__", None)
        return not _ARE_ORIGINAL or builds is not _BUILD or (FastAPI.__call__, Starlette.__call__) != _CALLS
