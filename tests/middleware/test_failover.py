"""Failover between models on real servers: what moves on, and that nothing is lost, doubled or had twice by it."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agentkit import Agent, AgentkitError, ConfigurationError, Limits, Window, tool
from agentkit.backend import Capabilities, Request
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import ReplyDiscarded, ReplyFinished, ReplyStarted, TextDelta
from agentkit.middleware.context_window import SUMMARISE
from agentkit.middleware.failover import Failover
from agentkit.middleware.retry import Retrying
from agentkit.net.api_errors import status_error
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Due, Transcript
from tests.support.llama_server import serve_llama
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until

ANSWER = "Paid 30 for the boat and the oars."
TEXTS = ["I look both up. ", "Now I pay. ", ANSWER]
TOOLS: list[Any] = [[("look_up", {"what": "boat"}), ("look_up", {"what": "oars"})], [("pay", {"amount": 30})], []]
SHORT = 0.3
"""Seconds that the backend of a server which hangs waits."""


@dataclass
class Office:
    """The tools of one run, and what they have done."""

    looked_up: list[str] = field(default_factory=list)
    paid: list[int] = field(default_factory=list)

    def tools(self) -> list[Any]:
        @tool(read_only=True)
        def look_up(what: str) -> str:
            """Look a price up."""
            self.looked_up.append(what)
            return f"{what}: 15"

        @tool
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        return [look_up, pay]


def turn_of(asked: Asked) -> int:
    """The number of the request, by its messages: 0, 1, 2."""
    return sum(message["role"] == "assistant" for message in asked.body["messages"])


def chunks_of(turn: int) -> list[dict[str, Any]]:
    """The reply of a turn as a stream: its text in two deltas, then its calls."""
    text = TEXTS[turn]
    made = [delta(content=text[:7]), delta(content=text[7:])]
    for place, (name, arguments) in enumerate(TOOLS[turn]):
        function = {"name": name, "arguments": json.dumps(arguments)}
        made.append(delta(tool_calls=[{"index": place, "id": f"c{turn}{place}", "function": function}]))
    return made


def right(asked: Asked) -> Answer:
    """The right reply to a request, whole or streamed."""
    turn, usage = turn_of(asked), {"prompt_tokens": 10, "completion_tokens": 5}
    if asked.body.get("stream"):
        end = delta("tool_calls" if TOOLS[turn] else "stop")
        return streamed(*chunks_of(turn), {**end, "usage": usage})
    if not TOOLS[turn]:
        return whole(TEXTS[turn], usage=usage)
    answer = json.loads(calls(*TOOLS[turn]).body)
    message = {**answer["choices"][0]["message"], "content": TEXTS[turn]}
    return whole(message, finish_reason="tool_calls", usage=usage)


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


def refused(status: int, message: str, **headers: str) -> Answer:
    return Answer(json.dumps(error(message)).encode(), status=status, headers=headers)


def broken_at_the_start(fault: str, asked: Asked) -> Answer:
    """A fault before anything of the reply has arrived."""
    stream = bool(asked.body.get("stream"))
    if fault == "hang":
        return replace(right(asked), delay=SHORT * 3)
    if fault == "empty":
        return streamed(delta("stop")) if stream else whole("")
    if fault == "overload in a 200":
        body = error("overloaded", type="overloaded_error", code=529)
        return streamed(body, done=False) if stream else Answer(json.dumps(body).encode())
    if fault == "garbage":
        return Answer(b"<html>Bad gateway</html>", content_type="text/html")
    return {
        "drop": Answer(b"", drop=True),
        "401": refused(401, "Incorrect API key provided: sk-secret"),
        "429": refused(429, "Rate limit reached", **{"retry-after": "20"}),
        "503": refused(503, "The engine is overloaded"),
    }[fault]


def broken_in_the_middle(fault: str, asked: Asked) -> Answer:
    """A fault when the first text and the first call of the reply have arrived; of a whole one in its body."""
    turn = turn_of(asked)
    if not asked.body.get("stream"):
        return broken_body(fault, right(asked))
    begun = chunks_of(turn)[:3]
    if fault == "hang":
        return streamed(*begun, done=False, linger=SHORT * 3)
    if fault == "empty":
        return streamed(*begun, delta("error"))
    events = {
        "401": error("the key has expired", code=401),
        "429": error("quota exceeded", type="rate_limit_error", code=429),
        "503": error("upstream failed", code=503),
        "overload in a 200": error("overloaded", type="overloaded_error"),
    }
    if fault in events:
        return streamed(*begun, events[fault], done=False)
    answer = streamed(*begun, done=False)
    if fault == "garbage":
        return replace(answer, body=answer.body + b'data: {"choices": [{"del\n\n')
    return replace(answer, cut=True)


def broken_body(fault: str, answer: Answer) -> Answer:
    """A whole reply that breaks in its body."""
    body = json.loads(answer.body)
    if fault == "hang":
        return replace(answer, piece=len(answer.body) // 2, pause=SHORT * 3)
    if fault == "empty":
        body["choices"][0]["finish_reason"] = "error"
    elif fault == "garbage":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    elif fault == "drop":
        return replace(answer, body=answer.body[: len(answer.body) // 2], cut=True)
    else:
        codes: dict[str, Any] = {"401": 401, "429": 429, "503": 503, "overload in a 200": "overloaded_error"}
        body["choices"][0]["error"] = {"message": "it failed on the way", "code": codes[fault]}
    return replace(answer, body=json.dumps(body).encode())


FAULTS = ("drop", "hang", "401", "429", "503", "overload in a 200", "garbage", "empty")


class Pair:
    """Two servers with one backend each, the first of which fails as a test says."""

    def __init__(self, first: ModelServer, second: ModelServer) -> None:
        self.servers = first, second
        self.answer: Callable[[Asked], Answer] = right
        self.quick = OpenAIBackend("impatient", base_url=first.url, timeout=SHORT)
        self.first = OpenAIBackend("first", base_url=first.url)
        self.second = OpenAIBackend("second", base_url=second.url)

    def asked(self) -> list[int]:
        """How often each server was asked."""
        return [len(server.requests) for server in self.servers]


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    made: list[Pair] = []
    with serve(lambda asked: made[0].answer(asked)) as first, serve(right) as second:
        made.append(Pair(first, second))
        yield made[0]
        for backend in (made[0].quick, made[0].first, made[0].second):
            backend.close()


@pytest.fixture
def pair(servers: Pair) -> Pair:
    servers.answer = right
    for server in servers.servers:
        server.requests.clear()
    return servers


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that clients would have waited before they send a request again."""
    waited: list[float] = []
    sleep = time.sleep

    def note(seconds: float) -> None:
        is_client = threading.current_thread() is threading.main_thread()
        waited.append(seconds) if is_client else sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    return waited


