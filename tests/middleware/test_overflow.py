"""Refusals of a prompt that is too long, in the words of each server: the history is cut and sent again."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, Window
from agentkit.backends import OpenAIBackend
from agentkit.event import RunFinished
from agentkit.net.api_errors import status_error
from agentkit.net.overflow import tokens_counted, too_long
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, Asked, ModelServer, delta, serve, streamed, whole

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "overflow.jsonl").read_text(encoding="utf-8").splitlines()
]
REFUSALS = [case for case in CASES if case["room"] is not None]
OTHERS = [case for case in CASES if case["room"] is None]
HISTORY: list[Any] = [
    {"role": role, "content": f"{role} {turn} " + "words " * 80} for turn in range(20) for role in ("user", "assistant")
]
FITS = 12_000
"""Bytes of a request that the server here takes."""


Answers = Callable[[Asked], Answer]


def name_of(case: dict[str, Any]) -> str:
    return str(case["server"])


def answer_of(case: dict[str, Any]) -> Answer:
    body = case["body"]
    if body is None or isinstance(body, str):
        return Answer((body or "").encode(), case["status"], "text/html")
    return Answer(json.dumps(body).encode(), case["status"])


def spoken(asked: Asked, text: str) -> Answer:
    return streamed(delta(content=text), delta("stop")) if asked.body["stream"] else whole(text)


def refusing(case: dict[str, Any], fits: int = FITS) -> Answers:
    def answer(asked: Asked) -> Answer:
        return answer_of(case) if len(asked.raw) > fits else spoken(asked, "It fits.")

    return answer


@dataclass
class Scene:
    """A model server whose answers each test chooses, with one backend for all tests."""

    server: ModelServer
    backend: OpenAIBackend
    answers: Answers

    def run(self, answers: Answers, stream: bool, history: list[Any] = HISTORY, question: str = "And now?") -> Any:
        """The result of a run of a new agent. `server.requests` are those of this run."""
        self.server.requests.clear()
        self.answers = answers
        agent = Agent(self.backend, window=Window(last_turns=1))
        if not stream:
            return agent.run(question, messages=history)
        last = list(agent.stream(question, messages=history))[-1]
        assert isinstance(last, RunFinished)
        return last.result

    @property
    def sent(self) -> list[list[Any]]:
        """The messages of each request."""
        return [asked.body["messages"] for asked in self.server.requests]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with serve(lambda asked: made.answers(asked)) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=0)
        made = Scene(server, backend, lambda asked: whole("It fits."))
        yield made
        backend.close()


either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@either_way
@pytest.mark.parametrize("case", REFUSALS, ids=name_of)
def test_a_history_that_is_too_long_is_cut_and_sent_again(scene: Scene, case: dict[str, Any], stream: bool) -> None:
    result = scene.run(refusing(case), stream)
    assert result.output == "It fits."
    assert len(result.messages) == len(HISTORY) + 2  # nothing is lost
    assert len(scene.sent[-1]) < len(scene.sent[0])
    assert "And now?" in scene.sent[-1][-1]["content"]


@pytest.mark.parametrize("case", REFUSALS, ids=name_of)
def test_the_room_that_a_refusal_reports_is_read(case: dict[str, Any]) -> None:
    assert too_long(status_error(case["status"], "refused", None, case["body"])) == case["room"]


@pytest.mark.parametrize("case", OTHERS, ids=name_of)
def test_other_errors_cut_nothing(scene: Scene, case: dict[str, Any]) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        scene.run(refusing(case), stream=False)
    assert raised.value.status_code == case["status"]
    assert {len(messages) for messages in scene.sent} == {len(HISTORY) + 1}


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"code": 400, "message": "request (9000 tokens) exceeds the available context size (4096 tokens)"}},
        {"error": "The model has reached its context length of 4096 tokens"},
        {"error": {"message": "prompt is too long: 9000 tokens > 8192 maximum", "type": "invalid_request_error"}},
        {"error": {"message": "输入长度超过限制", "code": "1261"}},
    ],
    ids=["llama.cpp", "LM Studio", "a gateway", "Chinese"],
)
@either_way
def test_a_refusal_within_a_200_is_one_too(scene: Scene, event: dict[str, Any], stream: bool) -> None:
    def answer(asked: Asked) -> Answer:
        if len(asked.raw) <= FITS:
            return spoken(asked, "It fits.")
        if not asked.body["stream"]:
            return Answer(json.dumps(event).encode())
        return Answer(f"data: {json.dumps(event)}\n\n".encode(), content_type="text/event-stream")

    assert scene.run(answer, stream).output == "It fits."
    assert len(scene.sent) == 2


def test_a_refusal_without_a_number_is_cut_until_it_fits(scene: Scene) -> None:
    case = {"status": 413, "body": "<html><h1>413 Request Entity Too Large</h1></html>"}
    assert scene.run(refusing(case, fits=2_000), stream=False).output == "It fits."
    assert len(scene.sent) <= 5


@either_way
def test_a_question_that_is_too_long_by_itself_is_an_error_that_says_what_to_do(scene: Scene, stream: bool) -> None:
    case = {"status": 400, "body": {"error": {"message": "prompt is too long: 9000 tokens > 8192 maximum"}}}
    with pytest.raises(openai.BadRequestError) as raised:
        scene.run(refusing(case), stream, [], "word " * 4000)
    assert "prompt is too long: 9000 tokens > 8192 maximum" in str(raised.value)
    assert "shorten the question" in str(raised.value)
    assert len(raised.value.messages) == 1  # type: ignore[attr-defined]


def test_what_a_refusal_taught_of_the_context_is_forgotten_after_minutes() -> None:
    case = {"status": 413, "body": {"error": {"message": "Request too large"}}}
    taken = [FITS]

    def answer(asked: Asked) -> Answer:
        return refusing(case, taken[0])(asked)

    with serve(answer) as server, Agent(f"openai:m@{server.url}", window=Window(last_turns=1)) as agent:
        agent.run("And now?", messages=HISTORY)
        size = agent._scope.keywords["sizes"][0]
        assert size.tokens is not None
        taken[0] = 10**9
        size.learned.clock = lambda: 10.0**9
        assert size.tokens is None
        before = len(server.requests)
        agent.run("Another one.", messages=[*HISTORY[:-1], {"role": "assistant", "content": "Else."}])
    assert len(server.requests) == before + 1
    assert len(server.requests[-1].body["messages"]) == len(HISTORY) + 1


def test_the_servers_count_is_used_only_where_it_can_be_one() -> None:
    def counted(message: str, size: int) -> int:
        error = status_error(400, message, None, {"error": {"message": message}})
        return tokens_counted(error, too_long(error) or 0, size)

    assert counted("maximum context length is 4096 tokens, but 5000 were given", 20_000) == 5000
    assert counted("maximum context length is 4096 tokens (request 20250417204137255)", 20_000) == 0
    assert counted("prompt is too long", 20_000) == 0


@pytest.mark.parametrize(
    "unit", ["prompt length ", "token ", "exceed ", "input tokens ", "1234 > ", "max ", "输入超过", "\\u8f93", "1,234"]
)
def test_a_refusal_of_any_length_is_read_in_bounded_time(unit: str) -> None:
    def read(size: int) -> None:
        text = unit * (size // len(unit))
        too_long(status_error(400, "x", None, {"error": {"message": text, "more": [text] * 5}}))

    assert_linear(read, 20_000)


def test_a_validation_error_that_repeats_the_conversation_is_not_read_as_a_refusal() -> None:
    echoed = {"messages": [{"role": "user", "content": "What does 'maximum context length exceeded' mean?"}]}
    body = {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": echoed}]}
    assert too_long(status_error(422, "x", None, body)) is None
