"""Bridges of a group: each request is answered once and in order, by whichever bridge is there."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError
from agentkit.backends import OpenAIBackend
from agentkit.message import text_of
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt import bridge as bridge_module
from agentkit.serving.mqtt.bridge import TOO_FAST, Bridge
from agentkit.serving.mqtt.group import Group
from agentkit.serving.mqtt.intake import Intake, Job
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.session import INTERNAL, Sessions
from agentkit.sessions import MemorySessions
from benchmarks.mqtt_outages import run_outages
from tests.serving.mqtt.test_bridge import Client
from tests.serving.mqtt.test_process import reply
from tests.serving.mqtt.test_requests import read
from tests.support.model_server import serve
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.mqtt_games import Games, bridge
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serve_mqtt(tmp_path_factory.mktemp("broker"), "allow_anonymous true", "set_tcp_nodelay true") as running:
        yield running


class Pair:
    """Two bridges of a group on one store, and a client."""

    def __init__(self, broker: Broker, project: str, stack: ExitStack, **options: Any) -> None:
        self.sessions = MemorySessions()
        self.project = project
        self.server = stack.enter_context(serve(reply))
        self.client = Client(broker, f"{project}/assistant_response/#")
        stack.callback(self.client.close)
        self.bridges = [self.bridge(broker, number, stack, self.sessions, **options) for number in range(2)]

    def bridge(self, broker: Broker, number: int, stack: ExitStack, sessions: Sessions, **options: Any) -> Bridge:
        settings = BridgeSettings(
            port=broker.port, client_id=f"{self.project}-{number}", group=self.project, **{"rate": 1000, **options}
        )
        backend = OpenAIBackend("default", base_url=self.server.url, api_key="not-needed", max_retries=0)
        bridge = Bridge(projects_named([self.project]), ChatService(backend, sessions), settings)
        bridge.start()
        stack.callback(backend.close)
        stack.callback(bridge.stop)
        return bridge

    def ask(self, **message: Any) -> None:
        self.client.publish(f"{self.project}/user_input", message)

    def texts(self, count: int) -> list[str]:
        """The answers, when there are that many and no more follow for the time of another answer."""
        self.client.wait(count)
        self.ask(sessionId="last", message="last", requestId="last")
        until(lambda: any(topic.endswith("/last") for topic, _ in self.client.got))
        return [text for topic, text in self.client.got if not topic.endswith("/last")]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


KILLED_BEHIND_THE_ANSWER = """
import os, signal, sys, time
from agentkit.__main__ import main
from agentkit.serving.mqtt.bridge import Bridge

deliver = Bridge._deliver

def deliver_and_die(self, *arguments):
    deliver(self, *arguments)
    time.sleep(0.3)  # meanwhile the echo arrives, and what was acknowledged is sent
    os.kill(os.getpid(), signal.SIGKILL)

Bridge._deliver = deliver_and_die
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is an affair of Unix")
def test_a_message_without_a_request_id_is_answered_once_by_a_bridge_that_is_killed_behind_its_answer(
    tmp_path: Path,
) -> None:
    """Before it has acknowledged the message: it comes again, as a message that is the same, and so does the echo."""
    options = ("--shared", "g", "--client-id", "one")
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, *options, program=KILLED_BEHIND_THE_ANSWER) as killed:
            games.say("s", 1)
            assert killed.wait(30) < 0
        (tmp_path / "bridge.log").write_text("")
        with bridge(tmp_path, broker, server.url, *options, fork=True):
            games.say("s", 2)
            games.wait(2, 30)
            time.sleep(0.5)
        games.close()
    assert games.of("s") == ["Answer to s 1", "Answer to s 2"]


def test_1000_requests_in_small_across_a_broker_restart_and_a_killed_bridge(tmp_path: Path) -> None:
    """benchmarks/mqtt_outages.py has the 1,000 requests, with five restarts and three kills."""
    outcome = run_outages(tmp_path, bridges=2, sessions=10, each=6, kills=1, restarts=1)
    assert (outcome.lost, outcome.doubled, outcome.disordered) == ([], [], {})


def test_equal_messages_without_a_request_id_are_answered_once_each(broker: Broker, stack: ExitStack) -> None:
    pair = Pair(broker, "equal", stack)
    for _ in range(6):
        pair.ask(sessionId="s", message="Hi")
    assert pair.texts(6) == ["Answer to Hi"] * 6
    assert [text_of(each) for each in pair.sessions["equal:s"].messages] == ["Hi", "Answer to Hi"] * 6


def test_a_message_without_a_session_is_answered_once_in_a_session_of_its_own(broker: Broker, stack: ExitStack) -> None:
    pair = Pair(broker, "nosession", stack)
    for _ in range(3):
        pair.client.publish("nosession/user_input", "Hi")
    assert pair.texts(3) == ["Answer to Hi"] * 3
    assert len({topic for topic, _ in pair.client.got}) == 4


def test_a_command_is_obeyed_once_in_the_order_of_the_messages(broker: Broker, stack: ExitStack) -> None:
    pair = Pair(broker, "maze", stack)
    for number in range(4):
        pair.ask(sessionId="s", message=f"before {number}")
        pair.client.publish("maze/clear_history/s", "")
        pair.ask(sessionId="s", message=f"after {number}")
    pair.texts(8)
    assert [text_of(each) for each in pair.sessions["maze:s"].messages] == ["after 3", "Answer to after 3"]


