"""The events of a run, which any thread may end."""

import functools
import threading
from collections.abc import Callable

from agentkit.event import Event, Steps
from agentkit.net.abort import Aborted
from agentkit.tooling.closing import Closing


class _Mark:
    """That the events of a run that is closed by its own thread alone are closed, perhaps in the middle of a step."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class ClosableEvents:
    """The events of a run. release: releases what the run holds, also when it is called twice; None: it holds nothing.

    A generator can't be closed while another thread is inside of it. Then that thread is made to leave it: its request
    is aborted, its waiting ended; and it closes the generator itself.
    """

    def __init__(self, events: Steps, closing: Closing | None, release: Callable[[], object] | None) -> None:
        self._events = events
        self._closing = closing or _Mark()
        self._step: Callable[[], Event] = events.__next__
        if closing is not None and closing.cancel is None:  # else another thread sends, and this one polls
            self._step = functools.partial(closing.request.within, events.__next__)
        self._release = release
        self._lock = threading.Lock()
        self._is_over = False

    def __next__(self) -> Event:
        event: Event | None = None
        try:
            with self._lock:
                event = self._step()
        except (Exception, Aborted):
            if not self._closing.is_closed:
                raise
        if self._closing.is_closed:
            self.close()
            raise StopIteration
        assert event is not None
        return event

    def stop(self) -> bool:
        """End the events; what the run holds stays. Returns False where another thread has yet to do it."""
        if not self._lock.acquire(blocking=False):
            self._closing.close()
            if not self._lock.acquire(blocking=False):
                return False  # the other thread looks at `is_closed` once it has left
        try:
            self._events.close()
        finally:
            self._lock.release()
        return True

    def close(self) -> None:
        """End the events, and release what the run holds."""
        if not self._is_over and self.stop():
            if self._release is not None:
                self._release()
            self._is_over = True
