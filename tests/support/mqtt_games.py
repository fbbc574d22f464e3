"""Runs a bridge as a process, and provides a client with many sessions, like a game."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import forked_cli
from tests.support.mosquitto import Broker

ROOT = Path(__file__).parents[2]


@contextmanager
def bridge(
    folder: Path, broker: Broker, url: str, *options: str, fork: bool = False, program: str = "", **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run a bridge; it is stopped at the end unless it was killed. fork: whether its process is forked from one that
    has the modules imported: not for a test that examines the process (one that is killed ends a moment after the
    process that stands for it). program: what runs the command, in place of `python -m agentkit`."""
    begin = forked_cli.command() if fork else (sys.executable, *(("-c", program) if program else ("-m", "agentkit")))
    command = [*begin, "mqtt", "--projects", "general", "maze", "--server_url", url]
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


def _send_at_once(_: mqtt.Client, __: Any, connection: Any) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Games:
    """A client that sends messages of many sessions, and records the answers. It subscribes with QoS 2."""

    def __init__(self, broker: Broker) -> None:
        self.got: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"games-{time.monotonic_ns()}", clean_session=False)
        # Sooner than the bridge: a broker without persistence keeps no answer for a client that has not subscribed yet.
        self._client.reconnect_delay_set(cast(int, 0.05), cast(int, 0.05))
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = lambda client, *_: client.subscribe("general/assistant_response/#", 2)
        self._client.on_message = self._on_message
        self._is_ready = threading.Event()
        self._client.on_subscribe = lambda *_: self._is_ready.set()
        self._client.on_disconnect = lambda *_: self._is_ready.clear()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._is_ready.wait(10)

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.got.append((message.topic, message.payload.decode()))
            self._changed.notify_all()

    def ask(self, session: str, number: int) -> None:
        payload = (
            f'{{"sessionId": "{session}", "message": "{session} {number}", "requestId": "{number}", '
            f'"replyTopic": "general/assistant_response/{session}/c/{number}"}}'
        )
        self.publish("general/user_input", payload)

    def say(self, session: str, number: int) -> None:
        """The same without a requestId."""
        self.publish("general/user_input", f'{{"sessionId": "{session}", "message": "{session} {number}"}}')

    def publish(self, topic: str, payload: str) -> None:
        # paho sends what is published between its reconnection and the broker's CONNACK before what it has to send
        # again, so that the broker gets it in another order.
        assert self._is_ready.wait(60)
        self._client.publish(topic, payload, qos=1)

    def of(self, session: str) -> list[str]:
        """The answers received by a session."""
        return [text for topic, text in self.got if topic.split("/")[2] == session]

    def wait(self, count: int, seconds: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self.got) >= count, seconds)
            return len(self.got)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
