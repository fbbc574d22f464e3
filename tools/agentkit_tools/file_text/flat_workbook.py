"""Workbooks that are one XML file (SpreadsheetML of Excel 2003), which many programs export with the ending xls."""

from collections.abc import Iterator
from typing import Any

from agentkit_tools.file_text.form import FileText, joined, one_line
from agentkit_tools.file_text.package import attribute, children, descendants, number_in, parsed_xml
from agentkit_tools.file_text.tables import table_text

MAX_GAP = 100
"""Columns and rows that are left out before one that says its number."""


def read_flat_workbook(path: str, content: bytes) -> FileText:
    """A workbook's sheets, each row with the names of its columns."""
    return FileText("", joined(_sheets(parsed_xml(content))))


def _sheets(root: Any) -> Iterator[str]:
    for sheet in children(root, "Worksheet"):
        title = f"## {attribute(sheet, 'Name') or 'Sheet'}"
        for paragraph in table_text(_rows(sheet)):
            if title:
                yield title
                title = ""
            yield paragraph


def _rows(sheet: Any) -> Iterator[list[str]]:
    number = 0
    for row in descendants(sheet, "Row"):
        at = number_in(attribute(row, "Index"), number + 1)
        yield from ([] for _ in range(min(max(at - number - 1, 0), MAX_GAP)))
        number = max(at, number + 1)
        yield _cells(row)


def _cells(row: Any) -> list[str]:
    cells: list[str] = []
    for cell in children(row, "Cell"):
        gap = number_in(attribute(cell, "Index"), len(cells) + 1) - 1 - len(cells)
        cells += [""] * min(max(gap, 0), MAX_GAP)
        text = one_line(" ".join("".join(data.itertext()) for data in children(cell, "Data")))
        cells += [text] * (1 + min(number_in(attribute(cell, "MergeAcross"), 0), MAX_GAP))
    return cells
