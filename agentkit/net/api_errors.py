"""Builds the openai package's errors from a server's responses. Imported to raise one, since the package takes half a
second of CPU."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any, Protocol

import httpx2
import openai
import urllib3

import agentkit.net.pickled_errors  # noqa: F401
from agentkit.net.error_body import message_of, page_text, status_of
from agentkit.net.error_text import cause_of, display_url
from agentkit.net.keys import blotted, blotted_beginning, blotted_body, repeats
from agentkit.net.outgoing import URLLIB3
from agentkit.net.route_hints import route_hint
from agentkit.net.wording import Wording

MAX_ERROR_BYTES = 100_000


class Received(Protocol):
    """A response of a transport. key: that was sent, "" for none."""

    status_code: int
    headers: Any
    method: str
    url: str
    key: str

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""

    def close(self) -> None:
        """Close it."""


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
    """Mark an error as one in the body of a response with status 200, which no client has retried yet; return it."""
    error.in_body = True  # type: ignore[attr-defined]
    return error


def connection_error(
    base_url: str, method: str, url: str, error: BaseException, wording: Wording, in_body: bool
) -> openai.APIConnectionError:
    """Return the error for a request without a response, or for a body that broke off. base_url: of the server. url: of
    the request."""
    where = display_url(url)
    request = httpx2.Request(method, where)
    hint = route_hint(base_url, URLLIB3, error)
    is_refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # a subclass of the next
    is_connecting = isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not wording.connecting_times_out
    is_late = isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)
    if is_late and not is_refused and not is_connecting:
        timed_out = openai.APITimeoutError(request)
        timed_out.message = wording.timed_out(where, hint)
        timed_out.args = (timed_out.message,)
        return timed_out
    message = wording.broken(where, hint) if in_body else wording.unreachable(where, hint, cause_of(error))
    return openai.APIConnectionError(message=message, request=request)


def refused(response: Received, wording: Wording) -> openai.APIStatusError:
    """Return the error for a response with an error status, whose body is read here and closed."""
    with closing(response):
        received = _beginning(response)
    content = blotted_body(received, response.key)
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    reported = message_of(body) if body is not None else page_text(content)
    if body is None and wording.keeps_text:
        body = content.decode("utf-8", "replace").strip()
    if content != received:  # it repeats the key
        body = None
    message = wording.refused(display_url(response.url), response.status_code, reported)
    return status_error(response.status_code, message, as_httpx(response, content), body)


def _beginning(response: Received) -> bytes:
    """What arrives of a body, up to a limit."""
    content: bytes = getattr(response, "content", None) or b""
    if content:
        return content
    with suppress(urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        for piece in response.pieces():
            content += piece
            if len(content) > MAX_ERROR_BYTES:
                break
    return content


def not_json(response: Received, excerpt: str) -> openai.APIError:
    """Return the error for a response that is not JSON. excerpt: its beginning."""
    excerpt = blotted_beginning(excerpt, (response.key,))
    location = response.headers.get("location") if 300 <= response.status_code < 400 else None
    what = f"with a redirect to {display_url(location)}" if location else "with a body that is not JSON"
    return openai.APIResponseValidationError(
        as_httpx(response, excerpt.encode()),
        None,
        message=f"{display_url(response.url)} answered {response.status_code} {what} (is base_url right?): "
        f"{excerpt[:200]!r}",
    )


def too_large(url: str, max_bytes: int) -> openai.APIError:
    """Return the error for a body of more than max_bytes."""
    where = display_url(url)
    return openai.APIResponseValidationError(
        httpx2.Response(200, request=httpx2.Request("POST", where)),
        None,
        message=f"{where} answered with more than {max_bytes:,} bytes: request fewer tokens (max_tokens)",
    )


def without_key(error: openai.APIError, key: str) -> openai.APIError:
    """Remove the key, which some servers repeat, from an error; return the error."""
    if key and repeats(f"{error} {error.body}", key):
        error.message = blotted(error.message, key)
        error.args, error.body = (error.message,), None
    response = getattr(error, "response", None)
    if key and isinstance(response, httpx2.Response):
        with suppress(httpx2.ResponseNotRead):
            error.response = _without_key(response, key)  # type: ignore[attr-defined]
    return error


def _without_key(response: httpx2.Response, key: str) -> httpx2.Response:
    """The same response, or a copy without the key, which its body repeats. Raises ResponseNotRead."""
    content = blotted_body(response.content, key)
    if content == response.content:
        return response
    headers = [
        (name, value) for name, value in response.headers.raw if name.decode("latin-1").lower() not in _BODY_HEADERS
    ]
    return httpx2.Response(response.status_code, headers=headers, content=content, request=response.request)


def as_httpx(response: Received, content: bytes) -> httpx2.Response:
    """Convert a response for the openai package's errors, without the request's headers, which contain the key."""
    headers = [
        (name.encode("latin-1", "replace"), blotted(value, response.key).encode("latin-1", "replace"))
        for name, value in response.headers.items()
        if name.lower() not in _BODY_HEADERS
    ]
    request = httpx2.Request(response.method, display_url(response.url))
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


_BODY_HEADERS = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")
