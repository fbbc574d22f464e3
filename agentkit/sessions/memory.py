"""Sessions in the memory of this process."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pickle import PicklingError
from typing import Any

from agentkit._forking import take_part_in_forks
from agentkit._lazy.records import dataclass, field
from agentkit.errors import ConfigurationError
from agentkit.session import SessionInfo, Sessions, busy
from agentkit.sessions.log import Marks


@dataclass
class _Stored:
    """A session. marks: the number of the entry that each mark names."""

    created: datetime
    updated: datetime = field(init=False)
    entries: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.updated = self.created


class MemorySessions(Sessions):
    """Sessions in the memory of this process; they are lost when it ends.

    wait: seconds that a writer waits for another to finish.
    """

    def __init__(self, wait: float = 30.0) -> None:
        super().__init__(wait)
        self._guard = threading.RLock()
        self._stored: dict[str, _Stored] = {}
        self._locks: dict[str, threading.Lock] = {}
        take_part_in_forks(self)

    def __reduce__(self) -> tuple[Any, ...]:
        raise PicklingError(
            "sessions in memory are those of one process: use a file or a server for several, such as "
            'SQLiteSessions("chat.db")'
        )

    def close(self) -> None:
        """Does nothing: there are no resources to release."""

    def before_fork(self) -> None:
        self._guard.acquire()

    def after_fork(self, is_child: bool) -> None:
        if is_child:  # a child has a copy of the sessions, which none of its parent's threads writes to
            self._guard, self._locks = threading.RLock(), {}
        else:
            self._guard.release()

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        self._append_marked(session_id, entries, blobs, lock, Marks())

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any, marks: Marks
    ) -> None:
        with self._guard:
            stored = self._stored.setdefault(session_id, _Stored(datetime.now(UTC)))
            if marks.dropped_from is not None:
                stored.marks = {name: place for name, place in stored.marks.items() if place < marks.dropped_from}
            stored.marks |= {name: len(stored.entries) + index for name, index in marks.places.items()}
            stored.entries += entries
            stored.blobs |= blobs
            stored.updated = max(stored.created, datetime.now(UTC))  # the clock may have been set back

    def _replace(self, session_id: str, entries: Sequence[str], lock: Any) -> bool:
        with self._guard:
            self._stored[session_id] = _Stored(datetime.now(UTC), entries=[*entries])
        return True

    def _mark(self, session_id: str, name: str) -> int | None:
        with self._guard:
            stored = self._stored.get(session_id)
            return None if stored is None else stored.marks.get(name)

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        with self._guard:
            stored = self._stored.get(session_id)
            return [] if stored is None else stored.entries[start : None if count is None else start + count]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        with self._guard:
            stored = self._stored.get(session_id)
            return None if stored is None else stored.blobs.get(digest)

    def _list(self) -> Iterable[SessionInfo]:
        return self._list_prefix("")

    def _list_prefix(self, prefix: str) -> Iterable[SessionInfo]:
        with self._guard:
            found = [(id_, stored) for id_, stored in self._stored.items() if id_.startswith(prefix)]
            return [SessionInfo(id_, len(each.entries), each.created, each.updated) for id_, each in found]

    def _delete(self, session_id: str) -> None:
        with self._guard:
            self._stored.pop(session_id, None)
            self._locks.pop(session_id, None)

    def _rename(self, session_id: str, new_id: str) -> None:
        with self._guard:
            self._stored[new_id] = self._stored.pop(session_id)
            self._locks.pop(session_id, None)

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[None]:
        lock = self._acquired(session_id, wait)
        try:
            yield
        finally:
            lock.release()

    def _acquired(self, session_id: str, wait: float) -> threading.Lock:
        end = time.monotonic() + wait
        while True:
            with self._guard:
                lock = self._locks.setdefault(session_id, threading.Lock())
            if not lock.acquire(timeout=min(max(0.0, end - time.monotonic()), threading.TIMEOUT_MAX)):
                raise busy(session_id, wait)
            with self._guard:
                if self._locks.get(session_id) is lock:
                    return lock
            lock.release()  # of a session that was deleted meanwhile


def from_url(url: str) -> MemorySessions:
    """The store of the URL "memory:". Raises ConfigurationError for more than that."""
    if url.removeprefix("memory:").strip("/"):
        raise ConfigurationError(f"{url!r}: a session store in memory has no name: write memory:")
    return MemorySessions()
