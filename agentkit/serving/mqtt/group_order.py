"""In which order the bridges of a group answer the messages of one session.

Each of them gets some of the messages to answer; but all see all, and in the same order, since each is subscribed to
them a second time beside the group. All see the answers too. So each knows which messages of a session stand before the
one it has, and when they are answered. What a bridge that is gone had is waited for no longer than PATIENCE.
"""

import threading
from collections import deque

from cachetools import FIFOCache

PATIENCE = 5.0
"""Seconds that a message waits for those before it, when nobody is answering its session."""

COPY_SECONDS = 0.2
"""Seconds within which the second copy of a message comes."""

MAX_MESSAGES = 50_000
"""Messages that are remembered, of those that wait and of those that are answered."""


class GroupOrder:
    """Shared by threads. A mark stands for a message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, deque[str]] = {}
        self._places: dict[str, str] = {}
        self._answered: FIFOCache[str, bool] = FIFOCache(MAX_MESSAGES)

    def heard(self, session: str, message_id: str) -> None:
        """A message of a session was published."""
        with self._lock:
            if message_id in self._places or message_id in self._answered:
                return  # the same request once more
            if len(self._places) >= MAX_MESSAGES:
                self._drop(next(iter(self._places)))
            self._places[message_id] = session
            self._lines.setdefault(session, deque()).append(message_id)

    def done(self, message_id: str, is_retry: bool) -> None:
        """A message was answered, by whoever. is_known_again: whether another message with this mark is the same."""
        with self._lock:
            self._drop(message_id)
            if is_retry:
                self._answered[message_id] = True

    def is_first(self, session: str, message_id: str, waited: float) -> bool:
        """Whether nothing stands before a message. waited: seconds since it came."""
        with self._lock:
            line = self._lines.get(session)
            if line is None or message_id not in self._places:
                return waited > COPY_SECONDS
            return line[0] == message_id

    def pass_over(self, session: str, message_id: str) -> None:
        """Forget what stands before a message."""
        with self._lock:
            line = self._lines.get(session, deque())
            while line and line[0] != message_id and message_id in self._places:
                self._drop(line[0])

    def _drop(self, message_id: str) -> None:
        session = self._places.pop(message_id, None)
        if session is None:
            return
        line = self._lines[session]
        line.remove(message_id)
        if not line:
            del self._lines[session]
