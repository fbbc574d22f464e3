"""A key-value store of texts, kept in a session, so that all processes that use the session store share it."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit.message import text_of
from agentkit.session import Sessions
from agentkit.sessions.log import Entry

MAX_OUTDATED = 100
"""Of how many entries that later ones have made void a log is not written anew, unless they are most of it."""


class KeyValueStore:
    """Key-value pairs stored in the session `session_id`. Thread-safe; each read picks up writes of other processes."""

    def __init__(self, sessions: Sessions, session_id: str) -> None:
        self._session = sessions[session_id]
        self._lock = freed_by_forks(threading.Lock())
        self._known: dict[str, str] = {}
        self._read = 0
        self._last: Entry | None = None
        renewed_by_forks(self)

    def renew_in_child(self) -> None:
        """In a child: read everything again, since another thread may have been about to note what it had read."""
        self._begin()

    def _begin(self) -> None:
        self._known, self._read, self._last = {}, 0, None

    def set(self, name: str, text: str, *, alone: bool = False) -> None:
        """Set the text of a name; "" deletes the name. alone: delete all other names. Raises SessionError."""
        self.change(lambda known: {**(dict.fromkeys(known, "") if alone else {}), name: text})

    def add(self, name: str, text: str) -> str:
        """Set the text of a name unless it has one; returns the stored text. Raises SessionError."""
        with self._session.hold() as writer:
            known = self.get(name)
            if known is None:
                writer.append([_stored(name, text)])
        return known or text

    def change(self, made: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Set the names that `made` returns, "" deletes one, all together. Of what is deleted nothing stays in the
        store. made: called with all names and texts, which nobody else can change meanwhile; what it raises is raised,
        and nothing is set. Raises SessionError."""
        with self._session.hold() as writer:
            known = self.all()
            changed = {name: text for name, text in made(known).items() if text or name in known}
            left = {name: text for name, text in {**known, **changed}.items() if text}
            is_outdated = self._read + len(changed) > 2 * len(left) + MAX_OUTDATED
            if len(left) < len({**known, **changed}) or is_outdated:
                log = [_stored(name, text) for name, text in left.items()] or [_stored("", "")]
                if writer.replace(log):
                    return
            writer.append([_stored(name, text) for name, text in changed.items()])

    def get(self, name: str) -> str | None:
        """Return the text of a name, or None. Raises SessionError."""
        with self._lock:
            self._catch_up()
            return self._known.get(name)

    def first(self, *names: str) -> str | None:
        """Return the text of the first of some names that has one, or None. Raises SessionError."""
        with self._lock:
            self._catch_up()
            return next((text for name in names if (text := self._known.get(name))), None)

    def all(self) -> dict[str, str]:
        """Return all names and texts, oldest name first. Raises SessionError."""
        with self._lock:
            self._catch_up()
            return dict(self._known)

    def _catch_up(self) -> None:
        """Read the entries written since the last read. Where the log is not the one that was read, since the store has
        lost its data or the session was deleted, it is read from its beginning."""
        new = self._session.entries(max(0, self._read - 1))
        if self._last is not None and new[:1] != [self._last]:
            self._begin()
            new = self._session.entries()
        elif self._last is not None:
            new = new[1:]
        for entry in new:
            self._apply(entry.value)
        self._read += len(new)
        self._last = new[-1] if new else self._last

    def _apply(self, stored: dict[str, object]) -> None:
        name, text = str(stored.get("name")), text_of(stored)  # type: ignore[arg-type]
        if stored.get("alone"):
            self._known.clear()
        if text:
            self._known[name] = text
        else:
            self._known.pop(name, None)


def _stored(name: str, text: str) -> dict[str, Any]:
    return {"role": "system", "name": name, "content": text}
