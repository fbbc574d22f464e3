"""Sessions in one SQLite file, shared by the processes of a machine.

A session is locked by an operating-system file lock next to the database, which is released when its process ends, for
whatever reason. An acknowledged entry is on disk (WAL, synchronous=FULL), in the file that is at the path.
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentkit._forking import renewed_by_forks
from agentkit._lazy.records import dataclass
from agentkit.errors import ConfigurationError, SessionError
from agentkit.session import SessionInfo, Sessions, busy
from agentkit.sessions.file_lock import FileLocks, HeldLock
from agentkit.sessions.group_commit import GroupCommit, Write
from agentkit.sessions.log import Marks
from agentkit.sessions.sqlite_file import Identity, SQLiteFile, absolute, identity

VERSION = 2
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
CREATE TABLE IF NOT EXISTS marks (
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE, name TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (session, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS marks_by_place ON marks (session, place);
"""
# The first `marked` entries of a session are those whose marks are in the table: fewer than all when an agentkit
# without marks wrote some.
VERSION_2 = "ALTER TABLE sessions ADD COLUMN marked INTEGER NOT NULL DEFAULT 0"

LAST = "\U0010ffff"
"""Sorts behind every character of an id."""


@dataclass
class _Lock:
    """The lock of a session. file: the database when it was acquired."""

    held: HeldLock
    file: Identity | None
    has_written: bool = False


