"""Pace: no request that the server would refuse, none held back without need, and no wait that can't be ended."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from openai import RateLimitError

from agentkit import Agent, Limits, Pace, ReplyCache, tool
from agentkit.backend import ReplyStream, Request
from agentkit.backends.lightllm import LightLLMBackend
from agentkit.backends.openai import OpenAIBackend
from agentkit.errors import ConfigurationError
from agentkit.event import TextDelta
from agentkit.middleware.base import Middleware
from agentkit.middleware.pace import _size
from agentkit.testing import ScriptedBackend
from tests.support.forks import in_child
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
REFUSED = Answer(b'{"error": {"message": "too many requests"}}', status=429)


def agent(server: ModelServer, pace: Any, *, model: str = "any", retries: int = 0, **options: Any) -> Agent:
    return Agent(OpenAIBackend(model, base_url=server.url, max_retries=retries), middleware=[pace], **options)


def threads(count: int, work: Callable[[int], Any], patience: float = 30.0) -> list[Any]:
    """What `work` returns, or raises, in each of so many threads."""
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - compared by the caller
            results[number] = error

    running = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for each in running:
        each.start()
    for each in running:
        each.join(patience)
        assert not each.is_alive()
    return results


class Limited:
    """A server that accepts 60 requests a second. tells: whether its headers say what is left."""

    limit, per = 60, 1.0

    def __init__(self, tells: bool) -> None:
        self.tells = tells
        self.lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        self.accepted: list[float] = []
        self.refused = 0
        self.free = float(self.limit)
        self.at = time.monotonic()

    def __call__(self, asked: Asked) -> Answer:
        with self.lock:
            now = time.monotonic()
            left, seconds = self.state(now)
            if left > 0:
                self.accepted.append(now)
            else:
                self.refused += 1
            left, seconds = self.state(now)
        headers = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(left),
            "x-ratelimit-reset-requests": f"{int(seconds * 1000) + 1}ms",
        }
        answer = whole("Hello.", usage=USAGE) if self.accepted and self.accepted[-1] == now else REFUSED
        return replace(answer, headers=headers if self.tells else {})

    def state(self, now: float) -> tuple[int, float]:
        """How many are left, and the seconds until there are more."""
        counted = [each for each in self.accepted[-self.limit :] if each > now - self.per]
        return self.limit - len(counted), (counted[0] + self.per - now if counted else 0.0)


class Fixed(Limited):
    """Whose windows begin with each second."""

    def state(self, now: float) -> tuple[int, float]:
        begin = now // self.per * self.per
        return self.limit - sum(each >= begin for each in self.accepted[-self.limit :]), begin + self.per - now


class Bucket(Limited):
    """Which is filled up all the time, as OpenAI's and Anthropic's; the reset is when it is full."""

    def state(self, now: float) -> tuple[int, float]:
        rate, free, at = self.limit / self.per, float(self.limit), self.at
        for each in self.accepted:
            free, at = min(self.limit, free + (each - at) * rate) - 1, each
        free = min(self.limit, free + (now - at) * rate)
        return int(free), (self.limit - free) / rate


def used(server: Limited, url: Any, pace: Pace, seconds: float) -> tuple[float, float]:
    """The part of what the server accepts in that time that was used, and the part of the requests that it refused."""
    agents = [agent(url, pace) for _ in range(32)]
    server.begin()
    begin = time.monotonic()

    def work(number: int) -> None:
        while time.monotonic() < begin + seconds:
            agents[number].run("Hi?")

    threads(32, work)
    accepted = [each for each in server.accepted if each < begin + seconds]
    whole_windows = server.limit * seconds / server.per
    return len(accepted) / whole_windows, server.refused / (len(server.accepted) + server.refused)


CASES: dict[str, tuple[Limited, Callable[[], Pace]]] = {
    "limit given": (Limited(tells=False), lambda: Pace(requests=60, per=1)),
    "limit given, 8 at once": (Limited(tells=False), lambda: Pace(requests=60, per=1, at_once=8)),
    "told, sliding window": (Limited(tells=True), Pace),
    "told, fixed window": (Fixed(tells=True), Pace),
    "told, bucket": (Bucket(tells=True), Pace),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_32_threads_use_the_limit_of_a_server_and_are_not_refused(case: tuple[Limited, Callable[[], Pace]]) -> None:
    script, make = case
    measured = []
    with serve(script) as server:
        agent(server, Pace()).run("Hi?")  # what is imported and set up for the first request
        for _ in range(3):  # a machine that is busy may delay threads for longer than a request takes to arrive
            measured.append(used(script, server, make(), 2.0))
            if measured[-1][0] >= 0.9 and measured[-1][1] <= 0.01:
                return
    raise AssertionError(measured)


def test_retry_after_holds_for_all_models_and_agents() -> None:
    arrived: list[tuple[float, int]] = []
    lock = threading.Lock()

    def script(asked: Asked) -> Answer:
        with lock:
            number = len(arrived)
            arrived.append((time.monotonic(), number))
        if number == 0:
            return replace(REFUSED, headers={"retry-after-ms": "600"})
        return whole("Hello.")

    pace = Pace()
    with serve(script) as server:
        first = threading.Thread(target=agent(server, pace, retries=2).run, args=("Hi?",))
        first.start()
        until(lambda: arrived)
        time.sleep(0.1)
        blocked = time.monotonic()
        answers = threads(8, lambda number: agent(server, pace, model=f"model-{number % 2}").run("Hi?").output)
        first.join(10)
    assert answers == ["Hello."] * 8
    assert len(arrived) == 10
    assert min(each for each, number in arrived if number) >= blocked + 0.4


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "1"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "700ms"},
        {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9h",
         "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "700ms"},
    ],
    ids=["retry-after", "requests", "tokens"],
)  # fmt: skip
def test_a_refusal_says_in_its_headers_how_long_to_wait(headers: dict[str, str]) -> None:
    answers = iter([replace(REFUSED, headers=headers), *[whole("Hello.")] * 9])
    pace = Pace()
    with serve(lambda asked: next(answers)) as server:
        with pytest.raises(RateLimitError):
            agent(server, pace).run("Hi?")
        refused = time.monotonic()
        agent(server, pace).run("Hi?")
        assert 0.5 < time.monotonic() - refused < 4


def test_a_wait_of_hours_is_not_waited_for() -> None:
    with serve([replace(REFUSED, headers={"retry-after": "7200"}), REFUSED, whole("Hello.")]) as server:
        pace, started = Pace(), time.monotonic()
        for _ in range(2):
            with pytest.raises(RateLimitError):
                agent(server, pace).run("Hi?")
        assert agent(server, pace).run("Hi?").output == "Hello."
        assert time.monotonic() - started < 5


def test_refusals_without_a_word_on_the_time_hold_all_back() -> None:
    arrived: list[float] = []

    def script(asked: Asked) -> Answer:
        arrived.append(time.monotonic())
        return REFUSED if len(arrived) <= 2 else whole("Hello.")

    pace = Pace(requests=1000)
    with serve(script) as server:
        for _ in range(2):
            with pytest.raises(RateLimitError):
                agent(server, pace).run("Hi?")
        threads(4, lambda number: agent(server, pace).run("Hi?"))
    assert arrived[1] - arrived[0] >= 0.45
    assert arrived[2] - arrived[1] >= 0.9


def test_refusals_at_the_same_moment_are_one() -> None:
    arrived: list[float] = []
    lock = threading.Lock()

    def script(asked: Asked) -> Answer:
        with lock:
            arrived.append(time.monotonic())
            return replace(REFUSED, delay=0.2) if len(arrived) <= 8 else whole("Hello.")

    pace = Pace(requests=1000)
    with serve(script) as server:
        agents = [agent(server, pace) for _ in range(8)]
        threads(8, lambda number: agents[number].run("Hi?"))
        agents[0].run("Hi?")
    assert 0.4 < arrived[8] - arrived[0] < 3  # seven in a row would be 8 seconds


def test_a_server_that_is_closed_does_not_hold_up_another() -> None:
    pace = Pace(requests=100)
    refusing = [replace(REFUSED, headers={"retry-after": "30"})]
    with serve(refusing) as closed, serve([whole("Hello.")]) as other:
        with pytest.raises(RateLimitError):
            agent(closed, pace).run("Hi?")
        cancel = threading.Event()
        waiting = threading.Thread(target=lambda: agent(closed, pace).run("Hi?", cancel=cancel))
        waiting.start()
        until(lambda: pace.waiting)
        started = time.monotonic()
        assert agent(other, pace).run("Hi?").output == "Hello."
        assert time.monotonic() - started < 5
        cancel.set()
        waiting.join(10)
        assert len(closed.requests) == 1


def test_who_came_first_is_sent_first() -> None:
    order: list[str] = []

    def script(asked: Asked) -> Answer:
        order.append(asked.body["messages"][-1]["content"])
        return replace(whole("Hello."), delay=0.02)

    pace = Pace(at_once=1)
    with serve(script) as server:
        one = agent(server, pace)
        one.run("begin")
        with serve([replace(streamed(delta(content="a"), delta("stop")), linger=0.5)]) as slow:
            reading = agent(slow, pace).stream("slow")
            for event in reading:
                if isinstance(event, TextDelta):
                    break
            running = []
            for number in range(8):
                running.append(threading.Thread(target=one.run, args=(str(number),)))
                running[-1].start()
                until(lambda number=number: pace.waiting == number + 1)  # type: ignore[misc]
            reading.close()
            for each in running:
                each.join(10)
    assert [each for each in order if each.isdigit()] == list("01234567")


def exhausted(server: ModelServer) -> Pace:
    """A pace that lets nothing go for a minute."""
    pace = Pace(requests=1)
    agent(server, pace).run("Hi?")
    return pace


def test_a_wait_is_cancelled_at_once_and_without_a_request() -> None:
    with serve([whole("Hello.")]) as server:
        pace, cancel = exhausted(server), threading.Event()
        threading.Timer(0.2, cancel.set).start()
        started = time.monotonic()
        assert agent(server, pace).run("Hi?", cancel=cancel).stopped == "cancelled"
        assert time.monotonic() - started < 3
        until(lambda: not pace.waiting)
        assert len(server.requests) == 1


def test_a_wait_ends_with_the_seconds_of_the_run_and_without_a_request() -> None:
    with serve([whole("Hello.")]) as server:
        pace, started = exhausted(server), time.monotonic()
        result = agent(server, pace, limits=Limits(seconds=0.5)).run("Hi?")
        assert result.stopped == "seconds"
        assert 0.3 < time.monotonic() - started < 3
        until(lambda: not pace.waiting)
        assert len(server.requests) == 1


def test_a_wait_ends_when_another_thread_closes_the_run() -> None:
    with serve([whole("Hello.")]) as server:
        pace = exhausted(server)
        run = agent(server, pace).stream("Hi?")
        reading = threading.Thread(target=lambda: list(run))
        reading.start()
        until(lambda: pace.waiting)
        run.close()
        reading.join(5)
        assert not reading.is_alive()
        assert not pace.waiting
        assert len(server.requests) == 1


PROGRAM = """
from agentkit import Agent, Pace
from agentkit.middleware.pace import _size
from agentkit.testing import ScriptedBackend
agent = Agent(ScriptedBackend("a", "b"), middleware=[Pace(requests=1)])
agent.run("Hi?")
print("waits", flush=True)
try:
    agent.run("Hi?")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_wait_is_interrupted_by_control_c() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted\n"


