"""A job queue: the jobs of one session run one at a time in order of arrival, different sessions run concurrently.

A barrier is a job of all sessions of a group: it runs when those before it are done, and those behind it wait for it.
"""

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

J = TypeVar("J")


@dataclass(eq=False)
class _Entry(Generic[J]):
    """A job with its key, and the group of keys that it belongs to ("": none)."""

    key: str
    job: J
    group: str
    is_barrier: bool


@dataclass
class _Group(Generic[J]):
    """open: the number of its jobs that wait in the queues of their keys, or run. held: its first barrier that is not
    done, unless that may run, and all that has come behind it. is_barred: whether a barrier may run, or runs."""

    open: int = 0
    held: deque[_Entry[J]] = field(default_factory=deque)
    is_barred: bool = False

    def take(self) -> Iterator[_Entry[J]]:
        """What needs to wait no longer."""
        while self.held and not self.is_barred:
            if self.held[0].is_barrier and self.open:
                return
            entry = self.held.popleft()
            self.open += 1
            self.is_barred = entry.is_barrier
            yield entry


class SessionQueue(Generic[J]):
    """Runs jobs on worker threads.

    workers: maximum number of jobs run concurrently. capacity: maximum number of waiting jobs. work: processes a job
    and must not raise. It returns None when the job is done, else the seconds after which it is tried again; until then
    its session waits, unless `wake` is called.
    """

    def __init__(self, workers: int, capacity: int, work: Callable[[J], float | None]) -> None:
        self._capacity = capacity
        self._work = work
        self._waiting: dict[str, deque[_Entry[J]]] = {}
        self._groups: dict[str, _Group[J]] = {}
        self._ready: deque[str] = deque()
        self._asleep: dict[str, float] = {}
        self._alarms: list[tuple[float, str]] = []
        self._running = 0
        self._count = 0
        self._is_stopped = False
        self._changed = threading.Condition()
        self._workers = workers

    def start(self) -> None:
        """Start the worker threads."""
        for number in range(self._workers):
            threading.Thread(target=self._run, name=f"agentkit-worker-{number}", daemon=True).start()

    def __len__(self) -> int:
        return self._count

    @property
    def is_stopped(self) -> bool:
        """Whether the queue has been stopped and accepts no more jobs."""
        return self._is_stopped

    @property
    def fill_ratio(self) -> float:
        """Number of waiting jobs divided by the capacity; exceeds 1 if `put` ignored the capacity."""
        return self._count / self._capacity

    def put(self, key: str, job: J, *, always: bool = False, group: str = "", is_barrier: bool = False) -> bool:
        """Append a job to the jobs of its key.

        always: ignore the capacity. group: of keys, for which a job may be a barrier. Returns False when the queue is
        full or stopped.
        """
        entry = _Entry(key, job, group, is_barrier)
        with self._changed:
            if self._is_stopped or (self._count >= self._capacity and not always):
                return False
            self._count += 1
            if group:
                state = self._groups.setdefault(group, _Group())
                state.held.append(entry)
                self._release(state)
            else:
                self._enqueue(entry)
            return True

    def _release(self, group: _Group[J]) -> None:
        for entry in group.take():
            self._enqueue(entry)

    def _enqueue(self, entry: _Entry[J]) -> None:
        queue = self._waiting.get(entry.key)
        if queue is None:  # no job of this key is waiting or running
            self._waiting[entry.key] = deque([entry])
            self._ready.append(entry.key)
        else:
            queue.append(entry)
        self._changed.notify()

    def wake(self, key: str) -> None:
        """Try the first job of a key now, if it is one that is to be tried again later."""
        with self._changed:
            if self._asleep.pop(key, None) is not None:
                self._ready.append(key)
                self._changed.notify()

    def stop(self, seconds: float) -> list[J]:
        """Accept no more jobs, and wait up to that many seconds for running ones. Returns the jobs not started."""
        end = time.monotonic() + seconds
        with self._changed:
            self._is_stopped = True
            unstarted = [entry.job for queue in self._waiting.values() for entry in queue]
            unstarted += [entry.job for group in self._groups.values() for entry in group.held]
            self._ready.clear()
            self._asleep.clear()
            self._changed.notify_all()
            while self._running and time.monotonic() < end:
                self._changed.wait(min(0.1, max(0.0, end - time.monotonic())))
        return unstarted

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            pause: float | None = None
            try:
                pause = self._work(taken.job)
            finally:
                self._finish(taken, pause)

    def _next(self) -> _Entry[J] | None:
        """Wait for the next job; None when the queue is stopped."""
        with self._changed:
            while not self._ready:
                if self._is_stopped:
                    return None
                self._changed.wait(self._seconds_to_alarm())
                self._wake_due()
            key = self._ready.popleft()
            self._count -= 1
            self._running += 1
            return self._waiting[key].popleft()

    def _finish(self, entry: _Entry[J], pause: float | None) -> None:
        key = entry.key
        with self._changed:
            self._running -= 1
            if pause is not None:
                self._waiting[key].appendleft(entry)
                self._count += 1
            elif entry.group:
                self._leave_group(entry)
            if not self._waiting[key]:
                del self._waiting[key]
            elif pause and not self._is_stopped:
                self._asleep[key] = time.monotonic() + pause
                heapq.heappush(self._alarms, (self._asleep[key], key))
            elif not self._is_stopped:
                self._ready.append(key)
            if self._is_stopped or pause:  # all that wait have to know when
                self._changed.notify_all()
            elif self._ready:
                self._changed.notify()

    def _leave_group(self, entry: _Entry[J]) -> None:
        group = self._groups[entry.group]
        group.open -= 1
        group.is_barred = group.is_barred and not entry.is_barrier
        self._release(group)
        if not group.open and not group.held:
            del self._groups[entry.group]

    def _seconds_to_alarm(self) -> float | None:
        return max(0.0, self._alarms[0][0] - time.monotonic()) if self._alarms else None

    def _wake_due(self) -> None:
        while self._alarms and self._alarms[0][0] <= time.monotonic():
            at, key = heapq.heappop(self._alarms)
            if self._asleep.get(key) == at:  # it was not woken meanwhile
                del self._asleep[key]
                self._ready.append(key)
