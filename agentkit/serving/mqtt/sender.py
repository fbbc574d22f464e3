"""Publishes answers on a separate connection, with QoS 2: exactly once within one run of the bridge process.

When the connection breaks, paho sends unconfirmed messages again under the same packet identifiers. When the broker has
lost the session (it was restarted without persistence), those that paho would only release are published again.

A message for which the broker closes the connection is replaced by an error text, and given up if that does not help:
those behind it would wait for ever. One that it refuses (MQTT 5) is published again later, unless that would not help.
"""

import functools
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

from agentkit._threads import WORKERS
from agentkit.net.watcher import WATCHER, Watched
from agentkit.serving.mqtt.callbacks import guarded
from agentkit.serving.mqtt.isolation import Isolation
from agentkit.serving.mqtt.limits import BrokerLimits
from agentkit.serving.mqtt.outgoing import Outgoing

logger = logging.getLogger("agentkit.mqtt")

REQUEST_PROPERTY = "agentkit-request"
"""The MQTT 5 user property with the id of the request that a message answers."""

PACKET_OVERHEAD = 1000
"""Upper bound for the bytes of a packet in addition to its payload, topic and Correlation Data."""

TOO_LARGE = "Error: the answer is too large for the broker."
MAX_EARLY = 1000
MAX_TOPICS = 1000
"""Maximum number of topics that are remembered because the broker closes the connection for them."""
EARLY_SECONDS = 10.0  # packet identifiers are reused
NOT_ALLOWED, TOO_LARGE_CODES = (0x87, 0x90, 0x99), (0x95,)
"""Reason codes of brokers that will never take a message: on its topic, and of its size."""
AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""After how many seconds a message is published again that the broker does not take now (a quota), before it is given
up."""


@dataclass
class _Sent:
    """A published, unconfirmed message.

    qos: with which it was published. then, refused, too_large: as of `Sender.publish`. is_doubtful: the broker has lost
    the session it was published in. is_replaced: its payload is `too_large`. refusals: how often the broker has not
    taken it.
    """

    topic: str
    payload: str
    correlation: bytes | None
    echo_id: str
    then: Callable[[], object] | None
    qos: int
    refused: Callable[[], object] | None
    too_large: str
    is_doubtful: bool = False
    is_replaced: bool = False
    refusals: int = 0

    @property
    def size(self) -> int:
        """Its size in bytes, without PACKET_OVERHEAD."""
        return _size(self.topic, self.payload) + len(self.correlation or b"")

    def end(self) -> None:
        """The broker has confirmed it, or it may be lost."""
        if self.then is not None:
            self.then()


class _Later:
    """What is done when its time has come: by no thread of its own, since a broker may refuse thousands of messages."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def abort(self) -> None:
        """See `agentkit.net.watcher.Abortable`."""
        WORKERS.submit(self._work)


