"""The result of one tool call."""

from dataclasses import dataclass, replace

from agentkit.message import Image


@dataclass(frozen=True)
class Outcome:
    """The result of one call: the text for the model, images to show it, whether it is an error, how many seconds it
    took, whether it ends the run. shown: of a text that was cut, how many characters the model is sent. whole: the
    whole text then."""

    text: str
    images: tuple[Image, ...] = ()
    failed: bool = False
    seconds: float = 0.0
    ends_run: bool = False
    shown: int = 0
    whole: str = ""

    def with_note(self, note: str) -> "Outcome":
        """The same with a note at the end of the text."""
        return replace(self, text=self.text + note) if note else self

    def cut(self, limit: int) -> "Outcome":
        """The same with a text of at most `limit` characters, and a note of what was cut."""
        if len(self.text) <= limit:
            return self
        text = self.text[:limit] + _note_of_cut(limit, len(self.text))
        return replace(self, text=text, shown=limit, whole=self.text)

    def uncut(self) -> "Outcome":
        """The same with the whole text."""
        if not self.whole:
            return self
        notes = self.text[self.shown + len(_note_of_cut(self.shown, len(self.whole))) :]
        return replace(self, text=self.whole + notes, shown=0, whole="")


def _note_of_cut(shown: int, size: int) -> str:
    return f"\n(These are the first {shown:,} of {size:,} characters.)"


_FAILED = "Error: "


def failure(text: str) -> Outcome:
    """The result of a call that failed, as the model reads it."""
    return Outcome(f"{_FAILED}{text}", failed=True)


def is_failure(response: str) -> bool:
    """Whether a stored result is that of a call that failed."""
    return response.startswith(_FAILED)
