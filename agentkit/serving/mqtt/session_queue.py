"""A job queue: the jobs of one session run one at a time in order of arrival, different sessions run concurrently."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

J = TypeVar("J")


class SessionQueue(Generic[J]):
    """Runs jobs on worker threads.

    workers: maximum number of jobs run concurrently. capacity: maximum number of waiting jobs. work: processes a job
    and must not raise; if it returns False, the job is tried again after jobs of other sessions.
    """

    def __init__(self, workers: int, capacity: int, work: Callable[[J], bool]) -> None:
        self._capacity = capacity
        self._work = work
        self._waiting: dict[str, deque[J]] = {}
        self._ready: deque[str] = deque()
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

    def put(self, key: str, job: J, *, always: bool = False) -> bool:
        """Append a job to the jobs of its key.

        always: ignore the capacity. Returns False when the queue is full or stopped.
        """
        with self._changed:
            if self._is_stopped or (self._count >= self._capacity and not always):
                return False
            queue = self._waiting.get(key)
            if queue is None:  # no job of this key is waiting or running
                self._waiting[key] = deque([job])
                self._ready.append(key)
            else:
                queue.append(job)
            self._count += 1
            self._changed.notify()
            return True

    def stop(self, seconds: float) -> list[J]:
        """Accept no more jobs, and wait up to that many seconds for running ones. Returns the jobs not started."""
        end = time.monotonic() + seconds
        with self._changed:
            self._is_stopped = True
            unstarted = [job for queue in self._waiting.values() for job in queue]
            self._ready.clear()
            self._changed.notify_all()
            while self._running and time.monotonic() < end:
                self._changed.wait(min(0.1, max(0.0, end - time.monotonic())))
        return unstarted

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    if self._is_stopped:
                        return
                    self._changed.wait()
                key = self._ready.popleft()
                job = self._waiting[key].popleft()
                self._count -= 1
                self._running += 1
            is_done = True
            try:
                is_done = self._work(job)
            finally:
                with self._changed:
                    self._running -= 1
                    if not is_done:
                        self._waiting[key].appendleft(job)
                        self._count += 1
                    if not self._waiting[key]:
                        del self._waiting[key]
                    elif not self._is_stopped:
                        self._ready.append(key)
                    self._changed.notify_all()
