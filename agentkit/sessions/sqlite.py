"""Sessions in one SQLite file, shared by the processes of a machine.

A session is locked by an operating-system file lock next to the database, which is released when its process ends, for
whatever reason. An acknowledged entry is on disk (WAL, synchronous=FULL), in the file that is at the path.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from agentkit._forking import renewed_by_forks
from agentkit._lazy.records import dataclass
from agentkit._text import json_text
from agentkit.errors import ConfigurationError, SessionError
from agentkit.net.home_paths import expanded
from agentkit.session import Log, SessionInfo, Sessions, busy
from agentkit.sessions.file_lock import FileLocks, HeldLock
from agentkit.sessions.group_commit import GroupCommit
from agentkit.sessions.log import Marks
from agentkit.sessions.sqlite_file import Identity, SQLiteFile, absolute, identity, use_write_ahead_log

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

# An append says how many entries each session gets, and of each of them how many places it is before the session's new
# end: so one statement does for all sessions of a commit, and none of them has to be read first. The parameters have no
# numbers, of which the first releases of Python 3.12 warn.
APPEND_SESSIONS = """
INSERT INTO sessions (id, entries, created, updated, marked)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?, ?, json_extract(value, '$[1]')
FROM json_each(?) WHERE true
ON CONFLICT (id) DO UPDATE SET
    marked = CASE marked WHEN entries THEN entries + excluded.entries ELSE marked END,
    entries = entries + excluded.entries,
    updated = max(created, excluded.updated)
