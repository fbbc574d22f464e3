"""What a server has shown of itself: remembered for minutes, since one refusal is no proof for good.

A server may be restarted with another model, a gateway may ask another one next time, and a refusal may have had a
cause that its words do not tell. What is forgotten is learned again by one refused request.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit._lazy.logs import logger_of

EXPIRY = 600.0
"""Seconds for which a fact is remembered."""

MAX_FACTS = 512
"""Facts that are remembered of one server; the oldest are forgotten first."""

logger = logger_of("agentkit")


class Learned:
    """Facts about one server, each with a value; thread-safe. clock: the time in seconds, which only moves forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._facts: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = freed_by_forks(threading.Lock())

    def value(self, fact: Hashable) -> Any:
        """The value of a fact; None when it is not known, or not any more."""
        if not self._facts:  # nearly always
            return None
        known = self._facts.get(fact)
        return known[1] if known is not None and self.clock() < known[0] else None

    def learn(self, fact: Hashable, value: Any = True, log: str | None = None) -> None:
        """Remember a fact. log: a sentence that is logged as a warning when the fact is new."""
        is_new = self.value(fact) != value
        with self._lock:
            self._facts.pop(fact, None)
            self._facts[fact] = (self.clock() + EXPIRY, value)
            if len(self._facts) > MAX_FACTS:
                self._facts.popitem(last=False)
        if is_new and log is not None:
            logger.warning("%s (for the next %.0f minutes)", log, EXPIRY / 60)

    def forget(self, fact: Hashable) -> None:
        """Forget a fact."""
        with self._lock:
            self._facts.pop(fact, None)
