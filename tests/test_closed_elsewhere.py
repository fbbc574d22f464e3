"""A run that another thread closes: it ends at once, and its transcript can be continued."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agentkit import Agent, Context, Limits, MemorySessions, Run, tool
from agentkit.event import Event, TextDelta, ToolStarted
from agentkit.testing import ScriptedBackend

BEGINNING = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}\n\n'
)


@contextmanager
def silent_server(beginning: bytes) -> Iterator[tuple[str, threading.Event, list[socket.socket]]]:
    """A server that sends the beginning of an answer and no more; what is set when it was asked."""
    asked, connections = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connections.append(connection)
            connection.recv(65536)
            if beginning:
                connection.sendall(beginning)
            asked.set()

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked, connections
        for connection in connections:
            connection.close()


def is_left(connection: socket.socket) -> bool:
    """Whether the client has closed its connection, so that the server stops."""
    connection.settimeout(5)
    while connection.recv(65536):
        pass
    return True


class Reader:
    """Reads a run in a thread of its own."""

    def __init__(self, run: Run[Any]) -> None:
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.at = threading.Condition()
        self._run = run
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._run:
                with self.at:
                    self.events.append(event)
                    self.at.notify_all()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def wait_for(self, kind: type[Event]) -> None:
        with self.at:
            assert self.at.wait_for(lambda: any(isinstance(event, kind) for event in self.events), 5)

    def ended(self) -> bool:
        self._thread.join(5)
        return not self._thread.is_alive() and self.error is None


@pytest.mark.parametrize(
    "options",
    [{}, {"cancel": threading.Event()}, {"limits": Limits(seconds=60)}],
    ids=lambda options: next(iter(options), "plain"),
)
@pytest.mark.parametrize("beginning", [b"", BEGINNING], ids=["first-byte", "middle"])
def test_a_thread_that_waits_for_the_model_is_woken(beginning: bytes, options: dict[str, Any]) -> None:
    with silent_server(beginning) as (url, asked, connections), MemorySessions() as sessions:
        run = Agent(f"openai:m@{url}").stream("Hi.", session=sessions["a"], **options)
        reader = Reader(run)
        assert asked.wait(10)
        if beginning:
            reader.wait_for(TextDelta)
        run.close()
        assert reader.ended()
        assert is_left(connections[0])
        assert not sessions["a"].is_held
        assert run.result is None
        question = [{"role": "user", "content": "Hi."}]
        assert run.messages == sessions["a"].messages == question
        assert Agent(ScriptedBackend("Hello.")).resume(sessions["a"]).output == "Hello."


class Calls:
    """Tools that wait until the test lets them go on."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.running, self.released = threading.Event(), threading.Event()

    def _wait(self, name: str) -> str:
        self.made.append(name)
        self.running.set()
        self.released.wait(5)
        return "done"

    @tool
    def send(self) -> str:
        """Send."""
        return self._wait("send")

    @tool
    def send_in_thread(self, ctx: Context) -> str:
        """Send."""
        return self._wait("send_in_thread")

    @tool(read_only=True)
    def look(self, topic: str) -> str:
        """Look."""
        return self._wait(f"look {topic}")

    @tool
    async def wait(self) -> str:
        """Wait."""
        self.made.append("wait")
        self.running.set()
        await asyncio.sleep(5)
        return "done"


def closed_in(step: Any, release: bool = False) -> tuple[Run[Any], Calls, Any]:
    """A run that another thread closes while it calls tools."""
    calls = Calls()
    tools: list[Any] = [calls.send, calls.send_in_thread, calls.look, calls.wait]
    with MemorySessions() as sessions:
        run = Agent(ScriptedBackend(step), tools=tools).stream("Go.", session=sessions["a"])
        reader = Reader(run)
        reader.wait_for(ToolStarted)
        assert calls.running.wait(5)
        run.close()
        if release:
            calls.released.set()
        assert reader.ended()
        calls.released.set()
        assert sessions["a"].messages == run.messages
        assert not sessions["a"].is_held
        result = Agent(ScriptedBackend("Done."), tools=tools).resume(sessions["a"])
    return run, calls, result


