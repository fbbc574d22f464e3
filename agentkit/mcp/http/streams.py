"""Streams that a server keeps open for its own messages (GET, up to 2025-11-25). A thread reads each.

What belongs to a channel is held weakly, so that a channel that is forgotten ends its streams.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

import requests

from agentkit._threads import WORKERS
from agentkit.mcp.errors import Gone, MCPError, Unreadable
from agentkit.mcp.http.addresses import is_same_server, joined
from agentkit.mcp.http.calls import Calls
from agentkit.mcp.http.sending import Flight, Sender, chunks
from agentkit.net.abort import Aborted
from agentkit.net.event_stream import BrokenEventError, EventReader, EventTooLongError
from agentkit.net.media_type import content_type_of

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before a stream that has ended is opened again: at first, and after many times."""
LASTING = 30.0
"""A stream that was open for so many seconds has not failed at once."""
ENDPOINT_SECONDS = 5.0

PARSE_ERROR = -32700
NAMED = ("endpoint",)
"""The events of the stream of 2024-11-05 whose data is no message."""


def messages(sender: Sender, flight: Flight, response: requests.Response, reader: EventReader) -> Iterator[Any]:
    """Yield the messages of a response, whatever its Content-Type. Raises Gone when it breaks off, Unreadable for what
    is no message, Aborted."""
    body = _Body(response, flight)
    with sender.told_apart(flight):
        try:
            yield from reader.read(body)
        except (BrokenEventError, EventTooLongError) as error:
            if body.may_be_cut:
                raise Gone(f"{sender.where} closed the connection before its answer was complete") from None
            raise Unreadable(sender.blotted(f"{sender.where}: {error}", response), PARSE_ERROR) from None


def endpoint_in(message: Mapping[str, Any]) -> str | None:
    """The address for requests that the stream of an old server names; None in a message."""
    found = message.get("endpoint")
    return found if isinstance(found, str) and "jsonrpc" not in message else None


class _Body:
    """The pieces of a response, for as long as somebody waits for them: comments alone would keep a stream open.

    may_be_cut: whether it has ended with its connection, and nothing says whether that was its end.
    """

    def __init__(self, response: requests.Response, flight: Flight) -> None:
        self._response, self._flight = response, flight
        self.may_be_cut = False

    def __iter__(self) -> Iterator[bytes]:
        for each in chunks(self._response):
            if self._flight.is_aborted:
                raise Aborted
            yield each
        self.may_be_cut = ends_with_connection(self._response)


def ends_with_connection(response: requests.Response) -> bool:
    """Whether a body has neither a length nor chunks."""
    return "Content-Length" not in response.headers and not getattr(response.raw, "chunked", False)


def is_event_stream(response: requests.Response) -> bool:
    """Whether a response is a stream of events that was asked for."""
    kind = content_type_of(response.headers.get("Content-Type", ""))[0]
    return response.status_code == 200 and kind == "text/event-stream"


class _Stream:
    """A stream that is read in a thread until it is stopped. headers: of the GET request."""

    def __init__(self, sender: Sender, headers: Mapping[str, str], calls: Calls) -> None:
        self._sender = sender
        self._headers: Mapping[str, str | bytes] = {**headers, "Accept": "text/event-stream"}
        self._calls = weakref.ref(calls)
        self._flight = Flight()
        self._is_over = False
        self._stops: SimpleQueue[None] = SimpleQueue()

    def start(self) -> None:
        """Begin to read. Raises Gone."""
        try:
            WORKERS.submit(self._run)
        except RuntimeError:  # no thread can be started now
            raise Gone(f"{self._sender.where} can't be listened to: there are no more threads", sent=False) from None

    def stop(self) -> None:
        """End the stream; does not wait. A finalizer may call it in any thread, whatever that is doing: an Event has a
        lock that the thread may hold, a SimpleQueue has none."""
        self._is_over = True
        self._stops.put(None)
        self._flight.abort()

    def _pause(self, seconds: float) -> None:
        """Wait, or until the stream is stopped."""
        with contextlib.suppress(Empty):
            self._stops.get(timeout=seconds)

    def _run(self) -> None:
        raise NotImplementedError

    @contextlib.contextmanager
    def _opened(self, headers: Mapping[str, str | bytes]) -> Iterator[requests.Response]:
        with self._flight, contextlib.closing(self._sender.opened(self._flight, "GET", headers)) as response:
            yield response

    def _deliver(self, message: Any) -> None:
        calls = self._calls()
        if calls is not None:
            calls.deliver(message)


