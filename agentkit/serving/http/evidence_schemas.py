"""JSON of what an answer is based on."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, Field

from agentkit.evidence.citation import Citation, Verdict
from agentkit.evidence.source import Source
from agentkit.record import citation_records, source_records


class CitationOut(BaseModel):
    """A sentence of an answer, with one source that it cites."""

    sentence: str = Field(description="The sentence, as it stands in the answer.")
    start: int = Field(description="Where it begins, in characters (Unicode code points) of the answer's text.")
    end: int = Field(description="Where it ends.")
    source: int | None = Field(default=None, description="The cited number; null for a sentence that cites nothing.")
    verdict: Verdict = Field(
        description="Whether the source says it: `supported`; `weak`: a part of it, or the source was found and not "
        "read; `not found`: the source does not say it; `no source`: the sentence cites nothing, or a number that no "
        "source has."
    )
    address: str = Field(default="", description="URL, path or name of the source.")
    title: str = Field(default="", description="Title of the source.")
    quote: str = Field(default="", description="The passage of the source that is nearest to the sentence.")
    span: tuple[int, int] | None = Field(default=None, description="Where the passage stands in the source's text.")
    reason: str = Field(default="", description="Why the sentence is not supported, in a few words.")
    page: int | None = Field(default=None, description="The page on which the passage begins, of a source with pages.")


class SourceOut(BaseModel):
    """A source that an answer may cite."""

    number: int = Field(description="The number by which it is cited in the session.")
    address: str = Field(description="URL, path or name.")
    title: str = Field(default="", description="Its title.")
    read: bool = Field(default=True, description="Whether a tool has read it; false: it was only found.")
    at: str = Field(default="", description="When it was read or found (ISO 8601, UTC).")
    also: list[str] = Field(default=[], description="Its other addresses.")


class SourceText(SourceOut):
    """A source as it was read."""

    text: str = Field(
        description="What was read of it last, or the snippet that was found; at most 100,000 characters."
    )
    was_cut: bool = Field(default=False, description="Whether its text is longer.")


class EvidenceOut(BaseModel):
    """What an answer is based on."""

    citations: list[CitationOut] = Field(
        default=[], description="What the sources say of the answer's sentences, in order; none where nothing was read."
    )
    sources: list[SourceOut] = Field(default=[], description="The sources that were read or found, and those cited.")


def citations_out(citations: Iterable[Citation], shift: int = 0) -> list[CitationOut]:
    """The same as JSON. shift: by how many characters the text begins earlier than that which was checked."""
    records = citation_records(citations)
    return [CitationOut(**{**each, "start": each["start"] - shift, "end": each["end"] - shift}) for each in records]


def evidence_fields(text: str, citations: Sequence[Citation], sources: Iterable[Source]) -> dict[str, Any]:
    """The fields of `EvidenceOut`. text: that which was checked; the answer is sent without white space around it."""
    shift = len(text) - len(text.lstrip())
    return {
        "citations": citations_out(citations, shift),
        "sources": [SourceOut(**each) for each in source_records(sources)],
    }
