"""A bridge whose store, connection or certificates are away for a while."""

import json
import logging
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from agentkit import tool
from agentkit.backends import OpenAIBackend
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt import broker as broker_module
from agentkit.serving.mqtt.embedded import serve_until
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.sessions import MemorySessions, RedisSessions
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, bridge_on
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, serve_redis
from tests.support.relay import relayed
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

ANSWERS = "general/assistant_response"
OWN = f"{ANSWERS}/tablet7/inbox"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "broker", tmp_path / "redis"
    for each in made:
        each.mkdir()
    return made


@pytest.mark.parametrize("group", [None, "g"])
def test_a_message_with_a_topic_of_its_own_is_answered_when_the_store_is_away(
    folders: tuple[Path, Path], group: str | None
) -> None:
    """Alone with an error, on the usual topic, as nobody knows whose the other is; a group waits for the store."""
    with serve_redis(folders[1]) as redis, serve_mqtt(folders[0]) as broker, serve([whole("hello")]) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url, RedisSessions(redis.url), group=group):
            redis.kill()
            client.ask("s", "Hi", requestId="1", replyTopic=OWN)
            if group is None:
                until(lambda: client.got)
                assert [(topic, text[:6]) for topic, text in client.got] == [(f"{ANSWERS}/s", "Error:")]
                redis.start()
                while (OWN, "hello") not in client.got:
                    client.ask("s", "Hi", requestId="1", replyTopic=OWN)
                    time.sleep(0.1)
            else:
                time.sleep(0.5)
                redis.start()
                until(lambda: client.got == [(OWN, "hello")])
        client.close()


