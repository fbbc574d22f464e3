"""JSON over HTTP to one model server: connections that are kept, retries, timeouts, server-sent events and errors.

Errors are the openai package's classes, so that one `except` serves all backends. The package is imported to raise
them, and not before. Retries follow its rules (`net.retries`).
"""

import contextlib
import functools
import http.client
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from typing import Any, cast

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import DEBUG, logger_of
from agentkit._text import json_bytes
from agentkit.errors import ConfigurationError
from agentkit.net.connections import REFUSED_WHILE_SENDING, Connection, Connections
from agentkit.net.content_coding import accepted
from agentkit.net.dialling import failures
from agentkit.net.error_body import error_in
from agentkit.net.error_kinds import is_timeout_error
from agentkit.net.error_text import display_url
from agentkit.net.event_stream import BrokenEventError, EventReader, EventTooLongError
from agentkit.net.exchanges import Stored, exchanged
from agentkit.net.gates import Gates, in_turn
from agentkit.net.http_response import BodyTooLargeError, Response
from agentkit.net.keys import checked_key
from agentkit.net.outgoing import URLLIB3, check_environment
from agentkit.net.parsed_url import parsed_url
from agentkit.net.retries import Retries
from agentkit.net.sent_headers import ChangedHeaders, SentHeaders
from agentkit.net.server_urls import basic_authorization, joined, origin_of, parts_of, placed
from agentkit.net.time_limits import Limits, Timeout, limits_of
from agentkit.net.trace_headers import trace_headers
from agentkit.net.wording import OWN, Wording

logger = logger_of("agentkit.http")

MAX_BYTES = 200_000_000
MAX_REDIRECTS = 5
Events = Generator[dict[str, Any], None, bool]

_STALE = (http.client.RemoteDisconnected, ConnectionAbortedError, *REFUSED_WHILE_SENDING)
MAX_ELSEWHERE = 8
"""To how many other servers, to which this one redirects, connections are kept."""
_REDIRECTS = {307: ("GET", "POST"), 308: ("GET", "POST"), 301: ("GET",), 302: ("GET",), 303: ("GET",)}
"""Which methods stay what they are when a response with such a status is followed."""


