"""What another thread closes a run with."""

import threading
import time

from agentkit._threads import POLL_INTERVAL, LightEvent
from agentkit.net.abort import AbortableRequest


class Closing(LightEvent):
    """The event `ctx.cancel` of a run that other threads may close: set when it is closed, and when `cancel` is, the
    event with which the caller cancels the run. request: the request that the run's own thread waits for."""

    def __init__(self, cancel: threading.Event | None) -> None:
        super().__init__()
        self.cancel = cancel
        self.request = AbortableRequest()
        self.is_closed = False

    def close(self) -> None:
        """Have the run end at once, in the thread that reads it."""
        self.is_closed = True
        self.set()
        self.request.abort()

    def is_set(self) -> bool:
        """Whether the run is to stop."""
        return super().is_set() or (self.cancel is not None and self.cancel.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds (None: for ever) until the run is to stop; returns whether it is."""
        if self.cancel is None:
            return super().wait(timeout)
        left = float("inf") if timeout is None else timeout
        end = time.monotonic() + left
        while not self.is_set() and left > 0:
            super().wait(min(left, POLL_INTERVAL))
            left = min(left - POLL_INTERVAL, end - time.monotonic())  # a test may have stopped the clock (freezegun)
        return self.is_set()
