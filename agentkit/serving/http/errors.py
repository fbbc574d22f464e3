"""What goes wrong, as HTTP tells it: {"detail": "..."}, and under /v1 as OpenAI's service does."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from openai import APIConnectionError, APIStatusError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from agentkit import AgentkitError, APIError, LimitError, SessionError
from agentkit._text import in_a_line
from agentkit.errors import SessionBusyError, TranscriptError
from agentkit.serving.http.conversations import UnknownPromptError, UnknownSessionError
from agentkit.serving.http.runs import GoneError, TooManyError

logger = logging.getLogger("agentkit.http")

_EMPTY = {"missing", "too_short", "string_too_short", "value_error"}


WHY = {
    400: "a field is missing, empty, or names what there is not",
    401: "no valid token",
    404: "there is none",
    409: "the session is busy",
    413: "too large",
    422: "not in the form that is wanted",
    429: "too many requests",
    502: "the model server refuses",
    503: "the model server, the store or the service can't answer just now",
}


def promised(body: type[BaseModel], *only: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its documentation. body: what they look like. only: these; else all."""
    return {status: {"model": body, "description": why} for status, why in WHY.items() if not only or status in only}


def described(error: Exception) -> tuple[int, str]:
    """The status and the sentence for what went wrong."""
    if isinstance(error, UnknownSessionError):
        return 404, str(error)
    if isinstance(error, GoneError):
        return 499, "the client has left"  # as nginx has it; nobody reads it
    if isinstance(error, TooManyError):
        return 503, f"{error}: try again in a moment"
    if isinstance(error, UnknownPromptError | TranscriptError | LimitError):
        return 400, in_a_line(str(error), 500)
    if isinstance(error, SessionBusyError):
        return 409, "the session is busy with another message: try again when that is answered"
    if isinstance(error, SessionError):
        return 503, "the sessions can't be read or written just now"
    if isinstance(error, APIError):
        return _of_model_server(error), f"the model server can't answer: {in_a_line(error.message, 500)}"
    if isinstance(error, AgentkitError):
        return 500, in_a_line(str(error), 500)
    return 500, "something went wrong here"


def _of_model_server(error: APIError) -> int:
    """503 where it may go better later."""
    if isinstance(error, APIConnectionError):
        return 503
    is_its_own = isinstance(error, APIStatusError) and 400 <= error.status_code < 500 and error.status_code != 429
    return 502 if is_its_own else 503


def told(error: Exception) -> tuple[int, str]:
    """The same, and logged."""
    status, detail = described(error)
    if status >= 500:
        logger.warning("%s: %s", type(error).__name__, detail, exc_info=status == 500)
    return status, detail


def body_of(path: str, status: int, detail: str) -> dict[str, Any]:
    """The body for an error under a path."""
    if not path.startswith("/v1/"):
        return {"detail": detail}
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": detail, "type": kind, "param": None, "code": code}}


def response_of(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for an error."""
    more = {"Retry-After": "5"} if status == 503 else {}
    return JSONResponse(body_of(request.url.path, status, detail), status, {**more, **(headers or {})})


def add_handlers(app: FastAPI) -> None:
    """Let the application tell its errors so."""

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        return response_of(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        status = 400 if all(problem["type"] in _EMPTY for problem in problems) else 422
        return response_of(request, status, "; ".join(map(_sentence, problems[:5])))

    async def tell(request: Request, error: Exception) -> JSONResponse:
        return response_of(request, *told(error))

    for kind in (AgentkitError, APIError, TooManyError, GoneError, UnknownSessionError, UnknownPromptError):
        app.add_exception_handler(kind, tell)


def _sentence(problem: Any) -> str:
    place = ".".join(str(each) for each in problem["loc"] if each not in ("body", "query", "path"))
    return in_a_line(f"{place or 'body'}: {problem['msg']}", 300)
