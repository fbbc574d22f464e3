"""The rows of words that two texts share, found by the hashes of all of their short rows.

A row is eight words, or 24 characters of a script that sets no spaces between words; where both stand in a text, a word
counts as three characters. Whoever has such a row in common with a text has one of its hashes in common.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

WORDS = 8
CHARACTERS = 24
BLOCK = 200_000
"""Characters that are split into words at a time."""
SEGMENT = 1 << 19
"""Hashes that are kept in a set; those before are kept sorted, in eight bytes each."""

_UNSPACED = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
"""Chinese characters, Kana, Thai, Lao, Burmese, Khmer."""
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")
_SPACED_WORD = re.compile(r"[^\W_]+")


class Hashes:
    """A set of hashes that only grows, in about eight bytes each."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[array[int]] = []

    def update(self, hashes: Iterable[int]) -> None:
        """Add hashes."""
        self._recent.update(hashes)
        if len(self._recent) >= SEGMENT:
            self._sorted.append(array("q", sorted(self._recent)))
            self._recent = set()

    def __contains__(self, key: int) -> bool:
        return key in self._recent or any(_is_in(each, key) for each in self._sorted)


def _is_in(keys: "array[int]", key: int) -> bool:
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def words_of(text: str) -> list[str]:
    """The words of a folded text; each character of a script without spaces is one."""
    return (_WORD if _is_mixed(text) else _SPACED_WORD).findall(text)


def rows_of(text: str) -> Iterator[set[int]]:
    """The hashes of all rows of a folded text, in blocks."""
    before: list[str] = []
    for block in _blocks(text):
        words = [*before, *words_of(block)]
        yield row_hashes(words)
        before = words[-CHARACTERS:]


def row_hashes(words: list[str]) -> set[int]:
    """The hashes of all rows of these words."""
    if not _is_mixed("".join(words)):
        return set(map(hash, zip(*(words[place:] for place in range(WORDS)), strict=False)))
    return set(_mixed(words))


def _is_mixed(text: str) -> bool:
    return not text.isascii() and _HAS_UNSPACED.search(text) is not None


def is_unspaced(word: str) -> bool:
    """Whether a word is one character of a script without spaces between words."""
    return len(word) == 1 and not word.isascii() and _HAS_UNSPACED.match(word) is not None


def _mixed(words: list[str]) -> Iterator[int]:
    unspaced = frozenset(filter(is_unspaced, set(words)))
    weights = [1 if word in unspaced else CHARACTERS // WORDS for word in words]
    end, weight = 0, 0
    for start, of_first in enumerate(weights):
        while weight < CHARACTERS and end < len(words):
            weight += weights[end]
            end += 1
        if weight < CHARACTERS:
            return
        yield hash(tuple(words[start:end]))
        weight -= of_first


def _blocks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + BLOCK
        if end < len(text):
            space = text.find(" ", end, end + BLOCK)
            end = space if space >= 0 else end
        yield text[start:end]
        start = end
