"""Excel workbooks (xlsx, xlsm)."""

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import chain
from typing import Any

from agentkit import Context
from agentkit_tools.file_text.form import FileText, joined
from agentkit_tools.file_text.number_formats import shown
from agentkit_tools.file_text.package import Package, unescaped
from agentkit_tools.file_text.sheet_notes import SheetNotes, notes_of_sheets
from agentkit_tools.file_text.tables import table_text
from agentkit_tools.reader_process import FILE_SECONDS, NO_RUN, in_reader_process
from agentkit_tools.unreadable import MissingReaderError, UnreadableError

_STRICT = re.compile(rb"""(["'])http://purl\.oclc\.org/ooxml/(spreadsheetml|officeDocument|drawingml)/""")
"""How the names of a "Strict Open XML" workbook begin."""


def read_sheets(path: str, content: bytes, context: Context[Any] = NO_RUN) -> FileText:
    """A workbook's sheets, each row with the names of its columns; read in another process, since a small file may say
    that it has billions of cells. Raises UnreadableError, MissingReaderError when openpyxl is not installed."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise MissingReaderError("install agentkit-loop[documents]") from None
    return in_reader_process(_read_workbook, content, size=len(content), context=context, seconds=FILE_SECONDS)


def _read_workbook(content: bytes) -> FileText:
    from openpyxl import load_workbook

    package = Package(content)
    if _STRICT.search(package.read(package.main_part("xl/workbook.xml"))):
        content = _transitional(package)
        package = Package(content)
    # raises if one is too large
    sheets = {each: package.read(each) for each in package.paths("xl/worksheets/", ".xml")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not kept when a workbook is saved
        try:
            values = load_workbook(BytesIO(content), read_only=True, data_only=True)
            formulas = (
                load_workbook(BytesIO(content), read_only=True) if any(map(_lacks_values, sheets.values())) else None
            )
            return FileText("", joined(_sheets(values, formulas, notes_of_sheets(package, sheets))))
        except (UnreadableError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - openpyxl raises many types for damaged files
            raise UnreadableError("it is damaged") from None


def _transitional(package: Package) -> bytes:
    """A "Strict Open XML" workbook with the names of the usual kind, which are the ones that openpyxl knows: in another
    one it finds no sheet."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        for path in (*package.paths("", ".xml"), *package.paths("", ".rels")):
            parts.writestr(
                package.path_of(path), _STRICT.sub(rb"\1http://schemas.openxmlformats.org/\2/2006/", package.read(path))
            )
    return file.getvalue()


def _lacks_values(sheet: bytes) -> bool:
    """Whether a program wrote a formula without its value."""
    return re.search(rb"</(?:\w{1,10}:)?f>\s*(?:<(?:\w{1,10}:)?v\s*/>|<v></v>|</(?:\w{1,10}:)?c>)", sheet) is not None


def _sheets(workbook: Any, formulas: Any, notes: Mapping[str, SheetNotes]) -> Iterator[str]:
    for sheet in workbook.worksheets:
        rows = _rows(sheet)
        if formulas is not None:
            rows = map(_completed, rows, _rows(formulas[sheet.title]))
        found = notes.get(sheet.title, SheetNotes())
        title = f"## {sheet.title}{'' if sheet.sheet_state == 'visible' else ' (hidden sheet)'}"
        table = table_text(found.repeated(found.with_links(rows)), merged=bool(found.merged))
        for paragraph in filter(None, chain([found.hidden], table, found.beside)):
            if title:
                yield title
                title = ""
            yield paragraph


def _rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # some programs write wrong ones
    return ([_said(cell) for cell in row] for row in sheet.iter_rows())


def _completed(values: list[str], formulas: list[str]) -> list[str]:
    return [value or formula for value, formula in zip(values, formulas, strict=False)]


def _said(cell: Any) -> str:
    """What a cell shows."""
    value = cell.value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        return shown(value, str(cell.number_format))
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    return "" if value is None else unescaped(str(value))
