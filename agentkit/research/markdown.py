"""A report as Markdown."""

import re
from collections.abc import Sequence

from agentkit.evidence.citation import Citation, pages_cited
from agentkit.evidence.source import Source
from agentkit.research.addresses import web_address
from agentkit.research.assembling import UNKNOWN
from agentkit.research.blocks import inert, outside_fences
from agentkit.research.findings import Findings, sentences_checked
from agentkit.research.marks import behind_marks
from agentkit.research.writing import as_heading

MARK = "⚠"
_ELEMENT = re.compile(r"(?:(?<!\\)\\)?<(?=[A-Za-z/!?])")


def markdown(report: Findings) -> str:
    """The question, the text with a mark behind each sentence that is not supported, what the check found, the
    references."""
    parts = [
        f"# {as_heading(report.title)}",
        *(f"> {without_html(inert(' '.join(each.split())))}" for each in report.remarks),
    ]
    parts += [without_html(with_flags(report.text, report.citations)), check_in_words(report)]
    if report.sources:
        parts += ["## References", "\n".join(_reference(each, report.citations) for each in report.sources)]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_flags(text: str, citations: Sequence[Citation]) -> str:
    """A text with a note behind each sentence that is not supported."""
    flags: dict[int, list[str]] = {}
    for each in citations:
        if each.verdict != "supported" and not (each.source is None and UNKNOWN in each.sentence):
            flags.setdefault(behind_marks(text, each.end), []).append(in_words(each))
    made, last = [], 0
    for end, words in sorted(flags.items()):
        made += [text[last:end].rstrip(), f" *({MARK} {'; '.join(dict.fromkeys(words))})*"]
        made += [text[last:end][len(text[last:end].rstrip()) :]]
        last = end
    return "".join([*made, text[last:]])


def without_html(text: str) -> str:
    """Markdown in which no element begins, but in fenced code. Not in other code either: whether a backtick begins code
    depends on all that stands around it, and readers differ."""
    return outside_fences(text, lambda part: _ELEMENT.sub("&lt;", part))


def in_words(citation: Citation) -> str:
    """What the check says of a citation, in a few words."""
    if citation.source is None:
        return "no source"
    if citation.verdict == "not found":
        return f"not found in [{citation.source}]"
    if citation.verdict == "weak":
        return f"only partly in [{citation.source}]"
    return f"no source [{citation.source}]"


def check_in_words(report: Findings) -> str:
    """How many sentences are supported."""
    sentences = sentences_checked(report.citations)
    if not sentences:
        return ""
    good = sum(all(each.verdict == "supported" for each in found) for found in sentences.values())
    flagged = len(sentences) - good
    if not flagged:
        return f"*Checked: the sources support each of the {good} sentences.*" if good > 1 else ""
    return f"*Checked: the sources support {good} of {len(sentences)} sentences; the others are marked {MARK}.*"


def _reference(source: Source, citations: Sequence[Citation]) -> str:
    address = web_address(source.address)
    for bracket in "()[]":  # they would mean something to readers of Markdown that take links apart
        address = address.replace(bracket, f"%{ord(bracket):02X}") if "//[" not in address else address
    title = as_heading(source.title)
    shown = f"<{address}>" if address else as_heading(source.address)
    pages = pages_cited(citations, source.number)
    shown += f", {pages}" if pages else ""
    read = f" ({'read' if source.read else 'found, not read,'} {source.at[:10]})" if source.at else ""
    return f"{source.number}. {title + '. ' if title and source.title != source.address else ''}{shown}{read}"
