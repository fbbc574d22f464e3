"""A cache whose values are computed by one thread at a time: the patterns of all families take tens of milliseconds,
and the first requests of a service come in several threads at once."""

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from agentkit._forking import freed_by_forks

Value = TypeVar("Value")


class ComputedOnce(Generic[Value]):
    """Wraps a function of hashable arguments. `cache_clear()` forgets what it returned."""

    def __init__(self, function: Callable[..., Value]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._lock = freed_by_forks(threading.Lock())
        self._values: dict[tuple[Hashable, ...], Value] = {}

    def __call__(self, *arguments: Any) -> Value:
        """Return the value for the arguments, computed at the first call."""
        try:
            return self._values[arguments]
        except KeyError:
            pass
        with self._lock:
            if arguments not in self._values:
                self._values[arguments] = self._function(*arguments)
            return self._values[arguments]

    def cache_clear(self) -> None:
        """Forget the values."""
        self._values.clear()
