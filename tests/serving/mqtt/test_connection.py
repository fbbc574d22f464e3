"""How a bridge gets to its broker, and what it does where one is away, taken or limited."""

import json
import logging
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from agentkit import ConfigurationError
from agentkit.backends import OpenAIBackend
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt import broker as broker_module
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.checking import test_broker as check_broker
from agentkit.serving.mqtt.client import ChatClient
from agentkit.serving.mqtt.client_id import installation_name
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.serving.mqtt.tls import mqtt_client
from agentkit.sessions import MemorySessions
from tests.serving.mqtt.test_broker import mqtt_3_proxy
from tests.serving.mqtt.test_process import agentkit, reply
from tests.support import forked_cli
from tests.support.model_server import serve
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.mqtt_games import ROOT, Games
from tests.support.ports import free_port, refusing_port
from tests.support.waiting import until
from tests.support.websocket_relay import relay_to

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

PROJECTS = projects_named(["general"])


@pytest.fixture
def service() -> Iterator[ChatService]:
    with serve(reply) as server:
        backend = OpenAIBackend("default", base_url=server.url, api_key="not-needed", max_retries=0)
        yield ChatService(backend, MemorySessions())
        backend.close()


def settings_for(port: int, **options: Any) -> BridgeSettings:
    return BridgeSettings(broker="localhost", port=port, client_id=f"bridge-{time.monotonic_ns()}", **options)


def ask_once(settings: BridgeSettings) -> str | None:
    client = ChatClient(settings)
    client.begin("general", "me")
    try:
        return client.ask("Hello", 10)
    finally:
        client.close()


def test_a_bridge_starts_while_broker_and_model_server_are_away_and_waits_for_both(tmp_path: Path) -> None:
    broker, model_port, log = Broker(tmp_path, free_port()), free_port(), tmp_path / "bridge.log"
    command = [*forked_cli.command(), "mqtt", "--projects", "general", "--mqtt_port", str(broker.port)]
    command += ["--server_url", f"http://127.0.0.1:{model_port}", "--store", str(tmp_path / "s.db")]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stderr=output)
    try:
        until(lambda: f"the broker localhost:{broker.port} can't be used, trying again in" in log.read_text())
        broker.start()
        until(lambda: "serving general" in log.read_text(), 20)
        assert "the model server" in log.read_text()
        assert "llama-server" in log.read_text()
        games = Games(broker)
        games.ask("s", 1)
        with serve(reply, port=model_port):
            assert games.wait(1, 20) == 1
        games.close()
        assert "Traceback" not in log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        broker.stop()


def test_a_bridge_with_the_client_id_of_a_running_one_leaves_and_says_so(
    service: ChatService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_mqtt(tmp_path) as broker:
        settings = settings_for(broker.port)
        first = Bridge(PROJECTS, service, settings)
        first.start()
        with pytest.raises(ConfigurationError, match="another bridge already uses the client id bridge-"):
            Bridge(PROJECTS, service, settings).start()
        assert "lost the connection" not in caplog.text
        first.stop()
        again = Bridge(PROJECTS, service, settings)
        again.start()
        again.stop()


def test_two_bridges_with_one_client_id_do_not_evict_each_other_for_long(
    service: ChatService, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(broker_module, "TAKEOVER_SECONDS", 0.5)
    with serve_mqtt(tmp_path) as broker:
        settings = settings_for(broker.port)
        bridges = [Bridge(PROJECTS, service, settings) for _ in range(2)]
        with monkeypatch.context() as hidden:
            hidden.setattr(broker_module, "is_in_use", lambda *_: False)  # both are started at the same moment
            for each in bridges:
                each.start()
        until(lambda: "session taken over: another client uses the client id" in caplog.text)
        until(lambda: sum(each.is_connected for each in bridges) == 1)
        losses = caplog.text.count("lost the connection to the broker")
        assert ask_once(settings) == "Answer to Hello"
        time.sleep(0.3)
        assert caplog.text.count("lost the connection to the broker") == losses
        left_out, serving = sorted(bridges, key=lambda each: each.is_connected)
        serving.stop()
        until(lambda: left_out.is_connected)
        assert ask_once(settings) == "Answer to Hello"
        left_out.stop()


def test_the_default_client_id_differs_between_hosts_of_one_name_and_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "raspberry pi/4#")
    first = installation_name(tmp_path / "one")
    assert first.startswith("raspberry-pi-4--")
    assert installation_name(tmp_path / "two") != first
    monkeypatch.setattr("socket.gethostname", lambda: "3f2a9c")  # the name of a new container
    assert installation_name(tmp_path / "one") == first
    (tmp_path / "file").write_text("")
    assert installation_name(tmp_path / "file") == "3f2a9c"  # nothing can be kept there


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    folder, made = tmp_path_factory.mktemp("certificates"), trustme.CA()
    made.cert_pem.write_to_path(folder / "ca.pem")
    for name, certificate in (("broker", made.issue_cert("localhost")), ("client", made.issue_cert("bridge@local"))):
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}-both.pem")
    return made, folder


