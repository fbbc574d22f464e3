"""An answer that the broker refuses stops no other, and one that a broken connection leaves unconfirmed comes once."""

import json
import time
from pathlib import Path

import pytest

from agentkit.serving.mqtt import broker as broker_module
from agentkit.serving.mqtt import sender as sender_module
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.sender import TOO_LARGE
from agentkit.sessions import SQLiteSessions
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, access_list, bridge_on
from tests.support.mqtt_packets import refusing_answers
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")

ANSWERS = "general/assistant_response"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.1)


def reply(asked: Asked) -> Answer:
    """3,000 characters for "long"; after a second for "slow"."""
    last = str(asked.body["messages"][-1]["content"])
    text = "x" * 3000 if "long" in last else f"answer to {last}"
    return Answer(whole(text).body, delay=1.0 if "slow" in last else 0.0)


def test_an_answer_above_the_size_that_the_broker_does_not_tell(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path, "allow_anonymous true", "message_size_limit 1000") as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        sessions = SQLiteSessions(tmp_path / "s.db")
        with bridge_on(broker.port, server.url, sessions, client_id="fixed") as bridge:
            client.ask("bad", "long", requestId="1")
            for number in range(5):
                client.ask(f"s{number}", f"m{number}")
            until(lambda: len(client.got) == 6)
            assert sorted(client.texts) == sorted([TOO_LARGE, *(f"answer to m{number}" for number in range(5))])
            until(lambda: bridge.counts["processed"] == 6)
            begun = time.monotonic()
            client.ask("bad", "long again", requestId="2")
            until(lambda: len(client.got) == 7)
            assert client.texts[-1] == TOO_LARGE
            assert time.monotonic() - begun < 1  # the size is known by now
        client.close()


def test_an_answer_with_large_correlation_data(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path, "allow_anonymous true", "max_packet_size 8000") as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url):
            question = {"sessionId": "bad", "message": "long"}
            client.publish("general/user_input", question, CorrelationData=b"c" * 6000)
            client.ask("good", "short")
            until(lambda: len(client.got) == 2)
            assert dict(client.got)[f"{ANSWERS}/bad"] == TOO_LARGE
            assert b"c" * 6000 in client.correlations
            client.publish("general/user_input", {"sessionId": "b2", "message": "Hi"}, CorrelationData=b"c" * 7900)
            until(lambda: len(client.got) == 3)
            assert client.correlations[-1] is None  # with it even an error would be too large
        client.close()


def test_a_topic_that_the_access_list_denies_to_mqtt_3_1_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Mosquitto closes the connection for it. The answer goes to the usual topic, and QoS 2 is kept."""
    allowed = [f"topic readwrite {each}" for each in ("general/user_input", "agentkit/#", f"{ANSWERS}/+")]
    with serve_mqtt(tmp_path, *access_list(tmp_path, *allowed)) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url, protocol="3.1.1", workers=2) as bridge:
            client.ask("s", "first", replyTopic=f"{ANSWERS}/s/own")
            client.ask("t", "second")
            until(lambda: len(client.got) == 2)
            assert sorted(client.got) == [(f"{ANSWERS}/s", "answer to first"), (f"{ANSWERS}/t", "answer to second")]
            until(lambda: bridge.counts["processed"] == 2)
            client.ask("s", "third", replyTopic=f"{ANSWERS}/s/own")
            until(lambda: len(client.got) == 3)
        client.close()
    assert "QoS" not in caplog.text


def test_a_hint_that_is_too_large_is_a_hint_that_says_so(tmp_path: Path) -> None:
    with (
        serve_mqtt(tmp_path, "allow_anonymous true", "max_packet_size 2000") as broker,
        serve([whole("x" * 3000)]) as server,
    ):
        client = Recorder(broker.port, "maze/hint/#")
        with bridge_on(broker.port, server.url, projects=projects_named(["maze"])):
            client.publish("maze/state", {"sessionId": "m", "player_pos": [1, 1], "exit_pos": [2, 2]})
            until(lambda: client.got)
            assert json.loads(client.texts[0]) == {"hint": TOO_LARGE}
        client.close()


def test_a_broker_with_qos_0_only_is_served_on_after_a_lost_connection(tmp_path: Path) -> None:
    """Answers that could not be sent are lost, but their sessions and workers are free."""
    with serve_mqtt(tmp_path, "allow_anonymous true", "max_qos 0") as broker, serve(reply) as server:
        with bridge_on(broker.port, server.url, workers=2) as bridge:
            client = Recorder(broker.port, f"{ANSWERS}/#")
            for number in range(2):
                client.publish("general/user_input", {"sessionId": f"s{number}", "message": "slow"}, 0)
            until(lambda: len(server.requests) == 2)
            broker.stop()
            until(lambda: bridge.counts["processed"] == 2)
            broker.start()
            until(lambda: bridge.is_connected)
            until(lambda: bridge._connection.sender.client.is_connected())
            for session in ("s0", "s1", "new"):
                client.publish("general/user_input", {"sessionId": session, "message": "Hi"}, 0)
            until(lambda: len(client.got) == 3)
            client.close()


@pytest.mark.parametrize("is_persistent", [True, False])
def test_an_answer_that_is_ready_while_the_broker_is_away_arrives_once(tmp_path: Path, is_persistent: bool) -> None:
    with serve_mqtt(tmp_path, is_persistent=is_persistent) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url) as bridge:
            for number in range(3):
                client.ask(f"s{number}", f"slow {number}", requestId="1")
            until(lambda: len(server.requests) == 3)
            broker.stop()
            until(lambda: len(bridge._connection.sender._unconfirmed) == 3)
            broker.start()
            until(lambda: bridge.counts["processed"] == 3)
            client.ask("last", "last")
            until(lambda: "answer to last" in client.texts)
            assert sorted(client.texts) == ["answer to last", *(f"answer to slow {number}" for number in range(3))]
        client.close()


@pytest.mark.parametrize("code", [0x97, 0x93, 0x80])  # quota exceeded; receive maximum exceeded; unspecified error
def test_an_answer_that_the_broker_does_not_take_now_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """paho says of it that it was published: emqx/emqx#6981, eclipse-mosquitto/mosquitto#3611,
    eclipse-paho/paho.mqtt.python#895, faststream-community/zMQTT#65."""
    monkeypatch.setattr(sender_module, "AGAIN_SECONDS", (0.1, 0.2, 0.3))
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with (
            refusing_answers(broker.port, code, 2) as (port, refused),
            bridge_on(port, server.url) as bridge,
        ):
            client.ask("s", "first", requestId="1")
            until(lambda: client.got)
            until(lambda: bridge.counts["processed"] == 1)
            client.ask("s", "second", requestId="2")
            until(lambda: len(client.got) == 2)
        assert client.got == [(f"{ANSWERS}/s", "answer to first"), (f"{ANSWERS}/s", "answer to second")]
        assert len(refused) == 2
        client.close()


