"""The words of an answer as they are compared with a right one, in any script.

As the script of SQuAD has it for English: in lower case, without punctuation, without "a", "an" and "the". And in other
scripts: NFKC, digits of all scripts as ASCII's, punctuation of all scripts left out, and a character of a script that
sets no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) is a word by itself.

The digits of a number are one word: "1,234" is "1234". Other than in SQuAD's, a decimal point stays, so that "3.14" is
not "314"; before three digits it is taken for one between thousands.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_SINGLE = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"
)
"""Chinese characters, Kana, Bopomofo; Thai, Lao, Burmese, Khmer."""
_TOKEN = re.compile(rf"[{_SINGLE}]|[^\s{_SINGLE}]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_POINT = re.compile(r"(?<=\d)[.٫](?=\d)(?!\d{3}(?!\d))")
_KEPT_POINT = "\u2396"
"""Stands for a decimal point while punctuation is left out: the sign of its key, which is no punctuation."""
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LEFT_OUT = ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Cf")
"""The categories of characters that are left out: punctuation, and what nobody sees, such as a mark of direction."""
_NO_LETTERS = frozenset("\u0640\u2212")
"""What makes an Arabic word longer; the minus sign, as a hyphen for one is left out too."""


class _Characters(dict[int, int | str | None]):
    """What becomes of each character, for `str.translate`."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        category = unicodedata.category(character)
        made: int | str | None = code
        if character == _KEPT_POINT:
            made = "."
        elif character in string.punctuation or category in _LEFT_OUT or character in _NO_LETTERS:
            made = None
        elif category == "Nd":
            made = str(unicodedata.decimal(character))
        self[code] = made
        return made


_CHARACTERS = _Characters()


def normal(text: str) -> str:
    """A text as it is compared: two texts with the same words are equal."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of a text, in their order, as they are compared."""
    if "." in text or "．" in text or "٫" in text:
        text = _POINT.sub(_KEPT_POINT, text.replace("．", "."))
    if text.isascii():
        return _ARTICLE.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _TOKEN.findall(_ARTICLE.sub(" ", text.translate(_CHARACTERS)))


def f1(one: Sequence[str], other: Sequence[str]) -> float:
    """What two lists of words have in common: the harmonic mean of precision and recall, 0 to 1. Two empty lists have
    all in common."""
    if not one or not other:
        return float(not one and not other)
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other))


def has_phrase(phrase: Sequence[str], text: Sequence[str]) -> bool:
    """Whether words stand in a text next to each other, in their order."""
    return f" {' '.join(phrase)} " in f" {' '.join(text)} "
