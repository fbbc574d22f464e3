"""Sessions in the memory of this process."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from agentkit.errors import ConfigurationError
from agentkit.session import SessionInfo, Sessions, busy


class MemorySessions(Sessions):
    """Sessions in the memory of this process; they are lost when it ends.

    wait: seconds that a writer waits for another to finish.
    """

    def __init__(self, wait: float = 30.0) -> None:
        super().__init__(wait)
        self._guard = threading.Lock()
        self._entries: dict[str, list[str]] = {}
        self._times: dict[str, tuple[datetime, datetime]] = {}
        self._blobs: dict[str, dict[str, bytes]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def close(self) -> None:
        """Does nothing: there are no resources to release."""

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        now = datetime.now(UTC)
        with self._guard:
            self._entries.setdefault(session_id, []).extend(entries)
            self._blobs.setdefault(session_id, {}).update(blobs)
            self._times[session_id] = (self._times.get(session_id, (now, now))[0], now)

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        with self._guard:
            return self._entries.get(session_id, [])[start : None if count is None else start + count]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        return self._blobs.get(session_id, {}).get(digest)

    def _list(self) -> Iterable[SessionInfo]:
        with self._guard:
            return [SessionInfo(id_, len(self._entries[id_]), *times) for id_, times in self._times.items()]

    def _delete(self, session_id: str) -> None:
        kept: Any
        with self._guard:
            for kept in (self._entries, self._times, self._blobs):
                kept.pop(session_id, None)

    def _rename(self, session_id: str, new_id: str) -> None:
        kept: Any
        with self._guard:
            for kept in (self._entries, self._times, self._blobs):
                kept[new_id] = kept.pop(session_id)

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(session_id, threading.Lock())
        if not lock.acquire(timeout=wait):
            raise busy(session_id, wait)
        try:
            yield
        finally:
            lock.release()


def from_url(url: str) -> MemorySessions:
    """The store of the URL "memory:". Raises ConfigurationError for more than that."""
    if url.removeprefix("memory:").strip("/"):
        raise ConfigurationError(f"{url!r}: a session store in memory has no name: write memory:")
    return MemorySessions()
