"""The interface of a tool-call text format, and the parts that the text of a reply is parsed into (see parser.py)."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from agentkit._lazy.records import dataclass


class Text(NamedTuple):
    """A part of the answer."""

    text: str


class Thought(NamedTuple):
    """A part of the reasoning."""

    text: str


class Call(NamedTuple):
    """A tool call, emitted once it is complete. arguments: the JSON text of an object. id: where the format has one."""

    name: str
    arguments: str
    id: str | None = None


class BadCall(NamedTuple):
    """A tool call that can't be parsed. text: as the model wrote it. reason: one sentence for the model. name: the
    tool's name, where it could be parsed."""

    text: str
    reason: str
    name: str | None = None


class LateReasoning(NamedTuple):
    """The reasoning ends here, although nothing opened it: everything emitted so far was reasoning, and `text` is all
    of it."""

    text: str


Segment = Text | Thought | Call | BadCall | LateReasoning
DEFAULT_THINKS = ("<think>", "</think>")
CUT_OFF = "the call was cut off by the limit on the reply's length"


class Block(Protocol):
    """Parses the markup of calls incrementally, from the first character to the last. Implementations keep their
    position, so that feeding takes linear time. One whose markup is complete while more calls may follow has a true
    attribute `is_whole` then."""

    def feed(self, text: str) -> str | None:
        """Parse more text. Returns None while the block continues, else the text after its end."""
        ...

    def finish(self) -> str:
        """Handle the end of the text inside the block. Returns text that is not part of the block and has to be parsed
        again."""
        ...

    def segments(self) -> list[Segment]:
        """Returns the contents of the block; a Text where the markup turned out not to be a call."""
        ...


@dataclass(frozen=True)
class Format:
    """How one family of models writes tool calls.

    starts: the markers that begin a block. block: creates the parser of a block from the marker, the tools (OpenAI's
    schemas, None where they are not known) and whether no answer text precedes it. swallowed: markers around calls,
    which are dropped. section: the pair of markers (among `swallowed`, or `starts`) between which only calls count; its
    beginning ends the reasoning too. thinks: the tags around the reasoning. label: a line directly after the opening
    tag that is not part of the reasoning. strips: whether white space before a call belongs to the markup. between:
    characters that may stand between two calls and carry no meaning.

    reopens: whether the reasoning may begin anywhere in a reply, not only at its start; the `swallowed` markers then
    separate parts of the answer, and calls end reasoning that nothing closes. mentions: whether a call in a sentence
    is only mentioned although the reasoning reopens, which it is in all other formats. quoted_thinks: other tags of
    reasoning, which is left in the text. begins_with: for a format that shares a start with others, whether a block of
    this one may begin with a character (None: with any). own_starts: those of the starts that mean a call only from a
    model of its own family. completed: where a prompt may have begun the first marker of a reply, takes the reply's
    first characters; returns them with the whole marker, or as they are, and None while that isn't known.
    announced_by: a reply that begins with one of these is in this format from its first to its last character, whatever
    server sends it. framing: those of `swallowed` that are ordinary tags around the answer, and text in a reply of any
    other model. answers: those of `swallowed` that begin a part of the answer: they end reasoning that nothing closed.
    """

    name: str
    starts: tuple[str, ...]
    block: Callable[[str, Sequence[Mapping[str, Any]] | None, bool], Block]
    swallowed: tuple[str, ...] = ()
    section: tuple[str, str] | None = None
    thinks: tuple[str, str] = DEFAULT_THINKS
    label: str = ""
    strips: bool = False
    between: str = ""
    reopens: bool = False
    mentions: bool = False
    begins_with: Callable[[str], bool] | None = None
    quoted_thinks: tuple[tuple[str, str], ...] = ()
    own_starts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    completed: Callable[[str], str | None] | None = None
    announced_by: tuple[str, ...] = ()
    framing: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """The starts that are enough to recognise a call, whatever the model; a bracket may begin any text."""
        return tuple(start for start in self.starts if len(start) > 1 and start not in self.own_starts)


def resolve_reasoning(segments: Sequence[Segment]) -> list[Segment]:
    """Returns the parts of a complete reply with a LateReasoning applied to the parts before it."""
    made: list[Segment] = []
    for segment in segments:
        if isinstance(segment, LateReasoning):
            made = [Thought(segment.text)]
        else:
            made.append(segment)
    return made


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern that matches the longest of the given words."""
    return re.compile("|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True)))


def first_characters(words: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern for the first characters of the words: text without a match contains none of the words."""
    return re.compile(f"[{re.escape(''.join(sorted({word[0] for word in words})))}]")


def partial_word_start(text: str, words: Sequence[str]) -> int:
    """Returns where a suffix of the text begins that is a prefix of one of the words; the text's length if none is."""
    longest, first, beginnings = _prefilter(tuple(words))
    start = max(0, len(text) - longest)
    while found := first.search(text, start):
        if text[found.start() :] in beginnings:
            return found.start()
        start = found.end()
    return len(text)


@functools.cache
def _prefilter(words: tuple[str, ...]) -> tuple[int, re.Pattern[str], frozenset[str]]:
    """Returns the longest possible partial match, in characters, the pattern of the first characters, and all that the
    words begin with."""
    beginnings = frozenset(word[:length] for word in words for length in range(1, len(word) + 1))
    return max(len(word) for word in words) - 1, first_characters(words), beginnings
