"""Error responses: {"detail": "..."}, and under /v1 the error format of the OpenAI API, or of Anthropic's."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from openai import APIConnectionError, APIStatusError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Scope

from agentkit import AgentkitError, APIError, LimitError, SessionError
from agentkit._text import in_a_line
from agentkit.errors import RequestConflictError, SessionBusyError, TranscriptError
from agentkit.running.append_only import ReplyChangedError
from agentkit.serving.addresses import without_addresses
from agentkit.serving.decisions import DecisionError
from agentkit.serving.http.anthropic.error_form import anthropic_error, is_of_anthropic
from agentkit.serving.http.conversations import UnknownPromptError, UnknownSessionError
from agentkit.serving.http.keys import KeyFileError
from agentkit.serving.http.page.recording import SlowReaderError, StoppedBeforeError
from agentkit.serving.http.runs import ClientDisconnectedError, StoppingError, TooManyRunsError
from agentkit.serving.http.validation import problems_of
from agentkit.serving.outage import KEYS_OUTAGE, STORE_OUTAGE

logger = logging.getLogger("agentkit.http")

_BAD_REQUEST_TYPES = {"missing", "too_short", "string_too_short", "value_error"}

OPENAI_API = "/v1"
"""Where the OpenAI API is; in the paths below it, errors have its form."""

OPENAI_ROUTES = ("/chat/completions", "/completions", "/models", "/responses", "/embeddings", "/messages")
"""Ends of the paths at which clients of the OpenAI API look, also below another base URL."""

NOT_FOUND_HINT = (
    "the OpenAI API is at /v1/chat/completions, /v1/responses and /v1/models: the base URL of a client ends in /v1"
)
ANTHROPIC_HINT = "Anthropic's API is at /v1/messages, which clients add to the base URL: it ends before /v1"

_KINDS = {401: "authentication_error", 429: "rate_limit_error"}
_CODES = {
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_supported",
    409: "conflict",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
    500: "internal_error",
    502: "model_server_error",
    503: "service_unavailable",
}
"""Codes of errors that have none of their own."""

UNREADABLE_BODY = "There was an error parsing the body"
"""What FastAPI, and the direct routes, say of a body that no parser reads to its end."""

DESCRIPTIONS = {
    400: "Invalid request: a field is missing, empty, or refers to something that does not exist",
    401: "Missing or invalid API key or token",
    404: "Not found",
    409: "The session is busy with another message, the request ID was used for another one, or no such call waits for "
    "a decision",
    413: "Request body too large",
    415: "The request body is not JSON by its Content-Type",
    422: "The request does not match the schema",
    429: "Rate limit exceeded; see the Retry-After header",
    502: "The model server rejected the request",
    503: "The model server, the session store or the service is temporarily unavailable; see the Retry-After header",
}


def error_responses(body: type[BaseModel], *only: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route for OpenAPI. body: model of the body. only: status codes; none: all."""
    return {
        status: {"model": body, "description": text}
        for status, text in DESCRIPTIONS.items()
        if not only or status in only
    }


