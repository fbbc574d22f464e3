"""Numbers that are written in words: English ("forty-two") and Chinese numerals ("一百二十三", "三分之一")."""

import re
from collections.abc import Iterator
from decimal import Decimal

_UNITS = "zero,one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve,thirteen,fourteen,fifteen,sixteen"
_UNITS += ",seventeen,eighteen,nineteen"
_TENS = "twenty,thirty,forty,fifty,sixty,seventy,eighty,ninety"
_VALUES = {word: value for value, word in enumerate(_UNITS.split(","))}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS.split(","), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORD = "(?:" + "|".join(sorted((*_VALUES, *_SCALES), key=len, reverse=True)) + ")"
_ENGLISH = re.compile(
    rf"\b(?P<minus>(?:minus|negative)\s)?(?P<words>{_WORD}(?:(?:\s|-|\sand\s){_WORD}){{0,20}})\b(?!-\w)",
    re.I,
)
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")}
_DIGITS |= {"〇": 0, "两": 2, "兩": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_SIGN = "[零〇一二两兩三四五六七八九十百千万萬亿億]"
_CHINESE = re.compile(
    rf"(?P<minus>[负負])?(?P<below>{_SIGN}{{1,20}})分之(?P<above>{_SIGN}{{1,20}})|([负負])?({_SIGN}{{2,30}})"
)


def last_in_words(text: str) -> Decimal | None:
    """The last number that a text has in words of English, or in Chinese numerals of several signs; None for none."""
    last: Decimal | None = None
    for last in _all(text):  # noqa: B007
        pass
    return last


def _all(text: str) -> Iterator[Decimal]:
    for found in _ENGLISH.finditer(text):
        value = _of_english(found["words"])
        if value is not None:
            yield Decimal(-value if found["minus"] else value)
    for found in _CHINESE.finditer(text):
        minus, below, above, other_minus, written = found.groups()
        one, other = _of_chinese(written or above), 1 if written else _of_chinese(below)
        if one is not None and other:
            yield Decimal(-one if minus or other_minus else one) / other


def _of_english(written: str) -> int | None:
    """The value of words; None where they are no number, such as "two three"."""
    total, part, last = 0, 0, 10**15
    for word in re.split(r"[\s-]+", written.casefold()):
        if word == "and":
            continue
        if word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                part = (part or 1) * 100
            else:
                total, part = total + (part or 1) * scale, 0
            last = scale
        else:
            value = _VALUES[word]
            if last <= 10 or (last < 100 and value > 9) or (last < 100 and not value):
                return None
            part, last = part + value, value if value >= 20 else 10
    return total + part


def _of_chinese(written: str) -> int | None:
    """The value of numerals: 一百二十三, or digit by digit, 二〇二四."""
    if all(sign in _DIGITS for sign in written):
        return int("".join(str(_DIGITS[sign]) for sign in written))
    total = part = digit = 0
    for sign in written:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _PLACES:
            part, digit = part + (digit or 1) * _PLACES[sign], 0
        elif not total + part + digit:
            return None  # "万一" is "in case"
        elif _LARGE[sign] == 10**4:
            total, part, digit = total + (part + digit) * 10**4, 0, 0
        else:
            total, part, digit = (total + part + digit) * _LARGE[sign], 0, 0
    return total + part + digit
