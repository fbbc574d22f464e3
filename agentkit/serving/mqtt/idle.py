"""For how long a session has not been written to, on devices whose clock is set while they run."""

import time
from collections.abc import Callable
from datetime import datetime

SET = 5.0
"""Seconds by which the clock is ahead of what has passed since the last look, from which on it was set: a device
without a battery for its clock begins years ago, until a time server has answered."""


class IdleTimes:
    """The ages of sessions, of which none was idle before the clock was set forward: their times may be those of the
    clock before.

    clock: seconds since 1970. steady: those of a clock that nobody sets.
    """

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()
        self._set_at: float | None = None

    def look(self) -> None:
        """Notice whether the clock was set forward since the last look."""
        steady = self._steady()
        ahead = self._clock() - steady
        if ahead - self._ahead > SET:
            self._set_at = steady
        self._ahead = ahead

    def seconds(self, updated: datetime) -> float:
        """For how long a session was not written to, as of the last look; at most the time since the clock was set."""
        age = self._steady() + self._ahead - updated.timestamp()
        return age if self._set_at is None else min(age, self._steady() - self._set_at)
