"""What a research has found, as a report is made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agentkit._text import in_a_line
from agentkit.evidence.citation import Citation
from agentkit.evidence.source import Source
from agentkit.limits import Usage


@dataclass(frozen=True)
class Findings:
    """What a research has found.

    text: Markdown; a number in brackets cites the source of this number. citations: the check of each sentence of the
    text, with each source that it cites. sources: those that are cited, by their numbers, from 1. remarks: what has to
    be said of how it was made. stopped: "answer", or the limit at which it had to end. plan: the sub-questions. usage:
    what it took, all runs together. at: when it was made, ISO 8601 in UTC. session: the id of its session, None without
    one. has_model: whether a model wrote it; else it is an annotated bibliography.
    """

    question: str
    text: str
    citations: Sequence[Citation] = ()
    sources: Sequence[Source] = ()
    remarks: Sequence[str] = ()
    stopped: str = "answer"
    plan: Sequence[str] = ()
    usage: Usage = field(default_factory=Usage)
    at: str = ""
    session: str | None = None
    has_model: bool = True

    @property
    def title(self) -> str:
        """The question in a line."""
        return in_a_line(self.question, 300)

    @property
    def flagged(self) -> list[Citation]:
        """The citations that the sources don't support, and sentences without a source."""
        return [each for each in self.citations if each.verdict != "supported"]


def sentences_checked(citations: Iterable[Citation]) -> dict[tuple[int, int], list[Citation]]:
    """The citations of each sentence, by where it stands."""
    found: dict[tuple[int, int], list[Citation]] = {}
    for each in citations:
        found.setdefault((each.start, each.end), []).append(each)
    return found
