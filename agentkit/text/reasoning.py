"""The reasoning in a model's reply: the tags around it, and its text while it is open."""

import functools
from collections.abc import Mapping

from agentkit.text.call_format import Format, Segment, Thought
from agentkit.text.held_text import PARAGRAPH, SPACE, TextEmitter
from agentkit.text.markers import MarkerSearch
from agentkit.text.quotation import Quotation

_INLINE = {
    "<think>": "</think>",
    "[THINK]": "[/THINK]",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
}


def inline_tags(format: Format) -> Mapping[str, str]:
    """Returns the opening and closing tags of reasoning inside an answer, of any family: the reasoning stays text
    there, and calls in it don't count."""
    return {**_INLINE, **dict((format.thinks, *format.quoted_thinks))}


class Reasoning:
    """The reasoning of one reply, which may open more than once where the format says so.

    out: where its parts go. is_open: whether the prompt ended inside it. has_begun: whether there was any.
    """

    def __init__(self, format: Format, out: list[Segment], *, is_open: bool) -> None:
        self.opening, self.closing = format.thinks
        self._closings, self._openings, self._section_starts, self._call_starts = _words_of(format)
        self.is_open = self.has_begun = is_open
        self._label = self._label_here = format.label
        self._begins_line = True
        self._answers = format.answers
        self._pending: list[str] = []
        self._pending_end = ""
        self._emitter = TextEmitter(Thought, out, keeps_end=False, strips=True)
        self._emitter.drop_space()

    def opening_of(self, text: str) -> str | None:
        """Returns the opening tag, of any family that the format knows, that a reply begins with; "" where there is
        none, None while that isn't known."""
        found = next((tag for tag in self._closings if text.startswith(tag)), "")
        return found or (None if any(tag.startswith(text) for tag in self._closings) else "")

    def open(self, tag: str) -> None:
        """Begin the reasoning with an opening tag, or continue it after a part of the answer."""
        self.opening, self.closing = tag, self._closings[tag]
        self.is_open = self.has_begun = True
        self._label_here = self._label
        self._emitter.begin_part()

    def close(self) -> None:
        """End the reasoning."""
        self.is_open = False

    def may_end(self, tag: str) -> bool:
        """Whether an end tag that nothing opened ends reasoning: not one that also ends other parts of a reply."""
        return tag == self.closing or (tag in self._openings and not self.has_begun)

    def replace(self, text: str, tag: str) -> None:
        """Record that a LateReasoning with this text, before an end tag, replaces all that was emitted."""
        self.opening, self.closing = self._openings.get(tag, self.opening), tag
        self.is_open, self.has_begun = False, True
        self._emitter.restart(has_emitted=bool(text))

    def emit(self, text: str) -> None:
        """Emit text that is part of the reasoning."""
        self._emitter.emit(text)

    def take_pending(self) -> str:
        """Returns what follows a marker of calls inside the reasoning: calls, if nothing closes the reasoning."""
        pending, self._pending = "".join(self._pending), []
        return pending

    def parse(self, text: str, markers: MarkerSearch, quotation: Quotation) -> str:
        """Parse text inside the reasoning. Returns the text that is left to parse; the reasoning may be closed then."""
        if self._pending:
            return self._parse_pending(text)
        if not self._emitter.has_emitted:
            text = (markers.take() + text).lstrip(SPACE)
            if text.startswith(self.opening):  # the prompt has already opened the reasoning
                return text[len(self.opening) :]
            if self.opening.startswith(text) or self._may_be_label(text):
                markers.held = text
                return ""
            label = self._label_here
            if label and text.startswith((f"{label}\n", label + self.closing)):
                self._label_here = ""
                return text[len(label) :]
        before, found, text = markers.split(text)
        self._emitter.emit(before)
        quotation.feed(before)
        self._begins_line = not before.rpartition("\n")[2].strip() and ("\n" in before or self._begins_line)
        if found == self.closing:
            self.close()
        elif found in self._answers and not quotation.is_open:
            self.close()
            return found + text
        elif self._may_end(found) and not quotation.is_open:
            self._pending, self._pending_end = [found], ""
        elif found:
            self._begins_line = False
            self._emitter.emit(found)
        return text

    def _may_be_label(self, text: str) -> bool:
        label = self._label_here
        if not label or label.startswith(text):
            return bool(label)
        return text.startswith(label) and self.closing.startswith(text[len(label) :])

    def _may_end(self, marker: str) -> bool:
        """Whether a marker may begin calls that end the reasoning: a section of calls, or one on a line of its own."""
        return marker in self._section_starts or (marker in self._call_starts and self._begins_line)

    def _parse_pending(self, text: str) -> str:
        """Parse a call inside the reasoning: it is reasoning if the reasoning is closed after it, else a call."""
        seen = self._pending_end + text
        start = seen.find(self.closing)
        if start < 0:
            self._pending.append(text)
            self._pending_end = seen[1 - len(self.closing) :]
            return ""
        rest = seen[start + len(self.closing) :]
        thought = self.take_pending() + text
        self._emitter.emit(thought[: len(thought) - len(rest) - len(self.closing)])
        self.close()
        return rest


@functools.cache
def _words_of(
    format: Format,
) -> tuple[Mapping[str, str], Mapping[str, str], tuple[str, ...], tuple[str, ...]]:
    """Returns the end tag of each opening tag, the opening tag of each end tag that is nothing else, and the markers of
    sections and of calls that may end the reasoning."""
    closings = dict((*format.quoted_thinks, format.thinks))
    openings = {end: tag for tag, end in closings.items() if end not in format.swallowed}
    sections = (*(format.section or ())[:1], *(format.starts if format.reopens else ()))
    starts = () if format.section else tuple(start for start in format.starts if len(start) > 1)
    return closings, openings, sections, starts


class Spoken:
    """Which text of a reply is neither reasoning nor a marker around it. Positions count characters of the reply."""

    def __init__(self) -> None:
        self._silent: list[tuple[int, int]] = []
        self._since: int | None = None

    def leave_out(self, start: int, end: int) -> None:
        """Leave out the text between two positions."""
        self._silent.append((start, end))

    def pause(self, start: int) -> None:
        """Leave out the text from a position on."""
        self._since = start

    def resume(self, end: int) -> None:
        """Include the text from a position on again."""
        if self._since is not None:
            self.leave_out(self._since, end)
        self._since = None

    def of(self, text: str) -> str:
        """Returns the spoken parts of the reply's text."""
        parts, start = [], 0
        for begin, end in (*self._silent, (len(text) if self._since is None else self._since, len(text))):
            part = text[start:begin]
            part = part.lstrip(SPACE) if start else part
            parts.append(part.rstrip(SPACE) if begin < len(text) else part)
            start = end
        return PARAGRAPH.join(part for part in parts if part.strip(SPACE)) if self._silent else parts[0]
