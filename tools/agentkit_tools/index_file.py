"""The SQLite file in which the index of a folder is kept, and what its errors mean."""

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

from agentkit.retrieval import PassageTables
from agentkit_tools.vectors import VectorTable, transaction

VERSION = 8
"""The version of the tables; an index of another version is made anew."""

WAIT = 60.0
"""Maximum seconds to wait for another process that writes."""

AT_CHANGE, NEXT_TIME, SOON, LAST = 0, 1, 2, 3
"""When a file that could not be read is tried again: when it changes, by the next process, by this one too, or, where
the time for it was too short, behind all others."""

_TABLES = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT UNIQUE, changed INTEGER, size INTEGER, title TEXT, why TEXT,
    again INTEGER);
CREATE TABLE passage (id INTEGER PRIMARY KEY, file INTEGER, text TEXT);
CREATE INDEX passage_of_file ON passage (file);
"""

_LOCKED = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
_UNWRITABLE = frozenset(
    (
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_PROTOCOL),
    )
)


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


def opened(at: Path | None) -> sqlite3.Connection:
    """The index in a file, made anew where it is damaged; in memory for None, and where no file can be written."""
    if at is not None:
        with contextlib.suppress(OSError, sqlite3.Error):
            return _opened_file(at)
        with contextlib.suppress(OSError, sqlite3.Error):
            return _opened_file(at)
    return _prepared(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))


def removed(at: Path | None) -> None:
    """Remove the file of a damaged index."""
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            Path(f"{at}{end}").unlink()


def is_locked(error: sqlite3.DatabaseError) -> bool:
    """Whether another process is writing."""
    return _code(error) in _LOCKED


def is_unwritable(error: sqlite3.DatabaseError) -> bool:
    """Whether the file can't be written, or not be reached: the disk is full, or failed. What is in it may be good."""
    return _code(error) in _UNWRITABLE


def _code(error: sqlite3.DatabaseError) -> int:
    """The kind of an error of SQLite; "can't be reached" for one that Python's module has raised itself."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN)
    return code & 0xFF


def _opened_file(at: Path) -> sqlite3.Connection:
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # readable by its owner only, from the beginning
        os.close(os.open(at, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    database = sqlite3.connect(at, timeout=WAIT, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        return _prepared(database)
    except sqlite3.DatabaseError as error:
        database.close()
        if not is_locked(error) and not is_unwritable(error):
            removed(at)
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
        database.execute("DELETE FROM file WHERE again IN (?, ?)", (NEXT_TIME, SOON))
    return database
