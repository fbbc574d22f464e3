"""How fast the runs of a batch may go in this process: the gate of each server that they send requests to.

    paces = ServerPaces(4, 16, 128)
    with paces.run() as tally:
        agent.run("Hello")          # its requests wait for their turns, and those of nested agents and judges too
    tally.requests, tally.refusals

One number per server, found by trying (`agentkit.batch.limit`), says how many requests may be in flight there, and how
many runs there should be. A refused request waits where it is and is sent again, as often as it takes.
"""

import errno
import itertools
import socket
import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._lazy.modules import loaded
from agentkit._text import without_credentials
from agentkit._threads import SUBMITTERS
from agentkit.batch.gate import MAX_CLOSED, NEVER, Gate
from agentkit.batch.limit import MAXIMUM, MINIMUM, START, Limit
from agentkit.net.abort import Aborted, stop_on_abort
from agentkit.net.error_text import causes_of
from agentkit.net.error_words import status_of
from agentkit.net.gates import REFUSALS, Gates
from agentkit.net.rate_headers import Told, told_by

SLEEP = 5.0
"""Seconds after which a thread that waits looks again, whatever happens; Windows does not interrupt a longer wait."""
UNREACHABLE = 600.0
"""Seconds for which a server is waited for that has answered, and then says 503, or can't be reached: it is being
started again, or the network is away."""
SILENT = 5.0
"""Seconds without any answer of a server after which it is it that is away where a proxy says so, and not one request
that it can't answer."""
OF_PROXIES = frozenset({502, 521, 522, 523, 530})
"""Statuses with which proxies (nginx, Cloudflare and their tunnels) say that they can't reach the server."""
_NO_WAY = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL))
RECENT = 5.0
"""Seconds without a request after which a server no longer counts in how many runs there should be."""
MAX_SERVERS = 1000


class Tally(Gates):
    """One run, as a context manager: what is sent within it, also in threads of `WORKERS` that it starts, waits for its
    turns, and is counted. requests: to model servers, with those that were refused. refusals: because of a server's
    load. place: of the run among all, in the order of which requests are sent. patient_until: when (`time.monotonic`)
    it no longer waits for a server that refuses. has_given_up: whether it has ended for that."""

    has_given_up = False

    def __init__(self, paces: "ServerPaces", place: int, patient_until: float = NEVER) -> None:
        self.place = place
        self.patient_until = patient_until
        self.requests = self.refusals = 0
        self._paces = paces
        self._begun_by = SUBMITTERS.get()

    def turn(self, url: str) -> "_Turn":
        """See `agentkit.net.gates.Gates.turn`."""
        waiting = SUBMITTERS.get()
        return self._paces.turn(url, self, waiting - self._begun_by if waiting else waiting)


class _Server:
    """A gate, and who waits there, in order. senders: how many requests each thread has sent that have not ended;
    waiters: how many of them each other thread waits for. seen: the number that counts in how many runs there should
    be. next: when the first one may be sent. sleeper: who wakes up by itself, and when."""

    def __init__(self, limit: Limit) -> None:
        self.gate = Gate(limit)
        self.waiting: list[_Turn] = []
        self.senders: dict[int, int] = {}
        self.waiters: dict[int, int] = {}
        self.used = 0.0
        self.seen = 0
        self.has_answered = False
        self.next = NEVER
        self.sleeper: tuple[_Turn | None, float] = (None, 0.0)

    def is_let_through(self, turn: "_Turn") -> bool:
        """Whether a request would wait for itself: one that its thread has sent, or one of those that wait for that."""
        is_of_thread = turn.thread in self.senders or turn.thread in self.waiters
        return is_of_thread or not self.senders.keys().isdisjoint(turn.others)

    def took_off(self, turn: "_Turn") -> None:
        """A request is sent."""
        self.senders[turn.thread] = self.senders.get(turn.thread, 0) + 1
        for thread in turn.others:
            self.waiters[thread] = self.waiters.get(thread, 0) + 1

    def landed(self, turn: "_Turn") -> None:
        """One that was sent has ended."""
        _less(self.senders, turn.thread)
        for thread in turn.others:
            _less(self.waiters, thread)


