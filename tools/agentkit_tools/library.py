"""The documents of a folder and their index, kept in an SQLite file, so that a later process finds at once.

Shared by threads and processes: one thread reads what is new while the others may search, and what it has read is
stored step by step.
"""

import math
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

from agentkit import Context, ToolError
from agentkit_tools.contents import Contents
from agentkit_tools.files import State
from agentkit_tools.index_file import LAST, SOON, is_locked, is_unwritable, opened, removed
from agentkit_tools.indexing import Entry, Read, read_some, store, to_be_read
from agentkit_tools.log import logger
from agentkit_tools.reader_process import RunEndedError, acquired, check, is_over

RETRY, MAX_RETRY = 5.0, 600.0
"""Seconds after which a file that could not be opened (too many were open), or for which the time was too short, is
tried again, at first and at most."""

RESERVE = 5.0
"""Seconds of a run that are left for searching and answering when there is much to read; half of what it has, if
less."""

FORK_WAIT = 2.0
"""Maximum seconds that `os.fork` waits for a thread that searches or stores."""

TRIES = 3
"""How often reading is begun anew after errors of the index, in one call."""


class Library:
    """The documents of a folder.

    files: returns the state of each file by its path in the folder; called by one thread at a time. read: reads one for
    a run; raises UnreadableError, OSError, RunEndedError. at: where the index is kept; None keeps it in memory, as does
    a place where nothing can be written.
    """

    def __init__(self, files: Callable[[], Mapping[str, State]], read: Read, at: Path | None) -> None:
        self._files = files
        self._read = read
        self._at = at
        self._make_locks()
        self._is_held = self._is_quiet = False
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, Mapping[str, State]] | None = None
        self._states: Mapping[str, State] = {}
        self._retry_at, self._pause, self._too_short = math.inf, RETRY, 0.0
        _LIBRARIES.add(self)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        """Of the connection. Not held while a file is read."""
        self._turn = threading.RLock()
        """Of the one thread that looks for new files and reads them."""
        self._users = 0

    def __del__(self) -> None:
        if (connection := getattr(self, "_connection", None)) is not None:
            connection.close()  # Python 3.13 warns of one that is left to the garbage collector

    @contextmanager
    def refreshed(self, context: Context[Any]) -> Iterator[Contents]:
        """The documents as they are now, for one thread at a time. When the time of a run comes to its end, those that
        are indexed by then.

        context: the run that asks. Raises ToolError when another process writes for longer than WAIT, the run ends
        before, or the index turns out to be damaged or can't be written; the next time it is made anew, or kept in
        memory.
        """
        expected = self._refreshed(context)
        with self._using(context) as database:
            try:
                yield Contents(database, expected)
            except sqlite3.DatabaseError as error:
                raise ToolError(self._recovered(error)) from error

    def _refreshed(self, context: Context[Any]) -> Collection[str]:
        """Index what is new; returns the paths of all files when there was no time for some of them."""
        tries = 1
        while True:
            try:
                return self._indexed(_with_reserve(context))
            except sqlite3.DatabaseError as error:
                why = self._recovered(error, tries)
                if tries == TRIES:
                    raise ToolError(why) from error
                tries += 1
            except RunEndedError:
                if context.cancelled:
                    raise
                return self._states

    def _recovered(self, error: sqlite3.DatabaseError, tries: int = 1) -> str:
        """Begin anew after an error of the index: where it is damaged with a new one, and where it can't be written
        with the same one, the second time in memory. Returns what to say when it is not tried again.

        Raises ToolError when another process writes.
        """
        if is_locked(error):
            raise ToolError("another process is indexing the documents: try again later") from None
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            if not is_unwritable(error):
                removed(self._at)
                return "the index of the documents was damaged: try again, it is made anew"
            if tries > 1 and self._at is not None:
                logger.warning("the index of the documents is kept in memory: %s: %s", self._at, error)
                self._at = None
            return f"the index of the documents can't be kept ({error}): try again"

    @contextmanager
    def _using(self, context: Context[Any]) -> Iterator[sqlite3.Connection]:
        """The connection, which one thread may use at a time. Raises RunEndedError when the run ends before."""
        lock = self._lock  # a forked process gets another one
        if not acquired(lock, context):
            check(context)
        try:
            self._users += 1
            if self._connection is None:
                self._connection, self._seen = opened(self._at), None
            yield self._connection
        finally:
            self._users -= 1
            lock.release()

    def _indexed(self, context: Context[Any]) -> Collection[str]:
        """Index new and changed files, and drop those that are gone; returns the paths of all files when there was no
        time for some of them. context: its deadline is when to stop."""
        turn = self._turn
        if not acquired(turn, context):
            check(context)
        try:
            states = self._states = self._files()
            with self._using(context) as database:
                if self._seen == (_version_of(database), states) and not self._is_due(context):
                    return ()
                was_due = self._seen is None or self._is_due(context)
                if was_due:
                    database.execute("DELETE FROM file WHERE again = ?", (SOON,))
            return () if self._read_all(states, context, was_due) else states
        finally:
            turn.release()

    def _read_all(self, states: Mapping[str, State], context: Context[Any], was_due: bool) -> bool:
        """Read and store what is new; returns whether there was time for all of it. was_due: whether files for which
        the time was too short are tried again."""
        begun = time.monotonic()
        paths, read, put_off = deque[str](), list[Entry](), frozenset[str]()
        known: tuple[sqlite3.Connection, int] | None = None
        while True:
            with self._using(context) as database:
                if read:
                    store(database, read, context)
                if known != (state := (database, _version_of(database))):
                    new, last = to_be_read(database, states)
                    start = 0 if known is None else os.getpid() * 7_919 % (len(new) + 1)  # beside the other process
                    paths, put_off = deque([*new[start:], *new[:start], *(last if was_due else ())]), frozenset(last)
                    known = state
                if not paths or is_over(context):
                    self._too_short = time.monotonic() - begun if is_over(context) else self._too_short
                    self._plan_retry(database, was_due)
                    is_complete = put_off.issuperset(paths)
                    self._seen = (_version_of(database), states) if is_complete else None
                    return is_complete
            read = read_some(paths, states, self._read, context, begun)

    def _is_due(self, context: Context[Any]) -> bool:
        """Whether files that could not be read for the moment are tried again: after some time, or as this run has more
        time than the one for which they took too long."""
        now = time.monotonic()
        has_more = context.deadline is None or context.deadline - now > 2 * self._too_short
        return now >= self._retry_at or bool(self._too_short and has_more)

    def _plan_retry(self, database: sqlite3.Connection, was_due: bool) -> None:
        """Set when they are: after a longer time each time."""
        again = {again for (again,) in database.execute("SELECT DISTINCT again FROM file WHERE again >= ?", (SOON,))}
        if LAST not in again:
            self._too_short = 0.0
        if not again:
            self._retry_at, self._pause = math.inf, RETRY
        elif was_due or self._retry_at == math.inf:
            self._retry_at, self._pause = time.monotonic() + self._pause, min(MAX_RETRY, 2 * self._pause)

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
        """Begin with free locks. Where the parent was using the connection, keep the index in memory: SQLite would take
        the parent's locks on the file for those of the child."""
        self._make_locks()
        if self._connection is not None and not self._is_quiet:
            _OF_PARENTS.append(self._connection)  # never closed
            self._connection = self._at = None


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


def _with_reserve(context: Context[Any]) -> Context[Any]:
    """A run that has its time but for the one that is left for the answer."""
    if context.deadline is None:
        return context
    left = max(0.0, context.deadline - time.monotonic())
    return replace(context, deadline=context.deadline - min(RESERVE, left / 2))


def _version_of(database: sqlite3.Connection) -> int:
    """Changes when another connection has changed the database."""
    found: tuple[int] = database.execute("PRAGMA data_version").fetchone()
    return found[0]
