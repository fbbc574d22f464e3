"""Shuts down sockets whose time is over; one thread, running while there are any, watches all."""

import socket
import threading
import time

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._threads import POLL_INTERVAL, WORKERS
from agentkit.net.abort import shut_down

_IDLE_POLLS = 40


class SocketTimer:
    """The sockets that are watched, and until when."""

    def __init__(self) -> None:
        self._lock = freed_by_forks(threading.Lock())
        self._due: dict[socket.socket, float] = {}
        self._is_running = False
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: begin without sockets and thread."""
        self._due, self._is_running = {}, False

    def add(self, watched: socket.socket, seconds: float) -> None:
        """Shut a socket down after so many seconds."""
        with self._lock:
            self._due[watched] = time.monotonic() + seconds
            starts, self._is_running = not self._is_running, True
        if starts:
            WORKERS.submit(self._work)

    def remove(self, watched: socket.socket) -> None:
        """Stop watching a socket."""
        with self._lock:
            self._due.pop(watched, None)

    def _work(self) -> None:
        idle = 0
        while idle < _IDLE_POLLS:
            time.sleep(POLL_INTERVAL)
            with self._lock:
                for watched, end in list(self._due.items()):
                    if time.monotonic() >= end:
                        del self._due[watched]
                        shut_down(watched)
                idle = 0 if self._due else idle + 1
                self._is_running = idle < _IDLE_POLLS


SOCKET_TIMER = SocketTimer()
