"""The marks in a text that cite sources by their numbers, put in another form."""

import re
from collections.abc import Callable, Container, Iterator

from agentkit._text import visible
from agentkit.evidence.marks import Mark, marks


class _Any:
    def __contains__(self, number: object) -> bool:
        return True


ANY: Container[int] = _Any()
"""As the known numbers: each number is that of a source."""


_PRIVATE = re.compile("[\ue000-\uf8ff]")
_FENCE = re.compile(r"[ \t]{0,12}(`{3,}|~{3,})")
_CODE = re.compile(r"`[^`\n]{1,300}`")
_BRACKETS = str.maketrans("[]【】［］〔〕", "()()()()")


def clean(text: str) -> str:
    """A text without characters that are not seen, or that a page uses as marks of its own."""
    return _PRIVATE.sub("", visible(text, "")).strip()


def marks_outside_code(text: str, known: Container[int] = ANY) -> Iterator[Mark]:
    """The marks of a text; a `[0]` in code is none, as for the check of an answer. known: see `marks`."""
    places = _places_of_code(text) if "`" in text or "~~~" in text else iter(())
    begin, end = next(places, (len(text), len(text)))
    for mark in marks(text, known):
        while mark.start >= end and end < len(text):
            begin, end = next(places, (len(text), len(text)))
        if mark.start < begin:
            yield mark


def _places_of_code(text: str) -> Iterator[tuple[int, int]]:
    """Where code begins and ends, in order."""
    begin, fence, start = 0, "", 0
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" \t>`~"):
                yield start, begin + len(line)
                fence = ""
        elif mark:
            fence, start = mark[1], begin
        else:
            yield from ((begin + found.start(), begin + found.end()) for found in _CODE.finditer(line))
        begin += len(line) + 1
    if fence:
        yield start, len(text)


def numbers_cited(text: str, known: Container[int] = ANY) -> list[int]:
    """All numbers that a text cites, in their order. known: see `agentkit.evidence.marks.marks`."""
    return [number for mark in marks_outside_code(text, known) for number in mark.numbers]


def replaced(text: str, make: Callable[[tuple[int, ...]], str], known: Container[int] = ANY) -> str:
    """A text with other marks. make: gets the numbers of a mark."""
    return _replaced(text, marks_outside_code(text, known), make)


def _replaced(text: str, found: Iterator[Mark], make: Callable[[tuple[int, ...]], str]) -> str:
    made, last = [], 0
    for mark in found:
        made += [text[last : mark.start], make(mark.numbers)]
        last = mark.end
    return "".join([*made, text[last:]])


def without_marks(text: str) -> str:
    """A text of a source in a line, without its own marks, which would cite sources that it knows nothing of. Other
    brackets become parentheses, or what is left of `[[9]1]` would be a mark."""
    line = " ".join(clean(text).split())
    made = " ".join(_replaced(line, marks(line, ANY), lambda numbers: "").split())
    made = re.sub(r"(?<! ) (?=[.,;:!?](?:\s|$))", "", made) if made != line else made
    return made.translate(_BRACKETS)


_BEHIND = re.compile(r"(?:[ \t]?\[(?:\d{1,6}|no source)\])*[.!?…。！？]*(?:[ \t]?\[(?:\d{1,6}|no source)\])*")


def behind_marks(text: str, end: int) -> int:
    """Where a sentence ends with the marks that stand behind it. end: where it ends without them."""
    found = _BEHIND.match(text, end)
    return end if found is None else found.end()