class Transport:
    """A client of one server; thread-safe.

    base_url: the URL before the paths; a query in it is sent with each. timeout: seconds of each read, or (connecting,
    each read), or (connecting, each read, all of one attempt); None: no limit. max_retries: maximum retries of a
    request that failed before any of its response arrived; None: see `net.retries`. headers: sent with each request.
    final: statuses that are not retried. max_bytes: maximum size of a whole response body in bytes. wording: what
    errors say.

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
        timeout: Timeout | None = 600.0,
        max_retries: int | None = 2,
        headers: Mapping[str, str] | None = None,
        final: Collection[int] = (),
        max_bytes: int = MAX_BYTES,
        wording: Wording = OWN,
    ) -> None:
        base_url = base_url.strip()
        parts = parts_of(base_url)
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.max_retries = max_retries
        self.wording = wording
        self._final = frozenset(final)
        self.max_bytes = max_bytes
        self._key = checked_key(api_key, "api_key") or ""
        check_environment(base_url, URLLIB3)
        usual = {"User-Agent": _user_agent(), "Accept": "application/json, text/event-stream"}
        usual["accept-encoding"] = accepted()
        bearer = f"Bearer {self._key}" if self._key else ""
        authorization = basic_authorization(parts.username, parts.password) or bearer
        if authorization:
            usual["authorization"] = authorization
        self._headers = SentHeaders(usual).with_added(headers or {})
        self._with_body = SentHeaders({"content-type": "application/json"}).with_added(dict(self._headers.items()))
        self._connections = Connections(base_url)
        self._elsewhere: dict[str, Connections] = {}
        self._lock = freed_by_forks(threading.Lock())
        self._targets: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        with self._lock:
            made = [self._connections, *self._elsewhere.values()]
        for each in made:
            each.close()

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of a GET request. options: as of `post`. Raises what `post` raises."""
        return self._json(self.answered("GET", path, None, whole=True, **options))

    def find(self, path: str, **options: Any) -> Any:
        """Return the JSON of a GET request; None where the server has none, or refuses it. path: may be a whole URL of
        this server. Raises APIConnectionError and APITimeoutError of the openai package."""
        response = self.answered("GET", path, None, whole=True, returns_refusals=True, **options)
        with response, contextlib.suppress(ValueError, RecursionError):
            if response.status_code < 300:
                return json.loads(response.content or b"")
        return None

    def post(self, path: str, body: Mapping[str, Any], **options: Any) -> Any:
        """Send JSON and return the JSON of the response.

        options: timeout, headers, max_retries. Raises APIConnectionError when the server can't be reached,
        APITimeoutError when it does not respond in time, APIStatusError and its subclasses for an error status,
        APIResponseValidationError when the body is not JSON, and the error that a body with status 200 reports.
        """
        return self.exchange(path, body, **options)[1]

    def exchange(self, path: str, body: Mapping[str, Any] | bytes, **options: Any) -> tuple[Mapping[str, str], Any]:
        """Do what `post` does, and return the headers of the response and its JSON."""
        response = self.answered("POST", path, body, whole=True, **options)
        answer = self._json(response)
        _raise_if_error(answer, response.key)
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
        events = self._events(path, body, self._retries(max_retries), options)
        headers = next(events)
        return headers, cast(Events, events)

    def _events(
        self, path: str, body: Mapping[str, Any] | bytes, retries: Retries, options: Mapping[str, Any]
    ) -> Generator[Any, None, bool]:
        """Yield the headers once the server has responded, then the events; return whether the server has said that
        they were all."""
        has_answered = False
        while True:
            response = self.answered("POST", path, body, retries=retries, **options)
            has_begun, reader = False, EventReader(self.max_bytes)
            try:
                if not has_answered:
                    has_answered = True
                    yield response.headers
                for event in self._events_of(response, reader):
                    has_begun = True
                    yield event
                if has_begun or not retries.after_failure():
                    return reader.is_done
            except failures() as error:
                if has_begun or not retries.after_failure():
                    raise self.broken(response, error, has_begun) from error
            finally:
                response.close()

    def _retries(self, most: int | None) -> Retries:
        return Retries(self.max_retries if most is None else most, self._final)

    def answered(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        *,
        timeout: Timeout | None = None,
        headers: Mapping[str, str | None] | ChangedHeaders | None = None,
        max_retries: int | None = None,
        retries: Retries | None = None,
        whole: bool = False,
        returns_refusals: bool = False,
    ) -> Response:
        """Return a response without an error status. Raises what `post` raises for others.

        whole: whether its body is loaded; otherwise it is not read yet. retries: of a request that was sent before.
        returns_refusals: whether a response with an error status is returned, and not raised.
        """
        data = body if body is None or isinstance(body, bytes) else json_bytes(body)
        limits = limits_of(self.timeout if timeout is None else timeout)
        retries = retries or self._retries(max_retries)
        while True:
            try:
                response = self._sent(method, path, data, limits, headers, retries)
                if whole and response.status_code < 400:
                    response.load(self.max_bytes)
            except failures() as error:
                if not retries.after_failure(error):
                    raise self._unanswered(method, path, error) from error
                continue
            except BodyTooLargeError:
                raise self._too_large(path) from None
            if response.status_code < 400:
                return response
            if not retries.after(response):
                if returns_refusals:
                    return response
                raise self._refused(response)

    def _sent(
        self,
        method: str,
        path: str,
        data: bytes | None,
        limits: Limits,
        headers: Mapping[str, str | None] | ChangedHeaders | None,
        retries: Retries,
    ) -> Response:
        url = self._url_of(path)
        sent = self._headers_of(data, headers)

        def send() -> Response:
            return self._followed(method, url, data, sent, limits)

        gates = retries.gates if method == "POST" else None
        sending = send if gates is None else functools.partial(_in_turn, gates, url, send)
        return exchanged(method, url, lambda: data or b"", sending, functools.partial(_replayed, method, url))

    def _url_of(self, path: str) -> str:
        """The URL of a path, which may be a whole one of this server."""
        return placed(self.base_url, path)

    def _headers_of(self, data: bytes | None, own: Mapping[str, str | None] | ChangedHeaders | None) -> SentHeaders:
        """The headers of a request."""
        usual, traced = self._headers if data is None else self._with_body, trace_headers()
        if not own and not traced:
            return usual
        return usual.with_added(traced, own or {})

    def _followed(self, method: str, url: str, data: bytes | None, headers: SentHeaders, limits: Limits) -> Response:
        """The response to a request, and to where it redirects, if the request stays what it is."""
        connections = self._connections
        for _ in range(MAX_REDIRECTS):
            response = self._exchanged(connections, method, url, data, headers, limits)
            location = response.headers.get("location") if method in _REDIRECTS.get(response.status_code, ()) else None
            target = joined(url, str(location)) if location else None
            if target is None:
                return response
            response.close()
            if origin_of(target) != origin_of(url):
                headers = headers.for_any_server()
                connections = self._to(target)
            url = target
        return self._exchanged(connections, method, url, data, headers, limits)

    def _to(self, url: str) -> Connections:
        """The connections to the server of a URL to which this server redirects. Those that are kept no longer are
        closed when no thread uses them any more."""
        origin = origin_of(url)
        if origin == origin_of(self.base_url):
            return self._connections
        with self._lock:
            found = self._elsewhere.get(origin)
            if found is None:
                found = self._elsewhere[origin] = Connections(url)
                if len(self._elsewhere) > MAX_ELSEWHERE:
                    del self._elsewhere[next(iter(self._elsewhere))]
        return found

    def _exchanged(
        self,
        connections: Connections,
        method: str,
        url: str,
        data: bytes | None,
        headers: SentHeaders,
        limits: Limits,
    ) -> Response:
        """The response to one request. A kept connection that the server has closed meanwhile costs a new one, and no
        retry."""
        started = time.monotonic()
        connection = connections.take(limits.connecting)
        try:
            raw = self._raw(connection, method, url, data, headers, limits)
        except _STALE:
            if not connection.may_be_stale:
                raise
            connection = connections.take(limits.connecting, is_new=True)
            raw = self._raw(connection, method, url, data, headers, limits)
        if logger.isEnabledFor(DEBUG):
            shown = display_url(url)
            kept = "kept" if connection.is_reused else "new"
            took = time.monotonic() - started
            logger.debug("%s %s: %d after %.3f s on a %s connection", method, shown, raw.status, took, kept)
        give_back = functools.partial(connections.give_back, connection)
        return Response(raw, method, url, headers.key, connection, give_back)

    def _raw(
        self,
        connection: Connection,
        method: str,
        url: str,
        data: bytes | None,
        headers: SentHeaders,
        limits: Limits,
    ) -> http.client.HTTPResponse:
        raw = None
        try:
            connection.limit(limits.all)
            raw = connection.exchange(method, self._target(url), data, headers, limits.reading)
            connection.check()
            if raw.status == 101:
                raise http.client.UnknownProtocol("the server switches to another protocol")
            return raw
        except BaseException as error:
            if raw is not None:
                raw.close()
            connection.fail(error)
            if isinstance(error, ValueError) and not isinstance(error, OSError):  # its text has a header, perhaps a key
                raise ConfigurationError("a header of a request can't be sent (it is not shown here)") from None
            raise

    def _target(self, url: str) -> str:
        """The path and the query of a URL, as they are sent."""
        found = self._targets.get(url)
        if found is None:
            found = parsed_url(url).target
            if len(self._targets) < 100:
                self._targets[url] = found
        return found

    def _json(self, response: Response) -> Any:
        """The JSON of a loaded response, whatever its Content-Type."""
        content = response.content or b""
        with contextlib.suppress(ValueError, RecursionError):
            if response.status_code < 300:
                return json.loads(content)
        from agentkit.net.api_errors import not_json

        raise not_json(response, content[:300].decode("utf-8", "replace"))

    def _events_of(self, response: Response, reader: EventReader) -> Iterator[dict[str, Any]]:
        from agentkit.net import api_errors

        try:
            for event in reader.read(response.pieces()):
                _raise_if_error(event, response.key)
                yield event
                if event.get("finished"):  # LightLLM's own stream ends without [DONE]
                    reader.is_done = True
                    break
        except BrokenEventError as error:
            message = f"{display_url(response.url)}: {error}"
            broken = api_errors.mark_in_body(api_errors.api_error(message))
            raise api_errors.without_key(broken, response.key) from None
        except EventTooLongError as error:
            message = f"{display_url(response.url)}: {error}: request fewer tokens (max_tokens)"
            raise api_errors.api_error(message) from None
        if reader.is_done:
            response.drain()
        elif not reader.count and "event-stream" not in response.media_type:
            raise api_errors.not_json(response, reader.excerpt)

    # What is raised

    def broken(self, response: Response, error: Exception, may_be_repeated: bool = False) -> Exception:
        """The openai package's error for a body that broke off; any other error as it is. may_be_repeated: whether it
        is marked as one for which no client has sent the request again."""
        if not isinstance(error, failures()):
            return error
        from agentkit.net import api_errors

        made = api_errors.connection_error(self.base_url, response.method, response.url, error, self.wording, True)
        return api_errors.mark_in_body(made) if may_be_repeated and not is_timeout_error(made) else made

    def _unanswered(self, method: str, path: str, error: Exception) -> Exception:
        from agentkit.net import api_errors

        return api_errors.connection_error(self.base_url, method, self._url_of(path), error, self.wording, False)

    def _refused(self, response: Response) -> Exception:
        from agentkit.net import api_errors

        return api_errors.refused(response, self.wording)

    def _too_large(self, path: str) -> Exception:
        from agentkit.net import api_errors

        return api_errors.too_large(self._url_of(path), self.max_bytes)


def _in_turn(gates: Gates, url: str, send: Callable[[], Response]) -> Response:
    turn, response = in_turn(gates, url, send)
    response.turn, response.on_end = turn, turn.ended
    return response


def _raise_if_error(answer: Any, key: str) -> None:
    """Raise the error that a body with status 200 reports, without the key, which some servers repeat."""
    found = error_in(answer) if isinstance(answer, dict) else None
    if found is not None:
        from agentkit.net.api_errors import error_in_body, without_key

        raise without_key(error_in_body(found), key)


def _replayed(method: str, url: str, stored: Stored) -> Response:
    """The response that is stored."""
    raw: Any = _StoredResponse(stored)
    return Response(raw, method, url, "", None, lambda: None)


class _StoredResponse(io.BytesIO):
    """A stored response, as `http.client` has it."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored.body)
        self.status = stored.status
        self.headers = http.client.HTTPMessage()
        self.headers["content-type"] = stored.content_type


@functools.cache
def _user_agent() -> str:
    return f"agentkit/{getattr(sys.modules.get('agentkit'), '__version__', '0')}"