def test_waiting_takes_no_time_of_the_processor() -> None:
    with serve([whole("Hello.")]) as server:
        pace, cancel = exhausted(server), threading.Event()
        one = agent(server, pace)
        runs = [one.stream("Hi?") for _ in range(64)]
        running = [threading.Thread(target=list, args=(run,)) for run in runs]
        for each in running:
            each.start()
        until(lambda: pace.waiting == 64)
        before = time.process_time()
        cancel.wait(1.0)
        assert time.process_time() - before < 0.3
        for run in runs:
            run.close()
        for each in running:
            each.join(10)
        assert not pace.waiting


def slow_stream(asked: Asked) -> Answer:
    return streamed(*(delta(content="word ") for _ in range(20)), delta("stop"), piece=60, pause=0.01)


def read_one(run: Any) -> None:
    for event in run:
        if isinstance(event, TextDelta):
            return


def test_a_stream_holds_its_place_until_it_ends_or_is_left() -> None:
    most, lock = 0, threading.Lock()

    pace = Pace(at_once=3)
    with serve(slow_stream) as server:
        one = agent(server, pace)
        list(one.stream("Hi?"))
        held = [pace.running]

        def work(number: int) -> None:
            nonlocal most
            for event in one.stream("Hi?"):
                if isinstance(event, TextDelta):
                    with lock:
                        most = max(most, pace.running)
                    if number % 3 == 0:
                        break  # left without a word

        threads(9, work)
        gc.collect()
        assert most <= 3
        runs = [one.stream("Hi?") for _ in range(3)]
        for run in runs:
            read_one(run)
        held.append(pace.running)
        runs[0].close()
        assert [*held, pace.running] == [0, 3, 2]
        del runs, run
        gc.collect()
        assert one.run("Hi?").stopped == "answer"
        until(lambda: not pace.running)


