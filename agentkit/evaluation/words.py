"""The words of an answer as they are compared with a right one, in any script.

As the script of SQuAD has it for English: in lower case, without punctuation, without "a", "an" and "the". And in other
scripts: NFKC, digits of all scripts as ASCII's, punctuation of all scripts left out, and a character of a script that
sets no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) is a word by itself.

The digits of a number are one word: "1,234" is "1234". Other than in SQuAD's, a decimal point stays, so that "3.14" is
not "314"; before three digits it is taken for one between thousands. ".5" is "0.5".

`words` is for scores that count words. Whether two texts say the same is asked of their `readings`, of which one
deletes punctuation, as SQuAD's script does ("U.S." is "US"), and one parts words at it ("Paris—the capital" has
"Paris"). Both keep what makes another thing of a word: the sign of a number, "C++" and "C#", powers, fractions.
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
_OTHER_ARTICLES = re.compile(r"\b(?:an|the)\b")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_POINT = re.compile(r"(?<=\d)[.٫](?=\d)(?!\d{3}(?!\d))")
_KEPT_POINT = "\u2396"
"""Stands for a decimal point while punctuation is left out: the sign of its key, which is no punctuation."""
_BARE_POINT = re.compile(r"(?<![\w.,٫])[.٫](?=\d)")
"""The point of ".5"."""
_KEPT = {"\uf8f0": "-", "\uf8f1": "+", "\uf8f2": "#", "\uf8f3": "^", "\uf8f4": "/", "\uf8f5": ","}
"""Characters of nobody's, which stand for signs that count while punctuation is left out."""
_STANDS_FOR = str.maketrans({sign: mark for mark, sign in _KEPT.items()})
_BEHIND_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
_POWER = re.compile(r"(?<=\d)([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})|(?<=\d)\^(?=[({]?[-−+]?\d)")
_MINUS = re.compile(
    r"(?:(?<![^\s(\[{$€£¥=:\"'“«,;/])[-−–﹣－]|\b(?:minus|moins|menos|минус) |负|負)(?=[$€£¥]?[.,]?\d)", re.IGNORECASE
)
_PLUS = re.compile(r"(?<=[^\W\d_])(?:\+{1,2}|#)(?![^\W_])")
_FRACTION = re.compile(r"(?<![\d/])(\d{1,9})[/⁄](?=\d{1,9}(?![\d/]))")
_COMMA = re.compile(r"(?<=\d),(?=\d)(?!\d{3}(?!\d))")
_LONE_COMMA = re.compile(r"(?<![\d,.])(\d{1,20}),(?=\d{1,2}(?![\d,]))")
_THOUSANDS = re.compile(r"(?<=\d)[,'’٬](?=\d{3}(?!\d))")
_LETTER_A = re.compile(r"(?:\w\s{1,3}|[:：=(\[\"'“]\s{0,3})A[\W_]{0,3}$")
"""A text that ends with the letter A, as "Hepatitis A" and "Grade: A" do, which is no article."""
_ONLY_A = re.compile(r"[\W_]{0,3}A[\W_]{0,3}")
_ARTICLE_A = re.compile(r"\ba\b|\bA(?= [a-z])(?! (?:because|since|as|is|was|or|and)\b)")
"""What is no such letter, beside a right answer that is nothing else."""
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LEFT_OUT = ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Cf")
"""The categories of characters that are left out: punctuation, and what nobody sees, such as a mark of direction."""
_NO_LETTERS = frozenset("\u0640\u2212")
"""What makes an Arabic word longer; the minus sign, as a hyphen for one is left out too."""


class _Characters(dict[int, int | str | None]):
    """What becomes of each character, for `str.translate`. between: what takes the place of punctuation."""

    def __init__(self, between: str | None = None) -> None:
        self._between = between

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        category = unicodedata.category(character)
        made: int | str | None = code
        if character == _KEPT_POINT:
            made = "."
        elif category == "Cf" or character == "\u0640":
            made = None
        elif character in string.punctuation or category in _LEFT_OUT or character in _NO_LETTERS:
            made = self._between
        elif category == "Nd":
            made = str(unicodedata.decimal(character))
        self[code] = made
        return made


_CHARACTERS = _Characters()
_PARTED = _Characters(" ")


def normal(text: str) -> str:
    """A text as it is compared: two texts with the same words are equal."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of a text, in their order, as they are compared."""
    text = _with_points(text)
    if text.isascii():
        return _ARTICLE.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split()
    text = _folded(text)
    return _TOKEN.findall(_ARTICLE.sub(" ", text.translate(_CHARACTERS)))


def readings(text: str, beside: str = "") -> tuple[list[str], list[str]]:
    """The two ways to read a text: its words without punctuation, and parted at it. Signs that count stay: "-5", "C++".

    A text of articles and punctuation only is read as it is written. beside: the text with which it is compared; where
    one of both ends with the letter A, "a" is a word in both; where one is this letter, an article is none.
    """
    is_letter = _ONLY_A.fullmatch(text) or _ONLY_A.fullmatch(beside)
    has_letter = is_letter or _LETTER_A.search(text[-40:]) or _LETTER_A.search(beside[-40:])
    article = _OTHER_ARTICLES if has_letter else _ARTICLE
    text = _without_articles(text) if is_letter else text
    text = _BEHIND_FRACTION.sub(" ", _MINUS.sub("\uf8f0", _PLUS.sub(_kept_sign, text)))
    text = _with_points(_POWER.sub(lambda power: "\uf8f3" + (power[1] or ""), text))
    text = _folded(text)
    joined = _COMMA.sub("\uf8f5", _FRACTION.sub("\\1\uf8f4", text))
    parted = _THOUSANDS.sub("", _LONE_COMMA.sub("\\1\uf8f5", text))
    one, other = (
        _TOKEN.findall(article.sub(" ", each.translate(characters)))
        for each, characters in ((joined, _CHARACTERS), (parted, _PARTED))
    )
    if not one:
        one = other = _TOKEN.findall(text.translate(_CHARACTERS)) or text.split()
    return one, other or one


def _without_articles(text: str) -> str:
    """A text without "a" where that is an article; as it is where nothing else is left."""
    cut = _ARTICLE_A.sub(" ", text)
    return cut if any(map(str.isalnum, cut)) else text


def _folded(text: str) -> str:
    """A text without case. Turkish "İ" is "i", without the dot that folding leaves beside it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("i\u0307", "i")


def _kept_sign(sign: re.Match[str]) -> str:
    return sign[0].translate(_STANDS_FOR)


def _with_points(text: str) -> str:
    """A text whose decimal points are kept."""
    if "." not in text and "．" not in text and "٫" not in text:
        return text
    return _POINT.sub(_KEPT_POINT, _BARE_POINT.sub("0.", text.replace("．", ".")))


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
