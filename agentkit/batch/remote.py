"""What an engine has run in a worker's process: a check before the first item, then items, and the end of a batch."""

import contextlib
import os
import sys
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypedDict

import agentkit
from agentkit._threads import WORKERS
from agentkit.batch.item import Item, Record
from agentkit.batch.job import Job
from agentkit.batch.made_agents import MAX_JOBS
from agentkit.batch.pace import pace_here
from agentkit.batch.worker import Worker, broken, is_of_program, timed_out
from agentkit.errors import ConfigurationError
from agentkit.net.abort import AbortingEvent

WATCH_SECONDS = 0.5
"""Seconds between two looks for what tells a worker that has no other connection to stop."""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PROCESS = uuid.uuid4().hex


class Checked(TypedDict):
    """What a worker's process is. problem: why it can't answer items of the job; "" for nothing."""

    python: str
    agentkit: str
    process: str
    problem: str


class Reply(TypedDict):
    """What comes of the items of one task. records: in the order of the items; empty with a problem. width: how many
    runs the pace of this process allows now. process: which process it is. problem: why it has answered none."""

    records: list[Record]
    width: int
    process: str
    problem: str


def process_here() -> str:
    """A name of this process that no other has, one that follows it at the same address included."""
    return f"{os.getpid()}-{_PROCESS}"


def check(job: str) -> Checked:
    """Make the agent of a job (as JSON) in this process, once for all its items."""
    return {"python": PYTHON, "agentkit": agentkit.__version__, "process": process_here(), "problem": _problem_of(job)}


def mismatch(checked: Checked) -> str:
    """Why a process that was checked can't work for this one; "" when it can."""
    for name, there, here in (
        ("Python", checked["python"], PYTHON),
        ("agentkit", checked["agentkit"], agentkit.__version__),
    ):
        if there != here:
            return f"it has {name} {there}, and this program has {here}: install the same version there"
    if checked["problem"]:
        return (
            f"it can't make the agent: {checked['problem']} (a worker has the files, packages and environment "
            "variables with which it was started, not those of this program)"
        )
    return ""


def _problem_of(job: str) -> str:
    try:
        _HELD.job(job).job.agent_here()
    except ConfigurationError as error:
        return str(error)
    except BaseException as error:
        if is_of_program(error):
            raise
        return f"{type(error).__name__}: {error}"
    return ""


def answer(job: str, items: Sequence[Mapping[str, Any]], batch: str, process: str = "") -> Reply:
    """Answer items (as JSON). batch: the name of the batch, by which it can be cancelled. process: the one they were
    sent to: where an engine runs a lost task again by itself, in another process, nothing is done.

    An engine reports an exception as it likes: there is none.
    """
    if process and process != process_here():
        return _nothing("it is another process than the one that was asked")
    cancelled = _CANCELLED.event(batch)
    problem = _problem_of(job)
    if problem:
        return _nothing(problem)
    held = _HELD.job(job)
    records = held.answer([Item.from_json(each) for each in items], cancelled)
    return {"records": records, "width": held.paces.width, "process": process_here(), "problem": ""}


def _nothing(problem: str) -> Reply:
    return {"records": [], "width": 0, "process": process_here(), "problem": problem}


def cancel(batch: str) -> None:
    """Stop what this process answers for a batch, and what it will be sent for it."""
    _CANCELLED.event(batch).set()


def end(batch: str, job: str) -> None:
    """Forget a batch that has ended, and close the agent of its job."""
    cancel(batch)
    with contextlib.suppress(Exception):
        _HELD.drop(job)


class _HeldJob:
    """A job in this process."""

    def __init__(self, text: str) -> None:
        self.job = Job.from_json(text)
        self.paces = pace_here(self.job)
        self.worker = Worker(self.job, self.paces)

    def answer(self, items: Sequence[Item], cancelled: AbortingEvent) -> list[Record]:
        """The records of items, which are answered at the same time. A run that does not end is left behind."""
        most, began = self.job.run_seconds, time.monotonic()
        records: dict[str, Record] = {}
        are_all: SimpleQueue[None] = SimpleQueue()  # woken once, when the last has ended

        def answer(item: Item) -> None:
            try:
                record = self.worker.answer(item, cancelled)
            except BaseException as error:  # noqa: BLE001 - the task waits for it
                record = broken(item, error)
            records[item.id] = record
            if len(records) == len(items):
                are_all.put(None)

        here = items[:1] if most is None else items[:0]  # a run that is never left behind needs no thread of its own
        _begin_all([partial(answer, item) for item in items[len(here) :]])
        for item in here:
            records[item.id] = self.worker.answer(item, cancelled)
        if len(records) < len(items):
            with contextlib.suppress(Empty):
                are_all.get(timeout=most)
        return [records.get(item.id) or timed_out(item, began) for item in items]


def _begin_all(works: Sequence[Callable[[], None]]) -> None:
    """Begin works in threads. Where the system has no more of them, those that there are take the others up; without
    any, RuntimeError is raised."""
    for number, work in enumerate(works):
        try:
            WORKERS.submit(work)
        except RuntimeError:
            if number == 0:
                raise


class _Held:
    """The jobs of this process, by their JSON: each is read once, and has one worker."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, _HeldJob] = OrderedDict()
        self._lock = threading.Lock()

    def job(self, text: str) -> _HeldJob:
        with self._lock:
            if text not in self._jobs:
                self._jobs[text] = _HeldJob(text)
            self._jobs.move_to_end(text)
            while len(self._jobs) > MAX_JOBS:
                self._jobs.popitem(last=False)  # its agent is used perhaps
            return self._jobs[text]

    def drop(self, text: str) -> None:
        with self._lock:
            held = self._jobs.pop(text, None)
        if held is not None:
            held.worker.close()


_HELD = _Held()


class _Cancelled:
    """An event of each batch."""

    def __init__(self) -> None:
        self._events: dict[str, AbortingEvent] = {}
        self._lock = threading.Lock()

    def event(self, batch: str) -> AbortingEvent:
        with self._lock:
            return self._events.setdefault(batch, AbortingEvent())


_CANCELLED = _Cancelled()


class _Watch:
    """Ends what a process of a pool does when a file says so, and the process when the program that owns it is gone:
    a pool has no other way to its processes than its tasks, and its processes outlive a program that was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags: dict[str, str] = {}
        self._running = 0
        self._owner = 0

    def begin(self, batch: str, flag: str, owned: bool) -> None:
        with self._lock:
            self._running += 1
            self._owner = self._owner or (os.getppid() if owned else -1)
            is_new = not self._flags
            self._flags[batch] = flag
        if is_new:
            WORKERS.submit(self._look)

    def finish(self) -> None:
        with self._lock:
            self._running -= 1

    def _look(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            with self._lock:
                flags, running = dict(self._flags), self._running
            for batch, flag in flags.items():
                if flag and os.path.exists(flag):
                    cancel(batch)
            if self._owner > 0 and os.getppid() != self._owner and not running:
                os._exit(0)  # nobody waits for it, and it would wait for tasks for good


_WATCH = _Watch()


def answer_watched(job: str, items: Sequence[Mapping[str, Any]], batch: str, flag: str, owned: bool) -> Reply:
    """`answer` in a process that can only be reached by its tasks. flag: the path of a file that is there once the
    batch is cancelled. owned: the process belongs to the program, whose end is its own."""
    _WATCH.begin(batch, flag, owned)
    try:
        return answer(job, items, batch)
    finally:
        _WATCH.finish()
