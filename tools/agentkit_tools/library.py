"""The index of a folder's documents, kept in an SQLite file, so that a later process finds at once.

A document is found by its passages and as a whole (Callan 1994, "Passage-level evidence in document retrieval": the two
together are better than either), each with its title and its path.
"""

import contextlib
import hashlib
import math
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

from agentkit import Context, ToolError
from agentkit.retrieval import PassageTables, Query, Way, content_words, cover, fused
from agentkit_tools.cutting import split_into_passages
from agentkit_tools.file_text import FileText
from agentkit_tools.files import State
from agentkit_tools.reader_process import check
from agentkit_tools.unreadable import ForTheMomentError, MissingReaderError, NotNowError, UnreadableError
from agentkit_tools.vectors import VectorTable, transaction

VERSION = 4
"""The version of the tables; an index of another version is made anew."""

BATCH = 1.0
"""Seconds of reading and indexing that are stored together; other processes go on, or help, in between."""

RETRY, MAX_RETRY = 5.0, 600.0
"""Seconds after which a file that could not be opened (too many were open) is tried again, at first and at most."""

NEXT_TIME, SOON = 1, 2
"""When a file that could not be read is tried again: by the next process, or by this one too; 0: when it changes."""

FORK_WAIT = 2.0
"""Maximum seconds that `os.fork` waits for a thread that reads or indexes."""

WAIT = 60.0
"""Maximum seconds to wait for another process that writes."""

RANK = 60
"""What is added to a rank before it is inverted (Cormack 2009, "Reciprocal rank fusion")."""

AT_LEAST = 0.5
"""What a document needs of the best one's score, or of its words, to be a hit."""

_TABLES = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT UNIQUE, changed INTEGER, size INTEGER, title TEXT, why TEXT,
    again INTEGER);
CREATE TABLE passage (id INTEGER PRIMARY KEY, file INTEGER, text TEXT);
CREATE INDEX passage_of_file ON passage (file);
"""


@dataclass(frozen=True)
class Document:
    """A document that could be read."""

    path: str
    title: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A document that was found, and its best passage."""

    path: str
    title: str
    passage: str


