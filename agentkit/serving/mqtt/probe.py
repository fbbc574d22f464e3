"""Asks a broker whether a running bridge uses a client id, before it is used.

Two clients with one id disconnect each other again and again: the broker closes the connection of the first when the
second connects. So a bridge that starts asks, on a connection with another id, and a running bridge answers.
"""

import queue
import secrets
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from agentkit.serving.mqtt.limits import BrokerLimits
from agentkit.serving.mqtt.settings import BrokerSettings
from agentkit.serving.mqtt.tls import mqtt_client

PONG_SECONDS = 2.0
"""How long a bridge that seems to run has to answer, in seconds."""
QUIET_SECONDS = 0.5
"""How long is waited for any sign of a bridge, in seconds."""


def is_in_use(settings: BrokerSettings, own_topic: str, seconds: float) -> bool:
    """Whether a running bridge uses the client id of `settings`; False also when the broker does not let us ask.

    own_topic: the prefix of the bridge's own topics. seconds: timeout of the connection. Raises OSError when the broker
    can't be reached.
    """
    client = mqtt_client(settings, f"{settings.client_id}-probe-{secrets.token_hex(4)}", MQTTProtocolVersion.MQTTv5)
    question = _Question(client, own_topic)
    client.connect(settings.broker, settings.port)
    client.loop_start()
    try:
        return question.ready.wait(seconds) and question.is_answered()
    finally:
        client.disconnect()
        client.loop_stop()


class _Question:
    def __init__(self, client: paho.Client, own_topic: str) -> None:
        self.ready = threading.Event()
        self._own_topic = own_topic
        self._token = secrets.token_hex(8)
        self._retains = True
        self._is_refused = False
        self._signs: queue.SimpleQueue[str] = queue.SimpleQueue()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    def is_answered(self) -> bool:
        if self._is_refused:
            return False
        end = time.monotonic() + QUIET_SECONDS
        while True:
            try:
                sign = self._signs.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return False
            if sign == "online":
                end = time.monotonic() + PONG_SECONDS
            elif sign == "offline" or (sign == "asked" and self._retains and end < time.monotonic() + QUIET_SECONDS):
                return False  # a bridge that runs has left the status "online", which arrives before our question
            elif sign == "pong":
                return True

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._is_refused = True
            self.ready.set()
            return
        self._retains = BrokerLimits.of(properties).retains
        client.subscribe([(f"{self._own_topic}/{name}", 0) for name in ("status", "pong", "ping")])

    def _on_subscribe(self, client: paho.Client, *_: Any) -> None:
        client.publish(f"{self._own_topic}/ping", self._token)
        self.ready.set()

    def _on_disconnect(self, *_: Any) -> None:
        if not self.ready.is_set():
            self._is_refused = True
            self.ready.set()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        kind = message.topic.rpartition("/")[2]
        if kind == "status":
            self._signs.put(text)
        elif text == self._token:
            self._signs.put("asked" if kind == "ping" else "pong")
