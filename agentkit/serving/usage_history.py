"""What each subject has spent, by day, in the session store: it outlives the process, and all workers share it."""

import hashlib
import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._threads import WORKERS
from agentkit.errors import SessionError
from agentkit.limits import Usage
from agentkit.message import system, text_of
from agentkit.record import stored_usage, usage_from
from agentkit.serving.outage import STORE_OUTAGE
from agentkit.session import INTERNAL, Sessions

WRITE_SECONDS = 300.0
"""Seconds between two writes of a subject's usage, so that a month has at most some thousand entries of a worker."""
MONTHS = 12
"""How many months, the running one counted, are read."""
MAX_WAITING = 10_000
"""How many subjects' usage waits to be written; that of more is lost while the store can't be used."""

_PREFIX = f"{INTERNAL}usage."


@dataclass(frozen=True)
class Spent:
    """What was spent. answers: how many answers were given."""

    answers: int = 0
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.answers + other.answers, self.usage + other.usage)


class UsageHistory:
    """The usage of all subjects. Thread-safe."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = freed_by_forks(threading.Lock())
        self._writing = freed_by_forks(threading.Lock())
        self._begin()
        renewed_by_forks(self)

    def _begin(self) -> None:
        self._waiting: dict[tuple[str, str], Spent] = {}
        self._written_at = float("-inf")

    def renew_in_child(self) -> None:
        """In a child: what waits is the parent's to write."""
        self._begin()

    def note(self, subject: str, usage: Usage) -> None:
        """Note the usage of an answer; it is written by another thread, soon or with what follows."""
        key, now = (subject, datetime.now(UTC).date().isoformat()), time.monotonic()
        with self._lock:
            if key in self._waiting or len(self._waiting) < MAX_WAITING:
                self._waiting[key] = self._waiting.get(key, Spent()) + Spent(1, usage)
            is_due = now - self._written_at >= WRITE_SECONDS
            if is_due:
                self._written_at = now
        if is_due:
            WORKERS.submit(self.write)

    def write(self) -> None:
        """Write what waits, and wait for another thread that does; what can't be written waits on."""
        with self._writing:
            self._write()

    def _write(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for (subject, day), spent in waiting.items():
            entry = {"day": day, "answers": spent.answers, "usage": stored_usage(spent.usage)}
            try:
                self._sessions[_key(subject, day[:7])].append([system(json.dumps(entry))])
            except SessionError as error:
                STORE_OUTAGE.note(f"usage is not written: {error}")
                self._keep(subject, day, spent)

    def _keep(self, subject: str, day: str, spent: Spent) -> None:
        with self._lock:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[subject, day] = spent + self._waiting.get((subject, day), Spent())

    def of(self, subject: str) -> dict[str, Spent]:
        """What a subject has spent, by day (ISO 8601, UTC), the latest first. Raises SessionError."""
        self.write()
        days: dict[str, Spent] = {}
        for month in _months(datetime.now(UTC)):
            for message in self._sessions[_key(subject, month)].messages:
                day, spent = _read(text_of(message))
                days[day] = days.get(day, Spent()) + spent
        return dict(sorted(days.items(), reverse=True))


def _read(text: str) -> tuple[str, Spent]:
    entry = json.loads(text)
    return str(entry["day"]), Spent(int(entry["answers"]), usage_from(entry["usage"]))


def _months(now: datetime) -> list[str]:
    count = now.year * 12 + now.month - 1
    return [f"{each // 12:04}-{each % 12 + 1:02}" for each in range(count, count - MONTHS, -1)]


def _key(subject: str, month: str) -> str:
    return f"{_PREFIX}{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.{month}"
