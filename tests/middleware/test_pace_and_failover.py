"""A server that has said that it takes no requests is not waited for while another model is ready."""

import threading
import time
from typing import Any

from agentkit import Agent, Limits, Pace
from agentkit.backend import Backend
from agentkit.backends import LightLLMBackend, OpenAIBackend
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, serve, whole

CLOSED = Answer(b'{"error": {"message": "slow down"}}', status=429, headers={"Retry-After": "300"})
LEFT = {"x-ratelimit-limit-requests": "1", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300s"}
SPENT = Answer(whole("A answers").body, headers=LEFT)
PATIENCE = Limits(seconds=60)


def agent(pace: Pace, *urls: str) -> Agent:
    """An agent of a model at each server, named a, b, ..."""
    backends = [OpenAIBackend(name, base_url=url) for name, url in zip("abc", urls, strict=False)]
    return Agent(backends, middleware=[pace])


def test_agents_that_share_a_pace_move_on_from_a_closed_server() -> None:
    pace = Pace()
    with serve([CLOSED]) as first, serve([whole("B answers")]) as second:
        for asked in (1, 1, 1):
            result = agent(pace, first.url, second.url).run("Go.", limits=PATIENCE)
            assert (result.output, len(first.requests)) == ("B answers", asked)
        assert len(second.requests) == 3
    assert (pace.waiting, pace.running) == (0, 0)


def test_a_server_with_no_requests_left_is_closed_too() -> None:
    with serve([SPENT]) as first, serve([whole("B answers")]) as second:
        agent_of_both = agent(Pace(), first.url, second.url)
        outputs = [agent_of_both.run("Go.", limits=PATIENCE).output for _ in range(3)]
        assert outputs == ["A answers", "B answers", "B answers"]
        assert len(first.requests) == 1


def test_the_last_model_that_is_ready_is_waited_for() -> None:
    soon = Answer(CLOSED.body, status=429, headers={"Retry-After": "2"})
    pace = Pace()
    with serve([soon, whole("A answers")]) as first, serve([CLOSED]) as second:
        started = time.monotonic()
        assert agent(pace, first.url).run("Go.", limits=PATIENCE).output == "A answers"
        assert time.monotonic() - started >= 2
        result = agent(pace, second.url, first.url).run("Go.", limits=PATIENCE)
        assert result.output == "A answers"


def test_a_short_wait_is_waited_for_also_where_another_is_ready() -> None:
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "0.5s"}
    with serve([Answer(whole("A answers").body, headers=left)]) as first, serve([whole("B answers")]) as second:
        both = agent(Pace(), first.url, second.url)
        assert [both.run("Go.", limits=PATIENCE).output for _ in range(2)] == ["A answers"] * 2


def test_own_limits_hold_all_models_back() -> None:
    pace = Pace(requests=1, per=1.5)
    with serve([whole("A answers")]) as first, serve([whole("B answers")]) as second:
        started = time.monotonic()
        outputs = [agent(pace, first.url, second.url).run("Go.", limits=PATIENCE).output for _ in range(2)]
        assert outputs == ["A answers"] * 2
        assert time.monotonic() - started >= 1.4


def test_a_request_that_waits_moves_on_when_its_server_closes() -> None:
    """The second waits behind the four that are sent to a server of which nothing is known."""
    hold = threading.Event()
    pace = Pace(at_once=8)
    results: list[Any] = []

    def answer(asked: Any) -> Answer:
        hold.wait(30)
        return CLOSED

    with serve(answer) as first, serve([whole("B answers")]) as second:

        def run() -> None:
            results.append(agent(pace, first.url, second.url).run("Go.", limits=PATIENCE).output)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        while pace.waiting < 2:
            time.sleep(0.01)
        started = time.monotonic()
        hold.set()
        for thread in threads:
            thread.join()
        assert results == ["B answers"] * 6
        assert len(first.requests) == 4
        assert time.monotonic() - started < 40


def test_a_text_server_is_not_waited_for_either() -> None:
    pace = Pace()
    closed = Says("", status=429, headers={"Retry-After": "300"})
    with serve_lightllm([closed]) as first, serve([whole("B answers")]) as second:
        for _ in range(2):
            backends: list[Backend] = [LightLLMBackend("Qwen3-8B", first.url), OpenAIBackend("b", base_url=second.url)]
            result = Agent(backends, middleware=[pace]).run("Go.", limits=PATIENCE)
            assert result.output == "B answers"
