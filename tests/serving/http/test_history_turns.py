"""What the history of a session says of each answer: its reasoning, what it took, why it ended, and when."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole
from tests.support.waiting import until

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
thought = threading.Event()


def scripted(asked: Asked) -> Answer:
    messages = asked.body["messages"]
    last = messages[-1]
    question = [str(each["content"]) for each in messages if each["role"] == "user"][-1]
    if "think" in question and ("look" not in question or last["role"] == "tool"):
        parts = [delta(reasoning_content="Let me "), delta(reasoning_content="see."), delta(content="Seen.")]
        return streamed(*parts, piece=len(streamed(*parts[:2], done=False).body), hold=thought)
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
def model() -> Iterator[ModelServer]:
    with serve(scripted) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("service")
    with serve_http(settings_for(folder, model.url, agentkit_tools=(LOOK_UP,))) as running:
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


def test_a_call_has_what_the_model_said_before_it_whether_it_failed_and_its_time(tmp_path: Path) -> None:
    def saying(asked: Asked) -> Answer:
        done = sum(1 for each in asked.body["messages"] if each["role"] == "tool")
        if done == 2:
            return whole("Both looked up.", usage=USAGE)
        function = {"name": "look_up", "arguments": '{"topic": "tides"}' if done else '{"subject": 1}'}
        made = {"tool_calls": [{"id": "a", "type": "function", "function": function}]}
        return whole({"role": "assistant", "content": f"Step {done + 1}.", **made}, usage=USAGE)

    with serve(saying) as server, serve_http(settings_for(tmp_path, server.url, agentkit_tools=(LOOK_UP,))) as service:
        talk(service, "s", "Go.")
        answer = turns(service, "s")[-1]
    wrong, right = answer["tool_calls"]
    assert (answer["content"], wrong["said"], right["said"]) == ("Both looked up.", "Step 1.", "Step 2.")
    assert wrong["error"] == wrong["response"]
    assert "topic" in wrong["error"]
    assert right["error"] is None
    assert right["response"] != ""
    assert right["seconds"] is None or 0 < right["seconds"] < 60


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


def stopped_while_thinking(service: Service, session: str, message: str) -> Any:
    """Send a message (requestId: it), and stop it as soon as its last reasoning has come. Returns the history."""
    thought.clear()
    live = service.app.state.service.conversations.live
    body = {"session_id": session, "message": message, "background": True, "requestId": message}
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(service.ask, "POST", "/api/llm/chat/session", body)
        until(lambda: any("see." in str(each.recording._frames) for all in live._live.values() for each in all))
        assert service.ask("POST", "/api/llm/chat/session/stop", {"session_id": session}).status_code == 200
        assert asking.result().json()["stopped"] == "cancelled"
    return turns(service, session)


def test_an_answer_that_is_stopped_while_the_model_thinks_is_a_turn(service: Service, model: ModelServer) -> None:
    question, stopped = stopped_while_thinking(service, "t", "think")
    assert (question["content"], question["stopped"]) == ("think", "")
    assert (stopped["role"], stopped["content"], stopped["stopped"]) == ("assistant", "", "cancelled")
    assert (stopped["reasoning"], stopped["usage"], stopped["begins"]) == ("Let me see.", None, 1)
    assert question["time"] <= stopped["time"]
    talk(service, "t", "plain")
    assert [each["content"] for each in model.requests[-1].body["messages"][1:]] == ["think", "plain"]
    found = turns(service, "t")
    assert found[:2] == [question, stopped]
    assert [(each["content"], each["begins"]) for each in found[2:]] == [("plain", 1), ("Done.", 2)]
    branch = {"session_id": "t", "begins": 1, "new_session_id": "t2"}
    assert service.ask("POST", "/api/llm/chat/session/branch", branch).status_code == 200
    assert [each["content"] for each in turns(service, "t2")] == ["think"]


def test_an_answer_that_is_stopped_after_a_call_keeps_what_came(service: Service) -> None:
    _, stopped = stopped_while_thinking(service, "u", "look and think")
    assert (stopped["stopped"], stopped["reasoning"]) == ("cancelled", "I look.\n\nLet me see.")
    assert (stopped["usage"]["requests"], stopped["usage"]["tool_calls"]) == (1, 1)
    assert stopped["tool_calls"][0]["response"] is not None


def test_a_stopped_message_that_is_sent_again_has_the_answer_that_it_gets(service: Service) -> None:
    assert len(stopped_while_thinking(service, "v", "think")) == 2
    thought.set()
    talk(service, "v", "think", requestId="think")
    question, answer = turns(service, "v")
    assert (question["content"], answer["content"], answer["stopped"]) == ("think", "Seen.", "answer")
    assert answer["reasoning"] == "Let me see."
