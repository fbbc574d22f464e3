"""The messages that a paho client has still to send, as far as paho has no public functions for them.

Unconfirmed messages are sent again by paho under their packet identifiers, so that the broker recognizes them: they
can't be taken out and published anew without being delivered twice.
"""

import paho.mqtt.client as paho
from paho.mqtt.enums import MessageState

SENT = (MessageState.MQTT_MS_WAIT_FOR_PUBACK, MessageState.MQTT_MS_WAIT_FOR_PUBREC)
RELEASED = (MessageState.MQTT_MS_WAIT_FOR_PUBCOMP,)


class Outgoing:
    """The messages with QoS 1 and 2 of a client. To be used in the client's callbacks, on its network thread."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._messages = client._out_messages
        self._mutex = client._out_message_mutex

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
