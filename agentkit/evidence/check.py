"""Checks an answer against the sources that it cites: without a model, in any language."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentkit.evidence.citation import Citation, Verdict
from agentkit.evidence.claims import Claim, claims
from agentkit.evidence.comparison import Finding, Sentence, SourceText
from agentkit.evidence.ledger import key_of
from agentkit.evidence.read_text import LONGEST_TEXT
from agentkit.evidence.source import Source
from agentkit.evidence.verdict import contributing, is_checkable, judged

MOST_CITATIONS = 1_000
"""How many citations of an answer are checked."""

MOST_OF_SENTENCE = 20
"""How many sources of one sentence are looked at."""

MOST_TEXTS = 3
"""How many texts of one source are looked at however long they are, the newest ones."""

MOST_OF_SOURCE = 1_000_000
"""How many characters all texts of a source have that are looked at, with older ones."""

MOST_COMPARED = 100_000_000
"""How many characters of sources the sentences of an answer are compared with, each text as often as it is looked at:
about ten seconds."""


def checked(answer: str, sources: Mapping[int, Source]) -> list[Citation]:
    """The sentences of an answer, each with each source that it cites and whether that says so.

    sources: those of the run, by their numbers. Returns [] when none of them was read. A sentence that cites nothing
    is compared with the sources that its paragraph cites next; one that says nothing to be checked is left out, such as
    a question, a greeting, or the introduction of a list. Never raises for what an answer or a source has in it.
    """
    if not any(source.read for source in sources.values()):
        return []
    addresses = {key_of(each): number for number, source in sources.items() for each in (*source.also, source.address)}
    found = [(claim, Sentence.of(claim)) for claim in claims(answer, sources, addresses)]
    found = [(claim, sentence) for claim, sentence in found if claim.cited or is_checkable(claim, sentence)]
    found = [(_by_links(claim), sentence) for claim, sentence in found]
    check = _Check(sources)
    citations: list[Citation] = []
    for claim, sentence in found:
        citations += check.citations(claim, sentence)
        if len(citations) >= MOST_CITATIONS:
            break
    return citations[:MOST_CITATIONS]


def _by_links(claim: Claim) -> Claim:
    """A claim that cites its sources by their addresses alone."""
    return replace(claim, cited=claim.linked, later=()) if claim.linked and not claim.cited else claim


class _Check:
    """The check of one answer. Only the sources that it cites are read."""

    def __init__(self, sources: Mapping[int, Source]) -> None:
        self._sources = sources
        self._texts: dict[int, list[SourceText]] = {}
        self._left = MOST_COMPARED

    def citations(self, claim: Claim, sentence: Sentence) -> list[Citation]:
        """What there is to say of one sentence."""
        numbers = (claim.cited or claim.later)[:MOST_OF_SENTENCE]
        findings = {number: self._finding(number, sentence) for number in numbers if number in self._sources}
        read = {number: finding for number, finding in findings.items() if self._sources[number].read}
        together = contributing(sentence, read)
        cited = []
        for number in numbers:
            if number not in findings:
                cited.append(_without_source(claim, number, f"there is no source {number}"))
                continue
            verdict, reason = judged(sentence, findings[number]) if number not in together else ("supported", "")
            cited.append(self._citation(claim, number, findings[number], verdict, reason))
        if claim.cited:
            return cited
        supported = [each for each in cited if each.verdict == "supported"]
        return supported or [_without_source(claim, None, "the sentence cites no source")]

    def _citation(self, claim: Claim, number: int, finding: Finding, verdict: Verdict, reason: str) -> Citation:
        source = self._sources[number]
        if source.read and not source.texts:
            verdict, reason = "weak", "the text of the source is not known"
        elif self._left <= 0:
            verdict, reason = "weak", "the sources are too long to be compared with all sentences"
        elif not source.read:
            verdict = "weak" if verdict == "supported" else "no source"
            reason = "the source was found, but not read"
        place = claim.sentence, claim.start, claim.end
        return Citation(
            *(*place, number, verdict, source.address, source.title, finding.quote, finding.span),
            reason=reason,
            page=finding.page,
        )

    def _finding(self, number: int, sentence: Sentence) -> Finding:
        texts = self._texts.get(number)
        if texts is None:
            source = self._sources[number]
            texts = [SourceText(text, source.title) for text in _looked_at(source.texts)]
            self._texts[number] = texts
        if self._left <= 0:
            return Finding()
        self._left -= sum(text.length for text in texts)
        found = [text.finding(sentence) for text in texts]
        return max(found, key=lambda each: (not (each.absent or each.unquoted), each.cover), default=Finding())


def _looked_at(texts: Sequence[str]) -> list[str]:
    """The texts of a source that are compared, the newest first."""
    found: list[str] = []
    room = MOST_OF_SOURCE
    for text in reversed(texts):
        room -= min(len(text), LONGEST_TEXT)
        if len(found) < MOST_TEXTS or room >= 0:
            found.append(text)
    return found


def _without_source(claim: Claim, number: int | None, reason: str) -> Citation:
    return Citation(claim.sentence, claim.start, claim.end, number, "no source", reason=reason)
