"""A run stops within 0.2 seconds at any point: by its cancel token, its time limit, Ctrl-C."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import openai
import pytest

from agentkit import Agent, Context, Limits, tool
from agentkit.backend import ReplyStream, Request
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import TextDelta
from agentkit.message import stop_reason
from agentkit.middleware.base import Middleware
from agentkit.middleware.cancellation import READ_AHEAD
from agentkit.net.abort import AbortingEvent
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole
from tests.support.waiting import until

SOON = 0.8
"""Seconds that stopping may take here: 0.2, and what a busy machine with other tests running adds."""


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def stopped_after(agent: Agent, stream: bool, seconds: float = 0.3) -> tuple[Any, float]:
    """The result of a run that is cancelled after some seconds, and how long it took to stop."""
    cancel = threading.Event()
    timer = threading.Timer(seconds, cancel.set)
    started = time.monotonic()
    timer.start()
    result = list(agent.stream("Go.", cancel=cancel))[-1].result if stream else agent.run("Go.", cancel=cancel)  # type: ignore[attr-defined]
    return result, time.monotonic() - started - seconds


def check(result: Any, took: float, stopped: str = "cancelled") -> None:
    assert result.stopped == stopped
    assert took < SOON
    Transcript(result.messages)


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_stops_while_it_waits_for_the_first_byte(stream: bool) -> None:
    with silent_server() as url, Agent(f"openai:m@{url}") as agent:
        check(*stopped_after(agent, stream))


def test_a_run_stops_while_a_reply_streams() -> None:
    chunks = [delta(content=f"word{number} ") for number in range(200)]
    with serve([streamed(*chunks, piece=90, pause=0.05)]) as server, Agent(f"openai:m@{server.url}") as agent:
        result, took = stopped_after(agent, stream=True)
        check(result, took)
        assert [message["role"] for message in result.messages] == ["user", "assistant"]
        assert stop_reason(result.messages[1]) == "cancelled"


def test_the_connection_of_an_abandoned_stream_is_closed() -> None:
    chunks = [delta(content=f"word{number} ") for number in range(4000)]
    cancel = threading.Event()
    with serve([streamed(*chunks, piece=90, pause=0.005)]) as server, Agent(f"openai:m@{server.url}") as agent:
        for event in agent.stream("Go.", cancel=cancel):
            if isinstance(event, TextDelta):
                cancel.set()
        started = time.monotonic()
        while not server.left and time.monotonic() - started < 5:
            time.sleep(0.02)
        assert server.left == 1


def closed_by_its_client(agent_of: Any, stream: bool) -> None:
    """Check that a silent server sees its connection closed soon after the run was cancelled, and no other made."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        agent = agent_of(f"http://127.0.0.1:{listening.getsockname()[1]}")
        cancel = threading.Event()
        thread = threading.Thread(
            target=(lambda: list(agent.stream("Go.", cancel=cancel)))
            if stream
            else lambda: agent.run("Go.", cancel=cancel)
        )
        thread.start()
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(5)
            while b"Go." not in connection.recv(1 << 16):
                pass
            cancel.set()
            started = time.monotonic()
            while connection.recv(1 << 16):
                pass
            assert time.monotonic() - started < SOON
        thread.join()
        listening.settimeout(1.5)  # a client that retries does so within that time
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize("stream", [False, True])
def test_the_connection_is_closed_before_the_first_byte(stream: bool) -> None:
    closed_by_its_client(lambda url: Agent(OpenAIBackend("m", base_url=f"{url}/v1")), stream)


@pytest.mark.parametrize("stream", [False, True])
def test_the_connection_to_a_lightllm_server_is_closed_too(stream: bool) -> None:
    closed_by_its_client(lambda url: Agent(LightLLMBackend("Qwen3-8B", url)), stream)


@contextmanager
def answered_once(listening: socket.socket) -> Iterator[socket.socket]:
    """A connection whose first request was answered, and whose second one has arrived and waits."""
    body = whole("Done.").body
    with listening.accept()[0] as connection:
        connection.settimeout(5)
        for answer in (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body), b""):
            while b"Go." not in connection.recv(1 << 16):
                pass
            connection.sendall(answer)
        yield connection


@pytest.mark.parametrize("is_within", [True, False])
def test_an_event_that_aborts_requests_closes_the_connections_of_all_threads_of_a_run(is_within: bool) -> None:
    """Of the thread that is within it, and of another one, in which a tool asks."""
    results: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        agent, cancel = Agent(f"openai:m@http://127.0.0.1:{listening.getsockname()[1]}/v1"), AbortingEvent()

        def ask() -> None:
            results.append(agent.run("Go.", cancel=cancel).stopped)

        def work() -> None:
            ask()  # its first request loads what sends them
            cancel.within(ask) if is_within else ask()

        thread = threading.Thread(target=work)
        thread.start()
        with answered_once(listening) as connection:
            cancel.set()
            assert connection.recv(1) == b""  # it was closed
        thread.join()
        cancel.within(ask)  # nothing is sent
    assert results == ["answer", "cancelled", "cancelled"]


