"""Where an answer goes: any MQTT 5 response topic that is nobody else's."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agentkit.serving.mqtt.payloads import read_user_message
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BrokerSettings
from agentkit.serving.mqtt.tls import mqtt_client
from tests.serving.mqtt.test_bridge import Setting, reply
from tests.serving.mqtt.test_broker import with_access
from tests.support.model_server import serve
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.waiting import until

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


class Asker:
    """A client of MQTT 5 that asks for an answer on a topic."""

    def __init__(self, port: int, project: str) -> None:
        self.got: list[tuple[str, str, bytes | None]] = []
        self._project = project
        self._client = mqtt_client(BrokerSettings(port=port), "", MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._on_message
        subscribed: list[int] = []
        self._client.on_subscribe = lambda *_: subscribed.append(1)
        self._client.connect("localhost", port)
        self._client.loop_start()
        self._client.subscribe([("lamps/#", 1), (f"{project}/#", 1), ("maze/#", 1), ("agentkit/#", 0)])
        until(lambda: subscribed)

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        if not message.topic.endswith(("/user_input", "/status", "/sync")):
            correlation = getattr(message.properties, "CorrelationData", None)
            self.got.append((message.topic, message.payload.decode(), correlation))

    def ask(self, response_topic: str, session: str = "s") -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = response_topic
        properties.CorrelationData = b"\x01\xff"
        payload = f'{{"sessionId": "{session}", "message": "Hi"}}'
        self._client.publish(f"{self._project}/user_input", payload, qos=1, properties=properties)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serve_mqtt(tmp_path_factory.mktemp("broker")) as running:
        yield running


@needs_broker
def test_any_response_topic_is_answered_that_is_nobody_elses(broker: Broker) -> None:
    with serve(reply) as server:
        setting = Setting(broker, server.url, rate=1000)
        setting.ask(sessionId="other", message="Hi")
        setting.client.wait(1)
        asker = Asker(broker.port, setting.project)
        default = f"{setting.project}/assistant_response/s"
        taken = [f"{setting.project}/assistant_response/other/x", f"{setting.project}/user_input", "maze/state"]
        taken += ["maze/template/s", "agentkit/bridge/x/status", f"maze/../{setting.project}/#"]
        for number, topic in enumerate(["lamps/kitchen/answer", f"{default}/app/1", *taken]):
            asker.ask(topic)
            until(lambda count=number + 1: len(asker.got) == count)  # type: ignore[misc]
        assert [topic for topic, _, _ in asker.got] == ["lamps/kitchen/answer", f"{default}/app/1", *[default] * 6]
        assert {correlation for _, _, correlation in asker.got} == {b"\x01\xff"}
        asker.close()
        setting.close()


@needs_broker
def test_a_response_topic_that_the_access_list_forbids_is_answered_on_the_default_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    allowed = [
        "topic readwrite agentkit/#",
        "topic readwrite maze/#",
        "topic read lamps/#",
        "pattern readwrite +/user_input",
    ]
    allowed += ["pattern readwrite +/assistant_response/#"]
    with serve(reply) as server, serve_mqtt(tmp_path, *with_access(tmp_path, *allowed)) as broker:
        setting = Setting(broker, server.url, rate=1000)
        asker = Asker(broker.port, setting.project)
        asker.ask("lamps/kitchen")
        until(lambda: asker.got)
        assert [topic for topic, _, _ in asker.got] == [f"{setting.project}/assistant_response/s"]
        assert "does not allow the bridge to answer" in caplog.text
        asker.close()
        with suppress(AssertionError):
            setting.close()


def test_only_the_property_may_name_any_topic_and_not_the_payload() -> None:
    (project,) = projects_named(["p"])
    given = read_user_message(project, b'{"message": "Hi", "sessionId": "s", "replyTopic": "lamps/x"}', "lamps/y")
    assert given is not None
    assert given.reply_topic == "p/assistant_response/s"
    for topic in ("$SYS/x", "agentkit/bridge/x/sync", "a/+", "#", "", "x\0", "a/" * 300):
        message = read_user_message(project, b'{"message": "Hi", "sessionId": "s"}', topic)
        assert message is not None
        assert message.reply_topic == "p/assistant_response/s"
