"""Items are answered in the processes or threads of any `concurrent.futures.Executor`.

Each task has several items, answered in threads of its own, so that the number of the executor's workers does not limit
how many are in progress: they wait for a model.
"""

import contextlib
import os
import tempfile
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from agentkit._threads import WORKERS
from agentkit.batch import remote
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.places import Answers, Lost, is_death
from agentkit.errors import ConfigurationError

CHECK_SECONDS = 120.0
"""Seconds that the first task has, in which the agent is made."""


class ExecutorEngine:
    """See `agentkit.batch.fleet.Engine`. given: an executor, which is not shut down with the engine, or a function that
    makes one, which is asked for another when a process of it has died; a `ProcessPoolExecutor` is made anew from its
    own settings."""

    ended = ""

    def __init__(self, given: Executor | Callable[[], Executor]) -> None:
        self._make = _maker_of(given)
        self._executor = given if isinstance(given, Executor) else given()
        self._is_given = isinstance(given, Executor)
        _refuse_forks(self._executor)
        self._batch = uuid.uuid4().hex
        self._flag = Path(tempfile.gettempdir(), f"agentkit-cancel-{self._batch}")
        self._text = ""
        self._limits = (1, 1)
        self._widths: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def width(self) -> int:
        """See `Engine.width`."""
        start, most = self._limits
        with self._lock:
            return max(1, min(most, sum(self._widths.values()) or start))

    @property
    def inner(self) -> int:
        """See `Engine.inner`."""
        return max(1, self.width // slots_of(self._executor))

    def start(self, job: Job) -> None:
        """See `Engine.start`."""
        self._text = job.to_json()
        self._limits = job.at_once[1:]
        try:
            why = remote.mismatch(self._executor.submit(remote.check, self._text).result(CHECK_SECONDS))
        except TimeoutError:
            why = f"its first task did not end in {CHECK_SECONDS:.0f} s"
        except BrokenExecutor as error:
            why = f'{error} (is the program under `if __name__ == "__main__":`? its processes load it)'
        except Exception as error:  # noqa: BLE001 - of any executor
            why = f"its first task failed: {type(error).__name__}: {error}"
        if why:
            raise ConfigurationError(f"{type(self._executor).__name__} can't be used: {why}")

    def submit(self, job: Job, items: list[Item]) -> Answers:
        """See `Engine.submit`."""
        answers: Answers = Future()
        answers.set_running_or_notify_cancel()
        made = [item.as_json() for item in items]
        executor = self._executor
        owned = isinstance(executor, ProcessPoolExecutor)
        flag = "" if isinstance(executor, ThreadPoolExecutor) else str(self._flag)
        try:
            task = executor.submit(remote.answer_watched, self._text, made, self._batch, flag, owned)
        except Exception as error:  # noqa: BLE001 - it is broken, or was shut down
            answers.set_exception(Lost(str(error), begun=False))
            self._replace(executor, error)
            return answers
        task.add_done_callback(partial(self._settle, executor, answers))
        return answers

    def _settle(self, executor: Executor, answers: Answers, task: "Future[remote.Reply]") -> None:
        try:
            self._take_in(executor, answers, task)
        except BaseException as error:  # noqa: BLE001 - of an executor whose tasks end in another way
            if not answers.done():
                answers.set_exception(Lost(f"{type(error).__name__}: {error}"))

    def _take_in(self, executor: Executor, answers: Answers, task: "Future[remote.Reply]") -> None:
        error = Lost("it was cancelled") if task.cancelled() else task.exception()
        if error is not None:
            answers.set_exception(Lost(f"{type(error).__name__}: {error}", died=not isinstance(error, Lost)))
            if isinstance(error, BrokenExecutor):
                self._replace(executor, error)
            return
        reply = task.result()
        if reply["problem"]:
            self.ended = f"{type(executor).__name__} can't be used any more: {reply['problem']}"
            answers.set_exception(Lost(reply["problem"], begun=False))
            return
        with self._lock:
            self._widths[reply["process"]] = reply["width"]
        answers.set_result(reply["records"])

    def _replace(self, broken: Executor, error: Exception) -> None:
        """Make another executor in the place of one that runs no tasks any more."""
        with self._lock:
            if self._executor is not broken:
                return
            if self._make is None or not isinstance(error, BrokenExecutor):
                self.ended = (
                    f"{type(broken).__name__} takes no tasks any more ({error}): give a function that makes one, such "
                    "as `lambda: MyExecutor(8)`, and another is made when a process has died"
                )
                return
            self._executor, self._is_given = self._make(), False
            self._widths.clear()
        # In another thread: from Python 3.13 on, a pool tells the errors of its tasks while it holds the lock of this.
        WORKERS.submit(partial(broken.shutdown, wait=False))

    def lost(self, future: "Future[list[Record]]") -> bool:
        """See `Engine.lost`."""
        return is_death(future)

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        remote.cancel(self._batch)
        with contextlib.suppress(OSError):
            self._flag.touch()

    def close(self) -> None:
        """See `Engine.close`."""
        self.ended = self.ended or "it is closed"
        if not self._is_given:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self._text and isinstance(self._executor, ThreadPoolExecutor):
            remote.end(self._batch, self._text)
        with contextlib.suppress(OSError):
            self._flag.unlink()


def slots_of(executor: Executor) -> int:
    """How many tasks an executor runs at the same time; as many as there are CPUs where it doesn't say."""
    for name in ("_max_workers", "num_workers"):
        if isinstance(number := getattr(executor, name, None), int):
            return max(1, number)
    return os.cpu_count() or 1


def _maker_of(given: Executor | Callable[[], Executor]) -> Callable[[], Executor] | None:
    """What makes another executor like this one; None when nothing does."""
    if not isinstance(given, Executor):
        return given
    if type(given) is not ProcessPoolExecutor:
        return None
    names = ("max_workers", "mp_context", "initializer", "initargs", "max_tasks_per_child")
    found: dict[str, Any] = {name: getattr(given, f"_{name}", None) for name in names}
    return partial(ProcessPoolExecutor, **{name: value for name, value in found.items() if value is not None})


def _refuse_forks(executor: Executor) -> None:
    """Raise ConfigurationError for a pool that forks: a batch has threads, and a lock that one of them holds at a fork
    is held for good in the child."""
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ConfigurationError(
            "a process pool that forks would hang sooner or later, since this program has threads: "
            'ProcessPoolExecutor(..., mp_context=multiprocessing.get_context("spawn"))'
        )
