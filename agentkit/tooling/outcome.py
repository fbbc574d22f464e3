"""The result of one tool call."""

from collections.abc import Callable
from typing import Any

from agentkit._lazy.records import dataclass, field, replace
from agentkit.errors import ArgumentsError
from agentkit.evidence.source import Source
from agentkit.evidence.sources import UNSETTLED, Sources
from agentkit.message import Image
from agentkit.tooling.questions import Question


@dataclass(frozen=True)
class Outcome:
    """The result of one call: the text for the model, images to show it, whether it is an error, how many seconds it
    took, whether it ends the run. shown: of a text that was cut, how many characters the model is sent. whole: the
    whole text then. note: what is to follow a text that may still be cut. error: the name of the class of the exception
    that made it fail, "" when there was none. question: what it asks a person before it can end. value: what the tool
    returned, as it is. sources: what it has found or read. is_partial: it is the answer of a run that was stopped
    early."""

    text: str
    images: tuple[Image, ...] = ()
    failed: bool = False
    seconds: float = 0.0
    ends_run: bool = False
    shown: int = 0
    whole: str = ""
    note: str = ""
    error: str = ""
    question: Question | None = None
    value: Any = field(default=None, repr=False, compare=False)
    sources: tuple[Source, ...] = field(default=(), repr=False)
    is_partial: bool = field(default=False, repr=False)

    @property
    def size(self) -> int:
        """Characters and bytes together."""
        size = len(self.text) + len(self.whole) + sum(len(image.data) for image in self.images)
        return size + sum(len(text) for source in self.sources for text in source.texts)

    @property
    def may_be_kept(self) -> bool:
        """Whether it may be the result of a call in another run: not with numbers of this one, nor what the limits of
        this one have left of it."""
        return not self.is_partial and all(source.number >= UNSETTLED for source in self.sources)

    def with_note(self, note: str) -> "Outcome":
        """The same with a note at the end of the text."""
        return replace(self, text=self.text + note) if note else self

    def ended(self, seconds: float, ends_run: bool) -> "Outcome":
        """The same, of a call that is over. (Each call passes here: `replace` takes five times as long.)"""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, seconds=seconds, ends_run=ends_run)
        return made

    def cut(self, limit: int | None) -> "Outcome":
        """The same with a text of at most `limit` characters, and notes behind it: what was cut, and its own."""
        if limit is None or len(self.text) <= limit:
            return replace(self, text=self.text + self.note, note="") if self.note else self
        text = self.text[:limit] + _note_of_cut(limit, len(self.text)) + self.note
        return replace(self, text=text, shown=limit, whole=self.text, note="")

    def settled(self, sources: Sources) -> "Outcome":
        """The same with the numbers that its sources have in the run."""
        if not self.sources:
            return self
        it = self.uncut()
        (text, note), given = sources.settled((it.text, it.note), it.sources)
        return replace(it, text=text, note=note, sources=given, value=None).cut(self.shown if self.whole else None)

    def uncut(self) -> "Outcome":
        """The same with the whole text."""
        if not self.whole:
            return self
        note = self.text[self.shown + len(_note_of_cut(self.shown, len(self.whole))) :]
        return replace(self, text=self.whole, shown=0, whole="", note=note)


def _note_of_cut(shown: int, size: int) -> str:
    return f"\n(These are the first {shown:,} of {size:,} characters.)"


_FAILED = "Error: "
INTERRUPTED = "There is no result: the conversation was interrupted before this call was answered."
"""The result of a call that a repaired history has none for."""
failures_watched_by: list[Callable[[BaseException], object]] = []
"""Called with each exception that makes a call fail, in any thread. A recording that is replayed looks at them."""


def failure(text: str, error: BaseException | None = None) -> Outcome:
    """The result of a call that failed, as the model reads it. error: what made it fail."""
    if error is not None:
        for watch in tuple(failures_watched_by):
            watch(error)
    return Outcome(f"{_FAILED}{text}", failed=True, error="" if error is None else class_name(error))


def class_name(error: BaseException) -> str:
    """The name of the class of an exception, with its module unless it is one of Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


WRONG_ARGUMENTS = class_name(ArgumentsError())
"""The `error` of a call whose arguments don't fit."""


def is_failure(response: str) -> bool:
    """Whether a stored result is that of a call that failed, or has none."""
    return response.startswith(_FAILED) or response == INTERRUPTED
