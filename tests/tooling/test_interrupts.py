"""What stops the thread of a run stops the run, also in the middle of a tool, and is no failure of that tool."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Hook, SQLiteSessions, Usage, Window, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply
from agentkit.middleware.base import Middleware
from agentkit.testing import ScriptedBackend

ROOT = Path(__file__).parents[2]
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")


class TimeIsUp(Exception):
    """As the time limits of Celery and RQ."""


class Stopped(BaseException):
    """As those of Dramatiq and gevent, and what Streamlit raises to run a script again."""


@tool
def work(seconds: float) -> str:
    """Work."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    return "done"


@contextlib.contextmanager
def signalled(handler: Any, seconds: float = 0.3, number: int | None = None) -> Iterator[None]:
    """Get a signal after some seconds. number: its number, instead of that of SIGUSR1. No garbage is collected
    meanwhile: what a handler raises within a callback of a collection, as Hypothesis has one, is lost."""
    number = signal.SIGUSR1 if number is None else number
    gc.disable()
    before = signal.signal(number, handler)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(number, before)
        gc.enable()


def raising(error: BaseException) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        raise error

    return handle


class Queue:
    """A worker of a job queue, whose handler is a method."""

    def end(self, number: int, frame: Any) -> None:
        raise TimeIsUp


class Around(Hook):
    """A hook around tool calls."""

    def around_tool(self, call: Any, proceed: Any) -> Any:
        return proceed(call)


@needs_signals
@pytest.mark.parametrize("hooks", [(), (Around(),)], ids=["no hooks", "a hook"])
@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (raising(TimeIsUp()), TimeIsUp),
        (raising(Stopped()), Stopped),
        (raising(SystemExit(0)), SystemExit),
        (Queue().end, TimeIsUp),
    ],
    ids=["an exception", "no exception", "exit", "a method"],
)
def test_what_a_handler_of_a_signal_raises_ends_the_run(handler: Any, kind: type[BaseException], hooks: Any) -> None:
    agent = Agent(ScriptedBackend(("work", {"seconds": 20}), "Done."), tools=[work], hooks=hooks)
    with signalled(handler), pytest.raises(kind) as raised:
        agent.run("Go.")
    messages: Any = raised.value.messages  # type: ignore[attr-defined]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool"]
    assert "whether it had an effect is not known" in messages[-1]["content"]
    agent = Agent(ScriptedBackend(("work", {"seconds": 0}), "Done."), tools=[work])
    assert agent.run("Again.", messages=messages).stopped == "answer"


@needs_signals
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGXCPU", "SIGPROF"])
def test_every_signal_that_programs_handle_ends_the_run(name: str) -> None:
    number = getattr(signal, name)
    agent = Agent(ScriptedBackend(("work", {"seconds": 20}), "Done."), tools=[work])
    with signalled(raising(SystemExit(0)), 0.2, number), pytest.raises(SystemExit):
        agent.run("Go.")


