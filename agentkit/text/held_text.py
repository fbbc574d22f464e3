"""Text of a reply that is held back until it is known what it is: a stop string, framing, words behind a call."""

from collections.abc import Iterable, Sequence

from agentkit.text.call_format import Piece, Text, Thought, any_of, begun_word, first_letters

SPACE = " \t\r\n"


class CallsLast:
    """Holds calls back, and all that stands between them, until it is known that nothing else follows."""

    def __init__(self, between: str) -> None:
        self.calls: list[Piece] = []
        self._raw: list[str] = []
        self._between = SPACE + between

    @property
    def waits(self) -> bool:
        """Whether something is held back."""
        return bool(self._raw)

    def is_said(self, text: str) -> bool:
        """Whether a text is more than what may stand between calls."""
        return bool(text.strip(self._between if self.calls else None))

    def wait_with(self, markup: str, calls: Sequence[Piece] = ()) -> None:
        """Hold back markup, and what it says."""
        self._raw.append(markup)
        self.calls += calls

    def released_by(self, text: str) -> str:
        """All that was held back, and this text, when it has words or is the last; else "", and it is held back too."""
        self._raw.append(text)
        if text and not self.is_said(text):
            return ""
        released = "".join(self._raw)
        self._raw.clear()
        self.calls.clear()
        return released


class Voice:
    """Tells texts of one kind, and decides about the white space at their edges.

    strips: white space is held back until it is known whether something else follows it. keeps_end: white space at
    the very end is told.
    """

    def __init__(self, kind: type[Text] | type[Thought], out: list[Piece], *, keeps_end: bool, strips: bool) -> None:
        self.has_spoken = False
        self._kind = kind
        self._out = out
        self._keeps_end = keeps_end
        self._strips = strips
        self._space: list[str] = []
        self._dropped = ""

    @property
    def is_plain(self) -> bool:
        """Whether any text would be told as it stands."""
        return self.has_spoken and not (self._strips or self._space or self._dropped)

    def drop_space(self, also: str = "") -> None:
        """White space that waits is framing, and so is what comes before the next word; also: other such letters."""
        self._space.clear()
        self._dropped = SPACE + also

    def tell(self, text: str) -> None:
        if self._dropped:
            text = text.lstrip(self._dropped)
        if not text:
            return
        body = text.rstrip(SPACE)
        if not body:
            self._space.append(text)
            if self.has_spoken and not self._strips:
                self.end()
            return
        self._dropped = ""
        self.has_spoken = True
        told = body if self._strips else text
        if self._space:
            told = "".join(self._space) + told
            self._space.clear()
        self._out.append(self._kind(told))
        if self._strips and len(body) < len(text):
            self._space.append(text[len(body) :])

    def end(self) -> None:
        """Tell the white space at the end, where it counts."""
        if self._space and self._keeps_end:
            self._out.append(self._kind("".join(self._space)))
        self._space.clear()


class Cutter:
    """Passes text on up to the first of some words, of which the words and all behind them are cut."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(word for word in words if word)
        self._first = first_letters(self._words) if self._words else None
        self._pattern = any_of(self._words) if self._words else None
        self._held = ""
        self.is_cut = False

    @property
    def may_cut(self) -> bool:
        """Whether there is a word to look for."""
        return self._pattern is not None

    def feed(self, text: str) -> str:
        if self._pattern is None or self._first is None:
            return text
        if self.is_cut or (not self._held and self._first.search(text) is None):
            return "" if self.is_cut else text
        text, self._held = self._held + text, ""
        found = self._pattern.search(text)
        if found:
            self.is_cut = True
            return text[: found.start()]
        keep = begun_word(text, self._words)
        self._held = text[keep:]
        return text[:keep]

    def finish(self) -> str:
        held, self._held = self._held, ""
        return held
