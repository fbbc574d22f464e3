"""Decides what a sentence may be said to be: supported by a source, partly, or not."""

import re
from collections.abc import Mapping, Sequence

from agentkit.evidence.citation import Verdict
from agentkit.evidence.claims import Claim
from agentkit.evidence.comparison import Finding, Sentence, joined
from agentkit.evidence.denials import may_deny

COVER, COVER_UNSPACED = 0.34, 0.3
"""How much of what the words of a sentence mean a passage has at least, to support it; less where words are pairs of
characters, of which a paraphrase changes more. Fitted to half of the articles of XQuAD in English, Chinese and Russian
(benchmarks/evidence.py)."""

SHORT, MORE_FOR_SHORT = 3, 0.2
"""A sentence of so few words needs more of them."""

PART = 0.5
"""What share of that a source has to have at least, to say a part of the sentence."""

EACH_MORE, MOST_TOGETHER = 0.06, 0.7
"""How much more several sources together need, for each one more."""

UNNAMED = 0.51
"""What share of the names of a sentence may be missing in a source."""

LEAST_SAID, LEAST_NAMED, LEAST_COUNTED = 7, 3, 2
"""How many words a sentence without citation has at least that claims something: one with a name or a quotation in it,
and one with a number, has fewer."""


def is_checkable(claim: Claim, sentence: Sentence) -> bool:
    """Whether a sentence that cites nothing claims something."""
    if re.fullmatch(r"`[^`]{1,300}`", claim.text) or claim.text.rstrip("*_\"'”’»)").endswith(
        (":", "：", "?", "？", "؟", ";")
    ):
        return False
    size = len(sentence.keys) / (2 if sentence.is_unspaced else 1)
    least = LEAST_NAMED if sentence.names or sentence.quotations else LEAST_SAID
    return size >= (LEAST_COUNTED if sentence.numbers else least)


def judged(sentence: Sentence, finding: Finding) -> tuple[Verdict, str]:
    """The verdict on a sentence and one of its sources by itself, with the reason."""
    return _judged(sentence, finding, _least(sentence))


def contributing(sentence: Sentence, findings: Mapping[int, Finding]) -> frozenset[int]:
    """The sources that support a sentence together, and would not without each of them. findings: by the numbers of
    its sources, what they have of it."""
    if len(findings) < 2 or not _support(sentence, list(findings.values())):
        return frozenset()
    return frozenset(
        number
        for number in findings
        if not _support(sentence, [finding for other, finding in findings.items() if other != number])
    )


def _support(sentence: Sentence, findings: Sequence[Finding]) -> bool:
    return _judged(sentence, joined(findings), _least(sentence, len(findings)))[0] == "supported"


def _judged(sentence: Sentence, finding: Finding, least: float) -> tuple[Verdict, str]:
    said: Verdict = "not found" if finding.cover < PART * least else "weak"
    if not (finding.found or finding.is_foreign):
        return "not found", "the source says nothing of it"
    if finding.absent:
        return "not found", f"{finding.absent[0]} is not in the source"
    if finding.is_foreign:
        return "weak", "the source is in another script, so only its numbers were compared"
    if finding.unquoted:
        return "not found", "the quotation is not in the source"
    if finding.unnamed and len(finding.unnamed) >= UNNAMED * len(sentence.names):
        return said, f"{finding.unnamed[0]} is not in the source"
    if finding.cover < least:
        return said, "only a part of it is in the source" if said == "weak" else "the source says nothing of it"
    if finding.elsewhere:
        return "weak", f"the source has {finding.elsewhere[0]} beside something else"
    if sentence.denies and finding.quote and not may_deny(finding.quote):
        return "weak", "it denies what its passage says, or something else than that"
    return "supported", ""


def _least(sentence: Sentence, sources: int = 1) -> float:
    """How much of a sentence its sources have at least. sources: how many they are."""
    cover = COVER_UNSPACED if sentence.is_unspaced else COVER
    if len(sentence.keys) <= SHORT:
        cover += MORE_FOR_SHORT
    return min(max(cover, MOST_TOGETHER), cover + EACH_MORE * (sources - 1))
