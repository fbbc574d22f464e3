"""Loggers that load `logging` only where a program has: where it has not, nobody has configured a log to hear them.

In a program that loads `logging` after agentkit, our loggers, with their NullHandler, exist from the first time on that
one of them is asked.
"""

import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import logging

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
"""The levels of `logging`."""

_UNHEARD = frozenset(("debug", "info", "warning", "error", "exception", "log", "isEnabledFor"))
_LOADED: "dict[str, logging.Logger]" = {}


class LazyLogger:
    """A logger (see `logger_of`)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def isEnabledFor(self, level: int) -> bool:  # asked for each request
        """Whether anyone may hear what is logged at a level."""
        return "logging" in sys.modules and bool(self.__getattr__("isEnabledFor")(level))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # how an object is copied
            raise AttributeError(name)
        if name in _UNHEARD and "logging" not in sys.modules:
            return _nothing
        logger = _LOADED.get(self._name) or loaded_logger(self._name)
        self.__dict__.update({each: getattr(logger, each) for each in _UNHEARD})  # next time, nothing is looked up
        return getattr(logger, name)


def logger_of(name: str) -> "logging.Logger":
    """The same as `logging.getLogger` for the level of a module."""
    return cast("logging.Logger", LazyLogger(name))


def loaded_logger(name: str) -> "logging.Logger":
    """The logger of `logging`."""
    import logging

    if not _LOADED:  # a library writes to no stream by itself
        _LOADED["agentkit"] = logging.getLogger("agentkit")
        _LOADED["agentkit"].addHandler(logging.NullHandler())
    return _LOADED.setdefault(name, logging.getLogger(name))


def _nothing(*arguments: Any, **options: Any) -> bool:
    return False


if "logging" in sys.modules:  # for loggers of other packages below ours, which may log before any of ours
    loaded_logger("agentkit")
