"""Texts by name, kept in a session of a store of their own, so that all who share the store know them."""

import threading

from agentkit.message import text_of
from agentkit.session import Sessions


class KeyValueStore:
    """Those of the session `session_id`. Shared by threads; what another process writes is read at the next look."""

    def __init__(self, sessions: Sessions, session_id: str) -> None:
        self._session = sessions[session_id]
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._read = 0

    def set(self, name: str, text: str, *, alone: bool = False) -> None:
        """Note a text; "" takes it away. alone: and forget all others. Raises SessionError."""
        self._session.append([{"role": "system", "name": name, "content": text, **({"alone": True} if alone else {})}])

    def add(self, name: str, text: str) -> str:
        """Note a text under a name that has none yet; gives what is noted there. Raises SessionError."""
        with self._session.hold() as writer:
            known = self.get(name)
            if known is None:
                writer.append([{"role": "system", "name": name, "content": text}])
        return known or text

    def get(self, name: str) -> str | None:
        """What is noted under a name. Raises SessionError."""
        with self._lock:
            self._catch_up()
            return self._known.get(name)

    def all(self) -> dict[str, str]:
        """What is noted, the oldest name first. Raises SessionError."""
        with self._lock:
            self._catch_up()
            return dict(self._known)

    def _catch_up(self) -> None:
        """Read what was written since the last look."""
        new = self._session.entries(self._read)
        self._read += len(new)
        for entry in new:
            self._take(entry.value)

    def _take(self, noted: dict[str, object]) -> None:
        name, text = str(noted.get("name")), text_of(noted)  # type: ignore[arg-type]
        if noted.get("alone"):
            self._known.clear()
        if text:
            self._known[name] = text
        else:
            self._known.pop(name, None)
