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


_FAILED = "Error: "


def failure(text: str) -> Outcome:
    """The result of a call that failed, as the model reads it."""
    return Outcome(f"{_FAILED}{text}", failed=True)


def is_failure(response: str) -> bool:
    """Whether a stored result is that of a call that failed."""
    return response.startswith(_FAILED)
