"""What the check of an answer says of one sentence and one source."""

from collections.abc import Iterable
from typing import Literal

from agentkit._lazy.records import dataclass, field

Verdict = Literal["supported", "weak", "not found", "no source"]
"""Whether a source says what a sentence says: "supported"; "weak": a part of it, or the source was only found and not
read; "not found": the source was read and does not say it; "no source": the sentence cites nothing, or a number that
no source has."""


@dataclass(frozen=True)
class Citation:
    """A sentence of an answer, with one source that it cites.

    sentence: as it stands in the answer. start, end: where, in characters of the answer's text. source: the cited
    number; None for a sentence that cites nothing. address, title: of the source. quote: the passage of the source that
    is nearest to the sentence; span: where it stands, in characters of the source's text; "" and None where there is
    none. reason: why it is not supported, in a few words; "" for one that is. page: from 1, on which the passage says
    it, of a text that has pages (a PDF); None of others.
    """

    sentence: str
    start: int
    end: int
    source: int | None
    verdict: Verdict
    address: str = ""
    title: str = ""
    quote: str = ""
    span: tuple[int, int] | None = None
    reason: str = ""
    page: int | None = field(default=None, metadata={"in_json": "if any"})


MAX_PAGES = 20
"""How many pages of a source are named."""


def pages_cited(citations: Iterable[Citation], source: int) -> str:
    """The pages of a source on which it says what sentences cite it for, such as "p. 4" or "pp. 4, 17"; "" where none
    is known. source: its number."""
    found = sorted({each.page for each in citations if each.source == source and each.page and _is_there(each)})
    named = ", ".join(map(str, found[:MAX_PAGES])) + (", …" if len(found) > MAX_PAGES else "")
    return f"{'p.' if len(found) == 1 else 'pp.'} {named}" if found else ""


def _is_there(citation: Citation) -> bool:
    return citation.verdict in ("supported", "weak")
