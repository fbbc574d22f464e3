"""The bridge's connections to the broker: subscriptions, manual acknowledgement, and delivery of answers exactly once.

There are two connections. The listener has a persistent session (a fixed client id, clean start off) and acknowledges
manually, so the broker redelivers a message until it is processed. The sender publishes with QoS 2, which delivers an
answer exactly once within one run of the bridge process, however often the connection breaks. The sender's session of
the previous run is discarded first, because its packet identifiers are reused. When the broker has lost the session (it
was restarted without persistence), unconfirmed messages are published again.

Echoes cover the case that the bridge was killed: the listener also subscribes to the answers. The broker queues for it
what it accepted from the sender, so the next run learns which answers were delivered. An echo carries the id of the
request it answers as a user property. `synced` is set when all echoes of the previous run have arrived: the broker
keeps the order of messages for a subscriber (MQTT 5, section 4.6), so the bridge publishes a message to itself and
waits until it arrives, behind them.
"""

import contextlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agentkit.serving.mqtt.payloads import topic_level
from agentkit.serving.mqtt.sender import REQUEST_PROPERTY, Sender
from agentkit.serving.mqtt.tls import secure

logger = logging.getLogger("agentkit.mqtt")

SESSION_EXPIRY = 7 * 24 * 3600

SENDER_EXPIRY = 3600
CONNECTION_CLOSED = "the broker closed the connection"
NO_RESPONSE = "the broker does not respond"
SYNC_SECONDS = 5.0
CHECK_SECONDS = 3.0
_SERVED, _OBSERVED = 1, 2  # subscription identifiers


@dataclass(frozen=True)
class BrokerSettings:
    """Address of the broker, and how the bridge connects to it.

    client_id: fixed, so that the broker queues messages while the bridge is disconnected. group: name of the group of
    shared subscriptions, with which several bridges share the load. protocol: "5", which falls back to 3.1.1 when the
    broker does not support it, or "3.1.1". keepalive: in seconds. expiry: how long the broker keeps messages for a
    disconnected bridge, in seconds; 0 keeps none.
    """

    broker: str = "localhost"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    client_id: str = "agentkit-bridge"
    tls: bool = False
    ca_file: Path | None = None
    group: str | None = None
    keepalive: int = 60
    expiry: int = SESSION_EXPIRY
    protocol: str = "5"


@dataclass(frozen=True)
class Packet:
    """A message received from the broker.

    packet_id: the packet identifier. is_duplicate: the broker has sent it before (the DUP flag). is_observed: this copy
    is for the order in a group only; the bridge that gets the shared copy answers it. correlation: the Correlation Data
    (MQTT 5). echo_id: the id of the request it answers, when it is an echo.
    """

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    is_duplicate: bool = False
    is_observed: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None
    echo_id: str | None = None