"""  # the clock may have been set back
APPEND_ENTRIES = """
INSERT INTO entries (session, place, body)
SELECT number, entries - json_extract(value, '$[0]'), json_extract(value, '$[1]')
FROM json_each(?) CROSS JOIN sessions ON sessions.id = json_extract(value, '$[2]')
"""
# The same for an entry alone, whose text is not copied into JSON and out of it.
APPEND_ENTRY = "INSERT INTO entries (session, place, body) SELECT number, entries - ?, ? FROM sessions WHERE id = ?"
MAX_JSON = 1_000_000
"""Characters of entries that are passed in one statement."""
# Names of marks have what clients have sent: not as JSON, of which SQLite reads no null characters.
SET_MARKS = "INSERT OR REPLACE INTO marks SELECT number, ?, entries - ? FROM sessions WHERE id = ?"
DROP_MARKS = "DELETE FROM marks WHERE session = (SELECT number FROM sessions WHERE id = ?) AND place >= ?"
DELETE_SESSION = "DELETE FROM sessions WHERE id = ?"
ADD_BLOBS = "INSERT OR IGNORE INTO blobs (session, digest, data) SELECT number, ?, ? FROM sessions WHERE id = ?"

BODIES = "SELECT body FROM entries JOIN sessions ON number = session WHERE id = ? AND place >= ? ORDER BY place LIMIT ?"
# Entries have no line breaks. Each row that is fetched, and each column, hands the interpreter over: one has them all.
JOINED = "group_concat(body, char(10))"
LOG_UNLESS_MARKED = f"""
CASE WHEN EXISTS (SELECT 1 FROM marks WHERE session = number AND name = ?) THEN NULL
ELSE (SELECT {JOINED} FROM (SELECT body FROM entries WHERE session = number ORDER BY place)) END
"""

LAST = "\U0010ffff"
"""Sorts behind every character of an id."""


@dataclass
class _Lock:
    """The lock of a session. file: the database when it was acquired."""

    held: HeldLock
    file: Identity | None
    has_written: bool = False


@dataclass(frozen=True)
class _Append:
    """What `_append_marked` gets. replaces: whether what the session has is deleted first."""

    session_id: str
    entries: Sequence[str]
    blobs: Mapping[str, bytes]
    lock: _Lock
    marks: Marks
    replaces: bool = False

    def entry_rows(self) -> Iterator[tuple[int, str, str]]:
        for index, body in enumerate(self.entries):
            yield len(self.entries) - index, body, self.session_id

    def mark_rows(self) -> Iterator[tuple[str, int, str]]:
        for name, index in self.marks.places.items():
            yield name, len(self.entries) - index, self.session_id

    def blob_rows(self) -> Iterator[tuple[str, bytes, str]]:
        for digest, data in self.blobs.items():
            yield digest, data, self.session_id


@dataclass(frozen=True)
class _Change:
    """A statement that changes a session as a whole."""

    statement: str
    values: tuple[str, ...]


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
        self._renew_commits()
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
        self._renew_commits()

    def _renew_commits(self) -> None:
        self._commits = GroupCommit(self._using, self._apply, self._writer.check_unmoved)

    def _using(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._writer.using()

    def _write(self, write: _Append | _Change) -> None:
        with self._writer.failures():
            self._commits.run(write)

    def _apply(self, connection: sqlite3.Connection, writes: Sequence[_Append | _Change]) -> None:
        """Do what some writes say. All appends take the same few statements, however many they are: between two
        statements, and within one, threads hand the interpreter over."""
        appends = [write for write in writes if isinstance(write, _Append)]
        for write in writes:
            if isinstance(write, _Change):
                connection.execute(write.statement, write.values)
        for append in appends:
            self._check_held(append.session_id, append.lock)
            if append.replaces:
                connection.execute(DELETE_SESSION, (append.session_id,))
        if appends:
            _append_all(connection, appends)

    def _prepare(self, connection: sqlite3.Connection, can_write: bool) -> None:
        version = self._version(connection)
        if can_write:
            use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if self._version(connection) < VERSION:
                self._upgrade(connection)
        elif version < VERSION:
            raise SessionError(
                f"{self.path.name} can't be written, and its tables are of an older agentkit (version {version}): copy "
                "it to where it can be written"
            )
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
        self._write(_Append(session_id, entries, blobs, lock, marks))
        lock.has_written = True

    def _replace(self, session_id: str, entries: Sequence[str], lock: _Lock) -> bool:
        self._write(_Append(session_id, entries, {}, lock, Marks(), replaces=True))
        lock.has_written = True
        return True

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

    def _marks(self, session_id: str, names: Sequence[str]) -> Sequence[int | None]:
        rows = self._reader.rows(f"SELECT {_about(names)} FROM sessions WHERE id = ?", (*names, session_id))
        return self._places(session_id, names, json.loads(rows[0][0])) if rows else [None] * len(names)

    def _places(self, session_id: str, names: Sequence[str], about: Sequence[int | None]) -> Sequence[int | None]:
        entries, marked, *places = about
        if marked != entries:
            return [super(SQLiteSessions, self)._mark(session_id, name) for name in names]
        return places

    def _marks_and_log(self, session_id: str, names: Sequence[str]) -> tuple[Sequence[int | None], Log]:
        query = f"SELECT {LOG_UNLESS_MARKED}, {_about(names)} FROM sessions WHERE id = ?"
        try:
            rows = self._reader.rows(query, (names[0], *names, session_id))
        except SessionError:  # see `_read`
            return super()._marks_and_log(session_id, names)
        if not rows:
            return [None] * len(names), ()
        log, about = rows[0][0], json.loads(rows[0][1])
        return self._places(session_id, names, about), _split(log, about[0])

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        values = (session_id, start, -1 if count is None else count)
        try:
            [(found, log)] = self._reader.rows(f"SELECT count(*), {JOINED} FROM ({BODIES})", values)
        except SessionError:  # another program has put there what is no text, or all is too long for one value
            found, log = 1, None
        bodies = _split(log, found) if found else ()
        return [body for (body,) in self._reader.rows(BODIES, values)] if bodies is None else bodies

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
        self._write(_Change(DELETE_SESSION, (session_id,)))
        self._remove_lock(session_id)

    def _rename(self, session_id: str, new_id: str) -> None:
        self._write(_Change("UPDATE sessions SET id = ? WHERE id = ?", (new_id, session_id)))
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


def _append_all(connection: sqlite3.Connection, appends: Sequence[_Append]) -> None:
    """Append to sessions, each of which may be new. Raises IntegrityError for two appends to one session."""
    counts = [(each.session_id, len(each.entries)) for each in appends]
    now = datetime.now(UTC).timestamp()
    connection.execute(APPEND_SESSIONS, (now, now, json_text(counts)))
    entries = [row for each in appends for row in each.entry_rows()]
    if sum(len(body) for _, body, _ in entries) <= MAX_JSON:
        connection.execute(APPEND_ENTRIES, (json_text(entries),))
    else:
        connection.executemany(APPEND_ENTRY, entries)
    for each in appends:
        if each.marks.dropped_from is not None:
            connection.execute(DROP_MARKS, (each.session_id, each.marks.dropped_from))
    for statement, rows in (
        (SET_MARKS, [row for each in appends for row in each.mark_rows()]),
        (ADD_BLOBS, [row for each in appends for row in each.blob_rows()]),
    ):
        if rows:
            connection.executemany(statement, rows)


def _about(names: Sequence[str]) -> str:
    """How many entries a session has, of how many the marks are known, and the places of some marks, as JSON."""
    return (
        f"json_array(entries, marked{', (SELECT place FROM marks WHERE session = number AND name = ?)' * len(names)})"
    )


def _split(log: str | None, count: int) -> Sequence[str] | None:
    """The entries of a log that was read as one text; None where it was not, or has line breaks of another program."""
    bodies = None if log is None else log.split("\n")
    return bodies if bodies is not None and len(bodies) == count else None


def _lock_name(session_id: str) -> str:
    return f"{hashlib.sha256(session_id.encode()).hexdigest()[:32]}.lock"


def from_url(url: str) -> SQLiteSessions:
    """The store of a URL "sqlite:PATH", or of a bare path; "~" is the home directory. Raises ConfigurationError for a
    URL of another form, which would name another file than was meant."""
    path = url.removeprefix("sqlite:")
    if url.startswith("sqlite://") or not path.strip():
        shown = re.sub(r"//.*@", "//***@", url)
        raise ConfigurationError(f"{shown!r} is not a session store: write sqlite:PATH, such as sqlite:chat.db")
    return SQLiteSessions(expanded(path))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
