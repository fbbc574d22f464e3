"""The order in which the threads of a process get to write to a session: who came first is first.

Stores are asked for a lock again and again, by whoever waits, so that without an order the luckiest would be next.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from agentkit._forking import renewed_by_forks


class WaitingLines:
    """Who waits for which session, by id; thread-safe. In a child of a fork nobody waits."""

    def __init__(self) -> None:
        self.renew_in_child()
        renewed_by_forks(self)

    def __reduce__(self) -> tuple[type["WaitingLines"], tuple[()]]:
        return WaitingLines, ()  # who waits here does not wait elsewhere

    def renew_in_child(self) -> None:
        """See `agentkit._forking.Renewed`."""
        self._guard = threading.Lock()
        self._lines: dict[str, deque[threading.Event]] = {}

    def has_some(self, session_id: str) -> bool:
        """Whether anybody waits for a session."""
        return session_id in self._lines

    @contextmanager
    def place(self, session_id: str) -> Iterator[threading.Event]:
        """Stand in line for a session, behind those who do already. Yields what is set once this place is the first."""
        is_first = threading.Event()
        with self._guard:
            line = self._lines.setdefault(session_id, deque())
            line.append(is_first)
            line[0].set()
        try:
            yield is_first
        finally:
            with self._guard:
                line.remove(is_first)
                if line:
                    line[0].set()
                elif self._lines.get(session_id) is line:
                    del self._lines[session_id]
