"""What a server has shown of itself: remembered for minutes, since one refusal is no proof for good.

A server may be restarted with another model, a gateway may ask another one next time, and a refusal may have had a
cause that its words do not tell. What is forgotten is learned again by one refused request.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import logger_of

EXPIRY = 600.0
"""Seconds for which a fact is remembered."""

_NEVER = float("inf")
MAX_FACTS = 512
"""Facts that are remembered of one server; the oldest are forgotten first."""

logger = logger_of("agentkit")

T = TypeVar("T")


class Learned:
    """Facts about one server, each with a value; thread-safe. clock: the time in seconds, which only moves forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._facts: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._derived: dict[Hashable, tuple[float, Any]] = {}
        self._changes = 0
        self._lock = freed_by_forks(threading.Lock())

    def value(self, fact: Hashable) -> Any:
        """The value of a fact; None when it is not known, or not any more."""
        if not self._facts:  # nearly always
            return None
        known = self._facts.get(fact)
        return known[1] if known is not None and self.clock() < known[0] else None

    def derived(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes of the facts: made again when one was learned, forgotten, or has expired. key: for what."""
        known = self._derived.get(key)
        if known is not None and (known[0] is _NEVER or self.clock() < known[0]):
            found: T = known[1]
            return found
        changes, now = self._changes, self.clock()  # before the facts are asked: one of them may expire meanwhile
        made = make()
        with self._lock:
            if changes == self._changes:
                expires = min((each for each, _ in self._facts.values() if each > now), default=_NEVER)
                self._derived[key] = (expires, made)
        return made

    def learn(self, fact: Hashable, value: Any = True, log: str | None = None) -> None:
        """Remember a fact. log: a sentence that is logged as a warning when the fact is new."""
        is_new = self.value(fact) != value
        with self._lock:
            self._has_changed()
            self._facts.pop(fact, None)
            self._facts[fact] = (self.clock() + EXPIRY, value)
            if len(self._facts) > MAX_FACTS:
                self._facts.popitem(last=False)
        if is_new and log is not None:
            logger.warning("%s (for the next %.0f minutes)", log, EXPIRY / 60)

    def forget(self, fact: Hashable) -> None:
        """Forget a fact."""
        with self._lock:
            self._has_changed()
            self._facts.pop(fact, None)

    def _has_changed(self) -> None:
        self._changes += 1
        self._derived.clear()
