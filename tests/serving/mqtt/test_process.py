"""Tests `agentkit mqtt` as a process: restarted brokers, killed bridges, passwords, groups, memory."""

import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import forked_cli
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import ROOT, Games, bridge
from tests.support.redis_server import serve_redis
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


def agentkit(*arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*forked_cli.command(), *arguments],
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


@pytest.mark.timeout(240)
def test_each_request_is_answered_once_and_in_order_across_restarts_of_broker_and_bridge(tmp_path: Path) -> None:
    sessions, each, kills, restarts = 40, 10, (3, 7), (1, 4, 6)
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        rng = random.Random(3)
        running = bridge(tmp_path, broker, server.url, fork=True)
        process = running.__enter__()
        for number in range(each):
            for session in range(sessions):
                games.ask(f"s{session}", number)
            time.sleep(rng.uniform(0.05, 0.3))
            if number in kills:
                process.send_signal(signal.SIGKILL)
                process.wait()
                (tmp_path / "bridge.log").write_text("")
                running = bridge(tmp_path, broker, server.url, fork=True)
                process = running.__enter__()
            if number in restarts:
                broker.stop()
                time.sleep(rng.uniform(0.0, 0.3))
                broker.start()
        games.wait(sessions * each, 120)
        time.sleep(1.0)
        games.close()
        running.__exit__(None, None, None)
        assert process.returncode == 0
    for session in range(sessions):
        answers = games.of(f"s{session}")
        assert answers == [f"Answer to s{session} {number}" for number in range(each)]


def test_sigterm_finishes_messages_in_progress_and_exits_with_0(tmp_path: Path) -> None:
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
        with bridge(tmp_path, broker, server.url, fork=True, **given):
            chat = ["mqtt-chat", "--project", "general", "--mqtt_port", str(broker.port), "--session", "me"]
            done = agentkit(*chat, stdin="one\ntwo\n", **given)
            assert done.stdout == "Answer to one\nAnswer to two\n", done.stderr
            assert agentkit(*chat, stdin="one\n").returncode == 1
        assert "sesame" not in (tmp_path / "bridge.log").read_text()


def test_check_reports_what_is_wrong(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_two_bridges_of_a_group_share_the_load_and_keep_the_order(tmp_path: Path, kind: str) -> None:
    def uneven(asked: Asked) -> Answer:
        return Answer(reply(asked).body, delay=len(server.requests) % 5 / 100)

    with serve_mqtt(tmp_path) as broker, serve(uneven) as server, ExitStack() as stack:
        store = stack.enter_context(serve_redis(tmp_path)).url if kind == "redis" else str(tmp_path / "shared.db")
        games = Games(broker)
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
            options = ("--store", store, "--shared", "g", "--debug_log", str(folder / "debug.log"))
            stack.enter_context(bridge(folder, broker, server.url, *options, fork=True))
        for number in range(12):
            for session in range(10):
                games.ask(f"s{session}", number)
        assert games.wait(120, 60) == 120
        shares = [(folder / "debug.log").read_text().count(" out ") for folder in folders]
        games.close()
    assert min(shares) > 20
    for session in range(10):
        assert games.of(f"s{session}") == [f"Answer to s{session} {number}" for number in range(12)]


def test_the_rest_of_a_group_goes_on_when_one_is_killed_and_the_killed_one_finishes_later(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        options = ("--store", str(tmp_path / "shared.db"), "--shared", "g")
        with bridge(tmp_path, broker, server.url, *options, fork=True):
            with bridge(tmp_path / "one", broker, server.url, *options, fork=True) as killed:
                killed.send_signal(signal.SIGKILL)
                killed.wait()
            for number in range(4):
                games.ask("s", number)
            games.wait(2, 20)  # the broker has assigned the other two to the killed bridge
            (tmp_path / "one" / "bridge.log").unlink()
            with bridge(tmp_path / "one", broker, server.url, *options, fork=True):  # it gets its old client id again
                games.wait(4, 20)
        games.close()
    assert sorted(games.of("s")) == [f"Answer to s {number}" for number in range(4)]


def test_a_bridge_that_leaves_a_group_loses_no_messages(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        options = ("--store", str(tmp_path / "shared.db"), "--shared", "g")
        with bridge(tmp_path, broker, server.url, *options, fork=True):
            with bridge(tmp_path / "one", broker, server.url, *options, fork=True):
                pass
            for number in range(6):
                games.ask("s", number)
            assert games.wait(6, 20) == 6
        games.close()


def test_two_bridges_with_one_client_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with serve_mqtt(tmp_path) as broker, serve(reply) as server, bridge(tmp_path, broker, server.url, fork=True):
        command = ["mqtt", "--projects", "general maze", "--server_url", server.url, "--mqtt_port", str(broker.port)]
        second = agentkit(*command, "--store", str(tmp_path / "two.db"))
        assert second.returncode == 2
        assert "--shared GROUP" in second.stderr


def test_a_broker_without_persistence_loses_no_answer_in_progress_at_a_restart(tmp_path: Path) -> None:
    def slow(asked: Asked) -> Answer:
        return Answer(reply(asked).body, delay=0.5)

    with serve_mqtt(tmp_path, is_persistent=False) as broker, serve(slow) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, fork=True):
            for session in range(12):
                games.ask(f"s{session}", 1)
            until(lambda: len(server.requests) >= 10)  # one of them was the check at startup
            broker.stop()
            broker.start()
            assert games.wait(9, 20) >= 9
        games.close()


def test_the_bridge_stays_small(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url) as process:
            for number in range(5):
                for session in range(100):
                    games.ask(f"s{session}", number)
            assert games.wait(500, 60) == 500
            status = Path(f"/proc/{process.pid}/status")
            if status.exists():
                (size,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS"))
                print(f"the bridge uses {int(size) / 1024:.0f} MB with 100 sessions")
        games.close()


def test_a_password_of_the_command_line_is_not_shown_by_ps(tmp_path: Path) -> None:
    cmdline = Path("/proc/self/cmdline")
    if not cmdline.exists():
        pytest.skip("requires /proc")
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        secret = ("--mqtt_username", "ann", "--mqtt_password", "sesame")
        with bridge(tmp_path, broker, server.url, *secret) as process:
            line = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert "sesame" not in line
        assert "--mqtt_username ann --mqtt_password '***'" in line


def test_message_contents_are_logged_only_with_debug_log(tmp_path: Path) -> None:
    log = tmp_path / "debug.log"
    with serve_mqtt(tmp_path) as broker, serve(reply) as server:
        games = Games(broker)
        with bridge(tmp_path, broker, server.url, "--debug_log", str(log), fork=True):
            games.ask("s", 1)
            assert games.wait(1, 10) == 1
        games.close()
    assert "Answer to s 1" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    assert "Answer to s 1" not in (tmp_path / "bridge.log").read_text()


def test_a_real_model_answers(tmp_path: Path, llama: LlamaServer) -> None:
    with serve_mqtt(tmp_path) as broker:
        games = Games(broker)
        with bridge(tmp_path, broker, llama.root, "--max_tokens", "16", fork=True):
            games.ask("s", 1)
            assert games.wait(1, 30) == 1
        games.close()
    assert games.got == [("general/assistant_response/s/c/1", "Done.")]
