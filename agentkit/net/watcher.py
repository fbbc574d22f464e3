"""Aborts requests at their deadline, or when their run is cancelled, and shuts sockets down whose time is over: one
thread for all of a process.

A `threading.Event` can't be waited for together with others, so those of cancelled runs are looked at twenty times a
second, as long as there are any. For deadlines alone the thread sleeps until the next one, for ten seconds at most. It
ends when it has had nothing to do for a while, and before a fork.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from agentkit._forking import notice_fork, take_part_in_forks
from agentkit._lazy.logs import logger_of
from agentkit._lazy.records import dataclass
from agentkit._threads import END_SECONDS, POLL_INTERVAL
from agentkit.net.abort import shut_down

logger = logger_of("agentkit")


class Abortable(Protocol):
    """What is watched."""

    def abort(self) -> None:
        """End it, from another thread; returns at once."""


@dataclass(eq=False)
class Watched:
    """A request that is aborted at a time. deadline: that time (`time.monotonic()`); None: none. is_over: whether it is
    to be aborted now, asked again and again; None: only its deadline counts."""

    request: Abortable
    deadline: float | None = None
    is_over: Callable[[], bool] | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is to be aborted."""
        return (self.deadline is not None and now >= self.deadline) or (self.is_over is not None and self.is_over())

    def next_look(self, now: float) -> float:
        """When it has to be looked at again."""
        deadline = float("inf") if self.deadline is None else self.deadline
        return deadline if self.is_over is None else min(deadline, now + POLL_INTERVAL)


class Watcher:
    """Watches requests, in a thread that there is while it has some."""

    IDLE_SECONDS = 10.0

    def __init__(self) -> None:
        self._begin()
        take_part_in_forks(self)

    def _begin(self) -> None:
        self._watched: dict[Watched, None] = {}
        self._changed = threading.Condition()  # its lock may be taken again by a finalizer that runs meanwhile
        self._thread: threading.Thread | None = None
        self._next_look = 0.0
        self._is_ending = False

    def add(self, watched: Watched) -> None:
        """Watch a request, until it is removed or aborted."""
        notice_fork()
        with self._changed:
            self._watched[watched] = None
            if self._thread is None:
                self._start()
            elif self._sleeps_beyond(watched, time.monotonic()):
                self._changed.notify()

    def _sleeps_beyond(self, watched: Watched, now: float) -> bool:
        """Whether the thread would look too late. It may sleep on although it should have looked: where it fell asleep
        while a test had set the clock back."""
        return watched.next_look(now) < self._next_look or now > self._next_look

    def remove(self, watched: Watched) -> None:
        """Watch a request no longer. It takes no lock, since a finalizer may do it at any moment."""
        self._watched.pop(watched, None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="agentkit-watcher", daemon=True)
        self._next_look, self._is_ending = 0.0, False
        thread.start()
        self._thread = thread

    def _work(self) -> None:
        last_busy = time.monotonic()
        while True:
            self._abort_what_is_due()
            with self._changed:
                now = time.monotonic()
                watched = list(self._watched)
                last_busy = now if watched else last_busy
                idle_end = last_busy + self.IDLE_SECONDS
                if self._is_ending or now >= idle_end:
                    self._thread = None
                    return
                self._next_look = min((each.next_look(now) for each in watched), default=idle_end)
                self._changed.wait(min(max(0.0, self._next_look - now), self.IDLE_SECONDS))

    def _abort_what_is_due(self) -> None:
        now = time.monotonic()
        for each in list(self._watched):
            try:
                if not each.is_due(now):
                    continue
                self.remove(each)
                each.request.abort()
            except Exception as error:  # noqa: BLE001 - the others are watched on
                self.remove(each)
                logger.warning("a request could not be watched: %s", type(error).__name__)

    def before_fork(self) -> None:
        """End the thread: from Python 3.12 on, a fork warns of threads that run."""
        with self._changed:
            thread, self._is_ending = self._thread, True
            self._changed.notify()
        if thread is not None:
            thread.join(END_SECONDS)

    def after_fork(self, is_child: bool) -> None:
        """In the parent: go on. In a child: begin without requests."""
        if is_child:
            self._begin()
            return
        with self._changed:
            self._is_ending = False
            if self._watched and self._thread is None:
                self._start()


WATCHER = Watcher()


class _Open:
    """A socket that is shut down in time."""

    def __init__(self, watched: socket.socket) -> None:
        self._socket = watched

    def abort(self) -> None:
        shut_down(self._socket)


def shut_down_after(watched: socket.socket, seconds: float) -> Watched:
    """Shut a socket down after so many seconds, unless the result is removed from the WATCHER before."""
    made = Watched(_Open(watched), time.monotonic() + seconds)
    WATCHER.add(made)
    return made
