"""The form in which words of an answer and of its sources are compared, made quickly for long texts."""

import functools
import re
from dataclasses import dataclass

from agentkit.retrieval.words import letters

MOST_CHANGES = 300
"""How many different characters of a text are replaced one by one; for more, all words are folded by themselves."""

SAMPLE = 300
"""How many characters show in which script a text is written."""

_ASCII = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})

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
    counts = {name: len(pattern.findall(some)) for name, pattern in _LETTERS.items()}
    most = max(counts, key=counts.__getitem__)
    return most if 4 * counts[most] > 3 * sum(counts.values()) else ""


@dataclass(frozen=True)
class Folding:
    """How one text is folded: in small letters, without accents, with spaces for punctuation.

    The same as `letters` of `agentkit.retrieval.words`, by which the words of a question are folded, and 10 times as
    quick, since a text has few different characters. changes: what is replaced; None: everything in the slow way.
    """

    changes: tuple[tuple[str, str], ...] | None

    @classmethod
    def of(cls, text: str) -> "Folding":
        """The folding for a text and its parts."""
        if text.isascii():
            return cls(())
        others = (each for each in set(text.lower()) if not "\u4e00" <= each <= "\u9fff")  # Chinese stays as it is
        changes = tuple((each, folded) for each in others if (folded := _letters(each)) != each)
        return cls(changes if len(changes) <= MOST_CHANGES else None)

    def __call__(self, part: str) -> str:
        """A part of the text, folded."""
        if part.isascii():
            return part.lower().translate(_ASCII)
        if self.changes is None:
            return letters(part)
        part = part.lower()
        for each, folded in self.changes:
            part = part.replace(each, folded)
        return part


_letters = functools.lru_cache(16_384)(letters)
