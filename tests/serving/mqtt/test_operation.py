"""What operators need of a bridge that runs for months: a health check, and a way to stop it."""

import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli import app
from agentkit.serving.mqtt import broker as broker_module
from agentkit.serving.mqtt import health_file
from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_bridges import Recorder, bridge_on
from tests.support.mqtt_games import bridge
from tests.support.waiting import until

needs_broker = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


def slow(asked: Asked) -> Answer:
    is_slow = "slow" in str(asked.body["messages"][-1]["content"])
    return Answer(whole("Done.").body, delay=20.0 if is_slow else 0.0)


@needs_broker
def test_the_health_file_is_there_while_the_bridge_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Koenkk/zigbee2mqtt#1310, strimzi/strimzi-mqtt-bridge#64, ahinko/tcpsolis2mqtt#3"""
    monkeypatch.setattr(health_file, "SECONDS", 0.05)
    monkeypatch.setattr(broker_module, "FIRST_DELAY", 0.1)
    file = tmp_path / "healthy"
    with serve_mqtt(tmp_path) as broker, serve([]) as server:
        with bridge_on(broker.port, server.url, health_file=file):
            until(file.exists)
            before = file.stat().st_mtime_ns
            until(lambda: file.stat().st_mtime_ns > before)
            broker.stop()
            until(lambda: not file.exists())
            broker.start()
            until(file.exists)
        until(lambda: not file.exists())


@needs_broker
def test_a_health_file_that_can_not_be_written_stops_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_file, "SECONDS", 0.05)
    with serve_mqtt(tmp_path) as broker, serve([whole("Hello.")]) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        with bridge_on(broker.port, server.url, health_file=tmp_path / "no" / "folder"):
            client.ask("s", "Hi")
            until(lambda: client.texts == ["Hello."])
            time.sleep(0.2)
        client.close()
    assert caplog.text.count("can't be written") == 1


@pytest.mark.parametrize(("content", "says"), [(None, "it can't be written"), ("my notes", "has something else in it")])
def test_a_health_file_that_is_no_place_for_one_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "file" if content is not None else tmp_path / "no" / "file"
    if content is not None:
        file.write_text(content)
    done = CliRunner().invoke(app, ["mqtt", "general", "--model", "extractive", "--check", "--health-file", str(file)])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr
    assert content is None or file.read_text() == content


@needs_broker
def test_a_second_ctrl_c_ends_a_bridge_with_messages_in_progress(tmp_path: Path) -> None:
    """k0sproject/k0sctl#877, scylladb/scylla-bench#21, stacklok/mecatl#17. The message is answered by the next one."""
    with serve_mqtt(tmp_path) as broker, serve(slow) as server:
        client = Recorder(broker.port, "general/assistant_response/#")
        log = tmp_path / "bridge.log"
        with bridge(tmp_path, broker, server.url, fork=True) as process:
            client.ask("s", "slow")
            until(lambda: any("slow" in str(each.body) for each in server.requests))
            process.send_signal(signal.SIGINT)
            until(lambda: "Ctrl-C again" in log.read_text())
            process.send_signal(signal.SIGTERM)  # of whatever has started it: only Ctrl-C is a person's
            time.sleep(0.7)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(8) == 130
        assert "Traceback" not in log.read_text()
        client.close()
