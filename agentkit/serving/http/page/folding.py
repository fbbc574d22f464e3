"""Words in texts, whatever their case and width: also parts of words, since Chinese has no spaces between them.

Everything takes time linear in the text. Places are counted in characters (code points) of the text as it is.
"""

import unicodedata
from collections.abc import Iterator, Sequence

SNIPPET = 240
"""Characters of a snippet, beside those of a longer word."""
BEFORE = 60
"""How many of them come before the first word."""
MAX_MATCHES = 50
"""How many places of words are told of a snippet."""

_PIECE = 512
_LONGEST = 32
"""Characters that are folded as one; more marks than that have no character in writing."""
_SPACES = {ord(each): " " for each in "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"}


def folded(text: str) -> str:
    """A text in which case and width make no difference (NFKC and full case folding)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words_of(query: str) -> list[str]:
    """The words of a query, folded, each once."""
    return list(dict.fromkeys(folded(query).split()))


def snippet_of(text: str, words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """What stands around the first of some words in a text, in one line, and the places of all of them in it: begin and
    end, in order, none inside another. words: folded. ("", []) when none is in the text."""
    whole = folded(text)
    first = min((place for word in words if (place := whole.find(word)) >= 0), default=-1)
    if first < 0:
        return "", []
    at = _unfolded(text, first)
    start = max(0, at - BEFORE)
    while 0 < start < at and _goes_on(text[start]):
        start += 1
    end = start + SNIPPET + max(map(len, words))
    shown = text[start:end].translate(_SPACES)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    places = [(begin + len(before), stop + len(before)) for begin, stop in _places(shown, words)]
    return f"{before}{shown}{after}", places


def _unfolded(text: str, place: int) -> int:
    """About where in a text a place of the folded text is: exactly, or up to _PIECE characters before it."""
    if text.isascii():
        return place
    for start, end in _pieces(text, _PIECE):
        length = len(folded(text[start:end]))
        if length > place:
            ends = _ends(text[start:end])[0]
            return start + _begin(ends, place)
        place -= length
    return len(text)


def _places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    ends, whole = _ends(text)
    found = sorted((_begin(ends, place), ends[place + len(word) - 1]) for word in words for place in _all(whole, word))
    joined: list[tuple[int, int]] = []
    for begin, end in found:
        if joined and begin < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined[:MAX_MATCHES]


def _all(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + len(word))


def _ends(text: str) -> tuple[list[int], str]:
    """For each character of the folded text, where what it was made of ends in the text; and the folded text."""
    ends: list[int] = []
    made: list[str] = []
    for start, end in _pieces(text, 1):
        made.append(folded(text[start:end]))
        ends += [end] * len(made[-1])
    return ends, "".join(made)


def _begin(ends: Sequence[int], place: int) -> int:
    """Where what a folded character was made of begins."""
    end = ends[place]
    while place and ends[place - 1] == end:
        place -= 1
    return ends[place - 1] if place else 0


def _pieces(text: str, size: int) -> Iterator[tuple[int, int]]:
    """A text in pieces of about `size` characters that can be folded each for itself."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        most = min(end + _LONGEST, len(text))
        while end < most and _goes_on(text[end]):
            end += 1
        yield start, end
        start = end


def _goes_on(character: str) -> bool:
    """Whether a character may become one with what is before it: marks, vowels and final consonants of Hangul, the
    voiced marks of narrow Katakana."""
    if character < "\u0300":
        return False
    return (
        unicodedata.category(character)[0] == "M"
        or "\u1160" <= character <= "\u11ff"
        or "\u3131" <= character <= "\u318e"
        or "\uff9e" <= character <= "\uffdc"
    )
