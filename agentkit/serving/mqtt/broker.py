"""The broker, as the bridge sees it: what comes in, what goes out, and what the broker is known to have.

Two connections. The listener's session lasts (a fixed client id, clean start off) and acknowledges by hand, so that the
broker gives a message again until it is done with. The sender publishes with QoS 2, which within one life of the bridge
brings an answer once, however often the connection breaks; what a life before has begun there is wiped first, since its
packets' identifiers are given anew. When the broker has lost the session (it was restarted without having kept it),
what was on its way is published again.

For the time in which a bridge was killed there are echoes: the listener is subscribed to the answers too. The broker
keeps for it what it took from the sender, so the next life learns which answers went out. An echo bears the mark of the
request it answers, as a user property. `synced` is set when all echoes of the life before are in: the broker keeps the
order of what it has for a subscriber (MQTT 5, section 4.6), and a message to itself stands behind them.
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
HUNG_UP = "the broker hangs up"
SYNC_SECONDS = 5.0
CHECK_SECONDS = 3.0
_SERVED, _OBSERVED = 1, 2  # subscription identifiers


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is, and who the bridge is to it.

    client_id: fixed, so that the broker keeps what comes while the bridge is away. group: of shared subscriptions, so
    that several bridges share the load. protocol: "5", which falls back to 3.1.1 where the broker does not know it, or
    "3.1.1". keepalive: seconds. expiry: seconds for which the broker keeps messages for a bridge that is away; 0: not
    at all.
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
    """A message from the broker. number: the packet's identifier. is_again: the broker has sent it before.
    is_witnessed: it is for another bridge of the group, or for this one beside the copy that counts. mark: of the
    request it answers, when it is an echo."""

    topic: str
    payload: bytes
    number: int
    qos: int
    is_duplicate: bool = False
    is_observed: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None
    echo_id: str | None = None


class BrokerConnection:
    """served: topics whose messages the bridge answers. echoed: those of its answers. take: is given what comes. most:
    messages that the bridge bears at once, unacknowledged.

    Raises ConfigurationError where TLS can't be set up.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        served: Sequence[str],
        echoed: Sequence[str],
        take: Callable[[Packet], object],
        max_inflight: int,
    ) -> None:
        self._settings = settings
        self._served = served
        self._echoed = echoed
        self._take = take
        self._max_inflight = max_inflight
        self._sync_token = ""
        self._is_leaving = False
        self._subscribing = 0
        self.unsubscribed = 0
        self.is_connected = threading.Event()
        self.synced = threading.Event()
        self._make("3.1.1" if settings.protocol == "3.1.1" else "5")

    @property
    def status_topic(self) -> str:
        """Where it is told whether the bridge is there: "online", "offline"; retained."""
        return f"{self._own_topic}/status"

    @property
    def sees_echoes(self) -> bool:
        """Whether the broker has been seen to give echoes."""
        return self.is_new and self.synced.is_set()

    @property
    def _own_topic(self) -> str:
        return f"agentkit/bridge/{topic_level(self._settings.client_id)}"

    def _make(self, protocol: str) -> None:
        self.is_new = protocol == "5"
        self._listener = self._client(self._settings.client_id, lasts=self._settings.expiry > 0)
        self._listener.manual_ack_set(True)
        self._listener.will_set(self.status_topic, "offline", qos=1, retain=True)
        self._listener.on_connect = self._on_connect
        self._listener.on_subscribe = self._on_subscribe
        self._listener.on_disconnect = self._on_disconnect
        self._listener.on_message = self._on_message
        client = self._client(f"{self._settings.client_id}-answers", lasts=False)
        self.sender = Sender(client, is_mqtt5=self.is_new)

    def _client(self, client_id: str, *, lasts: bool) -> paho.Client:
        settings = self._settings
        version = MQTTProtocolVersion.MQTTv5 if self.is_new else MQTTProtocolVersion.MQTTv311
        options: dict[str, Any] = {} if self.is_new else {"clean_session": not lasts}
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, **options)
        secure(client, settings.username, settings.password, settings.tls, settings.ca_file)
        client.reconnect_delay_set(1, 120)
        return client

    def start(self, seconds: float) -> None:
        """Connect, and listen. Raises OSError when the broker can't be reached, refuses, or (in a group) does not know
        MQTT 5."""
        problem = self._wipe(seconds)
        if self.is_new and problem is not None and (problem == HUNG_UP or "protocol" in problem.lower()):
            self._fall_back()
            problem = self._wipe(seconds)
        if problem is not None:
            raise ConnectionRefusedError(problem)
        # The sender first: what is published before it is connected is sent without regard to what the broker bears.
        self._connect(self.sender.client, expiry=SENDER_EXPIRY)
        self._connect_listener()
        end = time.monotonic() + seconds
        if not (self.sender.is_ready.wait(seconds) and self.is_connected.wait(max(0.0, end - time.monotonic()))):
            self._listener.loop_stop()
            self.sender.client.loop_stop()
            raise ConnectionRefusedError("the broker does not answer")

    def _wipe(self, seconds: float) -> str | None:
        """Make the broker forget the sender's session, and learn what it is like; what is wrong, or None.

        This is not done by a clean start of the connection that stays: Mosquitto 2.0.11 keeps no session over a restart
        of its own that was started clean.
        """
        told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        client = self._client(f"{self._settings.client_id}-answers", lasts=False)

        def hear(_: Any, __: Any, ___: Any, reason: Any, properties: Any) -> None:
            self.sender.adapt_to(properties)
            told.put(str(reason) if reason.is_failure else None)

        client.on_connect = hear
        client.on_disconnect = lambda *_: told.put(HUNG_UP)
        clean: Any = {"clean_start": True} if self.is_new else {}
        client.connect(self._settings.broker, self._settings.port, **clean)
        client.loop_start()
        try:
            return told.get(timeout=seconds)
        except queue.Empty:
            return "the broker does not answer"
        finally:
            client.disconnect()
            client.loop_stop()

    def _fall_back(self) -> None:
        """Brokers of old refuse MQTT 5, or just hang up."""
        if self._settings.group:
            raise ConnectionRefusedError("the broker does not know MQTT 5, which the bridges of a group need")
        logger.info("the broker does not know MQTT 5: 3.1.1 is spoken")
        self._make("3.1.1")

    def _connect_listener(self) -> None:
        self._connect(self._listener, expiry=self._settings.expiry)

    def _connect(self, client: paho.Client, *, expiry: int) -> None:
        settings = self._settings
        options: dict[str, Any] = {}
        if self.is_new:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = expiry
            properties.ReceiveMaximum = min(65_535, self._max_inflight)
            options = {"clean_start": False, "properties": properties}
        client.connect(settings.broker, settings.port, settings.keepalive, **options)
        client.loop_start()

    def leave_group(self) -> None:
        """Let the others of the group have what is not yet with this bridge: brokers give members their share also
        while they are away."""
        if self._settings.group:
            self._listener.unsubscribe([*self._shared, *self._served])

    def stop(self, seconds: float = 5.0) -> None:
        """Leave, when what was sent is with the broker, or the time is over."""
        end = time.monotonic() + seconds
        while self.sender.has_unconfirmed and time.monotonic() < end:
            time.sleep(0.02)
        self._is_leaving = self.sender.is_leaving = True
        with contextlib.suppress(RuntimeError, ValueError):  # there is no connection
            self._listener.publish(self.status_topic, "offline", qos=1, retain=True).wait_for_publish(2)
        for client in (self._listener, self.sender.client):
            client.disconnect()
            client.loop_stop()

    def acknowledge(self, packet: Packet) -> None:
        """Tell the broker that a message is done with."""
        self._listener.ack(packet.number, packet.qos)

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            logger.error("the broker refuses the connection: %s", reason)
            return
        served = dict.fromkeys(self._served, 1)
        if not self.is_new:
            self._subscribing = 1
            client.subscribe(list(served.items()))
        elif self._settings.group:
            # What all see is in one order. Echoes are not kept for a member that is away: they would fill its queue.
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
            self.unsubscribed += len(refused)
            logger.error("the broker refuses %d of the subscriptions: %s", len(refused), refused[0])
        self._subscribing -= 1
        if self._subscribing > 0:
            return
        client.publish(self.status_topic, "online", qos=1, retain=True)
        if not self.is_new:
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
        logger.warning("the connection to the broker is gone: %s", reason)
        if "taken over" in str(reason).lower():
            logger.error(
                "another client uses the client id %s: each bridge needs its own (--client_id)",
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
        if message.retain:  # it was said to whoever came, once upon a time; and would be at each reconnection
            logger.warning("a retained message on %.200r is left out", packet.topic)
            self.acknowledge(packet)
            return
        self._take(packet)


def test_broker(settings: BrokerSettings, served: Sequence[str], answers: Sequence[str]) -> list[str]:
    """What is wrong with a broker for a bridge: one sentence each. served: topics whose messages it answers. answers:
    what topics of its answers begin with. Raises OSError when it can't be reached, or refuses.

    It goes by a name of its own, so that it takes nothing from a bridge that runs.
    """
    settings = replace(settings, client_id=f"agentkit-check-{secrets.token_hex(4)}", group=None, expiry=0)
    came: queue.SimpleQueue[str] = queue.SimpleQueue()
    connection = BrokerConnection(
        settings, served, [f"{topic}#" for topic in answers], lambda packet: came.put(packet.topic), 100
    )
    connection.start(10.0)
    probes = {f"{topic}{settings.client_id}" for topic in answers} if connection.is_new else set()
    missing = set(probes)
    for probe in probes:
        connection.sender.publish(probe, "agentkit mqtt --check")
    end = time.monotonic() + CHECK_SECONDS
    while missing and time.monotonic() < end:
        with contextlib.suppress(queue.Empty):
            missing.discard(came.get(timeout=0.1))
    connection.stop()
    wrong = [f"it refuses {connection.unsubscribed} of the bridge's subscriptions"] if connection.unsubscribed else []
    return wrong + [
        f"it lets the bridge not publish and read {topic}#"
        for topic in answers
        if {f"{topic}{settings.client_id}"} & missing
    ]
