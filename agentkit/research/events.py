"""What a research reports while it goes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planned:
    """The sub-questions. resumed: whether they are those of an earlier run, which this one continues."""

    questions: tuple[str, ...]
    resumed: bool = False


@dataclass(frozen=True)
class Begun:
    """The work on a sub-question begins. number: from 1. notes: how many are known of an earlier run."""

    number: int
    question: str
    notes: int = 0


@dataclass(frozen=True)
class Used:
    """A tool was called for a sub-question. arguments: as the model wrote them. error: whether the call failed."""

    number: int
    tool: str
    arguments: str
    seconds: float = 0.0
    error: bool = False


@dataclass(frozen=True)
class Noted:
    """A note was taken for a sub-question. automatic: of a source that the model has read and not noted."""

    number: int
    text: str
    automatic: bool = False


@dataclass(frozen=True)
class Done:
    """A sub-question is done. stopped: "answer", or the limit or the error for which its work has ended."""

    number: int
    stopped: str
    notes: int


@dataclass(frozen=True)
class Writing:
    """A part of the report is being written. part: from 1, of `parts`."""

    part: int
    parts: int


ResearchEvent = Planned | Begun | Used | Noted | Done | Writing
