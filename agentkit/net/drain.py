"""Reads the last bytes of a response whose content has arrived, so that its connection can be reused.

An event stream ends (`[DONE]`) before its HTTP message does. A client that stops reading in between closes the
connection and pays for a new one, with TLS, at every turn; the openai package does so.
"""

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.net.abort import shut_down

DRAIN_SECONDS = 0.1
"""Maximum time, in seconds, to wait for the end of a response; then its connection is shut down."""

_IDLE_POLLS = 40


class _DrainTimer:
    """Shuts down connections that are not removed in time; one thread, running while there are any, watches all."""

    def __init__(self) -> None:
        self._lock = freed_by_forks(threading.Lock())
        self._due: dict[socket.socket, float] = {}
        self._is_running = False
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: begin without connections and thread."""
        self._due, self._is_running = {}, False

    def add(self, connection: socket.socket) -> None:
        """Shut the connection down after DRAIN_SECONDS."""
        with self._lock:
            self._due[connection] = time.monotonic() + DRAIN_SECONDS
            starts, self._is_running = not self._is_running, True
        if starts:
            WORKERS.submit(self._work)

    def remove(self, connection: socket.socket) -> None:
        """Stop watching a connection whose response has been read."""
        with self._lock:
            self._due.pop(connection, None)

    def _work(self) -> None:
        idle = 0
        while idle < _IDLE_POLLS:
            time.sleep(POLL_INTERVAL)
            with self._lock:
                for connection, end in list(self._due.items()):
                    if time.monotonic() >= end:
                        del self._due[connection]
                        shut_down(connection)
                idle = 0 if self._due else idle + 1
                self._is_running = idle < _IDLE_POLLS


_TIMER = _DrainTimer()


def drain(rest: Iterator[Any], connection: object) -> None:
    """Read the rest of a response, for at most DRAIN_SECONDS. connection: its socket, if there is one."""
    if not isinstance(connection, socket.socket):  # a recorded response, or a custom transport
        return
    _TIMER.add(connection)
    try:
        with contextlib.suppress(Exception):  # the content is complete already
            deque(rest, maxlen=0)
    finally:
        _TIMER.remove(connection)
