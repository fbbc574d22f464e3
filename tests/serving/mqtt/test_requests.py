"""Requests of MQTT clients are answered once, and what is no repetition is told so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.message import text_of
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.intake import Intake, Job
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder, Response
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.serving.mqtt.test_bridge import Client, Setting
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.waiting import until

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

FAILURE = Answer(b'{"error": {"message": "no memory left"}}', status=500)
MAZE = Project.named("maze", hints="maze/hint", state="maze/state")
STATE = {"sessionId": "m", "player_pos": [1, 1], "exit_pos": [2, 2], "visible_map": [[0]]}

effects: list[str] = []


def send(to: str) -> str:
    """Send a message."""
    effects.append(to)
    return f"sent to {to}"


@pytest.fixture(autouse=True)
def no_effects() -> None:
    effects.clear()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serve_mqtt(tmp_path_factory.mktemp("broker")) as running:
        yield running


def reply(asked: Asked) -> Answer:
    messages = asked.body["messages"]
    last = str(messages[-1]["content"])
    if messages[-1]["role"] == "user" and last.startswith("send to "):
        return calls(("send", {"to": last.split()[-1]}))
    return whole(f"Answer {sum(message['role'] == 'user' for message in messages)}")


def texts(client: Client, count: int) -> list[str]:
    return [text for _, text in client.wait(count)]


@needs_broker
def test_a_game_that_counts_its_request_ids_anew_learns_what_is_wrong(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, rate=1000)
        made.ask(sessionId="s", message="Hi", requestId="1")
        assert texts(made.client, 1) == ["Answer 1"]
        for _ in range(2):
            made.ask(sessionId="s", message="Hi", requestId="1")  # the same: its client has the answer
        made.ask(sessionId="s", message="Another game", requestId="1")
        error = "Error: the requestId '1' was used before with another message: use a new one"
        assert texts(made.client, 2) == ["Answer 1", error]
        made.ask(sessionId="s", message="Hi", requestId=1)
        made.ask(sessionId="s", message="Hi again", requestId="2")
        assert texts(made.client, 3)[2] == "Answer 2"
        made.bridge._intake._seen.clear()  # as after a restart
        made.ask(sessionId="s", message="Another game", requestId="1")
        made.ask(sessionId="s", message="Hi", requestId="1")
        made.ask(sessionId="s", message="end", requestId="3")
        assert texts(made.client, 5)[3:] == [error, "Answer 3"]
        made.close()
    assert len(server.requests) == 3


@needs_broker
def test_the_effect_of_a_request_that_failed_after_it_is_had_once(broker: Broker) -> None:
    is_down = True

    def failing(asked: Asked) -> Answer:
        return FAILURE if is_down and asked.body["messages"][-1]["role"] == "tool" else reply(asked)

    with serve(failing) as server:
        made = Setting(broker, server.url, project={"tools": (f"{__name__}:send",), "tool_choice": "auto"}, rate=1000)
        for number in range(2):
            made.ask(sessionId="s", message="send to ann", requestId="1")
            assert texts(made.client, number + 1)[number].startswith("Error: ")
        is_down = False
        for _ in range(2):
            made.ask(sessionId="s", message="send to ann", requestId="1")
        made.ask(sessionId="s", message="And now?", requestId="2")
        assert texts(made.client, 4)[2:] == ["Answer 1", "Answer 2"]
        made.close()
    assert effects == ["ann"]


@needs_broker
def test_a_request_that_failed_after_an_effect_is_refused_behind_another_message(broker: Broker) -> None:
    is_down = True

    def failing(asked: Asked) -> Answer:
        return FAILURE if is_down and asked.body["messages"][-1]["role"] == "tool" else reply(asked)

    with serve(failing) as server:
        made = Setting(broker, server.url, project={"tools": (f"{__name__}:send",), "tool_choice": "auto"}, rate=1000)
        made.ask(sessionId="s", message="send to ann", requestId="1")
        made.client.wait(1)
        is_down = False
        made.ask(sessionId="s", message="And now?", requestId="2")
        made.ask(sessionId="s", message="send to ann", requestId="1")
        answers = texts(made.client, 3)[1:]
        made.close()
    assert answers[0] == "Answer 2"
    assert answers[1].startswith("Error: the requestId '1' is that of a message which has called tools")
    assert effects == ["ann"]


@needs_broker
def test_a_state_of_the_maze_is_answered_once(broker: Broker) -> None:
    with serve([whole("Left.")]) as server:
        made = Setting(broker, server.url, rate=1000)
        for number in range(2):
            made.client.publish("maze/state", {**STATE, "requestId": "1", "sentAt": number})
        made.client.publish("maze/state", {**STATE, "requestId": "2"})  # with "came twice" in its text
        until(lambda: made.bridge.counts["processed"] == 2)
        made.client.publish("maze/state", {**STATE, "requestId": "1", "player_pos": [1, 2]})
        hints = [json.loads(text)["hint"] for text in texts(made.client, 3)]
        made.close()
    assert hints[:2] == ["Left.", "Left."]
    assert hints[2] == "Error: the requestId '1' was used before with another message: use a new one"
    assert len(server.requests) == 2


def test_a_retry_of_a_state_does_not_conflict_with_itself() -> None:
    """The text for the model says how often a state came before, and is another one at the retry."""
    backend = ScriptedBackend("Left.", "Right.", ValueError("no server"), "Up.")
    with MemorySessions() as sessions:
        responder = Responder(ChatService(backend, sessions))
        for number, hint in (("1", "Left."), ("2", "Right."), ("3", "Error: no server"), ("3", "Up."), ("3", "Up.")):
            job = read(
                Intake((MAZE,), responder.knows),
                {**STATE, "requestId": number},
                topic="maze/state",
            )
            assert job.message is not None
            assert responder.hint(job.message, STATE) == Response(json.dumps({"hint": hint}), hint.startswith("Error"))
    assert len(backend.requests) == 4


def read(intake: Intake, payload: Any, topic: str = "maze/user_input", **packet: Any) -> Job:
    job = Job(Packet(topic, json.dumps(payload).encode(), **{"qos": 1, "packet_id": 7, **packet}))
    intake.read(job)
    return job


def test_a_redelivered_packet_is_answered_once_and_a_new_one_with_its_number_is_new() -> None:
    """As in https://github.com/espressif/esp-mqtt/issues/151: what is sent again without the DUP flag is a new packet
    for the broker; only a requestId tells."""
    backend = ScriptedBackend("1", "2", "3")
    with MemorySessions() as sessions:
        responder = Responder(ChatService(backend, sessions))
        intake = Intake((MAZE,), responder.knows)

        def answer(payload: Any, **packet: Any) -> str | None:
            message = read(intake, payload, **packet).message
            assert message is not None
            response = responder.answer(message)
            if response is not None:
                responder.note_delivered(message)
            return response.text if response is not None else None

        plain = {"sessionId": "s", "message": "Hi"}
        assert answer(plain) == "1"
        assert answer(plain, is_duplicate=True) is None
        assert answer(plain) == "2"
        assert answer(plain, is_duplicate=True) is None
        with_id = {**plain, "requestId": "r"}
        assert [answer(with_id), answer(with_id, packet_id=8)] == ["3", None]
        stored = [text_of(each) for each in sessions["maze:s"].messages]
    assert stored == ["Hi", "1", "Hi", "2", "Hi", "3"]


@needs_broker
def test_an_answer_that_two_killed_bridges_have_left_is_not_sent_again(tmp_path: Path) -> None:
    """The second bridge had read the echo of the answer, and was killed before it had recorded that."""
    acknowledged: list[str | None] = []
    with serve(reply) as server, serve_mqtt(tmp_path) as broker:
        made = Setting(broker, server.url)
        made.bridge._connection.acknowledge = lambda packet: acknowledged.append(packet.echo_id)  # type: ignore[method-assign]
        echo = Packet(f"{made.project}/assistant_response/s", b"Answer", qos=1, packet_id=3, echo_id="e1")
        made.bridge._is_ready.clear()
        request = Packet(
            f"{made.project}/user_input", b'{"sessionId": "s", "message": "Hi", "requestId": "1"}', packet_id=4, qos=1
        )
        job = Job(request)
        assert made.bridge._intake.packets.add(job) == "new"
        made.bridge._intake.read(job)
        made.bridge._on_packet(echo)
        made.bridge._on_packet(Packet(echo.topic, b"Answer", qos=1, packet_id=5, echo_id=job.echo_id))
        assert acknowledged == []
        made.bridge._end_backlog()
        assert acknowledged == ["e1"]
        assert job.message is not None
        made.bridge._serve(job, job.message)
        assert acknowledged == ["e1", job.echo_id, None]
        made.close()
    assert server.requests == []
