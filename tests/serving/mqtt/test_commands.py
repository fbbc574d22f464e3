"""Commands: their order with messages, and what they may not do."""

import threading
import time
from pathlib import Path

import pytest

from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.session_queue import SessionQueue
from agentkit.sessions import MemorySessions, SQLiteSessions
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, bridge_on
from tests.support.waiting import until

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

MAZE = projects_named(["maze"])
ANSWERS = "maze/assistant_response/#"


def reply(asked: Asked) -> Answer:
    """How many messages the model sees; after half a second for "slow"."""
    said = [str(each["content"]) for each in asked.body["messages"] if each["role"] == "user"]
    return Answer(whole(f"{len(said)}").body, delay=0.5 if "slow" in said[-1] else 0.0)


@needs_broker
def test_a_command_for_all_keeps_its_place_among_messages(tmp_path: Path) -> None:
    """A game that clears all while its message is answered, and begins again with requestId 1."""
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, ANSWERS)
        with bridge_on(broker.port, server.url, SQLiteSessions(tmp_path / "s.db"), MAZE):
            for count in (2, 4, 6):
                for session in ("s", "t"):
                    client.publish("maze/user_input", {"sessionId": session, "message": "slow", "requestId": "1"})
                client.publish("maze/clear_history", {})
                until(lambda count=count: len(client.got) == count)  # type: ignore[misc]
        client.close()
    assert client.texts == ["1"] * 6


@needs_broker
def test_a_deletion_behind_more_messages_than_the_queue_holds_is_carried_out(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server, MemorySessions() as sessions:
        client = Recorder(broker.port, ANSWERS)
        options = {"workers": 1, "queue": 3, "client_id": "fixed"}
        with bridge_on(broker.port, server.url, sessions, MAZE, **options):
            client.publish("maze/user_input", {"sessionId": "s", "message": "my secret is 42"})
            until(lambda: len(client.got) == 1)
        for number in range(5):
            client.publish("maze/user_input", {"sessionId": f"t{number}", "message": "slow"})
        client.publish("maze/delete_session/s", {})
        with bridge_on(broker.port, server.url, sessions, MAZE, **options):
            until(lambda: len(client.got) == 6)
            until(lambda: "maze:s" not in sessions)
        client.close()


@needs_broker
def test_templates_count_for_the_rate_of_their_session_and_deletions_do_not(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server, MemorySessions() as sessions:
        client = Recorder(broker.port, "maze/hint/#", ANSWERS)
        with bridge_on(broker.port, server.url, sessions, MAZE, rate=5):
            client.publish("maze/user_input", {"sessionId": "s", "message": "Hi"})
            until(lambda: len(client.got) == 1)
            for number in range(20):
                client.publish("maze/template/s", {"template": f"Be kind {number}.", "reset": False})
            client.publish("maze/delete_session/s", {})
            client.publish("maze/template/t", {"template": "Be kind."})
            until(lambda: ("maze/hint/t", '{"hint": "Template updated"}') in client.got)
            until(lambda: "maze:s" not in sessions)
            assert [topic for topic, _ in client.got].count("maze/hint/s") == 5
        client.close()


def test_a_barrier_waits_for_what_came_before_and_holds_what_comes_behind() -> None:
    done: list[str] = []
    gate = threading.Event()

    def work(job: str) -> float | None:
        if job == "a1":
            assert gate.wait(10)
        done.append(job)
        return None

    queue: SessionQueue[str] = SessionQueue(4, 100, work)
    queue.start()
    for key, job in (("p:a", "a1"), ("p:b", "b1")):
        assert queue.put(key, job, group="p")
    until(lambda: done == ["b1"])
    for job in ("all1", "all2"):
        queue.put("p", job, group="p", is_barrier=True)
    for key, job in (("p:b", "b2"), ("p:c", "c1")):
        queue.put(key, job, group="p")
    queue.put("q:a", "other", group="q")
    queue.put("p:b!", "rejection")
    until(lambda: len(done) == 3)
    time.sleep(0.05)
    assert sorted(done[1:]) == ["other", "rejection"]
    assert len(queue) == 4
    gate.set()
    until(lambda: len(done) == 8)
    assert done[3:6] == ["a1", "all1", "all2"]
    assert sorted(done[6:]) == ["b2", "c1"]
    assert (len(queue), queue._groups, queue.stop(1)) == (0, {}, [])


def test_what_a_barrier_holds_is_returned_when_the_queue_stops() -> None:
    queue: SessionQueue[str] = SessionQueue(1, 100, lambda job: None)
    queue.put("p:a", "a", group="p")
    queue.put("p", "all", group="p", is_barrier=True)
    queue.put("p:a", "b", group="p")
    assert queue.stop(0) == ["a", "all", "b"]


def test_a_barrier_that_is_tried_again_still_holds_the_rest() -> None:
    done: list[str] = []

    def work(job: str) -> float | None:
        done.append(job)
        return 0.02 if done.count("all") < 3 and job == "all" else None

    queue: SessionQueue[str] = SessionQueue(2, 100, work)
    queue.put("p", "all", group="p", is_barrier=True)
    queue.put("p:a", "a", group="p")
    queue.start()
    until(lambda: "a" in done)
    assert done == ["all", "all", "all", "a"]
    queue.stop(1)