class SQLiteSessions(Sessions):
    """Sessions in the SQLite file at `path`, which is created with its folders and readable by its owner only.

    wait: seconds that a writer waits for another to finish. Raises SessionError when the file can't be used or was
    made by a newer agentkit.
    """

    def __init__(self, path: str | os.PathLike[str], wait: float = 30.0) -> None:
        super().__init__(wait)
        self.path = absolute(path)
        self._writer = SQLiteFile(self.path, self._prepare)
        self._reader = SQLiteFile(self.path, self._prepare)  # readers don't wait until a commit is on the disk
        self._locks = FileLocks(self.path.with_name(f"{self.path.name}-locks"))
        self._commits = GroupCommit(self._using, self._writer.check_unmoved)
        renewed_by_forks(self)
        with self._using():
            pass

    def __repr__(self) -> str:
        return f"SQLiteSessions({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its path: in another process it opens the file itself."""
        return SQLiteSessions, (str(self.path), self.wait)

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        self._reader.close()
        self._writer.close()

    def renew_in_child(self) -> None:
        """In a child: what waits to be committed is the parent's."""
        self._commits = GroupCommit(self._using, self._writer.check_unmoved)

    def _using(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._writer.using()

    def _write(self, write: Write) -> None:
        with self._writer.failures():
            self._commits.run(write)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._version(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if self._version(connection) < VERSION:
            self._upgrade(connection)
        connection.execute("SELECT 1 FROM sessions LIMIT 1").fetchall()

    def _version(self, connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise SessionError(
                f"{self.path.name} was made by a newer agentkit (version {version} of its tables; this supports "
                f"up to {VERSION}): install a newer version"
            )
        return version

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        if self._version(connection) < VERSION:  # no other process was faster
            for statement in (*TABLES.split(";"), VERSION_2, f"PRAGMA user_version = {VERSION}"):
                connection.execute(statement)
        connection.execute("COMMIT")

    def _append(self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any) -> None:
        self._append_marked(session_id, entries, blobs, lock, Marks())

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: _Lock, marks: Marks
    ) -> None:
        def write(connection: sqlite3.Connection) -> None:
            self._check_held(session_id, lock)
            place, number = _place(connection, session_id)
            connection.executemany(
                "INSERT INTO entries (session, place, body) VALUES (?, ?, ?)",
                [(number, place + index, body) for index, body in enumerate(entries)],
            )
            if blobs:
                connection.executemany(
                    "INSERT OR IGNORE INTO blobs (session, digest, data) VALUES (?, ?, ?)",
                    [(number, digest, data) for digest, data in blobs.items()],
                )
            _write_marks(connection, number, place, marks)
            connection.execute(
                "UPDATE sessions SET marked = CASE marked WHEN entries THEN ? ELSE marked END, entries = ?, "
                "updated = max(created, ?) WHERE number = ?",  # the clock may have been set back
                (place + len(entries), place + len(entries), datetime.now(UTC).timestamp(), number),
            )

        self._write(write)
        lock.has_written = True

    def _check_held(self, session_id: str, lock: _Lock) -> None:
        """Raises SessionError when a writer no longer holds its lock, or holds that of a file that is gone."""
        if self._writer.opened != lock.file:
            raise SessionError(
                f"the file {self.path.name} was removed or replaced while session {session_id!r} was written to: "
                "nothing was stored"
            )
        if not lock.held.is_held():
            raise SessionError(
                f"session {session_id!r} is no longer locked by this writer (its process was forked, or the file of "
                "its lock removed): nothing was stored"
            )

    def _mark(self, session_id: str, name: str) -> int | None:
        return self._marks(session_id, (name,))[0]

    def _marks(self, session_id: str, names: Sequence[str]) -> list[int | None]:
        rows = self._reader.rows(
            "SELECT marked = entries, name, place FROM sessions LEFT JOIN marks ON session = number AND "
            f"name IN ({', '.join('?' * len(names))}) WHERE id = ?",
            (*names, session_id),
        )
        if rows and not rows[0][0]:
            return [super(SQLiteSessions, self)._mark(session_id, name) for name in names]
        places = {name: place for _, name, place in rows}
        return [places.get(name) for name in names]

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        rows = self._reader.rows(
            "SELECT body FROM entries JOIN sessions ON number = session WHERE id = ? AND place >= ? "
            "ORDER BY place LIMIT ?",
            (session_id, start, -1 if count is None else count),
        )
        return [body for (body,) in rows]

    def _blob(self, session_id: str, digest: str) -> bytes | None:
        rows = self._reader.rows(
            "SELECT data FROM blobs JOIN sessions ON number = session WHERE id = ? AND digest = ?",
            (session_id, digest),
        )
        return rows[0][0] if rows else None

    def _list(self) -> Iterable[SessionInfo]:
        return self._list_prefix("")

    def _list_prefix(self, prefix: str) -> Iterable[SessionInfo]:
        rows = self._reader.rows(
            "SELECT id, entries, created, updated FROM sessions WHERE id >= ? AND id < ?", (prefix, prefix + LAST)
        )
        return [SessionInfo(id_, count, _time(created), _time(updated)) for id_, count, created, updated in rows]

    def _delete(self, session_id: str) -> None:
        self._write(lambda connection: _execute(connection, "DELETE FROM sessions WHERE id = ?", session_id))
        self._remove_lock(session_id)

    def _rename(self, session_id: str, new_id: str) -> None:
        rename = "UPDATE sessions SET id = ? WHERE id = ?"
        self._write(lambda connection: _execute(connection, rename, new_id, session_id))
        self._remove_lock(session_id)

    def _remove_lock(self, session_id: str) -> None:
        with suppress(OSError):  # the session is gone; its lock's file harms nobody
            self._locks.remove(_lock_name(session_id))

    def _remove_unused_lock(self, session_id: str) -> None:
        with suppress(SessionError):
            if session_id not in self:
                self._remove_lock(session_id)

    @contextmanager
    def _lock(self, session_id: str, wait: float) -> Iterator[_Lock]:
        try:
            held = self._locks.acquire(_lock_name(session_id), wait)
        except TimeoutError:
            raise busy(session_id, wait) from None
        except OSError as error:
            raise SessionError(f"the sessions in {self.path.name} can't be locked: {error}") from error
        lock: _Lock | None = None
        try:
            file = identity(self._writer.name)
            if file is None:
                with self._using():
                    file = self._writer.opened
            lock = _Lock(held, file)
            yield lock
        finally:
            try:
                if lock is not None and not lock.has_written and held.is_held():
                    self._remove_unused_lock(session_id)
            finally:
                self._locks.release(held)


def _place(connection: sqlite3.Connection, session_id: str) -> tuple[int, int]:
    """The number of entries of a session, which is created when it does not exist, and its number."""
    find = "SELECT entries, number FROM sessions WHERE id = ?"
    found: tuple[int, int] | None = connection.execute(find, (session_id,)).fetchone()
    if found is not None:
        return found
    now = datetime.now(UTC).timestamp()
    made = connection.execute(
        "INSERT INTO sessions (id, entries, created, updated) VALUES (?, 0, ?, ?)", (session_id, now, now)
    )
    return 0, int(made.lastrowid or 0)


def _write_marks(connection: sqlite3.Connection, number: int, place: int, marks: Marks) -> None:
    if marks.dropped_from is not None:
        _execute(connection, "DELETE FROM marks WHERE session = ? AND place >= ?", number, marks.dropped_from)
    for name, index in marks.places.items():
        _execute(connection, "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", number, name, place + index)


def _execute(connection: sqlite3.Connection, statement: str, *values: Any) -> None:
    connection.execute(statement, values)


def _lock_name(session_id: str) -> str:
    return f"{hashlib.sha256(session_id.encode()).hexdigest()[:32]}.lock"


def from_url(url: str) -> SQLiteSessions:
    """The store of a URL "sqlite:PATH", or of a bare path; "~" is the home directory. Raises ConfigurationError for a
    URL of another form, which would name another file than was meant."""
    path = url.removeprefix("sqlite:")
    if url.startswith("sqlite://") or not path.strip():
        shown = re.sub(r"//.*@", "//***@", url)
        raise ConfigurationError(f"{shown!r} is not a session store: write sqlite:PATH, such as sqlite:chat.db")
    return SQLiteSessions(Path(path).expanduser())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
