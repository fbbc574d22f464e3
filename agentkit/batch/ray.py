"""Items are answered by actors of a Ray cluster, one a node, with threads: they wait for a model, and need no CPU.

An actor is restarted by Ray when its process dies, but none of its calls is made again. Actors end with the program
that made them.
"""

import contextlib
import os
import threading
import uuid
from concurrent.futures import Future
from functools import partial
from typing import Any

from agentkit._lazy.logs import ERROR, logger_of
from agentkit._threads import WORKERS
from agentkit.batch import remote
from agentkit.batch.arrivals import Arrivals
from agentkit.batch.item import Item
from agentkit.batch.job import Job
from agentkit.batch.places import Answers, Lost, Place, Places, is_death
from agentkit.errors import ConfigurationError, MissingExtraError

# Without it, Ray tells its makers that it is used. It is read when Ray is imported and started, and the processes that
# are started have it too.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    raise MissingExtraError('on="ray"', "ray") from None

logger = logger_of("agentkit")

WATCH_SECONDS = 1.0
"""Seconds between two looks at which nodes there are."""
_GONE_SECONDS = 5.0


class Answering:
    """The actor of a node. `cancel` and `end` don't wait for a thread: all may be busy."""

    def check(self, job: str) -> remote.Checked:
        return remote.check(job)

    def answer(self, job: str, items: list[dict[str, Any]], batch: str) -> remote.Reply:
        return remote.answer(job, items, batch)

    @ray.method(concurrency_group="control")
    def cancel(self, batch: str) -> None:
        remote.cancel(batch)

    @ray.method(concurrency_group="control")
    def end(self, batch: str, job: str) -> None:
        remote.end(batch, job)


class RayEngine:
    """See `agentkit.batch.fleet.Engine`. is_owned: Ray was started for it, and is stopped with it."""

    inner = 1

    def __init__(self, is_owned: bool) -> None:
        self._is_owned = is_owned
        self.ended = ""
        self._batch = uuid.uuid4().hex
        self._text = ""
        self._most = 1
        self._actors: dict[str, Any] = {}
        self._arrivals = Arrivals("node", "Ray", self._check, self._checked)
        self._closed = threading.Event()

    @property
    def width(self) -> int:
        """See `Engine.width`."""
        return self._places.width

    def start(self, job: Job) -> None:
        """See `Engine.start`."""
        self._text = job.to_json()
        self._most = job.at_once[2]
        self._arrivals.start(job, self._look, self._closed)
        WORKERS.submit(self._watch)

    @property
    def _places(self) -> Places:
        return self._arrivals.places

    def _look(self) -> None:
        """Take up the nodes that have come and the actors that were started anew, and leave those that have gone."""
        there = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        for name in self._actors.keys() - there:
            del self._actors[name]
        for place in self._places.all():
            if place.name not in there:
                self._places.leave(place)  # its calls fail by themselves
        self._arrivals.take_up(there, there)

    def _check(self, name: str) -> "Future[remote.Checked]":
        actor = self._actors.get(name)
        if actor is None:
            actor = self._actors[name] = self._new_actor(name)
        check: Future[remote.Checked] = actor.check.remote(self._text).future()
        return check

    def _new_actor(self, node: str) -> Any:
        options: dict[str, Any] = {
            "num_cpus": 0,
            "max_concurrency": self._most + 1,
            "max_restarts": -1,
            "max_task_retries": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
        }
        return ray.remote(concurrency_groups={"control": 1})(Answering).options(**options).remote()

    def _checked(self, name: str, check: "Future[remote.Checked]") -> remote.Checked | str | None:
        """See `Arrivals`."""
        try:
            return check.result(0)
        except (ray.exceptions.ActorUnavailableError, TimeoutError):
            return None  # it is being started, or its node has gone
        except ray.exceptions.RayActorError as error:
            self._actors.pop(name, None)
            return f"the process of its actor could not be started: {error}"
        except Exception as error:  # noqa: BLE001 - of the cluster, or of another version of agentkit
            return f"its first call failed: {type(error).__name__}: {error}"

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - in a moment it may be there again
                logger.debug("the Ray cluster did not answer: %s", error)
                if not ray.is_initialized():
                    self.ended = f"the Ray cluster can't be reached any more: {error}"
            self.ended = self.ended or self._arrivals.trouble()

    def submit(self, job: Job, items: list[Item]) -> Answers:
        """See `Engine.submit`."""
        place, future = self._places.choose(len(items))
        actor = self._actors.get(place.name) if place is not None else None
        if place is None:
            return future
        if actor is None:
            self._places.leave(place)
            self._places.lose(place, future, Lost("its node has gone", begun=False))
            return future
        made = [item.as_json() for item in items]
        try:
            asked = actor.answer.remote(self._text, made, self._batch).future()
        except Exception as error:  # noqa: BLE001 - of a cluster that has gone
            self._places.leave(place)
            self._places.lose(place, future, Lost(f"{type(error).__name__}: {error}", begun=False))
            return future
        asked.add_done_callback(partial(self._settle, place, future))
        return future

    def _settle(self, place: Place, future: Answers, asked: "Future[remote.Reply]") -> None:
        try:
            error: BaseException | None = asked.exception()
            if error is None:
                self._places.settle(place, future, asked.result())
                return
        except BaseException as failure:  # noqa: BLE001 - it was cancelled, or its reply has another form
            error = failure
        if isinstance(error, ray.exceptions.RayActorError):
            self._places.leave(place)  # the next look asks whether it has been started anew
        self._places.lose(place, future, Lost(f"{type(error).__name__}: {error}", died=True))

    def lost(self, future: Answers) -> bool:
        """See `Engine.lost`."""
        return is_death(future)

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        for actor in list(self._actors.values()):
            with contextlib.suppress(Exception):
                actor.cancel.remote(self._batch)

    def close(self) -> None:
        """See `Engine.close`."""
        self._closed.set()
        with contextlib.suppress(Exception):
            ends = [actor.end.remote(self._batch, self._text) for actor in self._actors.values()]
            ray.wait(ends, num_returns=len(ends), timeout=_GONE_SECONDS)
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                ray.kill(actor)
        self._actors.clear()
        if self._is_owned:
            ray.shutdown()


def ray_cluster(address: str = "") -> RayEngine:
    """An engine on the cluster at an address (ray://HOST:PORT), or on the one that this program uses already; else Ray
    is started on this machine. Raises ConfigurationError when it can't be reached."""
    if ray.is_initialized():
        return RayEngine(is_owned=False)
    options: dict[str, Any] = {"address": address} if address else {}
    try:
        ray.init(log_to_driver=False, logging_level=ERROR, **options)
    except Exception as error:
        where = f"at {address}" if address else "on this machine"
        raise ConfigurationError(f"no Ray cluster can be used {where}: {type(error).__name__}: {error}") from error
    return RayEngine(is_owned=True)
