"""Items are answered by the workers of a Dask cluster.

Dask runs a task again, by itself and somewhere else, when a worker is gone before its result was fetched. An item must
not be asked twice, nor a question that kills its process be handed on from worker to worker, so each task is pinned to
one process, and only this program decides what becomes of a lost one. A task leaves the slot of its worker as soon as
it runs: it waits for a model, and slots are as many as CPUs.
"""

import asyncio
import contextlib
import logging
import signal
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from agentkit._lazy.logs import logger_of
from agentkit._threads import WORKERS
from agentkit.batch import remote
from agentkit.batch.arrivals import Arrivals
from agentkit.batch.item import Item
from agentkit.batch.job import Job
from agentkit.batch.places import Answers, Lost, Place, Places, is_death
from agentkit.errors import ConfigurationError, MissingExtraError

try:
    import distributed
except ModuleNotFoundError:
    raise MissingExtraError('on="dask"', "dask") from None

logger = logger_of("agentkit")

WATCH_SECONDS = 1.0
"""Seconds between two looks at which workers there are."""
CONNECT_SECONDS = 10.0
_TOGETHER = 64
_Future = Any
_Items = list[dict[str, Any]]
_T = TypeVar("_T")
_FAILURES = (Exception, asyncio.CancelledError)
"""What a call of the cluster raises; `CancelledError` where a task was cancelled."""


def answer_task(job: str, batch: str, process: str, items: list[dict[str, Any]]) -> remote.Reply:
    """`remote.answer` as a task that holds no slot of its worker."""
    distributed.secede()
    return remote.answer(job, items, batch, process)


class DaskEngine:
    """See `agentkit.batch.fleet.Engine`. client: connected to a cluster. owned: what is closed with the engine. refill:
    has workers started that are missing."""

    inner = 1
    ended = ""

    def __init__(self, client: "distributed.Client", *owned: Any, refill: Callable[[], object] | None = None) -> None:
        self._client = client
        self._owned = owned
        self._refill = refill
        self._batch = uuid.uuid4().hex
        self._text = ""
        self._arrivals = Arrivals("worker", "Dask", self._check, self._checked)
        self._pending: dict[_Future, tuple[Place, Answers]] = {}
        self._arrived: SimpleQueue[_Future | None] = SimpleQueue()
        self._leaving: SimpleQueue[tuple[Place, Answers, _Items] | None] = SimpleQueue()
        self._closed = threading.Event()

    @property
    def width(self) -> int:
        """See `Engine.width`."""
        return self._places.width

    def start(self, job: Job) -> None:
        """See `Engine.start`."""
        self._text = job.to_json()
        self._arrivals.start(job, self._look, self._closed)
        WORKERS.submit(self._watch)
        WORKERS.submit(self._send)
        WORKERS.submit(self._gather)

    @property
    def _places(self) -> Places:
        return self._arrivals.places

    def _look(self) -> None:
        """Take up the workers that have come, and leave those that have gone."""
        there: Mapping[str, Mapping[str, Any]] = self._client.scheduler_info(n_workers=-1)["workers"]
        running = {name for name, info in there.items() if info.get("status") == "running"}
        for place in self._places.all():
            if place.name not in there:
                self._drop(place)
            else:
                self._places.pause(place, is_paused=place.name not in running)
        self._arrivals.take_up(there.keys(), running)

    def _check(self, name: str) -> _Future:
        return self._client.submit(remote.check, self._text, **_pinned(name))

    def _checked(self, name: str, check: _Future) -> remote.Checked | str | None:
        """See `Arrivals`."""
        try:
            checked: remote.Checked = check.result(timeout=10)
            return checked
        except ImportError as error:
            return f"it can't load agentkit.batch ({error}): install the agentkit of this program there"
        except _FAILURES as error:
            if check.status == "error":
                return f"its first task failed: {type(error).__name__}: {error}"
            check.cancel()
            return None  # it has gone

    def _drop(self, place: Place) -> None:
        """A worker has gone, with all that it had in progress and all that was not fetched from it."""
        lost = Lost(f"the Dask worker {place.name} has gone", died=not self._was_retired(place.name))
        self._places.leave(place)
        for asked, (at, future) in list(self._pending.items()):
            if at is place and self._pending.pop(asked, None) is not None:
                asked.cancel()
                self._places.lose(place, future, lost)

    def _was_retired(self, name: str) -> bool:
        """Whether a worker has gone in an orderly way: its cluster became smaller."""
        try:
            events = self._client.get_events(name)
        except _FAILURES:  # the scheduler has gone too
            return False
        return any(isinstance(told, dict) and told.get("expected") is True for _, told in events)

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            try:
                self._look()
                if self._refill is not None:
                    self._refill()
            except _FAILURES as error:  # in a moment it may be there again
                logger.debug("the Dask scheduler did not answer: %s", error)
            if self._client.status == "closed":
                self.ended = "the Dask scheduler can't be reached any more"
                return
            self.ended = self.ended or self._arrivals.trouble()

    def submit(self, job: Job, items: list[Item]) -> Answers:
        """See `Engine.submit`."""
        place, future = self._places.choose(len(items))
        if place is None:
            return future
        self._leaving.put((place, future, [item.as_json() for item in items]))
        return future

    def _send(self) -> None:
        """Begin tasks, those for one worker together: a task alone costs twice as much."""
        while (first := self._leaving.get()) is not None:
            by_place: dict[Place, list[tuple[Answers, _Items]]] = {}
            for place, future, items in [first, *_waiting(self._leaving)]:
                by_place.setdefault(place, []).append((future, items))
            for place, tasks in by_place.items():
                try:
                    self._send_to(place, tasks)
                except _FAILURES as error:  # of a client that is being closed
                    self._lose_all([(place, future) for future, _ in tasks], Lost(str(error)))

    def _send_to(self, place: Place, tasks: "list[tuple[Answers, _Items]]") -> None:
        task = partial(answer_task, self._text, self._batch, place.process)
        try:
            asked = self._client.map(task, [items for _, items in tasks], **_pinned(place.name))
        except _FAILURES as error:
            self._lose_all([(place, future) for future, _ in tasks], Lost(str(error)))
            self.ended = f"the Dask scheduler takes no tasks any more: {type(error).__name__}: {error}"
            return
        for each, (future, _) in zip(asked, tasks, strict=True):
            self._pending[each] = place, future
            each.add_done_callback(self._arrived.put)
        if place not in self._places.all():  # it has gone since it was chosen, and they would wait for it for good
            self._drop(place)

    def _lose_all(self, tasks: "list[tuple[Place, Answers]]", lost: Lost) -> None:
        for place, future in tasks:
            self._places.lose(place, future, lost)

    def lost(self, future: Answers) -> bool:
        """See `Engine.lost`."""
        return is_death(future)

    def _gather(self) -> None:
        """Fetch results, those that are there together."""
        while (asked := self._arrived.get()) is not None:
            arrived = [each for each in [asked, *_waiting(self._arrived)] if each in self._pending]
            try:
                self._fetch(arrived)
            except _FAILURES as error:  # of a client that is being closed, or a reply of another form
                found = [self._pending.pop(each) for each in arrived if each in self._pending]
                self._lose_all(found, Lost(str(error)))

    def _fetch(self, arrived: list[_Future]) -> None:
        finished = [asked for asked in arrived if asked.status == "finished"]
        try:
            replies: list[remote.Reply] = self._client.gather(finished)
        except _FAILURES:  # a worker has gone with its results, or the scheduler
            replies = []
        for asked, reply in zip(finished, replies, strict=False):
            if (found := self._pending.pop(asked, None)) is not None:
                self._places.settle(*found, reply)
        left = [asked for asked in arrived if asked in self._pending]
        if len(arrived) > 1:
            for asked in left:
                self._fetch([asked])
        elif left:
            status = left[0].status
            found = self._pending.pop(left[0], None)
            if found is None:
                return
            place, future = found
            self._places.lose(place, future, Lost(f"a task was {status} at {place.name}", died=status == "error"))

    def cancel(self) -> None:
        """See `Engine.cancel`. It is told to the processes beside their tasks, which may be waiting for a slot."""
        WORKERS.submit(lambda: self._tell(remote.cancel, self._batch))

    def _tell(self, function: Callable[..., None], *arguments: str) -> None:
        names = [place.name for place in self._places.all()]
        with contextlib.suppress(*_FAILURES):
            self._client.run(function, *arguments, workers=names, on_error="ignore")

    def close(self) -> None:
        """See `Engine.close`."""
        self._closed.set()
        self._leaving.put(None)
        self._arrived.put(None)
        with contextlib.suppress(*_FAILURES):
            self._client.cancel([*self._pending, *self._arrivals.checks])
        if not self._owned and self._client.status == "running":
            self._tell(remote.end, self._batch, self._text)
        for each in self._owned:
            with contextlib.suppress(*_FAILURES):
                each.close()