def status_and_detail(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the message for an error."""
    if isinstance(error, UnknownSessionError):
        return 404, str(error)
    if isinstance(error, ClientDisconnectedError):
        return 499, "client disconnected"  # the status nginx uses; no client receives it
    if isinstance(error, TooManyRunsError | StoppingError | ReplyChangedError):
        return 503, str(error)
    if isinstance(error, UnknownPromptError | TranscriptError | LimitError):
        return 400, in_a_line(str(error), 500)
    if isinstance(error, RequestConflictError | DecisionError | StoppedBeforeError | SlowReaderError):
        return 409, in_a_line(str(error), 500)
    if isinstance(error, SessionBusyError):
        return 409, "the session is busy with another message; try again when it is answered"
    if isinstance(error, SessionError | KeyFileError):
        what = "the session store is" if isinstance(error, SessionError) else "the API keys are"
        return 503, f"{what} temporarily unavailable"
    if isinstance(error, APIError):
        return _model_server_status(error), f"model server error: {in_a_line(without_address(error), 500)}"
    if isinstance(error, AgentkitError):
        return 500, in_a_line(without_addresses(str(error)), 500)
    return 500, "internal server error"


def without_address(error: APIError) -> str:
    """The message of an error of the model server, as clients are told it: without the server's address, and others
    inside of a network that is not theirs. The log has them."""
    request = getattr(error, "request", None)
    return without_addresses(error.message, str(request.url) if request else "")


def _model_server_status(error: APIError) -> int:
    """Return 503 for errors that may be temporary, otherwise 502."""
    if isinstance(error, APIConnectionError):
        return 503
    is_rejected = isinstance(error, APIStatusError) and 400 <= error.status_code < 500 and error.status_code != 429
    return 502 if is_rejected else 503


def logged_status_and_detail(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the message for an error, and log errors of status 500 and above."""
    status, detail = status_and_detail(error)
    if isinstance(error, SessionError) and status == 503:
        STORE_OUTAGE.note(f"requests with a session get 503: {in_a_line(str(error), 500)}")
    elif isinstance(error, KeyFileError):
        KEYS_OUTAGE.note(f"requests get 503: {in_a_line(str(error), 500)}")
    elif status >= 500 and not isinstance(error, StoppingError):
        text = in_a_line(error.message, 500) if isinstance(error, APIError) else detail
        logger.warning("%s: %s", type(error).__name__, text, exc_info=status == 500)
    return status, detail


def body_of(path: str, status: int, detail: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return the JSON body of an error response in the format of the path. param, code: of the OpenAI API."""
    if is_of_anthropic(path):
        return anthropic_error(status, detail)
    if not is_of_openai(path):
        return {"detail": detail}
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": detail, "type": kind, "param": param, "code": code or _CODES.get(status)}}


def is_of_openai(path: str) -> bool:
    """Whether clients of the OpenAI API ask for a path, so that errors have the form of that API."""
    return path == OPENAI_API or path.startswith(f"{OPENAI_API}/") or path.rstrip("/").endswith(OPENAI_ROUTES)


def body_of_error(path: str, error: Exception) -> dict[str, Any]:
    """Return the JSON body for an error, in the format of the path, and log it as `logged_status_and_detail` does."""
    if isinstance(error, HTTPException):
        return body_of(path, error.status_code, str(error.detail), *_param_and_code(error))
    return body_of(path, *logged_status_and_detail(error))


def _param_and_code(error: HTTPException) -> tuple[str | None, str | None]:
    """The parameter and the code that an error of this service has for the OpenAI API."""
    return getattr(error, "param", None), getattr(error, "code", None)


def response_of(
    path: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    param: str | None = None,
    code: str | None = None,
) -> JSONResponse:
    """Return the response for an error; 503 has a Retry-After header."""
    more = {"Retry-After": "5"} if status == 503 else {}
    return JSONResponse(body_of(path, status, detail, param, code), status, {**more, **(headers or {})})


def add_handlers(app: FastAPI) -> None:
    """Register the error handlers of the application."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return response_to(request.scope, error)

    for kind in (
        HTTPException,
        RequestValidationError,
        AgentkitError,
        APIError,
        TooManyRunsError,
        StoppingError,
        ClientDisconnectedError,
        UnknownSessionError,
        UnknownPromptError,
    ):
        app.add_exception_handler(kind, handle)


def response_to(scope: Scope, error: Exception) -> JSONResponse:
    """Return the response to a request that ends with an error, which is logged as `logged_status_and_detail` does."""
    path = scope["path"]
    if isinstance(error, HTTPException):
        return _http_error(scope["method"], path, error)
    if isinstance(error, RequestValidationError):
        return _invalid(path, error)
    return response_of(path, *logged_status_and_detail(error))


def _http_error(method: str, path: str, error: HTTPException) -> JSONResponse:
    detail, (param, code) = str(error.detail), _param_and_code(error)
    if detail == UNREADABLE_BODY:
        detail, code = _unreadable(error.__cause__), "invalid_json"
    if error.status_code == 404 and detail == "Not Found":
        detail, code = _not_found(method, path), "unknown_url"
    elif error.status_code == 405 and is_of_openai(path):
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{method} is not supported at {in_a_line(path, 200)}: use {allowed}"
    return response_of(path, error.status_code, detail, error.headers, param, code)


def _unreadable(cause: BaseException | None) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return f"the body is not UTF-8 (byte 0x{cause.object[cause.start]:02X} at {cause.start}): send JSON as UTF-8"
    if isinstance(cause, RecursionError):
        return "the body is nested too deeply"
    return f"the body can't be read: {in_a_line(str(cause), 200)}" if cause else "the body can't be read"


def _invalid(path: str, error: RequestValidationError) -> JSONResponse:
    raw = error.errors()
    if not is_of_openai(path):
        return response_of(path, *invalid_request(raw, error.body))
    problems = problems_of(raw, error.body)
    said = "; ".join(each.said for each in problems)
    return response_of(path, 400, said, None, problems[0].param, problems[0].code)


def invalid_request(errors: Sequence[Any], body: Any = None) -> tuple[int, str]:
    """The HTTP status and the message for what pydantic finds wrong with a request. body: where it is known."""
    status = 400 if all(error["type"] in _BAD_REQUEST_TYPES for error in errors) else 422
    return status, "; ".join(f"{each.dotted}: {each.text}" for each in problems_of(errors, body))


def _not_found(method: str, path: str) -> str:
    if not is_of_openai(path):
        return "Not Found"
    hint = ANTHROPIC_HINT if is_of_anthropic(path) else NOT_FOUND_HINT
    return f"Not Found: {method} {in_a_line(path, 200)}; {hint}"
