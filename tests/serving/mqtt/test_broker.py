"""Tests with various brokers: TLS, access control lists, MQTT 3.1.1, broken connections."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from agentkit.serving.mqtt import checking
from agentkit.serving.mqtt.broker import BrokerConnection
from agentkit.serving.mqtt.settings import BrokerSettings
from tests.serving.mqtt.test_process import agentkit, reply
from tests.support import forked_cli
from tests.support.model_server import serve
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.mqtt_games import Games, bridge

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


def test_tls_with_a_custom_ca(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for index, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(tmp_path / "cert.pem", append=index > 0)
    options = ("allow_anonymous true", f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem")
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        secure = ("--tls", "--ca_file", str(tmp_path / "ca.pem"))
        port = ("--mqtt_port", str(broker.port))
        with bridge(tmp_path, broker, server.url, *secure, fork=True):
            done = agentkit("mqtt-chat", "--project", "general", *port, *secure, stdin="Hello\n")
            assert done.stdout == "Answer to Hello\n", done.stderr
        check = ("mqtt", "--check", "--projects", "general", "--server_url", server.url, *port)
        store = ("--store", str(tmp_path / "s.db"))
        assert agentkit(*check, *secure, *store).returncode == 0
        unknown = agentkit(*check, "--tls", *store)
        assert (unknown.returncode, "certificate" in unknown.stderr.lower()) == (1, True), unknown.stderr
        missing = agentkit(*check, "--ca_file", str(tmp_path / "none.pem"), *store)
        assert missing.returncode in (1, 2)
        assert "none.pem" in missing.stderr
        plain = agentkit(*check, *store)
        assert plain.returncode == 1


def with_access(folder: Path, *lines: str) -> tuple[str, ...]:
    """Options of a broker with these lines as the access control list for all users."""
    (folder / "access").write_text("\n".join(lines) + "\n")
    (folder / "access").chmod(0o644)
    return ("allow_anonymous true", f"acl_file {folder / 'access'}")


def test_check_reports_what_the_access_list_forbids(tmp_path: Path) -> None:
    options = with_access(tmp_path, "topic readwrite general/user_input", "topic readwrite agentkit/#")
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        options = ("--mqtt_port", str(broker.port), "--store", str(tmp_path / "s.db"))
        done = agentkit("mqtt", "--check", "--projects", "general", "--server_url", server.url, *options)
    assert done.returncode == 1
    assert "general/assistant_response/#" in done.stderr


def test_a_bridge_without_read_access_to_its_answers_warns_and_serves(tmp_path: Path) -> None:
    allowed = ["topic read general/user_input", "topic write general/user_input", "topic read maze/#"]
    allowed += ["topic write general/assistant_response/#", "topic read general/assistant_response/+/c/+"]
    allowed += ["topic write agentkit/bridge/#"]  # Mosquitto 2.0.11 disconnects who publishes what is not allowed
    options = with_access(tmp_path, *allowed)
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, fork=True):
            games.ask("s", 1)
            assert games.wait(1, 20) == 1
        games.close()
    assert "may be delivered twice" in (tmp_path / "bridge.log").read_text()


@contextmanager
def mqtt_3_proxy(
    broker: Broker, *, refuse_5: str, refuse_retained: bool = False, refuse_qos_2: bool = False
) -> Iterator[int]:
    """A proxy that refuses MQTT 5: with a CONNACK as MQTT 3.1.1 brokers do, or by closing the connection.

    refuse_retained, refuse_qos_2: also close the connections of clients whose will is to be retained, or that publish
    with QoS 2.
    """
    server = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                if refuse_qos_2 and data[0] & 0xF6 == 0x34:
                    break
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            each.close()

    def serve_all() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            first = client.recv(65_536)
            if first[:1] == b"\x10" and first[first.index(b"MQTT") + 4] == 5:
                if refuse_5 == "connack":
                    # CONNACK, unacceptable protocol version (3.1.1, section 3.2.2.3)
                    client.sendall(b"\x20\x02\x00\x01")
                client.close()
                continue
            if refuse_retained and first[first.index(b"MQTT") + 5] & 0x24 == 0x24:
                client.close()
                continue
            onward = socket.create_connection(("127.0.0.1", broker.port))
            onward.sendall(first)
            for pair in ((client, onward), (onward, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=serve_all, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("how", ["connack", "close"])
def test_a_broker_without_mqtt_5_is_served_with_3_1_1(tmp_path: Path, how: str) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server, mqtt_3_proxy(broker, refuse_5=how) as port:
        games = Games(broker)
        old = Broker(tmp_path, port)
        with bridge(tmp_path, old, server.url, fork=True):
            for number in range(3):
                games.ask("s", number)
            assert games.wait(3, 20) == 3
        games.close()
        assert games.of("s") == ["Answer to s 0", "Answer to s 1", "Answer to s 2"]
        assert "falling back to MQTT 3.1.1" in (tmp_path / "bridge.log").read_text()
        group = ("--shared", "g", "--store", str(tmp_path / "s.db"), "--mqtt_port", str(port))
        refused = agentkit("mqtt", "--projects", "general", "--server_url", server.url, *group)
        assert (refused.returncode, "MQTT 5" in refused.stderr) == (1, True)


def test_messages_without_a_request_id_are_answered_once_across_a_broken_connection(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, fork=True):
            for number in range(40):
                games.publish("general/user_input", f'{{"sessionId": "s", "message": "s {number}"}}')
            time.sleep(0.1)
            broker.stop()
            broker.start()
            games.wait(40, 30)
            time.sleep(1.0)
        games.close()
    assert games.of("s") == [f"Answer to s {number}" for number in range(40)]


def test_messages_without_a_request_id_are_answered_once_after_a_killed_bridge(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, fork=True) as killed:
            for number in range(40):
                games.publish("general/user_input", f'{{"sessionId": "s{number % 4}", "message": "s {number}"}}')
            games.wait(8, 10)
            killed.kill()
            killed.wait()
        (tmp_path / "bridge.log").write_text("")
        with bridge(tmp_path, broker, server.url, fork=True):
            games.wait(40, 30)
            time.sleep(1.0)
        games.close()
    for session in range(4):
        assert games.of(f"s{session}") == [f"Answer to s {number}" for number in range(session, 40, 4)]


def test_the_client_exits_with_an_error_when_the_broker_is_unreachable() -> None:
    command = [*forked_cli.command(), "mqtt-chat", "--mqtt_port", "9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "localhost:9 can't be used" in done.stderr) == (1, True)


def test_sigterm_exits_with_0_while_the_broker_is_down(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        with bridge(tmp_path, broker, server.url, fork=True) as process:
            broker.stop()
            time.sleep(0.2)
            process.terminate()
            assert process.wait(30) == 0
        broker.start()


def test_an_answer_that_the_broker_refuses_blocks_no_other(tmp_path: Path) -> None:
    allowed = ["topic read general/user_input", "topic write general/user_input", "topic readwrite agentkit/#"]
    allowed += ["topic write general/assistant_response/good/#", "topic read general/assistant_response/#"]
    options = with_access(tmp_path, *allowed)
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, "--num_workers", "1", fork=True):
            for number in range(3):
                games.ask("bad", number)
            games.ask("good", 1)
            assert games.wait(1, 20) == 1
        games.close()
    assert games.of("good") == ["Answer to good 1"]


def test_check_works_where_the_broker_sends_one_message_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ejabberd sends the next one when this one is acknowledged: the check took its topics for forbidden."""
    monkeypatch.setattr(BrokerConnection, "_connect", one_at_a_time(BrokerConnection._connect))
    with serve_mqtt(tmp_path) as broker:
        prefixes = [f"{name}/assistant_response/" for name in ("general", "maze", "driving")]
        settings = BrokerSettings(broker="127.0.0.1", port=broker.port)
        assert checking.test_broker(settings, ["general/user_input"], prefixes) == ([], [])


def one_at_a_time(connect: Callable[..., None]) -> Callable[..., None]:
    """Connections whose Receive Maximum is 1, which stands for a limit of the broker."""

    def connect_so(self: BrokerConnection, *args: Any, **options: Any) -> None:
        self._max_inflight = 1
        connect(self, *args, **options)

    return connect_so
