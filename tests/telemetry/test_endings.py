"""Every span ends, however the run ends: finished, left, closed by another thread, cancelled, failed, interrupted."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from agentkit import Agent, Context, Limits, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.backends import OpenAIBackend
from agentkit.event import Reply, TextDelta
from agentkit.testing import ScriptedBackend
from tests.support.model_server import delta, serve, streamed
from tests.support.telemetry import Recorder, attributes, times


class Hung:
    """Tools that wait until `free` is set; `begun` is set when one runs."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def then(self, act: Callable[[], None]) -> None:
        """Do something in another thread once a tool runs."""

        def wait() -> None:
            self.begun.wait(5)
            act()

        threading.Thread(target=wait).start()

    def tool(self, **options: Any) -> Any:
        def hang() -> str:
            """Hangs."""
            self.begun.set()
            self.free.wait(20)
            return "Done."

        return tool(name="hang", **options)(hang)


@pytest.fixture
def hung() -> Iterator[Hung]:
    made = Hung()
    yield made
    made.free.set()


def agent_of(recorder: Recorder, *steps: Any, tools: Any = (), **options: Any) -> Agent:
    return Agent(ScriptedBackend(*steps), tools=tools, hooks=[recorder.otel()], **options)


@pytest.mark.parametrize("count", range(1, 8))
def test_a_stream_that_is_left(count: int) -> None:
    recorder = Recorder()

    @tool
    def note(text: str, ctx: Context) -> str:
        """Notes."""
        return text

    with agent_of(recorder, ("note", {"text": "x"}), "One two three.", tools=[note]).stream("Go.") as run:
        for _ in range(count):
            next(run)
    assert recorder.open == []
    agent = recorder.one("invoke_agent")
    assert attributes(agent)["agentkit.stopped"] == "closed"
    assert agent.status.status_code is StatusCode.UNSET


def test_a_stream_that_is_forgotten() -> None:
    recorder = Recorder()
    run = agent_of(recorder, "One two three.").stream("Go.")
    assert any(isinstance(event, TextDelta) for event in run)
    del run
    gc.collect()
    assert recorder.open == []
    (chat,) = recorder.named("chat")
    assert attributes(chat)["agentkit.stopped"] == "closed"
    assert attributes(chat)["gen_ai.response.finish_reasons"] == ("error",)


def test_a_stream_that_was_never_read_has_no_span() -> None:
    recorder = Recorder()
    agent_of(recorder, "One two three.").stream("Go.").close()
    assert recorder.ended == []


def test_a_run_that_another_thread_closes_while_a_tool_runs(hung: Hung) -> None:
    recorder = Recorder()
    run = agent_of(recorder, ("hang", {}), "Ok.", tools=[hung.tool(timeout=20)]).stream("Go.")
    reader = threading.Thread(target=lambda: list(run))
    reader.start()
    hung.begun.wait(5)
    run.close()
    reader.join(5)
    assert recorder.open == []
    assert attributes(recorder.one("execute_tool"))["agentkit.stopped"] == "closed"
    hung.free.set()
    time.sleep(0.1)
    assert len(recorder.named("execute_tool")) == 1


def test_a_run_that_another_thread_closes_while_a_request_is_open() -> None:
    recorder = Recorder()
    with serve([streamed(delta(content="Hi."), done=False, linger=5)]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()])
        run = agent.stream("Go.")
        arrived = threading.Event()

        def read() -> None:
            for event in run:
                if isinstance(event, TextDelta):
                    arrived.set()

        reader = threading.Thread(target=read)
        reader.start()
        arrived.wait(5)
        run.close()
        reader.join(5)
    assert recorder.open == []
    assert sorted(span.name for span in recorder.ended) == ["chat tiny", "invoke_agent agent"]
    for span in recorder.ended:
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["agentkit.stopped"] == "closed"


@pytest.mark.parametrize("way", ["run", "stream"])
def test_a_run_that_is_cancelled_while_a_tool_runs(way: str, hung: Hung) -> None:
    recorder, cancel = Recorder(), threading.Event()
    hung.then(cancel.set)
    agent = agent_of(recorder, ("hang", {}), "Ok.", tools=[hung.tool()])
    if way == "run":
        assert agent.run("Go.", cancel=cancel).stopped == "cancelled"
    else:
        list(agent.stream("Go.", cancel=cancel))
    assert recorder.open == []
    assert attributes(recorder.one("invoke_agent"))["agentkit.stopped"] == "cancelled"
    cut = recorder.one("execute_tool")
    assert attributes(cut)["agentkit.stopped"] == "cancelled"
    assert cut.status.status_code is StatusCode.UNSET
    assert times(cut)[1] <= times(recorder.one("invoke_agent"))[1]


@pytest.mark.parametrize("way", ["run", "stream"])
def test_a_run_that_is_cancelled_while_a_request_is_open(way: str) -> None:
    recorder, cancel = Recorder(), threading.Event()
    with serve([streamed(delta(content="Hi."), done=False, linger=5)]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()])
        threading.Timer(0.3, cancel.set).start()
        if way == "run":
            agent.run("Go.", cancel=cancel)
        else:
            list(agent.stream("Go.", cancel=cancel))
    assert recorder.open == []
    assert sorted(span.name for span in recorder.ended) == ["chat tiny", "invoke_agent agent"]
    for span in recorder.ended:
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span)["agentkit.stopped"] == "cancelled"


