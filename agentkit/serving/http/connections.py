"""The open connections of a server process: how many there may be, and which one has to go when there are too many."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agentkit.serving.http.settings import HttpSettings

STATE_KEY = "agentkit.connections"
"""Under which the connections are in the state of the lifespan, which a server gives to each connection."""

ACCEPTED_AT_ONCE = 16
"""asyncio accepts this many connections before it does anything else, such as closing others."""


class Connection(Protocol):
    """A connection to a client."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress: its head is not complete."""

    @property
    def is_receiving(self) -> bool:
        """Whether the body of a request is not complete."""

    def drop(self) -> None:
        """Close it at once."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of the connections. total, per_address: how many may be open. Times in seconds: head, body: to receive
    them. send: how long a client may read nothing of a response. body_bytes: largest body."""

    total: int
    per_address: int
    head: float = 10.0
    body: float = 60.0
    send: float = 20.0
    body_bytes: int = 10_000_000


class Connections:
    """The connections of a process. They belong to its event loop.

    A new one is always let in while there is one that waits for a request: the one that has waited longest is closed
    instead, of the same address if that has reached its limit. If all are busy, up to half as many more are let in, and
    get 503.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.on_stop: Callable[[], object] = lambda: None
        """Called when the server begins to stop."""
        self._open: dict[Connection, str] = {}
        self._of_address: Counter[str] = Counter()
        self.stops = False

    def enter(self, connection: Connection, address: str) -> None:
        """Add a connection. It may be dropped at once."""
        limits = self.limits
        self._open[connection] = address
        self._of_address[address] += 1
        if self._of_address[address] > limits.per_address:
            self._make_room(connection, address, self._of_address[address], limits.per_address)
        elif len(self._open) > limits.total:
            self._make_room(connection, None, len(self._open), limits.total)

    def leave(self, connection: Connection) -> None:
        """Remove a connection that was lost or dropped."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def used(self, connection: Connection) -> None:
        """Note that a connection has just had a response, so that others have waited longer."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._open[connection] = address

    def overload(self, connection: Connection) -> str | None:
        """Return why a request of this connection can't be taken; None if it can."""
        if len(self._open) > self.limits.total:
            return "too many connections are open; try again later"
        if self._of_address[self._open.get(connection, "")] > self.limits.per_address:
            return "too many connections are open from your address; try again later"
        return None

    def stop(self) -> None:
        """Note that the server stops."""
        if not self.stops:
            self.stops = True
            self.on_stop()

    def drop_all(self) -> None:
        """Drop all connections."""
        for each in list(self._open):
            self._drop(each)

    def _make_room(self, newest: Connection, address: str | None, count: int, limit: int) -> None:
        others = [each for each, of in self._open.items() if each is not newest and address in (None, of)]
        found = next((each for each in others if each.is_idle), None)
        found = found or next((each for each in others if each.is_receiving), None)
        if found is not None:
            self._drop(found)
        elif count > limit + max(1, limit // 2):
            self._drop(newest)

    def _drop(self, connection: Connection) -> None:
        self.leave(connection)
        connection.drop()


def limits_of(settings: HttpSettings) -> ConnectionLimits:
    """Return the limits of the settings."""
    total = settings.agentkit_max_connections or min(descriptors() // 2, 10_000)
    return ConnectionLimits(
        total=total,
        per_address=settings.agentkit_max_connections_per_address or max(1, total // 2),
        head=settings.agentkit_head_seconds,
        body=settings.agentkit_body_seconds,
        send=settings.agentkit_send_seconds,
        body_bytes=settings.agentkit_max_body,
    )


def descriptors() -> int:
    """Return how many files and sockets this process may have open."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return 10_000
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 20_000 if soft == resource.RLIM_INFINITY else soft


def connections_in(state: dict[str, Any]) -> Connections:
    """Return the connections in the state of a lifespan; without limits for a server that has none."""
    return state.get(STATE_KEY) or Connections(ConnectionLimits(total=10_000, per_address=10_000))


class UnreadLimit(asyncio.Protocol):
    """A connection that is dropped when its client reads nothing of a response for too long."""

    loop: asyncio.AbstractEventLoop
    _connections: Connections
    _unread: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self._connections.limits.send, self.drop)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def drop(self) -> None:
        """Close the connection at once."""
        raise NotImplementedError
