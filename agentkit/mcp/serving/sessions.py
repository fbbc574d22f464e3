"""The sessions of clients over HTTP that have begun with `initialize`."""

import secrets
import threading
import time
from collections import OrderedDict

from agentkit.mcp.serving.link import Session
from agentkit.mcp.serving.protocol import NO_ROOM, Refusal

MAX_SESSIONS = 1000
"""How many are kept; the one that was used longest ago is forgotten first, of those that have no call running."""
IDLE_SECONDS = 86_400.0
"""For how long one is kept that is not used. Some clients don't begin a new one when theirs is gone."""


class Sessions:
    """Sessions by their ids. Threads share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, session: Session) -> str:
        """Keep a new session; returns its id. Raises Refusal when there is no room."""
        number = secrets.token_hex(16)
        with self._lock:
            self._make_room()
            if len(self._kept) >= MAX_SESSIONS:
                why = f"the server is busy: {MAX_SESSIONS} sessions have calls that are running; try again later"
                raise Refusal(NO_ROOM, why)
            self._kept[number] = (session, time.monotonic())
        return number

    def find(self, number: str) -> Session | None:
        """The session of an id, which is in use now; None when there is none any more."""
        with self._lock:
            session, used = self._kept.pop(number, (None, 0.0))
            if session is None or (_is_old(used) and not session.is_running):
                return None
            self._kept[number] = (session, time.monotonic())
            return session

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

    def _make_room(self) -> None:
        """Forget the sessions that were not used for too long, and more while there is no room for another one. One
        with a call that is running stays."""
        for number, (session, used) in list(self._kept.items()):
            if len(self._kept) < MAX_SESSIONS and not _is_old(used):
                return
            if not session.is_running:
                del self._kept[number]


def _is_old(used: float) -> bool:
    return time.monotonic() - used > IDLE_SECONDS