def test_a_tool_that_takes_longer_than_its_time(hung: Hung) -> None:
    recorder = Recorder()
    agent_of(recorder, ("hang", {}), "Ok.", tools=[hung.tool(timeout=0.1)]).run("Go.")
    assert recorder.open == []
    late = recorder.one("execute_tool")
    assert late.status.status_code is StatusCode.ERROR
    assert attributes(late)["error.type"] == "timeout"


def test_a_run_whose_seconds_are_over(hung: Hung) -> None:
    recorder = Recorder()
    tools = [hung.tool(read_only=True)]
    agent_of(recorder, ("hang", {}), "Ok.", tools=tools, limits=Limits(seconds=0.5)).run("Go.")
    assert recorder.open == []
    assert attributes(recorder.one("execute_tool"))["error.type"] == "timeout"


@pytest.mark.parametrize("way", ["run", "stream"])
def test_a_request_that_the_seconds_of_the_run_end(way: str) -> None:
    recorder = Recorder()
    with serve([streamed(delta(content="Hi."), done=False, linger=5)]) as server:
        backend = OpenAIBackend("tiny", base_url=server.url, api_key="k")
        agent = Agent(backend, hooks=[recorder.otel()], limits=Limits(seconds=0.5))
        if way == "run":
            agent.run("Go.")
        else:
            list(agent.stream("Go."))
    assert recorder.open == []
    assert {attributes(each)["error.type"] for each in recorder.named("chat")} == {"timeout"}
    assert attributes(recorder.one("invoke_agent"))["agentkit.stopped"] == "seconds"


def raising(error: BaseException) -> Callable[[], str]:
    def fail() -> str:
        """Fails."""
        raise error

    return fail


@pytest.mark.parametrize("way", ["run", "stream"])
def test_ctrl_c_in_a_tool(way: str) -> None:
    recorder = Recorder()
    agent = agent_of(recorder, ("fail", {}), "Ok.", tools=[raising(KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        agent.run("Go.") if way == "run" else list(agent.stream("Go."))
    assert recorder.open == []
    assert attributes(recorder.one("execute_tool"))["error.type"] == "KeyboardInterrupt"
    assert attributes(recorder.one("invoke_agent"))["error.type"] == "KeyboardInterrupt"


@pytest.mark.parametrize("way", ["run", "stream"])
@pytest.mark.parametrize("stage", ["first", "between", "late"])
def test_a_backend_that_fails(way: str, stage: str) -> None:
    class Backend:
        """Fails before its first delta, between two, or after its reply."""

        def reply(self, request: Request) -> ReplyStream:
            if stage == "first":
                raise RuntimeError("secret")
            yield TextDelta("Hi.")
            if stage == "between":
                raise RuntimeError("secret")
            yield Reply.text("Hi.")
            raise RuntimeError("secret")

        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities()

        def close(self) -> None:
            pass

    recorder = Recorder()
    agent = Agent(Backend(), hooks=[recorder.otel()])
    with pytest.raises(RuntimeError):
        agent.run("Go.") if way == "run" else list(agent.stream("Go."))
    assert recorder.open == []
    assert attributes(recorder.one("invoke_agent"))["error.type"] == "RuntimeError"
    assert attributes(recorder.one("chat")).get("error.type") == (None if stage == "late" else "RuntimeError")
    assert "secret" not in recorder.text()


def test_limits_and_answers_that_raise() -> None:
    recorder = Recorder()
    limits = Limits(turns=1, on_limit="raise")
    agent = agent_of(recorder, ("fail", {}), "Ok.", tools=[raising(ValueError())], limits=limits)
    with pytest.raises(Exception, match="limit"):
        agent.run("Go.")
    with pytest.raises(Exception, match="int"):
        agent_of(recorder, "No number.", "None.", "No.").run("Go.", output=int)
    assert recorder.open == []
    assert [attributes(each)["error.type"] for each in recorder.named("invoke_agent")] == [
        *("agentkit.errors.LimitError", "agentkit.errors.OutputError")
    ]


def test_a_nested_run_ends_with_the_outer_one(hung: Hung) -> None:
    recorder, cancel = Recorder(), threading.Event()
    inner = agent_of(recorder, ("hang", {}), "Inner.", tools=[hung.tool()])
    outer = agent_of(recorder, ("expert", {"task": "x"}), "Ok.", tools=[inner.as_tool("expert", "Knows.")])
    hung.then(cancel.set)
    outer.run("Go.", cancel=cancel)
    end = time.monotonic() + 5
    while recorder.open and time.monotonic() < end:  # the inner run notices by itself
        time.sleep(0.02)
    assert recorder.open == []
    assert len(recorder.named("invoke_agent")) == 2


def test_a_process_that_is_killed_with_a_tool_loses_the_tool_only() -> None:
    recorder = Recorder()

    agent = agent_of(recorder, ("leave", {}), "Ok.", tools=[tool(isolate=True)(leave)])
    assert agent.run("Go.").output == "Ok."
    assert recorder.open == []
    assert recorder.one("execute_tool").status.status_code is StatusCode.ERROR


def leave() -> str:
    """Ends its process."""
    import os

    os._exit(9)
