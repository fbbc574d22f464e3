"""Packets that brokers send again after a connection has broken, each in its own way."""

from dataclasses import dataclass
from typing import Any

import pytest

from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.open_packets import OpenPackets


@dataclass(eq=False)
class Job:
    packet: Packet


def job(number: int, payload: bytes = b"Hello", connection: int = 1, **packet: Any) -> Job:
    given = {"qos": 1, "session": 1, "connection": connection, **packet}
    return Job(Packet("general/user_input", payload, number, **given))


def again(number: int, payload: bytes = b"Hello", connection: int = 2, **packet: Any) -> Job:
    return job(number, payload, connection, **{"is_duplicate": True, **packet})


@pytest.mark.parametrize("is_duplicate", [True, False])
def test_a_packet_that_is_sent_again_under_its_identifier_is_the_same(is_duplicate: bool) -> None:
    """Aedes does not set the DUP flag: moscajs/aedes#601."""
    packets: OpenPackets[Job] = OpenPackets()
    first, other = job(7), job(8, b"Another")
    assert [packets.add(first), packets.add(other)] == ["new", "new"]
    assert packets.add(again(7, is_duplicate=is_duplicate)) == "open"
    assert (first.packet.packet_id, first.packet.connection, first.packet.is_duplicate) == (7, 2, False)
    assert packets.add(again(8, b"Another", is_duplicate=is_duplicate)) == "open"
    assert packets.jobs() == [first, other]


def test_packets_that_are_sent_again_under_other_identifiers_are_the_same() -> None:
    """RabbitMQ counts from 1 again at each connection: what was acknowledged before is not among them."""
    packets: OpenPackets[Job] = OpenPackets()
    done, jobs = job(1, b"Done"), [job(2, b"yes"), job(3, b"no"), job(4, b"yes")]
    for each in (done, *jobs):
        assert packets.add(each) == "new"
    packets.close(done, is_current=True)
    states = [packets.add(again(number, text)) for number, text in enumerate((b"yes", b"no", b"yes"), 1)]
    assert states == ["open"] * 3
    assert [each.packet.packet_id for each in jobs] == [1, 2, 3]
    assert packets.add(again(4, b"yes")) == "new"  # it was on its way when the connection broke, and never arrived
    for each in jobs:
        packets.close(each, is_current=True)
    assert [each.packet.packet_id for each in packets.jobs()] == [4]


@pytest.mark.parametrize("is_noticed", [True, False])
@pytest.mark.parametrize("number", [1, 9])
def test_what_was_done_while_there_was_no_connection_is_not_done_again(number: int, is_noticed: bool) -> None:
    packets: OpenPackets[Job] = OpenPackets()
    one, two = job(9), job(10, b"Another")
    packets.add(one)
    packets.add(two)
    if is_noticed:  # another packet came first over the new connection
        assert packets.add(again(30, b"Later", is_duplicate=False)) == "new"
    packets.close(one, is_current=False)
    assert two in packets.jobs()
    assert one not in packets.jobs()
    assert packets.add(again(number)) == "closed"
    assert packets.add(job(number, connection=2)) == "new"  # its identifier is free again


def test_the_same_text_under_a_free_identifier_is_a_new_message() -> None:
    packets: OpenPackets[Job] = OpenPackets()
    first = job(1)
    packets.add(first)
    packets.close(first, is_current=True)
    assert packets.add(job(1)) == "new"
    assert packets.add(again(1, session=2)) == "new"  # the broker has lost the session: it knows nothing of the others
    assert packets.add(again(1, session=2, response_topic="a")) == "new"


def test_a_packet_that_the_broker_may_have_dropped_does_not_hide_another_one() -> None:
    packets: OpenPackets[Job] = OpenPackets()
    expired = job(1, expires_at=0.0)
    packets.add(expired)
    packets.close(expired, is_current=False)
    assert packets.add(again(1, is_duplicate=False)) == "new"


def test_what_is_sent_again_on_the_same_connection_is_the_same() -> None:
    packets: OpenPackets[Job] = OpenPackets()
    first = job(1)
    packets.add(first)
    assert packets.add(again(1, connection=1)) == "open"
    packets.close(first, is_current=True)
    assert packets.add(again(1, connection=1)) == "closed"
    assert packets.add(job(1, qos=0)) == "new"
    assert packets.jobs() == []