def test_a_client_certificate_alpn_and_websockets(
    service: ChatService, tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    made, folder = authority
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.issue_cert("localhost").configure_cert(context)
    made.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    with serve_mqtt(tmp_path) as broker, relay_to(broker.port, context) as relay:
        settings = settings_for(
            relay.port,
            ca_file=folder / "ca.pem",
            cert_file=folder / "client.pem",
            key_file=folder / "client.key",
            alpn="x-amzn-mqtt-ca",
            transport="websockets",
            websocket_path="/iot/mqtt",
        )
        bridge = Bridge(PROJECTS, service, settings)
        bridge.start()
        assert ask_once(settings) == "Answer to Hello"
        bridge.stop()
    assert (relay.protocols, relay.certified, relay.paths) == ({"x-amzn-mqtt-ca"}, {True}, {"/iot/mqtt"})


def test_a_broker_whose_certificate_is_for_another_host_name(
    tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    """seud0nym/sigenergy2mqtt#21, theengs/gateway#240, eclipse-mosquitto/mosquitto#2154"""
    _, folder = authority
    options = ["allow_anonymous true", f"cafile {folder}/ca.pem", f"certfile {folder}/broker.pem"]
    options.append(f"keyfile {folder}/broker.key")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        check = ["mqtt", "--check", "general", "--mqtt-broker", "127.0.0.1", "--mqtt-port", str(broker.port)]
        check += ["--server-url", server.url, "--store", "memory:"]
        ca = ["--ca-file", str(folder / "ca.pem")]
        done = agentkit(*check, *ca)
        assert (done.returncode, "IP address mismatch" in done.stderr) == (1, True)
        assert agentkit(*check, *ca, "--any-hostname").returncode == 0
        assert agentkit(*check, *ca, AGENTKIT_MQTT_ANY_HOSTNAME="1").returncode == 0
        done = agentkit(*check, "--ca-file", str(tmp_path / "other.pem"), "--any-hostname")
        assert (done.returncode, "certificate verify failed" in done.stderr) == (1, True)
        done = agentkit(*check, "--any-hostname")
        assert (done.returncode, "needs the CA" in done.stderr) == (2, True)


def test_a_client_certificate_is_read_from_the_environment(tmp_path: Path, authority: tuple[trustme.CA, Path]) -> None:
    _, folder = authority
    options = ["allow_anonymous true", f"cafile {folder}/ca.pem", f"certfile {folder}/broker.pem"]
    options += [f"keyfile {folder}/broker.key", "require_certificate true"]
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        check = ["mqtt", "--check", "--projects", "general", "--mqtt_port", str(broker.port)]
        check += ["--server_url", server.url, "--store", str(tmp_path / "s.db")]
        done = agentkit(
            *check,
            AGENTKIT_MQTT_CA_FILE=str(folder / "ca.pem"),
            AGENTKIT_MQTT_CERT_FILE=str(folder / "client-both.pem"),
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"cert_file": "none.pem"}, "can't use the client certificate in .*none.pem"),
        ({"key_file": "client.key"}, "--cert-file"),
        ({"cert_file": "client.pem", "key_file": "broker.key"}, "can't use the client certificate in .* and .*broker"),
        ({"ca_file": "none.pem"}, "can't read the CA certificates"),
    ],
    ids=["missing", "key alone", "another key", "missing CA"],
)
def test_certificates_that_cannot_be_used_are_named(
    authority: tuple[trustme.CA, Path], files: dict[str, str], error: str
) -> None:
    settings = BridgeSettings(**{name: authority[1] / file for name, file in files.items()})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=error):
        mqtt_client(settings)


