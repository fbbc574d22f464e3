"""Async tools: one event loop for all of them, and what else a function may return before its result is there."""

import asyncio
import concurrent.futures
import contextvars
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from multiprocessing.pool import ThreadPool
from typing import Any

import httpx2
import pytest

from agentkit import Agent, Result, ToolError, tool
from agentkit.event import ToolFinished
from agentkit.testing import ScriptedBackend
from agentkit.tooling import event_loop
from agentkit.tooling.subprocess_pool import PROCESSES
from tests.support.isolated_tools import count_slowly, shared_lock, unpicklable
from tests.support.model_server import serve, whole


def run_of(*made: Any, replies: Any = None, **options: Any) -> Result:
    """A run in which the model calls each tool once, one after the other."""
    tools = [each if hasattr(each, "options") else tool(each) for each in made]
    calls = replies or [(each.name, {}) for each in tools]
    return Agent(ScriptedBackend(*calls, "Done."), tools=dict.fromkeys(tools)).run("Go.", **options)


def response_to(made: Any, **options: Any) -> str:
    return run_of(made, **options).tool_calls[0].response


# One loop


def test_an_http_client_is_shared_by_calls_and_runs() -> None:
    with serve([whole("one")] * 6) as server:
        client = httpx2.AsyncClient()

        @tool(read_only=True)
        async def status() -> int:
            """Get the status."""
            return (await client.post(f"{server.url}/chat/completions", json={})).status_code

        @tool
        async def close() -> None:
            """Close the client."""
            await client.aclose()

        once: Any = ("status", {})
        for replies in ([once] * 3, [[once] * 3]):
            result = run_of(status, replies=replies)
            assert [record.response for record in result.tool_calls] == ["200", "200", "200"]
        run_of(close)


def test_parallel_calls_share_a_lock_an_event_and_a_queue() -> None:
    lock, inside, most = asyncio.Lock(), 0, 0
    queue: asyncio.Queue[int] = asyncio.Queue()

    @tool(read_only=True)
    async def enter() -> str:
        """Enter."""
        nonlocal inside, most
        async with lock:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
        await queue.put(1)
        return "left"

    result = run_of(enter, replies=[[("enter", {})] * 3, ("enter", {})])
    assert [record.response for record in result.tool_calls] == ["left"] * 4
    assert most == 1
    assert queue.qsize() == 4


def test_a_task_that_a_tool_starts_goes_on_after_the_call() -> None:
    done = threading.Event()

    async def work() -> None:
        await asyncio.sleep(0.02)
        done.set()

    @tool
    async def start() -> str:
        """Start it."""
        asyncio.create_task(work())  # noqa: RUF006 - kept by the loop
        return "started"

    assert response_to(start) == "started"
    assert done.wait(5)


def test_a_task_that_exits_the_program_ends_neither_the_loop_nor_a_run() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    @tool
    async def start() -> str:
        """Start it."""
        asyncio.create_task(leave())  # noqa: RUF006
        return "started"

    @tool
    async def later() -> str:
        """Wait."""
        await asyncio.sleep(0.01)
        return "there"

    assert [record.response for record in run_of(start, later, later).tool_calls] == ["started", "there", "there"]


def test_a_coroutine_sees_the_context_variables_of_the_run() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    @tool(read_only=True)
    async def who() -> str:
        """Tell who asks."""
        await asyncio.sleep(0)
        return user.get()

    def ask(name: str) -> str:
        user.set(name)
        return response_to(who)

    with ThreadPool(3) as pool:
        assert pool.map(ask, ["ada", "bob", "eve"]) == ["ada", "bob", "eve"]


def test_a_run_inside_a_running_loop_uses_the_same_loop() -> None:
    loops = set()

    @tool
    async def note() -> str:
        """Note the loop."""
        loops.add(asyncio.get_running_loop())
        return "noted"

    async def main() -> None:
        response_to(note)
        await asyncio.to_thread(response_to, note)

    asyncio.run(main())
    response_to(note)
    assert len(loops) == 1


def test_a_sync_tool_may_run_a_loop_of_its_own_wherever_the_agent_is_run() -> None:
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    @tool
    def twice() -> int:
        """Double it."""
        return asyncio.run(double(4))

    async def main() -> tuple[str, bool]:
        task = asyncio.current_task()
        response = response_to(twice)
        await asyncio.sleep(0)
        return response, asyncio.current_task() is task

    assert response_to(twice) == "8"
    assert asyncio.run(main()) == ("8", True)


@pytest.mark.parametrize("timeout", [None, 20])
def test_an_async_tool_may_run_an_agent_that_has_async_tools(timeout: float | None) -> None:
    @tool(timeout=timeout)
    async def inner() -> str:
        """Work."""
        await asyncio.sleep(0.01)
        return "inner result"

    @tool(timeout=timeout)
    async def outer() -> str:
        """Ask another."""
        return response_to(inner)

    started = time.monotonic()
    assert response_to(outer) == "inner result"
    assert time.monotonic() - started < 5


