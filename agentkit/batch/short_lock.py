"""A lock for the few moments in which a thread changes what all threads of a batch share."""

import threading
import time

_PAUSES = (0.0001, 0.0005, 0.002, 0.005)
"""Seconds between two looks at a lock that is taken. Whoever has it is in the middle of something long after that, such
as reading a file: then it is waited for."""


class ShortLock:
    """Enters a lock of `threading` as a context manager, mostly without queueing for it; thread-safe.

    Python gives a lock to the first of those that wait for it, who then waits for the interpreter, which another thread
    has: that thread soon needs the lock too, and has to queue. So a queue that has begun by chance never ends, and with
    32 threads each pass through the lock is two changes of threads. Here a thread that finds the lock taken looks again
    a moment later, and nobody has it without running.
    """

    def __init__(self, lock: "threading.Lock | threading.RLock") -> None:
        self._lock = lock
        self._acquire, self._release = lock.acquire, lock.release

    def __enter__(self) -> None:
        if not self._acquire(False):
            self._wait()

    def __exit__(self, *error: object) -> None:
        self._release()

    def _wait(self) -> None:
        for pause in _PAUSES:
            time.sleep(pause)
            if self._acquire(False):
                return
        self._acquire()
