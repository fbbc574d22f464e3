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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from agentkit import ConfigurationError
from agentkit.serving.mqtt.callbacks import guarded
from agentkit.serving.mqtt.limits import BrokerLimits
from agentkit.serving.mqtt.payloads import topic_level
from agentkit.serving.mqtt.probe import is_in_use
from agentkit.serving.mqtt.sender import REQUEST_PROPERTY, Sender
from agentkit.serving.mqtt.settings import BrokerSettings
from agentkit.serving.mqtt.tls import mqtt_client, renew

logger = logging.getLogger("agentkit.mqtt")

SENDER_EXPIRY = 3600
CONNECTION_CLOSED = "the broker closed the connection"
NO_RESPONSE = "the broker does not respond"
HELD_BACK = (
    "messages wait: the broker does not send the bridge its own messages, without which a bridge of a group can't "
    "answer. It may hold them back behind those that are not acknowledged yet (max_inflight of EMQX, mqtt.prefetch of "
    "RabbitMQ: set it above the number of messages that may wait), or not allow agentkit/bridge/#"
)
SYNC_SECONDS = 5.0
FILTERS_AT_ONCE = 8
"""Maximum number of topic filters in one SUBSCRIBE packet: AWS IoT Core closes the connection for more."""
TAKEOVER_SECONDS, PROBE_SECONDS = 60, 2.0
"""How long a bridge leaves its client id to another client before it looks again, and how long that takes, in
seconds."""
FIRST_DELAY, LAST_DELAY = 1, 120
"""The shortest and the longest time between two attempts to connect again, in seconds."""
QUICK_SECONDS, MAX_QUICK_LOSSES = 5.0, 4
"""A connection that is lost sooner, in seconds, was closed for what was sent on it; after so many of them one after the
other, another client is taken to use the same id."""


class UnsupportedBrokerError(ConfigurationError):
    """The broker lacks what the bridge needs."""


@dataclass(frozen=True)
class Packet:
    """A message received from the broker.

    packet_id: the packet identifier. is_duplicate: the broker has sent it before (the DUP flag). correlation: the
    Correlation Data (MQTT 5). echo_id: the id of the request it answers, when it is an echo. session: the number of
    the broker's session in which it was received: packet identifiers begin anew in each. connection: the number of the
    connection. expires_at: when its Message Expiry Interval (MQTT 5) has passed (time.monotonic()).
    """

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    is_duplicate: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None
    echo_id: str | None = None
    session: int = 0
    connection: int = 0
    expires_at: float = float("inf")

    @property
    def has_expired(self) -> bool:
        """Whether its sender does not want it to be delivered any more."""
        return time.monotonic() >= self.expires_at


