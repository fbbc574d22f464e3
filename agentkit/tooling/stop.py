"""Until when a thread waits for a tool."""

import threading
import time
from collections.abc import Callable
from typing import Any

from agentkit._lazy.records import dataclass
from agentkit._threads import POLL_INTERVAL
from agentkit.errors import ToolError

_NEVER = float("inf")


@dataclass(frozen=True)
class Stop:
    """When the wait for a call ends, though the call has not. name: the tool's. timeout: its limit in seconds, None for
    no limit. until: the `time.monotonic()` at which that is over. deadline: that of the run. cancel: the run's."""

    name: str
    timeout: float | None = None
    until: float = _NEVER
    deadline: float = _NEVER
    cancel: threading.Event | None = None

    @classmethod
    def of(cls, name: str, timeout: float | None, deadline: float | None, cancel: threading.Event | None) -> "Stop":
        """For a call that begins now. Without a value, None."""
        until = _NEVER if timeout is None else time.monotonic() + timeout
        return cls(name, timeout, until, _NEVER if deadline is None else deadline, cancel)

    @property
    def is_over(self) -> bool:
        """Whether the wait is over."""
        is_cancelled = self.cancel is not None and self.cancel.is_set()
        return is_cancelled or time.monotonic() >= min(self.deadline, self.until)

    def check(self) -> None:
        """Raise ToolError when the wait is over."""
        if self.cancel is not None and self.cancel.is_set():
            raise ToolError(f"{self.name} was stopped: the run was cancelled.")
        now = time.monotonic()
        if now >= self.deadline:
            raise ToolError(out_of_time(self.name))
        if now >= self.until:
            raise ToolError(too_slow(self.name, self.timeout or 0.0))

    def wait(self, wait: Callable[[float | None], bool], seconds: float = _NEVER) -> bool:
        """Wait at most this long; returns whether it came. wait: waits at most that many seconds (None: for ever), and
        returns the same. Raises ToolError when the wait is over before."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            patience = max(0.0, min(end, self.until, self.deadline) - time.monotonic())
            if self.cancel is not None:
                patience = min(patience, POLL_INTERVAL)
            if wait(None if patience == _NEVER else min(patience, threading.TIMEOUT_MAX)):
                return True
            if time.monotonic() >= end:
                return False

    def result_of(self, future: Any) -> Any:
        """The result of a `concurrent.futures.Future`, or of one of another library that is like it. Raises what it
        raises, and ToolError when the wait is over, after which it is cancelled."""
        ended = threading.Event()
        future.add_done_callback(lambda _: ended.set())
        try:
            self.wait(ended.wait)
        except BaseException:
            future.cancel()
            raise
        return future.result()


def out_of_time(name: str) -> str:
    """What the model is told of a call that runs when the run ends."""
    return f"{name} did not finish before the run's time was up; whether it had an effect is not known."


def stopped_meanwhile(name: str, how: str) -> str:
    """What the model is told of a call that runs when the run is stopped. how: "closed", "cancelled"."""
    return f"{name} had not finished when the run was {how}; whether it had an effect is not known."


def too_slow(name: str, timeout: float) -> str:
    """What the model is told of a call that takes longer than its tool may."""
    return f"{name} did not finish within {timeout:g} seconds."
