"""How far a batch is."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from agentkit._lazy.records import dataclass

WINDOW = 60.0
"""Seconds from which the rate is taken."""
WHOLE = "answer"
"""Why a run has ended whose answer no limit has cut off."""
NAMED = 3
"""How many ids are kept of each kind of failure."""


@dataclass(frozen=True)
class Failures:
    """Failures of one kind. count: how many. ids: of the first of them. message: that of the first."""

    count: int
    ids: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Stats:
    """A batch at one moment.

    total: items of the input. before: those that have a record of an earlier start (until all of the input is read, as
    many as the answers file has); failed_before: those of them without an answer. done: records of this start; failed:
    those of them without an answer. in_flight: items in progress. at_once: how many may be. requests: sent to servers;
    refused: those of them that a server refused because of its load, as far as records have come. cost: None where a
    part of it is not known. seconds: since the start. rate: records per second, in the last minute. seconds_left: at
    this rate, None before there is one. failures: by the type of the error, of this start. stopped: of this
    start, answers that a limit has ended or cut off ("length", "content_filter", "turns", ...), by what did.
    """

    total: int
    before: int
    failed_before: int
    done: int
    failed: int
    in_flight: int
    at_once: int
    requests: int
    refused: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float
    rate: float
    seconds_left: float | None
    failures: Mapping[str, Failures] = field(default_factory=dict)
    stopped: Mapping[str, Failures] = field(default_factory=dict)


class Counting:
    """Counts the records of a batch; thread-safe. The threads that bring records never wait for each other: a record
    that comes while another is counted is counted with the next, or when somebody asks."""

    def __init__(self, total: int, before: int, failed_before: int = 0) -> None:
        self._lock = threading.Lock()
        self._coming: deque[tuple[Mapping[str, Any], int]] = deque()  # (record, second)
        self._total, self._failed_before = total, failed_before
        self._before = min(before, total)
        self._done = self._failed = self._requests = self._refused = self._input = self._output = 0
        self._cost: float | None = 0.0
        self._kinds: dict[str, Failures] = {}
        self._stopped: dict[str, Failures] = {}
        self._started = time.monotonic()
        self._seconds: deque[tuple[int, int]] = deque()  # (second, records in it), those that have ended
        self._second = self._in_second = 0

    def before_were(self, count: int, failed: int) -> None:
        """Say how many items of the input had a record of an earlier start, and how many of these had failed: the file
        may have records of other items."""
        with self._lock:
            self._before, self._failed_before = count, failed

    def spent(self, record: Mapping[str, Any]) -> None:
        """Take what a run has spent that was stopped before it had an outcome."""
        with self._lock:
            self._count_spent(record)

    def count(self, record: Mapping[str, Any]) -> None:
        """Take a record."""
        self._coming.append((record, int(time.monotonic() - self._started)))
        if self._lock.acquire(blocking=False):
            try:
                self._count_all()
            finally:
                self._lock.release()

    def _count_all(self) -> None:
        while self._coming:
            record, now = self._coming.popleft()
            self._done += 1
            self._count_spent(record)
            if not record.get("ok"):
                self._count_failure(record)
            elif record.get("stopped", WHOLE) != WHOLE:
                _count_kind(self._stopped, str(record["stopped"]), record, "")
            if now > self._second:
                self._begin_second(now)
            self._in_second += 1

    def _begin_second(self, now: int) -> None:
        self._seconds.append((self._second, self._in_second))
        self._second, self._in_second = now, 0
        while self._seconds and self._seconds[0][0] < now - WINDOW:
            self._seconds.popleft()

    def _count_spent(self, record: Mapping[str, Any]) -> None:
        usage, refusals, cost = record.get("usage"), record.get("refusals", 0), record.get("cost")
        self._requests += refusals
        self._refused += refusals
        if usage:
            self._requests += usage.get("requests", 0)
            self._input += usage.get("input_tokens", 0)
            self._output += usage.get("output_tokens", 0)
        if self._cost is not None and (cost is not None or usage):
            self._cost = None if cost is None else self._cost + cost

    def _count_failure(self, record: Mapping[str, Any]) -> None:
        self._failed += 1
        error = record.get("error") or {}
        kind = f"{error.get('type')}" + (f" {error['status']}" if error.get("status") else "")
        _count_kind(self._kinds, kind, record, str(error.get("message") or ""))

    def stats(self, in_flight: int, at_once: int) -> Stats:
        """The batch at this moment."""
        with self._lock:
            self._count_all()
            seconds = time.monotonic() - self._started
            last = (self._second, self._in_second)
            recent = sum(count for second, count in (*self._seconds, last) if second >= seconds - WINDOW)
            rate = recent / max(1.0, min(seconds, WINDOW))
            left = self._total - self._before - self._done
            return Stats(
                self._total,
                self._before,
                self._failed_before,
                self._done,
                self._failed,
                in_flight,
                at_once,
                self._requests,
                self._refused,
                self._input,
                self._output,
                self._cost,
                seconds,
                rate,
                left / rate if rate else None,
                dict(self._kinds),
                dict(self._stopped),
            )


def _count_kind(kinds: dict[str, Failures], kind: str, record: Mapping[str, Any], message: str) -> None:
    known = kinds.get(kind, Failures(0, (), message))
    kinds[kind] = Failures(known.count + 1, (*known.ids, str(record["id"]))[:NAMED], known.message)