def response(run: Run[Any]) -> str:
    assert run.messages[-1]["role"] == "tool"
    return str(run.messages[-1]["content"])


def test_a_tool_in_the_thread_of_the_run_has_its_result_kept() -> None:
    run, calls, result = closed_in(("send", {}), release=True)
    assert "\ndone\n" in response(run)
    assert (result.output, calls.made) == ("Done.", ["send"])


def test_a_tool_with_an_effect_is_not_waited_for_and_not_made_again() -> None:
    run, calls, result = closed_in(("send_in_thread", {}))
    assert "had not finished when the run was closed; whether it had an effect is not known" in response(run)
    assert (result.output, calls.made) == ("Done.", ["send_in_thread"])


def test_read_only_tools_are_not_waited_for_and_are_made_again() -> None:
    run, calls, result = closed_in([("look", {"topic": "a"}), ("look", {"topic": "b"})])
    assert run.messages[-1]["role"] == "assistant"
    assert sorted(calls.made) == ["look a", "look a", "look b", "look b"]
    assert [call.response for call in result.tool_calls] == ["done", "done"]


def test_an_async_tool_is_cancelled() -> None:
    run, _, result = closed_in(("wait", {}))
    assert "the run was cancelled" in response(run)
    assert result.output == "Done."


def test_an_agent_inside_of_a_tool_ends_too() -> None:
    with silent_server(b"") as (url, asked, connections):
        expert = Agent(f"openai:m@{url}").as_tool("expert", "Knows.")
        run = Agent(ScriptedBackend(("expert", {"task": "x"})), tools=[expert]).stream("Go.")
        reader = Reader(run)
        assert asked.wait(5)
        run.close()
        assert reader.ended()
        assert is_left(connections[0])


def test_a_tool_may_close_its_own_run() -> None:
    runs: list[Run[Any]] = []

    @tool
    def stop() -> str:
        """Stop."""
        runs[0].close()
        return "stopped"

    runs.append(Agent(ScriptedBackend(("stop", {}), "Never."), tools=[stop]).stream("Go."))
    events = [type(event).__name__ for event in runs[0]]
    assert events == ["ReplyStarted", "ReplyFinished", "ToolStarted"]
    assert [each["role"] for each in runs[0].messages] == ["user", "assistant", "tool"]


def test_the_pieces_of_a_text_are_closed_by_another_thread_too() -> None:
    with silent_server(BEGINNING) as (url, _, connections):
        pieces = Agent(f"openai:m@{url}").stream_text("Hi.")
        assert next(pieces) == "Hel"
        closer = threading.Timer(0.05, pieces.close)
        closer.start()
        assert list(pieces) == []
        assert is_left(connections[0])


def at_once(run: Run[Any]) -> None:
    """Nothing was read yet."""


def between(run: Run[Any]) -> None:
    """The reader is busy with an event."""
    next(run)


def over(run: Run[Any]) -> None:
    """The run has ended."""
    assert list(run)


@pytest.mark.parametrize("reach", [at_once, between, over])
def test_a_run_is_closed_by_another_thread_whenever(reach: Callable[[Run[Any]], None]) -> None:
    with MemorySessions() as sessions:
        run = Agent(ScriptedBackend("Hello there.")).stream("Hi.", session=sessions["a"])
        reach(run)
        closers = [threading.Thread(target=run.close) for _ in range(3)]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(5)
        assert list(run) == []
        assert not sessions["a"].is_held
        assert (run.result is not None) == (reach is over)


def test_threads_that_close_a_run_while_it_is_read_never_break_it() -> None:
    for number in range(40):
        run = Agent(ScriptedBackend("one two three four five six")).stream("Hi.")
        reader = Reader(run)
        time.sleep(number % 5 * 0.0002)
        run.close()
        assert reader.ended()
        assert run.messages[0] == {"role": "user", "content": "Hi."}
        assert len(run.messages) in (1, 2)
