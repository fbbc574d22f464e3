"""A model server and those who ask it, in simulated time: what `agentkit.batch.gate` makes of caps, rates and queues.

outcome = simulate(Server(cap=40), items=2000)
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agentkit.batch.gate import NEVER, Gate
from agentkit.batch.limit import Limit

REFUSING = 0.002
"""Seconds that a refusal takes."""


@dataclass
class Server:
    """cap: how many requests it takes at once. rate, burst: how many a second, and how many at once after a pause.
    slots: how many it answers at once; others wait in its queue. noise: the share that it refuses for no reason. asks:
    the seconds of its Retry-After. service: seconds of an answer, given the time. down: refuses everything between
    these times. Each may be changed by `changes` at a time."""

    cap: int | None = None
    rate: float | None = None
    burst: float = 100.0
    slots: int | None = None
    noise: float = 0.0
    asks: float | None = None
    service: Callable[[random.Random, float], float] = lambda random, now: 0.2
    down: tuple[float, float] = (0.0, 0.0)
    changes: list[tuple[float, str, float]] = field(default_factory=list)


@dataclass
class Outcome:
    """seconds: until all was answered. refused: requests. times: when each was answered. latencies: of each, from when
    it was sent. limits: the number, at the time of each answer. most: in flight at once."""

    seconds: float
    refused: int
    sent: int
    times: list[float]
    latencies: list[float]
    limits: list[int]
    most: int

    def rate(self, begin: float = 0.0, end: float = NEVER) -> float:
        """Answers a second between two times."""
        end = min(end, self.times[-1])
        return sum(begin <= each < end for each in self.times) / (end - begin)

    @property
    def share_refused(self) -> float:
        return self.refused / self.sent


class _Running:
    def __init__(self, server: Server, items: int, limit: Limit, seed: int) -> None:
        self.server, self.gate, self.random = server, Gate(limit), random.Random(seed)
        self.waiting, self.busy, self.queue = items, 0, deque[tuple[int, float, float]]()
        self.tokens, self.refilled = server.burst, 0.0
        self.events: list[tuple[float, int, str, int, float]] = []
        self.numbers = itertools.count()
        self.next_look = NEVER
        self.outcome = Outcome(0.0, 0, 0, [], [], [], 0)

    def at(self, time: float, what: str, begun: int = 0, sent: float = 0.0) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), what, begun, sent))

    def is_refused(self, now: float) -> bool:
        server = self.server
        if server.down[0] <= now < server.down[1] or self.random.random() < server.noise:
            return True
        if server.cap is not None and self.busy >= server.cap:
            return True
        if server.rate is not None:
            self.tokens = min(server.burst, self.tokens + (now - self.refilled) * server.rate)
            self.refilled = now
            if self.tokens < 1:
                return True
            self.tokens -= 1
        return False

    def arrive(self, now: float, begun: int) -> None:
        if self.is_refused(now):
            self.at(now + REFUSING, "refused", begun, now)
            return
        seconds = self.server.service(self.random, now)
        if self.server.slots is not None and self.busy >= self.server.slots:
            self.queue.append((begun, now, seconds))
            return
        self.busy += 1
        self.at(now + seconds, "answered", begun, now)

    def leave(self, now: float) -> None:
        self.busy -= 1
        while self.queue and self.busy < (self.server.slots or 0):
            begun, sent, seconds = self.queue.popleft()
            self.busy += 1
            self.at(now + seconds, "answered", begun, sent)

    def fill(self, now: float) -> None:
        while self.waiting:
            wait = self.gate.wait(now)
            if wait:
                if now + wait < self.next_look - 1e-6:
                    self.next_look = now + wait + 1e-9
                    self.at(self.next_look, "look")
                return
            self.waiting -= 1
            begun = self.gate.send(now)
            self.outcome.sent += 1
            self.outcome.most = max(self.outcome.most, self.gate.in_flight)
            self.arrive(now, begun)

    def run(self) -> Outcome:
        for time, name, value in self.server.changes:
            self.at(time, f"{name}={value}")
        self.fill(0.0)
        out = self.outcome
        while self.events and (self.waiting or self.gate.in_flight):
            now, _, what, begun, sent = heapq.heappop(self.events)
            if what == "answered":
                self.leave(now)
                self.gate.answered(begun, now - sent, now)
                out.times.append(now)
                out.latencies.append(now - sent)
                out.limits.append(self.gate.limit.value)
            elif what == "refused":
                self.gate.refused(begun, self.server.asks, now)
                out.refused += 1
                self.waiting += 1
            elif what == "look":
                self.next_look = NEVER if now >= self.next_look else self.next_look
            else:
                name, _, changed = what.partition("=")
                setattr(self.server, name, float(changed))
            self.fill(now)
        out.seconds = out.times[-1]
        return out


def simulate(server: Server, items: int, limit: tuple[int, int, int] = (4, 16, 128), seed: int = 0) -> Outcome:
    return _Running(server, items, Limit(*limit), seed).run()
