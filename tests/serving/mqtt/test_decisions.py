"""Calls that wait for a person, over MQTT: an answer with the calls, and a message that decides, once."""

import json
from typing import Any

import pytest

from agentkit import tool
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.intake import Intake
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.serving.mqtt.test_bridge import Setting
from tests.serving.mqtt.test_requests import broker, needs_broker, read, reply, texts
from tests.support.model_server import serve
from tests.support.mosquitto import Broker

__all__ = ["broker"]

effects: list[str] = []


@tool(approve=True)
def send(to: str) -> str:
    """Send a message."""
    effects.append(to)
    return f"sent to {to}"


GAME = Project.named("game", tools=(f"{__name__}:send",))


@pytest.fixture(autouse=True)
def no_effects() -> None:
    effects.clear()


@needs_broker
def test_a_call_waits_for_a_message_that_decides_on_it(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, project={"tools": (f"{__name__}:send",), "tool_choice": "auto"}, rate=1000)
        made.ask(sessionId="s", message="send to ann", requestId="1", stream=True)
        frames = [json.loads(text) for text in texts(made.client, 3)]
        shown = next(each for each in frames if "pending" in each)
        (call,) = shown["pending"]
        assert {name: shown[name] for name in ("stopped", "sessionId", "requestId", "text")} == {
            "stopped": "approval",
            "sessionId": "s",
            "requestId": "1",
            "text": "",
        }
        assert (call["name"], json.loads(call["arguments"])) == ("send", {"to": "ann"})
        approval = {"asked": shown["asked"], "calls": shown["pending"]}
        assert {"delta": "", "requestId": "1", "approval": approval} in frames
        before = len(frames)
        wrong: list[dict[str, Any]] = [
            {"approve": {"x": True}, "asked": shown["asked"]},
            {"approve": {call["id"]: 1}, "asked": shown["asked"]},
            {"approve": {call["id"]: True}},
            {"approve": {call["id"]: True}, "asked": "guessed"},
        ]
        for each in wrong:
            made.ask(sessionId="s", **each)
        told = texts(made.client, before + 4)[before:]
        assert [each.partition(":")[0] for each in told] == ["Error"] * 4
        assert "no call 'x' waits for a decision" in told[0]
        assert "must be true, false" in told[1]
        assert effects == []
        decision = {"sessionId": "s", "approve": {call["id"]: True}, "asked": shown["asked"], "requestId": "2"}
        made.ask(**decision)
        made.ask(**decision)
        made.ask(sessionId="s", message="And now?", requestId="3")
        assert texts(made.client, before + 6)[before + 4 :] == ["Answer 1", "Answer 2"]
        made.close()
    assert effects == ["ann"]


def test_a_decision_that_is_redelivered_after_a_restart_is_carried_out_once() -> None:
    backend = ScriptedBackend(("send", {"to": "ann"}), "Sent.", "Again.")
    with MemorySessions() as sessions:

        def answer(payload: Any, **packet: Any) -> str | None:
            """As a bridge that was just started."""
            responder = Responder(ChatService(backend, sessions))
            message = read(Intake((GAME,), responder.knows), payload, topic="game/user_input", **packet).message
            assert message is not None
            response = responder.answer(message)
            if response is None:
                return None
            if not response.is_error:
                responder.note_delivered(message)
            return response.text

        question = {"sessionId": "s", "message": "send to ann", "requestId": "1"}
        shown = json.loads(answer(question) or "")
        assert answer(question, is_duplicate=True) is None
        decision = {"sessionId": "s", "approve": {shown["pending"][0]["id"]: True}, "asked": shown["asked"]}
        for number in ({"requestId": "2"}, {}):
            assert answer({**decision, **number}, packet_id=8) == ("Sent." if number else error(shown))
            assert answer({**decision, **number}, packet_id=8, is_duplicate=True) == (None if number else error(shown))
        other = {**decision, "approve": {shown["pending"][0]["id"]: False}, "requestId": "2"}
        assert "was used before" in str(answer(other))
        assert answer(question) is None
        assert answer({"sessionId": "s", "message": "And now?"}) == "Again."
    assert (effects, len(backend.requests)) == (["ann"], 3)


def error(shown: Any) -> str:
    return f"Error: no call {shown['pending'][0]['id']!r} waits for a decision (waiting: none)"
