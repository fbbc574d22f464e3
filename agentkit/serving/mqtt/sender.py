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

from agentkit.serving.mqtt.limits import BrokerLimits

logger = logging.getLogger("agentkit.mqtt")

REQUEST_PROPERTY = "agentkit-request"
"""The MQTT 5 user property with the id of the request that a message answers."""

PACKET_OVERHEAD = 1000
"""Upper bound for the bytes of a packet in addition to its payload and topic."""

TOO_LARGE = "Error: the answer is too large for the broker."
MAX_FRUITLESS = 2
"""After how many connections on which nothing was confirmed a lower QoS is tried."""
MAX_EARLY = 1000
EARLY_SECONDS = 10.0  # packet identifiers are reused


@dataclass
class _Sent:
    """A published, unconfirmed message. is_doubtful: the broker has lost the session it was published in."""

    topic: str
    payload: str
    properties: Properties | None
    then: Callable[[], object] | None
    qos: int
    refused: Callable[[], object] | None
    is_doubtful: bool = False


class Sender:
    """Publishes answers, and calls back when the broker has confirmed them.

    new_client: makes a client that is not connected yet. reconnect: connects such a client in the background.
    """

    def __init__(
        self, new_client: Callable[[], paho.Client], reconnect: Callable[[paho.Client], object], *, is_mqtt5: bool
    ) -> None:
        self.client = new_client()
        self._new_client = new_client
        self._reconnect = reconnect
        self.is_ready = threading.Event()
        self.is_leaving = False
        self._is_mqtt5 = is_mqtt5
        self._lock = threading.Lock()
        self._unconfirmed: dict[int, _Sent] = {}
        self._early: FIFOCache[int, float] = FIFOCache(MAX_EARLY)
        self._limits = BrokerLimits()
        self._has_session = False
        self._fruitless = 0
        self._set_callbacks(self.client)

    def _set_callbacks(self, client: paho.Client) -> None:
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    @property
    def has_unconfirmed(self) -> bool:
        """Whether any published message is not confirmed yet."""
        return bool(self._unconfirmed)

    def adapt_to(self, limits: BrokerLimits) -> None:
        """Apply the limits of the broker."""
        self._limits = limits
        self.client.max_inflight_messages_set(limits.in_flight)

    def publish(
        self,
        topic: str,
        payload: str,
        *,
        echo_id: str = "",
        correlation: bytes | None = None,
        then: Callable[[], object] | None = None,
        refused: Callable[[], object] | None = None,
    ) -> None:
        """Publish a message exactly once.

        echo_id: id of the answered request, sent as a user property. correlation: MQTT 5 Correlation Data. then: called
        when the broker has confirmed the message, immediately or on the network thread. refused: called instead of it
        when the broker does not allow the topic; the message is published with QoS 1 then, in whose confirmation
        clients are told so.
        """
        if self._is_too_large(topic, payload):
            logger.warning("an answer is too large for the broker")
            payload = TOO_LARGE  # otherwise the broker would close the connection at each attempt
        properties = None
        if self._is_mqtt5 and (echo_id or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if echo_id:
                properties.UserProperty = (REQUEST_PROPERTY, echo_id)
            if correlation is not None:
                properties.CorrelationData = correlation
        self._publish(_Sent(topic, payload, properties, then, 2 if refused is None else 1, refused))

    def _publish(self, sent: _Sent) -> None:
        # Don't hold the lock here: the client calls on_publish under its own lock, which publish() takes too.
        qos = min(sent.qos, self._limits.qos)
        client = self.client
        info = client.publish(sent.topic, sent.payload, qos=qos, properties=sent.properties)
        with self._lock:
            is_replaced = client is not self.client
            is_confirmed = time.monotonic() - self._early.pop(info.mid, -EARLY_SECONDS) < EARLY_SECONDS
            if not (is_confirmed or is_replaced):
                self._unconfirmed[info.mid] = sent
        if is_replaced:
            self._publish(sent)
        elif is_confirmed and sent.then is not None:
            sent.then()

    def _is_too_large(self, topic: str, payload: str) -> bool:
        size = len(payload.encode("utf-8", "replace")) + len(topic.encode()) + PACKET_OVERHEAD
        return size > self._limits.packet_bytes

    def publish_unconfirmed(self, topic: str, payload: str) -> None:
        """Publish with QoS 0, for messages that may be lost: deltas of a stream. One that is too large for the broker,
        which would close the connection, is left out."""
        if self._is_too_large(topic, payload):
            logger.warning("a part of a stream is too large for the broker")
            return
        self.client.publish(topic, payload, qos=0)

    def _on_publish(self, _: Any, __: Any, packet_id: int, reason: Any, ___: Any) -> None:
        self._fruitless = 0
        with self._lock:
            sent = self._unconfirmed.pop(packet_id, None)
            # None if the confirmation arrives before publish() returns, and for deltas of a stream.
            if sent is None:
                self._early[packet_id] = time.monotonic()
        if sent is None:
            return
        if sent.is_doubtful:
            self._publish(replace(sent, is_doubtful=False))
        elif sent.refused is not None and reason.is_failure:
            sent.refused()
        elif sent.then is not None:
            sent.then()

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refused the connection for answers: %s", reason)
            return
        self._limits = replace(self._limits, qos=min(self._limits.qos, BrokerLimits.of(properties).qos))
        with self._lock:
            if self._has_session and not flags.session_present:
                for sent in self._unconfirmed.values():
                    sent.is_doubtful = True
            self._has_session = True
        self.is_ready.set()

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if self.is_leaving:
            return
        logger.warning("lost the connection for answers: %s", reason)
        self._fruitless += 1
        if not self._is_mqtt5 and self._unconfirmed and self._limits.qos and self._fruitless > MAX_FRUITLESS:
            self._fruitless = 0
            threading.Thread(target=self._lower_qos, name="agentkit-qos", daemon=True).start()

    def _lower_qos(self) -> None:
        """Publish what is unconfirmed again with a lower QoS: with MQTT 3.1.1 a broker that does not support one closes
        the connection. A client of paho can't be made to forget what it has to send, so there is a new one."""
        client, old = self._new_client(), self.client
        self._set_callbacks(client)
        old.on_disconnect = None
        with self._lock:
            self._limits = replace(self._limits, qos=self._limits.qos - 1)
            waiting = list(self._unconfirmed.values())
            self._unconfirmed.clear()
            self._early.clear()
            self.client = client
        logger.warning("%s (it closes the connection when an answer is published)", self._limits.warnings()[0])
        old.disconnect()
        old.loop_stop()
        self._reconnect(client)
        for sent in waiting:
            self._publish(sent)
