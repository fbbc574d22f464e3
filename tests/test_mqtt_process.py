"""`agentkit mqtt` as a process: brokers that restart, bridges that are killed, passwords, TLS, groups."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.llama_server import LlamaServer
from tests.model_server import Answer, Asked, serve, whole
from tests.mosquitto import EXECUTABLE, Broker, serve_mqtt

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Mosquitto here (apt-get install mosquitto)")
ROOT = Path(__file__).parents[1]


@contextmanager
def bridge(
    folder: Path, broker: Broker, url: str, *options: str, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """A running bridge; it is stopped at the end unless it was killed."""
    command = [sys.executable, "-m", "agentkit", "mqtt", "--projects", "general", "maze", "--server_url", url]
    command += ["--mqtt_port", str(broker.port), "--store", str(folder / "sessions.db"), "--rate", "1000", *options]
    with (folder / "bridge.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stderr=log, stdout=log, text=True
        )
    end = time.monotonic() + 30
    while "serving general" not in (folder / "bridge.log").read_text() and time.monotonic() < end:
        assert process.poll() is None, (folder / "bridge.log").read_text()
        time.sleep(0.05)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def agentkit(*arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "agentkit", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def reply(asked: Asked) -> Answer:
    last = str(asked.body["messages"][-1]["content"])
    return Answer(whole(f"Answer to {last}").body, delay=0.01)


class Games:
    """Many sessions of a game: each asks one thing after another, and keeps what comes, as MQTT brings it once."""

    def __init__(self, broker: Broker) -> None:
        self.got: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"games-{time.monotonic_ns()}", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("general/assistant_response/#", 2)
        self._client.on_message = self._take
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert ready.wait(10)

    def _take(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.got.append((message.topic, message.payload.decode()))
            self._changed.notify_all()

    def ask(self, session: str, number: int) -> None:
        told = (
            f'{{"sessionId": "{session}", "message": "{session} {number}", "requestId": "{number}", '
            f'"replyTopic": "general/assistant_response/{session}/c/{number}"}}'
        )
        self._client.publish("general/user_input", told, qos=1)

    def of(self, session: str) -> list[str]:
        """The answers that a session got."""
        return [text for topic, text in self.got if topic.split("/")[2] == session]

    def wait(self, count: int, seconds: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self.got) >= count, seconds)
            return len(self.got)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.timeout(240)
def test_each_request_is_answered_once_and_in_order_though_broker_and_bridge_are_restarted(tmp_path: Path) -> None:
    sessions, each, kills, restarts = 50, 20, (3, 9, 15), (1, 6, 8, 12, 18)
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        chance = random.Random(3)
        running = bridge(tmp_path, broker, server.url)
        process = running.__enter__()
        for number in range(each):
            for session in range(sessions):
                games.ask(f"s{session}", number)
            time.sleep(chance.uniform(0.05, 0.3))
            if number in kills:
                process.send_signal(signal.SIGKILL)
                process.wait()
                (tmp_path / "bridge.log").write_text("")
                running = bridge(tmp_path, broker, server.url)
                process = running.__enter__()
            if number in restarts:
                broker.stop()
                time.sleep(chance.uniform(0.0, 0.3))
                broker.start()
        games.wait(sessions * each, 120)
        time.sleep(1.0)
        games.close()
        running.__exit__(None, None, None)
        assert process.returncode == 0
    for session in range(sessions):
        answers = games.of(f"s{session}")
        assert answers == [f"Answer to s{session} {number}" for number in range(each)]


def test_sigterm_finishes_what_runs_and_ends_well(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return Answer(whole("Done.").body, delay=1.0)

    with serve_mqtt(tmp_path) as broker, serve(slow) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url) as process:
            server.requests.clear()
            games.ask("s", 1)
            end = time.monotonic() + 10
            while not server.requests and time.monotonic() < end:
                time.sleep(0.02)
            process.terminate()
            process.wait(20)
            assert process.returncode == 0
        assert games.wait(1, 5) == 1
        games.close()


def test_a_password_is_asked_for_and_taken_from_the_environment(tmp_path: Path) -> None:
    password_file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(password_file), "ann", "sesame"], check=True)
    password_file.chmod(0o644)
    options = ("allow_anonymous false", f"password_file {password_file}")
    given = {"AGENTKIT_MQTT_USERNAME": "ann", "AGENTKIT_MQTT_PASSWORD": "sesame"}
    with serve_mqtt(tmp_path, *options) as broker, serve(reply) as server:
        check = [
            "mqtt",
            "--projects",
            "general",
            "--server_url",
            server.url,
            "--mqtt_port",
            str(broker.port),
            "--check",
        ]
        check += ["--store", str(tmp_path / "s.db")]
        refused = agentkit(*check)
        assert refused.returncode == 1
        assert "can't be used: " in refused.stderr
        assert agentkit(*check, **given).returncode == 0
        with bridge(tmp_path, broker, server.url, **given):
            chat = ["mqtt-chat", "--project", "general", "--mqtt_port", str(broker.port), "--session", "me"]
            done = agentkit(*chat, stdin="one\ntwo\n", **given)
            assert done.stdout == "Answer to one\nAnswer to two\n", done.stderr
            assert agentkit(*chat, stdin="one\n").returncode == 1
        assert "sesame" not in (tmp_path / "bridge.log").read_text()


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        store = ("--store", str(tmp_path / "s.db"))
        good = ("mqtt", "--projects", "general", "--check", *store, "--mqtt_port", str(broker.port))
        no_model = agentkit(*good, "--server_url", "http://127.0.0.1:9")
        assert (no_model.returncode, "Start one with: llama-server" in no_model.stderr) == (1, True)
        no_broker = agentkit(
            "mqtt", "--check", "--projects", "general", *store, "--mqtt_port", "9", "--server_url", server.url
        )
        assert (no_broker.returncode, "the broker localhost:9" in no_broker.stderr) == (1, True)
        assert agentkit(*good, "--server_url", server.url).returncode == 0
        assert agentkit("mqtt", "--check", *store).returncode == 2


def test_two_bridges_of_a_group_share_the_load(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        store = ("--store", str(tmp_path / "shared.db"), "--shared", "g")
        with bridge(tmp_path, broker, server.url, *store), bridge(tmp_path / "one", broker, server.url, *store):
            for number in range(10):
                for session in range(6):
                    games.ask(f"s{session}", number)
            assert games.wait(60, 30) == 60
        games.close()
    for session in range(6):
        assert games.of(f"s{session}") == [f"Answer to s{session} {number}" for number in range(10)]


def test_what_is_said_is_logged_only_where_that_is_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "debug.log"
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, "--debug_log", str(log)):
            games.ask("s", 1)
            assert games.wait(1, 10) == 1
        games.close()
    assert "Answer to s 1" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    assert "Answer to s 1" not in (tmp_path / "bridge.log").read_text()


def test_a_real_model_answers(tmp_path: Path, llama: LlamaServer) -> None:
    with serve_mqtt(tmp_path) as broker:
        games = Games(broker)
        with bridge(tmp_path, broker, llama.root, "--max_tokens", "16"):
            games.ask("s", 1)
            assert games.wait(1, 30) == 1
        games.close()
    assert games.got == [("general/assistant_response/s/c/1", "Done.")]
