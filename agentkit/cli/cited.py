"""Shows under an answer what its sources say of it."""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from rich.console import Console
from rich.text import Text

from agentkit import Result
from agentkit._text import in_a_line
from agentkit.cli.printable import printable
from agentkit.evidence.citation import Citation, pages_cited

MAX_REASONS, MAX_REASON = 3, 100
"""How many reasons are shown of one kind, and the maximum characters of one."""
MAX_LISTED, MAX_ADDRESS = 30, 300
"""How many sources are listed, and the maximum characters of a title or an address."""

_KINDS = ("supported", "weak", "not found", "no source", "nothing cited")
_WORDS = ("supported", "weak", "not found", "citing what was not read", "without a source")


def print_cited(result: Result, out: TextIO, *, quiet: bool) -> None:
    """Print the line, and on a terminal the cited sources, where the answer was checked.

    They go below the answer on a terminal; to standard error where the output is piped, unless `quiet`.
    """
    if not result.citations or (quiet and not out.isatty()):
        return
    console = Console(file=out if out.isatty() else sys.stderr, highlight=False)
    lines = [cited_line(result.citations)]
    if out.isatty():
        lines += listed(result)
    for line in lines:
        console.print(Text(line, style="dim"), soft_wrap=True)


def cited_line(citations: Sequence[Citation]) -> str:
    """How many sentences are supported, and which are not: "sources: 5 sentences supported; 1 not found [4]: ..."."""
    sentences = [list(each) for _, each in groupby(citations, key=lambda citation: (citation.start, citation.end))]
    by_kind: dict[str, list[list[Citation]]] = {kind: [] for kind in _KINDS}
    for sentence in sentences:
        kind = max(map(_kind, sentence), key=_KINDS.index)
        by_kind[kind].append([each for each in sentence if _kind(each) == kind])
    parts = [_part(kind, found) for kind, found in by_kind.items() if found]
    return f"sources: {'; '.join(parts)}"


def listed(result: Result) -> Iterator[str]:
    """The sources that the answer cites, a line each, but those whose address is in the answer."""
    cited = {each.source for each in result.citations}
    found = [source for source in result.sources if source.number in cited and source.address not in str(result.output)]
    for source in found[:MAX_LISTED]:
        address = in_a_line(printable(source.address), MAX_ADDRESS)
        title = in_a_line(printable(source.title), MAX_ADDRESS)
        pages = pages_cited(result.citations, source.number)
        address += f", {pages}" if pages else ""
        yield f"[{source.number}] {title} - {address}" if title else f"[{source.number}] {address}"
    if len(found) > MAX_LISTED:
        yield f"and {len(found) - MAX_LISTED} more"


def _kind(citation: Citation) -> str:
    return "nothing cited" if citation.source is None else citation.verdict


def _part(kind: str, sentences: Sequence[Sequence[Citation]]) -> str:
    count = len(sentences)
    if kind == "supported":
        return f"{count} sentence{'' if count == 1 else 's'} supported"
    citations = [citation for sentence in sentences for citation in sentence]
    numbers = dict.fromkeys(f"[{each.source}]" for each in citations if each.source is not None)
    said = " ".join([f"{count} {_WORDS[_KINDS.index(kind)]}", *list(numbers)[:MAX_LISTED]])
    reasons = dict.fromkeys(in_a_line(printable(each.reason), MAX_REASON) for each in citations if each.reason)
    shown = "" if kind == "nothing cited" else ", ".join(list(reasons)[:MAX_REASONS])
    return f"{said}: {shown}" if shown else said
