"""Requests of a batch wait at the gate of their server: `agentkit.batch.pace`, over HTTP."""

import errno
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, Limits, tool
from agentkit._threads import WORKERS
from agentkit.backends.openai import OpenAIBackend
from agentkit.batch import run_batch
from agentkit.batch.pace import ServerPaces, pace_here
from agentkit.net.abort import AbortableRequest, Aborted
from agentkit.net.http_client import Transport
from tests.support.model_server import Answer, Asked, ModelServer, serve, whole

BODY = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
REFUSED = Answer(b'{"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}', status=429)
SPENT = Answer(
    json.dumps({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}).encode(),
    status=429,
)


BAD_GATEWAY = Answer(b"<html><h1>502 Bad Gateway</h1></html>", status=502)


@contextmanager
def transport(server: ModelServer, **options: object) -> Iterator[Transport]:
    made = Transport(server.url, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


class AtOnce:
    """Answers of a server that refuses what is more than `cap` at once. most: that there were."""

    def __init__(self, cap: int = 1000, seconds: float = 0.02) -> None:
        self.cap, self.seconds, self.now, self.most, self.refused = cap, seconds, 0, 0, 0
        self.lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        with self.lock:
            if self.now >= self.cap:
                self.refused += 1
                return REFUSED
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return whole("Hi")


def in_threads(count: int, work: Callable[[], object]) -> list[BaseException]:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


def test_no_more_requests_are_in_flight_than_the_number_says() -> None:
    answers, paces = AtOnce(), ServerPaces(3, 3, 3)
    with serve(answers) as server, transport(server) as client:

        def work() -> None:
            for _ in range(4):
                with paces.run() as tally:
                    client.post("/chat/completions", BODY)
                assert (tally.requests, tally.refusals) == (1, 0)

        assert in_threads(12, work) == []
        assert answers.most <= 3
        assert len(server.requests) == 48
        assert set(paces.servers().values()) == {3}
        assert paces.width == 3


def test_refusals_are_waited_out_and_counted_and_use_up_no_retries() -> None:
    """NVIDIA/SkillSpector#303: what was refused was left out of the result."""
    answers, paces, refusals = AtOnce(cap=4), ServerPaces(2, 16, 32), list[int]()
    with serve(answers) as server, transport(server, max_retries=0) as client:

        def work() -> None:
            for _ in range(5):
                with paces.run() as tally:
                    client.post("/chat/completions", BODY)
                refusals.append(tally.refusals)

        assert in_threads(16, work) == []
        assert len(refusals) == 80
        assert sum(refusals) == answers.refused > 0
        assert paces.servers().popitem()[1] < 16


def test_a_refusal_that_says_how_long_holds_all_runs_of_its_server() -> None:
    """BerriAI/litellm#34399: others hammer a server that has asked one to wait; DaKheera47/job-ops#555."""
    held: list[float] = []

    def answer(asked: Asked) -> Answer:
        held.append(time.monotonic())
        if len(held) == 1:
            return Answer(REFUSED.body, status=429, headers={"retry-after-ms": "400"})
        return whole("Hi")

    paces = ServerPaces(8, 8, 8)
    with serve(answer) as server, transport(server) as client:
        first = threading.Event()

        def work() -> None:
            with paces.run():
                client.post("/chat/completions", BODY)
                first.set()

        def later() -> None:
            while not held:
                time.sleep(0.001)
            time.sleep(0.05)
            work()

        threads = [threading.Thread(target=each) for each in (work, later, later)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(held) == 4
    assert min(held[1:]) - held[0] >= 0.4


def test_a_server_that_says_that_nothing_is_left_is_not_asked_until_there_is() -> None:
    times: list[float] = []

    def answer(asked: Asked) -> Answer:
        times.append(time.monotonic())
        told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"}
        return Answer(whole("Hi").body, headers=told)

    paces = ServerPaces()
    with serve(answer) as server, transport(server) as client:
        for _ in range(2):
            with paces.run():
                client.post("/chat/completions", BODY)
    assert times[1] - times[0] >= 0.3


def test_a_spent_quota_is_raised_at_once() -> None:
    """openai/codex#6340, langchain-ai/langchainjs#1929: it is retried as if it were a rate."""
    paces = ServerPaces()
    with serve([SPENT]) as server, transport(server, max_retries=0) as client:
        with paces.run() as tally, pytest.raises(openai.RateLimitError, match="current quota") as raised:
            client.post("/chat/completions", BODY)
        assert len(server.requests) == tally.requests == 1
    assert raised.value.body == {"message": "You exceeded your current quota", "code": "insufficient_quota"}


def test_where_another_model_stands_ready_a_refusal_is_not_waited_out() -> None:
    paces = ServerPaces()
    with serve([REFUSED]) as busy, serve([whole("Hi")]) as free:
        agent = Agent([OpenAIBackend("a", base_url=busy.url), OpenAIBackend("b", base_url=free.url)])
        with paces.run() as tally:
            assert agent.run("Hello").output == "Hi"
        assert (len(busy.requests), len(free.requests)) == (1, 1)
    assert (tally.requests, tally.refusals) == (2, 1)
    assert len(paces.servers()) == 2


def test_a_wait_at_the_gate_ends_with_the_run() -> None:
    paces, refused = ServerPaces(), threading.Event()

    def answer(asked: Asked) -> Answer:
        refused.set()
        return Answer(REFUSED.body, status=429, headers={"retry-after": "500"})

    request = AbortableRequest()
    with serve(answer) as server, transport(server) as client:

        def work() -> None:
            with paces.run(), request:
                client.post("/chat/completions", BODY)

        def abort() -> None:
            refused.wait(30)
            request.abort()

        stopping = threading.Thread(target=abort)
        stopping.start()
        started = time.monotonic()
        failures = in_threads(1, work)
        stopping.join()
    assert [type(each) for each in failures] == [Aborted]
    assert time.monotonic() - started < 30
    assert len(server.requests) == 1


def test_the_seconds_of_a_run_end_its_wait() -> None:
    paces = ServerPaces()
    with serve([Answer(REFUSED.body, status=429, headers={"retry-after": "500"})]) as server:
        agent = Agent(OpenAIBackend("any", base_url=server.url), limits=Limits(seconds=0.3))
        with paces.run():
            run = agent.run("Hello")
    assert run.stopped == "seconds"


def test_a_server_that_is_started_again_is_waited_for() -> None:
    paces = ServerPaces()
    with serve([whole("Hi")]) as server, transport(server, max_retries=0) as client:
        with paces.run():
            client.post("/chat/completions", BODY)
        client._connections.close()
    port = server.http.server_port
    with transport(server, max_retries=0) as client:
        results: list[int] = []

        def work() -> None:
            with paces.run() as tally:
                client.post("/chat/completions", BODY)
                results.append(tally.refusals)

        waiting = threading.Thread(target=work)
        waiting.start()
        while not any(each.waiting for each in paces._servers.values()):
            time.sleep(0.005)
        with serve([whole("Hi")], port):
            waiting.join(30)
    assert len(results) == 1
    assert results[0] >= 1


def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with serve([whole("Hi")]) as server:
        pass
    with transport(server, max_retries=0) as client, ServerPaces().run() as tally:
        with pytest.raises(openai.APIConnectionError):
            client.post("/chat/completions", BODY)
        assert (tally.requests, tally.refusals) == (1, 0)


def test_what_nested_agents_and_other_threads_send_is_counted_and_held() -> None:
    paces, answers = ServerPaces(1, 1, 1), AtOnce()
    with serve(answers) as server, transport(server) as client:
        with paces.run() as tally:
            client.post("/chat/completions", BODY)
            inner = Agent(OpenAIBackend("any", base_url=server.url))

            @tool(read_only=True)
            def ask() -> str:
                """Ask."""
                return str(inner.run("Hello").output)

            assert WORKERS.call(lambda: ask()) == "Hi"
            assert tally.requests == 2
        client.post("/chat/completions", BODY)
        assert tally.requests == 2


def test_a_thread_that_has_not_read_a_stream_yet_may_ask_meanwhile() -> None:
    paces = ServerPaces(1, 1, 1)
    events = b'data: {"choices": []}\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n'

    def answer(asked: Asked) -> Answer:
        streams = asked.body.get("stream")
        return Answer(events, content_type="text/event-stream") if streams else whole("Hi")

    with serve(answer) as server, transport(server) as client, paces.run() as tally:
        stream = client.events("/chat/completions", {**BODY, "stream": True})
        next(stream)
        client.post("/chat/completions", BODY)
        WORKERS.call(lambda: client.post("/chat/completions", BODY))
        assert len(list(stream)) == 1
        client.post("/chat/completions", BODY)
        abandoned = client.events("/chat/completions", {**BODY, "stream": True})
        next(abandoned)
        del abandoned
        assert not WORKERS.call(lambda: client.post("/chat/completions", BODY)).get("error")
    assert tally.requests == 6
    assert [each.gate.in_flight for each in paces._servers.values()] == [0]


def test_the_number_of_runs_is_told_when_it_changes() -> None:
    paces, widths = ServerPaces(2, 16, 64), list[int]()
    end = paces.on_change(lambda: widths.append(paces.width))
    with serve([REFUSED, whole("Hi")]) as server, transport(server) as client:
        with paces.run():
            client.post("/chat/completions", BODY)
        end()
        with paces.run():
            client.post("/chat/completions", BODY)
    assert widths[0] < 16
    assert all(2 <= each <= 64 for each in widths)


def test_a_process_has_one_pace_for_jobs_with_the_same_limits() -> None:
    class Job:
        at_once = (1, 2, 3)

    class Other:
        at_once = (1, 2, 4)

    assert pace_here(Job()) is pace_here(Job())
    assert pace_here(Job()) is not pace_here(Other())
    assert pace_here(Job()).width == 2


class Away:
    """A network that is away for some calls, once as many others went through."""

    def __init__(self, real: Callable[..., Any], error: OSError, after: int = 5, calls: int = 6) -> None:
        self.real, self.error = real, error
        self.before, self.left = after, calls
        self.lock = threading.Lock()

    def __call__(self, *given: Any, **more: Any) -> Any:
        with self.lock:
            self.before -= 1
            is_away = self.before < 0 and self.left > 0
            self.left -= is_away
        if is_away:
            raise self.error
        return self.real(*given, **more)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (socket, "getaddrinfo", socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
        (socket.socket, "connect", OSError(errno.ENETUNREACH, "Network is unreachable")),
        (socket.socket, "connect", TimeoutError()),
    ],
    ids=["no name server", "no route", "no answer"],
)
def test_a_network_that_is_away_for_a_while_fails_no_question(
    owner: Any, name: str, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """different-ai/openwork#4436: while it was away, the retries of all that was asked were used up."""
    answer = replace(whole("Hello"), headers={"Connection": "close"})  # each request has a connection of its own
    with serve(lambda asked: answer) as server:
        away = Away(getattr(owner, name), error)
        monkeypatch.setattr(owner, name, lambda *given, **more: away(*given, **more))
        agent = Agent(OpenAIBackend("any", base_url=server.url, max_retries=0))
        with run_batch(agent, [f"q{n}" for n in range(20)], attempts=1, at_once=4) as run:
            records = list(run)
    assert [each["error"] for each in records] == [None] * 20
    assert away.left == 0
    assert sum(each["refusals"] for each in records) == 6


def test_a_batch_that_reaches_no_server_ends_and_marks_nothing_as_failed(tmp_path: Path) -> None:
    """promptfoo/promptfoo#145, schemathesis/schemathesis#4818"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    out, questions = tmp_path / "answers.jsonl", [f"q{n}" for n in range(12)]
    agent = Agent(OpenAIBackend("any", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0))
    with run_batch(agent, questions, out=out, attempts=1, at_once=2) as run:
        assert list(run) == []
        assert run.ending == "server"
        assert "no question has reached a server: Connection error" in run.message
    assert out.read_bytes() == b""
    with run_batch(agent, questions[:1], attempts=1) as run:
        assert (list(run), run.ending) == ([], "server")
    with serve(lambda asked: whole("Hello"), port) as server, run_batch(agent, questions, out=out, at_once=2) as run:
        assert [each["ok"] for each in run] == [True] * 12
        assert len(server.requests) == 12


def test_a_server_that_is_gone_for_long_ends_the_batch_and_leaves_its_questions_unanswered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """karakeep-app/karakeep#1611, NousResearch/hermes-agent#83657: a server that was off for the night failed all that
    was left to ask."""
    monkeypatch.setattr("agentkit.batch.pace.UNREACHABLE", 0.0)
    answer = replace(whole("Hello"), headers={"Connection": "close"})
    out, questions = tmp_path / "answers.jsonl", [f"q{n}" for n in range(6)]
    with serve(lambda asked: answer) as server:
        away = Away(socket.socket.connect, OSError(errno.ENETUNREACH, "Network is unreachable"), after=2, calls=3)
        monkeypatch.setattr(socket.socket, "connect", lambda *given: away(*given))
        agent = Agent(OpenAIBackend("any", base_url=server.url, max_retries=0))
        with run_batch(agent, questions, out=out, attempts=1, at_once=1) as run:
            records = list(run)
        assert [each["ok"] for each in records] == [True] * 2
        assert run.ending == "server"
        assert "the server is away: Connection error" in run.message
        with run_batch(agent, questions, out=out, attempts=1, at_once=1) as run:
            assert [each["ok"] for each in run] == [True] * 4
    assert len(server.requests) == 6


def test_one_question_that_a_server_does_not_survive_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.batch.pace.UNREACHABLE", 0.0)
    monkeypatch.setattr("agentkit.batch.attempts.FIRST_PAUSE", 0.01)
    with serve(lambda asked: BAD_GATEWAY if b"q3" in json.dumps(asked.body).encode() else whole("Hi")) as server:
        agent = Agent(OpenAIBackend("any", base_url=server.url, max_retries=0))
        with run_batch(agent, [f"q{n}" for n in range(6)], at_once=1) as run:
            records = list(run)
    assert [each["id"] for each in records if not each["ok"]] == [records[-1]["id"]]
    assert (records[-1]["error"]["status"], run.ending) == (502, "complete")


@pytest.mark.parametrize("status", [502, 503, 530])
def test_a_server_that_is_started_again_behind_a_proxy_is_waited_for(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NousResearch/hermes-agent#83657: "origin_bad_gateway" for minutes used up the attempts of each question."""
    monkeypatch.setattr("agentkit.batch.pace.SILENT", 0.0)
    away = replace(BAD_GATEWAY, status=status)
    with serve([whole("Hi")] * 2 + [away] * 5 + [whole("Hi")] * 6) as server:
        agent = Agent(OpenAIBackend("any", base_url=server.url, max_retries=0))
        with run_batch(agent, [f"q{n}" for n in range(8)], attempts=1, at_once=2) as run:
            records = list(run)
    assert [each["ok"] for each in records] == [True] * 8
    assert sum(each["refusals"] for each in records) == 5
