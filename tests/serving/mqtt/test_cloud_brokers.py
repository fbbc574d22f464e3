"""Brokers of cloud services, and how they are named: limits of subscriptions, URLs, ports, certificates that change."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from agentkit import ConfigurationError
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.broker_address import connection_fields
from agentkit.serving.mqtt.client import ChatClient
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.serving.mqtt.test_process import agentkit
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import Games
from tests.support.mqtt_packets import limited_subscriptions
from tests.support.waiting import until

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


SECURE = {"tls": True, "port": 8883}
LOGIN = {"username": "ann", "password": "se@sa/me"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("broker.lan", {"broker": "broker.lan", "port": 1883}),
        (" broker.lan ", {"broker": "broker.lan", "port": 1883}),
        ("10.0.0.8:2883", {"broker": "10.0.0.8", "port": 2883}),
        ("::1", {"broker": "::1", "port": 1883}),
        ("fe80::1%eth0", {"broker": "fe80::1%eth0", "port": 1883}),
        ("[fe80::1%eth0]:2883", {"broker": "fe80::1%eth0", "port": 2883}),
        ("[::1]:2883", {"broker": "::1", "port": 2883}),
        ("mqtt://broker.lan", {"broker": "broker.lan", "port": 1883}),
        ("tcp://broker.lan:2883/", {"broker": "broker.lan", "port": 2883}),
        ("mqtts://broker.lan", {"broker": "broker.lan", **SECURE}),
        ("SSL://broker.lan", {"broker": "broker.lan", **SECURE}),
        ("mqtts://ann:se%40sa%2Fme@broker.lan", {"broker": "broker.lan", **SECURE, **LOGIN}),
        ("mqtt://ann:se@sa/me@broker.lan", {"broker": "broker.lan", "port": 1883, **LOGIN}),
        ("ws://broker.lan", {"broker": "broker.lan", "port": 80, "transport": "websockets"}),
        (
            "wss://broker.lan/bus",
            {"broker": "broker.lan", "port": 443, "tls": True, "transport": "websockets", "websocket_path": "/bus"},
        ),
    ],
)
def test_the_address_of_a_broker_may_be_a_host_or_a_url(written: str, meant: dict[str, Any]) -> None:
    """Koenkk/zigbee2mqtt#87, yllibed/Zigbee2MqttAssistant#57"""
    settings = BridgeSettings(**connection_fields(broker=written))
    assert settings == BridgeSettings(**{"broker": "", **meant})


def test_with_tls_the_port_is_that_of_tls_unless_it_is_given() -> None:
    """meshtastic/home-assistant#154, SAIC-iSmart-API/saic-python-mqtt-gateway#369"""
    assert connection_fields(broker="broker.lan", tls=True)["port"] == 8883
    assert connection_fields(broker="broker.lan", ca_file=Path("ca.pem"))["port"] == 8883
    assert connection_fields(broker="broker.lan", tls=True, port=1883)["port"] == 1883
    assert "8883" in BridgeSettings(broker="broker.lan", tls=True).doubt
    assert "--tls" in BridgeSettings(broker="broker.lan", port=8883).doubt
    assert not BridgeSettings(broker="broker.lan", tls=True, port=8883).doubt


def test_what_is_given_beside_a_url_comes_first_and_contradictions_are_told() -> None:
    url = "mqtt://ann:sesame@broker.lan:2883"
    assert connection_fields(broker=url, username="bob", password="x")["username"] == "bob"
    assert connection_fields(broker=url, port=2883)["port"] == 2883
    with pytest.raises(ConfigurationError, match="the port 2883, and the option 1883"):
        connection_fields(broker=url, port=1883)
    for password in ({"password": "sesame"}, {"password_file": Path("password")}):
        with pytest.raises(ConfigurationError, match="needs a user name"):
            connection_fields(broker="broker.lan", **password)
    with pytest.raises(ConfigurationError, match="give one"):
        connection_fields(broker="broker.lan", username="ann", password="sesame", password_file=Path("password"))


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "http://ann:sesame@broker.lan", "mqtt://ann:sesame@", "mqtt://ann:sesame@broker.lan:99999"),
        *("mqtt://ann:sesame@broker.lan/topic", "ann:sesame@broker.lan", "broker.lan:sesame", "[::1", "a b"),
    ],
)
def test_what_is_no_address_is_an_error_without_the_password(written: str) -> None:
    """tomquist/hm2mqtt#424"""
    with pytest.raises(ConfigurationError, match="this is no address of a broker") as caught:
        connection_fields(broker=written)
    assert "sesame" not in str(caught.value)


