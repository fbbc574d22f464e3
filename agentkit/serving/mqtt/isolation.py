"""Finds the one message for which a broker closes the connection.

Brokers close it for a message that is larger than they allow, and with MQTT 3.1.1 also for one on a topic that their
access list denies, or with a QoS that they don't support. As it is sent first again on the next connection, none behind
it would ever arrive.
"""

import time
from typing import Literal

from agentkit.serving.mqtt.outgoing import Outgoing

QUICK_SECONDS = 5.0
"""A connection that is lost sooner, in seconds, may have been closed for what was sent on it."""
MAX_FRUITLESS = 2
"""After so many such connections, on which nothing was confirmed, messages are sent singly."""
MAX_BREAKS = 2
"""So many connections in a row are lost before that is due to the single message that was sent."""


class Isolation:
    """What has become of the connections of a client. To be used on its network thread.

    While `is_active`, each connection begins with a probe, a message that the broker is known to take: only if that is
    confirmed, a message that is sent behind it can be the one that the broker refuses.
    """

    def __init__(self, outgoing: Outgoing) -> None:
        self.is_active = False
        self._outgoing = outgoing
        self._probe: int | None = None
        self._is_sound = False
        self._connected_at = float("-inf")
        self._has_confirmed = False
        self._fruitless = self._unsound = 0
        self._breaks: dict[int, int] = {}
        self._suspects: set[int] = set()

    def connected(self) -> None:
        """A connection has begun."""
        self._connected_at = time.monotonic()
        self._has_confirmed = self._is_sound = False
        self._probe = None
        if self.is_active:
            self._outgoing.send_singly()

    def sent_probe(self, packet_id: int) -> None:
        """The probe of this connection was sent."""
        self._probe = packet_id

    def confirmed(self, packet_id: int) -> bool:
        """The broker has confirmed a message. Returns whether it was the last one that could be the refused one."""
        self._has_confirmed = True
        self._fruitless = self._unsound = 0
        if not self.is_active:
            return False
        if packet_id == self._probe:
            self._is_sound = True
        self._breaks.pop(packet_id, None)
        return self._cleared(packet_id)

    def dropped(self, packet_id: int) -> bool:
        """A message is not sent any more. Returns the same."""
        return self._cleared(packet_id)

    def _cleared(self, packet_id: int) -> bool:
        was_suspect = packet_id in self._suspects
        self._suspects.discard(packet_id)
        return was_suspect and not self._suspects

    def begin(self, suspects: set[int]) -> None:
        """Send messages singly until each of these is confirmed or dropped."""
        self.is_active = True
        self._suspects = suspects

    def end(self) -> None:
        """Send messages together again."""
        self.is_active = False
        self._breaks.clear()
        self._suspects = set()

    def lost(self) -> "int | Literal['nothing', 'fruitless', 'probe']":
        """The connection was lost. Returns the packet identifier of the message that the broker refuses; "probe" if it
        seems to refuse even that, "fruitless" if it may refuse some message, else "nothing"."""
        is_quick = time.monotonic() - self._connected_at < QUICK_SECONDS
        self._connected_at = float("-inf")
        if not is_quick:
            return "nothing"
        if not self.is_active:
            self._fruitless = 0 if self._has_confirmed else self._fruitless + 1
            return "fruitless" if self._fruitless >= MAX_FRUITLESS else "nothing"
        if not self._is_sound:
            self._unsound += 1
            return "probe" if self._unsound >= MAX_BREAKS else "nothing"
        packet_id = self._outgoing.on_the_way()
        if packet_id is None:
            return "nothing"
        self._breaks[packet_id] = self._breaks.get(packet_id, 0) + 1
        if self._breaks[packet_id] < MAX_BREAKS:
            return "nothing"
        del self._breaks[packet_id]
        return packet_id
