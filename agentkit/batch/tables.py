"""The rows of CSV files."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from agentkit.batch.json_lines import json_value
from agentkit.batch.question_lines import NAME_IT, QUESTIONS, names_of
from agentkit.batch.text_lines import MAX_BYTES, Entry, Line, LineError, decoded
from agentkit.errors import ConfigurationError

SEPARATORS = ",;\t|"
_USUAL_LIMIT = 100_000
_LOOK = 100
"""How many lines the names of the columns may take."""


def question_column(names: Sequence[str], wanted: str | None, name: str) -> str:
    """The column with the question. wanted: as its user says. name: of the file. Raises ConfigurationError."""
    shown = names_of(dict.fromkeys(names))
    twice = next((each for each in names if each and names.count(each) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{name}: line 1: has the column {twice!r} twice: rename one")
    if wanted is not None:
        if wanted in names:
            return wanted
        raise ConfigurationError(f"{name}: line 1: has no column {wanted!r}; its columns are {shown}")
    found = [each for each in QUESTIONS if each in names]
    if len(found) == 1:
        return found[0]
    what = f"has more than one of the columns {', '.join(found)}" if found else "has no column with a question"
    raise ConfigurationError(f"{name}: line 1: {what}; its columns are {shown}: {NAME_IT}")


class CsvRows:
    """The rows of a CSV file, as objects with the names of its columns: entries whose line is the one in which a row
    begins. lines: of the file. wanted: the column with the question; None: one of `QUESTIONS`. name: of the file.

    column: the one with the question. Raises ConfigurationError when there is none."""

    def __init__(self, lines: Iterator[Line], wanted: str | None, name: str) -> None:
        first = list(islice(lines, _LOOK))
        self._lines = _Feed(chain(first, lines))
        separator = _announced(first) or _separator(first, wanted)
        if _announced(first):
            next(self._lines)
        self._separator = separator
        self._rows = self._reader()
        self.names = [each.strip() for each in self._names(name)]
        self.column = question_column(self.names, wanted, name)

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines, delimiter=self._separator, strict=True)

    def _names(self, name: str) -> list[str]:
        try:
            return next((row for row in self._rows if any(row)), [])
        except (csv.Error, LineError) as error:
            raise ConfigurationError(f"{name}: line 1: {_reason(error, self._lines)}") from None

    def __iter__(self) -> Iterator[Entry]:
        while True:
            self._lines.begin()
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except (csv.Error, LineError) as error:
                yield self._lines.first, None, self._lines.content(), _reason(error, self._lines)
                self._rows = self._reader()
                continue
            if any(row):
                yield self._entry(row)

    def _entry(self, row: list[str]) -> Entry:
        names, more = self.names, ""
        if len(row) != len(names):
            if len(row) < len(names) or any(row[len(names) :]):
                more = f"has {len(row)} cells, but there are {len(names)} columns"
                more += ": put texts with a separator in double quotes" if len(row) > len(names) else ""
                return self._lines.first, None, self._lines.content(), more
            row = row[: len(names)]
        cells = {name: cell for name, cell in zip(names, row, strict=True) if name}
        return self._lines.first, cells, b"", ""


class _Feed:
    """Gives the lines of a row to the reader, and knows where it began. Raises LineError for a line that can't be read,
    and where a row becomes too long."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._parts: list[bytes] = []
        self._size = 0
        self.first = self.last = 0

    def begin(self) -> None:
        """A row begins with the next line."""
        self._parts.clear()
        self._size = self.first = 0

    def content(self) -> bytes:
        """The bytes of the row."""
        return b"".join(self._parts)

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        self.last, content, problem = next(self._lines)
        self.first = self.first or self.last
        self._parts.append(content)
        self._size += len(content)
        if problem:
            raise LineError(problem)
        if b"\0" in content:
            raise LineError("has a NUL character")
        if self._size > MAX_BYTES:
            raise LineError(f"begins a row of more than {MAX_BYTES:,} bytes: is a quotation mark not closed?")
        if self._size > _USUAL_LIMIT and self._size > csv.field_size_limit():
            csv.field_size_limit(2 * MAX_BYTES)  # it holds for the whole program: never lower than it was
        return decoded(content)


def _reason(error: Exception, feed: _Feed) -> str:
    text = str(error)
    if isinstance(error, LineError):
        reason = text
    elif "new-line" in text:
        reason = "has CR alone within it: end lines with LF"
    elif "unexpected end" in text:
        reason = "has a quotation mark that is not closed"
    elif "expected after" in text:
        reason = "has text behind a closing quotation mark: double the quotation marks within a quoted text"
    else:
        reason = f"can't be read: {text}"
    return reason if feed.last <= feed.first else f"{reason} (up to line {feed.last})"


def _announced(lines: Sequence[Line]) -> str:
    """The separator in the line `sep=;`, which Excel reads and writes."""
    begin = lines[0][1].strip().lower() if lines else b""
    return chr(begin[4]) if len(begin) == 5 and begin.startswith(b"sep=") else ""


def _separator(lines: Sequence[Line], wanted: str | None) -> str:
    """The character with which the first row has a column for the question; else the one that gives most columns."""
    best, most = ",", (False, 1)
    known = QUESTIONS if wanted is None else (wanted,)
    for separator in SEPARATORS:
        texts = (content.decode("utf-8", "replace") for _, content, _ in lines)
        try:
            names = next((row for row in csv.reader(texts, delimiter=separator) if any(row)), [])
        except csv.Error:
            continue
        fits = any(name.strip() in known for name in names), len(names)
        if fits > most:
            best, most = separator, fits
    return best


def table_value(row: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """A row with its messages as such, where a cell has them as JSON. Raises LineError."""
    cell = row[column]
    if column != "messages" or not isinstance(cell, str) or not cell.strip():
        return row
    return {**row, column: json_value(cell.encode())}
