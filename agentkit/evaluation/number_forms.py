"""Forms of large numbers that models write, as the plain ones that `agentkit.evidence.numbers` reads."""

import re
from decimal import Decimal

_THIN = r"(?:\\!)?,\\!|\{,\}|\\[,;:! ]"
_LATEX = re.compile(rf"(?<![\d.,])(\d{{1,3}})((?:(?:{_THIN})\d{{3}}){{1,9}})(?!\d)")
_LATEX_SIGN = re.compile(_THIN)
_LATEX_COMMA = re.compile(r"(?<=\d)(?:\{,\}|\\!,\\!)(?=\d)")
_LATEX_TIMES = re.compile(r" ?(?:\\[,;:! ])?\\(?:times|cdot)(?:\\[,;:! ])? ?(?=10\D)")
"""The sign before a power of ten."""
_PART = r"\d[\d,]{0,18}(?:\.\d{1,9})?[兆億亿억万萬만千천百백]{1,2}"
_EASTERN = re.compile(rf"(?<![\d.,])({_PART}(?:(?:(?<=[억만천백]) )?{_PART}){{1,4}})(\d{{2,4}}(?![\d.,]))?")
_EASTERN_PART = re.compile(r"([\d,]{1,20}(?:\.\d{1,9})?)([兆億亿억万萬만千천百백]{1,2})")
_ONE_AND_REST = re.compile(r"(?<![\d.,])(\d{1,4}[億亿억万萬만])(\d{2,4})(?![\d.,兆億亿억万萬만千천百백])")
_EXPONENTS = {"兆": 12, **dict.fromkeys("億亿억", 8), **dict.fromkeys("万萬만", 4), **dict.fromkeys("千천", 3)}
_EXPONENTS |= dict.fromkeys("百백", 2)
_MONEY = re.compile(r"(?<=[$€£¥])(\d{1,15}(?:[.,]\d{1,15}){0,5}) ?([KkMmBbT])(?![^\W_])")
_WORDS = {"k": "thousand", "m": "million", "b": "billion", "t": "trillion"}


def plain_numbers(text: str) -> str:
    r"""A text with some forms of numbers as plain ones: LaTeX's separators of thousands (`1{,}000`, `12\,500`,
    `18\!,\!000`) and powers of ten (`5 \times 10^{3}`), East Asian numbers of several parts ("1億2000万", "3만5천"),
    and sums of money with a letter ("$7.57M")."""
    if "\\" in text or "{,}" in text:
        text = _LATEX_TIMES.sub("×", _LATEX_COMMA.sub(",", _LATEX.sub(_without_signs, text)))
    if not text.isascii():
        text = _ONE_AND_REST.sub(_sum, _EASTERN.sub(_sum, text))
    return _MONEY.sub(lambda found: f"{found[1]} {_WORDS[found[2].lower()]}", text)


def _without_signs(found: re.Match[str]) -> str:
    """The number without its separators. `{,}` alone is that of decimals, too, in German and French: "3{,}141"."""
    signs = _LATEX_SIGN.findall(found[2])
    return found[1] + _LATEX_SIGN.sub("," if signs == ["{,}"] else "", found[2])


def _sum(found: re.Match[str]) -> str:
    """The sum of parts, each of a smaller scale than the one before; else the text as it was."""
    total, before = Decimal(0), 99
    for number, scale in _EASTERN_PART.findall(found[1]):
        exponent = sum(map(_EXPONENTS.__getitem__, scale))
        if exponent >= before or not number.strip(","):
            return found[0]
        total, before = total + Decimal(number.replace(",", "")).scaleb(exponent), exponent
    if found[2] and len(found[2]) > before:
        return found[0]
    return format(total + Decimal(found[2] or 0), "f")
