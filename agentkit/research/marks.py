"""The marks in a text that cite sources by their numbers, put in another form."""

import re
from collections.abc import Callable, Container

from agentkit.evidence.marks import marks


class _Any:
    def __contains__(self, number: object) -> bool:
        return True


ANY: Container[int] = _Any()
"""As the known numbers: each number is that of a source."""


def numbers_cited(text: str, known: Container[int] = ANY) -> list[int]:
    """All numbers that a text cites, in their order. known: see `agentkit.evidence.marks.marks`."""
    return [number for mark in marks(text, known) for number in mark.numbers]


def replaced(text: str, make: Callable[[tuple[int, ...]], str], known: Container[int] = ANY) -> str:
    """A text with other marks. make: gets the numbers of a mark."""
    made, last = [], 0
    for mark in marks(text, known):
        made += [text[last : mark.start], make(mark.numbers)]
        last = mark.end
    return "".join([*made, text[last:]])


def without_marks(text: str) -> str:
    """A text of a source without its own marks, which would cite sources that it knows nothing of."""
    made = re.sub(r"[ \t]{2,}", " ", replaced(text, lambda numbers: "")).strip()
    return re.sub(r"(?<! ) (?=[.,;:!?](?:\s|$))", "", made) if made != text.strip() else made


_BEHIND = re.compile(r"(?:[ \t]?\[(?:\d{1,6}|no source)\])*[.!?…。！？]*(?:[ \t]?\[(?:\d{1,6}|no source)\])*")


def behind_marks(text: str, end: int) -> int:
    """Where a sentence ends with the marks that stand behind it. end: where it ends without them."""
    found = _BEHIND.match(text, end)
    return end if found is None else found.end()
