"""A pool of daemon threads."""

import contextvars
import functools
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._forking import notice_fork, take_part_in_forks

POLL_INTERVAL = 0.05
"""Seconds between two checks of what can't be waited for, such as a cancel token while a queue is read."""

END_SECONDS = 1.0
"""Maximum seconds that a fork waits for an idle thread to end."""

OF_STREAMLIT = "streamlit_script_run_ctx"
"""The attribute of a thread by which Streamlit knows for which session it works. In a thread without it
`st.session_state` is another one, and what is written is lost (streamlit/streamlit#12051,
langchain-ai/langchain#18684)."""

SUBMITTERS: contextvars.ContextVar[frozenset[int]] = contextvars.ContextVar("submitters", default=frozenset())
"""The ids of the threads that have handed this job to another thread, the last of them perhaps waiting for it."""


class LightEvent(threading.Event):
    """A `threading.Event` whose condition is made by the first thread that waits for it: each run has such events, and
    hardly any is waited for.

    No waiting thread is left: it has made the condition before it looks, under the lock of that, whether the event is
    set, and `set` looks for a condition, and takes that lock, after it has set the event.
    """

    _condition: threading.Condition | None = None

    def __init__(self) -> None:  # not that of its base, which makes a condition
        self._is_set = False

    def __repr__(self) -> str:
        kind, state = type(self), "set" if self.is_set() else "unset"
        return f"<{kind.__module__}.{kind.__qualname__} at {id(self):#x}: {state}>"

    def is_set(self) -> bool:
        """See `threading.Event.is_set`."""
        return self._is_set

    def set(self) -> None:
        """See `threading.Event.set`."""
        self._is_set = True
        if self._condition is not None:
            with self._condition:
                self._condition.notify_all()

    def clear(self) -> None:
        """See `threading.Event.clear`."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Event.wait`."""
        # Of several threads that come first at once, all get the same one: `setdefault` is a single step.
        condition = self._condition or vars(self).setdefault("_condition", threading.Condition(threading.Lock()))
        with condition:
            return self._is_set or bool(condition.wait(timeout))


def _run_for_session(session: object, job: Callable[[], None]) -> None:
    thread = threading.current_thread()
    setattr(thread, OF_STREAMLIT, session)
    try:
        job()
    finally:
        delattr(thread, OF_STREAMLIT)


class _Worker:
    """One thread of a pool, and the job that it has got."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread: threading.Thread | None = None


class Workers:
    """As many threads as are needed at once, kept for the next job.

    Not `concurrent.futures`, which waits for each of its threads at exit, so that one hung tool would hang the program.
    These are daemon threads, and end after IDLE_SECONDS without a job, or before a fork, which they don't survive. The
    one that was busy last gets the next job: if they took turns, all that a moment has needed would stay for ever.
    """

    IDLE_SECONDS = 10.0

    def __init__(self) -> None:
        self._begin()
        take_part_in_forks(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` in a thread, with the caller's context variables, and for its session of Streamlit."""
        notice_fork()
        context = contextvars.copy_context()
        context.run(SUBMITTERS.set, SUBMITTERS.get() | {threading.get_ident()})
        with self._lock:
            worker = self._idle.pop() if self._idle else _Worker()
        session = vars(threading.current_thread()).get(OF_STREAMLIT)
        if session is not None:
            job = functools.partial(_run_for_session, session, job)
        worker.jobs.put(functools.partial(context.run, job))
        if worker.thread is None:
            worker.thread = threading.Thread(target=self._work, args=(worker,), name="agentkit-tool", daemon=True)
            worker.thread.start()

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

    def _work(self, worker: _Worker) -> None:
        process = os.getpid()
        while True:
            try:
                job = worker.jobs.get(timeout=self.IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if worker in self._idle:  # otherwise a job is already on its way to this thread
                        self._idle.remove(worker)
                        return
                continue
            if job is None:
                return
            job()
            del job
            if os.getpid() != process:  # a job that forked has ended in the child too, where nobody waits for it
                return
            with self._lock:
                self._idle.append(worker)

    def before_fork(self) -> None:
        """End the idle threads: from Python 3.12 on, a fork warns of threads that run."""
        with self._lock:
            ending, self._idle = self._idle, []
        for each in ending:
            each.jobs.put(None)
        end = time.monotonic() + END_SECONDS
        for each in ending:
            if each.thread is not None:
                each.thread.join(max(0.0, end - time.monotonic()))

    def after_fork(self, is_child: bool) -> None:
        """In a child: begin without threads."""
        if is_child:
            self._begin()


WORKERS = Workers()
