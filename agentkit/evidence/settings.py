"""What an agent does with the sources of its answers."""

from typing import Any, Literal, cast

from agentkit._lazy.records import dataclass

Mode = Literal["flag", "ask again", "off"]
"""What happens to an answer that its sources don't support: "flag" says so in `result.citations`; with "ask again" the
model is told once, and answers anew; "off": nothing is checked, and no text of a source is kept."""

Word = Literal["flag", "ask-again", "off"]
"""The same as one word, for command lines and environment variables."""


def mode_of(word: Word) -> Mode:
    """The mode that a word stands for."""
    return cast(Mode, word.replace("-", " "))


@dataclass(frozen=True)
class Evidence:
    """The settings of an agent. judge: an agent that decides on what the check can't tell; None: none."""

    mode: Mode = "flag"
    judge: Any = None

    @property
    def keeps_texts(self) -> bool:
        """Whether the texts of sources are kept."""
        return self.mode != "off"