def test_a_run_inside_of_the_reading_of_another_does_not_wait_for_it() -> None:
    pace = Pace(at_once=1)
    with serve(slow_stream) as server:
        outer, inner = agent(server, pace), agent(server, pace)
        for event in outer.stream("Hi?"):
            if isinstance(event, TextDelta):
                assert inner.run("Hi?").stopped == "answer"
                assert inner.run("Hi?", limits=Limits(seconds=20)).stopped == "answer"
                break


def test_agents_as_tools_need_no_second_place() -> None:
    def script(asked: Asked) -> Answer:
        if not asked.body.get("tools") or asked.body["messages"][-1]["role"] == "tool":
            return whole("Done.")
        return calls(*(("ask", {"task": f"Think of {number}."}) for number in range(3)))

    pace = Pace(at_once=1)
    with serve(script) as server:
        inner = agent(server, pace).as_tool("ask", "Asks.", read_only=True)
        result = agent(server, pace, tools=[inner], limits=Limits(seconds=20), early_start=False).run("Go.")
    assert [each.response for each in result.tool_calls] == ["Done."] * 3


def test_what_the_http_client_sends_again_counts_too() -> None:
    answers = iter([Answer(b"{}", status=500), *[whole("Hello.")] * 5])
    pace = Pace(requests=2, per=1.5)
    with serve(lambda asked: next(answers)) as server:
        started = time.monotonic()
        agent(server, pace, retries=2).run("Hi?")
        agent(server, pace).run("Hi?")
        assert len(server.requests) == 3
        assert time.monotonic() - started >= 1.4


