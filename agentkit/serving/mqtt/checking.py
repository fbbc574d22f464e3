"""`agentkit mqtt --check`: whether a bridge can work with a broker."""

import contextlib
import queue
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from agentkit.serving.mqtt.broker import BrokerConnection, Packet
from agentkit.serving.mqtt.settings import BrokerSettings

CHECK_SECONDS = 3.0


def test_broker(settings: BrokerSettings, served: Sequence[str], answers: Sequence[str]) -> tuple[list[str], list[str]]:
    """Check that a bridge can work with a broker. Returns the problems, and the limits that it works with, one sentence
    each.

    served: topics whose messages the bridge answers. answers: prefixes of the topics of its answers. Raises OSError
    when the broker can't be reached or refuses the connection. The check uses its own client id, so it does not take
    messages from a running bridge.
    """
    settings = replace(settings, client_id=f"agentkit-check-{secrets.token_hex(4)}", group=None, expiry=0)
    received: queue.SimpleQueue[str] = queue.SimpleQueue()

    def note(packet: Packet) -> None:
        received.put(packet.topic)
        connection.acknowledge(packet)  # some brokers, as ejabberd, send the next one only then

    connection = BrokerConnection(settings, served, [f"{topic}#" for topic in answers], note, 100)
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
    problems += [
        f"it does not allow the bridge to publish to and read {topic}#"
        for topic in answers
        if {f"{topic}{settings.client_id}"} & missing
    ]
    return problems, connection.limits.warnings()
