"""Jobs of one session one after another, in order of arrival; those of different sessions beside each other."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

J = TypeVar("J")


class SessionQueue(Generic[J]):
    """workers: so many jobs run at once. most: so many may wait. work: does a job, and raises nothing; False when its
    time has not come, then it is asked again after the jobs of others."""

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
        """Begin with the work."""
        for number in range(self._workers):
            threading.Thread(target=self._run, name=f"agentkit-lane-{number}", daemon=True).start()

    def __len__(self) -> int:
        return self._count

    @property
    def is_stopped(self) -> bool:
        """Whether no more is taken."""
        return self._is_stopped

    @property
    def filling(self) -> float:
        """How full it is, from 0 to 1."""
        return self._count / self._capacity

    def put(self, key: str, job: J, *, always: bool = False) -> bool:
        """Queue a job behind those of its key; False when there is no room (unless always), or it is stopped."""
        with self._changed:
            if self._is_stopped or (self._count >= self._capacity and not always):
                return False
            lane = self._waiting.get(key)
            if lane is None:  # nothing of this key waits or runs
                self._waiting[key] = deque([job])
                self._ready.append(key)
            else:
                lane.append(job)
            self._count += 1
            self._changed.notify()
            return True

    def stop(self, seconds: float) -> list[J]:
        """Take no more; wait for what runs. Gives the jobs that were not begun."""
        end = time.monotonic() + seconds
        with self._changed:
            self._is_stopped = True
            left = [job for lane in self._waiting.values() for job in lane]
            self._ready.clear()
            self._changed.notify_all()
            while self._running and time.monotonic() < end:
                self._changed.wait(min(0.1, max(0.0, end - time.monotonic())))
        return left

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
