"""The rows of parquet files."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

from agentkit.batch.json_lines import check_texts
from agentkit.batch.tables import question_column
from agentkit.batch.text_lines import MAX_BYTES, TOO_LONG, Entry, LineError
from agentkit.errors import ConfigurationError, MissingExtraError

_ROWS = 256
"""Rows that are in memory as Python's objects at the same time."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at once; without it, those of the whole row group."""
_INDEX = "__index_level_"


class ParquetRows:
    """The rows of a parquet file, read by row groups: entries whose line is the number of the row. wanted: the column
    with the question; None: one of the usual ones. name: of the file.

    column: the one with the question. Raises ConfigurationError for a file that can't be read, or has none; and
    MissingExtraError."""

    def __init__(self, path: str, wanted: str | None, name: str) -> None:
        self._file = _opened(path, name)
        self._name = name
        try:
            self.names = [each.strip() for each in self._file.schema_arrow.names]
            self.column = question_column(self.names, wanted, name)
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[Entry]:
        with closing(self._file):
            for number, row in enumerate(chain.from_iterable(map(_rows, self._batches())), 1):
                yield self._entry(number, row)

    def _batches(self) -> Iterator[Any]:
        from pyarrow import ArrowException

        done = 0
        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, use_threads=False):
                yield batch
                done += batch.num_rows
        except (ArrowException, OSError) as error:
            raise ConfigurationError(f"{self._name}: is broken behind row {done}: {error!s:.200}") from None

    def _entry(self, number: int, row: "Mapping[str, Any] | LineError") -> Entry:
        if isinstance(row, LineError):
            return number, None, str(number).encode(), str(row)
        cells = zip(self.names, row.values(), strict=True)
        value = {name: plain(cell) for name, cell in cells if name and not name.startswith(_INDEX)}
        try:
            if _size(value) > MAX_BYTES:
                raise LineError(TOO_LONG)
            if isinstance(value[self.column], list):
                value[self.column] = [_without_nulls(each) for each in value[self.column]]
            check_texts(value)
        except LineError as error:
            return number, None, str(value).encode("utf-8", "replace"), str(error)
        return number, value, b"", ""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _opened(path: str, name: str) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtraError(f"{name}: reading parquet files", "parquet") from None
    try:
        return ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    except (ArrowException, OSError) as error:
        raise ConfigurationError(f"{name}: can't be read as a parquet file: {error!s:.200}") from None


def _rows(batch: Any) -> Iterator["Mapping[str, Any] | LineError"]:
    """The rows of a batch. pyarrow reads texts only when they become Python's."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for number in range(batch.num_rows):
            try:
                yield batch.slice(number, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield LineError("has a text that is not UTF-8")


def plain(cell: Any) -> Any:
    """A cell as JSON: what JSON lacks is text (a time, a decimal), NaN is null, and bytes are told by size and
    digest."""
    if cell is None or isinstance(cell, str | int):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, list | tuple):
        return [plain(each) for each in cell]
    if isinstance(cell, dict):
        return {str(key): plain(each) for key, each in cell.items()}
    if isinstance(cell, bytes):
        return f"({len(cell):,} bytes, blake2b {hashlib.blake2b(cell, digest_size=8).hexdigest()})"
    return str(cell)


def _without_nulls(value: Any) -> Any:
    """A message without the fields that only others have: all structs of a column have the same."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _size(value: Any) -> int:
    """About how many bytes a value has as JSON."""
    size, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            size += len(each) if each.isascii() else len(each.encode("utf-8", "surrogatepass"))
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        else:
            size += 8
    return size
