"""In which order the bridges of a group answer the messages of one session.

Each of them gets some of the messages to answer; but all see all, and in the same order, since each is subscribed to
them a second time beside the group. All see the answers too. So each knows which messages of a session stand before the
one it has, and when they are answered. What a bridge that is gone had is waited for no longer than PATIENCE.
"""

import threading
from collections import deque

from agentkit.serving.mqtt.recent import Recent

PATIENCE = 5.0
"""Seconds that a message waits for those before it, when nobody is answering its session."""

COPY_SECONDS = 0.2
"""Seconds within which the second copy of a message comes."""

MOST = 50_000
"""Messages that are remembered, of those that wait and of those that are answered."""


class Order:
    """Shared by threads. A mark stands for a message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, deque[str]] = {}
        self._places: dict[str, str] = {}
        self._answered: Recent[str, bool] = Recent(MOST)

    def heard(self, session: str, mark: str) -> None:
        """A message of a session was published."""
        with self._lock:
            if mark in self._places or mark in self._answered:
                return  # the same request once more
            if len(self._places) >= MOST:
                self._drop(next(iter(self._places)))
            self._places[mark] = session
            self._lines.setdefault(session, deque()).append(mark)

    def done(self, mark: str, is_known_again: bool) -> None:
        """A message was answered, by whoever. is_known_again: whether another message with this mark is the same."""
        with self._lock:
            self._drop(mark)
            if is_known_again:
                self._answered[mark] = True

    def is_first(self, session: str, mark: str, waited: float) -> bool:
        """Whether nothing stands before a message. waited: seconds since it came."""
        with self._lock:
            line = self._lines.get(session)
            if line is None or mark not in self._places:
                return waited > COPY_SECONDS
            return line[0] == mark

    def pass_over(self, session: str, mark: str) -> None:
        """Forget what stands before a message."""
        with self._lock:
            line = self._lines.get(session, deque())
            while line and line[0] != mark and mark in self._places:
                self._drop(line[0])

    def _drop(self, mark: str) -> None:
        session = self._places.pop(mark, None)
        if session is None:
            return
        line = self._lines[session]
        line.remove(mark)
        if not line:
            del self._lines[session]
