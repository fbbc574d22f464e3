"""JSON over HTTP on one `requests` session, with retries, timeouts, server-sent events and errors.

Errors are the openai package's classes, so that one `except` serves all backends. Retries follow its rules:
connection errors, 408, 409, 429 and 5xx are retried after the time in Retry-After, or with exponential backoff and
jitter; a status in `final` is not retried.
"""

import functools
import io
import json
import logging
import random
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import openai
import requests
import urllib3

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._text import json_bytes
from agentkit.errors import ConfigurationError
from agentkit.net.api_errors import (
    api_error,
    as_httpx,
    cause_of,
    display_url,
    error_in_body,
    mark_in_body,
    status_error,
)
from agentkit.net.attempts import retries_allowed
from agentkit.net.drain import drain
from agentkit.net.error_body import error_in, message_of, page_text
from agentkit.net.event_stream import BrokenEventError, EventReader, EventTooLongError
from agentkit.net.exchanges import Stored, exchanged, heard
from agentkit.net.keys import blotted, checked_key, repeats
from agentkit.net.outgoing import REQUESTS, check_environment, requests_options, route_hint
from agentkit.net.rate_headers import told_by
from agentkit.net.trace_headers import trace_headers
from agentkit.net.tracked_pools import TrackingAdapter

logger = logging.getLogger("agentkit.run")

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0
MAX_RETRY_AFTER = 60.0
MAX_BYTES = 200_000_000
MAX_ERROR_BYTES = 100_000
CONNECT_TIMEOUT = 10.0
Events = Generator[dict[str, Any], None, None]
Timeout = float | tuple[float | None, float | None]
"""Seconds: of the read (connecting takes at most CONNECT_TIMEOUT), or of connecting and of the read; None: no limit."""

_RETRIED = frozenset({408, 409, 429})
_READ_BYTES = 1 << 16


