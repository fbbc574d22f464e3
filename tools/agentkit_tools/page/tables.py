"""Writes tables as Markdown, a row a line, with merged cells repeated in every place they cover."""

from lxml import etree
from lxml.etree import _Element as Element

MAX_COLUMNS = 60
MAX_CELLS = 20_000
"""Cells added by merging or to fill rows, for the whole table; a hostile table could ask for billions."""

LONG_CELL = 600
IN_LAYOUT = ("table", "h1", "h2", "h3", "article", "section", "pre", "blockquote", "form")
_Below = dict[int, tuple[int, str]]
"""The cells that reach down into the next rows: column -> rows left to fill, text."""

BREAKS = frozenset(("br", "p", "div", "li", "tr", "dd", "dt"))


def is_data(table: Element) -> bool:
    """Whether a table has data in its cells, not parts of the page."""
    if table.get("role") in ("presentation", "none") or next(table.iterdescendants(*IN_LAYOUT), None) is not None:
        return False
    rows = [len(row.findall("td")) + len(row.findall("th")) for row in table.iter("tr")]
    if not rows or max(rows) < 2 or (len(rows) == 1 and next(table.iter("th"), None) is None):
        return False
    lengths = [sum(map(len, map(str, cell.itertext()))) for cell in table.iter("td")]
    return not lengths or (max(lengths) <= 4 * LONG_CELL and sum(lengths) / len(lengths) <= LONG_CELL)


def table_rows(table: Element) -> list[list[str]]:
    """Returns the texts of the cells, those of merged ones repeated."""
    grid: list[list[str]] = []
    below: _Below = {}
    budget = MAX_CELLS
    for row in table.iter("tr"):
        cells = _row_cells(row, below, budget)
        budget -= max(0, len(cells) - len(row)) + len(below)
        if budget < 0:
            below.clear()
        if any(cells):
            grid.append(_unspanned(cells))
    return grid


def _row_cells(row: Element, below: _Below, budget: int) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren("td", "th"):
        text = cell_text(cell)
        _fill(cells, below)
        across, down = _span(cell, "colspan"), _span(cell, "rowspan")
        for _ in range(max(1, min(across, MAX_COLUMNS - len(cells), budget))):
            if down > 1:
                below[len(cells)] = (down - 1, text)
            cells.append(text)
    _fill(cells, below)
    return cells


def _fill(cells: list[str], below: _Below) -> None:
    """Adds the cells that reach down from the rows above."""
    while len(cells) in below:
        left, text = below.pop(len(cells))
        if left > 1:
            below[len(cells)] = (left - 1, text)
        cells.append(text)


def _unspanned(cells: list[str]) -> list[str]:
    """A row of one cell across all columns is a heading in the table: its text once."""
    return [cells[0]] + [""] * (len(cells) - 1) if len(cells) > 2 and len(set(cells)) == 1 else cells


def _span(cell: Element, name: str) -> int:
    value = (cell.get(name) or "").strip()
    if name == "rowspan" and value == "0":
        return 1_000
    return max(1, min(int(value), 1_000)) if value.isdecimal() and len(value) < 7 else 1


def cell_text(cell: Element) -> str:
    """Returns the text of a cell as one line; what starts a line in it is separated by a space."""
    parts: list[str] = []
    for event, element in etree.iterwalk(cell, events=("start", "end")):
        if event == "start":
            if element.tag in BREAKS:
                parts.append(" ")
            alt = element.get("alt") if element.tag == "img" else ""
            parts.append(f"![{alt}]" if alt else element.text or "")
        elif element is not cell:
            if element.tag in BREAKS:
                parts.append(" ")
            parts.append(element.tail or "")
    return " ".join("".join(parts).split())


def as_markdown(rows: list[list[str]]) -> str:
    """Returns rows as a Markdown table, the first one as its head; the others get its width, unless these cells would
    be more than MAX_CELLS."""
    width = max(map(len, rows))
    fill = width if width * len(rows) <= MAX_CELLS + sum(map(len, rows)) else 0
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row + [""] * (fill - len(row))) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + " --- |" * max(fill, len(rows[0])), *lines[1:]])