@needs_broker
def test_the_commands_take_a_url_and_show_no_password(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker:
        check = ("mqtt", "--check", "--projects", "general", "--model", "extractive", "--store", "memory:")
        done = agentkit(*check, "--mqtt-broker", f"mqtt://ann:sesame@127.0.0.1:{broker.port}")
        assert (done.returncode, "are working" in done.stdout) == (0, True), done.stderr
        url = f"mqtt://ann:sesame@127.0.0.1:{broker.port}"
        done = agentkit(*check, AGENTKIT_MQTT_BROKER=url)
        assert done.returncode == 0, done.stderr
        wrong = agentkit(*check, "--mqtt-broker", "https://ann:sesame@127.0.0.1")
        assert (wrong.returncode, "no address of a broker" in wrong.stderr) == (2, True)
        away = agentkit(*check, "--mqtt-broker", "mqtts://ann:sesame@127.0.0.1:1")
        assert (away.returncode, "127.0.0.1:1 can't be used" in away.stderr) == (1, True)
        assert "sesame" not in done.stderr + wrong.stderr + away.stderr


def issue(folder: Path) -> tuple[str, ...]:
    """Write certificates of a new authority for a broker and its clients. Returns the broker's options."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, identity in (("broker", "127.0.0.1"), ("client", "bridge.lan")):
        authority.issue_cert(identity).private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    files = f"cafile {folder}/ca.pem", f"certfile {folder}/broker.pem", f"keyfile {folder}/broker.pem"
    return ("allow_anonymous true", "require_certificate true", *files)


def passwords(folder: Path, password: str) -> tuple[str, ...]:
    """Write a file of a broker's users, and one with the password of its only user. Returns the broker's options."""
    (folder / "users").unlink(missing_ok=True)
    command = ["mosquitto_passwd", "-b", "-c", str(folder / "users"), "ann", password]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "users").chmod(0o644)
    (folder / "password").write_text(f"{password}\n")
    return ("allow_anonymous false", f"password_file {folder}/users")


def asked_again_after_a_restart(folder: Path, options: Callable[[], tuple[str, ...]], **login: Any) -> str | None:
    """The answer of a bridge whose broker was restarted with other options. login: of both."""
    with serve_mqtt(folder, *options()) as broker:
        name = f"bridge-{time.monotonic_ns()}"
        settings = BridgeSettings(broker="127.0.0.1", port=broker.port, client_id=name, **login)
        bridge = Bridge(projects_named(["general"]), ChatService(ScriptedBackend("One"), MemorySessions()), settings)
        bridge.start(5)
        broker.stop()
        until(lambda: not bridge.is_connected)
        broker.options = options()
        broker.start()
        until(lambda: bridge.is_connected, 20)
        client = ChatClient(settings)
        client.begin("general", "me")
        try:
            return client.ask("Hello", 20)
        finally:
            client.close()
            bridge.stop()


@needs_broker
def test_a_password_that_is_replaced_is_used_at_the_next_connection(tmp_path: Path) -> None:
    """tuya/tuya-device-sharing-sdk#70"""
    words = iter(["sesame", "open sesame"])
    login = {"username": "ann", "password_file": tmp_path / "password"}
    assert asked_again_after_a_restart(tmp_path, lambda: passwords(tmp_path, next(words)), **login) == "One"


@needs_broker
def test_certificates_that_are_replaced_are_used_at_the_next_connection(tmp_path: Path) -> None:
    """mqttjs/MQTT.js#916, Extelligence-ai/bagel#210"""
    files = {"ca_file": tmp_path / "ca.pem", "cert_file": tmp_path / "client.pem"}
    assert asked_again_after_a_restart(tmp_path, lambda: issue(tmp_path), **files) == "One"
