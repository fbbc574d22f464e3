"""The messages that a paho client has still to send, as far as paho has no public functions for them.

Unconfirmed messages are sent again by paho under their packet identifiers, so that the broker recognizes them: they
can't be taken out and published anew without being delivered twice.
"""

import functools
from collections.abc import Callable

import paho.mqtt.client as paho
from paho.mqtt.enums import MessageState, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

SENT = (MessageState.MQTT_MS_WAIT_FOR_PUBACK, MessageState.MQTT_MS_WAIT_FOR_PUBREC)
RELEASED = (MessageState.MQTT_MS_WAIT_FOR_PUBCOMP,)
FAILURE, IN_USE, NOT_FOUND = 0x80, 0x91, 0x92
"""The least reason code of a failure (MQTT 5, section 2.4); "Packet identifier in use" of a message that is sent again,
which the broker has received before; "Packet identifier not found" of one that is released again, which it has released
before. With both the broker has taken the message."""


class Outgoing:
    """The messages with QoS 1 and 2 of a client. To be used in the client's callbacks, on its network thread.

    The client calls `on_publish` with a failure when the broker refuses a message with QoS 2 (PUBREC): paho releases it
    then, and says that it was published (MQTT 5, section 4.3.3).
    """

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._messages = client._out_messages
        self._mutex = client._out_message_mutex
        self._refused: dict[int, int] = {}
        client._handle_pubrec = functools.partial(  # type: ignore[method-assign]
            self._on_pubrec, client._handle_pubrec
        )

    def _on_pubrec(self, release: Callable[[], MQTTErrorCode]) -> MQTTErrorCode:
        body = bytes(self._client._in_packet["packet"])
        is_refused = len(body) > 2 and body[2] >= FAILURE and body[2] != IN_USE
        if not is_refused or self._client._protocol != MQTTProtocolVersion.MQTTv5:
            return release()
        packet_id = int.from_bytes(body[:2], "big")
        with self._mutex:
            if packet_id not in self._messages:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            self._refused[packet_id] = body[2]
            reason = ReasonCode(PacketTypes.PUBREC, identifier=FAILURE)  # paho knows not all codes that brokers send
            nothing = Properties(PacketTypes.PUBREC)  # type: ignore[no-untyped-call]
            return self._client._do_on_publish(packet_id, reason, nothing)

    def refusal(self, packet_id: int, reason: ReasonCode) -> int | None:
        """The code with which the broker has refused a message, None if it has taken it. reason: as of `on_publish`."""
        told = reason.value if reason.is_failure and reason.value != NOT_FOUND else None
        return self._refused.pop(packet_id, told)

    def has(self, packet_id: int) -> bool:
        """Whether a message is one of these; one with QoS 0 is not."""
        return packet_id in self._messages

    def received(self) -> set[int]:
        """At a new connection: the packet identifiers of the messages which the broker has said it has received, so
        that they are not sent again, but only released (PUBREL)."""
        with self._mutex:
            return {mid for mid, each in self._messages.items() if each.state is MessageState.MQTT_MS_RESEND_PUBREL}

    def send_singly(self) -> None:
        """At a new connection: send one message after the other, each when the one before it is confirmed, behind what
        is published next."""
        self._client._max_inflight_messages = 1
        with self._mutex:
            for each in list(self._messages.values()):
                if each.state is MessageState.MQTT_MS_PUBLISH:
                    each.state = MessageState.MQTT_MS_QUEUED
                    self._messages.move_to_end(each.mid)

    def send_together(self, maximum: int) -> None:
        """Have at most that many messages on the way from now on."""
        self._client._max_inflight_messages = maximum

    def on_the_way(self) -> int | None:
        """At the loss of a connection: the packet identifier of the message that was sent on it, and not confirmed."""
        with self._mutex:
            sent = [packet_id for packet_id, each in self._messages.items() if each.state in SENT]
            released = [packet_id for packet_id, each in self._messages.items() if each.state in RELEASED]
        return next(iter([*sent, *released]), None)

    def replace(self, packet_id: int, payload: str) -> None:
        """Send another payload the next time."""
        with self._mutex:
            if packet_id in self._messages:
                self._messages[packet_id].payload = payload.encode()

    def drop(self, packet_id: int) -> None:
        """Don't send a message again."""
        with self._mutex:
            self._messages.pop(packet_id, None)
