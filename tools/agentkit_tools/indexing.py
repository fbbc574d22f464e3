"""How the documents of a folder get into its index: which are new, reading them, and storing what was read."""

import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit import Context
from agentkit.retrieval import PassageTables
from agentkit_tools.contents import passages_of
from agentkit_tools.cutting import split_into_passages
from agentkit_tools.file_text import FileText
from agentkit_tools.files import State
from agentkit_tools.index_file import AT_CHANGE, LAST, NEXT_TIME, SOON
from agentkit_tools.reader_process import NO_RUN, RunEndedError, check, is_over
from agentkit_tools.unreadable import ForTheMomentError, MissingReaderError, NotNowError, UnreadableError
from agentkit_tools.vectors import VectorTable, transaction

BATCH = 1.0
"""Seconds of reading after which what was read is stored; other processes go on, or help, in between."""

SIZE = 1_000_000
"""Characters after which it is stored, too: nobody else can search meanwhile."""

TOO_SLOW = "it takes longer to read than the run had time; it is tried again later"

Read = Callable[[str, State, Context[Any]], FileText]
"""Reads the file at a path for a run. Raises UnreadableError, OSError, RunEndedError."""


@dataclass(frozen=True)
class Entry:
    """What was read of a file. why: why it could not be read; None if it could. again: when it is tried again."""

    path: str
    state: State
    found: FileText
    why: str | None = None
    again: int = AT_CHANGE

    def put_off(self) -> "Entry":
        """The same for a file for which the time was too short."""
        return replace(self, found=FileText("", ""), why=TOO_SLOW, again=LAST)


def to_be_read(database: sqlite3.Connection, states: Mapping[str, State]) -> tuple[list[str], list[str]]:
    """Drop the documents that are gone or changed; returns the paths of the files that are new or changed, and of those
    for which the time was too short."""
    rows = database.execute("SELECT path, changed, size, again FROM file")
    known = {path: ((changed, size), again) for path, changed, size, again in rows}
    gone = [path for path, (state, _) in known.items() if states.get(path) != state]
    if gone:
        with transaction(database):
            for path in gone:
                _remove(database, path)
                del known[path]
    last = sorted(path for path, (_, again) in known.items() if again == LAST)
    return sorted(path for path in states if path not in known), last


def read_some(
    paths: deque[str], states: Mapping[str, State], read: Read, context: Context[Any], since: float
) -> list[Entry]:
    """Read files from the first one on, for BATCH seconds or SIZE characters; takes them from `paths`.

    context: its deadline is when to stop. A file at which it comes stays the first one, or is put off when it had most
    of the time `since` (`time.monotonic()`) the run began to read. Raises RunEndedError when the run is cancelled.
    """
    begun = time.monotonic()
    entries: list[Entry] = []
    size = 0
    while paths and size < SIZE and time.monotonic() < begun + BATCH and not is_over(context):
        path, at = paths[0], time.monotonic()
        try:
            entries.append(_entry(path, states[path], read, context))
        except RunEndedError:
            if context.cancelled:
                raise
            if 2 * (time.monotonic() - at) < time.monotonic() - since:
                break
            entries.append(Entry(path, states[path], FileText("", "")).put_off())
        size += len(entries[-1].found.text)
        paths.popleft()
    return entries


def _entry(path: str, state: State, read: Read, context: Context[Any]) -> Entry:
    try:
        return Entry(path, state, read(path, state, context))
    except (UnreadableError, OSError) as error:
        why = str(error) if isinstance(error, UnreadableError) else _reason(error)
        return Entry(path, state, FileText("", ""), why, _when_again(error))


def store(database: sqlite3.Connection, entries: Sequence[Entry], context: Context[Any]) -> None:
    """Store what was read; long documents for which the time is too short are put off. Raises RunEndedError, with
    nothing stored, when the run is cancelled."""
    try:
        with transaction(database):
            for each in entries:
                _store(database, each, context)
    except RunEndedError:
        if context.cancelled:
            raise
        with transaction(database):
            for each in entries:
                _store(database, each if len(each.found.text) < SIZE else each.put_off(), NO_RUN)


def _store(database: sqlite3.Connection, entry: Entry, context: Context[Any]) -> None:
    row = database.execute("SELECT changed, size, again FROM file WHERE path = ?", (entry.path,)).fetchone()
    if row is not None:
        if (row[0], row[1]) == entry.state and row[2] != LAST:
            return  # by another process, meanwhile
        _remove(database, entry.path)
    title = _encodable(entry.found.title)
    number = database.execute(
        "INSERT INTO file (path, changed, size, title, why, again) VALUES (?, ?, ?, ?, ?, ?)",
        (entry.path, *entry.state, title, entry.why, entry.again),
    ).lastrowid
    assert number is not None
    if entry.why is not None:
        return
    names = _names(title, entry.path)
    tables = PassageTables(database, "passage")
    text, passages = _encodable(entry.found.text), entry.found.passages
    for passage in split_into_passages(text) if passages is None else map(_encodable, passages):
        check(context)
        row_id = database.execute("INSERT INTO passage (file, text) VALUES (?, ?)", (number, passage)).lastrowid
        assert row_id is not None
        tables.add(row_id, passage, names)
    PassageTables(database, "document").add(number, text, names)


def _remove(database: sqlite3.Connection, path: str) -> None:
    number, title, why = database.execute("SELECT id, title, why FROM file WHERE path = ?", (path,)).fetchone()
    if why is None:
        names = _names(title, path)
        text = "".join(passages_of(database, number))
        PassageTables(database, "document").remove(number, text, names)
        rows = database.execute("SELECT id, text FROM passage WHERE file = ?", (number,)).fetchall()
        tables = PassageTables(database, "passage")
        for row, passage in rows:
            tables.remove(row, passage, names)
        VectorTable(database).remove(row for row, _ in rows)
        database.execute("DELETE FROM passage WHERE file = ?", (number,))
    database.execute("DELETE FROM file WHERE id = ?", (number,))


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "there is no permission to read it"
    return "it was removed" if isinstance(error, FileNotFoundError) else "it can't be opened"


def _when_again(error: UnreadableError | OSError) -> int:
    if isinstance(error, OSError | ForTheMomentError):
        return SOON
    return NEXT_TIME if isinstance(error, NotNowError | MissingReaderError) else AT_CHANGE


def _encodable(text: str) -> str:
    """The text without lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _names(title: str, path: str) -> str:
    """The title and the path, as words."""
    stem = path.rpartition(".")[0] or path
    return f"{title} {re.sub(r'[_/.-]+', ' ', stem)}"