class Library:
    """The documents of a folder.

    files: returns the state of each file by its path in the folder. read: reads one for a run. at: where the index is
    kept; None keeps it in memory, as does a place where nothing can be written. Shared by threads and processes.
    """

    def __init__(
        self,
        files: Callable[[], Mapping[str, State]],
        read: Callable[[str, State, Context[Any]], FileText],
        at: Path | None,
    ) -> None:
        self._files = files
        self._read = read
        self._at = at
        self._lock = threading.RLock()
        self._users = 0
        self._is_held = self._is_quiet = False
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, Mapping[str, State]] | None = None
        self._retry_at, self._pause = math.inf, RETRY
        _LIBRARIES.add(self)

    def __del__(self) -> None:
        if (connection := getattr(self, "_connection", None)) is not None:
            connection.close()  # Python 3.13 warns of one that is left to the garbage collector

    @contextmanager
    def refreshed(self, context: Context[Any]) -> Iterator["Contents"]:
        """The documents as they are now, for one thread at a time. context: the run that asks. Raises ToolError when
        another process writes for longer than WAIT, the run ends while a document is read, or the index turns out to be
        damaged; it is made anew the next time."""
        with self._lock:
            self._users += 1
            try:
                yield Contents(self._refreshed_database(context))
            except sqlite3.DatabaseError as error:
                if _is_locked(error):
                    raise ToolError("another process is indexing the documents: try again later") from None
                self._forget()
                raise ToolError("the index of the documents was damaged: try again, it is made anew") from error
            finally:
                self._users -= 1

    def _refreshed_database(self, context: Context[Any]) -> sqlite3.Connection:
        try:
            return self._refresh(self._connected(), context)
        except sqlite3.DatabaseError as error:
            if _is_locked(error):
                raise
            self._forget()
            return self._refresh(self._connected(), context)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection, self._seen = _opened(self._at), None
        return self._connection

    def _forget(self) -> None:
        """Remove a damaged index."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self._at}{end}").unlink()

    def before_fork(self) -> None:
        """Wait until nobody uses the connection, at most FORK_WAIT, and close the file: SQLite forbids to carry a
        connection across a fork."""
        self._is_held = self._lock.acquire(timeout=FORK_WAIT)
        self._is_quiet = self._is_held and not self._users
        if self._is_quiet and self._at is not None and self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._is_held:
            self._is_held = self._is_quiet = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin with a free lock. Where the parent was using the connection, keep the index in memory: SQLite would
        take the parent's locks on the file for those of the child."""
        self._lock, self._users = threading.RLock(), 0
        if self._connection is not None and not self._is_quiet:
            _OF_PARENTS.append(self._connection)  # never closed
            self._connection = self._at = None

    def _refresh(self, database: sqlite3.Connection, context: Context[Any]) -> sqlite3.Connection:
        """Index new and changed files, and drop those that are gone; returns the database."""
        states = self._files()
        is_due = time.monotonic() >= self._retry_at
        if is_due or self._seen != (_version_of(database), states):
            if is_due:
                database.execute("DELETE FROM file WHERE again = ?", (SOON,))
            while not self._batch(database, states, context):
                pass
            self._plan_retry(database, is_due)
            self._seen = (_version_of(database), states)
        return database

    def _plan_retry(self, database: sqlite3.Connection, was_due: bool) -> None:
        """Set when the files that can't be opened now are tried again: after a longer time each time."""
        if database.execute("SELECT 1 FROM file WHERE again = ? LIMIT 1", (SOON,)).fetchone() is None:
            self._retry_at, self._pause = math.inf, RETRY
        elif was_due or self._retry_at == math.inf:
            self._retry_at, self._pause = time.monotonic() + self._pause, min(MAX_RETRY, 2 * self._pause)

    def _batch(self, database: sqlite3.Connection, states: Mapping[str, State], context: Context[Any]) -> bool:
        """Store some of what changed; returns whether that was all."""
        end = time.monotonic() + BATCH
        with transaction(database):
            rows = database.execute("SELECT path, changed, size FROM file")
            known: dict[str, State] = {path: (changed, size) for path, changed, size in rows}
            for path in [path for path in known if states.get(path) != known[path]]:
                _remove(database, path)
                del known[path]
            new = iter(sorted(path for path in states if path not in known))
            while time.monotonic() < end and (path := next(new, "")):
                self._add(database, path, states[path], context)
        return next(new, None) is None

    def _add(self, database: sqlite3.Connection, path: str, state: State, context: Context[Any]) -> None:
        why, again = None, 0
        try:
            found = self._read(path, state, context)
        except (UnreadableError, OSError) as error:
            why = str(error) if isinstance(error, UnreadableError) else _reason(error)
            again = _when_again(error)
            found = FileText("", "")
        title = _encodable(found.title)
        number = database.execute(
            "INSERT INTO file (path, changed, size, title, why, again) VALUES (?, ?, ?, ?, ?, ?)",
            (path, *state, title, why, again),
        ).lastrowid
        assert number is not None
        if why is not None:
            return
        names = _names(title, path)
        tables = PassageTables(database, "passage")
        text = _encodable(found.text)
        for passage in split_into_passages(text) if found.passages is None else map(_encodable, found.passages):
            check(context)
            row = database.execute("INSERT INTO passage (file, text) VALUES (?, ?)", (number, passage)).lastrowid
            assert row is not None
            tables.add(row, passage, names)
        PassageTables(database, "document").add(number, text, names)


_LIBRARIES: WeakSet[Library] = WeakSet()
_OF_PARENTS: list[sqlite3.Connection] = []


