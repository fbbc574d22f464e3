"""Workers of a cluster as they come and go: each has to make the agent of the job before it gets items."""

import logging
import threading
import time
from collections.abc import Callable, Set
from typing import Any

from agentkit.batch import remote
from agentkit.batch.job import Job
from agentkit.batch.places import Place, Places
from agentkit.errors import ConfigurationError

logger = logging.getLogger("agentkit")

CHECK_SECONDS = 120.0
"""Seconds that the first worker has for its first task, in which the agent is made."""
OTHERS_SECONDS = 20.0
"""Seconds that the others have, once one can be used, before the batch begins; they are used as soon as they can be."""
TOLD_SECONDS = 15.0
"""How often it is told that a batch waits for workers."""
LOOK_SECONDS = 0.25
"""Seconds between two looks at which workers there are, before the batch begins: the processes that are being started
need the CPU."""
CHECKED_SECONDS = 0.02
"""Seconds between two looks at whether a worker was checked, before the batch begins."""

Check = Any
"""A Future of a worker's first task, of any kind: it has `done()`."""


class Arrivals:
    """The workers of a cluster that can be used, and those that can't. worker, cluster: what they are called.

    begin: begins the first task of a worker. result_of: what it has given; why the worker can't be used; or None for
    one that has gone, or is to be asked again.
    """

    def __init__(
        self,
        worker: str,
        cluster: str,
        begin: Callable[[str], Check],
        result_of: Callable[[str, Check], remote.Checked | str | None],
    ) -> None:
        self._worker, self._cluster = worker, cluster
        self._begin, self._result_of = begin, result_of
        self._width = 1
        self._empty_since = self._told = time.monotonic()
        self._refused: dict[str, str] = {}
        self._checks: dict[str, Check] = {}
        self.places = Places(1)

    def start(self, job: Job, look: Callable[[], object], closed: threading.Event) -> None:
        """Wait until the workers that there are have been checked. look: calls `take_up`. Raises ConfigurationError
        where one of them can't be used, and where none answers."""
        _, self._width, most = job.at_once
        self.places = Places(most)
        began = self._told = time.monotonic()
        usable_since = next_look = 0.0
        while True:
            now = time.monotonic()
            if now >= next_look:
                look()
                next_look = now + LOOK_SECONDS
            else:
                self._settle_checked()
            if self._refused:
                refused = f"{len(self._refused)} {self._worker}s of the {self._cluster} cluster can't be used"
                raise ConfigurationError(f"{refused}: {self._first_refused()}")
            if self.places.all():
                usable_since = usable_since or now
                if not self._checks or now > usable_since + OTHERS_SECONDS:
                    return
            elif now > began + CHECK_SECONDS:
                raise ConfigurationError(
                    f"no {self._worker} of the {self._cluster} cluster has answered in {CHECK_SECONDS:.0f} s"
                )
            if now > self._told + TOLD_SECONDS:
                self._told = now
                logger.warning("waiting for the %ss of the %s cluster (%d s)", self._worker, self._cluster, now - began)
            closed.wait(CHECKED_SECONDS)

    def take_up(self, there: Set[str], ready: Set[str]) -> None:
        """Check the workers that have come, and use those that could be. there: the names of all that there are; ready:
        of those that take tasks."""
        for name in self._refused.keys() - there:
            del self._refused[name]
        known = {place.name for place in self.places.all()} | self._checks.keys() | self._refused.keys()
        for name in ready - known:
            self._checks[name] = self._begin(name)
        for name in self._checks.keys() - there:
            self._settle(name)
        self._settle_checked()

    def _settle_checked(self) -> None:
        for name in [name for name, check in self._checks.items() if check.done()]:
            self._settle(name)

    def _settle(self, name: str) -> None:
        found = self._result_of(name, self._checks.pop(name))
        if found is None:
            return
        why = found if isinstance(found, str) else remote.mismatch(found)
        if isinstance(found, str) or why:
            self._refused[name] = why
            logger.warning("the %s %s %s is not used: %s", self._cluster, self._worker, name, why)
        else:
            self.places.add(Place(name, self._width, found["process"]))

    @property
    def checks(self) -> list[Check]:
        """The first tasks that have not ended."""
        return list(self._checks.values())

    def trouble(self) -> str:
        """Why no worker can be used any more; "" while one can be, or may come: that is told from time to time. To be
        called after `take_up`."""
        now = time.monotonic()
        if self.places.all():
            self._empty_since = self._told = now
        elif self._refused and not self._checks:
            return f"no {self._worker} of the {self._cluster} cluster can be used any more: {self._first_refused()}"
        elif now > self._told + TOLD_SECONDS:
            self._told = now
            waits = int(now - self._empty_since)
            logger.warning("the %s cluster has no %s: waiting for one (%d s)", self._cluster, self._worker, waits)
        return ""

    def _first_refused(self) -> str:
        name, why = next(iter(self._refused.items()))
        return f"{name}: {why}"