@pytest.mark.parametrize("tokens", [None, 10_000])
def test_a_reply_that_has_a_place_is_sent_again_ahead_of_older_ones_without(tokens: int | None) -> None:
    """An older reply that sends its first request late stands before the retry of one that has the only place."""
    may_send, pace = threading.Event(), Pace(tokens=tokens, at_once=1)
    asked: list[str] = []

    class Late(Middleware):
        def reply(self, request: Request) -> ReplyStream:
            if request.transcript[-1]["content"] == "late":
                may_send.wait(20)
            yield from self.backend.reply(request)

    def answer(received: Asked) -> Answer:
        asked.append(received.body["messages"][-1]["content"])
        if asked.count("quick") != 1 or asked[-1] != "quick":
            return whole("Hello.", usage=USAGE)
        may_send.set()
        until(lambda: pace.waiting == 1)
        return Answer(b"{}", status=500)

    with serve(answer) as server:
        one = Agent(pace(Late(OpenAIBackend("any", base_url=server.url, max_retries=1))))
        one.run("first")

        def work(number: int) -> str:
            if number:
                until(lambda: pace.queue._count == 2)  # the other reply has begun
            return one.run(("late", "quick")[number]).output

        assert threads(2, work, patience=15) == ["Hello."] * 2
    assert asked == ["first", "quick", "quick", "late"]


def test_the_transport_of_lightllm_is_paced_and_obeys_too() -> None:
    answers = iter([Says(status=429, error="busy", headers={"Retry-After": "1"}), *[Says("Hello.")] * 5])
    pace = Pace(requests=3, per=1.5)
    with serve_lightllm(lambda asked: next(answers)) as server:

        def one() -> Agent:
            return Agent(LightLLMBackend("qwen3", base_url=server.url, max_retries=1), middleware=[pace])

        started = time.monotonic()
        assert one().run("Hi?").output == "Hello."
        assert time.monotonic() - started >= 0.9
        one().run("Hi?")
        one().run("Hi?")
        assert time.monotonic() - started >= 1.4


def test_tokens_are_estimated_and_then_counted() -> None:
    usage = {"prompt_tokens": 300, "completion_tokens": 100, "total_tokens": 400}
    pace = Pace(tokens=1000, per=1)
    arrived: list[float] = []

    def script(asked: Asked) -> Answer:
        arrived.append(time.monotonic())
        return whole("Hello.", usage=usage)

    with serve(script) as server:
        one = agent(server, pace)
        for _ in range(5):
            one.run("Hi?")
    assert arrived[1] - arrived[0] < 0.5
    assert arrived[4] - arrived[0] >= 1.0  # at most two and a half a second


def test_a_request_that_is_larger_than_the_limit_is_sent_alone() -> None:
    pace = Pace(tokens=50, per=0.5)
    with serve([whole("Hello.", usage=USAGE)]) as server:
        assert agent(server, pace).run("word " * 1000).output == "Hello."
        assert agent(server, pace).run("word " * 1000).output == "Hello."


def test_images_are_no_text() -> None:
    from agentkit import Image

    pixel = Image(b"\x89PNG\r\n\x1a\n" + os.urandom(300_000), "image/png", "large")
    assert 900 < _estimate([pixel, "What is it?"]) < 2000
    assert 2000 < _estimate("word " * 1500) < 3000