class Transport:
    """A session with one server; thread-safe.

    base_url: the URL before the paths, which may have a query. timeout: read timeout in seconds. max_retries: maximum
    retries of a request that failed before any of its response arrived. final: statuses that are not retried.
    max_bytes: maximum size of a whole response body in bytes.

    Each request may have its own timeout, headers (None leaves one out) and max_retries. A body is JSON as values, or
    bytes of any kind.

    Raises ConfigurationError when base_url is not an http(s) URL, the key can't be one, or the environment names a
    proxy or TLS files that can't be used for this URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: Timeout = 600.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        final: Collection[int] = (),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"base_url={base_url!r} is not a valid URL: write http://host:port")
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.max_retries = max_retries
        self._final = frozenset(final)
        self._max_bytes = max_bytes
        self._key = checked_key(api_key, "api_key") or ""
        check_environment(base_url, REQUESTS)
        self._headers = {"Accept": "application/json, text/event-stream", **(headers or {})}
        self._session: requests.Session | None = self._new_session()
        renewed_by_forks(self)

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # `requests_options` reads it
        session.headers.update(self._headers)
        session.auth = self._authorized  # otherwise requests would read a password from the user's .netrc
        adapter = TrackingAdapter(pool_maxsize=64)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def renew_in_child(self) -> None:
        """In a child: begin without connections."""
        if self._session is not None:
            self._session = self._new_session()

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers.setdefault("Authorization", f"Bearer {self._key}")
        return request

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of a GET request. options: as of `post`. Raises what `post` raises."""
        return self._json(self.answered("GET", path, None, **options))

    def post(self, path: str, body: Mapping[str, Any], **options: Any) -> Any:
        """Send JSON and return the JSON of the response.

        options: timeout, headers, max_retries. Raises APIConnectionError when the server can't be reached,
        APITimeoutError when it does not respond in time, APIStatusError and its subclasses for an error status,
        APIResponseValidationError when the body is not JSON, and the error that a body with status 200 reports.
        """
        return self.exchange(path, body, **options)[1]

    def exchange(self, path: str, body: Mapping[str, Any] | bytes, **options: Any) -> tuple[Mapping[str, str], Any]:
        """Do what `post` does, and return the headers of the response and its JSON."""
        response = self.answered("POST", path, body, **options)
        answer = self._json(response)
        _raise_if_error(answer, _key_of(response))
        return response.headers, answer

    def events(self, path: str, body: Mapping[str, Any], **options: Any) -> Events:
        """Send JSON and yield the JSON of server-sent events as they arrive, up to `[DONE]` or the end of the stream.

        The request is sent immediately, so that an error status is raised here; it is retried until the first event
        has arrived. options: as of `post`. Raises what `post` raises; iterating raises APIError for an event that is an
        error or not JSON.
        """
        return self.streamed(path, body, **options)[1]

    def streamed(
        self, path: str, body: Mapping[str, Any] | bytes, *, max_retries: int | None = None, **options: Any
    ) -> tuple[Mapping[str, str], Events]:
        """Do what `events` does, and return the headers of the response and the events."""
        most = retries_allowed(self.max_retries if max_retries is None else max_retries)
        events = self._events(path, body, most, options)
        headers = next(events)
        return headers, cast(Events, events)

    def _events(
        self, path: str, body: Mapping[str, Any] | bytes, max_retries: int, options: Mapping[str, Any]
    ) -> Generator[Any, None, None]:
        """Yield the headers once the server has responded, then the events."""
        has_answered = False
        for attempt in range(max_retries + 1):
            is_last = attempt == max_retries
            response = self.answered("POST", path, body, max_retries=max_retries, first=attempt, **options)
            has_begun = False
            try:
                if not has_answered:
                    has_answered = True
                    yield response.headers
                for event in self._events_of(response):
                    has_begun = True
                    yield event
            except openai.APIConnectionError:
                if has_begun or is_last:
                    raise
            finally:
                response.close()
            if has_begun or is_last:
                return
            _sleep(attempt, None)

    def answered(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        *,
        timeout: Timeout | None = None,
        headers: Mapping[str, str | None] | None = None,
        max_retries: int | None = None,
        first: int = 0,
    ) -> requests.Response:
        """Return a response without an error status; its body is not read yet. Raises what `post` raises for others.

        first: the number of attempts that were made before.
        """
        data = body if body is None or isinstance(body, bytes) else json_bytes(body)
        max_retries = retries_allowed(self.max_retries if max_retries is None else max_retries)
        for attempt in range(first, max_retries + 1):
            is_last = attempt == max_retries
            try:
                response = self._sent(method, path, data, timeout, headers)
            except openai.APIConnectionError:
                if is_last:
                    raise
                _sleep(attempt, None)
                continue
            if response.status_code < 400:
                return response
            if is_last or not self._is_retried(response):
                raise self._status_error(response)
            wait = told_by(response.headers).retry_after
            response.close()
            _sleep(attempt, wait if wait is None or wait <= MAX_RETRY_AFTER else None)
        raise AssertionError("unreachable")

    def _sent(
        self,
        method: str,
        path: str,
        data: bytes | None,
        timeout: Timeout | None,
        headers: Mapping[str, str | None] | None,
    ) -> requests.Response:
        notice_fork()
        if self._session is None:
            raise ConfigurationError("this client is closed: create a new one")
        if traced := trace_headers():
            headers = {**traced, **(headers or {})}
        limit = timeout or self.timeout
        url = self.base_url + path
        send = functools.partial(
            self._session.request,
            method,
            url,
            data=data,
            headers={"Content-Type": "application/json", **(headers or {})} if data is not None else headers,
            timeout=limit if isinstance(limit, tuple) else (min(limit, CONNECT_TIMEOUT), limit),
            stream=True,
            allow_redirects=False,
        )
        try:
            send = functools.partial(send, **requests_options(self.base_url))
            return exchanged(method, url, lambda: data or b"", send, functools.partial(_replay, url))
        except OSError as error:  # requests' own are OSErrors; those of CA certificates are not always among them
            raise self._connection_error(method, path, error) from error

    def _is_retried(self, response: requests.Response) -> bool:
        status = response.status_code
        return status not in self._final and (status in _RETRIED or status >= 500)

    def _json(self, response: requests.Response) -> Any:
        """Return the JSON of a response, whatever its Content-Type."""
        with response:
            content = self._content(response)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise self._not_json(response, content) from None

    @staticmethod
    def _not_json(response: requests.Response, content: bytes) -> openai.APIError:
        return openai.APIResponseValidationError(
            as_httpx(response, content[:MAX_ERROR_BYTES]),
            None,
            message=f"{display_url(response.url)} answered {response.status_code} with a body that is not JSON (is "
            f"base_url right?): {content[:200].decode('utf-8', 'replace')!r}",
        )

    def _content(self, response: requests.Response) -> bytes:
        chunks, size = [], 0
        for chunk in self.chunks(response):
            size += len(chunk)
            if size > self._max_bytes:
                raise openai.APIResponseValidationError(
                    as_httpx(response, b""),
                    None,
                    message=f"{display_url(response.url)} answered with more than {self._max_bytes:,} bytes: request "
                    "fewer tokens (max_tokens)",
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it arrives: chunks are not buffered, so that events are emitted without delay. Raises
        APIConnectionError when it breaks off."""
        return heard(response, self._read(response))

    def _read(self, response: requests.Response) -> Iterator[bytes]:
        try:
            raw = response.raw
            if not isinstance(raw, urllib3.BaseHTTPResponse):  # a recorded response, complete in memory
                yield from response.iter_content(_READ_BYTES)
                return
            while chunk := raw.read1(_READ_BYTES, decode_content=True):
                yield chunk
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise self._connection_error("POST", urlsplit(response.url).path, error, in_body=True) from error

    def _events_of(self, response: requests.Response) -> Iterator[dict[str, Any]]:
        reader = EventReader(self._max_bytes)
        chunks = self.chunks(response)
        try:
            for event in reader.read(chunks):
                _raise_if_error(event, _key_of(response))
                yield event
                if event.get("finished"):  # LightLLM's own stream ends without [DONE]
                    reader.is_done = True
                    break
        except BrokenEventError as error:
            raise mark_in_body(api_error(f"{display_url(response.url)}: {error}")) from None
        except EventTooLongError as error:
            raise api_error(f"{display_url(response.url)}: {error}: request fewer tokens (max_tokens)") from None
        if reader.is_done:
            drain(chunks, getattr(getattr(response.raw, "connection", None), "sock", None))
        elif not reader.count and "event-stream" not in response.headers.get("Content-Type", ""):
            raise self._not_json(response, reader.excerpt.encode())

    def _connection_error(
        self, method: str, path: str, error: Exception, in_body: bool = False
    ) -> openai.APIConnectionError:
        path = path.partition("?")[0]
        where = display_url(self.base_url) + path.removeprefix(urlsplit(self.base_url).path)
        request = httpx2.Request(method, where)
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError) and not isinstance(
            error, urllib3.exceptions.ConnectTimeoutError | requests.ConnectTimeout
        ):
            timed_out = openai.APITimeoutError(request)
            timed_out.message = f"{where} sent nothing within the timeout: raise timeout=, or request fewer tokens"
            timed_out.args = (timed_out.message,)
            return timed_out
        if in_body:
            message = f"{where}: the connection was closed before the response was complete"
        else:
            hint = route_hint(self.base_url, REQUESTS).replace("running?", "running, is base_url right?")
            message = f"{where} can't be reached ({hint}): {cause_of(error)}"
        return openai.APIConnectionError(message=message, request=request)

    def _status_error(self, response: requests.Response) -> openai.APIStatusError:
        with response:
            content = b""
            try:
                for chunk in self.chunks(response):
                    content += chunk
                    if len(content) > MAX_ERROR_BYTES:
                        break
            except openai.APIConnectionError:
                pass
        try:
            body: Any = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        reported = message_of(body) if body is not None else page_text(content)
        if key := _key_of(response):
            reported = blotted(reported, key)
            body = None if repeats(json.dumps(body), key) else body
        message = f"{display_url(response.url)} answered {response.status_code}: {reported}"
        return status_error(response.status_code, message, as_httpx(response, content), body)


def _replay(url: str, stored: Stored) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.raw = stored.status, url, io.BytesIO(stored.body)
    response.headers["Content-Type"] = stored.content_type
    response.request = requests.Request("POST", url).prepare()
    return response


def _key_of(response: requests.Response) -> str:
    """Return the key that a request was sent with, "" for none: what follows the scheme, "Bearer" or another."""
    value = str(response.request.headers.get("Authorization") or "")
    return value.partition(" ")[2] or value


def _raise_if_error(answer: Any, key: str) -> None:
    """Raise the error that a body with status 200 reports, without the key, which some servers repeat."""
    found = error_in(answer) if isinstance(answer, dict) else None
    if found is None:
        return
    error = error_in_body(found)
    if key and key in f"{error} {error.body}":
        error.message = error.message.replace(key, "(key)")
        error.args, error.body = (error.message,), None
    raise error


def _sleep(attempt: int, wanted: float | None) -> None:
    wait = min(FIRST_BACKOFF * 2**attempt, MAX_BACKOFF) * (1 - 0.25 * random.random()) if wanted is None else wanted
    logger.info("the request is sent again in %.2f s (retry %d)", wait, attempt + 1)
    time.sleep(wait)
