"""What the log says of an exception that a tool raises: one line, and at debug its traceback."""

import os
from typing import TYPE_CHECKING, Any

from agentkit._lazy.logs import WARNING
from agentkit.tooling.interrupts import stops_the_run

if TYPE_CHECKING:
    import logging
    from types import TracebackType

_PACKAGE = os.path.dirname(os.path.dirname(__file__))


def log_raised(
    logger: "logging.Logger",
    level: int,
    what: str,
    error: BaseException,
    function: Any = None,
    is_secret: bool = False,
) -> None:
    """Log that something raised this exception, and its traceback at debug. what: ends in a verb ("tool pay raised").
    function: the one that was called. is_secret: whether the message may hold a key: it is left out at debug too.

    The line has the exception's type and place. Its message may quote what the model wrote, what a user said, or a
    password in an address; the traceback ends in it.
    """
    if logger.isEnabledFor(level):
        import traceback

        logger.log(level, "%s %s%s", what, type(error).__name__, _place(error, function), stacklevel=2)
        if is_secret:
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.debug("%s %s (its message is not shown):\n%s", what, type(error).__name__, frames, stacklevel=2)
        else:
            logger.debug("%s %s:", what, type(error).__name__, exc_info=error, stacklevel=2)


class FailuresLogged:
    """A block whose errors are logged, with their type and place, and go no further, but for what a signal handler has
    raised. what: see `log_raised`."""

    def __init__(self, logger: "logging.Logger", what: str) -> None:
        self._logger, self._what = logger, what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> bool:
        if not isinstance(error, Exception) or stops_the_run(error):
            return False
        log_raised(self._logger, WARNING, self._what, error)
        return True


def _place(error: BaseException, function: Any) -> str:
    """The innermost line in the file of the function, else the innermost that is not of this package."""
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    import traceback

    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    found = [each for each in lines if each[0] == own] or [each for each in lines if not each[0].startswith(_PACKAGE)]
    return f" at {os.path.basename(found[-1][0])}:{found[-1][1]}" if found else ""