class BrokerConnection:
    """The listener and the sender of a bridge.

    served: topics whose messages the bridge answers. echoed: topic filters of its answers. on_packet: called with each
    packet. max_inflight: maximum number of unacknowledged messages (Receive Maximum). on_notice: called with the
    payload of each message from `notify`.

    Raises ConfigurationError when TLS can't be set up.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        served: Sequence[str],
        echoed: Sequence[str],
        on_packet: Callable[[Packet], object],
        max_inflight: int,
        on_notice: Callable[[bytes], object] = lambda payload: None,
    ) -> None:
        self._settings = settings
        self._served = served
        self._echoed = echoed
        self._on_packet = on_packet
        self._on_notice = on_notice
        # A bridge of a group answers a message only when the broker has passed on a token: that may not be held up.
        self._max_inflight = 65_535 if settings.group else min(65_535, max_inflight)
        self._tokens: dict[str, threading.Event] = {}
        self._backlog_token = ""
        self._to_subscribe: list[list[Any]] = []
        self._is_leaving = self._is_standing_back = False
        self._connected_at = float("inf")
        self._quick_losses = self._session = self._connection = 0
        self._arrived_at = 0.0
        self.refused = 0
        self.limits = BrokerLimits()
        self.is_connected = threading.Event()
        self.synced = threading.Event()
        self._create_clients("3.1.1" if settings.protocol == "3.1.1" else "5")

    @property
    def status_topic(self) -> str:
        """The topic of the retained status message: "online" or "offline"."""
        return f"{self._own_topic}/status"

    @property
    def _own_topic(self) -> str:
        return f"agentkit/bridge/{topic_level(self._settings.client_id)}"

    @property
    def _notice_topic(self) -> str:
        return f"agentkit/bridge/{topic_level(self._settings.group or '')}/group"

    def _create_clients(self, protocol: str) -> None:
        self.is_mqtt5 = protocol == "5"
        self._listener = self._client(self._settings.client_id, is_persistent=self._settings.expiry > 0)
        self._listener.manual_ack_set(True)
        self._set_will()
        self._listener.on_connect = guarded(self._on_connect)
        self._listener.on_subscribe = guarded(self._on_subscribe)
        self._listener.on_disconnect = guarded(self._on_disconnect)
        self._listener.on_message = guarded(self._on_message)
        self._listener.on_pre_connect = guarded(self._before_connecting)
        self.sender = Sender(self._sender_client, self._reconnect_sender, self._publish_probe, is_mqtt5=self.is_mqtt5)

    def _sender_client(self) -> paho.Client:
        client = self._client(f"{self._settings.client_id}-answers", is_persistent=False)
        client.on_pre_connect = guarded(self._before_connecting)
        client.max_inflight_messages_set(self.limits.in_flight)
        return client

    def _reconnect_sender(self, client: paho.Client) -> None:
        client.connect_async(self._settings.broker, self._settings.port, self._settings.keepalive)
        client.loop_start()

    def _publish_probe(self, client: paho.Client, qos: int) -> paho.MQTTMessageInfo:
        """What the listener has published too."""
        return client.publish(self.status_topic, "online", qos=qos, retain=self.limits.retains)

    def _client(self, client_id: str, *, is_persistent: bool) -> paho.Client:
        version = MQTTProtocolVersion.MQTTv5 if self.is_mqtt5 else MQTTProtocolVersion.MQTTv311
        options: dict[str, Any] = {} if self.is_mqtt5 else {"clean_session": not is_persistent}
        client = mqtt_client(self._settings, client_id, version, **options)
        client.reconnect_delay_set(FIRST_DELAY, LAST_DELAY)
        return client

    def _set_will(self) -> None:
        self._listener.will_set(self.status_topic, "offline", qos=min(1, self.limits.qos), retain=self.limits.retains)

    def start(self, seconds: float) -> None:
        """Connect and subscribe.

        seconds: timeout. Raises OSError when the broker can't be reached or refuses the connection, ConfigurationError
        when another bridge uses the client id, UnsupportedBrokerError when it does not support what a group needs.
        """
        if self._settings.expiry and is_in_use(self._settings, self._own_topic, seconds):
            raise ConfigurationError(
                f"another bridge already uses the client id {self._settings.client_id} on {self._settings.address}: "
                "choose another one (--client-id), or let both share the load (--shared GROUP)"
            )
        problem = self._discard_session(seconds)
        if self.is_mqtt5 and problem is not None and (problem == CONNECTION_CLOSED or "protocol" in problem.lower()):
            self._fall_back()
            problem = self._discard_session(seconds)
        if problem is not None:
            raise ConnectionRefusedError(problem)
        for warning in self.limits.warnings():
            logger.warning("%s", warning)
        self._set_will()
        # The sender first: messages published before it is connected may exceed the broker's Receive Maximum.
        self._connect(self.sender.client, expiry=SENDER_EXPIRY)
        self._connected_at = time.monotonic()
        self._connect(self._listener, expiry=self._settings.expiry)
        end = time.monotonic() + seconds
        if not (self.sender.is_ready.wait(seconds) and self.is_connected.wait(max(0.0, end - time.monotonic()))):
            self._is_leaving = self.sender.is_leaving = True
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
            self.limits = BrokerLimits.of(properties)
            self.sender.adapt_to(self.limits)
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
            raise UnsupportedBrokerError("the broker does not support MQTT 5, which bridges of a group require")
        logger.info("the broker does not support MQTT 5: falling back to MQTT 3.1.1")
        self._create_clients("3.1.1")

    def _connect(self, client: paho.Client, *, expiry: int) -> None:
        settings = self._settings
        options: dict[str, Any] = {}
        if self.is_mqtt5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = expiry
            properties.ReceiveMaximum = self._max_inflight
            options = {"clean_start": False, "properties": properties}
        client.connect(settings.broker, settings.port, settings.keepalive, **options)
        client.loop_start()

    def stop(self, seconds: float = 5.0) -> None:
        """Disconnect when the broker has confirmed all answers, or after that many seconds."""
        end = time.monotonic() + seconds
        while self.sender.has_unconfirmed and time.monotonic() < end:
            time.sleep(0.02)
        self._is_leaving = self.sender.is_leaving = True
        with contextlib.suppress(RuntimeError, ValueError):  # not connected
            self._publish_status("offline").wait_for_publish(2)
        for client in (self._listener, self.sender.client):
            client.disconnect()
            client.loop_stop()

    def wait_for_backlog(self) -> bool:
        """Wait for what the broker has kept for this bridge. Returns False when nothing more arrives for SYNC_SECONDS,
        but not the bridge's own message behind it either."""
        self._arrived_at = time.monotonic()
        while not self.synced.wait(0.1):
            if time.monotonic() - self._arrived_at > SYNC_SECONDS:
                return False
        return True

    def acknowledge(self, packet: Packet) -> None:
        """Acknowledge a message to the broker if it was sent on this connection. Otherwise the broker sends it again,
        and another message may have its packet identifier by now: with RabbitMQ, and where the session was lost."""
        if packet.qos and self.is_current(packet):
            self._listener.ack(packet.packet_id, packet.qos)

    def is_current(self, packet: Packet) -> bool:
        """Whether a packet was sent on this connection, so that it can be acknowledged."""
        return packet.connection == self._connection

    def notify(self, payload: str) -> paho.MQTTMessageInfo:
        """Tell all bridges of the group, this one too, in `on_notice`. Returns paho's handle of the message."""
        return self._listener.publish(self._notice_topic, payload, qos=min(1, self.limits.qos))

    def sync(self, seconds: float) -> bool:
        """Wait until all that the broker has accepted for this bridge so far has arrived. Returns False when that takes
        more than that many seconds, and while there is no connection."""
        if not self.is_connected.is_set():
            return False
        token, has_arrived = secrets.token_hex(16), threading.Event()
        self._tokens[token] = has_arrived
        try:
            self._publish_token(token)
            connection = self._connection
            if has_arrived.wait(seconds):
                return True
            if connection == self._connection:
                logger.warning("%s", HELD_BACK)
            return False
        finally:
            self._tokens.pop(token, None)

    def _publish_token(self, token: str) -> None:
        self._listener.publish(f"{self._own_topic}/sync", token, qos=min(1, self.limits.qos))

    def _publish_status(self, text: str) -> paho.MQTTMessageInfo:
        return self._listener.publish(self.status_topic, text, qos=min(1, self.limits.qos), retain=self.limits.retains)

    def _on_connect(self, client: paho.Client, _: Any, flags: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refused the connection: %s", reason)
            return
        self._session += not flags.session_present
        self._connection += 1
        self._connected_at = time.monotonic()
        topics = list(self._served)
        filters: list[Any] = [(topic, 1) for topic in topics]
        if self.is_mqtt5:
            topics += [*self._echoed, f"{self._own_topic}/sync"]
            topics += [self._notice_topic] if self._settings.group else []
            never = SubscribeOptions.RETAIN_DO_NOT_SEND
            filters = [(topic, SubscribeOptions(qos=1, retainHandling=never)) for topic in topics]
            filters.append((f"{self._own_topic}/ping", SubscribeOptions(qos=0, retainHandling=never)))
        self._to_subscribe = [
            filters[start : start + FILTERS_AT_ONCE] for start in range(0, len(filters), FILTERS_AT_ONCE)
        ]
        client.subscribe(self._to_subscribe.pop(0))

    def _on_subscribe(self, client: paho.Client, _: Any, __: Any, reasons: Sequence[Any], ___: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self.refused += len(refused)
            logger.error("the broker refused %d subscriptions: %s", len(refused), refused[0])
        if self._to_subscribe:
            client.subscribe(self._to_subscribe.pop(0))
            return
        self._publish_status("online")
        if not self.is_mqtt5:
            self.synced.set()
        else:
            self._tokens.pop(self._backlog_token, None)
            self._backlog_token = secrets.token_hex(16)
            self._tokens[self._backlog_token] = self.synced
            self._publish_token(self._backlog_token)
        self.is_connected.set()
        logger.info("connected to the broker")

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        is_quick = time.monotonic() - self._connected_at < QUICK_SECONDS
        self._connected_at = float("inf")
        self._connection += 1
        self.is_connected.clear()
        self.synced.clear()
        if self._is_leaving or self._is_standing_back:
            return
        logger.warning("lost the connection to the broker: %s", reason)
        self._quick_losses = self._quick_losses + 1 if is_quick else 0
        if not self.is_mqtt5:
            self._do_without_retained()
        # Some brokers do not say that another client has taken over the session.
        is_taken = "taken over" in str(reason).lower() or self._quick_losses > MAX_QUICK_LOSSES
        if is_taken or (self._quick_losses > 1 and self._is_held_by_another()):
            self._stand_back()

    def _is_held_by_another(self) -> bool:
        try:
            return is_in_use(self._settings, self._own_topic, PROBE_SECONDS)
        except Exception as error:  # noqa: BLE001 - a certificate that can't be read at the moment, for example
            logger.warning("can't ask the broker who uses the client id: %s", type(error).__name__)
            return False

    def _stand_back(self) -> None:
        """Leave the client id to the other client, and look again later."""
        self._is_standing_back = True
        logger.error(
            "session taken over: another client uses the client id %s, and each bridge needs a unique one "
            "(--client-id, or --shared to share the load); trying again in %g seconds",
            self._settings.client_id,
            TAKEOVER_SECONDS,
        )
        for client in (self._listener, self.sender.client):
            client.reconnect_delay_set(TAKEOVER_SECONDS, TAKEOVER_SECONDS)

    def _before_connecting(self, client: paho.Client, context: Any) -> None:
        """Raises ConnectionAbortedError, after which paho waits, while another client uses the client id."""
        renew(client, context, self._settings)
        if not self._is_standing_back:
            return
        if client is not self._listener:
            raise ConnectionAbortedError
        if self._is_held_by_another():
            self._stand_back()
            raise ConnectionAbortedError
        self._is_standing_back = False
        self._quick_losses = 0
        for each in (self._listener, self.sender.client):
            each.reconnect_delay_set(FIRST_DELAY, LAST_DELAY)

    def _do_without_retained(self) -> None:
        """Some brokers without retained messages close the connection, as AWS IoT does."""
        if self._quick_losses == 2 and self.limits.retains:
            self.limits = replace(self.limits, retains=False)
            logger.warning("%s (it closes the connection at once)", self.limits.warnings()[-1])
            self._set_will()

    def _on_message(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        self._arrived_at = time.monotonic()
        properties = getattr(message, "properties", None)
        packet = Packet(
            message.topic,
            bytes(message.payload),
            message.mid,
            message.qos,
            message.dup,
            getattr(properties, "ResponseTopic", None),
            getattr(properties, "CorrelationData", None),
            dict(getattr(properties, "UserProperty", ())).get(REQUEST_PROPERTY),
            self._session,
            self._connection,
            self._arrived_at + getattr(properties, "MessageExpiryInterval", float("inf")),
        )
        if packet.topic == f"{self._own_topic}/ping":
            client.publish(f"{self._own_topic}/pong", packet.payload)
        elif packet.topic == f"{self._own_topic}/sync":
            self.acknowledge(packet)
            arrived = self._tokens.get(packet.payload.decode("utf-8", "replace"))
            if arrived is not None:
                arrived.set()
        elif message.retain:  # it may be old, and would be delivered again at each reconnection
            logger.warning("ignored a retained message on %.200r", packet.topic)
            self.acknowledge(packet)
        elif self._settings.group and packet.topic == self._notice_topic:
            self._on_notice(packet.payload)
            self.acknowledge(packet)
        else:
            self._on_packet(packet)