class Listening(_Stream):
    """The stream of the messages that belong to no call. It is opened again, ever more seldom, when it ends."""

    def __init__(self, sender: Sender, headers: Mapping[str, str], calls: Calls) -> None:
        super().__init__(sender, headers, calls)
        self._is_answered = threading.Event()

    def wait(self, seconds: float) -> None:
        """Wait until the stream is open, or refused: some servers drop what they have to say before."""
        self._is_answered.wait(seconds)

    def _run(self) -> None:
        try:
            self._listen()
        finally:
            self._is_answered.set()

    def _listen(self) -> None:
        wait, last_id = FIRST_WAIT, b""
        while not self._is_over:
            reader = EventReader()
            reader.last_id = last_id
            began = time.monotonic()
            with contextlib.suppress(Gone, MCPError, Aborted):
                if not self._read(reader):
                    return
            last_id = reader.last_id
            has_lasted = reader.count or time.monotonic() - began > LASTING
            wait = FIRST_WAIT if has_lasted else min(2 * wait, LONGEST_WAIT)
            self._pause(min(max(wait, reader.retry or 0.0), LONGEST_WAIT))

    def _read(self, reader: EventReader) -> bool:
        """Read the stream to its end; returns whether it is to be opened again."""
        headers = {**self._headers, "Last-Event-ID": reader.last_id} if reader.last_id else self._headers
        with self._opened(headers) as response:
            self._is_answered.set()
            if response.status_code >= 500 or response.status_code == 429:
                return True
            if not is_event_stream(response):  # most often 405: the server has no such stream
                return False
            for message in messages(self._sender, self._flight, response, reader):
                self._deliver(message)
        return True


class OldTransport(_Stream):
    """HTTP with SSE of 2024-11-05: the stream names an address for requests, and brings all answers.

    has_ended: whether the stream has ended.
    """

    def __init__(self, sender: Sender, headers: Mapping[str, str], calls: Calls) -> None:
        super().__init__(sender, headers, calls)
        self.has_ended = False
        self._endpoints: SimpleQueue[str | None] = SimpleQueue()
        self._is_named = self._is_usable = False

    def endpoint(self, seconds: float) -> str | None:
        """Wait for the address for requests; None when the server names none, or one that is not its own."""
        try:
            return self._endpoints.get(timeout=min(seconds, ENDPOINT_SECONDS))
        except Empty:
            return None

    def _run(self) -> None:
        with contextlib.suppress(Gone, MCPError, Aborted):
            self._read()
        self.has_ended = True
        self._endpoints.put(None)
        calls = self._calls()
        if calls is not None and self._is_usable:
            calls.fail(Gone(f"{self._sender.where} has closed the connection"))

    def _read(self) -> None:
        with self._opened(self._headers) as response:
            if not is_event_stream(response):
                return
            for message in messages(self._sender, self._flight, response, EventReader(named=NAMED)):
                endpoint = endpoint_in(message)
                if endpoint is not None:
                    self._name(response.url, endpoint)
                else:
                    self._deliver(message)

    def _name(self, base: str, endpoint: str) -> None:
        target = joined(base, endpoint)
        if not self._is_named:  # a server may send any number of them
            self._is_named = True
            self._is_usable = target is not None and is_same_server(base, target)
            self._endpoints.put(target if self._is_usable else None)
