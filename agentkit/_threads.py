"""A pool of daemon threads."""

import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._forking import notice_fork, take_part_in_forks

POLL_INTERVAL = 0.05
"""Seconds between two checks of what can't be waited for, such as a cancel token while a queue is read."""

END_SECONDS = 1.0
"""Maximum seconds that a fork waits for an idle thread to end."""

SUBMITTERS: contextvars.ContextVar[frozenset[int]] = contextvars.ContextVar("submitters", default=frozenset())
"""The ids of the threads that have handed this job to another thread, the last of them perhaps waiting for it."""


class Workers:
    """As many threads as are needed at once, kept for the next job.

    Not `concurrent.futures`, which waits for each of its threads at exit, so that one hung tool would hang the program.
    These are daemon threads, and end after IDLE_SECONDS without a job, or before a fork, which they don't survive.
    """

    IDLE_SECONDS = 10.0

    def __init__(self) -> None:
        self._begin()
        take_part_in_forks(self)

    def _begin(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ended: SimpleQueue[threading.Thread] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` in a thread, with the caller's context variables."""
        notice_fork()
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
        process = os.getpid()
        while True:
            try:
                job = self._jobs.get(timeout=self.IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._idle:  # otherwise a job is already queued for this thread
                        self._idle -= 1
                        return
                continue
            if job is None:
                self._ended.put(threading.current_thread())
                return
            job()
            del job
            if os.getpid() != process:  # a job that forked has ended in the child too, where nobody waits for it
                return
            with self._lock:
                self._idle += 1

    def before_fork(self) -> None:
        """End the idle threads: from Python 3.12 on, a fork warns of threads that run."""
        with self._lock:
            count, self._idle = self._idle, 0
        for _ in range(count):
            self._jobs.put(None)
        with contextlib.suppress(Empty):
            for _ in range(count):
                self._ended.get(timeout=END_SECONDS).join(END_SECONDS)

    def after_fork(self, is_child: bool) -> None:
        """In a child: begin without threads."""
        if is_child:
            self._begin()


WORKERS = Workers()
