"""Publishes answers on a separate connection, with QoS 2: exactly once within one run of the bridge process.

When the connection breaks, paho sends unconfirmed messages again under the same packet identifiers. When the broker has
lost the session (it was restarted without persistence), unconfirmed messages are published again.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import paho.mqtt.client as paho
from cachetools import FIFOCache
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

logger = logging.getLogger("agentkit.mqtt")

REQUEST_PROPERTY = "agentkit-request"
"""The MQTT 5 user property with the id of the request that a message answers."""

MAX_IN_FLIGHT = 20
"""Maximum number of answers in flight: Mosquitto's default limit."""

PACKET_OVERHEAD = 1000
"""Upper bound for the bytes of a packet in addition to its payload and topic."""

TOO_LARGE = "Error: the answer is too large for the broker."
MAX_EARLY = 1000
EARLY_SECONDS = 10.0  # packet identifiers are reused


@dataclass
class _Sent:
    """A published, unconfirmed message. is_doubtful: the broker has lost the session it was published in."""

    topic: str
    payload: str
    properties: Properties | None
    then: Callable[[], object] | None
    is_doubtful: bool = False


class Sender:
    """Publishes answers, and calls back when the broker has confirmed them. client: not connected yet."""

    def __init__(self, client: paho.Client, *, is_mqtt5: bool) -> None:
        self.client = client
        self.is_ready = threading.Event()
        self.is_leaving = False
        self._is_mqtt5 = is_mqtt5
        self._lock = threading.Lock()
        self._unconfirmed: dict[int, _Sent] = {}
        self._early: FIFOCache[int, float] = FIFOCache(MAX_EARLY)
        self._qos = 2
        self._max_bytes = 268_435_455  # MQTT 5, section 2.1.4
        self._has_session = False
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    @property
    def has_unconfirmed(self) -> bool:
        """Whether any published message is not confirmed yet."""
        return bool(self._unconfirmed)

    def adapt_to(self, properties: Any) -> None:
        """Apply the limits from the properties of the broker's CONNACK."""
        limit = getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT)
        self.client.max_inflight_messages_set(min(MAX_IN_FLIGHT, limit))
        self._max_bytes = getattr(properties, "MaximumPacketSize", self._max_bytes)

    def publish(
        self,
        topic: str,
        payload: str,
        *,
        echo_id: str = "",
        correlation: bytes | None = None,
        then: Callable[[], object] | None = None,
    ) -> None:
        """Publish a message exactly once.

        echo_id: id of the answered request, sent as a user property. correlation: MQTT 5 Correlation Data. then: called
        when the broker has confirmed the message, immediately or on the network thread.
        """
        if len(payload.encode("utf-8", "replace")) + len(topic.encode()) + PACKET_OVERHEAD > self._max_bytes:
            logger.warning("an answer is too large for the broker")
            payload = TOO_LARGE  # otherwise the broker would close the connection at each attempt
        properties = None
        if self._is_mqtt5 and (echo_id or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if echo_id:
                properties.UserProperty = (REQUEST_PROPERTY, echo_id)
            if correlation is not None:
                properties.CorrelationData = correlation
        self._publish(_Sent(topic, payload, properties, then))

    def _publish(self, sent: _Sent) -> None:
        # Don't hold the lock here: the client calls on_publish under its own lock, which publish() takes too.
        info = self.client.publish(sent.topic, sent.payload, qos=self._qos, properties=sent.properties)
        with self._lock:
            is_confirmed = time.monotonic() - self._early.pop(info.mid, -EARLY_SECONDS) < EARLY_SECONDS
            if not is_confirmed:
                self._unconfirmed[info.mid] = sent
        if is_confirmed and sent.then is not None:
            sent.then()

    def publish_unconfirmed(self, topic: str, payload: str) -> None:
        """Publish with QoS 0, for messages that may be lost: deltas of a stream."""
        self.client.publish(topic, payload, qos=0)

    def _on_publish(self, _: Any, __: Any, packet_id: int, ___: Any, ____: Any) -> None:
        with self._lock:
            sent = self._unconfirmed.pop(packet_id, None)
            # None if the confirmation arrives before publish() returns, and for deltas of a stream.
            if sent is None:
                self._early[packet_id] = time.monotonic()
        if sent is None:
            return
        if sent.is_doubtful:
            self._publish(replace(sent, is_doubtful=False))
        elif sent.then is not None:
            sent.then()

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refused the connection for answers: %s", reason)
            return
        self._qos = min(2, getattr(properties, "MaximumQoS", 2))
        with self._lock:
            if self._has_session and not flags.session_present:
                for sent in self._unconfirmed.values():
                    sent.is_doubtful = True
            self._has_session = True
        self.is_ready.set()

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if not self.is_leaving:
            logger.warning("lost the connection for answers: %s", reason)
