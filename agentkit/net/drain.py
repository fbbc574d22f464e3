"""The last bytes of an answer whose content has come: read, so that its connection serves the next request.

A stream of events tells its end (`[DONE]`) before the HTTP message ends. Who leaves in between closes the connection,
and pays for a new one, with TLS, at every turn; the openai package does so.
"""

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.net.abort import hang_up

DRAIN_SECONDS = 0.1
"""Seconds that the end of an answer may take; then its connection is given up."""

_IDLE_POLLS = 40


class _DrainTimer:
    """Hangs up connections that are not called off in time; one thread looks after all, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[socket.socket, float] = {}
        self._at_work = False

    def add(self, connection: socket.socket) -> None:
        """Hang it up after LINGER seconds."""
        with self._lock:
            self._due[connection] = time.monotonic() + DRAIN_SECONDS
            starts, self._at_work = not self._at_work, True
        if starts:
            WORKERS.submit(self._work)

    def call_off(self, connection: socket.socket) -> None:
        """It is through."""
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
                        hang_up(connection)
                idle = 0 if self._due else idle + 1
                self._at_work = idle < _IDLE_POLLS


_TIMER = _DrainTimer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TIMER.__init__)  # type: ignore[misc]  # threads don't survive a fork


def read_out(rest: Iterator[Any], connection: object) -> None:
    """Read what is left of an answer, for LINGER seconds at most. connection: its socket, if there is one."""
    if not isinstance(connection, socket.socket):  # a recorded answer, or a transport of its own kind
        return
    _TIMER.add(connection)
    try:
        with contextlib.suppress(Exception):  # the answer is whole already
            deque(rest, maxlen=0)
    finally:
        _TIMER.call_off(connection)
