"""A connection to the SQLite file at a path, which may be removed or replaced, in a process that may fork."""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agentkit._forking import notice_fork, take_part_in_forks
from agentkit._lazy.records import dataclass
from agentkit.errors import ConfigurationError, SessionError

_URI_OPTION = re.compile(r"\?(?:mode|cache|nolock|immutable|vfs|psow)=")
BUSY_SECONDS = 10.0
"""How long is waited for other processes that use the file, in seconds."""
RETRY_SECONDS = 0.01
"""After how many seconds is tried again what SQLite does not wait for."""
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|sqlite:)", re.IGNORECASE)

_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

Identity = tuple[int, int]
"""Which file it is: device and inode."""


@dataclass(frozen=True)
class _Open:
    """An open database: which file, which write-ahead log, and whether it can be written."""

    connection: sqlite3.Connection
    file: Identity
    log: Identity | None
    can_write: bool


class SQLiteFile:
    """A connection to the file at `path`, opened when it is needed; the file is created, readable by its owner only.

    A file that can't be written, such as a backup, can be read. prepare: called with each new connection, and whether
    it can write; it has to read from a table, which opens the write-ahead log.
    """

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection, bool], None]) -> None:
        self.path = path
        self.name, self._log_name = os.fspath(path), f"{path}-wal"
        self._prepare = prepare
        self._guard = threading.RLock()
        self._open: _Open | None = None
        self._of_parent: _Open | None = None
        take_part_in_forks(self)

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        with self._guard:
            if self._open is not None:
                self._open.connection.close()
            self._open = None

    def __del__(self) -> None:
        if (opened := getattr(self, "_open", None)) is not None:
            opened.connection.close()  # Python 3.13 warns of one that is left to the garbage collector

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time, with `failures`. A file that was removed or replaced is left, and
        the one at the path is opened or created."""
        notice_fork()
        with self._guard, self.failures():
            yield self._current()

    def rows(self, query: str, values: Sequence[Any]) -> list[Any]:
        """The rows that a query finds. Raises as `using` does."""
        notice_fork()
        with self._guard:
            try:
                return self._current().execute(query, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                raise self._failure(error) from error

    def _current(self) -> sqlite3.Connection:
        """The connection to the file that is at the path. Whether it can be written is tried again each time: it may
        have been for a moment that it could not, for want of file descriptors."""
        if self._open is not None and (self._is_moved(self._open) or not self._open.can_write):
            self.close()
        if self._open is None:
            self._open = self._opened()
        return self._open.connection

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raises errors of the database and the system as SessionError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> SessionError:
        return SessionError(f"the sessions in {self.path.name} can't be used: {error}")

    @property
    def opened(self) -> Identity | None:
        """The file that is open."""
        return None if self._open is None else self._open.file

    def check_unmoved(self) -> None:
        """Raises SessionError when what is open is not what is at the path: others would not see what was written."""
        if self._open is None or self._is_moved(self._open):
            raise SessionError(
                f"the sessions in {self.path.name} can't be used: the file was removed or replaced while it was "
                "written to"
            )

    def _is_moved(self, opened: _Open) -> bool:
        return opened.file != identity(self.name) or opened.log != identity(self._log_name)

    def _opened(self) -> _Open:
        for _ in range(10):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
            before = identity(self.path)
            connection, can_write = self._connected()
            if before is not None and before == identity(self.path):
                return _Open(connection, before, identity(self._log_name), can_write)
            connection.close()  # replaced at that moment
        raise SessionError(f"the sessions in {self.path.name} can't be used: the file is replaced again and again")

    def _connected(self) -> tuple[sqlite3.Connection, bool]:
        """A connection, and whether it can write."""
        try:
            return self._prepared(self.name, can_write=True), True
        except sqlite3.OperationalError as error:
            if primary_code(error) not in _UNWRITABLE or not self.path.is_file():
                raise
            with suppress(sqlite3.Error):
                return self._prepared(f"{self.path.as_uri()}?mode=ro", can_write=False), False
            if identity(self._log_name) is not None:  # without its index, which can't be made, it is not read
                raise
        return self._prepared(f"{self.path.as_uri()}?mode=ro&immutable=1", can_write=False), False

    def _prepared(self, at: str, *, can_write: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            at, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=not can_write
        )
        try:
            self._prepare(connection, can_write)
        except BaseException:
            connection.close()
            raise
        return connection

    def before_fork(self) -> None:
        self._guard.acquire()
        self.close()  # SQLite forbids to carry a connection across a fork, even to close it in the child

    def after_fork(self, is_child: bool) -> None:
        if is_child:
            self._guard = threading.RLock()
            self._of_parent, self._open = self._open, None  # never closed; None, unless no hook was called before
        else:
            self._guard.release()


def primary_code(error: sqlite3.Error) -> int | None:
    """What kind of error it is, such as `sqlite3.SQLITE_BUSY`; None where SQLite has not said."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Have a write-ahead log. SQLite does not wait where another process is about to do the same."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(RETRY_SECONDS)


def identity(path: str | os.PathLike[str]) -> Identity | None:
    """Which file is at a path; None when there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path of a database, without symbolic links: one file has one lock, from whatever folder and under whatever
    name it is opened. Raises ConfigurationError for names that mean something else to SQLite."""
    text = os.fsdecode(path)
    if text == ":memory:" or not text.strip() or "\0" in text:
        raise ConfigurationError(
            f"{text!r} is not the path of a file: for sessions in memory use MemorySessions(), or the URL memory:"
        )
    if text[:5].lower() == "file:" or _URI_OPTION.search(text):
        raise ConfigurationError(f"{text!r} is an SQLite URI: give the path of the file instead")
    if isinstance(path, str) and _URL.match(text):
        raise ConfigurationError(
            f"{text.partition(':')[0]!r} is the scheme of a URL: give the path of a file, or use open_sessions()"
        )
    return Path(os.path.realpath(text))
