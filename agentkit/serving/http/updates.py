"""Passes the events of a run from its thread to the event loop, few and large ones when there are many."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

from agentkit.event import Event, ReasoningDelta, ReplyStarted, TextDelta
from agentkit.serving.exchange import Answer

Update = Event | Answer | None

INTERVAL_SECONDS = 0.02
"""Least time between two deliveries, so that a fast stream leaves the event loop to others."""

AT_ONCE = 256
"""How many events all runs together may have waiting for their deliveries."""

AT_LEAST = 4
"""How many each may have, however many runs there are."""


class Wakening:
    """Wakes one coroutine, which waits for it up to some time; asyncio's own means take several times as long."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._woken: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Wake the coroutine, if it waits. In the event loop."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Wait for `wake`, up to this time."""
        self._woken = self._loop.create_future()
        timer = self._loop.call_later(seconds, self.wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken = None


class Updates:
    """The events of one run, put by its thread and taken by a coroutine of the event loop that makes this.

    A run waits while too many of its events do: one whose client reads slowly or not at all takes no more memory, and
    many fast ones leave the processor to other requests. is_cancelled: whether the run is to end, so that it need not
    wait. count_runs: returns how many runs there are.
    """

    def __init__(self, is_cancelled: Callable[[], bool], count_runs: Callable[[], int]) -> None:
        self._is_cancelled = is_cancelled
        self._count_runs = count_runs
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Update | BaseException] = []
        self._lock = threading.Lock()
        self._has_room: threading.Condition | None = None  # made by the first that waits: most runs never do
        self._arrival = Wakening(self._loop)
        self._is_announced = False
        self._delivered = float("-inf")

    def put(self, update: Update | BaseException) -> None:
        """Add an event, from any thread but that of the event loop; waits while too many are there. One that others
        follow soon, and with which no text comes, wakes nobody."""
        with self._lock:
            while self._is_full and not self._is_cancelled():
                self._has_room = self._has_room or threading.Condition(self._lock)
                self._has_room.wait(0.1)
            if isinstance(update, ReplyStarted):
                self._waiting.append(update)
                return
        self.add(update)

    @property
    def _is_full(self) -> bool:
        count = len(self._waiting)
        return count >= AT_LEAST and count >= AT_ONCE // max(1, self._count_runs())

    def add(self, update: Update | BaseException) -> None:
        """Add an event without waiting, such as the last one. From any thread."""
        with self._lock:
            self._waiting.append(update)
            if self._is_announced:
                return
            self._is_announced = True
        with contextlib.suppress(RuntimeError):  # the event loop is closed: the service has stopped
            self._loop.call_soon_threadsafe(self._arrival.wake)

    async def take(self, seconds: float) -> list[Update | BaseException]:
        """Return all events since the last call, waiting for one up to this time."""
        early = self._delivered + INTERVAL_SECONDS - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        if not self._waiting:
            await self._arrival.wait(seconds)
        self._delivered = time.monotonic()
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._is_announced = False
            if self._has_room is not None:
                self._has_room.notify_all()
        return list(merged(taken))


class Ending:
    """The end of one run whose events nobody reads in pieces: a coroutine of the event loop that makes this is woken
    once. on_event: gets the events, in the run's thread."""

    def __init__(self, on_event: Callable[[Event], object] | None) -> None:
        self.put: Callable[[Event], object] | None = on_event
        self._loop = asyncio.get_running_loop()
        self._arrival = Wakening(self._loop)
        self._end: Answer | BaseException | None = None

    def add(self, end: Answer | BaseException) -> None:
        """The run ends; the first end counts. From any thread."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed: the service has stopped
            self._loop.call_soon_threadsafe(self._set, end)

    def _set(self, end: Answer | BaseException) -> None:
        if self._end is None:
            self._end = end
            self._arrival.wake()

    async def wait(self, seconds: float) -> Answer | BaseException | None:
        """The end; None if it has not come up to this time."""
        if self._end is None:
            await self._arrival.wait(seconds)
        return self._end


def merged(updates: list[Update | BaseException]) -> Iterator[Update | BaseException]:
    """Merge consecutive deltas of a kind, so that a busy service sends fewer and larger frames."""
    for kind, group in itertools.groupby(updates, type):
        if issubclass(kind, TextDelta | ReasoningDelta):
            yield kind("".join(each.text for each in group))  # type: ignore[union-attr]
        else:
            yield from group