def _for_each(action: Callable[[Library], None]) -> Callable[[], None]:
    def act() -> None:
        for library in list(_LIBRARIES):
            action(library)

    return act


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_for_each(Library.before_fork),
        after_in_parent=_for_each(Library.after_fork_in_parent),
        after_in_child=_for_each(Library.after_fork_in_child),
    )


class Contents:
    """The documents of a library at one moment."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.vectors = VectorTable(database)

    def matching(self, question: str) -> list[int]:
        """The numbers of the passages whose words match a question, best first."""
        return list(fused(PassageTables(self._database, "passage").ways(Query.of(question))))

    def hits(self, question: str, limit: int, meant: Sequence[int] = ()) -> list[Hit]:
        """The documents that match a question, best first, at most `limit`.

        meant: the numbers of passages that match it by their meaning, best first. With them, documents are ranked by
        both, and need no word of the question.
        """
        query, words = Query.of(question), content_words(question)
        passages = PassageTables(self._database, "passage").ways(query)
        owners = _owners(self._database, {number for _, scored in passages for number, _ in scored}.union(meant))
        by_meaning = _by_rank(number for number in meant if number in owners)
        best: dict[int, int] = {}
        for number in fused([_by_rank(fused(passages)), by_meaning]) if meant else fused(passages):
            best.setdefault(owners[number], number)
        whole = PassageTables(self._database, "document").ways(query) if _has_long_documents(self._database) else ()
        ranked = fused([*(_by_file(way, owners) for way in passages), *whole])
        if meant:
            nearest = dict.fromkeys(owners[number] for number, _ in by_meaning[1])
            both = fused([_by_rank(ranked), _by_rank(nearest)])
            return [_hit(self._database, file, best.get(file)) for file in list(both)[:limit]]
        found: list[tuple[float, int, Hit]] = []
        for file, score in list(ranked.items())[: 2 * limit]:
            hit = _hit(self._database, file, best.get(file))
            found.append((score, cover(words, hit.title, hit.path, hit.passage), hit))
        least = AT_LEAST * found[0][0] if found else 0.0
        least_words = max(1, AT_LEAST * max((covered for _, covered, _ in found), default=0))
        return [hit for score, covered, hit in found if score >= least or covered >= least_words][:limit]

    def document(self, path: str) -> Document | None:
        """The document at a path as in a hit; None when there is none."""
        row = self._database.execute("SELECT id, title FROM file WHERE path = ? AND why IS NULL", (path,)).fetchone()
        return None if row is None else Document(path, row[1], "".join(_passages(self._database, row[0])).strip())

    def unread(self) -> dict[str, str]:
        """Why a file could not be read, by its path, in their order."""
        return dict(self._database.execute("SELECT path, why FROM file WHERE why IS NOT NULL ORDER BY path"))

    def count(self) -> int:
        """How many documents there are."""
        found: tuple[int] = self._database.execute("SELECT count(*) FROM file WHERE why IS NULL").fetchone()
        return found[0]

    def paths(self) -> list[str]:
        """The paths of all documents."""
        return [path for (path,) in self._database.execute("SELECT path FROM file WHERE why IS NULL ORDER BY path")]


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "there is no permission to read it"
    return "it was removed" if isinstance(error, FileNotFoundError) else "it can't be opened"


def _when_again(error: UnreadableError | OSError) -> int:
    if isinstance(error, OSError | ForTheMomentError):
        return SOON
    return NEXT_TIME if isinstance(error, NotNowError | MissingReaderError) else 0


def cache_folder() -> Path:
    """Where files are kept that can be made again: AGENTKIT_CACHE, or the user's folder for caches. Without a home
    directory it is a place where no file can be made."""
    from platformdirs import user_cache_dir

    try:
        return Path(os.environ.get("AGENTKIT_CACHE") or user_cache_dir("agentkit", appauthor=False))
    except RuntimeError:
        return Path(os.devnull) / "agentkit"


def cache_file(root: Path) -> Path:
    """Where the index of a folder is kept."""
    return cache_folder() / "documents" / (hashlib.sha256(os.fsencode(root)).hexdigest()[:24] + ".sqlite3")


def _opened(at: Path | None) -> sqlite3.Connection:
    if at is not None:
        with contextlib.suppress(OSError, sqlite3.Error):
            return _opened_file(at)
    return _prepared(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))


def _opened_file(at: Path) -> sqlite3.Connection:
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # readable by its owner only, from the beginning
        os.close(os.open(at, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    database = sqlite3.connect(at, timeout=WAIT, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        return _prepared(database)
    except sqlite3.DatabaseError:
        database.close()
        raise


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    with transaction(database):
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            tables = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND (sql LIKE 'CREATE VIRTUAL%' "
                "OR name IN ('file', 'passage', 'vector'))"
            ).fetchall()
            for (name,) in tables:
                database.execute(f'DROP TABLE "{name}"')
            for statement in filter(str.strip, _TABLES.split(";")):
                database.execute(statement)
            PassageTables(database, "passage").create()
            PassageTables(database, "document").create()
            VectorTable(database).create()
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("DELETE FROM file WHERE again")
    return database


def _encodable(text: str) -> str:
    """The text without lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_locked(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _version_of(database: sqlite3.Connection) -> int:
    """Changes when another connection has changed the database."""
    found: tuple[int] = database.execute("PRAGMA data_version").fetchone()
    return found[0]


def _remove(database: sqlite3.Connection, path: str) -> None:
    number, title, why = database.execute("SELECT id, title, why FROM file WHERE path = ?", (path,)).fetchone()
    if why is None:
        names = _names(title, path)
        text = "".join(_passages(database, number))
        PassageTables(database, "document").remove(number, text, names)
        rows = database.execute("SELECT id, text FROM passage WHERE file = ?", (number,)).fetchall()
        tables = PassageTables(database, "passage")
        for row, passage in rows:
            tables.remove(row, passage, names)
        VectorTable(database).remove(row for row, _ in rows)
        database.execute("DELETE FROM passage WHERE file = ?", (number,))
    database.execute("DELETE FROM file WHERE id = ?", (number,))


def _names(title: str, path: str) -> str:
    """The title and the path, as words."""
    stem = path.rpartition(".")[0] or path
    return f"{title} {re.sub(r'[_/.-]+', ' ', stem)}"


def _passages(database: sqlite3.Connection, file: int) -> list[str]:
    rows = database.execute("SELECT text FROM passage WHERE file = ? ORDER BY id", (file,))
    return [text for (text,) in rows]


def _has_long_documents(database: sqlite3.Connection) -> bool:
    """Whether documents say more than their passages: most have several."""
    passages, documents = (
        database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("passage", "file")
    )
    return bool(2 * passages > 3 * documents)


def _owners(database: sqlite3.Connection, passages: set[int]) -> dict[int, int]:
    """The file of each passage."""
    numbers = ",".join(map(str, passages))
    return dict(database.execute(f"SELECT id, file FROM passage WHERE id IN ({numbers})"))


def _by_rank(ranked: Iterable[int]) -> Way:
    return 1.0, [(number, 1 / (RANK + rank)) for rank, number in enumerate(ranked, 1)]


def _by_file(way: Way, owners: Mapping[int, int]) -> Way:
    """A ranking of files by their best passages."""
    weight, scored = way
    best: dict[int, float] = {}
    for number, score in scored:
        best.setdefault(owners[number], score)
    return weight, list(best.items())


def _hit(database: sqlite3.Connection, file: int, passage: int | None) -> Hit:
    path, title = database.execute("SELECT path, title FROM file WHERE id = ?", (file,)).fetchone()
    which: tuple[str, Any] = ("file = ? ORDER BY id LIMIT 1", file) if passage is None else ("id = ?", passage)
    row = database.execute(f"SELECT text FROM passage WHERE {which[0]}", (which[1],)).fetchone()
    return Hit(path, title, row[0].strip() if row else "")