# The end of a wait


def test_a_timeout_cancels_the_coroutine() -> None:
    cancelled = threading.Event()

    @tool(timeout=0.05)
    async def hang() -> None:
        """Wait for ever."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    assert response_to(hang) == "Error: hang did not finish within 0.05 seconds."
    assert cancelled.wait(5)


def test_cancelling_the_run_cancels_the_coroutine() -> None:
    begun, cancel, cancelled = threading.Event(), threading.Event(), threading.Event()

    @tool
    async def hang() -> None:
        """Wait for ever."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    def stop() -> None:
        begun.wait(5)
        cancel.set()

    threading.Thread(target=stop).start()
    assert run_of(hang, cancel=cancel).stopped == "cancelled"
    assert cancelled.wait(5)


def test_a_coroutine_that_blocks_the_loop_hangs_no_other_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "PATIENCE", 0.05)
    release = threading.Event()

    @tool(timeout=0.1)
    async def block() -> None:
        """Block."""
        release.wait(20)

    @tool
    async def quick() -> str:
        """Answer."""
        return "here"

    result = run_of(block, quick, quick)
    assert [record.response for record in result.tool_calls] == [
        *("Error: block did not finish within 0.1 seconds.", "here", "here")
    ]
    release.set()


def test_a_call_on_a_loop_that_stays_blocked_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "BLOCKED_LIMIT", 0.1)
    release, begun = threading.Event(), threading.Event()

    @tool(read_only=True)
    async def wait() -> str:
        """Wait for the other."""
        begun.set()
        await asyncio.sleep(0.05)
        return "late"

    @tool(read_only=True)
    async def block() -> str:
        """Block."""
        while not begun.is_set():
            await asyncio.sleep(0)
        release.wait(1.0)
        return "blocked"

    result = run_of(wait, block, replies=[[("wait", {}), ("block", {})]])
    assert "wait did not finish: block blocks the event loop" in result.tool_calls[0].response
    assert result.tool_calls[1].response == "blocked"


class Gone(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ToolError("Closed on Sundays."), "Error: Closed on Sundays."),
        (Gone("far"), "Error: leave raised Gone: far"),
        (SystemExit(3), "Error: leave raised SystemExit: 3"),
        (asyncio.CancelledError(), "Error: leave raised CancelledError: (no message)"),
        (StopAsyncIteration(), "Error: leave raised StopAsyncIteration: (no message)"),
        (TimeoutError(), "Error: leave raised TimeoutError: (no message)"),
    ],
)
def test_an_exception_of_a_coroutine_is_told_as_that_of_a_function(error: BaseException, says: str) -> None:
    @tool
    async def leave() -> None:
        """Leave."""
        await asyncio.sleep(0)
        raise error

    assert response_to(leave) == says


def test_ctrl_c_in_a_coroutine_ends_the_run() -> None:
    @tool
    async def leave() -> None:
        """Leave."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        response_to(leave)


def test_a_tool_that_cancels_itself_is_answered() -> None:
    @tool
    async def leave() -> None:
        """Leave."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    assert response_to(leave) == "Error: leave raised CancelledError: (no message)"


# Other processes


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    @tool
    async def pid() -> int:
        """Tell the process."""
        await asyncio.sleep(0.001)
        return os.getpid()

    assert response_to(pid) == str(os.getpid())
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(response_to(pid)))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert queue.get() == str(child.pid)
    assert response_to(pid) == str(os.getpid())


