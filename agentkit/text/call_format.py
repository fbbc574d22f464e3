"""The promise of a tool-call text format, and the pieces that a model's text is made of (reader.py takes it apart)."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Text(NamedTuple):
    """A piece of the answer."""

    text: str


class Thought(NamedTuple):
    """A piece of the reasoning."""

    text: str


class Call(NamedTuple):
    """A tool call, told once it is complete. arguments: the JSON text of an object. id: where the format has one."""

    name: str
    arguments: str
    id: str | None = None


class BadCall(NamedTuple):
    """A tool call that can't be read. text: as the model wrote it. reason: one sentence for the model. name: of the
    tool, where that could be read."""

    text: str
    reason: str
    name: str | None = None


class LateReasoning(NamedTuple):
    """The reasoning turns out to end here: all that was given before was reasoning, and `text` is the whole of it."""

    text: str


Piece = Text | Thought | Call | BadCall | LateReasoning
CUT_OFF = "the call was cut off by the limit on the reply's length"


class Block(Protocol):
    """Reads the markup of calls from its first character to its last; keeps its place, so that feeding is linear."""

    def feed(self, text: str) -> str | None:
        """Take in text. None while the block goes on, else what stands behind its end."""
        ...

    def finish(self) -> str:
        """The text has ended inside the block: what has to be read again because it was not the block's."""
        ...

    def pieces(self) -> list[Piece]:
        """What the block turned out to be; a Text for what is no call after all."""
        ...


@dataclass(frozen=True)
class Format:
    """How one family of models writes tool calls.

    starts: the markers at which a block begins. block: makes the reader of a block from the marker and the tools
    (OpenAI's schemas, None where they are not known). swallowed: markers around calls that say nothing by themselves.
    section: the pair of markers (among `swallowed`) between which only calls count; its beginning ends the reasoning
    too. thinks: the tags around the reasoning. strips: whether white space before a call belongs to the markup.
    between: what may stand between two calls and says nothing.
    """

    name: str
    starts: tuple[str, ...]
    block: "Callable[[str, Sequence[Mapping[str, Any]] | None, bool], Block]"
    swallowed: tuple[str, ...] = ()
    section: tuple[str, str] | None = None
    thinks: tuple[str, str] = ("<think>", "</think>")
    strips: bool = False
    between: str = ""


RESULT = "<tool_response>"
"""A model that goes on after its calls invents their results: there its reply ends."""


def settled(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces of a whole reply, when it is known what was reasoning."""
    made: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, LateReasoning):
            made = [Thought(piece.text)]
        else:
            made.append(piece)
    return made


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern for the longest of some words."""
    return re.compile("|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True)))


def first_letters(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern for the letters that words begin with: where none is, no word is."""
    return re.compile(f"[{re.escape(''.join(sorted({word[0] for word in words})))}]")


def begun_word(text: str, words: Sequence[str]) -> int:
    """Where the end of a text begins that may become one of the words; the text's length when there is none."""
    longest, first = _shape(tuple(words))
    place = max(0, len(text) - longest)
    while found := first.search(text, place):
        end = text[found.start() :]
        if any(word.startswith(end) for word in words):
            return found.start()
        place = found.end()
    return len(text)


@functools.cache
def _shape(words: tuple[str, ...]) -> tuple[int, re.Pattern[str]]:
    return max(len(word) for word in words) - 1, first_letters(words)
