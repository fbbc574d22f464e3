"""Exceptions that come out of a tool and are not the tool's: what stops the thread that it runs in."""

from collections.abc import Callable
from typing import Any

from agentkit._lazy.modules import loaded

Handlers = tuple[Callable[..., Any], ...]
"""Functions that handle signals."""

_SIGNALS = (
    *("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGALRM"),
    *("SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGBREAK"),
)
"""Those in whose handlers programs raise something: to exit, and at the time limit of a job or a worker."""
_OF_TOOLS = {
    "builtins.SystemExit",
    "builtins.GeneratorExit",
    "asyncio.exceptions.CancelledError",
    "pyo3_runtime.PanicException",
    "agentkit.net.abort.Aborted",
    "agentkit.running.hooked_calls.NotAllowedError",
}
"""What is no Exception, and yet a failure of the tool that raises it: a command that exits, a task that it cancels
itself, an error of a library in Rust, a request or an agent of its own that was stopped."""
_OF_RUNS = {"rq.timeouts.BaseTimeoutException"}
"""What is an Exception, and yet never a tool's: the time limit of a job of RQ, also where a timer has raised it in the
thread of the job, and no handler of a signal (rq's `TimerDeathPenalty`)."""


def handlers_in_place() -> Handlers:
    """The functions of the program that handle signals now."""
    getsignal = loaded("signal", "getsignal")
    if getsignal is None:  # what is not loaded has set none
        return ()
    numbers = (loaded("signal", name) for name in _SIGNALS)
    found = (getsignal(number) for number in numbers if number is not None)
    return tuple(each for each in found if callable(each))


def is_interrupt(error: BaseException, handlers: Handlers) -> bool:
    """Whether an exception ends the run, and is no failure of the tool that it came out of: Ctrl-C, what a handler of a
    signal has raised, and what others raise in a thread to stop it (a greenlet that is killed, a time limit of gevent
    or Dramatiq, a script that Streamlit runs again). handlers: those that were there before the run's tools; a tool
    may have a time limit of its own."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_interrupt(each, handlers) for each in error.exceptions)
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    is_of_tool = isinstance(error, Exception) or not kinds.isdisjoint(_OF_TOOLS)
    if not is_of_tool or not kinds.isdisjoint(_OF_RUNS):
        return True
    import traceback

    codes = {_code_of(each) for each in handlers}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def stops_the_run(error: BaseException) -> bool:
    """The same where no tool is running, whose own time limits would have handlers too: for what else a run waits for
    and does without where that fails."""
    return is_interrupt(error, handlers_in_place())


def _code_of(handler: Any) -> Any:
    """The code of a function, a method, a partial or an object that is called; None for one that is not of Python."""
    handler = getattr(handler, "func", handler)
    handler = getattr(handler, "__func__", handler)
    code = getattr(handler, "__code__", None)
    return code if code is not None else getattr(type(handler).__call__, "__code__", None)
