"""The text of a report with the numbers of its references, compared with its sources."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from agentkit.evidence.citation import Citation
from agentkit.evidence.ledger import key_of
from agentkit.evidence.source import Source
from agentkit.research.blocks import inert, outside_fences
from agentkit.research.marks import clean, numbers_cited, replaced
from agentkit.retrieval import sentence_ends

Check = Callable[[str, Mapping[int, Source]], Sequence[Citation]]
UNKNOWN = "[no source]"
"""What stands in the text for a number that no source has, and for a link to what was not read."""
NO_SUCH_SOURCE = "it cites a number that no source has, or what was not read"
MARKS_AT_ONCE = 500
"""How many marks of a text are checked at once: the check of an answer has a limit."""
_LINK = re.compile(
    r"(!?)\[([^\[\]\n]{0,300}+(?:\[[^\[\]\n]{0,60}+\][^\[\]\n]{0,300}+){0,4}+)\]"
    r"\([ \t]*<?((?:[^\s()<>]|\([^\s()<>]{0,100}\)){1,2000})>?(?:[ \t][^()\n]{0,300})?\)"
)
_ADDRESS = re.compile(r"<?\bhttps?://[^\s<>\[\]()\"'`|]{1,2000}>?", re.IGNORECASE)
_SCHEME = re.compile(r"^https?://(?:www\.)?", re.IGNORECASE)
"""What makes readers of Markdown take an address for a link."""


def assembled(text: str, known: Mapping[int, Source], check: Check) -> tuple[str, list[Citation], list[Source]]:
    """The text with the numbers of its references, the check of its citations, and these references.

    text: with the numbers of the run. known: the sources of the run. The numbers stay where they are 1, 2, 3, ...;
    where there are gaps, the sources get the next numbers in the same order.
    """
    text = outside_fences(clean(text), lambda part: with_marks_for_links(part, known))
    numbers = sorted({number for number in numbers_cited(text, known) if number in known})
    places = {number: place for place, number in enumerate(numbers, 1)}
    text = replaced(text, lambda cited: "".join(dict.fromkeys(_mark(places.get(each)) for each in cited)), known)
    text = outside_fences(text, inert)
    sources = {place: replace(known[number], number=place) for number, place in places.items()}
    citations = [each for each in _checked_in_parts(text, sources, check) if _is_of_a_sentence(each, text)]
    citations += [each for each in without_source(text) if not _is_there(each, citations)]
    return text, sorted(citations, key=lambda each: (each.start, each.end)), list(sources.values())


def _checked_in_parts(text: str, sources: Mapping[int, Source], check: Check) -> Iterator[Citation]:
    """The check of a text of any length: of so many paragraphs at a time as it takes."""
    begin, end, count = 0, 0, 0
    ends = [found.end() for found in re.finditer(r"\n\n", text)]
    for following in [*ends, len(text)]:
        more = len(numbers_cited(text[end:following]))
        if count + more > MARKS_AT_ONCE and end > begin:
            yield from _moved(check(text[begin:end], sources), begin)
            begin, count = end, 0
        end, count = following, count + more
    yield from _moved(check(text[begin:], sources), begin)


def _moved(citations: Sequence[Citation], by: int) -> list[Citation]:
    return [replace(each, start=each.start + by, end=each.end + by) for each in citations]


def without_source(text: str) -> Iterator[Citation]:
    """The sentences that cite what no source is."""
    begin = 0
    for line in text.split("\n"):
        ends = [0, *sentence_ends(line), len(line)] if UNKNOWN in line else []
        for start, end in pairwise(ends):
            sentence = line[start:end].strip()
            if UNKNOWN in sentence:
                place = begin + line.index(sentence, start)
                yield Citation(sentence, place, place + len(sentence), None, "no source", reason=NO_SUCH_SOURCE)
        begin += len(line) + 1


def _is_there(citation: Citation, citations: Sequence[Citation]) -> bool:
    return any(each.source is None and each.start < citation.end and citation.start < each.end for each in citations)


def with_marks_for_links(text: str, known: Mapping[int, Source]) -> str:
    """A text in which each link to a source cites it by its number; a link to what was not read is no link."""
    numbers = {key_of(source.address): number for number, source in known.items()}

    def linked(found: re.Match[str]) -> str:
        is_image, label, address = found.groups()
        if is_image:
            return label
        number = numbers.get(key_of(address))
        own = label.strip(" \t[]").isdigit()
        return f"{'' if own else label + ' '}{_mark(number)}"

    def bare(found: re.Match[str]) -> str:
        address = found.group().strip("<>")
        end = address.rstrip(".,;:!?")
        number = numbers.get(key_of(end))
        return _SCHEME.sub("", address) if number is None else f"[{number}]{address[len(end) :]}"

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
    return UNKNOWN in citation.sentence or (not line.startswith("#") and not line.endswith((":", "：")))
