"""A pool of daemon threads."""

import contextvars
import functools
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

POLL_INTERVAL = 0.05
"""Seconds between two checks of what can't be waited for, such as a cancel token while a queue is read."""

SUBMITTERS: contextvars.ContextVar[frozenset[int]] = contextvars.ContextVar("submitters", default=frozenset())
"""The ids of the threads that have handed this job to another thread, the last of them perhaps waiting for it."""


class Workers:
    """As many threads as are needed at once, kept for the next job.

    Not `concurrent.futures`, which waits for each of its threads at exit, so that one hung tool would hang the program.
    These are daemon threads, and end after IDLE_SECONDS without a job.
    """

    IDLE_SECONDS = 10.0

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` in a thread, with the caller's context variables."""
        context = contextvars.copy_context()
        context.run(SUBMITTERS.set, SUBMITTERS.get() | {threading.get_ident()})
        in_context = functools.partial(context.run, job)
        with self._lock:
            if self._idle:
                self._idle -= 1
                start = False
            else:
                start = True
        self._jobs.put(in_context)
        if start:
            threading.Thread(target=self._work, name="agentkit-tool", daemon=True).start()

    def call(self, work: Callable[[], Any]) -> Any:
        """Run `work` in a thread, wait for it, and return what it returns or raise what it raises."""
        results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

        def job() -> None:
            try:
                results.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                results.put((None, error))

        self.submit(job)
        value, error = results.get()
        if error is not None:
            raise error
        return value

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self.IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._idle:  # otherwise a job is already queued for this thread
                        self._idle -= 1
                        return
                continue
            job()
            del job
            with self._lock:
                self._idle += 1


WORKERS = Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.__init__)  # type: ignore[misc]  # threads don't survive a fork
