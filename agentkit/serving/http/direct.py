"""The routes that answer messages, called without what FastAPI does for each request of any route.

FastAPI looks for the route, and finds out what its function takes, anew for each request; for these, which take nothing
but a JSON body, that is a third of what the event loop does. FastAPI knows them too: it describes them, and answers
what is not a request for one of them (another method, a path with a slash at its end).
"""

import inspect
import json
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from agentkit.serving.http.errors import UNREADABLE_BODY
from agentkit.serving.http.runs import ClientDisconnectedError

OBSERVED = "fastapi.telemetry"
"""In the scope of a request of which FastAPI makes a span, which it names by the route that it finds."""

OF_SERVER = "agentkit.receive_of_server"
"""In the scope of a request whether its messages come from the server itself, and pass no other middleware."""


class DirectRequest(Request):
    """A request that looks more cheaply whether its client has left: Starlette enters a scope of anyio that is
    cancelled already, for which the whole task is written as text, and each stream asks twice a second.

    Only for the server's own messages: one that is waited for is broken off, which a task group of another middleware
    does not allow.
    """

    _has_left = False

    async def is_disconnected(self) -> bool:
        """See Starlette's `Request`."""
        if not self._has_left:
            step = self.receive().__await__()
            try:
                next(step)
            except StopIteration as received:
                self._has_left = received.value["type"] == "http.disconnect"
            else:  # it waits for what has not come yet
                step.close()
        return self._has_left


def is_of_server(receive: Receive) -> bool:
    """Whether this is the function of the server itself, and of no middleware."""
    return isinstance(getattr(receive, "__self__", None), RequestResponseCycle)


class DirectRoute:
    """One of these routes as an ASGI application. Raises what FastAPI raises for a body that is not of its model.

    route: as FastAPI has it. model: of its body.
    """

    def __init__(self, route: APIRoute, model: type[BaseModel]) -> None:
        self._route = route
        self._model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self._route  # by which requests are counted
        request = (DirectRequest if scope.get(OF_SERVER) else Request)(scope, receive, send)
        # Nothing here refers to the body while its answer is sent, which may take long.
        answer: Any = await self._route.endpoint(body=self._validated(await _received(receive)), request=request)
        if not isinstance(answer, Response):
            answer = Response(answer.model_dump_json(by_alias=True), media_type="application/json")
        await answer(scope, receive, send)

    def _validated(self, body: bytes) -> BaseModel:
        values = _values(body)
        try:
            return self._model.model_validate(values)
        except ValidationError as error:
            found = error.errors(include_url=False)
            in_body = [{**each, "loc": ("body", *each["loc"])} for each in found]
            raise RequestValidationError(in_body, body=values) from None


async def _received(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _values(body: bytes) -> Any:
    """The JSON values of a body. Raises what FastAPI raises for another one."""
    if not body:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        found = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
        raise RequestValidationError([{**found, "ctx": {"error": error.msg}}], body=error.doc) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, UNREADABLE_BODY) from error


def direct_routes(routers: Iterable[APIRouter]) -> dict[str, DirectRoute]:
    """Return those routes by their paths: coroutines with the method POST that take a body and the request, and leave
    nothing else to FastAPI."""
    found = {}
    for route in (each for router in routers for each in router.routes if isinstance(each, APIRoute)):
        parameters = inspect.signature(route.endpoint).parameters
        if parameters.keys() == {"body", "request"} and _is_direct(route):
            found[route.path] = DirectRoute(route, parameters["body"].annotation)
    return found


def _is_direct(route: APIRoute) -> bool:
    leaves_more = route.dependencies or route.status_code is not None or route.response_model_exclude_unset
    is_one_path = route.methods == {"POST"} and "{" not in route.path
    return is_one_path and inspect.iscoroutinefunction(route.endpoint) and not leaves_more
