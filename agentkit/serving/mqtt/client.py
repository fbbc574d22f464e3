"""A client of the bridge as users have: it sends a message and waits for its answer."""

import json
import queue
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agentkit.serving.mqtt.payloads import topic_level
from agentkit.serving.mqtt.tls import secure


class ChatClient:
    """One conversation over a broker. Raises OSError when the broker can't be reached or refuses."""

    def __init__(
        self,
        broker: str,
        port: int = 1883,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self._answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._refused = ""
        self._topic = self._own = ""
        self._session = ""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        secure(self._client, username, password, tls, ca_file)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _, __, message: self._answers.put(
            (message.topic, message.payload.decode("utf-8", "replace"))
        )
        self._client.connect(broker, port)

    def begin(self, project: str, session: str) -> None:
        """Listen to the answers of a session."""
        self._session = session
        self._topic = f"{project}/user_input"
        self._own = f"{project}/assistant_response/{topic_level(session)}/{uuid.uuid4().hex[:8]}"
        self._client.loop_start()
        if not self._ready.wait(10):
            self._client.loop_stop()
            raise ConnectionRefusedError(self._refused or "the broker does not answer")

    def ask(self, text: str, seconds: float) -> str | None:
        """The answer to a message, or None."""
        request = uuid.uuid4().hex
        own = f"{self._own}/{request}"
        told = {"sessionId": self._session, "message": text, "replyTopic": own, "requestId": request}
        self._client.publish(self._topic, json.dumps(told, ensure_ascii=False), qos=1)
        end = time.monotonic() + seconds
        while True:
            try:
                topic, answer = self._answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if topic == own:  # else it is the late answer to a question before
                return answer

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            return
        client.subscribe(f"{self._own}/+", qos=1)