@needs_signals
def test_what_runs_inside_of_a_tool_is_told_that_the_run_was_interrupted() -> None:
    told = threading.Event()

    @tool
    def watch(ctx: Context) -> str:
        """Watch."""
        assert ctx.cancel is not None
        if ctx.cancel.wait(5):
            told.set()
        return "watched"

    @tool(read_only=True)
    async def wait(seconds: float) -> str:
        """Wait."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            told.set()
            raise
        return "waited"

    calls: list[Any] = [("watch", {}), [("wait", {"seconds": 5}), ("wait", {"seconds": 4})]]
    for step in calls:
        told.clear()
        agent = Agent(ScriptedBackend(step, "Done."), tools=[watch, wait])
        with signalled(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
            agent.run("Go.")
        assert told.wait(2)


@needs_signals
def test_a_call_that_was_interrupted_is_not_made_again(tmp_path: Path) -> None:
    sessions = SQLiteSessions(tmp_path / "sessions.db")
    agent = Agent(ScriptedBackend(("work", {"seconds": 20}), "Done."), tools=[work])
    with signalled(raising(TimeIsUp())), pytest.raises(TimeIsUp):
        agent.run("Go.", session=sessions["a"])
    result = Agent(ScriptedBackend("Not known."), tools=[work]).resume(sessions["a"])
    assert (result.output, len(result.unknown_calls)) == ("Not known.", 1)


@needs_signals
def test_a_time_limit_that_a_tool_sets_itself_is_a_failure_of_the_tool() -> None:
    """Its handler stays in place, as that of a widespread recipe does."""

    @contextlib.contextmanager
    def time_limit() -> Iterator[None]:
        def handle(number: int, frame: Any) -> None:
            raise TimeIsUp("too slow")

        signal.signal(signal.SIGUSR1, handle)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        yield
        timer.join()

    @tool
    def limited() -> str:
        """Work for a while."""
        with time_limit():
            time.sleep(10)
        return "done"

    before = signal.getsignal(signal.SIGUSR1)
    try:
        result = Agent(ScriptedBackend(("limited", {}), ("limited", {}), "Done."), tools=[limited]).run("Go.")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert result.output == "Done."
    assert [each.error for each in result.tool_calls] == ["Error: limited raised TimeIsUp: too slow"] * 2


def test_what_another_thread_raises_in_that_of_a_run_ends_it() -> None:
    agent = Agent(ScriptedBackend(("work", {"seconds": 20}), "Done."), tools=[work])
    ended: list[BaseException] = []

    def run() -> None:
        try:
            agent.run("Go.")
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
    thread.join(10)
    assert [type(each) for each in ended] == [Stopped]


def test_a_time_limit_of_rq_that_a_timer_raises_in_the_thread_of_a_job_ends_the_run() -> None:
    """RQ's workers without signals do so (`TimerDeathPenalty`), with an Exception."""
    base = type("BaseTimeoutException", (Exception,), {"__module__": "rq.timeouts"})
    limit = type("JobTimeoutException", (base,), {"__module__": "rq.timeouts"})

    @tool
    def interrupted() -> None:
        """Be interrupted."""
        raise limit("2 seconds")

    with pytest.raises(limit) as raised:
        Agent(ScriptedBackend(("interrupted", {}), "Done."), tools=[interrupted]).run("Go.")
    messages: Any = raised.value.messages  # type: ignore[attr-defined]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("module", ["pyo3_runtime", __name__], ids=["of Rust", "of others"])
def test_a_panic_of_a_library_in_rust_is_a_failure_of_the_tool(module: str) -> None:
    panic = type("PanicException", (BaseException,), {"__module__": module})

    @tool
    def compute() -> str:
        """Compute."""
        raise panic("index out of bounds")

    agent = Agent(ScriptedBackend(("compute", {}), "Done."), tools=[compute])
    if module == "pyo3_runtime":
        assert "index out of bounds" in (agent.run("Go.").tool_calls[0].error or "")
    else:
        with pytest.raises(panic):
            agent.run("Go.")


def test_a_test_that_fails_within_a_tool_fails() -> None:
    @tool
    def never() -> None:
        """Do nothing."""
        pytest.fail("it was called")

    with pytest.raises(pytest.fail.Exception):
        Agent(ScriptedBackend(("never", {}), "Done."), tools=[never]).run("Go.")


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, threading, time
from agentkit import Agent, Limits, tool
from agentkit.testing import ScriptedBackend

@tool
def work(seconds: float) -> str:
    "Work."
    time.sleep(seconds)
    return "done"

@tool(read_only=True)
def look_up(topic: str) -> str:
    "Look something up."
    time.sleep(0.2)
    return topic

def agent(*steps):
    return Agent(ScriptedBackend(*steps), tools=[work, look_up])

run = agent(("work", {"seconds": 30}), "Done.").stream("Go.")
killed = gevent.spawn(lambda: list(run))
gevent.sleep(0.2)
killed.kill(timeout=10)
assert killed.ready() and run.result is None
assert [each["role"] for each in run.messages] == ["user", "assistant", "tool"]

try:
    with gevent.Timeout(0.2):
        agent(("work", {"seconds": 30}), "Done.").run("Go.")
except gevent.Timeout as error:
    assert len(error.messages) == 3
else:
    raise AssertionError("the time limit had no effect")

started = time.monotonic()
asked = [gevent.spawn(agent([("look_up", {"topic": "a"}), ("look_up", {"topic": "b"})], "Done.").run, "Go.")
         for _ in range(20)]
gevent.joinall(asked, raise_error=True)
assert {each.value.output for each in asked} == {"Done."}
assert time.monotonic() - started < 10