def _estimate(prompt: Any) -> float:
    with serve([whole("Hello.")]) as server:
        Agent(OpenAIBackend("any", base_url=server.url)).run(prompt)
        return estimate(server.requests[0].raw)


def estimate(body: bytes) -> float:
    return Pace().estimate.tokens(body, *_size(body))


def test_max_tokens_are_a_part_of_the_estimate() -> None:
    assert 5000 <= estimate(b'{"model":"m","max_tokens":5000,"messages":[]}') < 5100
    assert estimate(rb'{"messages":[{"content":"\"max_tokens\": 9000"}]}') < 500


def test_a_backend_without_requests_of_agentkits_is_paced_by_its_replies() -> None:
    one = Agent(ScriptedBackend(*"abcd"), middleware=[Pace(requests=2, per=0.6)])
    started = time.monotonic()
    for _ in range(3):
        one.run("Hi?")
    assert 0.5 < time.monotonic() - started < 5


@pytest.mark.parametrize("order", [1, -1], ids=["pace outside", "cache outside"])
def test_a_reply_that_is_replayed_does_not_wait(order: int, tmp_path: Any) -> None:
    with serve([whole("Hello.")]) as server:
        middleware: list[Any] = [Pace(requests=1), ReplyCache(tmp_path / "replies.db")][::order]
        one = Agent(OpenAIBackend("any", base_url=server.url), middleware=middleware)
        started = time.monotonic()
        assert {one.run("Hi?").output for _ in range(5)} == {"Hello."}
        assert time.monotonic() - started < 5
        assert len(server.requests) == 1


def test_a_backend_can_be_wrapped_by_hand_and_shares_the_limit() -> None:
    with serve([whole("Hello.")]) as server:
        pace, backend = Pace(requests=2, per=0.8), OpenAIBackend("any", base_url=server.url)
        by_hand, given = Agent(pace(backend)), Agent(backend, middleware=[pace])
        assert "OpenAIBackend" in repr(by_hand)
        started = time.monotonic()
        assert [each.run("Hi?").output for each in (by_hand, given, by_hand)] == ["Hello."] * 3
        assert time.monotonic() - started >= 0.75


def test_64_threads_share_one() -> None:
    with serve([whole("Hello.", usage=USAGE)]) as server:
        one = agent(server, Pace(requests=1000, tokens=1_000_000, at_once=8))
        assert threads(64, lambda number: one.run("Hi?").output) == ["Hello."] * 64


def test_a_child_begins_anew() -> None:
    with serve([whole("Hello.")]) as server:
        pace = exhausted(server)
        assert in_child(lambda: agent(server, pace).run("Hi?").output) == "Hello."
        assert len(server.requests) == 2


def test_copies_are_the_same_and_pickles_begin_anew() -> None:
    pace = Pace(requests=60, tokens=1000, at_once=4)
    assert repr(pace) == "Pace(requests=60, tokens=1000, per=60.0, at_once=4)"
    assert copy.copy(pace) is pace
    one = Agent("extractive", middleware=[pace])
    assert copy.deepcopy(one)._middleware == (pace,)
    again = pickle.loads(pickle.dumps([one, one._middleware]))
    assert repr(again[0]._middleware[0]) == repr(pace)
    assert again[0]._middleware[0] is again[1][0] is not pace


@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), float("inf"), True, "60"], ids=str)
@pytest.mark.parametrize("name", ["requests", "tokens", "per", "at_once"])
def test_what_can_not_be_a_limit_is_an_error(name: str, value: Any) -> None:
    if value == 1.5 and name in ("tokens", "per"):
        return
    with pytest.raises(ConfigurationError, match=rf"Pace\({name}="):
        Pace(**{name: value})


def test_without_per_there_is_no_rate() -> None:
    with pytest.raises(ConfigurationError, match="per=None"):
        Pace(requests=5, per=None)  # type: ignore[arg-type]


def test_an_error_of_the_backend_frees_its_place() -> None:
    pace = Pace(at_once=1)
    one = Agent(ScriptedBackend(ValueError("broken"), "Hello."), middleware=[pace])
    with pytest.raises(ValueError, match="broken"):
        one.run("Hi?")
    assert one.run("Hi?").output == "Hello."


def test_tools_run_outside_of_the_place() -> None:
    held: list[int] = []
    pace = Pace(at_once=1)

    @tool
    def look() -> str:
        """Look."""
        held.append(pace.running)
        return "nothing"

    Agent(ScriptedBackend(("look", {}), "Done."), tools=[look], middleware=[pace]).run("Go.")
    assert held == [0]
