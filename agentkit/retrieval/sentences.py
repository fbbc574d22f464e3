"""Splits paragraphs into sentences, in any script."""

import re
from itertools import pairwise

_CLOSING = "\"'”’»)\\]」』】）》〉"
_OPENING = "\"'“‘«„([「『【（《〈¿¡*_"
_END = re.compile(rf"(?<![.!?…])[.!?…]+[{_CLOSING}]*\s|(?<![。！？｡؟।॥።])[。！？｡؟।॥።]+[{_CLOSING}]*\s?")
"""Behind a full stop comes a space; the marks of Chinese, Japanese, Arabic, Hindi and Amharic need none."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|vs|e\.g|i\.e|cf|c|ca|approx|Nr|Bd|Abb|z\.B|д|т|г|гг|им|см|стр|[^\W\d_])\.)\s$"
)
_LONGEST_ABBREVIATION = 10


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without line breaks."""
    text = " ".join(paragraph.split())
    ends = [0, *sentence_ends(text), len(text)]
    return [sentence for begin, end in pairwise(ends) if (sentence := text[begin:end].strip())]


def sentence_ends(text: str) -> list[int]:
    """Where the sentences of a text end: the indexes behind the marks and the space that follows them."""
    return [end.end() for end in _END.finditer(text) if _is_end(text, end)]


def _is_end(text: str, mark: re.Match[str]) -> bool:
    """Whether a mark ends a sentence: no abbreviation's full stop, and no small letter behind it."""
    if mark.group()[0] not in ".!?…":
        return True
    follows = text[mark.end() : mark.end() + 4].lstrip(_OPENING)[:1]
    if follows.islower():
        return False
    return not (
        mark.group() == ". " and _ABBREVIATION.search(text, max(0, mark.end() - _LONGEST_ABBREVIATION), mark.end())
    )
