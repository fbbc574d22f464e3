"""What a workbook says of the cells of its sheets: which are one with those below, which are hidden, where they lead,
and what was remarked about them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from agentkit_tools.file_text.form import one_line
from agentkit_tools.file_text.links import linked
from agentkit_tools.file_text.package import Package, attribute, children, descendants

MAX_ACROSS = 100
"""Columns across which a cell is repeated."""

MAX_MERGED = 10_000
"""Merged cells of a sheet that are looked at."""

MAX_LINKS = 10_000
"""Links of a sheet that are looked at."""

MAX_NAMED = 20
"""Hidden rows and columns that are named."""

_MERGED = re.compile(rb'mergeCell\s[^<>]{0,200}?ref="([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"')

_LINK = re.compile(rb"<(?:\w{1,10}:)?hyperlink(\s[^<>]{0,3000})>")
_HIDDEN = re.compile(rb"<(?:\w{1,10}:)?(row|col)(\s[^<>]{0,1000})>")
_ATTRIBUTE = re.compile(rb"""\s([\w:]{1,20})=["']([^"'<>]{0,100})["']""")


@dataclass(frozen=True)
class SheetNotes:
    """merged: the first and last columns and the last rows of the cells that are one with others, by their first rows,
    all from 1. beside: paragraphs with the text boxes on the sheet and the comments on its cells. hidden: which rows
    and columns are hidden, in words. links: the columns and addresses of the cells that are links, by their rows."""

    merged: Mapping[int, Sequence[tuple[int, int, int]]] = field(default_factory=dict)
    beside: Sequence[str] = ()
    hidden: str = ""
    links: Mapping[int, Sequence[tuple[int, str]]] = field(default_factory=dict)

    def with_links(self, rows: Iterable[list[str]]) -> Iterator[list[str]]:
        """The rows, with cells that lead where they lead."""
        for number, row in enumerate(rows, 1):
            for column, address in self.links.get(number, ()):
                if column <= len(row):
                    row[column - 1] = linked(row[column - 1], address)
            yield row

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
        part = sheets.get(path.lower(), b"")
        found[attribute(sheet, "name") or ""] = SheetNotes(
            _merged(part),
            [*_boxes(package, path), *_comments(package, path)],
            _hidden(part),
            _links(part, package.links(path)),
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


def _links(sheet: bytes, addresses: Mapping[str, str]) -> dict[int, list[tuple[int, str]]]:
    """The cells that are links."""
    found: dict[int, list[tuple[int, str]]] = {}
    begin = sheet.rfind(b"hyperlinks", 0, max(sheet.rfind(b"hyperlinks"), 0)) if addresses else -1
    for match in islice(_LINK.finditer(sheet, begin), MAX_LINKS) if begin >= 0 else ():
        said = _attributes(match[1])
        cell = re.match("([A-Z]{1,3})([0-9]{1,7})", said.get("ref", ""))
        address = addresses.get(said.get("id", ""), "")
        if cell and address:
            found.setdefault(int(cell[2]), []).append((_column(cell[1].encode()), address))
    return found


def _hidden(sheet: bytes) -> str:
    """Which rows and columns are hidden, in words."""
    if b"hidden=" not in sheet:
        return ""
    named: dict[bytes, list[str]] = {b"row": [], b"col": []}
    for match in _HIDDEN.finditer(sheet):
        said = _attributes(match[2]) if b"hidden=" in match[2] else {}
        if said.get("hidden") in ("1", "true"):
            first, last = (said.get(name, "") for name in (("r", "r") if match[1] == b"row" else ("min", "max")))
            named[match[1]].append(first if first == last else f"{first}-{last}")
    rows, columns = _ranges(named[b"row"]), named[b"col"]
    parts = [_named("row", rows), _named("column", [*map(_lettered, columns)])]
    return f"[hidden in this sheet: {'; '.join(filter(None, parts))}]" if any(parts) else ""


def _named(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    several = "s" if len(names) > 1 or "-" in "".join(names) else ""
    return f"{what}{several} {', '.join(names[:MAX_NAMED])}{more}" if names else ""


def _ranges(numbers: Sequence[str]) -> list[str]:
    """Rows as the ranges that they make."""
    found: list[list[int]] = []
    for number in map(int, filter(str.isdecimal, numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def _lettered(columns: str) -> str:
    """Columns by their letters: "3-4" is "C-D"."""
    return re.sub("[0-9]{1,5}", lambda found: _letters(int(found[0])), columns)


def _letters(number: int) -> str:
    text = ""
    while number > 0:
        number, letter = divmod(number - 1, 26)
        text = chr(ord("A") + letter) + text
    return text


def _attributes(tag: bytes) -> dict[str, str]:
    """What a tag says, by the names without their namespaces."""
    found = ((match[1].rpartition(b":")[2], match[2]) for match in _ATTRIBUTE.finditer(tag))
    return {name.decode(): value.decode("utf-8", "replace") for name, value in found}


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
