"""What the history of a session says of each answer: its reasoning, what it took, why it ended, and when."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, calls, serve, whole

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


def scripted(asked: Asked) -> Answer:
    messages = asked.body["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        return whole({"role": "assistant", "content": "Found.", "reasoning_content": "So be it."}, usage=USAGE)
    text = str(last["content"])
    if "look" in text:
        return whole({"role": "assistant", "content": None, "reasoning_content": "I look.", **_call()}, usage=USAGE)
    if "long" in text:
        return whole("It is so lo", finish_reason="length", usage=USAGE)
    return whole("Done.", usage=USAGE if "plain" not in text else None)


def _call() -> dict[str, Any]:
    function = {"name": "look_up", "arguments": '{"topic": "tides"}'}
    return {"tool_calls": [{"id": "a", "type": "function", "function": function}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("service")
    with serve(scripted) as server:
        with serve_http(settings_for(folder, server.url, agentkit_tools=(LOOK_UP,))) as running:
            yield running


def turns(service: Service, session: str) -> Any:
    return service.ask("POST", "/api/llm/chat/session/history", {"session_id": session}).json()["messages"]


def test_an_answer_has_its_reasoning_its_usage_and_its_times(service: Service) -> None:
    before = datetime.now(UTC)
    talk(service, "s", "look")
    question, answer = turns(service, "s")
    assert (question["usage"], question["reasoning"], question["stopped"]) == (None, "", "")
    assert (answer["content"], answer["reasoning"], answer["stopped"]) == ("Found.", "I look.\n\nSo be it.", "answer")
    usage = answer["usage"]
    assert (usage["requests"], usage["input_tokens"], usage["output_tokens"], usage["tool_calls"]) == (2, 20, 6, 1)
    begun, ended = (datetime.fromisoformat(turn["time"]) for turn in (question, answer))
    assert before.replace(microsecond=0) <= begun <= ended <= datetime.now(UTC)
    assert usage["seconds"] == pytest.approx((ended - begun).total_seconds(), abs=0.002)


def test_each_answer_has_its_own(service: Service) -> None:
    for message in ("look", "long", "plain"):
        talk(service, "each", message)
    answers = [turn for turn in turns(service, "each") if turn["role"] == "assistant"]
    assert [turn["stopped"] for turn in answers] == ["answer", "length", "answer"]
    assert [turn["usage"]["output_tokens"] for turn in answers] == [6, 3, 0]
    assert [turn["reasoning"] for turn in answers] == ["I look.\n\nSo be it.", "", ""]


def test_what_the_run_itself_told_the_model_is_no_question(tmp_path: Path) -> None:
    def looping(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        if "No more tool calls" in str(messages[-1]["content"]):
            return whole("The best that I have.", usage=USAGE)
        return calls(("look_up", {"topic": str(len(messages))}), usage=USAGE)

    with serve(looping) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))) as service:
        assert talk(service, "s", "Go.")["stopped"] == "turns"
        question, answer = turns(service, "s")
    assert (question["content"], answer["content"], answer["stopped"]) == ("Go.", "The best that I have.", "turns")
    assert (answer["usage"]["requests"], len(answer["tool_calls"])) == (11, 10)
