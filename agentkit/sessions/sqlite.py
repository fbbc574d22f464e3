"""Sessions in one SQLite file, shared by the processes of a machine.

A session is locked by an operating-system file lock next to the database, which is released when its process ends, for
whatever reason. An acknowledged entry is on disk (WAL, synchronous=FULL).
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit.errors import ConfigurationError, SessionError
from agentkit.session import SessionInfo, Sessions, busy

VERSION = 1
"""The version of the tables, in SQLite's user_version."""

TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entries INTEGER NOT NULL, created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE, place INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (session, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE, digest TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (session, digest)
);
"""


class SQLiteSessions(Sessions):
    """Sessions in the SQLite file at `path`, which is created with its folders and readable by its owner only.

    wait: seconds that a writer waits for another to finish. Raises SessionError when the file can't be used or was
    made by a newer agentkit.
    """

    def __init__(self, path: str | os.PathLike[str], wait: float = 30.0) -> None:
        super().__init__(wait)
        self.path = Path(path)
        self._guard = threading.RLock()
        self._open: tuple[int, sqlite3.Connection] | None = None
        with self._using():
            pass

    def __repr__(self) -> str:
        return f"SQLiteSessions({str(self.path)!r})"

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._guard:
            if self._open is not None and self._open[0] == os.getpid():
                self._open[1].close()
            self._open = None

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; errors while it is used are raised as SessionError."""
        with self._guard:
            try:
                if self._open is None or self._open[0] != os.getpid():  # a connection must not cross a fork
                    self._open = (os.getpid(), self._connected())
                yield self._open[1]
            except (sqlite3.Error, OSError) as error:
                raise SessionError(f"the sessions in {self.path.name} can't be used: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise SessionError(
                    f"{self.path.name} was made by a newer agentkit (version {version} of its tables; this supports "
                    f"up to {VERSION}): install a newer version"
                )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if version < VERSION:
                connection.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        now = datetime.now(UTC).timestamp()
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO sessions (id, entries, created, updated) VALUES (?, 0, ?, ?) ON CONFLICT (id) DO NOTHING",
                (session_id, now, now),
            )
            number, place = connection.execute(
                "SELECT number, entries FROM sessions WHERE id = ?", (session_id,)
            ).fetchone()
            connection.executemany(
                "INSERT INTO entries (session, place, body) VALUES (?, ?, ?)",
                [(number, place + index, body) for index, body in enumerate(entries)],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO blobs (session, digest, data) VALUES (?, ?, ?)",
                [(number, digest, data) for digest, data in blobs.items()],
            )
            connection.execute(
                "UPDATE sessions SET entries = ?, updated = ? WHERE number = ?", (place + len(entries), now, number)
            )

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        with self._using() as connection:
            rows = connection.execute(
                "SELECT body FROM entries JOIN sessions ON number = session WHERE id = ? AND place >= ? "
                "ORDER BY place LIMIT ?",
                (session_id, start, -1 if count is None else count),
            )
            return [body for (body,) in rows]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        with self._using() as connection:
            row = connection.execute(
                "SELECT data FROM blobs JOIN sessions ON number = session WHERE id = ? AND digest = ?",
                (session_id, digest),
            ).fetchone()
            return row[0] if row else None

    def _list(self) -> Iterable[SessionInfo]:
        with self._using() as connection:
            rows = connection.execute("SELECT id, entries, created, updated FROM sessions").fetchall()
        return [SessionInfo(id_, count, _time(created), _time(updated)) for id_, count, created, updated in rows]

    def _delete(self, session_id: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def _rename(self, session_id: str, new_id: str) -> None:
        with self._transaction() as connection:
            connection.execute("UPDATE sessions SET id = ? WHERE id = ?", (new_id, session_id))

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[None]:
        import filelock

        folder = self.path.with_name(f"{self.path.name}-locks")
        name = hashlib.sha256(session_id.encode()).hexdigest()[:32]
        lock = filelock.FileLock(folder / f"{name}.lock", timeout=wait, thread_local=False, mode=0o600)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock.acquire(poll_interval=0.02)
        except filelock.Timeout:
            raise busy(session_id, wait) from None
        except OSError as error:
            raise SessionError(f"the sessions in {self.path.name} can't be locked: {error}") from error
        try:
            yield
        finally:
            lock.release()


def from_url(url: str) -> SQLiteSessions:
    """The store of a URL "sqlite:PATH", or of a bare path; "~" is the home directory. Raises ConfigurationError for a
    URL of another form, which would name another file than was meant."""
    path = url.removeprefix("sqlite:")
    if url.startswith("sqlite://") or not path.strip():
        raise ConfigurationError(f"{url!r} is not a session store: write sqlite:PATH, such as sqlite:chat.db")
    return SQLiteSessions(Path(path).expanduser())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
