"""The records of an answers file in other forms: a CSV file, or a parquet file."""

import csv
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from agentkit.batch.answer_lines import read_records
from agentkit.batch.record_columns import Columns
from agentkit.batch.whole_file import Out, whole_file
from agentkit.errors import MissingExtraError

ROWS = 10_000
"""The rows of a row group of a parquet file, or fewer: as many as have GROUP_BYTES of text."""
GROUP_BYTES = 1 << 26
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
EXCEL_CELL = 32_767
"""The most that a cell of Excel has. It puts the rest of a longer text into other rows."""
_CUT = " … (the rest is left out)"
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def export_csv(answers: str | os.PathLike[str], out: Out, *, for_excel: bool = False) -> int:
    """Write records as a CSV file in UTF-8, and return how many they are. Lists and objects are JSON in their cells.

    for_excel: for a spreadsheet. The file begins with a byte order mark, without which Excel takes it for another
    encoding; and a text that a spreadsheet would run as a formula, which a model or a page may have written on purpose,
    has an apostrophe in front; one that is longer than a cell (`EXCEL_CELL`) is cut. Without it each text is exactly
    what it is.

    out: the name of a file, or what takes bytes, such as `sys.stdout.buffer`. Raises ConfigurationError for a file that
    can't be read or written; then `out` is what it was, if it can be replaced at all.
    """
    columns = Columns(read_records(answers))
    cell = _excel_cell if for_excel else _cell
    with whole_file(out, answers) as file:
        # With \r\n, the csv module quotes a lone \r and a lone \n in a text too.
        rows = _TextRows(file, "utf-8-sig" if for_excel else "utf-8", cell)
        rows.write(list(columns.types))
        count = 0
        for record in read_records(answers):
            rows.write(columns.row(record))
            count += 1
    return count


class _TextRows:
    def __init__(self, file: BinaryIO, encoding: str, cell: Callable[[Any], Any]) -> None:
        self._file = file
        self._encoding = encoding
        self._cell = cell
        self._pieces: list[str] = []
        self._writer = csv.writer(self, lineterminator="\r\n")

    def write(self, row: Any) -> None:
        """A row of values; or, from the csv module, a piece of text."""
        if isinstance(row, str):
            self._file.write(row.encode(self._encoding))
            self._encoding = "utf-8"
            return
        self._writer.writerow([self._cell(value) for value in row])


def _cell(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _excel_cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(_BEGINS_FORMULA)
    value = f"'{value}" if is_formula and not _NUMBER(value) else _cell(value)
    return _as_much_as_fits(value) if isinstance(value, str) and len(value) > EXCEL_CELL // 2 else value


def _as_much_as_fits(text: str) -> str:
    """A text that is cut where a cell of Excel ends, which counts in UTF-16."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    if len(encoded) <= 2 * EXCEL_CELL:
        return text
    return encoded[: 2 * (EXCEL_CELL - len(_CUT))].decode("utf-16-le", "ignore") + _CUT


def export_parquet(answers: str | os.PathLike[str], out: Out) -> int:
    """Write records as a parquet file by row groups, which all have the same columns and types, and return how many
    they are. A column of numbers of which one is a text is a column of texts.

    Raises ConfigurationError for a file that can't be read or written, MissingExtraError without the extra `parquet`.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("writing parquet files", "parquet") from None
    columns = Columns(read_records(answers))
    types = {"text": pyarrow.string(), "bool": pyarrow.bool_(), "int": pyarrow.int64(), "float": pyarrow.float64()}
    schema = pyarrow.schema([(name, types[type_]) for name, type_ in columns.types.items()])
    count = 0
    with whole_file(out, answers) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for rows in _groups(columns.row(record) for record in read_records(answers)):
            cells = [
                pyarrow.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(cells, schema=schema), row_group_size=len(rows))
            count += len(rows)
    return count


def _groups(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    group: list[list[Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(group) >= ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
