"""The numbers of paragraphs in Word documents, which are counted when a document is shown: "2.1", "§ 3", "(a)"."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agentkit_tools.file_text.package import attribute, child, children, is_on, number_in
from agentkit_tools.numerals import roman

BULLET = "-"
"""The mark of an item without a number."""

MAX_LABEL = 60
"""Characters of a number with the words around it ("Article 12"); a longer one is left out."""

LEVELS = 9
"""How many levels a list has."""

MOST_BASES = 10
"""How many styles are looked at on which a style is based, each on the next."""

_DIGITS = "〇一二三四五六七八九"
_PLACES = ((1_000, "千"), (100, "百"), (10, "十"), (1, ""))
_PLACE = re.compile("%([1-9])")


@dataclass(frozen=True)
class _Level:
    """How the paragraphs of a level are numbered. restarts: the levels from 1 whose paragraphs begin it anew are those
    up to this one."""

    start: int
    form: str
    text: str
    restarts: int
    is_decimal: bool
    style: str


@dataclass(frozen=True)
class _List:
    """A list as paragraphs name it. counted: which lists are counted together. starts: what it begins with at a level,
    where that is its own."""

    counted: str
    levels: Mapping[int, _Level]
    starts: Mapping[int, int]


class Numbering:
    """Counts the paragraphs of one document in their order.

    numbering: the root of the part that has the lists. styles: those of the document.
    """

    def __init__(self, numbering: Any, styles: Iterable[Any]) -> None:
        self._styles = {attribute(each, "styleId") or "": each for each in styles}
        self._lists = dict(_lists(numbering, self._styles))
        self._counts: dict[str, dict[int, int]] = {}
        self._begun = set[str]()

    def mark(self, properties: Any, style: str) -> str:
        """What stands before the next paragraph: its number, BULLET, or "" if it is no item of a list. properties: of
        the paragraph. style: its id."""
        number, level = self._place(properties, style)
        if number in ("", "0"):  # "0" takes away the one of its style
            return ""
        found = self._lists.get(number)
        own = found.levels.get(level) if found else None
        if found is None or own is None:
            return BULLET
        counts = self._counted(number, found, level)
        label = _PLACE.sub(lambda place: _written(int(place[1]) - 1, own, found, counts), own.text).strip()
        return label if any(map(str.isalnum, label)) and len(label) <= MAX_LABEL and own.form != "bullet" else BULLET

    def _place(self, properties: Any, style: str) -> tuple[str, int]:
        """The id of the list that a paragraph is in, "" without one, and its level."""
        own = child(properties, "numPr")
        number, level = _value(own, "numId"), _value(own, "ilvl")
        is_item, at = own is not None, style
        for _ in range(MOST_BASES):
            if number or at not in self._styles:
                break
            said = child(self._styles[at], "pPr", "numPr")
            number, level = _value(said, "numId"), level or _value(said, "ilvl") or self._level_of(said, at)
            is_item = is_item or said is not None
            at = _value(self._styles[at], "basedOn")
        return number or ("?" if is_item else ""), number_in(level, 0)

    def _level_of(self, said: Any, style: str) -> str:
        """The level that a list has for a style."""
        found = self._lists.get(_value(said, "numId"))
        levels = found.levels.items() if found else ()
        return next((str(number) for number, level in levels if level.style == style), "")

    def _counted(self, number: str, found: _List, level: int) -> Mapping[int, int]:
        counts = self._counts.setdefault(found.counted, {})
        if number not in self._begun:
            self._begun.add(number)
            for each in found.starts:
                counts.pop(each, None)
        for deeper in [each for each in counts if each > level]:
            if deeper not in found.levels or level < found.levels[deeper].restarts:
                del counts[deeper]
        counts[level] = counts[level] + 1 if level in counts else _start(found, level)
        return counts


def _start(found: _List, level: int) -> int:
    return found.starts.get(level, found.levels[level].start if level in found.levels else 1)


def _written(place: int, own: _Level, found: _List, counts: Mapping[int, int]) -> str:
    level = found.levels.get(place)
    form = "decimal" if own.is_decimal or level is None else level.form
    return number_as(counts.get(place, _start(found, place)), form)


def number_as(number: int, form: str) -> str:
    """A number in a form of Word; in one that is not known, or can't have it, in digits."""
    if form in ("upperRoman", "lowerRoman") and 0 < number < 4_000:
        return _cased(roman(number).lower(), form)
    if form in ("upperLetter", "lowerLetter") and 0 < number <= 260:
        return _cased(chr(ord("a") + (number - 1) % 26) * (1 + (number - 1) // 26), form)
    if form in ("none", "bullet"):
        return ""
    if form == "decimalZero":
        return f"{number:02d}"
    if form.startswith("decimalEnclosedCircle") and 0 < number <= 20:
        return chr(ord("①") + number - 1)
    is_chinese = form.startswith(("chineseCounting", "taiwaneseCounting", "japaneseCounting", "ideographDigital"))
    return _chinese(number) if is_chinese and 0 < number < 10_000 else str(number)


def _cased(text: str, form: str) -> str:
    return text.upper() if form.startswith("upper") else text


def _chinese(number: int) -> str:
    text, gap = "", False
    for value, sign in _PLACES:
        digit, number = divmod(number, value)
        if digit:
            text += ("零" if gap and text else "") + (_DIGITS[digit] if digit > 1 or value != 10 or text else "") + sign
        gap = not digit
    return text


def _lists(numbering: Any, styles: Mapping[str, Any]) -> Iterator[tuple[str, _List]]:
    kinds = {attribute(each, "abstractNumId") or "": each for each in children(numbering, "abstractNum")}
    levels = {name: _levels(kind) for name, kind in kinds.items()}
    numbers = {attribute(each, "numId") or "": each for each in children(numbering, "num")}
    for number, each in numbers.items():
        of = _value(each, "abstractNumId")
        style = styles.get(_value(kinds.get(of), "numStyleLink"))  # which names the list that has the levels
        linked = numbers.get(_value(child(style, "pPr", "numPr"), "numId")) if style is not None else None
        own = dict(levels.get(_value(linked, "abstractNumId") or of, {}))
        starts = dict[int, int]()
        for changed in children(each, "lvlOverride"):
            own |= _levels(changed)
            if start := _value(changed, "startOverride"):
                starts[number_in(attribute(changed, "ilvl"), 0)] = number_in(start)
        yield number, _List(of, own, starts)


def _levels(element: Any) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for each in islice(children(element, "lvl"), LEVELS):
        number = number_in(attribute(each, "ilvl"), 0)
        legal = child(each, "isLgl")
        found[number] = _Level(
            number_in(_value(each, "start") or None, 0),
            _value(each, "numFmt") or "decimal",
            _value(each, "lvlText")[: 3 * MAX_LABEL],
            number_in(_value(each, "lvlRestart") or None, number),
            legal is not None and (attribute(legal, "val") is None or is_on(legal, "val")),
            _value(each, "pStyle"),
        )
    return found


def _value(element: Any, name: str) -> str:
    """What an element says of something, "" if it does not."""
    found = child(element, name)
    return (attribute(found, "val") or "") if found is not None else ""
