"""The packets that are not acknowledged yet, as they are recognized when the broker sends them again.

A broker sends them again after each reconnection, under the same packet identifiers and with the DUP flag (MQTT 5,
section 4.4). RabbitMQ counts them from 1 again, and Aedes sends no flag (moscajs/aedes#601): a packet of an earlier
connection is known by its content, or by its identifier, which is not free before it is acknowledged.
"""

import hashlib
import threading
from collections.abc import Hashable
from dataclasses import replace
from typing import Generic, Literal, Protocol, TypeVar

from cachetools import FIFOCache

from agentkit.serving.mqtt.broker import Packet

MAX_CLOSED = 20_000
"""Maximum number of acknowledged packets that are remembered."""


class _Received(Protocol):
    packet: Packet


R = TypeVar("R", bound=_Received)


def _fingerprint(packet: Packet) -> Hashable:
    """What identifies a redelivery of a packet, besides its packet identifier."""
    content = hashlib.sha256(packet.payload).digest()
    return packet.topic, content, packet.response_topic, packet.correlation, packet.session


class OpenPackets(Generic[R]):
    """What is made of packets (jobs), until the broker knows that they are done. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, R] = {}
        self._left: dict[Hashable, dict[int, R]] = {}
        self._done: set[int] = set()
        self._closed: FIFOCache[int, Hashable] = FIFOCache(MAX_CLOSED)
        self._connection = self._session = 0

    def add(self, job: R) -> Literal["new", "open", "closed"]:
        """Whether the packet of a job is new, or sent again, and then whether it is still open.

        A new packet is open from this call until `close`. The job of one that is still open gets the identifier under
        which it was sent again, by which it has to be acknowledged.
        """
        packet, mark = job.packet, _fingerprint(job.packet)
        if not packet.qos:
            return "new"
        with self._lock:
            self._leave_those_before(packet)
            known = self._open.get(packet.packet_id)
            if packet.is_duplicate and known is not None and _fingerprint(known.packet) == mark:
                return "open"
            if (left := self._take_left(packet, mark)) is not None:
                return self._go_on(left, packet)
            if packet.is_duplicate and self._closed.get(packet.packet_id) == mark:
                return "closed"
            self._open[packet.packet_id] = job
        return "new"

    def close(self, job: R, *, is_current: bool) -> None:
        """Note that a job is done, before its packet is acknowledged. is_current: whether the packet can be
        acknowledged; otherwise the broker sends it again."""
        packet, mark = job.packet, _fingerprint(job.packet)
        with self._lock:
            if self._open.get(packet.packet_id) is job:
                del self._open[packet.packet_id]
                self._closed[packet.packet_id] = mark
                if not is_current:
                    self._leave(job)
            if self._left.get(mark, {}).get(packet.packet_id) is job:
                self._done.add(id(job))

    def jobs(self) -> list[R]:
        """Those that are not done."""
        with self._lock:
            return [*self._open.values(), *(job for job in self._all_left() if id(job) not in self._done)]

    def _leave_those_before(self, packet: Packet) -> None:
        """Keep what earlier connections have left, until the broker sends it again."""
        if packet.connection == self._connection:
            return
        is_same = packet.session == self._session  # otherwise the broker knows nothing of them
        waiting = [*self._all_left(), *self._open.values()] if is_same else []
        self._connection, self._session = packet.connection, packet.session
        self._open.clear()
        self._left.clear()
        for job in waiting:
            if not job.packet.has_expired:  # otherwise the broker may have dropped it, and use its identifier again
                self._leave(job)
        self._done &= set(map(id, self._all_left()))

    def _all_left(self) -> list[R]:
        return [job for jobs in self._left.values() for job in jobs.values()]

    def _leave(self, job: R) -> None:
        self._left.setdefault(_fingerprint(job.packet), {})[job.packet.packet_id] = job

    def _take_left(self, packet: Packet, mark: Hashable) -> R | None:
        """The job of an earlier connection whose packet this is: that with the same identifier, else the first."""
        left = self._left.get(mark, {})
        number = packet.packet_id
        if number not in left:
            if not (packet.is_duplicate and left):
                return None
            number = next(iter(left))
        job = left.pop(number)
        if not left:
            del self._left[mark]
        return job

    def _go_on(self, job: R, packet: Packet) -> Literal["open", "closed"]:
        if id(job) in self._done:
            self._done.discard(id(job))
            return "closed"
        job.packet = replace(job.packet, packet_id=packet.packet_id, connection=packet.connection)
        self._open[packet.packet_id] = job
        return "open"
