"""A research report: its text, the check of each citation, and its sources."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agentkit._text import visible
from agentkit.evidence.citation import Citation
from agentkit.evidence.ledger import key_of
from agentkit.evidence.source import Source
from agentkit.limits import Usage
from agentkit.record import usage_record
from agentkit.research.marks import numbers_cited, replaced

Check = Callable[[str, Mapping[int, Source]], Sequence[Citation]]
UNKNOWN = "[?]"
"""What stands in the text for a number that no source has, and for a link to what was not read."""
_LINK = re.compile(
    r"(!?)\[([^\[\]\n]{0,300})\]\([ \t]*<?((?:[^\s()<>]|\([^\s()<>]{0,100}\)){1,2000})>?(?:[ \t][^()\n]{0,300})?\)"
)
_ADDRESS = re.compile(r"<?\bhttps?://[^\s<>\[\]()\"'`|]{1,2000}>?", re.IGNORECASE)
_PRIVATE = re.compile("[\ue000-\uf8ff]")


@dataclass(frozen=True)
class Report:
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
    def flagged(self) -> list[Citation]:
        """The citations that the sources don't support, and sentences without a source."""
        return [each for each in self.citations if each.verdict != "supported"]

    def markdown(self) -> str:
        """The report as Markdown: sentences that are not supported are marked; the references stand at its end."""
        from agentkit.research.markdown import markdown

        return markdown(self)

    def html(self) -> str:
        """The report as one HTML file that loads nothing and runs no script. Raises MissingExtraError without the extra
        `cli`, which renders Markdown."""
        from agentkit.research.page import page

        return page(self)

    def bibtex(self) -> str:
        """The sources as BibTeX, in UTF-8."""
        from agentkit.research.bibtex import bibtex

        return bibtex(self.sources)

    def record(self) -> dict[str, Any]:
        """The report as JSON values; of the sources' texts what the citations quote."""
        made = {name: getattr(self, name) for name in ("question", "text", "stopped", "at", "session", "has_model")}
        kept = ("number", "address", "title", "read", "at")
        return {
            **made,
            "plan": list(self.plan),
            "remarks": list(self.remarks),
            "citations": [asdict(each) for each in self.citations],
            "sources": [{name: getattr(each, name) for name in kept} for each in self.sources],
            "usage": usage_record(self.usage),
        }


def assembled(text: str, known: Mapping[int, Source], check: Check) -> tuple[str, list[Citation], list[Source]]:
    """The text with the numbers of its references, the check of its citations, and these references.

    text: with the numbers of the run. known: the sources of the run. The numbers stay where they are 1, 2, 3, ...;
    where there are gaps, the sources get the next numbers in the same order.
    """
    text = with_marks_for_links(clean(text), known)
    numbers = sorted({number for number in numbers_cited(text, known) if number in known})
    places = {number: place for place, number in enumerate(numbers, 1)}
    text = replaced(text, lambda cited: "".join(dict.fromkeys(_mark(places.get(each)) for each in cited)), known)
    sources = {place: replace(known[number], number=place) for number, place in places.items()}
    return text, [each for each in check(text, sources) if _is_of_a_sentence(each, text)], list(sources.values())


def clean(text: str) -> str:
    """A text without characters that are not seen, or that a page uses as marks of its own."""
    return _PRIVATE.sub("", visible(text, "")).strip()


def with_marks_for_links(text: str, known: Mapping[int, Source]) -> str:
    """A text in which each link to a source cites it by its number; a link to what was not read is no link."""
    numbers = {key_of(source.address): number for number, source in known.items()}

    def linked(found: re.Match[str]) -> str:
        is_image, label, address = found.groups()
        if is_image:
            return label
        number = numbers.get(key_of(address))
        own = label.strip().isdigit()
        return f"{'' if own else label + ' '}{_mark(number)}"

    def bare(found: re.Match[str]) -> str:
        address = found.group().strip("<>")
        end = address.rstrip(".,;:!?")
        number = numbers.get(key_of(end))
        return found.group() if number is None else f"[{number}]{address[len(end) :]}"

    return _ADDRESS.sub(bare, _LINK.sub(linked, text))


def _mark(number: int | None) -> str:
    return UNKNOWN if number is None else f"[{number}]"


def _is_of_a_sentence(citation: Citation, text: str) -> bool:
    """Whether it is not that of a heading, or of a line that introduces a list, which cite nothing."""
    if citation.source is not None:
        return True
    begin = text.rfind("\n", 0, citation.start) + 1
    end = text.find("\n", citation.start)
    line = text[begin : end if end >= 0 else len(text)].strip()
    return UNKNOWN in citation.sentence or not line.startswith("#") and not line.endswith((":", "："))


def sentences_checked(citations: Iterable[Citation]) -> dict[tuple[int, int], list[Citation]]:
    """The citations of each sentence, by where it stands."""
    found: dict[tuple[int, int], list[Citation]] = {}
    for each in citations:
        found.setdefault((each.start, each.end), []).append(each)
    return found
