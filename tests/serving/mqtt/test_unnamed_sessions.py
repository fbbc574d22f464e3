"""Messages that name no session: a repeated or redelivered one is found again."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from agentkit.message import user
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.group import Group
from agentkit.serving.mqtt.intake import Intake, Job
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.responder import Responder
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, bridge_on
from tests.support.mqtt_games import bridge
from tests.support.waiting import until

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

(GENERAL,) = projects_named(["general"])

PAYING = """
import os, time
from agentkit import tool

@tool
def pay(to: str) -> str:
    "Pay."
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(to + chr(10))
    time.sleep(3)
    return "paid"
"""


def reply(asked: Asked) -> Answer:
    last = asked.body["messages"][-1]
    if last["role"] == "user" and "pay" in last["content"]:
        return calls(("pay", {"to": last["content"].split()[-1]}))
    return whole("done")


def read(payload: Any, **packet: Any) -> Job:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    job = Job(Packet("general/user_input", data, **{"qos": 1, "packet_id": 7, **packet}))
    Intake((GENERAL,), lambda key: False).read(job)
    return job


@needs_broker
def test_a_repeated_request_without_a_session_is_answered_once(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve([whole("hello")]) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        with bridge_on(broker.port, server.url) as made:
            question = {"message": "hi", "requestId": "1", "clientId": "lamp"}
            for _ in range(3):
                client.publish("general/user_input", question)
            client.publish("general/user_input", {**question, "message": "another"})  # in a session of its own
            client.publish("general/user_input", {**question, "clientId": "bell"})
            until(lambda: made.counts["processed"] == 3)
            client.ask("last", "last")
            until(lambda: "general/assistant_response/last" in dict(client.got))
            assert client.texts == ["hello"] * 4
            assert len(dict(client.got)) == 4
        client.close()


@needs_broker
@pytest.mark.parametrize("payload", [{"message": "pay bob", "requestId": "1"}, "pay bob"], ids=["request", "text"])
def test_an_effect_without_a_session_is_had_once_when_the_bridge_is_killed(tmp_path: Path, payload: Any) -> None:
    effects = tmp_path / "effects"
    effects.touch()
    (tmp_path / "paying.py").write_text(PAYING)
    variables: Any = {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}", "EFFECTS": str(effects)}
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        with bridge(tmp_path, broker, server.url, "--tool", "paying:pay", **variables) as process:
            client.publish("general/user_input", payload)
            until(effects.read_text)
            process.send_signal(signal.SIGKILL)
            process.wait()
        (tmp_path / "bridge.log").write_text("")
        with bridge(tmp_path, broker, server.url, "--tool", "paying:pay", **variables):
            until(lambda: client.got, 30)
        client.close()
    assert effects.read_text().split() == ["bob"]
    assert client.texts == ["done"]


def test_a_redelivered_text_finds_its_own_session_among_equal_ones() -> None:
    with MemorySessions() as sessions:
        responder = Responder(ChatService(ScriptedBackend("1", "2"), sessions))
        begun = []
        for number in (7, 8):
            message = read(b"Hi", packet_id=number).message
            assert message is not None
            assert message.session.startswith("default-")
            responder.answer(message)
            begun.append(message.key)
        assert begun[0] != begun[1]
        for number, key in zip((7, 8), begun, strict=True):
            again = read(b"Hi", packet_id=number, is_duplicate=True).message
            assert again is not None
            placed = responder.began(again)
            assert (placed.key, placed.default_topic == placed.reply_topic) == (key, True)
        unknown = read(b"Hi", packet_id=9, is_duplicate=True).message
        assert unknown is not None
        assert responder.began(unknown) is unknown


def test_a_bridge_of_a_group_finds_the_session_that_a_killed_one_has_begun() -> None:
    with MemorySessions() as sessions:
        first, second = (Group(sessions, name, lambda payload: None) for name in ("a", "b"))
        job = read(b"pay ann")
        assert first.name(job) is False
        assert job.message is not None
        with sessions[job.message.key].turn(job.message.log_id, content="pay ann") as turn:
            turn.write([], [], [], [user("pay ann")])
        other = read(b"pay ann")
        assert second.name(other) is True
        assert other.message is not None
        assert (other.message.key, other.message.log_id) == (job.message.key, job.message.log_id)
        sessions[job.message.key].note_delivered(job.message.log_id)
        third = read(b"pay ann")  # another message: that one was answered
        assert second.name(third) is False
        assert third.message is not None
        assert third.message.key != job.message.key


def test_after_a_clear_all_bridges_of_a_group_number_equal_messages_alike() -> None:
    payload = {"sessionId": "s", "message": "pay ann"}
    with MemorySessions() as sessions:
        old = Group(sessions, "a", lambda notice: None)
        for _ in range(3):
            job = read(payload)
            assert job.message is not None
            old.expect(job)
            old.name(job)
            sessions["general:s"].note_delivered(job.message.log_id)
            old.answered(job.echo_id)
            old.close(job)
        clear = Job(Packet("maze/delete_session/s", b"", 9, 1))
        (maze,) = projects_named(["maze"])
        Intake((maze,), lambda key: False).read(clear)
        assert clear.command is not None
        clear.lane = "general:s"
        old.close(clear)
        sessions.delete("general:s")
        names = []
        for group in (old, Group(sessions, "b", lambda notice: None)):
            job = read(payload)
            group.name(job)
            assert job.message is not None
            names.append(job.message.log_id)
    assert names[0] == names[1]