class BrokerConnection:
    """The listener and the sender of a bridge.

    served: topics whose messages the bridge answers. echoed: topic filters of its answers. on_packet: called with each
    packet. max_inflight: maximum number of unacknowledged messages (Receive Maximum).

    Raises ConfigurationError when TLS can't be set up.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        served: Sequence[str],
        echoed: Sequence[str],
        on_packet: Callable[[Packet], object],
        max_inflight: int,
    ) -> None:
        self._settings = settings
        self._served = served
        self._echoed = echoed
        self._on_packet = on_packet
        self._max_inflight = max_inflight
        self._sync_token = ""
        self._is_leaving = False
        self._subscribing = 0
        self.refused = 0
        self.is_connected = threading.Event()
        self.synced = threading.Event()
        self._create_clients("3.1.1" if settings.protocol == "3.1.1" else "5")

    @property
    def status_topic(self) -> str:
        """The topic of the retained status message: "online" or "offline"."""
        return f"{self._own_topic}/status"

    @property
    def sees_echoes(self) -> bool:
        """Whether the broker is known to deliver echoes."""
        return self.is_mqtt5 and self.synced.is_set()

    @property
    def _own_topic(self) -> str:
        return f"agentkit/bridge/{topic_level(self._settings.client_id)}"

    def _create_clients(self, protocol: str) -> None:
        self.is_mqtt5 = protocol == "5"
        self._listener = self._client(self._settings.client_id, is_persistent=self._settings.expiry > 0)
        self._listener.manual_ack_set(True)
        self._listener.will_set(self.status_topic, "offline", qos=1, retain=True)
        self._listener.on_connect = self._on_connect
        self._listener.on_subscribe = self._on_subscribe
        self._listener.on_disconnect = self._on_disconnect
        self._listener.on_message = self._on_message
        client = self._client(f"{self._settings.client_id}-answers", is_persistent=False)
        self.sender = Sender(client, is_mqtt5=self.is_mqtt5)

    def _client(self, client_id: str, *, is_persistent: bool) -> paho.Client:
        settings = self._settings
        version = MQTTProtocolVersion.MQTTv5 if self.is_mqtt5 else MQTTProtocolVersion.MQTTv311
        options: dict[str, Any] = {} if self.is_mqtt5 else {"clean_session": not is_persistent}
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, **options)
        secure(client, settings.username, settings.password, settings.tls, settings.ca_file)
        client.reconnect_delay_set(1, 120)
        return client

    def start(self, seconds: float) -> None:
        """Connect and subscribe.

        seconds: timeout. Raises OSError when the broker can't be reached, refuses the connection, or (in a group) does
        not support MQTT 5.
        """
        problem = self._discard_session(seconds)
        if self.is_mqtt5 and problem is not None and (problem == CONNECTION_CLOSED or "protocol" in problem.lower()):
            self._fall_back()
            problem = self._discard_session(seconds)
        if problem is not None:
            raise ConnectionRefusedError(problem)
        # The sender first: messages published before it is connected may exceed the broker's Receive Maximum.
        self._connect(self.sender.client, expiry=SENDER_EXPIRY)
        self._connect_listener()
        end = time.monotonic() + seconds
        if not (self.sender.is_ready.wait(seconds) and self.is_connected.wait(max(0.0, end - time.monotonic()))):
            self._listener.loop_stop()
            self.sender.client.loop_stop()
            raise ConnectionRefusedError(NO_RESPONSE)

    def _discard_session(self, seconds: float) -> str | None:
        """Make the broker discard the sender's session, and read the broker's limits. Returns an error text or None.

        A separate connection does this, because Mosquitto 2.0.11 does not persist a session over its own restart when
        the session began with a clean start.
        """
        results: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        client = self._client(f"{self._settings.client_id}-answers", is_persistent=False)

        def on_connect(_: Any, __: Any, ___: Any, reason: Any, properties: Any) -> None:
            self.sender.adapt_to(properties)
            results.put(str(reason) if reason.is_failure else None)

        client.on_connect = on_connect
        client.on_disconnect = lambda *_: results.put(CONNECTION_CLOSED)
        clean: Any = {"clean_start": True} if self.is_mqtt5 else {}
        client.connect(self._settings.broker, self._settings.port, **clean)
        client.loop_start()
        try:
            return results.get(timeout=seconds)
        except queue.Empty:
            return NO_RESPONSE
        finally:
            client.disconnect()
            client.loop_stop()

    def _fall_back(self) -> None:
        """Use MQTT 3.1.1. Older brokers refuse MQTT 5, or just close the connection."""
        if self._settings.group:
            raise ConnectionRefusedError("the broker does not support MQTT 5, which bridges of a group require")
        logger.info("the broker does not support MQTT 5: falling back to MQTT 3.1.1")
        self._create_clients("3.1.1")

    def _connect_listener(self) -> None:
        self._connect(self._listener, expiry=self._settings.expiry)

    def _connect(self, client: paho.Client, *, expiry: int) -> None:
        settings = self._settings
        options: dict[str, Any] = {}
        if self.is_mqtt5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = expiry
            properties.ReceiveMaximum = min(65_535, self._max_inflight)
            options = {"clean_start": False, "properties": properties}
        client.connect(settings.broker, settings.port, settings.keepalive, **options)
        client.loop_start()

    def leave_group(self) -> None:
        """Unsubscribe, so that undelivered messages go to the other bridges of the group.

        Otherwise the broker keeps assigning messages to this bridge while it is disconnected.
        """
        if self._settings.group:
            self._listener.unsubscribe([*self._shared, *self._served])

    def stop(self, seconds: float = 5.0) -> None:
        """Disconnect when the broker has confirmed all answers, or after that many seconds."""
        end = time.monotonic() + seconds
        while self.sender.has_unconfirmed and time.monotonic() < end:
            time.sleep(0.02)
        self._is_leaving = self.sender.is_leaving = True
        with contextlib.suppress(RuntimeError, ValueError):  # not connected
            self._listener.publish(self.status_topic, "offline", qos=1, retain=True).wait_for_publish(2)
        for client in (self._listener, self.sender.client):
            client.disconnect()
            client.loop_stop()

    def acknowledge(self, packet: Packet) -> None:
        """Acknowledge a message to the broker."""
        self._listener.ack(packet.packet_id, packet.qos)

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refused the connection: %s", reason)
            return
        served = dict.fromkeys(self._served, 1)
        if not self.is_mqtt5:
            self._subscribing = 1
            client.subscribe(list(served.items()))
        elif self._settings.group:
            # All bridges see these copies in the same order. Echoes have QoS 0: the broker must not queue them for a
            # disconnected bridge, whose queue they would fill.
            self._subscribing = 2
            echoed = dict.fromkeys(self._echoed, 0)
            self._subscribe({**dict.fromkeys(self._shared, 1), **echoed, f"{self._own_topic}/sync": 1}, _SERVED)
            self._subscribe(dict.fromkeys(self._served, 0), _OBSERVED)
        else:
            self._subscribing = 1
            self._subscribe({**served, **dict.fromkeys(self._echoed, 1), f"{self._own_topic}/sync": 1}, _SERVED)

    @property
    def _shared(self) -> list[str]:
        return [f"$share/{self._settings.group}/{topic}" for topic in self._served]

    def _subscribe(self, topics: Mapping[str, int], identifier: int) -> None:
        properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
        properties.SubscriptionIdentifier = identifier
        never = SubscribeOptions.RETAIN_DO_NOT_SEND
        options = [(topic, SubscribeOptions(qos=qos, retainHandling=never)) for topic, qos in topics.items()]
        self._listener.subscribe(options, properties=properties)

    def _on_subscribe(self, client: paho.Client, _: Any, __: Any, reasons: Sequence[Any], ___: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self.refused += len(refused)
            logger.error("the broker refused %d subscriptions: %s", len(refused), refused[0])
        self._subscribing -= 1
        if self._subscribing > 0:
            return
        client.publish(self.status_topic, "online", qos=1, retain=True)
        if not self.is_mqtt5:
            self.synced.set()
        elif not self.synced.is_set() and not self._sync_token:
            self._sync_token = secrets.token_hex(16)
            client.publish(f"{self._own_topic}/sync", self._sync_token, qos=1)
        self.is_connected.set()
        logger.info("connected to the broker")

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self.is_connected.clear()
        if self._is_leaving:
            return
        logger.warning("lost the connection to the broker: %s", reason)
        if "taken over" in str(reason).lower():
            logger.error(
                "another client uses the client id %s: each bridge needs a unique one (--client_id)",
                self._settings.client_id,
            )

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        properties = getattr(message, "properties", None)
        packet = Packet(
            message.topic,
            bytes(message.payload),
            message.mid,
            message.qos,
            message.dup,
            _OBSERVED in getattr(properties, "SubscriptionIdentifier", ()),
            getattr(properties, "ResponseTopic", None),
            getattr(properties, "CorrelationData", None),
            dict(getattr(properties, "UserProperty", ())).get(REQUEST_PROPERTY),
        )
        if packet.topic == f"{self._own_topic}/sync":
            self.acknowledge(packet)
            if packet.payload.decode("utf-8", "replace") == self._sync_token:
                self.synced.set()
            return
        if message.retain:  # it may be old, and would be delivered again at each reconnection
            logger.warning("ignored a retained message on %.200r", packet.topic)
            self.acknowledge(packet)
            return
        self._on_packet(packet)


def test_broker(settings: BrokerSettings, served: Sequence[str], answers: Sequence[str]) -> list[str]:
    """Check that a bridge can work with a broker. Returns the problems, one sentence each.

    served: topics whose messages the bridge answers. answers: prefixes of the topics of its answers. Raises OSError
    when the broker can't be reached or refuses the connection. The check uses its own client id, so it does not take
    messages from a running bridge.
    """
    settings = replace(settings, client_id=f"agentkit-check-{secrets.token_hex(4)}", group=None, expiry=0)
    received: queue.SimpleQueue[str] = queue.SimpleQueue()
    connection = BrokerConnection(
        settings, served, [f"{topic}#" for topic in answers], lambda packet: received.put(packet.topic), 100
    )
    connection.start(10.0)
    probes = {f"{topic}{settings.client_id}" for topic in answers} if connection.is_mqtt5 else set()
    missing = set(probes)
    for probe in probes:
        connection.sender.publish(probe, "agentkit mqtt --check")
    end = time.monotonic() + CHECK_SECONDS
    while missing and time.monotonic() < end:
        with contextlib.suppress(queue.Empty):
            missing.discard(received.get(timeout=0.1))
    connection.stop()
    problems = [f"it refuses {connection.refused} subscriptions of the bridge"] if connection.refused else []
    return problems + [
        f"it does not allow the bridge to publish to and read {topic}#"
        for topic in answers
        if {f"{topic}{settings.client_id}"} & missing
    ]
