"""The numbers by which a text may cite sources."""

import re

MAX_RANGE = 50
"""How many sources one range cites at most."""

_NUMBER = re.compile(r"(?<!\d)(\d{1,6})(?:\s{0,3}[-–—]\s{0,3}(\d{1,6}))?(?!\d)")


def numbers_in(text: str) -> set[int]:
    """All numbers of up to six digits in a text, also those between the two of a range."""
    found: set[int] = set()
    for first, last in _NUMBER.findall(text):
        begin, end = int(first), int(last or first)
        found |= {begin, end, *range(begin, min(end, begin + MAX_RANGE))}
    return found
