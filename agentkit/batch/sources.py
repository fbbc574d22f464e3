"""Where questions come from: a file of one of several kinds, standard input, or an iterable."""

import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from agentkit.batch.given_items import check_iterable, given_entries, spool, spooled_entries
from agentkit.batch.json_lines import Skipped, check_is_lines, json_entries, text_entries
from agentkit.batch.parquet_rows import ParquetRows
from agentkit.batch.tables import CsvRows
from agentkit.batch.temporary_files import temporary_files
from agentkit.batch.text_lines import Entry, LineError, beginning, check_is_text, lines_of, open_bytes
from agentkit.errors import ConfigurationError

Kind = Literal["json", "text", "csv", "parquet"]
_SUFFIXES: dict[str, Kind] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".parquet": "parquet",
}
STDIN = "-"


class Source(Protocol):
    """Where questions come from. name: for messages. column: the one of a table with the question, else None.
    is_table: whether the questions are rows. is_file: whether they come from outside of the program."""

    name: str
    column: str | None
    is_table: bool
    is_file: bool

    def entries(self, is_skipped: Skipped | None = None) -> Iterator[Entry]:
        """What may be questions, from the first on, each time anew. is_skipped: asked for lines of JSON and for texts
        that a program has given, alone. Raises ConfigurationError for a file that can't be read to its end."""
        ...

    def close(self) -> None:
        """Remove what was written for it."""
        ...


class _File:
    """Questions in a file that can be read again. Raises ConfigurationError."""

    is_file = True

    def __init__(self, path: str, name: str, kind: Kind, wanted: str | None) -> None:
        self.name = name
        self._path = path
        self._kind = kind
        self._wanted = wanted
        self.is_table = kind in ("csv", "parquet")
        self.column = self._checked()

    def _checked(self) -> str | None:
        """Check the beginning of the file. Returns the column with the question."""
        if self._kind == "parquet":
            with closing(ParquetRows(self._path, self._wanted, self.name)) as rows:
                return rows.column
        with open_bytes(self._path) as file:
            check_is_text(beginning(file, self.name), self.name)
            lines = lines_of(file, self.name)
            if self._kind == "csv":
                first = next(lines, None)
                if first is None:
                    raise ConfigurationError(f"{self.name}: has no questions: it is empty")
                return CsvRows(_behind(first, lines), self._wanted, self.name).column
            if self._kind == "json":
                check_is_lines(lines, self.name)
            return self._wanted

    def entries(self, is_skipped: Skipped | None = None) -> Iterator[Entry]:
        if self._kind == "parquet":
            yield from ParquetRows(self._path, self._wanted, self.name)
            return
        with open_bytes(self._path) as file:
            lines = lines_of(file, self.name)
            if self._kind == "csv":
                yield from CsvRows(lines, self._wanted, self.name)
            else:
                yield from text_entries(lines) if self._kind == "text" else json_entries(lines, is_skipped)

    def close(self) -> None:
        pass


def _behind(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


class _Temporary(_File):
    """Questions from a stream, kept in a temporary file."""

    def __init__(self, path: str, name: str, kind: Kind, wanted: str | None) -> None:
        self._remove = weakref.finalize(self, _removed, path)
        try:
            super().__init__(path, name, kind, wanted)
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        self._remove()


class _Given:
    """Questions of an iterable that can be gone through again."""

    name = "questions"
    is_table = is_file = False

    def __init__(self, source: Iterable[Any], column: str | None) -> None:
        self.column = column
        self._source = source

    def entries(self, is_skipped: Skipped | None = None) -> Iterator[Entry]:
        return given_entries(self._source, is_skipped)

    def close(self) -> None:
        pass


class _Spooled:
    """Questions of an iterator, kept in a temporary file."""

    name = "questions"
    is_table = is_file = False

    def __init__(self, source: Iterable[Any], column: str | None) -> None:
        self.column = column
        self._path = _written(lambda file: spool(source, file))
        self._remove = weakref.finalize(self, _removed, self._path)

    def entries(self, is_skipped: Skipped | None = None) -> Iterator[Entry]:
        with open(self._path, "rb") as file:
            yield from spooled_entries(file)

    def close(self) -> None:
        self._remove()


def _written(write: Callable[[BinaryIO], object]) -> str:
    """The path of a temporary file with what `write` has written. Raises ConfigurationError where there is no room."""
    with temporary_files():
        descriptor, path = tempfile.mkstemp(prefix="agentkit-batch-")
        try:
            with open(descriptor, "wb") as file:
                write(file)
        except BaseException:
            _removed(path)
            raise
    return path


def _removed(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def source_of(questions: str | os.PathLike[str] | Iterable[Any], wanted: str | None) -> Source:
    """Where questions come from. wanted: the field or column with the question, as the user says. Raises
    ConfigurationError."""
    if not isinstance(questions, str | os.PathLike):
        check_iterable(questions)
        return _Spooled(questions, wanted) if isinstance(questions, Iterator) else _Given(questions, wanted)
    path = os.fspath(questions)
    if path == STDIN:
        return _streamed(_stdin(), "standard input", wanted)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"{path[:200]}: can't be read: {reason}: give a file, or a list of questions"
        ) from None
    if stat.S_ISFIFO(mode):
        with open(path, "rb") as pipe:
            return _streamed(pipe, path, wanted)
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{path}: is no file")
    return _File(path, path, _kind_of_name(path), wanted)


def _kind_of_name(path: str) -> Kind:
    name = Path(path).name.lower()
    kind = _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix)
    if kind is None or (kind == "parquet" and name.endswith(".gz")):
        raise ConfigurationError(
            f"{path}: questions are read from .jsonl, .jsonl.gz, .csv, .parquet and .txt files: rename or convert it"
        )
    return kind


def _stdin() -> BinaryIO:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise ConfigurationError("standard input: is not there, or no stream of bytes: give the path of a file")
    return stream  # type: ignore[no-any-return]


def _streamed(stream: BinaryIO, name: str, wanted: str | None) -> Source:
    path = _written(lambda file: shutil.copyfileobj(stream, file))
    return _Temporary(path, name, _kind_of_content(path, name, wanted), wanted)


def _kind_of_content(path: str, name: str, wanted: str | None) -> Kind:
    """The kind of what came from a stream: JSON lines, unless its first line isn't JSON and names columns."""
    with open_bytes(path) as file:
        if beginning(file, name).startswith(b"PAR1"):
            return "parquet"
        first = list(islice(lines_of(file, name), 100))
    line = next((each for each in first if each[1].strip()), None)
    if line is None or line[2] or not next(json_entries([line]))[3]:
        return "json"
    with suppress(ConfigurationError, LineError):
        CsvRows(iter(first), wanted, name)
        return "csv"
    return "json"
