"""What the check of an answer says of one sentence and one source."""

from typing import Literal

from agentkit._lazy.records import dataclass

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
    none. reason: why it is not supported, in a few words; "" for one that is.
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
