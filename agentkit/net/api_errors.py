"""The openai package's errors, made from what a server answered."""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import openai
import requests

from agentkit._text import cut, without_credentials

MAX_SAID = 1000


def status_error(
    status: int, message: str, response: "httpx2.Response | None" = None, body: object = None
) -> openai.APIStatusError:
    """The openai package's error for a status."""
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
    """An error of the server that came without a status."""
    return openai.APIError(message, httpx2.Request("POST", "http://agentkit.invalid/"), body=body)


def error_in_body(answer: Mapping[str, Any]) -> openai.APIError:
    """An error of the server in an answer, or an event of a stream, whose status said that all was well."""
    detail = answer["error"] if isinstance(answer["error"], dict) else {}
    code = detail.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    if detail.get("type") == "invalid_request_error" and not isinstance(code, int):
        code = 400
    if isinstance(code, int) and 400 <= code < 600:
        return in_body(status_error(code, message_of(answer), None, answer))
    return in_body(api_error(message_of(answer), answer))


def in_body(error: openai.APIError) -> openai.APIError:
    """The error, marked as one that came in an answer that said 200, so that no client has tried it again yet."""
    error.in_body = True  # type: ignore[attr-defined]
    return error


def message_of(body: Any) -> str:
    """What a server says in an error: OpenAI's `{"error": {"message"}}`, `{"message"}`, FastAPI's `{"detail"}`."""
    if isinstance(body, dict):
        for key in ("error", "message", "detail"):
            if body.get(key):
                return message_of(body[key])
        return cut(json.dumps(body, ensure_ascii=False), MAX_SAID)
    if isinstance(body, list):  # FastAPI's list of faults
        return cut("; ".join(_fault(each) for each in body), MAX_SAID)
    return cut(str(body), MAX_SAID)


def _fault(fault: Any) -> str:
    if isinstance(fault, dict) and "msg" in fault:
        where = ".".join(str(step) for step in fault.get("loc") or ())
        return f"{where}: {fault['msg']}" if where else str(fault["msg"])
    return message_of(fault)


def shown(url: object) -> str:
    """An address for a message, without a user's name and password, and without its query."""
    return without_credentials(url).partition("?")[0]


def page_text(content: bytes) -> str:
    """Plain text of an error page."""
    text = re.sub(r"<[^>]*>", " ", content[:20_000].decode("utf-8", "replace"))
    return cut(" ".join(text.split()), 300) or "nothing"


def cause_of(error: BaseException) -> str:
    """The innermost cause, without addresses of objects."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = re.sub(r"<[^>]* object at 0x[0-9a-f]+>:? ?|^\[Errno -?\d+\] ", "", str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def as_httpx(response: requests.Response, content: bytes) -> httpx2.Response:
    """The answer for the openai package's errors; without the request's headers, which hold the key."""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS}
    request = httpx2.Request(response.request.method or "POST", shown(response.url))
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


_BODY_HEADERS = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")