def test_an_answer_that_the_broker_takes_never_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "AGAIN_SECONDS", (0.05, 0.1))
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with refusing_answers(broker.port, 0x97, 3) as (port, _), bridge_on(port, server.url) as bridge:
            client.ask("s", "first")
            until(lambda: bridge.counts["processed"] == 1)
            client.ask("s", "second")
            until(lambda: client.got)
        assert client.texts == ["answer to second"]
        client.close()


def test_an_answer_that_is_too_large_for_the_broker_is_one_that_says_so(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with refusing_answers(broker.port, 0x95, 1) as (port, _), bridge_on(port, server.url):
            client.ask("s", "long")
            until(lambda: client.got)
        assert client.texts == [TOO_LARGE]
        client.close()


def test_a_message_that_the_broker_has_received_before_is_released(tmp_path: Path) -> None:
    """Brokers say "packet identifier in use" of one that is sent again after a reconnection: to publish it anew would
    have it delivered twice. halfgaar/FlashMQ#171, emqx/emqx#15055"""
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with refusing_answers(broker.port, 0x91, 1) as (port, refused), bridge_on(port, server.url) as bridge:
            client.ask("s", "first")
            until(lambda: bridge.counts["processed"] == 1)
            client.ask("s", "second")
            until(lambda: client.got)
        assert client.texts == ["answer to second"]
        assert len(refused) == 1
        client.close()


def test_a_message_that_the_broker_has_released_before_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its PUBCOMP was lost with the connection: the broker knows the packet identifier no more (MQTT 5, 4.3.3)."""
    monkeypatch.setattr(sender_module, "AGAIN_SECONDS", (0.05, 0.1))
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with (
            refusing_answers(broker.port, 0, 0, is_released=True) as (port, _),
            bridge_on(port, server.url) as bridge,
        ):
            client.ask("s", "first")
            client.ask("s", "second")
            until(lambda: bridge.counts["processed"] == 2)
            time.sleep(0.4)
        assert client.texts == ["answer to first", "answer to second"]
        client.close()


def test_a_topic_that_the_access_list_denies_to_mqtt_5(tmp_path: Path) -> None:
    """The answer goes to the usual topic. eclipse-paho/paho.mqtt.python#715"""
    allowed = [f"topic readwrite {each}" for each in ("general/user_input", "agentkit/#", f"{ANSWERS}/+")]
    with serve_mqtt(tmp_path, *access_list(tmp_path, *allowed)) as broker, serve(reply) as server:
        client = Recorder(broker.port, f"{ANSWERS}/#")
        with bridge_on(broker.port, server.url) as bridge:
            client.ask("s", "first", replyTopic=f"{ANSWERS}/s/own")
            until(lambda: client.got)
            until(lambda: bridge.counts["processed"] == 1)
        assert client.got == [(f"{ANSWERS}/s", "answer to first")]
        client.close()
