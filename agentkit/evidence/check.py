"""The check of an answer against its sources."""

import re
from collections.abc import Mapping

from agentkit.evidence.citation import Citation, Verdict
from agentkit.evidence.source import Source

_CITED = re.compile(r"([^.\s\[\]][^.\n\[\]]*?)\s*\[(\d{1,6})\]")


def checked(answer: str, sources: Mapping[int, Source]) -> list[Citation]:
    """What is said of each sentence with a mark: whether its source has it word for word."""
    made = []
    for mark in _CITED.finditer(answer):
        found = sources.get(int(mark[2])) or Source(int(mark[2]), "")
        is_there = any(mark[1] in text for text in found.texts)
        verdict: Verdict = "supported" if is_there else "not found" if found.address else "no source"
        reason = "" if is_there else "it is not in the source"
        quote = mark[1] if is_there else found.texts[0][:200] if found.texts else ""
        span = mark.span(1)
        made.append(Citation(mark[1], *span, found.number, verdict, found.address, found.title, quote, None, reason))
    return made
