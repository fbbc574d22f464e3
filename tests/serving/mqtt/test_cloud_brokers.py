"""Brokers of cloud services, and how they are named: limits of subscriptions, URLs, ports, certificates that change."""

import time
from pathlib import Path

import pytest

from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import Games
from tests.support.mqtt_packets import limited_subscriptions

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


@needs_broker
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_takes_eight_topics_in_a_packet_serves_any_number_of_projects(
    tmp_path: Path, protocol: str
) -> None:
    """AWS IoT Core closes the connection for more: aws/aws-iot-device-sdk-js#147, mqttjs/MQTT.js#1995,
    telefonicaid/iotagent-json#876, dotnet/MQTTnet#1427."""
    with serve_mqtt(tmp_path) as broker, limited_subscriptions(broker.port, 8) as port:
        settings = BridgeSettings(
            broker="127.0.0.1", port=port, client_id=f"bridge-{time.monotonic_ns()}", protocol=protocol
        )
        service = ChatService(ScriptedBackend("One", "Two"), MemorySessions())
        bridge = Bridge(projects_named(["maze driving bloodcell racing general"]), service, settings)
        bridge.start(5)
        games = Games(broker)
        games.ask("s", 1)
        assert games.wait(1, 10) == 1
        games.close()
        bridge.stop()