def test_a_store_that_hangs_does_not_hold_up_the_network_thread(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_mqtt(folders[0]) as broker, serve([whole("hello")]) as server, MemorySessions() as sessions:
        client = Recorder(broker.port, f"{ANSWERS}/#", "agentkit/bridge/fixed/pong")
        hangs = threading.Event()
        with bridge_on(broker.port, server.url, sessions, client_id="fixed") as bridge:
            client.ask("s", "Hi", requestId="1")
            until(lambda: bridge.counts["processed"] == 1)
            for name in ("_mark", "_locked", "_information"):
                if hasattr(sessions, name):
                    known = getattr(sessions, name)

                    def slow(*args: Any, known: Any = known, **options: Any) -> Any:
                        hangs.wait(10)
                        return known(*args, **options)

                    monkeypatch.setattr(sessions, name, slow)
            client.ask("t", "Hi", replyTopic=OWN)
            client.ask("s", "Hi", requestId="1")
            client.publish("agentkit/bridge/fixed/ping", "x")
            until(lambda: ("agentkit/bridge/fixed/pong", "x") in client.got, 5)
            hangs.set()
            until(lambda: (OWN, "hello") in client.got)
        client.close()


def test_a_bridge_of_a_group_waits_for_its_store(folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    redis = RedisServer(folders[1], free_port())
    stopped, has_started = threading.Event(), threading.Event()
    with serve_mqtt(folders[0]) as broker, serve([whole("hello")]) as server:
        backend = OpenAIBackend("default", base_url=server.url, api_key="not-needed", max_retries=0)
        settings = BridgeSettings(broker="127.0.0.1", port=broker.port, client_id="fixed", group="g", rate=1000)
        service = ChatService(backend, RedisSessions(redis.url))
        given: Any = (stopped, projects_named(["general"]), service, settings)
        thread = threading.Thread(target=serve_until, args=given, kwargs={"on_start": has_started.set})
        with caplog.at_level(logging.WARNING, "agentkit.mqtt"):
            thread.start()
            until(lambda: "or the session store, can't be used, trying again in" in caplog.text)
        redis.start()
        try:
            assert has_started.wait(20)
            client = Recorder(broker.port, f"{ANSWERS}/#")
            client.ask("s", "Hi")
            until(lambda: client.got == [(f"{ANSWERS}/s", "hello")])
            client.close()
        finally:
            stopped.set()
            thread.join(20)
            redis.kill()
        backend.close()
    assert not thread.is_alive()


def test_what_the_broker_has_kept_during_an_outage_is_not_limited(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve([whole("hello")]) as server, relayed(broker.port) as relay:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(int(relay.url.rpartition(":")[2]), server.url, rate=5, queue=5) as bridge:
            relay.close()
            until(lambda: not bridge.is_connected)
            for number in range(20):
                client.ask("s", f"m{number}", requestId=str(number))
            relay._is_closed = False
            until(lambda: len(client.got) == 20, 30)
            assert client.texts == ["hello"] * 20
            until(lambda: bridge._connection.synced.is_set())
            for number in range(10):
                client.ask("t", f"m{number}")
            until(lambda: len(client.got) == 30)
            assert sum("Rate limit" in text for text in client.texts) == 5
        client.close()


def test_a_message_is_not_acknowledged_under_the_number_that_another_one_has_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker, which keeps nothing, was restarted; its packet identifiers begin at 1 again."""
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.1)
    gates = {"first": threading.Event(), "second": threading.Event()}

    def reply(asked: Asked) -> Answer:
        last = str(asked.body["messages"][-1]["content"])
        assert gates[last].wait(20)
        return whole(f"answer to {last}")

    with serve_mqtt(tmp_path, is_persistent=False) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url) as bridge:
            client.ask("a", "first", requestId="1")
            until(lambda: len(server.requests) == 1)
            broker.stop()
            until(lambda: not bridge.is_connected)
            broker.start()
            until(lambda: bridge.is_connected)
            acks: list[int] = []
            ack = bridge._connection._listener.ack

            def noted(packet_id: int, qos: int) -> Any:
                acks.append(packet_id)
                return ack(packet_id, qos)

            monkeypatch.setattr(bridge._connection._listener, "ack", noted)
            client.ask("b", "second", requestId="1")
            until(lambda: len(server.requests) == 2)
            job = next(job for job in bridge._intake.packets.jobs() if job.message and job.message.session == "b")
            gates["first"].set()
            until(lambda: "answer to first" in client.texts)
            until(lambda: bridge.counts["processed"] == 1)
            time.sleep(0.3)
            assert job.packet.packet_id not in acks
            gates["second"].set()
            until(lambda: job.packet.packet_id in acks)
        client.close()
    assert sorted(client.texts) == ["answer to first", "answer to second"]


def test_a_certificate_that_cannot_be_read_does_not_end_the_bridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.1)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    for name in ("ca.pem", "own.pem"):
        authority.cert_pem.write_to_path(tmp_path / name)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    for each in tmp_path.iterdir():
        each.chmod(0o644)
    server_files = [f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.pem"]
    with serve_mqtt(tmp_path, "allow_anonymous true", *server_files) as broker, serve([whole("hello")]) as server:
        with bridge_on(broker.port, server.url, ca_file=tmp_path / "own.pem") as bridge:
            (tmp_path / "own.pem").unlink()  # while it is replaced
            for _ in range(4):
                broker.stop()
                until(lambda: not bridge.is_connected)
                broker.start()
                until(lambda: bridge.is_connected)


def test_an_error_in_a_callback_is_logged_and_the_bridge_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_mqtt(tmp_path) as broker, serve([whole("hello")]) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url) as bridge:
            take = bridge._connection._on_packet

            def fail(packet: Any) -> None:
                bridge._connection._on_packet = take
                raise KeyError("a secret")

            bridge._connection._on_packet = fail
            client.ask("s", "one")
            client.ask("s", "two")
            until(lambda: client.texts == ["hello"])
        client.close()
    assert "an error in _on_message: KeyError" in caplog.text
    assert "a secret" not in caplog.text


def test_clients_are_not_told_addresses_inside_of_the_network(tmp_path: Path) -> None:
    port = free_port()
    with serve_mqtt(tmp_path) as broker:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, f"http://127.0.0.1:{port}/v1"):
            client.ask("s", "Hi")
            until(lambda: client.got, 30)
        client.close()
    assert client.texts[0].startswith("Error: ")
    assert str(port) not in client.texts[0]
    assert "127.0.0.1" not in client.texts[0]


def test_ids_with_half_a_surrogate_pair_come_back_with_calls_that_wait(tmp_path: Path) -> None:
    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    project = replace(projects_named(["general"])[0], tools=(pay,))
    with serve_mqtt(tmp_path) as broker, serve([calls(("pay", {"amount": 3}))]) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url, projects=(project,)):
            client.publish("general/user_input", '{"sessionId": "s\\ud83d", "message": "pay", "requestId": "7\\ud83d"}')
            until(lambda: client.got)
        client.close()
    waiting = json.loads(client.texts[0])
    assert (waiting["sessionId"], waiting["requestId"]) == ("s\ud83d", "7\ud83d")