class Sender:
    """Publishes answers, and calls back when the broker has confirmed them.

    new_client: makes a client that is not connected yet. reconnect: connects such a client in the background. probe:
    publishes with a client and a QoS what the broker is known to take.
    """

    def __init__(
        self,
        new_client: Callable[[], paho.Client],
        reconnect: Callable[[paho.Client], object],
        probe: Callable[[paho.Client, int], paho.MQTTMessageInfo],
        *,
        is_mqtt5: bool,
    ) -> None:
        self._new_client = new_client
        self._reconnect = reconnect
        self._send_probe = probe
        self.is_ready = threading.Event()
        self.is_leaving = False
        self._is_mqtt5 = is_mqtt5
        self._lock = threading.Lock()
        self._unconfirmed: dict[int, _Sent] = {}
        self._early: FIFOCache[int, tuple[float, int | None]] = FIFOCache(MAX_EARLY)
        self._limits = BrokerLimits()
        self._refused_bytes: float = float("inf")
        self._refused_topics: FIFOCache[str, bool] = FIFOCache(MAX_TOPICS)
        self._has_session = self._is_qos_known = False
        self._losses = self._postponed = 0
        self._use(new_client())

    def _use(self, client: paho.Client) -> None:
        self.client = client
        self._outgoing = Outgoing(client)
        self._isolation = Isolation(self._outgoing)
        client.on_connect = guarded(self._on_connect)
        client.on_publish = guarded(self._on_publish)
        client.on_disconnect = guarded(self._on_disconnect)

    @property
    def is_connected(self) -> bool:
        """Whether answers can be published at this moment."""
        return self.client.is_connected()

    @property
    def has_unconfirmed(self) -> bool:
        """Whether any published message is not confirmed yet."""
        return bool(self._unconfirmed or self._postponed)

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
        tells_refusal: bool = False,
        too_large: str = TOO_LARGE,
    ) -> None:
        """Publish a message exactly once.

        echo_id: id of the answered request, sent as a user property. correlation: MQTT 5 Correlation Data. then: called
        when the broker has confirmed the message, immediately or on the network thread, or will not take it. refused:
        called instead of it when the broker does not allow the topic, or does not take the message for minutes.
        tells_refusal: publish with QoS 1. too_large: what is published in place of a message that is larger than the
        broker allows.
        """
        correlation = correlation if self._is_mqtt5 else None
        sent = _Sent(topic, payload, correlation, echo_id, then, 1 if tells_refusal else 2, refused, too_large)
        if self._is_too_large(sent.size):
            logger.warning("an answer is too large for the broker")
            sent = replace(sent, payload=too_large, is_replaced=True)  # the broker would close the connection for it
        if self._is_too_large(sent.size):
            sent = replace(sent, correlation=None)
        if self._is_too_large(sent.size) or topic in self._refused_topics:
            logger.warning("an answer is given up: the broker does not take its topic")
            self._give_up(sent)
        else:
            self._publish(sent)

    def _properties(self, sent: _Sent) -> Properties | None:
        if not self._is_mqtt5 or not (sent.echo_id or sent.correlation is not None):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if sent.echo_id:
            properties.UserProperty = (REQUEST_PROPERTY, sent.echo_id)
        if sent.correlation is not None:
            properties.CorrelationData = sent.correlation
        return properties

    def _publish(self, sent: _Sent) -> None:
        # Don't hold the lock here: the client calls on_publish under its own lock, which publish() takes too.
        sent = replace(sent, qos=min(sent.qos, self._limits.qos))
        client, losses = self.client, self._losses
        info = client.publish(sent.topic, sent.payload, qos=sent.qos, properties=self._properties(sent))
        with self._lock:
            is_replaced = client is not self.client
            at, code = self._early.pop(info.mid, (-EARLY_SECONDS, None))
            is_confirmed = time.monotonic() - at < EARLY_SECONDS
            if not sent.qos and not is_replaced:  # nobody says when it is lost: paho sends it once, if it is connected
                is_confirmed = is_confirmed or info.rc != paho.MQTT_ERR_SUCCESS or losses != self._losses
            if not (is_confirmed or is_replaced):
                self._unconfirmed[info.mid] = sent
        if is_replaced:
            self._publish(sent)
        elif is_confirmed:
            self._confirmed(sent, code)

    def _is_too_large(self, size: int) -> bool:
        return size + PACKET_OVERHEAD > self._limits.packet_bytes or size >= self._refused_bytes

    def publish_unconfirmed(self, topic: str, payload: str) -> None:
        """Publish with QoS 0, for messages that may be lost: deltas of a stream. One that is too large for the broker,
        which would close the connection, is left out."""
        if self._is_too_large(_size(topic, payload)):
            logger.warning("a part of a stream is too large for the broker")
            return
        self.client.publish(topic, payload, qos=0)

    def _on_publish(self, _: Any, __: Any, packet_id: int, reason: Any, ___: Any) -> None:
        is_last, code = False, self._outgoing.refusal(packet_id, reason)
        if self._outgoing.has(packet_id):
            self._is_qos_known = True
            is_last = self._isolation.confirmed(packet_id)
        with self._lock:
            sent = self._unconfirmed.pop(packet_id, None)
            # None if the confirmation arrives before publish() returns, and for deltas of a stream.
            if sent is None:
                self._early[packet_id] = time.monotonic(), code
        if sent is not None:
            self._confirmed(sent, code)
        if is_last:
            self._end_isolation()

    def _confirmed(self, sent: _Sent, code: int | None) -> None:
        """The broker has answered to a message. code: why it does not take it, None if it does."""
        if sent.is_doubtful:
            self._publish(replace(sent, is_doubtful=False))
        elif code is None:
            sent.end()
        elif code in TOO_LARGE_CODES and not sent.is_replaced:
            self._publish(replace(sent, payload=sent.too_large, is_replaced=True))
        elif code in (*NOT_ALLOWED, *TOO_LARGE_CODES) or sent.refusals >= len(AGAIN_SECONDS):
            logger.warning("the broker does not take an answer (reason code 0x%02x)", code)
            self._give_up(sent)
        else:
            self._postpone(sent, code)

    def _postpone(self, sent: _Sent, code: int) -> None:
        seconds = AGAIN_SECONDS[sent.refusals]
        logger.warning("the broker does not take an answer now (reason code 0x%02x): again in %g s", code, seconds)
        with self._lock:
            self._postponed += 1
        again = replace(sent, refusals=sent.refusals + 1)
        WATCHER.add(Watched(_Later(functools.partial(self._publish_again, again)), time.monotonic() + seconds))

    def _publish_again(self, sent: _Sent) -> None:
        with self._lock:
            self._postponed -= 1
        if not self.is_leaving:  # else the broker sends the request again
            self._publish(sent)

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refused the connection for answers: %s", reason)
            return
        self._limits = replace(self._limits, qos=min(self._limits.qos, BrokerLimits.of(properties).qos))
        with self._lock:
            if self._has_session and not flags.session_present:
                for packet_id in self._outgoing.received() & self._unconfirmed.keys():
                    self._unconfirmed[packet_id].is_doubtful = True
            self._has_session = True
        self._isolation.connected()
        if self._isolation.is_active and self._limits.qos and not self.is_leaving:
            self._isolation.sent_probe(self._send_probe(self.client, self._limits.qos).mid)
        else:
            self._refused_bytes = float("inf")  # it may have another configuration by now
            self._refused_topics.clear()
        self.is_ready.set()

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._end_those_with_qos_0()
        if self.is_leaving:
            return
        logger.warning("lost the connection for answers: %s", reason)
        if not self._unconfirmed:
            return
        found = self._isolation.lost()
        if found == "fruitless":
            logger.warning("the broker closes the connection again and again: answers are sent one at a time")
            self._isolation.begin(set(self._unconfirmed))
        elif isinstance(found, int):
            self._replace_or_give_up(found)
        elif found == "probe" and not (self._is_mqtt5 or self._is_qos_known) and self._limits.qos:
            threading.Thread(target=self._lower_qos, name="agentkit-qos", daemon=True).start()

    def _end_those_with_qos_0(self) -> None:
        with self._lock:
            self._losses += 1
            lost = [packet_id for packet_id, sent in self._unconfirmed.items() if not sent.qos]
            ended = [self._unconfirmed.pop(packet_id) for packet_id in lost]
        for sent in ended:
            sent.end()

    def _replace_or_give_up(self, packet_id: int) -> None:
        """What to do with a message for which the broker has closed the connection."""
        with self._lock:
            sent = self._unconfirmed.get(packet_id)
        if sent is not None and not sent.is_replaced:
            logger.warning("the broker closes the connection for an answer of %d bytes", sent.size)
            refused_bytes, sent.is_replaced = sent.size, True
            self._outgoing.replace(packet_id, sent.too_large)
            sent.then = functools.partial(self._learn_size, refused_bytes, sent.then)
            return
        logger.warning("an answer is given up: the broker closes the connection for it, also for a short one")
        self._outgoing.drop(packet_id)
        with self._lock:
            self._unconfirmed.pop(packet_id, None)
        if sent is not None:
            self._refused_topics[sent.topic] = True
            self._give_up(sent)
        if self._isolation.dropped(packet_id):
            self._end_isolation()

    def _learn_size(self, refused_bytes: int, then: Callable[[], object] | None) -> None:
        """The broker has taken a short message in place of one of that size."""
        self._refused_bytes = min(self._refused_bytes, refused_bytes)
        if then is not None:
            then()

    def _give_up(self, sent: _Sent) -> None:
        if sent.refused is not None:
            sent.refused()
        else:
            sent.end()

    def _end_isolation(self) -> None:
        self._isolation.end()
        self._outgoing.send_together(self._limits.in_flight)

    def _lower_qos(self) -> None:
        """Publish what is unconfirmed again with a lower QoS: with MQTT 3.1.1 a broker that does not support one closes
        the connection. A client of paho can't be made to forget what it has to send, so there is a new one."""
        client, old = self._new_client(), self.client
        old.on_disconnect = None
        with self._lock:
            self._limits = replace(self._limits, qos=self._limits.qos - 1)
            waiting = list(self._unconfirmed.values())
            self._unconfirmed.clear()
            self._early.clear()
            self._use(client)
        logger.warning("%s (it closes the connection when an answer is published)", self._limits.warnings()[0])
        old.disconnect()
        old.loop_stop()
        self._reconnect(client)
        for sent in waiting:
            self._publish(sent)


def _size(topic: str, payload: str) -> int:
    return len(payload.encode("utf-8", "replace")) + len(topic.encode())
