"""The form in which words of an answer and of its sources are compared, made quickly for long texts."""

import functools
import re
from dataclasses import dataclass
from itertools import groupby

from agentkit._text import beyond_ascii, utf8
from agentkit.retrieval.chinese import TRADITIONAL, simplified
from agentkit.retrieval.words import letters

MOST_CHANGES = 300
"""How many different characters of a text are replaced one by one; for more, all words are folded by themselves."""

SAMPLE = 300
"""How many characters show in which script a text is written."""

_ASCII_LETTERS = bytes(code for code in range(128) if chr(code).isalpha())
_NO_ASCII_LETTERS = bytes(code for code in range(256) if code not in _ASCII_LETTERS)
_SIGNS = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256))
"""Spaces for what is no letter or digit of ASCII, in UTF-8."""

_SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Indic": "\u0900-\u0dff",
    "Thai": "\u0e00-\u0eff",
    "Chinese or Japanese": "\u3040-\u30ff\u3400-\u9fff",
    "Korean": "\uac00-\ud7a3",
}
_LETTERS = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}


def script(text: str) -> str:
    """The script of most letters of a text, judged by some of them; "" where less than three quarters are of one."""
    some = text[:: 1 + len(text) // SAMPLE]
    others = beyond_ascii(some).decode("utf-8", "surrogatepass")
    ascii_letters = len(utf8(some).translate(None, _NO_ASCII_LETTERS))
    if not others:
        return "Latin" if ascii_letters else ""
    counts = {name: len(pattern.findall(others)) for name, pattern in _LETTERS.items()}
    counts["Latin"] += ascii_letters
    most = max(counts, key=counts.__getitem__)
    return most if 4 * counts[most] > 3 * sum(counts.values()) else ""


@dataclass(frozen=True)
class Folding:
    """How one text is folded: in small letters, without accents, with spaces for punctuation.

    The same as `letters` of `agentkit.retrieval.words`, by which the words of a question are folded, and 20 times as
    quick, since a text has few different characters. changes: what is replaced beyond ASCII; None: everything in the
    slow way. is_traditional: whether it has traditional Chinese characters, which are replaced all at once.
    """

    changes: tuple[tuple[str, str], ...] | None
    is_traditional: bool = False

    @classmethod
    def of(cls, text: str) -> tuple["Folding", str]:
        """The folding for a text and its parts, and the text folded as a whole."""
        lowered = utf8(text.lower())
        others = set(_may_change().findall(beyond_ascii(lowered).decode("utf-8", "surrogatepass")))
        changes = tuple((each, folded) for each in others if (folded := _letters(each)) != each)
        is_traditional = not lowered.isascii() and _traditional().search(text) is not None
        folding = cls(changes if len(changes) <= MOST_CHANGES else None, is_traditional)
        return folding, letters(text) if folding.changes is None else folding._changed(lowered)

    def __call__(self, part: str) -> str:
        """A part of the text, folded."""
        return letters(part) if self.changes is None and not part.isascii() else self._changed(utf8(part.lower()))

    def _changed(self, lowered: bytes) -> str:
        folded = _without_signs(lowered)
        for each, instead in () if folded.isascii() else self.changes or ():
            folded = folded.replace(each, instead)
        return folded.translate(simplified()) if self.is_traditional and not folded.isascii() else folded


def words_in(text: str) -> str:
    """The words of a text, folded one by one, each with one space before it: what `letters` gives, and quicker for
    what is mostly ASCII."""
    runs = groupby(text.split(), str.isascii)
    folded = (
        _without_signs(utf8(" ".join(run).lower())) if is_ascii else letters(" ".join(run)) for is_ascii, run in runs
    )
    return f" {' '.join(' '.join(folded).split())}"


def _without_signs(encoded: bytes) -> str:
    """A text in UTF-8 with spaces for the signs of ASCII."""
    return encoded.translate(_SIGNS).decode("utf-8", "surrogatepass")


@functools.cache
def _may_change() -> re.Pattern[str]:
    """All but the most frequent letters that stay as they are when a text in small letters is folded. Compiled when it
    is needed, which takes some milliseconds."""
    return re.compile(
        "[^\u03b1-\u03c1\u03c3-\u03c9\u0430-\u0438\u043a-\u044f\u05d0-\u05ea\u0627-\u063a\u0641-\u0648\u064a"
        "\u0e01-\u0e32\u0e40-\u0e46\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
    )


@functools.cache
def _traditional() -> re.Pattern[str]:
    return re.compile(f"[{TRADITIONAL}]")


_letters = functools.lru_cache(16_384)(letters)
