"""A message whose Message Expiry Interval has passed is not answered, and has no effect."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.mqtt.projects import Project
from agentkit.sessions import SQLiteSessions
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, bridge_on
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

opened: list[str] = []


def open_door(name: str) -> str:
    """Open a door."""
    opened.append(name)
    return f"{name} is open"


PROJECT = Project.named("general", tools=(open_door,))


def reply(asked: Asked) -> Answer:
    """After 1.5 seconds for "slow"; opens the door that is named otherwise."""
    last = asked.body["messages"][-1]
    if last["role"] == "tool":
        return whole("Done.")
    if last["content"] == "slow":
        return Answer(whole("Slowly.").body, delay=1.5)
    return calls(("open_door", {"name": last["content"]}))


def publish(client: Recorder, message: str, **properties: Any) -> None:
    question = {"sessionId": "s", "message": message, "requestId": message}
    client.publish("general/user_input", question, **properties)


@pytest.mark.parametrize("group", [None, "g"])
def test_a_message_that_expires_while_it_waits_for_the_one_before_it(tmp_path: Path, group: str | None) -> None:
    """The door doesn't open minutes later: technyon/nuki_hub#233, emqx/emqx#14462."""
    opened.clear()
    options: Any = {"sessions": SQLiteSessions(tmp_path / "s.db"), "projects": (PROJECT,), "group": group}
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        with bridge_on(broker.port, server.url, **options) as bridge:
            publish(client, "slow")
            until(lambda: server.requests)
            publish(client, "front", MessageExpiryInterval=1)
            publish(client, "back", MessageExpiryInterval=60)
            until(lambda: len(client.got) == 2)
            until(lambda: bridge.counts["processed"] == 2)
            assert (client.texts, opened) == (["Slowly.", "Done."], ["back"])
            publish(client, "front")  # the game asks again, with the same requestId
            until(lambda: len(client.got) == 3)
            assert opened == ["back", "front"]
        client.close()


def test_a_message_that_has_expired_is_not_redelivered(tmp_path: Path) -> None:
    opened.clear()
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        options: Any = {"projects": (PROJECT,), "client_id": "fixed"}
        with bridge_on(broker.port, server.url, **options):
            publish(client, "slow")
            until(lambda: server.requests)
            publish(client, "front", MessageExpiryInterval=1)
            until(lambda: client.got)
            publish(client, "back")
            until(lambda: len(client.got) == 2)
        with bridge_on(broker.port, server.url, **options):
            publish(client, "last")
            until(lambda: len(client.got) == 3)
        asked = [json.loads(each.raw)["messages"][-1]["content"] for each in server.requests]
        client.close()
    assert opened == ["back", "last"]
    assert "front" not in asked