def test_a_message_over_the_rate_limit_is_rejected_once(broker: Broker, stack: ExitStack) -> None:
    pair = Pair(broker, "toofast", stack, rate=2)
    for number in range(4):
        pair.ask(sessionId="s", message=f"Hi {number}", requestId=str(number))
    assert sorted(pair.texts(4)) == sorted(["Answer to Hi 0", "Answer to Hi 1", TOO_FAST, TOO_FAST])


def test_a_bridge_of_the_group_with_another_store_leaves_and_says_why(broker: Broker, stack: ExitStack) -> None:
    pair = Pair(broker, "stores", stack)
    with pytest.raises(ConfigurationError, match="same --store"):
        pair.bridge(broker, 3, stack, MemorySessions())
    pair.ask(sessionId="s", message="Hi")
    assert pair.texts(1) == ["Answer to Hi"]


def test_the_number_of_a_message_follows_from_the_store_and_the_echoes() -> None:
    """So that a bridge which takes over goes on with the message that a killed one has begun."""
    project = projects_named(["p"])
    with MemorySessions() as sessions:
        notices: list[str] = []
        one, two = Group(sessions, "one", notices.append), Group(sessions, "two", notices.append)

        def job() -> Job:
            return read(
                Intake(project, lambda key: False),
                {"sessionId": "s", "message": "Hi"},
                topic="p/user_input",
            )

        for number in range(9):
            first, second = job(), job()
            for group, each in ((one, first), (two, second)):
                group.expect(each)
                with group.claim(each) as is_granted:
                    assert is_granted
                    assert group.name(each) is False
            assert first.message is not None
            assert second.message is not None
            assert first.message.log_id == second.message.log_id == f"message-{first.digest}-{number}"
            assert two.answered(first.echo_id) is second
            assert two.answered(first.echo_id) is None  # delivered twice by the broker
            assert one.answered(first.echo_id) is None
            one.close(first)
            if number % 3:  # else "one" is killed before it has recorded the answer
                sessions["p:s"].note_delivered(first.message.log_id)
            else:
                one.answered(first.echo_id)


def test_only_one_bridge_holds_a_request_or_a_session(tmp_path: Path) -> None:
    project = projects_named(["p"])
    with MemorySessions() as sessions:
        one, two = (Group(sessions, name, lambda notice: None) for name in ("one", "two"))
        jobs = [
            read(
                Intake(project, lambda key: False),
                {"sessionId": session, "message": "Hi"},
                topic="p/user_input",
            )
            for session in ("s", "s", "other")
        ]
        with one.claim(jobs[0]) as first:
            with two.claim(jobs[1]) as second, two.claim(jobs[2]) as other:
                assert (first, second, other) == (True, False, True)
            jobs[2].rejection = TOO_FAST
            with two.claim(jobs[2]) as rejected:
                assert rejected
        with two.claim(jobs[1]) as second:
            assert second


@pytest.mark.parametrize(
    "notice", [b"", b"[]", b"1", b"{}", b'{"kind": 1}', b'{"kind": "hello"}', b"\xff", b"[" * 90_000], ids=range(8)
)
def test_an_invalid_notice_is_ignored(notice: bytes) -> None:
    with MemorySessions() as sessions:
        group = Group(sessions, "one", lambda notice: None)
        assert group.read_notice(notice) is None
        assert not group.has_others
        group.read_notice(json.dumps({"kind": "hello", "client": "two", "store": "x"}).encode())
        assert group.has_others


def test_a_bridge_joins_a_group_whose_store_has_lost_its_data(broker: Broker, stack: ExitStack) -> None:
    """As a Redis that keeps nothing on disk, restarted: the running bridges kept its old id."""
    pair = Pair(broker, f"lost{time.monotonic_ns()}", stack)
    for info in pair.sessions.list(prefix=INTERNAL):
        pair.sessions.delete(info.id)
    third = pair.bridge(broker, 2, stack, pair.sessions)
    assert third._group is not None
    until(lambda: len({bridge._group._store for bridge in [*pair.bridges, third] if bridge._group is not None}) == 1)
    with pytest.raises(ConfigurationError, match="have different session stores"):
        pair.bridge(broker, 3, stack, MemorySessions())
    pair.ask(sessionId="s", message="Hello", requestId="1")
    assert len(pair.texts(1)) == 1


def test_a_group_whose_broker_holds_its_own_messages_back_says_why_messages_wait(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind those that are not acknowledged yet: emqx/emqx-docs#2845."""
    monkeypatch.setattr(bridge_module, "SYNC_SECONDS", 0.2)
    with ExitStack() as stack:
        pair = Pair(broker, "held", stack)
        for each in pair.bridges:
            monkeypatch.setattr(each._connection, "_publish_token", lambda token: None)
        pair.client.publish("held/user_input", {"sessionId": "s", "message": "Hi"})
        until(lambda: "does not send the bridge its own messages" in caplog.text)
        monkeypatch.undo()
        pair.client.wait(1)
    assert len(pair.client.got) == 1
