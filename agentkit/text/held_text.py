"""Holds back text of a reply until its role is known: a stop string, white space before a call, text after a call."""

from collections.abc import Callable, Iterable, Sequence

from agentkit.text.call_format import Segment, Text, Thought, any_of, first_characters, partial_word_start

SPACE = " \t\r\n"
PARAGRAPH = "\n\n"
"""Stands between two parts of the reasoning, or of the answer, that markers separate."""


class TrailingCalls:
    """Holds back calls, and the text between them, until it is known that nothing else follows.

    between: characters besides white space that may stand between calls.
    """

    def __init__(self, between: str) -> None:
        self.calls: list[Segment] = []
        self._raw: list[str] = []
        self._between = SPACE + between

    @property
    def is_pending(self) -> bool:
        """Whether anything is held back."""
        return bool(self._raw)

    def has_words(self, text: str) -> bool:
        """Whether a text is more than what may stand between calls."""
        return bool(text.strip(self._between if self.calls else None).strip())

    def hold(self, markup: str, calls: Sequence[Segment] = ()) -> None:
        """Hold back markup and the calls parsed from it."""
        self._raw.append(markup)
        self.calls += calls

    def release(self, text: str) -> str:
        """Returns everything held back followed by `text`, if `text` has words or is empty (the end of the reply);
        else holds `text` back too and returns ""."""
        self._raw.append(text)
        if text and not self.has_words(text):
            return ""
        released = "".join(self._raw)
        self._raw.clear()
        self.calls.clear()
        return released


class TextEmitter:
    """Emits text of one kind, and decides about the white space at its edges.

    strips: white space is held back until it is known whether more text follows it. keeps_end: white space at the
    very end is emitted.
    """

    def __init__(self, kind: type[Text] | type[Thought], out: list[Segment], *, keeps_end: bool, strips: bool) -> None:
        self.has_emitted = False
        self._kind = kind
        self._out = out
        self._keeps_end = keeps_end
        self._strips = strips
        self._space: list[str] = []
        self._dropped = self._gap = ""

    @property
    def is_plain(self) -> bool:
        """Whether any text would be emitted unchanged."""
        return self.has_emitted and not (self._strips or self._space or self._dropped or self._gap)

    def drop_space(self, also: str = "") -> None:
        """Drop the white space held back, and that before the next word. also: other characters dropped there."""
        self._space.clear()
        self._dropped = SPACE + also

    def begin_part(self) -> None:
        """Begin another part of the text: if more is emitted, an empty line separates it from what was emitted."""
        if self.has_emitted:
            self._gap = PARAGRAPH
        self.has_emitted = False
        self.drop_space()

    def restart(self, has_emitted: bool = False) -> None:
        """Begin anew, since what was emitted was withdrawn. has_emitted: whether text of this kind replaces it."""
        self.has_emitted = has_emitted
        self._gap = ""
        self.drop_space()

    def emit(self, text: str) -> None:
        """Emit text, except for white space that has to be held back or dropped."""
        if self._dropped:
            text = text.lstrip(self._dropped)
        if not text:
            return
        body = text.rstrip(SPACE)
        if not body:
            self._space.append(text)
            if self.has_emitted and not self._strips:
                self.end()
            return
        self._dropped = ""
        self.has_emitted = True
        emitted = body if self._strips else text
        if self._space or self._gap:
            emitted = "".join((self._gap, *self._space, emitted))
            self._space.clear()
            self._gap = ""
        self._out.append(self._kind(emitted))
        if self._strips and len(body) < len(text):
            self._space.append(text[len(body) :])

    def end(self) -> None:
        """Emit the white space at the end, if it is to be kept."""
        if self._space and self._keeps_end:
            self._out.append(self._kind("".join(self._space)))
        self._space.clear()


class Beginning:
    """Holds back the beginning of a reply until its first marker is complete.

    completed: see `agentkit.text.call_format.Format`; None where nothing has to be completed.
    """

    def __init__(self, completed: Callable[[str], str | None] | None) -> None:
        self._completed = completed
        self._held = ""

    @property
    def is_pending(self) -> bool:
        """Whether the reply may still have to be completed."""
        return self._completed is not None

    def feed(self, text: str) -> str:
        """Returns the text that can be passed on."""
        if self._completed is None:
            return text
        self._held += text
        made = self._completed(self._held)
        if made is None:
            return ""
        self._completed = None
        return made

    def finish(self) -> str:
        """Returns the text still held back."""
        return self._held if self._completed is not None else ""


class StopFilter:
    """Passes text on up to the first stop string; drops the stop string and everything after it."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(word for word in words if word)
        self._first = first_characters(self._words) if self._words else None
        self._pattern = any_of(self._words) if self._words else None
        self._held = ""
        self.is_cut = False

    @property
    def may_cut(self) -> bool:
        """Whether there is a stop string to look for."""
        return self._pattern is not None

    def feed(self, text: str) -> str:
        """Returns the text that can be passed on; the beginning of a possible stop string is held back."""
        if self._pattern is None or self._first is None:
            return text
        if self.is_cut or (not self._held and self._first.search(text) is None):
            return "" if self.is_cut else text
        text, self._held = self._held + text, ""
        found = self._pattern.search(text)
        if found:
            self.is_cut = True
            return text[: found.start()]
        keep = partial_word_start(text, self._words)
        self._held = text[keep:]
        return text[:keep]

    def finish(self) -> str:
        """Returns the text still held back."""
        held, self._held = self._held, ""
        return held
