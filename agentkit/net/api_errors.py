"""Builds the openai package's errors from a server's responses."""

import re
from collections.abc import Mapping
from typing import Any

import httpx2
import openai
import requests

import agentkit.net.pickled_errors  # noqa: F401
from agentkit._text import without_credentials
from agentkit.net.error_body import message_of, status_of


def status_error(
    status: int, message: str, response: "httpx2.Response | None" = None, body: object = None
) -> openai.APIStatusError:
    """Return the openai package's error for an HTTP status."""
    kinds: dict[int, type[openai.APIStatusError]] = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
    }
    kind = kinds.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    if response is None:
        response = httpx2.Response(status, request=httpx2.Request("POST", "http://agentkit.invalid/"))
    detail = body.get("error", body) if isinstance(body, dict) else body
    return kind(message, response=response, body=detail)


def api_error(message: str, body: object = None) -> openai.APIError:
    """Return an error that the server reported without a status."""
    return openai.APIError(message, httpx2.Request("POST", "http://agentkit.invalid/"), body=body)


def error_in_body(answer: Mapping[str, Any]) -> openai.APIError:
    """Return the error that a response with status 200, or an event of a stream, reports in its body (`error_in`)."""
    status = status_of(answer)
    if status is not None:
        return mark_in_body(status_error(status, message_of(answer), None, answer))
    return mark_in_body(api_error(message_of(answer), answer))


def mark_in_body(error: openai.APIError) -> openai.APIError:
    """Mark an error as one reported in a response with status 200, which no client has retried yet; return it."""
    error.in_body = True  # type: ignore[attr-defined]
    return error


def display_url(url: object) -> str:
    """Return a URL for a message, without user name, password and query."""
    return without_credentials(url).partition("?")[0]


def cause_of(error: BaseException) -> str:
    """Return the type and message of the innermost cause, without object addresses and errno."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = _ADDRESS_OR_NUMBER.sub("", str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def as_httpx(response: requests.Response, content: bytes) -> httpx2.Response:
    """Convert a response for the openai package's errors, without the request's headers, which contain the key."""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS}
    request = httpx2.Request(response.request.method or "POST", display_url(response.url))
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


_ADDRESS_OR_NUMBER = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>:? ?|^\[Errno -?\d+\] ")
_BODY_HEADERS = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")
