"""Calls in an answer's text that may be only shown: what precedes and follows them decides.

A call in a list item, a table, after a backslash, or announced as an example is text, and so is one within a sentence
that goes on after it (docs/backends.md).
"""

from collections.abc import Sequence

from agentkit.text.call_format import Segment, Text
from agentkit.text.held_text import TrailingCalls
from agentkit.text.quotation import Quotation


class Mentions:
    """Follows the markup of one reply. between: characters besides white space that may stand between calls. looks:
    whether text before a call says anything about it: not where markers separate the parts of a reply.

    is_certain: whether markup that comes now is text, until words follow.
    """

    def __init__(self, between: str, looks: bool) -> None:
        self.is_certain = False
        self._looks, self._looks_here = looks, False
        self._between = between
        self._held = TrailingCalls(between)
        self._gap: list[str] = []
        self._may_begin = False
        self._dropped: list[str] = []  # markers before a call that may turn out to be text

    @property
    def are_meant(self) -> bool:
        """Whether calls are held back that only words on their own line would make a part of a sentence."""
        return self._held.is_pending and self._may_begin

    @property
    def is_active(self) -> bool:
        """Whether words that come now have to pass through `pass_on`."""
        return self.is_certain or bool(self._dropped) or self._held.is_pending

    def begin(self, quotation: Quotation, *, is_first: bool) -> None:
        """A marker of a call follows. is_first: no text of the answer precedes it."""
        self._looks_here = self._looks and not is_first
        self.is_certain = self.is_certain or (self._looks_here and quotation.is_mention)

    def drop(self, markup: str) -> None:
        """Note markup that is dropped: it is text when the calls next to it are."""
        if self._held.is_pending:
            self._held.hold(markup)
            self._gap = []
        elif self._looks_here:
            self._dropped.append(markup)

    def with_dropped(self, markup: str) -> str:
        """Returns markup that is text, with what was dropped before it."""
        return "".join((*self._dropped, markup))

    def holds(self, parts: Sequence[Segment], markup: str, quotation: Quotation) -> bool:
        """Hold back calls that words may make a part of a sentence, until it is known whether they do; returns whether
        they are held back. Markup that runs into text was broken off, and is no part of a sentence."""
        if any(isinstance(part, Text) for part in parts):
            return False
        if not self._held.is_pending:
            if not self._looks_here:
                return False
            self._may_begin = quotation.after_colon or not quotation.runs_on
        self._held.hold(self.with_dropped(markup), parts)
        self._dropped.clear()
        self._gap = []
        return True

    def pass_on(self, text: str) -> tuple[list[Segment], str]:
        """Take text of the answer. Returns the calls that it proves to be meant, and the text to emit, in that
        order: with the markup of those that it proves to be part of a sentence; none while that is not known."""
        calls: list[Segment] = []
        if self._held.is_pending:
            if self._held.has_words(text) and not self._goes_on(text):
                calls, text = self.take(), "".join((*self._gap, text))
            else:
                self._gap.append(text)
                text = self._held.release(text)
        if text and not text.isspace():
            self.is_certain = False
            self._dropped.clear()
        return calls, text

    def release(self) -> str:
        """Returns all that is held back as text."""
        return self._held.release("") if self._held.is_pending else ""

    def take(self) -> list[Segment]:
        """Returns the calls held back as calls."""
        calls, self._held = self._held.calls, TrailingCalls(self._between)
        return calls

    def cleared(self) -> "Mentions":
        """Returns what follows the markup of the rest of the reply, where what was read does not count."""
        return Mentions(self._between, self._looks)

    def _goes_on(self, text: str) -> bool:
        """Whether these words go on with the sentence in which the calls stand. After a colon or a finished sentence
        another one may begin."""
        if not self._may_begin:
            return True
        word = text.lstrip()
        is_below = any("\n" in each for each in (*self._gap, text[: len(text) - len(word)]))
        return not (is_below or word[0].isupper() or word[0].isdigit())
