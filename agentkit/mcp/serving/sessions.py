"""The sessions of clients over HTTP that have begun with `initialize`."""

import secrets
import threading
import time
from collections import OrderedDict

from agentkit.mcp.serving.link import Session

MAX_SESSIONS = 1000
"""How many are kept; the one that was used longest ago is forgotten first."""
IDLE_SECONDS = 86_400.0
"""For how long one is kept that is not used. Some clients don't begin a new one when theirs is gone."""


class Sessions:
    """Sessions by their ids. Threads share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, session: Session) -> str:
        """Keep a new session; returns its id."""
        number = secrets.token_hex(16)
        with self._lock:
            self._kept[number] = (session, time.monotonic())
            oldest = self._too_old()
        for each in oldest:
            each.close()
        return number

    def find(self, number: str) -> Session | None:
        """The session of an id, which is in use now; None when there is none any more."""
        with self._lock:
            found = self._kept.pop(number, None)
            if found is None or time.monotonic() - found[1] > IDLE_SECONDS:
                return None
            self._kept[number] = (found[0], time.monotonic())
            return found[0]

    def close(self, number: str) -> bool:
        """End a session and its calls; returns whether there was one."""
        with self._lock:
            found = self._kept.pop(number, None)
        if found is not None:
            found[0].close()
        return found is not None

    def close_all(self) -> None:
        """End all sessions."""
        for number in list(self._kept):
            self.close(number)

    def _too_old(self) -> list[Session]:
        gone = []
        while self._kept:
            number, (session, used) = next(iter(self._kept.items()))
            if len(self._kept) <= MAX_SESSIONS and time.monotonic() - used <= IDLE_SECONDS:
                break
            del self._kept[number]
            gone.append(session)
        return gone
