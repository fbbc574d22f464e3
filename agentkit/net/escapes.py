"""Where a text stands in another one that is written with the escapes of URLs and JSON, in any mixture and depth."""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from agentkit._lazy.patterns import pattern

MOST_LEVELS = 8
"""How often a text is read that may be escaped again and again: JSON in a text of JSON, in a form."""

_ESCAPE = pattern(
    r"%(?:[0-7][0-9A-Fa-f]|[CDcd][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]|[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){2}"
    r"|[Ff][0-7](?:%[89ABab][0-9A-Fa-f]){3})"
    r"""|\\(?:["\\/bfnrt]|u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"""
)
"""An escape that stands for one character."""


class Level:
    """A text that was read once more: what each escape stands for, and spaces for "+".

    ends, sources: where the text goes on behind each escape, in this text and in the one that was read.
    """

    def __init__(self, text: str, ends: list[int], sources: list[int]) -> None:
        self.text = text
        self.ends = ends
        self.sources = sources


def levels(text: str) -> list[Level]:
    """The text as it is, and as it reads once, twice and so on, until nothing in it is escaped."""
    read = [Level(text.replace("+", " "), [], [])]
    while len(read) <= MOST_LEVELS:
        level = _read(read[-1].text)
        if not level.ends:
            break
        read.append(level)
    return read


def found_in(read: Sequence[Level], wanted: str) -> Iterator[tuple[int, int]]:
    """Yield where a text stands in another one, whatever of its characters is escaped there: begin and end. Some are
    yielded several times. In forms "+" is a space: the two are not told apart. read: the other text, from `levels`."""
    forms = {form.replace("+", " ") for form in (wanted, levels(wanted)[-1].text) if form.strip()}
    for depth, level in enumerate(read, 1):
        for form in forms:
            start = level.text.find(form)
            while start >= 0:
                end = start + len(form)
                yield _in_source(read[:depth], start), _in_source(read[:depth], end)
                start = level.text.find(form, end)


def replaced(text: str, wanted: Collection[str], mark: str) -> str:
    """The text with a mark in place of each of these texts, whatever of its characters is escaped there."""
    read, pieces, done = levels(text), list[str](), 0
    for start, end in sorted(span for each in wanted for span in found_in(read, each)):
        if start >= done:
            pieces += (text[done:start], mark)
        done = max(done, end)
    return "".join((*pieces, text[done:]))


def _read(text: str) -> Level:
    pieces: list[str] = []
    ends: list[int] = []
    sources: list[int] = []
    done = size = 0
    for escape in _ESCAPE.finditer(text):
        pieces += (text[done : escape.start()], _character(escape.group()))
        size += escape.start() - done + 1
        done = escape.end()
        ends.append(size)
        sources.append(done)
    return Level("".join((*pieces, text[done:])).replace("+", " "), ends, sources)


@lru_cache(1000)
def _character(escape: str) -> str:
    if escape.startswith("%"):
        return bytes.fromhex(escape.replace("%", "")).decode("utf-8", "replace")[0]
    return str(json.loads(f'"{escape}"'))


def _in_source(read: Sequence[Level], place: int) -> int:
    """The place in the text that was read first."""
    for level in reversed(read):
        before = bisect_right(level.ends, place) - 1
        if before >= 0:
            place += level.sources[before] - level.ends[before]
    return place