def _less(counts: dict[int, int], key: int) -> None:
    count = counts.pop(key)
    if count > 1:
        counts[key] = count - 1


class _Turn:
    """See `agentkit.net.gates.Turn`. others: the threads that wait for it, but for its own. sent: when; 0.0 before it
    is. What becomes of it is told to the paces once."""

    inbox: SimpleQueue[None] | None = None
    is_stopped = False
    sent = 0.0
    begun = 0
    status = 0
    _is_over = False
    _is_refused = False

    def __init__(self, paces: "ServerPaces", server: _Server, tally: Tally, others: frozenset[int]) -> None:
        self._paces = paces
        self.server = server
        self.tally = tally
        self.thread = threading.get_ident()
        self.others = others

    def stop(self) -> None:
        """Wait no longer."""
        self.is_stopped = True
        self.wake()

    def wake(self) -> None:
        """Have its thread look again."""
        if self.inbox is not None:
            self.inbox.put(None)

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """See `agentkit.net.gates.Turn.answered`."""
        self.status = status
        if status in OF_PROXIES and self._is_server_away():
            self._is_refused = True
            self._end(_REFUSED, told_by(headers).retry_after)
            return
        if status not in REFUSALS and "ratelimit" not in " ".join(headers.keys()).lower():
            return
        told = told_by(headers)
        seconds = _seconds_without(told)
        if status in REFUSALS:
            self._is_refused = True
            self._end(_REFUSED, seconds if told.retry_after is None else told.retry_after)
        elif seconds is not None:
            self.hold(seconds)

    def failed(self, error: BaseException) -> None:
        """See `agentkit.net.gates.Turn.failed`."""
        status, response = getattr(error, "status_code", None), getattr(error, "response", None)
        if (status in REFUSALS or status in OF_PROXIES) and response is not None:  # of a client with retries of its own
            self.answered(status, response.headers)
            if self._is_refused:
                return
        self._is_refused = self.server.has_answered and is_no_connection(error)
        self._end(_REFUSED if self._is_refused else _FAILED, None)

    def ended(self) -> None:
        """See `agentkit.net.gates.Turn.ended`."""
        self._end(_ANSWERED if 0 < self.status < 400 else _FAILED, None)

    def hold(self, seconds: float) -> None:
        """See `agentkit.net.gates.Turn.hold`."""
        self._paces.note(self, _HELD, seconds)

    def is_waited_out(self) -> bool:
        """See `agentkit.net.gates.Turn.is_waited_out`."""
        if not self._is_refused or self.status in (429, 529):
            return self._is_refused
        return self.server.gate.silent(time.monotonic()) < UNREACHABLE

    def _is_server_away(self) -> bool:
        """Whether the server has answered, and none of the requests of the last seconds."""
        gate = self.server.gate
        return gate.has_answered and gate.silent(time.monotonic()) >= SILENT

    def _end(self, what: int, seconds: float | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._paces.note(self, what, seconds)

    def __del__(self) -> None:
        if self.sent and not self._is_over:  # nobody has read the response, nor closed it
            self._end(_FAILED, None)


_ANSWERED, _FAILED, _REFUSED, _HELD = range(4)


class ServerPaces:
    """The gates of all servers, in this process; thread-safe. minimum, start, maximum: how many requests each may have
    in flight; all the same: so many. In a forked child it begins anew.

    A request of a run waits until its server can take it, in the order of the runs. One whose thread has not read the
    last response yet, or works for a thread that has not, is let through: it would wait for itself.
    """

    def __init__(self, minimum: int = MINIMUM, start: int = START, maximum: int = MAXIMUM) -> None:
        self._limits = minimum, min(max(start, minimum), maximum), maximum
        self._lock = freed_by_forks(threading.Lock())
        self._callbacks: list[Callable[[], object]] = []
        self.renew_in_child()
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: nobody waits, and nothing was sent."""
        self._servers: dict[str, _Server] = {}
        self._by_url: dict[str, _Server] = {}
        self._ended: deque[tuple[_Turn, int, float | None, float]] = deque()
        self._runs = itertools.count(1)
        self.width = self._told = self._limits[1]

    def run(self, patient_until: float = NEVER) -> Tally:
        """A run that this thread begins; see `Tally`."""
        return Tally(self, next(self._runs), patient_until)

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called when `width`, how many runs there should be, has changed. It is called in threads that
        send requests, perhaps by a finalizer: it returns at once, and a lock of its own is an RLock. Returns what ends
        that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def servers(self) -> dict[str, int]:
        """How many requests may be in flight, by the addresses of servers."""
        return {address: server.gate.limit.value for address, server in list(self._servers.items())}

    # What turns call

    def turn(self, url: str, tally: Tally, others: frozenset[int]) -> _Turn:
        """Wait until a request may be sent. others: the threads that wait for it, but for this one. Raises Aborted when
        it is aborted meanwhile, or its run has given up."""
        with self._lock:
            server = self._by_url.get(url) or self._server(url)
            turn = _Turn(self, server, tally, others)
            now = time.monotonic()
            if not server.waiting and server.gate.wait(now) == 0:
                self._send(turn, now)
        if not turn.sent:
            self._wait(turn)
        elif self._ended:
            self._settle_if_free()
        return turn

    def note(self, turn: _Turn, what: int, seconds: float | None) -> None:
        """Something has become of a request. It waits for no lock: a finalizer may do it, in the middle of this."""
        self._ended.append((turn, what, seconds, time.monotonic()))
        self._settle_if_free()

    def _server(self, url: str) -> _Server:
        address = "/".join(url.split("/", 3)[:3])
        found = self._servers.get(address)
        if found is None and "@" in address:
            address = "/".join(without_credentials(url).split("/", 3)[:3])
            found = self._servers.get(address)
        if found is None:
            if len(self._servers) >= MAX_SERVERS:
                self._servers = {key: each for key, each in self._servers.items() if each.senders or each.waiting}
                self._by_url.clear()
            found = self._servers[address] = _Server(Limit(*self._limits))
        if len(self._by_url) >= MAX_SERVERS:
            self._by_url.clear()
        self._by_url[url] = found
        return found

    def _send(self, turn: _Turn, now: float) -> None:
        server = turn.server
        turn.sent = server.used = now
        turn.begun = server.gate.send(now)
        turn.tally.requests += 1
        server.took_off(turn)

    def _wait(self, turn: _Turn) -> None:
        """Wait until a request is sent."""
        server = turn.server
        turn.inbox = SimpleQueue()
        stop_on_abort(turn.stop)
        with self._lock:
            insort(server.waiting, turn, key=lambda each: each.tally.place)
        try:
            while True:
                patience = self._settle(turn)
                if turn.is_stopped:
                    raise Aborted
                if turn.sent:
                    return
                with suppress(Empty):
                    turn.inbox.get(timeout=_patience(turn, patience))
        except BaseException:
            with self._lock:
                if turn in server.waiting:
                    server.waiting.remove(turn)
                if server.waiting:
                    server.waiting[0].wake()
            raise  # one that was sent meanwhile has failed, when it is forgotten

    def _settle(self, turn: _Turn) -> float:
        """Send what may be sent; returns how many seconds the thread of a turn may sleep."""
        with self._lock:
            self._take_ended()
            server = turn.server
            self._admit(server)
            patience = SLEEP
            if server.waiting and server.waiting[0] is turn:
                patience = min(SLEEP, max(0.0, server.next - time.monotonic()))
                server.sleeper = turn, server.next
        if self.width != self._told:
            self._tell()
        return patience

    def _settle_if_free(self) -> None:
        """Send what may be sent, unless a thread is in the middle of that: then it looks again."""
        while self._ended and self._lock.acquire(blocking=False):
            try:
                self._take_ended()
            finally:
                self._lock.release()
        if self.width != self._told:
            self._tell()

    def _take_ended(self) -> None:
        while self._ended:
            turn, what, seconds, now = self._ended.popleft()
            server = turn.server
            self._end(turn, what, seconds, now)
            if server.gate.limit.value != server.seen:
                self._count_runs(server, now)
            if server.waiting:
                self._admit(server)

    def _end(self, turn: _Turn, what: int, seconds: float | None, now: float) -> None:
        server, gate = turn.server, turn.server.gate
        if what == _HELD:
            gate.close(min(seconds or 0.0, MAX_CLOSED), now)
            return
        server.landed(turn)
        server.used = now
        server.has_answered = server.has_answered or turn.status > 0
        if what == _ANSWERED:
            gate.answered(turn.begun, now - turn.sent, now)
        elif what == _REFUSED:
            turn.tally.refusals += 1
            gate.refused(turn.begun, seconds, now)
        else:
            gate.failed()

    def _count_runs(self, server: _Server, now: float) -> None:
        """Find out how many runs there should be, where the number of a server has changed."""
        server.seen = server.gate.limit.value
        numbers = [each.gate.limit.value for each in self._servers.values() if now - each.used < RECENT or each.senders]
        self.width = min(sum(numbers), self._limits[2])

    def _admit(self, server: _Server) -> None:
        """Send what may be sent of those that wait for a server."""
        now = time.monotonic()
        waiting, gate = server.waiting, server.gate
        while waiting and gate.wait(now) == 0:
            self._send_waiting(server, waiting[0], now)
        while not gate.is_closed(now) and (through := [turn for turn in waiting if server.is_let_through(turn)]):
            for turn in through:
                self._send_waiting(server, turn, now)
        server.next = now + gate.wait(now) if waiting else NEVER
        first = server.waiting[0] if server.waiting else None
        if first is not None and (server.sleeper[0] is not first or server.next < server.sleeper[1]):
            first.wake()  # it looks after the time for all

    def _send_waiting(self, server: _Server, turn: _Turn, now: float) -> None:
        server.waiting.remove(turn)
        self._send(turn, now)
        turn.wake()

    def _tell(self) -> None:
        """Tell, without the lock, that the number of runs has changed."""
        self._told = self.width
        for callback in list(self._callbacks):
            callback()


def _seconds_without(told: Told) -> float | None:
    """The seconds for which nothing is left, of requests or of tokens; None: something is, or it is not said."""
    left = [each.seconds for each in (told.requests, told.tokens) if each is not None and each.remaining == 0]
    return max((seconds for seconds in left if 0 < seconds <= MAX_CLOSED), default=None)


def _patience(turn: _Turn, seconds: float) -> float:
    """The seconds that a request waits before it looks again, at most `seconds`. Raises Aborted where its run waits no
    longer for a server that refuses."""
    left = turn.tally.patient_until - time.monotonic()
    if left > 0:
        return min(seconds, left)
    if turn.server.gate.refuses_all:
        turn.tally.has_given_up = True
        raise Aborted
    return seconds


def is_no_connection(error: BaseException | None) -> bool:
    """Whether there was no connection: the server has no open port, its name is not found, or no way leads to it."""
    of_urllib3 = loaded("urllib3.exceptions", "ConnectTimeoutError")  # and what is derived from it
    kinds = (ConnectionRefusedError, socket.gaierror, *([of_urllib3] if of_urllib3 else ()))
    return any(isinstance(each, kinds) or getattr(each, "errno", None) in _NO_WAY for each in causes_of(error))


def is_not_there(error: BaseException) -> bool:
    """Whether a server could not be reached, or a proxy before it, or its own refusal of all, says that it is away."""
    return is_no_connection(error) or status_of(error) in (503, *OF_PROXIES)


class HasLimits(Protocol):
    """What says how many requests may be in flight, such as a job. at_once: the least, at first, at most."""

    @property
    def at_once(self) -> tuple[int, int, int]:
        """See above."""
        ...


class _Here:
    """The paces of this process."""

    def __init__(self) -> None:
        self.lock = freed_by_forks(threading.Lock())
        self.by_limits: dict[tuple[int, int, int], ServerPaces] = {}


_HERE = _Here()


def pace_here(job: HasLimits) -> ServerPaces:
    """The paces of this process for a job: one for all with the same limits."""
    with _HERE.lock:
        limits = job.at_once
        if limits not in _HERE.by_limits:
            _HERE.by_limits[limits] = ServerPaces(*limits)
        return _HERE.by_limits[limits]
