"""What a workbook says of the cells of its sheets: which are one with those below, and what was remarked about them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from agentkit_tools.file_text.form import one_line
from agentkit_tools.file_text.package import Package, attribute, children, descendants

MAX_ACROSS = 100
"""Columns across which a cell is repeated."""

MAX_MERGED = 10_000
"""Merged cells of a sheet that are looked at."""

_MERGED = re.compile(rb'mergeCell\s[^<>]{0,200}?ref="([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"')


@dataclass(frozen=True)
class SheetNotes:
    """merged: the first and last columns and the last rows of the cells that are one with others, by their first rows,
    all from 1. beside: paragraphs with the text boxes on the sheet and the comments on its cells."""

    merged: Mapping[int, Sequence[tuple[int, int, int]]] = field(default_factory=dict)
    beside: Sequence[str] = ()

    def repeated(self, rows: Iterable[list[str]]) -> Iterator[list[str]]:
        """The rows, with the text of a cell that goes on below or beside in each of its places; a title, which is alone
        in its row, stands once."""
        going_on: dict[int, tuple[int, str]] = {}
        for number, row in enumerate(rows, 1):
            is_alone = sum(map(bool, row)) < 2
            if any(row) and going_on:
                for column, text in enumerate(row, 1):
                    last, above = going_on.get(column, (0, ""))
                    row[column - 1] = text or (above if last >= number else "")
            for column, end, last in self.merged.get(number, ()):
                end = column if is_alone else min(end, column + MAX_ACROSS)
                row += [""] * (end - len(row) if column <= len(row) else 0)
                for place in range(column, min(end, len(row)) + 1):
                    row[place - 1] = row[column - 1]
                    going_on[place] = (last, row[column - 1])
            yield row


def notes_of_sheets(package: Package, sheets: Mapping[str, bytes]) -> dict[str, SheetNotes]:
    """What the workbook says of the cells of each sheet, by its name. sheets: the parts that have them, by their paths
    in lower case. Raises UnreadableError."""
    main = package.main_part("xl/workbook.xml")
    targets = package.targets(main)
    found = {}
    for sheet in descendants(package.xml(main), "sheet"):
        _, path = targets.get(attribute(sheet, "id") or "", ("", ""))
        found[attribute(sheet, "name") or ""] = SheetNotes(
            _merged(sheets.get(path.lower(), b"")), [*_boxes(package, path), *_comments(package, path)]
        )
    return found


def _merged(sheet: bytes) -> dict[int, list[tuple[int, int, int]]]:
    """Where cells begin that go on below or beside."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    behind = sheet.rfind(b"mergeCells")  # the end of their list, which stands behind the rows
    begin = sheet.rfind(b"mergeCells", 0, max(behind, 0))
    for match in islice(_MERGED.finditer(sheet, max(begin, 0), max(behind, 0)), MAX_MERGED):
        first, last = int(match[2]), int(match[4])
        found.setdefault(first, []).append((_column(match[1]), _column(match[3]), last))
    return found


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _boxes(package: Package, sheet: str) -> Iterator[str]:
    """The texts of the boxes and shapes that are drawn on a sheet."""
    for kind, target in package.targets(sheet).values():
        for box in descendants(package.xml(target), "txBody") if kind == "drawing" else ():
            paragraphs = ("".join(each.text or "" for each in descendants(p, "t")) for p in children(box, "p"))
            if text := "\n".join(filter(str.strip, paragraphs)):
                yield text


def _comments(package: Package, sheet: str) -> Iterator[str]:
    """The comments on the cells of a sheet. Those in threads are written a second time for older programs."""
    by_kind = dict(package.targets(sheet).values())
    path = by_kind.get("threadedComment") or by_kind.get("comments")
    for comment in descendants(package.xml(path), "comment", "threadedComment") if path else ():
        text = one_line("".join(each.text or "" for each in descendants(comment, "t", "text")))
        if text:
            yield f"Comment on {attribute(comment, 'ref')}: {text}"