def test_a_streamed_run_with_such_an_event_can_be_closed_by_another_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        agent, cancel = Agent(f"openai:m@http://127.0.0.1:{listening.getsockname()[1]}/v1"), AbortingEvent()
        runs: SimpleQueue[Any] = SimpleQueue()

        def stream() -> None:
            run = agent.stream("Go.", cancel=cancel)
            runs.put(run)
            list(run)

        def work() -> None:
            agent.run("Go.")
            cancel.within(stream)

        thread = threading.Thread(target=work)
        thread.start()
        with answered_once(listening) as connection:
            runs.get().close()
            assert connection.recv(1) == b""  # it was closed
        thread.join()


def test_an_abandoned_reply_closes_only_its_own_connection() -> None:
    def reply(asked: Any) -> Answer:
        slow = "slow" in str(asked.body["messages"])
        return Answer(whole("Done.").body, delay=2.0 if slow else 0.02)

    with serve(reply) as server, Agent(f"openai:m@{server.url}") as agent, ThreadPoolExecutor(8) as pool:
        leaving = [threading.Event() for _ in range(4)]
        left = [pool.submit(agent.run, "slow", cancel=cancel) for cancel in leaving]
        others = [pool.submit(agent.run, "quick", cancel=threading.Event()) for _ in range(100)]
        for cancel in leaving:
            time.sleep(0.1)
            cancel.set()
        assert {each.result().stopped for each in left} == {"cancelled"}
        assert {each.result().output for each in others} == {"Done."}
        assert len(server.requests) == 104  # none was retried


def test_a_run_stops_while_it_backs_off() -> None:
    busy = Answer(b'{"error": {"message": "busy"}}', status=429, headers={"retry-after": "30"})
    with serve([busy]) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=3)
        check(*stopped_after(Agent(backend), stream=False))
        backend.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_a_run_stops_while_tools_work(read_only: bool, count: int) -> None:
    @tool(read_only=read_only)
    def nap() -> str:
        """Sleep."""
        time.sleep(5)
        return "slept"

    agent = Agent(ScriptedBackend([("nap", {})] * count, "Never."), tools=[nap])
    check(*stopped_after(agent, stream=False))


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_on_lightllm_stops_too(stream: bool) -> None:
    with serve_lightllm([Says("word " * 100, pause=0.05 if stream else 5.0)]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        check(*stopped_after(Agent(backend), stream))
        backend.close()


def test_an_error_in_the_thread_is_raised_unchanged() -> None:
    with serve([Answer(b'{"error": {"message": "no such model"}}', status=404)]) as server:
        with Agent(f"openai:m@{server.url}") as agent, pytest.raises(openai.NotFoundError, match="no such") as caught:
            agent.run("Go.", cancel=threading.Event())
    assert caught.value.messages == [{"role": "user", "content": "Go."}]  # type: ignore[attr-defined]


# ---- seconds


def test_the_seconds_end_a_run_that_waits_for_a_silent_server() -> None:
    with silent_server() as url, Agent(f"openai:m@{url}", limits=Limits(seconds=0.6)) as agent:
        started = time.monotonic()
        result = agent.run("Go.")
        check(result, time.monotonic() - started - 0.6, "seconds")
    assert result.output == ""


def test_time_is_reserved_for_the_best_answer() -> None:
    def reply(asked: Any) -> Answer:
        if "No more tool calls" in str(asked.body["messages"][-1]["content"]):
            return whole("My best answer.")
        time.sleep(3)
        return whole("Too late.")

    with serve(reply) as server, Agent(f"openai:m@{server.url}", limits=Limits(seconds=1.5)) as agent:
        started = time.monotonic()
        result = agent.run("Go.")
    assert (result.stopped, result.output) == ("seconds", "My best answer.")
    assert time.monotonic() - started < 3.5  # the server closes after its own answers are finished


def test_a_tool_running_at_the_deadline_is_answered_and_the_best_answer_requested() -> None:
    @tool
    def nap() -> str:
        """Sleep."""
        time.sleep(4)
        return "slept"

    agent = Agent(ScriptedBackend(("nap", {}), "My best answer."), tools=[nap], limits=Limits(seconds=1.0))
    started = time.monotonic()
    result = agent.run("Go.")
    assert (result.stopped, result.output) == ("seconds", "My best answer.")
    assert "before the run's time was up" in result.tool_calls[0].response
    assert time.monotonic() - started < 1.0 + SOON


def test_a_tool_knows_the_deadline() -> None:
    remaining: list[float | None] = []

    @tool
    def look(ctx: Context) -> str:
        """Look."""
        remaining.append(None if ctx.deadline is None else ctx.deadline - time.monotonic())
        return "x"

    Agent(ScriptedBackend(("look", {}), "Done."), tools=[look], limits=Limits(seconds=10)).run("Go.")
    Agent(ScriptedBackend(("look", {}), "Done."), tools=[look]).run("Go.")
    assert remaining[0] is not None
    assert 7 < remaining[0] <= 8
    assert remaining[1] is None


def test_a_reply_that_nobody_takes_is_not_read_ahead_without_end() -> None:
    given: list[int] = []

    class Endless(Middleware):
        def reply(self, request: Request) -> ReplyStream:
            for number in range(100 * READ_AHEAD):
                given.append(number)
                yield TextDelta("word ")

    cancel = threading.Event()
    with Agent(Endless(ScriptedBackend([]))).stream("Go.", cancel=cancel) as run:
        next(event for event in run if isinstance(event, TextDelta))
        until(lambda: len(given) >= READ_AHEAD)
        time.sleep(0.05)
        assert len(given) <= READ_AHEAD + 10
        cancel.set()
