"""Reads what is large or of a complex format in processes of its own, within limits of time and memory.

A parser at work in this process could not be interrupted: it would go on after the run, and one that holds Python's
lock would stop all threads. The processes are started when they are first needed, kept for the next document (four at
most), and have none of the keys in the environment.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

from agentkit import Context, ToolError, call_isolated
from agentkit.errors import IsolationError, ToolDefinitionError
from agentkit_tools.unreadable import ForTheMomentError, TooComplexError

P = ParamSpec("P")
R = TypeVar("R")

SECONDS = 30.0
"""Seconds for one page or PDF."""

FILE_SECONDS = 60.0
"""Seconds for one file of another kind; a large table takes that long."""

MEMORY = 1_500_000_000
"""Bytes for the process that reads one (where the system limits it; Windows and macOS don't)."""

LARGE = 2_000_000
"""Bytes from which on a document is read in a process of its own, whatever its kind."""

WITHOUT_PROCESS = 10_000_000
"""Bytes up to which a document is read in this process where no other can be started, such as in a frozen program."""

NO_RUN = Context[Any]()
"""For reading outside of a run."""


def numbering(context: Context[Any]) -> Context[Any]:
    """The context by which the sources of one call are numbered: outside of a run each call counts anew."""
    return Context() if context is NO_RUN else context


_POLL = 0.05


class _Slots:
    """How many documents are read at once; the others wait."""

    def __init__(self) -> None:
        self.free = threading.BoundedSemaphore(max(4, os.cpu_count() or 1))

    @contextmanager
    def taken(self, context: Context[Any]) -> Iterator[None]:
        """Raises RunEndedError when the run ends before there is room."""
        free = self.free
        if not acquired(free, context):
            raise _stopped()
        try:
            yield
        finally:
            free.release()


_SLOTS = _Slots()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SLOTS.__init__)  # type: ignore[misc]  # the threads that took them are gone

_is_reader = False
"""Whether this process was started to read documents."""


def in_reader_process(
    read: Callable[P, R], *arguments: Any, size: int, context: Context[Any], seconds: float | None = None
) -> R:
    """Returns what `read` returns for these arguments, from another process.

    read: a function of a module. size: of the document in bytes: a small one is read here where no process can be
    started. seconds: that it may take (SECONDS). Raises what `read` raises; TooComplexError when it takes more than
    that or MEMORY, or its process crashes;
    RunEndedError when the run ends before.
    """
    if _is_reader:
        return read(*arguments)  # type: ignore[call-arg]
    seconds = SECONDS if seconds is None else seconds
    with _SLOTS.taken(context):
        check(context)
        left = seconds if context.deadline is None else context.deadline - time.monotonic()
        try:
            return call_isolated(
                _read_here,
                read,
                arguments,
                seconds,
                timeout=max(0.0, min(seconds, left)),
                memory=MEMORY,
                cancel=context.cancel,
                bare=True,
            )
        except MemoryError:
            raise _too_complex("needs", f"{MEMORY // 1_000_000:,} MB of memory") from None
        except IsolationError as error:
            if error.reason != "not started":
                raise _why(error, seconds, left) from None
        except ToolDefinitionError:  # a frozen program: its executable is no Python
            pass
    if size > WITHOUT_PROCESS:
        raise ForTheMomentError(
            f"it is larger than {WITHOUT_PROCESS:,} bytes, and no process can be started to read it"
        )
    return read(*arguments)  # type: ignore[call-arg]


def _read_here(read: Callable[..., R], arguments: tuple[Any, ...], seconds: float) -> R:
    """Runs in the other process. The system ends it when the time is up, even if its parent has been killed."""
    global _is_reader
    _is_reader = True
    _set_alarm(seconds + 5)
    try:
        return read(*arguments)
    finally:
        _set_alarm(0)


def _set_alarm(seconds: float) -> None:
    import signal

    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


class RunEndedError(ToolError):
    """The run has ended, or goes on without its tools."""


def is_over(context: Context[Any]) -> bool:
    """Whether the run has ended, or goes on without its tools."""
    return context.cancelled or (context.deadline is not None and time.monotonic() >= context.deadline)


def check(context: Context[Any]) -> None:
    """Raises RunEndedError when the run has ended, or goes on without its tools."""
    if is_over(context):
        raise _stopped()


class Acquirable(Protocol):
    """A lock, or a semaphore."""

    def acquire(self, *, timeout: float) -> bool:
        """Wait for it; returns whether it came in time."""


def acquired(lock: Acquirable, context: Context[Any]) -> bool:
    """Wait for a lock for as long as the run goes on; returns whether it was acquired."""
    while not lock.acquire(timeout=_POLL):
        if is_over(context):
            return False
    return True


def _stopped() -> RunEndedError:
    return RunEndedError("the document was not read: the run ended before")


def _why(error: IsolationError, seconds: float, left: float) -> Exception:
    if error.reason == "cancelled" or (error.reason == "timeout" and left < seconds):
        return _stopped()
    if error.reason == "timeout":
        return _too_complex("takes", f"{seconds:g} seconds")
    return TooComplexError(
        "it is damaged or too complex: what reads it crashed, perhaps for want of memory (its limit is "
        f"{MEMORY // 1_000_000:,} MB)"
    )


def _too_complex(verb: str, limit: str) -> TooComplexError:
    return TooComplexError(f"it is too large or too complex: reading it {verb} more than {limit}")
