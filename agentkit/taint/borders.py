"""Where a word, an address or a path begins and ends in a text."""

from agentkit.taint.shingles import is_unspaced

MAX_PLACES = 1_000
"""Places of a text at which another one is looked at; in further ones it does not count."""

_IN_ADDRESSES = frozenset("/\\._@-:~%+*?&=#$")
_BEFORE = _IN_ADDRESSES - set("*?&=#")  # "to=ann@corp.example", "#/srv": what is named begins there
_AT_AN_END = frozenset(".:?/")
"""What also stands behind an address that is whole: at the end of a sentence, and behind a folder."""


def stands_whole(wanted: str, text: str) -> bool:
    """Whether `wanted` stands in `text`, and is no part of a longer word, address or path there."""
    if not wanted:
        return True
    place = text.find(wanted)
    for _ in range(MAX_PLACES):
        if place < 0:
            return False
        if _begins(text, place) and _ends(text, place + len(wanted)):
            return True
        place = text.find(wanted, place + 1)
    return False


def _begins(text: str, place: int) -> bool:
    before = text[place - 1 : place] if place else ""
    return not _goes_on(before, _BEFORE)


def _ends(text: str, place: int) -> bool:
    behind, next_one = text[place : place + 1], text[place + 1 : place + 2]
    if behind in _AT_AN_END and not _goes_on(next_one, _IN_ADDRESSES):
        return True
    return not _goes_on(behind, _IN_ADDRESSES)


def _goes_on(character: str, signs: frozenset[str]) -> bool:
    return character in signs or (character.isalnum() and not is_unspaced(character))