cancel = threading.Event()
gevent.spawn_later(0.2, cancel.set)
assert agent(("work", {"seconds": 1}), "Done.").run("Go.", cancel=cancel).stopped == "cancelled"
assert agent(("work", {"seconds": 1}), "Done.").run("Go.", limits=Limits(seconds=0.5)).stopped == "seconds"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="greenlets in servers are an affair of Unix")
def test_greenlets_are_killed_and_timed_out_in_the_middle_of_a_tool() -> None:
    """In a program that gevent has patched, where runs also go on side by side."""
    made = subprocess.run([sys.executable, "-c", GREENLETS], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (made.returncode, made.stderr) == (0, "")


class OneAtATime(Hook):
    """Calls wait for each other, and each for a check."""

    def __init__(self) -> None:
        self.place = threading.Semaphore(1)

    def around_tool(self, call: Any, proceed: Any) -> Any:
        with self.place:
            time.sleep(0.5 if call.arguments["seconds"] else 0)
            return proceed(call)


@needs_signals
def test_the_hooks_of_a_call_that_may_need_a_person_end_with_the_run() -> None:
    @tool(approve=lambda values: values["seconds"] > 100)
    def work(seconds: float) -> str:
        """Work."""
        return "done"

    hook = OneAtATime()
    agent = Agent(
        ScriptedBackend(("work", {"seconds": 1}), ("work", {"seconds": 0}), "Done."), tools=[work], hooks=[hook]
    )
    with signalled(raising(TimeIsUp()), 0.2), pytest.raises(TimeIsUp):
        agent.run("Go.")
    cancel = threading.Event()
    timer = threading.Timer(10, cancel.set)
    timer.start()
    try:
        assert agent.run("Again.", cancel=cancel).stopped == "answer"
    finally:
        timer.cancel()


class Slow(Hook):
    """Takes long at one place."""

    def __init__(self, place: str) -> None:
        self.place = place

    def before_model(self, request: Any) -> None:
        self._wait("before_model")

    def after_model(self, reply: Any) -> None:
        self._wait("after_model")

    def on_event(self, event: Any) -> None:
        self._wait("on_event")

    def _wait(self, place: str) -> None:
        if place == self.place:
            work.function(20)


class SlowServer(Middleware):
    """A model whose summaries take long, or which is long in saying how much it can read."""

    def __init__(self, slow: str) -> None:
        super().__init__(ScriptedBackend())
        self.slow = slow

    def capabilities(self, ask: bool = False) -> Capabilities:
        if ask and self.slow == "size":
            work.function(20)
        return Capabilities(context_length=1000 if ask else None)

    def reply(self, request: Request) -> ReplyStream:
        if self.slow == "summary" and "Summarise" in str(request.transcript[-1]["content"])[:20]:
            work.function(20)
        yield Reply({"role": "assistant", "content": "Done."}, "stop", Usage(requests=1, input_tokens=200))


def _long() -> list[Any]:
    turn = [{"role": "user", "content": "q " * 300}, {"role": "assistant", "content": "a " * 300}]
    return turn * 12


def _approved_by(function: Any) -> Agent:
    @tool(approve=function)
    def pay() -> str:
        """Pay."""
        return "paid"

    return Agent(ScriptedBackend(("pay", {}), "Done."), tools=[pay])


def _returning(value: Any) -> Agent:
    @tool
    def read() -> Any:
        """Read."""
        return value()

    return Agent(ScriptedBackend(("read", {}), "Done."), tools=[read])


class SlowText:
    """An object whose text takes long."""

    def __str__(self) -> str:
        return work.function(20)


PLACES: dict[str, Callable[[], Agent]] = {
    "before_model": lambda: Agent(ScriptedBackend("Done."), hooks=[Slow("before_model")]),
    "after_model": lambda: Agent(ScriptedBackend("Done."), hooks=[Slow("after_model")]),
    "on_event": lambda: Agent(ScriptedBackend("Done."), hooks=[Slow("on_event")]),
    "size": lambda: Agent(SlowServer("size")),
    "summary": lambda: Agent(SlowServer("summary"), window=Window(1000, compaction="summarise")),
    "approve": lambda: _approved_by(lambda values: bool(work.function(20))),
    "an iterator": lambda: _returning(lambda: map(work.function, [20])),
    "an object": lambda: _returning(SlowText),
}


@needs_signals
@pytest.mark.parametrize("place", PLACES)
def test_a_time_limit_ends_the_run_wherever_it_waits(place: str) -> None:
    agent = PLACES[place]()
    history = _long() if place in ("size", "summary") else []
    with signalled(raising(TimeIsUp())), pytest.raises(TimeIsUp) as raised:
        agent.run("Go.", messages=history)
    assert raised.value.messages  # type: ignore[attr-defined]


@needs_signals
def test_a_tool_is_not_retried_after_the_time_limit_of_its_run() -> None:
    begun: list[int] = []

    @tool(retries=2)
    def pay() -> str:
        """Pay."""
        begun.append(1)
        return work.function(20)

    with signalled(raising(TimeIsUp())), pytest.raises(TimeIsUp):
        Agent(ScriptedBackend(("pay", {}), "Done."), tools=[pay]).run("Pay.")
    assert begun == [1]