def _waiting(queue: "SimpleQueue[_T | None]") -> list[_T]:
    """What is in a queue now, up to the None that ends it, which stays there."""
    found: list[_T] = []
    with contextlib.suppress(Empty):
        while len(found) < _TOGETHER:
            if (each := queue.get_nowait()) is None:
                queue.put(None)
                break
            found.append(each)
    return found


def _pinned(name: str) -> dict[str, Any]:
    """The options of a task that runs in one worker, and never again."""
    return {"workers": [name], "allow_other_workers": False, "retries": 0, "pure": False}


class _OfThisProgram(distributed.WorkerPlugin):  # type: ignore[misc]
    """Processes of a cluster of this machine belong to the program that started them. A Ctrl-C at its terminal reaches
    them too, and would cost what they have in progress; when they end, this program says."""

    def setup(self, worker: Any) -> None:
        """Called in the main thread of each worker, when it has started."""
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def local_cluster() -> DaskEngine:
    """An engine on a cluster of processes of this machine, which is closed with it. Raises ConfigurationError."""
    try:
        cluster = distributed.LocalCluster(
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # without one, Dask takes port 8787, and warns where it is taken
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
    except Exception as error:
        raise ConfigurationError(
            f"a local Dask cluster could not be started: {error} (a script has to start it under "
            '`if __name__ == "__main__":`, as its processes load the script)'
        ) from error
    client = distributed.Client(cluster, set_as_default=False)
    client.register_plugin(_OfThisProgram())
    workers = len(cluster.worker_spec)
    # Of a process that has died, Dask waits 15 s for its successor, and then starts none any more: on a busy machine
    # none would be left in the end.
    return DaskEngine(client, client, cluster, refill=lambda: cluster.scale(workers))


def cluster_at(address: str) -> DaskEngine:
    """An engine on the cluster of a scheduler at HOST:PORT. Raises ConfigurationError when it can't be reached."""
    try:
        client = distributed.Client(f"tcp://{address}", set_as_default=False, timeout=CONNECT_SECONDS)
    except Exception as error:
        raise ConfigurationError(f"no Dask scheduler answers at {address}: {type(error).__name__}: {error}") from error
    return DaskEngine(client, client)