def replies_shown(events: list[Any]) -> list[str]:
    """The text of each reply for a reader that obeys ReplyDiscarded."""
    shown: list[str] = []
    for event in events:
        if isinstance(event, ReplyStarted):
            shown.append("")
        elif isinstance(event, ReplyDiscarded):
            shown[-1] = ""
        elif isinstance(event, TextDelta):
            shown[-1] += event.text
    return shown


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("request_number", [1, 2, 3])
@pytest.mark.parametrize("where", ["start", "middle"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_nothing_but_time(pair: Pair, fault: str, where: str, request_number: int, stream: bool) -> None:
    broken = broken_at_the_start if where == "start" else broken_in_the_middle

    def answer(asked: Asked) -> Answer:
        return broken(fault, asked) if turn_of(asked) == request_number - 1 else right(asked)

    pair.answer, office = answer, Office()
    first = pair.quick if fault == "hang" else pair.first
    agent = Agent([first, pair.second], tools=office.tools(), early_start=stream)
    events: list[Any] = list(agent.stream("Buy a boat and oars.")) if stream else []
    result: Any = events[-1].result if stream else agent.run("Buy a boat and oars.")

    assert (result.output, result.stopped) == (ANSWER, "answer")
    assert (office.paid, sorted(office.looked_up)) == ([30], ["boat", "oars"])
    assert [record.name for record in result.tool_calls] == ["look_up", "look_up", "pay"]
    assert Transcript(result.messages).whats_due() is Due.NOTHING
    said = [message["content"] for message in result.messages if message["role"] == "assistant"]
    assert said == TEXTS
    asked_twice = fault == "empty" and where == "start"
    assert pair.asked() == [request_number + asked_twice, 4 - request_number]
    assert [*result.models] == ([first.model, "second"] if request_number > 1 or fault == "empty" else ["second"])
    had_usage = fault == "empty" and where == "middle" and not stream  # what was paid for is counted
    tokens = 40 if had_usage else 30
    assert sum(each.input_tokens for each in result.models.values()) == result.usage.input_tokens == tokens
    if not stream:
        return
    assert replies_shown(events) == TEXTS
    discarded = [event for event in events if isinstance(event, ReplyDiscarded)]
    assert [event.model for event in discarded] == ([first.model] if where == "middle" else [])
    assert all(event.reason for event in discarded)
    assert [event.model for event in events if isinstance(event, ReplyFinished)][-1] == "second"


def failing(*answers: Answer) -> Callable[[Asked], Answer]:
    """Plays answers, the last of them again and again."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


MOVES_ON = [
    (402, {"message": "Insufficient credits. Add more using the dashboard"}),
    (403, {"message": "Country, region, or territory not supported"}),
    (404, {"message": "The model `x` does not exist"}),
    (408, {"message": "Request timed out"}),
    (409, {"message": "conflict"}),
    (410, {"message": "The model 'kimi-k2' has reached its end of life and is no longer available."}),
    (424, {"message": "ModelErrorException: The request failed due to an error while processing the model."}),
    (498, {"message": "Flex tier capacity exceeded"}),
    *((status, {"message": "no"}) for status in (405, 406, 418, 451, 499)),
    (400, {"message": "Budget has been exceeded! Current cost: 14.2, Max budget: 10.0", "type": "budget_exceeded"}),
    (400, {"message": "ExceededBudget: User over budget. Spend=20.3, Budget=20.0"}),
    (400, {"message": "The model 'x' is no longer available."}),
    (400, {"message": "x has reached its end of life on 2026-05-12"}),
    (500, {"message": "internal"}),
    (529, {"type": "overloaded_error", "message": "Overloaded"}),
    (400, {"message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}),
    (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."}),
    (400, {"message": "The model `llama-3` has been decommissioned", "code": "model_decommissioned"}),
    (400, {"message": "meta/llama is not a valid model ID", "code": 400}),
    (400, {"message": "You have reached your specified API usage limits. You will regain access on 2026-12-01."}),
    (400, {"message": "You have exceeded your monthly usage limit of 20 dollars."}),
    (400, {"message": "Monthly usage limit reached. Resets in 12 days."}),
    (400, {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}),
    (400, {"message": "Access denied, please make sure your account is in good standing.", "code": "Arrearage"}),
    (400, {"message": "This organization has been disabled.", "type": "invalid_request_error"}),
    (400, {"message": "Access to Anthropic models is not allowed for this account"}),
    (400, {"message": "Account acct is suspended, possibly due to reaching the monthly spending limit"}),
    (400, {"message": "您的账户已欠费，请充值后重试。", "code": "1113"}),
    (400, {"message": "User location is not supported for the API use.", "status": "FAILED_PRECONDITION"}),
    (400, {"message": "Provider returned error", "metadata": {"raw": '{"message": "User location is not supported"}'}}),
    (400, {"message": "Gemini API free tier is not available in your country. Please enable billing."}),
    (400, {"message": "The requested model 'x' is not supported by any provider you have enabled."}),
    (400, {"message": "The chatCompletion operation does not work with the specified model, o1-mini."}),
    (400, {"message": "Invalid model: foo", "type": "invalid_model", "code": "1500"}),
    (400, {"message": "Invalid model name passed in model=foo. Call `/v1/models` to view available models."}),
    (400, {"message": "Invalid model 'llama-3'. Permitted models can be found in the documentation"}),
    (400, {"message": "The provided model identifier is invalid."}),
    (400, {"message": "Invocation of model ID x with on-demand throughput isn't supported."}),
    (400, {"message": "model 'command-xlarge' was removed on September 15, 2025."}),
    (400, {"message": "模型不存在，请检查模型代码。", "code": "1211"}),
    (400, {"message": "Your account 21 has not activated the model doubao.", "code": "ModelNotOpen"}),
    (400, {"message": 'Failed to load model "x". Error: insufficient system resources.'}),
    (400, {"message": "Model is still loading"}),
]


@pytest.mark.parametrize(("status", "said"), MOVES_ON, ids=range(len(MOVES_ON)))
def test_what_is_not_the_requests_fault_moves_on_at_once(pair: Pair, status: int, said: dict[str, Any]) -> None:
    pair.answer = failing(Answer(json.dumps({"error": said}).encode(), status=status))
    assert Agent([pair.first, pair.second]).run("Hi", messages=ASKED).output == ANSWER
    assert pair.asked() == [1, 1]


@pytest.mark.parametrize(
    "said",
    [
        *("temperature must be at most 2", "messages.3: unexpected role", "Invalid value for 'tool_choice'"),
        *("bad request", "'temperature' does not support 0.2 with this model.", "Invalid model parameters: top_k"),
        *("image_url is only supported by certain models.", "Invalid schema for function 'f'"),
        *("max_tokens is over the budget of thinking tokens", "image_url is no longer available"),
        *("You have exceeded the usage limit of 4 images", "image_url: location is not supported, use https"),
        *("Requested model parameter top_k is not supported", "The requested model 'x' parameter 'n' is not supported"),
    ],
)
def test_another_400_is_the_callers_and_raised_at_once(pair: Pair, said: str) -> None:
    pair.answer = failing(refused(400, said))
    with pytest.raises(openai.BadRequestError, match=said):
        Agent([pair.first, pair.second]).run("Hi")
    assert pair.asked() == [1, 0]
    pair.answer = right
    assert Agent([pair.first, pair.second]).run("Hi", messages=ASKED).output == ANSWER


def test_an_error_of_the_program_is_not_moved_on() -> None:
    second = ScriptedBackend("never")
    for wrong in (ConfigurationError("wrong"), TypeError("wrong"), KeyboardInterrupt()):
        with pytest.raises(type(wrong)):
            Agent([ScriptedBackend(wrong), second]).run("Hi")
    assert not second.requests


ASKED: list[Any] = [
    {"role": "user", "content": "Buy a boat."},
    {"role": "assistant", "content": TEXTS[0]},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": TEXTS[1]},
]
"""A history after which the servers give their answer."""


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("agentkit.middleware.model_health.monotonic", lambda: self.now)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 30),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "86400"}, 600),
        ({"retry-after": "soon"}, 30),
        ({"retry-after": "1m40s"}, 100),
        ({"retry-after": "nan"}, 30),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 30),
    ],
    ids=lambda value: str(value),
)
def test_a_model_that_failed_is_skipped_for_as_long_as_it_says(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: float
) -> None:
    clock = Clock(monkeypatch)
    pair.answer = failing(refused(429, "slow down", **headers), right_answer())
    agent = Agent([pair.first, pair.second])
    agent.run("Hi", messages=ASKED)
    clock.now += seconds - 0.2
    agent.run("Hi", messages=ASKED)
    assert pair.asked() == [1, 2]
    clock.now += 0.4
    agent.run("Hi", messages=ASKED)
    agent.run("Hi", messages=ASKED)
    assert pair.asked() == [3, 2]


def test_a_model_is_skipped_until_a_date(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, date = Clock(monkeypatch), format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    pair.answer = failing(refused(503, "maintenance", **{"Retry-After": date}), right_answer())
    agent = Agent([pair.first, pair.second])
    agent.run("Hi", messages=ASKED)
    clock.now += 60
    agent.run("Hi", messages=ASKED)
    assert pair.asked() == [1, 2]
    clock.now += 50
    agent.run("Hi", messages=ASKED)
    assert pair.asked() == [2, 2]


@pytest.mark.parametrize("wrong", [ConnectionRefusedError("refused"), TimeoutError("slow")], ids=["refused", "slow"])
def test_a_backend_of_ones_own_may_raise_the_errors_of_python(pair: Pair, wrong: Exception) -> None:
    assert Agent([ScriptedBackend(wrong), pair.second]).run("Hi", messages=ASKED).output == ANSWER


def right_answer() -> Answer:
    return whole(ANSWER)


def test_one_request_finds_out_whether_a_model_answers_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waits = Clock(monkeypatch), threading.Event()
    agent = Agent([pair.first, pair.second])

    def answer(asked: Asked) -> Answer:
        if len(pair.servers[0].requests) == 1:
            return refused(503, "down")
        waits.wait(10)
        return right_answer()

    pair.answer = answer
    agent.run("Hi", messages=ASKED)
    clock.now += 31
    probe = threading.Thread(target=agent.run, args=["Hi"], kwargs={"messages": ASKED})
    probe.start()
    until(lambda: pair.asked()[0] == 2)
    for _ in range(3):
        agent.run("Hi", messages=ASKED)  # does not wait for the server that hangs
    assert pair.asked() == [2, 4]
    waits.set()
    probe.join()
    agent.run("Hi", messages=ASKED)
    assert pair.asked() == [3, 4]


def test_when_all_are_down_the_last_error_is_raised_with_the_others_as_notes(
    pair: Pair, no_waiting: list[float]
) -> None:
    pair.answer = failing(refused(401, "Incorrect API key provided: sk-or-secret"))
    first = OpenAIBackend("first", base_url=pair.servers[0].url, api_key="sk-or-secret")
    with serve([refused(503, "down for maintenance")]) as other:
        second = OpenAIBackend("second", base_url=other.url)
        agent = Agent([first, second])
        for _ in range(2):  # all are out the second time, and asked anyway
            with pytest.raises(openai.InternalServerError, match="down for maintenance") as raised:
                agent.run("Hi")
            assert len(raised.value.__notes__) == 1
            assert "'first'" in raised.value.__notes__[0]
            assert "sk-or-secret" not in raised.value.__notes__[0]
        assert pair.asked()[0] == 2
        assert len(other.requests) == 6  # the last one has the retries of its client
        assert raised.value.messages == [{"role": "user", "content": "Hi"}]  # type: ignore[attr-defined]
        pair.answer = failing(right_answer())
        assert agent.run("Hi").output == ANSWER  # the first is asked although it is out
        first.close()
        second.close()


def test_a_machine_that_is_gone_is_noticed_when_connecting(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.net.time_limits.CONNECT_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as fillers:
        for _ in range(4):  # more than it takes without accepting: further connections get no answer at all
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        gone = OpenAIBackend("gone", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        started = time.monotonic()
        assert Agent([gone, pair.second]).run("Hi", messages=ASKED).output == ANSWER
        assert time.monotonic() - started < 5
        gone.close()


def test_while_another_model_is_ready_nobody_waits(pair: Pair, no_waiting: list[float]) -> None:
    pair.answer = failing(refused(429, "slow down", **{"retry-after": "50"}))
    assert Agent([pair.first, pair.second]).run("Hi", messages=ASKED).output == ANSWER
    with serve([refused(429, "slow", **{"retry-after": "50"})]) as text_server:
        text = LightLLMBackend("Qwen3-8B", base_url=text_server.url.removesuffix("/v1"))
        assert Agent([text, pair.second]).run("Hi", messages=ASKED).output == ANSWER
        assert len(text_server.requests) == 1
        text.close()
    assert not no_waiting
    assert pair.asked() == [1, 2]


def test_64_threads_each_get_their_answer(pair: Pair) -> None:
    pair.answer = lambda asked: refused(503, "down") if len(pair.servers[0].requests) % 3 else right_answer()
    agent, outputs = Agent([pair.first, pair.second]), []

    def ask() -> None:
        outputs.append(agent.run("Hi", messages=ASKED).output)

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == [ANSWER] * 64


@pytest.mark.parametrize("ends_by", ["cancel", "deadline", "close"])
def test_a_run_that_ends_while_a_model_hangs_asks_no_other(pair: Pair, ends_by: str) -> None:
    stop = threading.Event()
    pair.answer = lambda asked: replace(streamed(delta(content="Hm"), done=False), linger=0.8)
    limits = Limits(seconds=0.4) if ends_by == "deadline" else None
    cancel = stop if ends_by == "cancel" else None
    agent = Agent([pair.first, pair.second], limits=limits)
    run = agent.stream("Hi", cancel=cancel)
    for event in run:
        if isinstance(event, TextDelta):
            stop.set()
            if ends_by == "close":
                run.close()
    pair.answer = failing(right_answer())
    assert agent.run("Hi").output == ANSWER  # and the model is not out for it
    assert pair.asked()[1] == 0


def test_stream_text_goes_on_where_the_broken_reply_was(pair: Pair) -> None:
    pair.answer = lambda asked: broken_in_the_middle("drop", asked)
    assert "".join(Agent([pair.first, pair.second]).stream_text("Hi", messages=ASKED)) == ANSWER
    pair.answer = failing(streamed(delta(content="Something else"), done=False, cut=True))
    with pytest.raises(AgentkitError, match="begun anew with another text"):
        "".join(Agent([pair.first, pair.second]).stream_text("Hi", messages=ASKED))


def test_a_session_goes_on_after_a_move(pair: Pair) -> None:
    office = Office()
    with MemorySessions() as sessions:
        pair.answer = lambda asked: broken_in_the_middle("drop", asked) if turn_of(asked) == 1 else right(asked)
        agent = Agent([pair.first, pair.second], tools=office.tools())
        assert agent.run("Buy a boat and oars.", session=sessions["a"]).output == ANSWER
        entries = sessions["a"].entries()
        assert [entry.extra["model"] for entry in entries if entry.usage] == ["first", "second", "second"]
        again = Agent([pair.first, pair.second], tools=office.tools())
        assert again.resume(sessions["a"]).output == ANSWER
    assert office.paid == [30]


def test_a_typed_answer_is_had_from_a_model_that_takes_no_schema(pair: Pair) -> None:
    class Order(BaseModel):
        item: str
        price: int

    good = json.dumps({"item": "boat", "price": 15})
    first = Described(ScriptedBackend(down()), Capabilities("a", schema="always", tells_schema=True))
    second = Described(ScriptedBackend(good), Capabilities("b", schema="no"))
    third = Described(ScriptedBackend("not JSON", good), Capabilities("c", schema="always", tells_schema=True))
    result = Agent([first, second]).run("Buy", output=Order)
    assert result.output == Order(item="boat", price=15)
    assert [seen.response_format is None for seen in (*first.seen, *second.seen)] == [False, True]
    assert first.seen[0].transcript[-1]["content"] == "Buy"
    assert "conforming to this schema" in str(second.seen[0].transcript[-1]["content"])
    assert result.messages[0]["content"] == "Buy"
    down_again = Described(ScriptedBackend(down(), down()), Capabilities("a", schema="no"))
    assert Agent([down_again, third]).run("Buy", output=Order, tools=[]).models.keys() == {"c"}


def down() -> Exception:
    return status_error(503, "down")


class Described:
    """A backend of which a test says what is known; it keeps its requests."""

    def __init__(self, backend: Any, known: Capabilities) -> None:
        self._backend, self._known = backend, known
        self.seen: list[Request] = []

    def reply(self, request: Request) -> Any:
        self.seen.append(replace(request, transcript=Transcript(request.transcript)))
        return self._backend.reply(request)

    def capabilities(self, ask: bool = False) -> Capabilities:
        return self._known

    def close(self) -> None:
        self._backend.close()


def test_a_tool_that_fails_is_told_to_the_model_and_moves_nothing(pair: Pair) -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        raise TimeoutError("curl: (28) Connection timed out after 5000 ms")

    agent = Agent([pair.first, pair.second], tools=[look_up, Office().tools()[1]])
    assert agent.run("Buy a boat and oars.").output == ANSWER
    assert pair.asked() == [3, 0]


def test_each_model_that_fails_on_the_way_is_left_alone(pair: Pair) -> None:
    with serve([refused(500, "down")]) as other:
        between = OpenAIBackend("between", base_url=other.url)
        pair.answer = failing(refused(500, "down"))
        agent = Agent([pair.first, between, pair.second])
        for _ in range(3):
            assert agent.run("Hi", messages=ASKED).output == ANSWER
        assert [*pair.asked(), len(other.requests)] == [1, 3, 1]
        between.close()


def test_a_server_that_does_not_stream_and_is_overloaded_moves_on(pair: Pair) -> None:
    overloaded = Answer(json.dumps(error("Overloaded", type="overloaded_error")).encode(), status=529)
    pair.answer = lambda asked: (
        refused(400, "this model does not support streaming") if asked.body["stream"] else overloaded
    )
    events = list(Agent([pair.first, pair.second]).stream("Hi", messages=ASKED))
    assert replies_shown(events) == [ANSWER]


def test_an_error_in_the_middle_without_a_status_moves_on(pair: Pair) -> None:
    broken = error("Corrupted thought signature")
    pair.answer = lambda asked: streamed(*chunks_of(2)[:1], broken, done=False)
    events = list(Agent([pair.first, pair.second]).stream("Hi", messages=ASKED))
    assert replies_shown(events) == [ANSWER]
    last = pair.servers[1].requests[-1].body["messages"][-1]
    assert last == {"role": "user", "content": "Hi"}  # nothing of the broken reply is continued


def test_the_first_error_is_not_lost_behind_the_seconds_refusal(pair: Pair) -> None:
    pair.answer = failing(refused(503, "upstream connect error"))
    with serve([refused(400, "This model does not support assistant message prefill.")]) as other:
        second = OpenAIBackend("second", base_url=other.url)
        with pytest.raises(openai.BadRequestError, match="prefill") as raised:
            Agent([pair.first, second]).run("Hi")
        assert "upstream connect error" in raised.value.__notes__[0]
        second.close()


PAID = {"prompt_tokens": 100, "completion_tokens": 20}
FAILED_LATER = {
    "empty, then refused": ([whole("", usage=PAID), refused(500, "broken")], 1),
    "empty, then dropped": ([whole("", usage=PAID), Answer(b"", drop=True)], 1),
    "empty, then broken off": ([whole("", usage=PAID), whole("I", finish_reason="error", usage=PAID)], 2),
}


@pytest.mark.parametrize("failed", FAILED_LATER)
def test_what_a_model_was_paid_for_is_counted_also_where_its_second_try_fails(
    pair: Pair, no_waiting: list[float], failed: str
) -> None:
    answers, replies = FAILED_LATER[failed]
    pair.answer = failing(*answers)
    result = Agent([pair.first, pair.second]).run("Hi", messages=ASKED)
    assert [(name, each.requests, each.input_tokens) for name, each in result.models.items()] == [
        ("first", replies, replies * 100),
        ("second", 1, 10),
    ]
    assert result.usage.output_tokens == replies * 20 + 5


def test_what_was_paid_for_is_counted_where_all_models_of_one_fail(pair: Pair, no_waiting: list[float]) -> None:
    """Models that stand for one of several are counted together."""
    pair.answer = failing(whole("", usage=PAID), refused(500, "broken"))
    with serve([refused(500, "broken")]) as other:
        both = [pair.first, OpenAIBackend("other", base_url=other.url, max_retries=0)]
        inner = Failover(both).around([Retrying(each) for each in both])
        result = Agent([inner, pair.second]).run("Hi", messages=ASKED)
    assert [each.input_tokens for each in result.models.values()] == [100, 10]


def test_a_summary_that_was_paid_for_is_counted_where_its_reply_fails(pair: Pair, no_waiting: list[float]) -> None:
    def answer(asked: Asked) -> Answer:
        if SUMMARISE in str(asked.body["messages"][-1]["content"]):
            return whole("They spoke of words.", usage=PAID)
        return refused(500, "broken")

    pair.answer = answer
    long: list[Any] = [{"role": role, "content": "word " * 800} for _ in range(8) for role in ("user", "assistant")]
    result = Agent([pair.first, pair.second], window=Window(4000, compaction="summarise")).run("And?", messages=long)
    assert result.models["first"].input_tokens == 100


def test_a_smaller_model_is_not_sent_what_it_has_no_room_for(pair: Pair) -> None:
    long: list[Any] = [{"role": role, "content": "word " * 800} for _ in range(8) for role in ("user", "assistant")]
    small = Described(ScriptedBackend("never"), Capabilities("small", context_length=4000))
    large = Described(ScriptedBackend("Yes"), Capabilities("large", context_length=1_000_000))
    limited = Described(ScriptedBackend(status_error(429, "slow")), Capabilities("first", context_length=1_000_000))
    assert Agent([limited, small, large]).run("And?", messages=long).models.keys() == {"large"}
    assert not small.seen


SAID_TOO_LONG = [
    (400, {"message": "The input (10041 tokens) is longer than the model's context length (8192 tokens)."}),
    (
        400,
        {
            "message": "prompt token count of 125516 exceeds the limit of 64000",
            "code": "model_max_prompt_tokens_exceeded",
        },
    ),
    (413, {"message": "Request too large for model"}),
]


@pytest.mark.parametrize(("status", "said"), SAID_TOO_LONG, ids=range(len(SAID_TOO_LONG)))
def test_a_prompt_that_is_too_long_in_any_words_goes_to_the_next(pair: Pair, status: int, said: dict[str, Any]) -> None:
    pair.answer = failing(Answer(json.dumps({"error": said}).encode(), status=status))
    agent = Agent([pair.first, pair.second])
    long = [{**message, "content": message["content"] + "word " * 50} for message in ASKED]
    assert agent.run("Hi", messages=long).output == ANSWER
    pair.answer = failing(right_answer())
    assert agent.run("Hi").output == ANSWER
    assert pair.asked() == [2, 1]  # it is not out for it


def test_a_real_server_that_is_killed_in_the_middle_of_its_reply(tiny_model: Path) -> None:
    sampling: dict[str, Any] = {"temperature": 0, "max_tokens": 600, "ignore_eos": True}
    with serve_llama(tiny_model, slots=1) as one, serve_llama(tiny_model, slots=1) as two:
        models = [OpenAIBackend(name, base_url=each.url, **sampling) for name, each in (("one", one), ("two", two))]
        alone = Agent(models[1]).run("Count.")
        events: list[Any] = []
        for event in Agent(models).stream("Count."):
            events.append(event)
            if sum(isinstance(each, TextDelta) for each in events) == 3 and isinstance(event, TextDelta):
                os.kill(one.pid, signal.SIGKILL)
        for model in models:
            model.close()
    result = events[-1].result
    discarded = [event for event in events if isinstance(event, ReplyDiscarded)]
    assert [event.model for event in discarded] == ["one"]
    assert replies_shown(events) == [result.output] == [alone.output]
    assert list(result.models) == ["two"]
    assert Transcript(result.messages).whats_due() is Due.NOTHING
