"""The connection to a server, as the client sees it: JSON-RPC messages go out and come in."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from agentkit._text import json_bytes
from agentkit.errors import ToolError

Message = Mapping[str, Any]
"""A JSON-RPC message."""

Heard = Callable[[Message], None]
"""Is given each message of a server that answers no request: its requests (which have an id) and notifications, but for
progress. Called by threads of the channel; must not wait."""

TOTAL = 10
"""A call that shows progress may take this many times its timeout."""
MAX_TIMEOUT = threading.TIMEOUT_MAX / TOTAL
"""Seconds; threads can't wait for longer."""


def encoded(message: Message) -> bytes:
    """A message as it is sent. Raises ToolError for one that is not JSON."""
    try:
        return json_bytes(message)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"the arguments can't be sent to the server as JSON: {error}") from None


class Patience:
    """How long a call waits. Each sign of life begins the time anew, up to a total.

    timeout: seconds without a sign of life. end: the `time.monotonic()` at which it is over in any case; None: TOTAL
    times the timeout from now. cancel: set when nobody waits for the call any more. progress: is told what the server
    reports of it.
    """

    def __init__(
        self,
        timeout: float,
        end: float | None = None,
        cancel: threading.Event | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        now = time.monotonic()
        self.timeout = timeout = min(timeout, MAX_TIMEOUT)
        self.cancel = cancel
        self._end = now + TOTAL * timeout if end is None else end
        self._until = now + timeout
        self._progress = progress
        self._questions: list[None] = []

    @property
    def left(self) -> float:
        """Seconds that are left; 0.0 when it is over or cancelled."""
        if self.is_cancelled:
            return 0.0
        until = self._end if self._questions else min(self._until, self._end)
        return max(0.0, until - time.monotonic())

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the call any more."""
        return self.cancel is not None and self.cancel.is_set()

    def heard(self, progress: str = "") -> None:
        """The server has shown that it works on the call. progress: what it says."""
        self._until = time.monotonic() + self.timeout
        if progress and self._progress is not None:
            self._progress(progress)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a person is asked, only the total counts; then the time begins anew."""
        self._questions.append(None)
        try:
            yield
        finally:
            self._questions.pop()
            self.heard()


ASKED_BY: ContextVar[Patience | None] = ContextVar("asked_by", default=None)
"""While `Heard` is given a message that has arrived on the stream of one call: the patience of that call."""


class Channel(Protocol):
    """One connection to a server, used by several threads at once.

    version: the protocol version in use, set by the client once it is known; "" before.
    """

    version: str

    def exchange(self, message: Message, patience: Patience, headers: Mapping[str, str] | None = None) -> Message:
        """Send a request and wait for the message that answers it, which has `result` or `error`. A progress
        notification with the request's token is told to `patience`. When time is up the server is told that the request
        is cancelled. headers: for a channel over HTTP.

        Raises Gone when the connection has ended or ends meanwhile, Slow when time is up, ToolError for a message that
        is not JSON.
        """
        ...

    def send(self, message: Message, patience: Patience) -> None:
        """Send a message that has no answer. Raises Gone and Slow."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, so that no request can succeed any more."""
        ...

    def close(self) -> None:
        """End the connection, and the server where it is a process of ours. May be called twice."""
        ...
