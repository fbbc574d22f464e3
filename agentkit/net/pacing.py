"""Whose request is sent next, and when: a queue in front of servers that limit the rate of requests."""

import threading
import time
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._threads import SUBMITTERS
from agentkit.net.abort import Aborted, stop_on_abort
from agentkit.net.rate_headers import Told
from agentkit.net.rate_limits import NEVER, SLEEP, Server, Slot, Window

MAX_SERVERS = 1000
"""Of how many servers it is known what they said."""


class ClosedError(Exception):
    """A server takes no request for longer than it may be waited for. seconds: how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the server takes no request for {self.seconds} s"


@dataclass(eq=False)
class Place:
    """A reply that is requested: it holds one of the places of those that are received at once, from its first request
    until it ends. thread: in which its last request was sent. threads: that one, and those that wait for it."""

    number: int
    thread: int = 0
    threads: frozenset[int] = frozenset()
    is_held: bool = False


@dataclass(eq=False)
class _Ticket:
    """A request that waits for its turn."""

    place: Place
    server: "Server"
    tokens: float
    inbox: SimpleQueue[None] = field(default_factory=SimpleQueue)
    slot: Slot | None = None
    is_stopped: bool = False

    def stop(self) -> None:
        self.is_stopped = True
        self.inbox.put(None)


class PaceQueue:
    """The requests that wait, and those that were sent; thread-safe. requests, tokens: how many within `per` seconds.
    at_once: how many replies are received at the same time. None: no limit but what servers say.

    In a forked child it begins anew.
    """

    def __init__(self, requests: float | None, tokens: float | None, per: float, at_once: int | None) -> None:
        self._limits = requests, tokens, per, at_once
        self._lock = freed_by_forks(threading.Lock())
        self.renew_in_child()
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: nobody waits, and nothing was sent."""
        requests, tokens, per, self._at_once = self._limits
        self._waiting: list[_Ticket] = []
        self._held: set[Place] = set()
        self._ended: deque[Place] = deque()
        self._servers: dict[tuple[str, str], Server] = {}
        self._count = 0
        self._requests = None if requests is None else Window(requests, per)
        self._tokens = None if tokens is None else Window(tokens, per)
        self._closed: dict[str, float] = {}
        self._next = NEVER
        self._sleeps: tuple[_Ticket | None, float] = (None, 0.0)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """How many replies are being received."""
        return len(self._held)

    def place(self) -> Place:
        """A place for a reply that is requested now, in the order of which its requests are sent."""
        with self._lock:
            self._count += 1
            return Place(self._count)

    def turn(self, place: Place, address: str, model: str, tokens: float, patience: float = NEVER) -> Slot:
        """Wait until a request may be sent. address: of the server, "" for one that is not known. tokens: how many it
        will take. patience: seconds for which the server may have said that it takes none. Raises ClosedError when it
        is longer, and Aborted when the request is aborted meanwhile."""
        place.thread = threading.get_ident()
        place.threads = SUBMITTERS.get() | {place.thread}
        with self._lock:
            ticket = _Ticket(place, self._server(address, model), tokens)
        stop_on_abort(ticket.stop)
        with self._lock:
            insort(self._waiting, ticket, key=lambda each: each.place.number)
        try:
            while True:
                sleep = self._settle(ticket)
                if ticket.is_stopped:
                    raise Aborted
                if ticket.slot is not None:
                    return ticket.slot
                closed = ticket.server.closed_until(tokens) - time.monotonic()
                if closed > patience:
                    raise ClosedError(closed)
                try:
                    ticket.inbox.get(timeout=sleep)
                except Empty:
                    continue
        except BaseException:
            self._leave(ticket)
            raise

    def _leave(self, ticket: _Ticket) -> None:
        """Nobody waits for this request any more."""
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.slot is not None:
            self.give_back(ticket.slot)
        else:
            self._settle()

    def give_back(self, slot: Slot) -> None:
        """A request was not sent after all."""
        with self._lock:
            for window in (self._requests, self._tokens):
                if window is not None:
                    window.give_back(slot)
            slot.server.flying.discard(slot)
        self._settle()

    def note(self, slot: Slot, status: int, told: Told) -> None:
        """There is a response to a request, or none (status 0). What it says holds for all."""
        now = time.monotonic()
        with self._lock:
            slot.arrived = now
            slot.server.flying.discard(slot)
            if status:
                slot.server.note(slot, status, told, now)
                if status >= 400 and told.retry_after is not None:
                    self._close(slot.server)
                for each in self._waiting if status >= 400 else ():
                    each.inbox.put(None)  # it may be one that does not wait for a server that is closed
            if not 0 < status < 400:
                self._correct(slot, 0.0)
        self._settle()

    def correct(self, slot: Slot, tokens: float) -> None:
        """A request took this many tokens."""
        with self._lock:
            self._correct(slot, tokens)
        self._settle()

    def _correct(self, slot: Slot, tokens: float) -> None:
        slot.tokens = tokens
        if self._tokens is not None:
            self._tokens.correct(slot, tokens)

    def release(self, place: Place) -> None:
        """A reply has ended. It may be called anywhere, even in a thread that is in the middle of this queue: by a
        finalizer."""
        self._ended.append(place)
        self._settle_if_free()

    def _close(self, server: Server) -> None:
        """Send nothing to any model of a server, as long as to this one."""
        self._closed[server.address] = server.blocked_until
        for each in self._servers.values():
            if each.address == server.address:
                each.block(server.blocked_until)

    def _server(self, address: str, model: str) -> Server:
        key = (address, model)
        if key not in self._servers:
            if len(self._servers) >= MAX_SERVERS:
                self._servers.clear()
                self._closed.clear()
            self._servers[key] = Server(address, is_known=not address or self._requests is not None)
            self._servers[key].block(self._closed.get(address, 0.0))
        return self._servers[key]

    def _settle(self, ticket: _Ticket | None = None) -> float:
        """Send what may be sent; returns how many seconds the thread of a ticket may sleep."""
        with self._lock:
            self._dispatch()
            patience = SLEEP
            if ticket is not None and self._waiting and self._waiting[0] is ticket:
                patience = min(SLEEP, max(0.0, self._next - time.monotonic()))
                self._sleeps = ticket, self._next
            elif self._waiting and (self._sleeps[0] is not self._waiting[0] or self._next < self._sleeps[1]):
                self._waiting[0].inbox.put(None)  # it looks after the time for all
        if self._ended:
            self._settle_if_free()
        return patience

    def _settle_if_free(self) -> None:
        """Send what may be sent, unless a thread is in the middle of that: then it looks again."""
        while self._ended and self._lock.acquire(blocking=False):
            try:
                self._dispatch()
                if self._waiting:
                    self._waiting[0].inbox.put(None)
            finally:
                self._lock.release()

    def _dispatch(self) -> None:
        while self._ended:
            self._held.discard(self._ended.popleft())
        now = time.monotonic()
        self._next = NEVER
        behind: set[Server] = set()
        for ticket in list(self._waiting):
            if ticket.server in behind or not self._has_place(ticket.place):
                continue  # of those behind it, replies that have a place may send again: they free theirs only then
            is_crowded = len(self._waiting) > 1 or len(ticket.server.flying) > 1
            wait = ticket.server.wait(ticket.tokens, now, is_crowded)
            if wait > 0:  # another server may be free
                behind.add(ticket.server)
                self._next = min(self._next, now + wait)
                continue
            wait = self._wait(ticket, now, is_crowded)
            if wait > 0:  # all wait for it, in their order
                self._next = min(self._next, now + wait)
                return
            self._send(ticket, now)

    def _wait(self, ticket: _Ticket, now: float, is_crowded: bool) -> float:
        """The seconds until the limits that are for all servers have room."""
        requests = 0.0 if self._requests is None else self._requests.wait(1, now, is_crowded)
        tokens = 0.0 if self._tokens is None else self._tokens.wait(ticket.tokens, now, is_crowded)
        return max(requests, tokens)

    def _has_place(self, place: Place) -> bool:
        if self._at_once is None or place.is_held or len(self._held) < self._at_once:
            return True
        # A reply that is read by a thread that waits for this one would never end.
        return any(other.thread in place.threads or place.thread in other.threads for other in self._held)

    def _send(self, ticket: _Ticket, now: float) -> None:
        slot = Slot(ticket.server, ticket.tokens, now)
        if self._requests is not None:
            self._requests.add(slot, 1)
        if self._tokens is not None:
            self._tokens.add(slot, slot.tokens)
        ticket.server.send(slot)
        if not ticket.place.is_held:
            ticket.place.is_held = True
            self._held.add(ticket.place)
        ticket.slot = slot
        self._waiting.remove(ticket)
        ticket.inbox.put(None)
