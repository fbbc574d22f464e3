"""What is kept in an SQLite file, shared by threads and processes: contents by their keys, limited in size and in time.

A cache loses nothing that can't be had again: a file that can't be used is as good as an empty one, and a damaged one
is put aside.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from agentkit._forking import awaited_by_forks
from agentkit._lazy.logs import logger_of

WAIT = 2.0
"""Maximum seconds to wait for another process."""

logger = logger_of("agentkit")

_TABLE = """CREATE TABLE IF NOT EXISTS kept
(key TEXT PRIMARY KEY, about TEXT, content BLOB, size INTEGER, stored REAL, used REAL)"""


class CacheFile:
    """The file at a path, readable by its owner only. max_bytes: maximum size of all contents together; those that were
    not used for the longest time are dropped. seconds: after which a content is dropped, None: never."""

    def __init__(self, at: str | os.PathLike[str], max_bytes: int, seconds: float | None) -> None:
        self._at = Path(at)
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._has_warned = False
        self._lock = awaited_by_forks(threading.RLock())  # a child can't use SQLite's files as it was half way through

    def get(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """What is kept under a key: what is said about it, and the content."""
        row = None
        with self._database() as database:
            found = "SELECT about, content FROM kept WHERE key = ? AND stored > ?"
            row = database.execute(found, (key, self._oldest())).fetchone()
            if row is not None:
                database.execute("UPDATE kept SET used = ? WHERE key = ?", (time.time(), key))
        return None if row is None else _checked(*row)

    def put(self, key: str, about: Mapping[str, Any], content: bytes) -> None:
        """Keep a content, and drop those that no longer fit."""
        now = time.time()
        with self._database() as database:
            row = (key, json.dumps(dict(about)), content, len(content), now, now)
            database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM kept WHERE stored <= ?", (self._oldest(),))
            database.execute(
                "DELETE FROM kept WHERE key IN (SELECT key FROM (SELECT key, sum(size) OVER (ORDER BY used DESC, key) "
                "AS total FROM kept) WHERE total > ?)",
                (self._max_bytes,),
            )

    def drop(self, key: str) -> None:
        """Forget what is kept under a key."""
        with self._database() as database:
            database.execute("DELETE FROM kept WHERE key = ?", (key,))

    def _oldest(self) -> float:
        return float("-inf") if self._seconds is None else time.time() - self._seconds

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with self._lock, suppress(sqlite3.Error), closing(self._opened()) as database, database:
            yield database

    def _opened(self) -> sqlite3.Connection:
        """The database; where it can't be written, what it has is read; in place of a file that can't be used, an empty
        one in memory."""
        try:
            try:
                return _connected(self._at)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._warn("is damaged: it is put aside, and begun anew", error)
                self._put_aside()
                return _connected(self._at)
        except (OSError, sqlite3.Error) as error:
            self._warn("can't be written: nothing is kept", error)
        with suppress(OSError, sqlite3.Error):
            return _read_only(self._at)
        database = sqlite3.connect(":memory:")
        database.execute(_TABLE)
        return database

    def _put_aside(self) -> None:
        for end in ("-wal", "-shm"):
            Path(f"{self._at}{end}").unlink(missing_ok=True)
        self._at.replace(f"{self._at}.damaged")

    def _warn(self, what: str, error: Exception) -> None:
        """Log it, once."""
        if not self._has_warned:
            self._has_warned = True
            logger.warning("the file %s %s (%s)", self._at.name, what, error)


def _connected(at: Path) -> sqlite3.Connection:
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # readable by its owner only, from the beginning
        os.close(os.open(at, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    database = sqlite3.connect(at, timeout=WAIT)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # what is lost is asked for again
        database.execute(_TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _read_only(at: Path) -> sqlite3.Connection:
    """The database as it is, whether or not its folder can be written. Raises sqlite3.Error."""
    database = sqlite3.connect(f"{at.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        database.execute("SELECT count(*) FROM kept WHERE key = ''")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _checked(about: Any, content: Any) -> tuple[dict[str, Any], bytes] | None:
    """What was read, if it is what was written."""
    try:
        read = json.loads(about)
    except (ValueError, TypeError, RecursionError):
        return None
    return (read, content) if isinstance(read, dict) and isinstance(content, bytes) else None
