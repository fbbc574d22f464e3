"""Forgets what is kept in the session store for a time and in a number that are limited."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit.errors import SessionError
from agentkit.session import Sessions

PRUNE_SECONDS, PRUNE_AFTER = 60.0, 100
"""Seconds, and entries that are added, after which it is looked for what is to be forgotten."""


class Pruning:
    """Forgets the sessions under a prefix that are too old, and the oldest of what is too much. Thread-safe.

    owner_of: the owner of a session, by its id without the prefix; one for all where none is given.
    """

    def __init__(self, sessions: Sessions, prefix: str, owner_of: Callable[[str], str] = lambda _: "") -> None:
        self._sessions = sessions
        self._prefix = prefix
        self._owner_of = owner_of
        self._lock = freed_by_forks(threading.Lock())
        self.renew_in_child()
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: look at the next addition."""
        self._pruned_at, self._added = float("-inf"), 0

    def note_addition(self, max_age: float, max_kept: int) -> None:
        """Forget what is to be forgotten, if it is time to. max_age: of a session, in seconds. max_kept: sessions of
        one owner. Raises SessionError."""
        with self._lock:
            self._added += 1
            if time.monotonic() < self._pruned_at + PRUNE_SECONDS and self._added < PRUNE_AFTER:
                return
            self._pruned_at, self._added = time.monotonic(), 0
        counts: Counter[str] = Counter()
        oldest = datetime.now(UTC) - timedelta(seconds=max_age)
        for info in self._sessions.list(self._prefix):
            owner = self._owner_of(info.id.removeprefix(self._prefix))
            counts[owner] += 1
            if counts[owner] > max_kept or info.updated < oldest:
                with contextlib.suppress(SessionError):
                    self._sessions.delete(info.id, wait=0.0)