def test_the_program_ends_though_tasks_still_run_and_they_may_clean_up() -> None:
    code = """
import asyncio, time
from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

async def work():
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

@tool
async def start():
    "Start."
    asyncio.create_task(work())
    await asyncio.sleep(0)
    return "started"

@tool(timeout=0.05)
async def block():
    "Block."
    time.sleep(60)

print(Agent(ScriptedBackend(("start", {}), "Done."), tools=[start]).run("Go.").output)
BLOCK
"""
    block = 'Agent(ScriptedBackend(("block", {}), "Done."), tools=[block]).run("Go.")'
    quiet = [sys.executable, "-W", "error", "-c"]
    done = subprocess.run([*quiet, code.replace("BLOCK", "")], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("Done.\ncleaned up\n", "", 0)
    started = time.monotonic()
    done = subprocess.run([*quiet, code.replace("BLOCK", block)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("Done.\n", 0)
    assert time.monotonic() - started < 30


def test_isolated_async_tools_share_the_loop_of_their_process() -> None:
    PROCESSES.end()  # of several idle processes, each call might get another
    result = run_of(shared_lock, shared_lock, count_slowly)
    assert [record.response for record in result.tool_calls] == ["1", "2", "0\n1\n2"]


def test_a_result_that_can_not_leave_its_process_is_shown_all_the_same() -> None:
    record = run_of(unpicklable).tool_calls[0]
    assert record.error is None
    assert '"n":1' in record.response


# What is there later


def test_futures_and_tasks_are_waited_for() -> None:
    pool = concurrent.futures.ThreadPoolExecutor(1)

    async def double(value: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * value

    @tool
    def submitted() -> Any:
        """Return a future of a pool."""
        return pool.submit(lambda: "from the pool")

    @tool
    async def task() -> Any:
        """Return a task."""
        return asyncio.create_task(double(3))

    @tool
    async def future() -> Any:
        """Return a future that is there already."""
        made = asyncio.get_running_loop().create_future()
        made.set_result([1, 2])
        return made

    @tool
    def coroutine() -> Any:
        """Return a coroutine of a coroutine."""

        async def outer() -> Any:
            return double(5)

        return outer()

    @tool
    def several() -> Any:
        """Return coroutines."""
        return [double(1), double(2)]

    result = run_of(submitted, task, future, coroutine, several)
    assert [record.response for record in result.tool_calls] == ["from the pool", "6", "[1, 2]", "10", "[2, 4]"]
    pool.shutdown()


def test_a_task_of_the_loop_that_waits_for_the_run_is_refused_and_does_not_hang() -> None:
    loop: Any = None

    async def late() -> str:
        return "late"

    @tool
    def start() -> Any:
        """Start a task."""
        return loop.create_task(late())

    async def main() -> str:
        nonlocal loop
        loop = asyncio.get_running_loop()
        return response_to(start)

    assert "return the coroutine instead of a task" in asyncio.run(main())


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __aiter__(self) -> "Counter":
        return self

    async def __anext__(self) -> int:
        self.count += 1
        if self.count > 2:
            raise StopAsyncIteration
        return self.count


def test_generators_are_read_to_their_end() -> None:
    @tool
    def lines() -> Iterator[str]:
        """Yield lines."""
        yield "one"
        yield "two"

    @tool
    def pieces() -> Iterator[str]:
        """Yield a text in pieces."""
        yield from ("Hel", "lo", " wor", "ld")

    @tool
    async def objects() -> AsyncIterator[dict[str, int]]:
        """Yield objects."""
        for number in range(2):
            await asyncio.sleep(0)
            yield {"n": number}

    @tool
    def with_result() -> Any:
        """Yield, and return."""
        yield "working"
        return {"answer": 42}

    @tool
    def iterator() -> Any:
        """Return an iterator that is no generator."""
        return Counter()

    @tool
    async def nothing() -> AsyncIterator[str]:
        """Yield nothing."""
        for each in "":
            yield each

    result = run_of(lines, pieces, objects, with_result, iterator, nothing)
    assert [record.response for record in result.tool_calls] == [
        *("one\ntwo", "Hello world", '{"n": 0}\n{"n": 1}', 'working\n{"answer": 42}', "1\n2", "")
    ]


@pytest.mark.parametrize("is_async", [True, False])
def test_what_a_generator_gave_before_it_raised_is_kept(is_async: bool) -> None:
    def rows() -> Iterator[str]:
        """Yield rows."""
        yield "row 1"
        yield "row 2"
        raise ValueError("the connection is gone")

    async def async_rows() -> AsyncIterator[str]:
        """Yield rows."""
        for row in rows():
            yield row

    name = "async_rows" if is_async else "rows"
    record = run_of(async_rows if is_async else rows).tool_calls[0]
    assert record.error == (
        f"Error: {name} raised ValueError: the connection is gone\nBefore that it gave:\nrow 1\nrow 2"
    )


def test_a_generator_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def count() -> Iterator[int]:
        """Count."""
        number = 0
        try:
            while True:
                yield (number := number + 1)
        finally:
            closed.append(number)

    monkeypatch.setattr("agentkit.tooling.settling.MAX_ITEMS", 3)
    assert response_to(count) == "1\n2\n3\n(it was stopped here, after 3 items)"
    assert closed == [3]


def test_a_generator_is_retried_as_a_function_is() -> None:
    tries = []

    @tool(retries=1)
    def flaky() -> Iterator[str]:
        """Yield."""
        tries.append(1)
        yield "one"
        if len(tries) == 1:
            raise ConnectionError("gone")

    assert response_to(flaky) == "one"


def test_results_of_async_tools_are_the_same_streamed() -> None:
    @tool(read_only=True)
    async def rows() -> AsyncIterator[str]:
        """Yield rows."""
        yield "row 1"
        yield "row 2"

    agent = Agent(ScriptedBackend(("rows", {}), "Done."), tools=[rows])
    responses = [event.record.response for event in agent.stream("Go.") if isinstance(event, ToolFinished)]
    assert responses == ["row 1\nrow 2"]
