"""The notes of a researcher: sentences with the numbers of their sources, kept word for word."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agentkit._forking import freed_by_forks
from agentkit._text import in_a_line
from agentkit.research.marks import numbers_cited

LONGEST = 4_000
"""Characters of a note; what is longer is cut."""
SHORTEST = 40
"""Characters of a note that is shortened for a prompt, without its numbers."""
LEFT_OUT = "(Earlier notes are kept for the report. They cite {numbers}.)"


@dataclass(frozen=True)
class Note:
    """A note. text: with the numbers of its sources, as [3]. automatic: it was taken from a source that the model has
    read and not noted."""

    text: str
    automatic: bool = False

    @property
    def cited(self) -> list[int]:
        """The numbers that it cites, each once."""
        return list(dict.fromkeys(numbers_cited(self.text)))


class Notebook:
    """The notes on one question. Shared by threads."""

    def __init__(self, notes: Iterable[Note] = ()) -> None:
        self._notes = list(notes)
        self._known = {_key(note.text) for note in self._notes}
        self._lock = freed_by_forks(threading.Lock())

    def __iter__(self) -> Iterator[Note]:
        return iter(list(self._notes))

    def __len__(self) -> int:
        return len(self._notes)

    def add(self, note: Note) -> bool:
        """Keep a note; False for one that is kept already."""
        with self._lock:
            if _key(note.text) in self._known:
                return False
            self._known.add(_key(note.text))
            self._notes.append(note)
        return True

    @property
    def cited(self) -> set[int]:
        """The numbers of all sources that the notes cite."""
        return {number for note in self for number in note.cited}

    def within(self, room: int) -> list[str]:
        """The notes as lines of at most `room` bytes in all: the newest word for word, of earlier ones the beginning
        and the numbers, of the first ones, if need be, the numbers alone."""
        return lines_within([note.text for note in self], room)


def lines_within(texts: Sequence[str], room: int) -> list[str]:
    """See `Notebook.within`."""
    lines = [f"- {text}" for text in texts]
    if _size(lines) <= room:
        return lines
    whole = _last_within(lines, room * 2 // 3)
    earlier = texts[: len(texts) - len(whole)]
    left = room - _size(whole)
    each = max(SHORTEST, left // max(1, len(earlier)) // 2)
    short = _last_within([f"- {shortened(text, each)}" for text in earlier], left * 2 // 3)
    first = earlier[: len(earlier) - len(short)]
    numbers = sorted({number for text in first for number in numbers_cited(text)})
    return [*([LEFT_OUT.format(numbers=_ranges(numbers))] if numbers else []), *short, *whole]


def shortened(text: str, length: int) -> str:
    """The beginning of a note and all of its numbers."""
    line = in_a_line(text, max(2, length))
    missing = [number for number in dict.fromkeys(numbers_cited(text)) if number not in numbers_cited(line)]
    return " ".join([line, *(f"[{number}]" for number in missing)])


def _last_within(lines: Sequence[str], room: int) -> list[str]:
    taken: list[str] = []
    for line in reversed(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            break
        taken.append(line)
    return taken[::-1]


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in order, those that follow each other as a range: [1]-[4], [7]."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(f"[{number}]" for number in each) for each in found)


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text).casefold().strip()