@pytest.mark.parametrize(
    ("option", "warning"),
    [("retain_available false", "keeps no retained messages"), ("max_qos 0", "QoS 0 only"), ("max_qos 1", "QoS 2")],
    ids=["no retained messages", "QoS 0", "QoS 1"],
)
def test_a_limited_broker_is_served_with_a_warning(
    service: ChatService, tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str, warning: str
) -> None:
    with serve_mqtt(tmp_path, "allow_anonymous true", option) as broker:
        bridge = Bridge(PROJECTS, service, settings_for(broker.port))
        bridge.start()
        assert warning in caplog.text
        client = ChatClient(replace(settings_for(broker.port), protocol="5"))
        received: list[str] = []
        listener = mqtt_client(settings_for(broker.port))
        listener.on_message = lambda *args: received.append(args[2].payload.decode())
        listener.connect("localhost", broker.port)
        listener.subscribe("general/assistant_response/#")
        listener.loop_start()
        listener.publish("general/user_input", json.dumps({"sessionId": "s", "message": "Hi", "requestId": "1"}))
        until(lambda: received == ["Answer to Hi"])
        assert bridge.is_connected
        problems, limits = check_broker(
            settings_for(broker.port), ["general/user_input"], ["general/assistant_response/"]
        )
        assert (problems, [warning in limit for limit in limits]) == ([], [True])
        for each in (client, bridge):
            each.close() if isinstance(each, ChatClient) else each.stop()
        listener.disconnect()
        listener.loop_stop()
    assert "lost the connection" not in caplog.text


def test_an_old_broker_that_drops_who_asks_for_retained_messages_is_served(
    service: ChatService, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As AWS IoT did: https://github.com/aws/aws-iot-device-sdk-python-v2/issues/113."""
    monkeypatch.setattr(broker_module, "LAST_DELAY", 1)
    with serve_mqtt(tmp_path) as broker, mqtt_3_proxy(broker, refuse_5="connack", refuse_retained=True) as port:
        bridge = Bridge(PROJECTS, service, settings_for(port))
        bridge.start()
        assert "keeps no retained messages" in caplog.text
        assert ask_once(settings_for(broker.port)) == "Answer to Hello"
        bridge.stop()


def test_an_old_broker_that_drops_who_publishes_with_qos_2_is_served(
    service: ChatService, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As AWS IoT does: https://github.com/bertmelis/espMqttClient/issues/116."""
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.05)
    with serve_mqtt(tmp_path) as broker, mqtt_3_proxy(broker, refuse_5="connack", refuse_qos_2=True) as port:
        bridge = Bridge(PROJECTS, service, settings_for(port))
        bridge.start()
        assert ask_once(settings_for(broker.port)) == "Answer to Hello"
        assert "does not support QoS 2" in caplog.text
        bridge.stop()


def test_the_errors_of_a_broker_name_no_password(service: ChatService, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for(refusing_port(), username="ann", password="sesame")
    with caplog.at_level(logging.DEBUG), pytest.raises(ConnectionError):
        Bridge(PROJECTS, service, settings).start()
    assert "sesame" not in caplog.text
