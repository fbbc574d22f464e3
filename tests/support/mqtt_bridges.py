"""A bridge in this process, and a client that records what it receives."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agentkit.backends import OpenAIBackend
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt.bridge import Bridge
from agentkit.serving.mqtt.projects import Project, projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.session import Sessions
from agentkit.sessions import MemorySessions


class Recorder:
    """A client with MQTT 5. Its subscriptions have QoS 2, and are made again at each connection."""

    def __init__(self, port: int, *topics: str) -> None:
        self.got: list[tuple[str, str]] = []
        self.correlations: list[bytes | None] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(cast(int, 0.05), cast(int, 0.05))  # sooner than the bridge
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 2) for topic in topics])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        self.correlations.append(getattr(message.properties, "CorrelationData", None))
        self.got.append((message.topic, message.payload.decode()))

    @property
    def texts(self) -> list[str]:
        """The payloads received so far."""
        return [text for _, text in self.got]

    def publish(self, topic: str, payload: Any, qos: int = 1, **properties: Any) -> None:
        """Publish a payload, JSON unless it is text. properties: of MQTT 5."""
        assert self._ready.wait(10)
        given: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in properties.items():
            setattr(given, name, value)
        data = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        self._client.publish(topic, data, qos, properties=given).wait_for_publish(10)

    def ask(self, session: str, message: str, **fields: Any) -> None:
        """Publish a message of a session."""
        self.publish("general/user_input", {"sessionId": session, "message": message, **fields})

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def bridge_on(
    port: int,
    url: str,
    sessions: Sessions | None = None,
    projects: tuple[Project, ...] | None = None,
    **options: Any,
) -> Iterator[Bridge]:
    """A bridge of the project "general", or others. url: of the model server. options: of `BridgeSettings`."""
    backend = OpenAIBackend("default", base_url=url, api_key="not-needed", max_retries=0)
    settings: dict[str, Any] = {"client_id": f"bridge-{time.monotonic_ns()}", "rate": 1000, "stop_seconds": 2.0}
    made = BridgeSettings(broker="127.0.0.1", port=port, **{**settings, **options})
    service = ChatService(backend, MemorySessions() if sessions is None else sessions)
    bridge = Bridge(projects or projects_named(["general"]), service, made)
    bridge.start()
    try:
        yield bridge
    finally:
        bridge.stop()
        backend.close()


def access_list(folder: Path, *lines: str) -> tuple[str, ...]:
    """Options of a broker with these lines as the access list of all users."""
    (folder / "access").write_text("\n".join(lines) + "\n")
    (folder / "access").chmod(0o644)
    return ("allow_anonymous true", f"acl_file {folder / 'access'}")
