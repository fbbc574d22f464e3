"""Items answered in threads of this process: each takes an item, answers it, and takes the next."""

import threading
import time
from collections.abc import Callable, Sequence

from agentkit.batch.fleet import Feed
from agentkit.batch.item import Item
from agentkit.batch.job import Job
from agentkit.batch.pace import ServerPaces, pace_here
from agentkit.batch.worker import Worker, timed_out
from agentkit.net.abort import AbortingEvent

WATCH_INTERVAL = 1.0
"""Seconds between two looks for runs that don't end."""


class _Lane:
    """A thread that answers items. item, began: what it answers and since when, where runs are watched. is_left: nobody
    waits any more for what it does."""

    def __init__(self) -> None:
        self.item: Item | None = None
        self.began = 0.0
        self.is_left = False


class ThreadFleet:
    """As many threads as runs should be in progress; daemon threads, since a hung tool must not keep the program."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._lanes: list[_Lane] = []
        self._most = 1_000_000
        self._cancel = AbortingEvent()
        self._is_over = self._is_closed = self._is_watched = False
        self._feed: Feed | None = None
        self._worker: Worker | None = None
        self._paces: ServerPaces | None = None
        self._leave: Callable[[], object] = lambda: None

    @property
    def width(self) -> int:
        """See `Fleet.width`."""
        return self._paces.width if self._paces is not None else 0

    def start(self, job: Job, feed: Feed) -> None:
        """See `Fleet.start`."""
        job.agent_here()
        self._paces = pace_here(job)
        self._worker = Worker(job, self._paces)
        self._feed = feed
        self._leave = self._paces.on_change(self._grow)
        self._is_watched = job.run_seconds is not None
        self._grow()
        if self._is_watched:
            watch = threading.Thread(target=self._watch, args=(job.run_seconds,), name="agentkit-batch", daemon=True)
            watch.start()

    def _grow(self) -> None:
        with self._lock:
            while not self._is_over and len(self._lanes) < min(self.width, self._most):
                self._add_lane()

    def _add_lane(self) -> None:
        lane = _Lane()
        try:
            threading.Thread(target=self._work, args=(lane,), name="agentkit-batch", daemon=True).start()
        except RuntimeError:  # the system has no more threads for this program
            self._most = len(self._lanes)
            if not self._lanes:
                raise
        else:
            self._lanes.append(lane)

    def _work(self, lane: _Lane) -> None:
        try:
            while self._goes_on(lane):
                if not self._answer_next(lane):
                    break
        except BaseException as error:  # noqa: BLE001 - a lane that ends without a word would be waited for
            assert self._feed is not None
            self._feed.fail(error)
            self._end(lane)

    def _answer_next(self, lane: _Lane) -> bool:
        """Answer an item; False where the lane ends."""
        assert self._feed is not None
        assert self._worker is not None
        taken: Sequence[Item] = self._feed.take()
        if not taken:
            self._end(lane)
            return False
        item = taken[0]
        if self._is_watched:
            with self._lock:
                lane.began, lane.item = time.monotonic(), item
        record = self._worker.answer(item, self._cancel)
        if self._is_watched:
            with self._lock:
                lane.item = None
                if lane.is_left:
                    return False
        self._feed.put(item, record)
        return True

    def _goes_on(self, lane: _Lane) -> bool:
        """Whether a lane takes another item: it ends where there are more of them than runs should be in progress."""
        if len(self._lanes) <= self.width:
            return True
        with self._lock:
            if len(self._lanes) > self.width and not self._is_over:
                self._lanes.remove(lane)  # another one stays: `join` waits on
                return False
            return True

    def _end(self, lane: _Lane) -> None:
        """There is nothing more to take."""
        with self._lock:
            self._is_over = True
            self._forget(lane)

    def _forget(self, lane: _Lane) -> None:
        with self._lock:
            if lane in self._lanes:
                self._lanes.remove(lane)
            if not self._lanes:
                self._changed.notify_all()

    def _watch(self, most: float) -> None:
        """Leave runs behind that have outlived their limit."""
        while not self._is_closed:
            time.sleep(WATCH_INTERVAL)
            for lane, item in self._overdue(most):
                assert self._feed is not None
                self._feed.put(item, timed_out(item, lane.began))
                self._forget(lane)  # before that, the batch has not ended
            self._grow()

    def _overdue(self, most: float) -> list[tuple[_Lane, Item]]:
        late = time.monotonic() - most
        with self._lock:
            found = [
                (lane, lane.item)
                for lane in self._lanes
                if lane.item is not None and lane.began < late and not lane.is_left
            ]
            for lane, _ in found:
                lane.is_left = True
        return found

    def join(self, seconds: float | None) -> bool:
        """See `Fleet.join`."""
        with self._lock:
            return self._changed.wait_for(lambda: self._is_over and not self._lanes, seconds)

    def cancel(self) -> None:
        """See `Fleet.cancel`."""
        self._cancel.set()

    def close(self) -> None:
        """See `Fleet.close`."""
        self._cancel.set()
        with self._lock:
            if not self._is_closed:
                self._leave()
            self._is_over = self._is_closed = True
        if self._worker is not None:
            self._worker.close()
