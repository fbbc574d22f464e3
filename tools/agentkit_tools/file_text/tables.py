"""Tables: each row says the names of its columns, so that it can be found, quoted and understood alone."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice, tee, zip_longest

from agentkit_tools.file_text.form import FileText, joined, one_line, row_line
from agentkit_tools.file_text.texts import decoded

NAME = 80
"""Maximum length of a column's name, in characters."""

GROUP = 300
"""Rows of one passage, in characters together, unless one row is longer."""

LOOK = 20
"""Rows at the top in which the names of the columns are looked for."""

STEADY = 0.7
"""The part of the first lines in which a character stands that separates cells."""

_VALUE = re.compile(
    r"[-+(]?[$€£¥₹]?\s?[\d.,'\s]*\d[\d.,'\s:/%)-]*[%$€£¥₹]?|true|false|\d{4}-\d\d-\d\d\S*", re.IGNORECASE
)
"""What is a value and no name of a column. A year may be one."""
MAX_VALUE = 100
"""Maximum characters of a value."""


def read_csv(path: str, content: bytes) -> FileText:
    """A table in a text, whatever separates its cells. Raises UnreadableError when it is binary."""
    text = decoded(path, content)
    said = re.match(r"sep=(.)\r?\n", text)  # for Excel
    separator = said[1] if said else _separator(text, "\t" if path.lower().endswith((".tsv", ".tab")) else ",")
    body = text[said.end() :] if said else text
    return FileText("", joined(table_text(_rows(body, separator))))


def _separator(text: str, expected: str) -> str:
    """The character that stands in the first lines most often and as often in each, outside of quotes. Commas within
    numbers ("name;price", "tea;1,50") do not count where another one separates the cells."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text[:20_000].split("\n")[:LOOK] if line.strip()]
    if not lines:
        return expected
    if any(_is_steady(each, lines) for each in ";\t|"):
        lines = [re.sub(r"(?<=\d),(?=\d)", "", line) for line in lines]
    scores = {each: _steadiness([line.count(each) for line in lines]) for each in (expected, ",", ";", "\t", "|")}
    best = max(scores, key=lambda each: scores[each])
    return best if scores[best] else expected


def _is_steady(separator: str, lines: Sequence[str]) -> bool:
    """Whether nearly all lines have a character, and among them the first one or one without a comma."""
    has_it = [separator in line for line in lines]
    return sum(has_it) >= STEADY * len(lines) and (has_it[0] or "," not in lines[0])


def _steadiness(counts: Sequence[int]) -> float:
    """How often a character stands in lines, less for each line with another number of it, and for those without."""
    middle = sorted(counts)[len(counts) // 2]
    return middle * (counts.count(middle) / len(counts)) * (sum(map(bool, counts)) / len(counts)) ** 2


def _rows(text: str, separator: str) -> Iterator[Sequence[str]]:
    """The rows. One that can't be read as such, as its quotes are not closed or a cell is too long, is given by its
    lines."""
    lines = io.StringIO(text, newline="")
    begin = 0
    while True:
        reader = csv.reader(lines, delimiter=separator)
        try:
            for row in reader:
                begin = lines.tell()
                yield row
        except csv.Error:
            end = lines.tell()
            for line in text[begin:end].split("\n"):
                yield [line]
            begin = end
        else:
            return


def table_text(rows: Iterable[Sequence[str]], *, merged: bool = False) -> Iterator[str]:
    """The text of a table as paragraphs of some rows, a row a line: "- city: Oslo; people: 717,710". The names of the
    columns, the rows above them, and those of a table without such names, are their cells. Behind an empty row another
    table may begin. merged: whether names of columns may stand in several rows, one for several columns."""
    cells = ([one_line(cell) for cell in row] for row in rows)
    for _, table in groupby(_numbered(cells), key=lambda each: each[0]):
        yield from _table((row for _, row in table), merged=merged)


def _numbered(rows: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that have a text, each with the number of its table."""
    number, is_first, after_empty = 0, True, False
    for row, below, further in _with_next_two(rows):
        if not any(row):
            after_empty = not is_first
            continue
        has_title = sum(map(bool, row)) == 1 and _is_head(below, further)
        number += after_empty and (has_title or _is_head(row, below))
        is_first = after_empty = False
        yield number, row


def _with_next_two(rows: Iterable[list[str]]) -> Iterator[tuple[list[str], list[str], list[str]]]:
    first, second, third = tee(rows, 3)
    return zip(first, chain(islice(second, 1, None), [[]]), chain(islice(third, 2, None), [[], []]), strict=False)


def _is_head(names: Sequence[str], row: Sequence[str]) -> bool:
    """Whether a row has the names of all columns that the one below it fills, and that one has values."""
    named = [bool(name) for name in names]
    is_named = all(number < len(named) and named[number] for number, cell in enumerate(row) if cell)
    return sum(named) > 1 and is_named and any(map(_is_value, row)) and not any(map(_is_value, names))


def _table(filled: Iterator[list[str]], *, merged: bool) -> Iterator[str]:
    head = list(islice(filled, LOOK))
    start = _header(head)
    lines = map(row_line, head[: start or 0])
    if start is None:
        yield from _grouped(f"- {row_line(row)}" for row in chain(head, filled))
        return
    names, rest = head[start], head[start + 1 :]
    while merged and len(rest) > 1 and len(set(filter(None, names))) < sum(map(bool, names)) and _is_head(*rest[:2]):
        names, rest = _below(names, rest[0]), rest[1:]
    names = [name[:NAME] for name in names]
    named = (_named(names, row) for row in chain(rest, filled))
    yield from _grouped(chain(lines, [" | ".join(filter(None, names))], named))


def _below(names: Sequence[str], row: Sequence[str]) -> list[str]:
    """The names of columns with those that stand below them, each once."""
    both = zip_longest(names, row, fillvalue="")
    return [" ".join(dict.fromkeys(filter(None, pair))) for pair in both]


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    """The number of the row with the names of the columns: the first one that is about as wide as the table, if it has
    no values. A list has none."""
    width = max((sum(map(bool, row)) for row in rows), default=0)
    for number, row in enumerate(rows):
        names = [cell for cell in row if cell]
        if width > 1 and len(names) >= max(2, width * 0.6):
            return None if any(map(_is_value, names)) or len(rows) == 1 else number
    return None


def _is_value(cell: str) -> bool:
    return len(cell) <= MAX_VALUE and _VALUE.fullmatch(cell) is not None and re.fullmatch(r"[12]\d{3}", cell) is None


def _named(names: Sequence[str], row: Sequence[str]) -> str:
    if len(row) == 1 < len(names):
        return f"- {row[0]}"
    cells = (
        f"{names[number]}: {cell}" if number < len(names) and names[number] else cell
        for number, cell in enumerate(row)
        if cell
    )
    return f"- {'; '.join(cells)}"


def _grouped(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs of some lines each."""
    group: list[str] = []
    length = 0
    for line in lines:
        if group and length + len(line) > GROUP:
            yield "\n".join(group)
            group, length = [], 0
        group.append(line)
        length += len(line)
    yield "\n".join(group)
