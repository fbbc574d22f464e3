"""A minimal client of the bridge: sends a message and waits for its answer."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

import paho.mqtt.client as mqtt

from agentkit.serving.mqtt.payloads import topic_level
from agentkit.serving.mqtt.settings import BrokerSettings
from agentkit.serving.mqtt.tls import mqtt_client


class ChatClient:
    """A conversation with a bridge over a broker.

    Raises OSError when the broker can't be reached or refuses the connection, ConfigurationError when a TLS file can't
    be read.
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._is_settled = threading.Event()
        self._refusal = ""
        self._topic = self._reply_prefix = ""
        self._session = ""
        self._client = mqtt_client(settings)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._is_settled.set()
        self._client.on_message = lambda _, __, message: self._answers.put(
            (message.topic, message.payload.decode("utf-8", "replace"))
        )
        self._client.connect(settings.broker, settings.port)

    def begin(self, project: str, session: str) -> None:
        """Subscribe to the answers of a session. Raises ConnectionRefusedError when that fails."""
        self._session = session
        self._topic = f"{project}/user_input"
        self._reply_prefix = f"{project}/assistant_response/{topic_level(session)}/{uuid.uuid4().hex[:8]}"
        self._client.loop_start()
        if not self._is_settled.wait(10) or self._refusal:
            self._client.loop_stop()
            raise ConnectionRefusedError(self._refusal or "the broker does not respond")

    def ask(self, text: str, seconds: float, fields: Mapping[str, Any] | None = None) -> str | None:
        """Send a message and return its answer; None when none arrives within that many seconds. fields: further fields
        of the message, such as temperature or systemPrompt."""
        request_id = uuid.uuid4().hex
        reply_topic = f"{self._reply_prefix}/{request_id}"
        own = {"sessionId": self._session, "message": text, "replyTopic": reply_topic, "requestId": request_id}
        payload = {**(fields or {}), **own}
        self._client.publish(self._topic, json.dumps(payload, ensure_ascii=False), qos=1)
        end = time.monotonic() + seconds
        while True:
            try:
                topic, answer = self._answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if topic == reply_topic:  # otherwise it is the late answer to an earlier message
                return answer

    def close(self) -> None:
        """Disconnect from the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            self._is_settled.set()
            return
        client.subscribe(f"{self._reply_prefix}/+", qos=1)
