"""The marks by which an answer cites: `[3]`, `[3][4]`, `[3, 4]`, `[3-5]`, `[^3]`, `[^3^]`, `[3](address)`, `【3】`."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

MOST_OF_RANGE = 20
"""How many sources `[3-22]` may cite; a wider range is no citation."""

_ITEM = r"\^?\d{1,6}\^?(?:\s?[-–—−~]\s?\^?\d{1,6}\^?)?"
_LOCATOR = r"(?:(?:[,，;]\s?[^\W\d_]{1,7}\.?|[,，;]?\s?(?:pp?\.|§{1,2}))\s?\d[\d\s–—,-]{0,20})?"
"""Where in the source: "[1, p. 6–7]", "[1 § 2]"."""
_LABEL = (
    r"(?:(?:[Ss]ources?|[Rr]ef(?:erence)?s?|[Cc]it(?:e|ations?)|[Dd]oc(?:ument)?s?|ID)[\s:]"
    r"|来源[\s:：]?|引用[\s:：]?|资料[\s:：]?|文档[\s:：]?|出典[\s:：]?)\s?"
)
"""What some models write before the number, as they were trained to: "[citation:3]", "[来源3]"."""
_INSIDE = (
    rf"\s?(?:{_LABEL})?({_ITEM}(?:\s?(?:[,，、;&]|\band\b)\s?{_ITEM}){{0,29}}){_LOCATOR}"
    r"\s?(?:†[^】\]\n]{0,40})?"
)
MARK = re.compile(rf"\\?[\[【［〔]{_INSIDE}\\?[\]】］〕]")
"""A citation mark. It is found in linear time: each repetition has a bound."""

_NUMBERS = re.compile(r"(\d{1,6})(?:\s?[-–—−~]\s?\^?(\d{1,6}))?")


@dataclass(frozen=True)
class Mark:
    """A citation mark. start, end: its place in the answer. numbers: of the sources, in their order."""

    start: int
    end: int
    numbers: tuple[int, ...]


def marks(text: str, known: Container[int], start: int = 0, end: int | None = None) -> Iterator[Mark]:
    """Yield the citation marks of a text. known: the numbers of the sources.

    `[1999]` is no mark where no source has that number, for it is more likely a year, and neither is `[0]`, for numbers
    of sources begin with 1.
    """
    for found in MARK.finditer(text, start, len(text) if end is None else end):
        numbers = tuple(dict.fromkeys(_numbers(found[1])))
        if numbers and all(number in known or 0 < number < 1000 for number in numbers):
            yield Mark(found.start(), found.end(), numbers)


def _numbers(written: str) -> Iterator[int]:
    for first, last in _NUMBERS.findall(written):
        numbers = range(int(first), int(last or first) + 1)
        yield from numbers if 0 < len(numbers) <= MOST_OF_RANGE else (0,)  # 0: no mark
