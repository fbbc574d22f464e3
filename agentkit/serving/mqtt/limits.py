"""What a broker does not support, and how the bridge goes on without it."""

from dataclasses import dataclass
from typing import Any

MAX_IN_FLIGHT = 20
"""Maximum number of answers in flight: Mosquitto's default limit."""


@dataclass(frozen=True)
class BrokerLimits:
    """The limits of a broker, from the properties of its CONNACK (MQTT 5, section 3.2.2.3).

    qos: the highest quality of service. retains: whether it keeps retained messages. in_flight: maximum number of
    unconfirmed answers. packet_bytes: maximum size of a packet.
    """

    qos: int = 2
    retains: bool = True
    in_flight: int = MAX_IN_FLIGHT
    packet_bytes: int = 268_435_455  # MQTT 5, section 2.1.4

    @classmethod
    def of(cls, properties: Any) -> "BrokerLimits":
        """The limits in a CONNACK. properties: None for MQTT 3.1.1, which has none."""
        return cls(
            min(2, getattr(properties, "MaximumQoS", 2)),
            bool(getattr(properties, "RetainAvailable", 1)),
            min(MAX_IN_FLIGHT, getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT)),
            getattr(properties, "MaximumPacketSize", cls.packet_bytes),
        )

    def warnings(self) -> list[str]:
        """What users should know, a sentence each."""
        found = []
        if self.qos == 0:
            found.append(
                "the broker supports QoS 0 only: messages and answers can be lost when a connection breaks or the "
                "bridge is stopped"
            )
        elif self.qos == 1:
            found.append("the broker does not support QoS 2: an answer may be delivered twice when a connection breaks")
        if not self.retains:
            found.append("the broker keeps no retained messages: the bridge's status is published, but not kept")
        return found
