"""What a reader of a kind of file returns, and what the readers share."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agentkit_tools.page_text import Readable

SECONDS = 30.0
"""After this time no further part of a file is read."""

MAX_EMPTY = 50
"""Empty cells in a row that are counted."""

MAX_CHARACTERS = 40_000_000
"""Maximum length of the text of a file; what a small file says may be longer than the file."""


@dataclass(frozen=True)
class FileText:
    """The text of a file.

    title: "" if it has none. passages: the parts by which it is found, joined the text; None: its paragraphs.
    """

    title: str
    text: str
    passages: Sequence[str] | None = None


def joined(parts: Iterable[str], separator: str = "\n\n") -> str:
    """Joins the parts that are not empty, as many as are read within SECONDS and at most MAX_CHARACTERS, with a note on
    what was left out."""
    kept: list[str] = []
    length = 0
    end = time.monotonic() + SECONDS
    for part in parts:
        if not part.strip():
            continue
        if length + len(part) > MAX_CHARACTERS:
            kept.append(f"[… only the first {length:,} characters were read]")
            break
        kept.append(part)
        length += len(part) + len(separator)
        if time.monotonic() > end:
            kept.append(f"[… only the first {length:,} characters were read: they took {SECONDS:g} seconds]")
            break
    return separator.join(kept)


def one_line(text: str) -> str:
    """The text with single spaces for all its white space."""
    return " ".join(text.split())


def row_line(cells: Sequence[str]) -> str:
    """A row of a table as a line, with a place for each empty cell before the last one that has a text: without it,
    what follows would stand below the names of other columns. More than MAX_EMPTY of them have one place."""
    filled = [number for number, cell in enumerate(cells) if cell]
    line: list[str] = []
    for last, number in pairwise([-1, *filled]):
        empty = number - last - 1
        line += [""] * (empty if empty <= MAX_EMPTY else 1) + [cells[number]]
    return " | ".join(line).lstrip()


def of_page(page: Readable) -> FileText:
    """The text of a page as that of a file."""
    return FileText(page.title, page.text)
