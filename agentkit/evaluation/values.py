"""The numbers of an answer, as they are compared: "1,234", 1234, "１２３４" and "1.234,0" are one number.

Units are left as they are written: "8.85 km" is not "8850 m". A word for a scale belongs to its number ("3 million"),
"12 %" may be meant as 12 or as 0.12.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import Any

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError
from agentkit.evaluation.answer_words import OTHERS
from agentkit.evaluation.number_forms import plain_numbers
from agentkit.evaluation.number_words import last_in_words
from agentkit.evaluation.words import words
from agentkit.evidence.marks import MARK
from agentkit.evidence.numbers import Number, numbers, words_of

_WIDE = re.compile(r"(?<=[０-９])[，．](?=[０-９])")
_WIDE_SIGNS = str.maketrans({"，": ",", "．": "."})
_EXPONENT = re.compile(
    r"[eE]([+-]?\d{1,9})(?!\w)"
    r"| ?[×x*·] ?10(?:\^|\*\*)?[{(]? ?([+−-]?\d{1,3})(?!\d)"
    r"| ?[×x*·] ?10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})"
)
_POWER = re.compile(r"(?:\^[{(]? ?|\*\*[{(]?)([+−-]?\d{1,9})(?![\d.])[})]?|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})")
_NO_WHOLE = re.compile(r"\b(?:in|of|on|by|since|until|from|among|for)\s(?:the\s|these\s|those\s|all\s)?$", re.I)
"""What stands before a year, a day or a count, to which a fraction behind it does not belong."""
_PART_OF = re.compile(r"[-‐‑]| of\b")
"""What stands behind a fraction that may be one of its own: "two 1/2-hour flights", "in 2020 1/4 of them"."""
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "+-0123456789-")
_PERCENT = re.compile(r"[\s\u00a0]?(?:\\?[%％٪]|per ?cents?\b|percent|pro[cz]ent|процент|pour ?cent|por ?ciento)", re.I)
_UNIT = re.compile(r"[\s\u00a0-]?([^\W\d_]{1,20}|[°℃℉$€£¥][CF]?)")
_PER_HUNDRED = "百分之"
_MINUS = "-−–﹣－"
_MINUS_WORD = re.compile(r"\b(?:minus|negative|moins|menos|минус) $|[负負]$", re.I)
_BARE_POINT = re.compile(r"(?<![\w.,٫])([.٫])(?=\d)")
"""The point of ".5"."""
_VULGAR = re.compile(r"(?<![\d.,])(\d{1,9})?[ \u00a0]?([¼-¾⅐-⅞])")
_LATEX_FRACTION = re.compile(r"(\d?)\\[dtc]?frac ?(?:\{ ?([+-]?\d{1,9}) ?\}|(\d)) ?(?:\{ ?(\d{1,9}) ?\}|(\d)(?!\d))")
_GIVES = re.compile(r"####|\\boxed")
"""What a solution gives its answer behind, in the sets GSM8K and MATH."""
_ENDS = re.compile(r"(?<=\S)[.;!?](?=[\s*]|$)|[。；！？\n]")
_STATED = re.compile(
    rf"\b(?:answer|result|ergebnis|resultado|résultat|risultato|результат)\b|结果|結果|\\boxed|####|{OTHERS}", re.I
)
_EXPRESSION_BEHIND = re.compile(
    r"\s?(?:(?:[*·×]|\\cdot|\\times)\s?)?(?:\\(?:pi|sqrt|log|ln|sin|cos|tan|binom)(?![a-z])|[π√∛])"
)
_EXPRESSION_BEFORE = re.compile(r"(?:\\sqrt\s?(?:\[\d\]\s?)?\{?\s?|[√∛]\(?|(?:\\pi|π)\s?/\s?)$")
"""What makes a number a part of an expression that is not computed: 2√3, 3π."""
_OF_EXPRESSION = re.compile(r"\\(?:[dtc]?frac|sqrt|pi|log|ln|sin|cos|tan|binom|infty)(?![a-z])|[π√∛∞]")
_BOLD = re.compile(r"\*\*\s?(?=[$€£¥~≈+−-]{0,2}\.?\d)(?!\d{1,3}[.)] )([^*\n]{1,60}?)[.:]?\*\*")
_REMARK = re.compile(
    r"[\s>*_#-]*(?:[(\[（【]|(?:sources?|notes?|references?|see|refs?|i hope|let me|feel free|if you|please"
    r"|for more|figures"
    r"|as of|disclaimer|confidence|explanation|reasoning|justification|verification|erklärung|begründung|explication"
    r"|explicación|explicação|spiegazione|penjelasan|giải thích|açıklama|uitleg|wyjaśnienie"
    r"|объяснение|пояснение|проверка|解释|解析|解説|説明|설명|quellen?|hinweis|fuentes?|nota|источник|примечание|вопросы|来源|來源|注|参考|資料)\b)",
    re.I,
)
"""How a line begins that is said beside an answer."""
_FIRST_ONLY = re.compile(r"\W{0,6}[\d٠-٩०-९０-９][^\n]{0,40}\n\s*\n")
"""A first paragraph that begins with a number, and is short."""
_ZERO = frozenset(("zero", "zéro", "null", "cero", "ноль", "нуль", "零", "صفر"))
_ONE = frozenset(("one", "eins", "un", "uno", "один", "一", "واحد"))
_MONEY = "$€£¥"
_PARTS = ".)）]"
MOST_EXPONENT = 400
_ROUGHLY = Context(prec=9)
MOST_WHOLE = 99
"""The largest whole number to which a fraction belongs for sure: "3 1/2"."""
MOST_BOXED = 500
"""Characters of an answer in a box."""
MOST_BOLD = 500
"""How far before two asterisks it is searched for those that they close."""
SHORT = 4
"""Of so many words a text says hardly more than a number."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the right one. relative: as a share of the right one."""

    absolute: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)

    @classmethod
    def read(cls, written: Any) -> "Tolerance":
        """The tolerance that is written as "1%" or as ".5". Raises ConfigurationError for anything else."""
        text = str(written).strip()
        try:
            value = Decimal(text.removesuffix("%"))
        except InvalidOperation:
            value = Decimal(-1)
        if isinstance(written, bool) or not value.is_finite() or value < 0:
            raise ConfigurationError(f"the tolerance of a number is written 1% or 0.5, not {in_a_line(text, 40)!r}")
        return cls(relative=value / 100) if text.endswith("%") else cls(value)

    def takes(self, found: Decimal, expected: Decimal) -> bool:
        """Whether a number is near enough."""
        return abs(found - expected) <= self.absolute + self.relative * abs(expected)


@dataclass(frozen=True)
class Quantity:
    """A number of a text. values: what it may mean. is_percent: whether it stands before a percent sign. unit: the word
    behind it, "" for none. place: where it stands. also: what it may mean in an answer, though not in a right one: 37
    of "37²", where a footnote is meant."""

    values: frozenset[Decimal]
    is_percent: bool = False
    unit: str = ""
    place: int = 0
    also: frozenset[Decimal] = frozenset()

    def agrees(self, expected: "Quantity", tolerance: Tolerance) -> bool:
        """Whether it is the number that is expected."""
        found, right = self.values | self.also, expected.values
        if self.is_percent != expected.is_percent:
            found = found | {each / 100 for each in found} if self.is_percent else found
            right = right | {each / 100 for each in right} if expected.is_percent else right
        return any(tolerance.takes(one, other) for one in found for other in right)


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text, but for marks that cite sources, unless there are no others."""
    text = plain_numbers(_WIDE.sub(lambda sign: sign[0].translate(_WIDE_SIGNS), text))
    text = _LATEX_FRACTION.sub(_of_latex, text)
    text = _BARE_POINT.sub(r"0\1", _VULGAR.sub(_as_fraction, text))
    return list(_found(MARK.sub(lambda mark: " " * len(mark[0]), text))) or list(_found(text))


def _of_latex(found: re.Match[str]) -> str:
    r"""`3\frac12` as "3 1/2"."""
    whole = f"{found[1]} " if found[1] else ""
    return f"{whole}{found[2] or found[3]}/{found[4] or found[5]}"


def _as_fraction(found: re.Match[str]) -> str:
    """ "2½" as "5/2"."""
    above, _, below = unicodedata.normalize("NFKC", found[2]).partition("⁄")
    return f"{int(found[1] or 0) * int(below) + int(above)}/{below}" if below.isdecimal() else found[0]


def _found(text: str) -> Iterator[Quantity]:
    found = list(numbers(text))
    ends, begins_at = [each.start + len(each.written) for each in found], {each.start for each in found}
    searched = 0
    for place, number in enumerate(found):
        if number.start < searched:
            continue
        values, also, searched = _values_at(found, place, text, ends, begins_at)
        if _is_negative(text, number.start):
            values, also = (frozenset(each.copy_negate() for each in some) for some in (values, also))
        yield _quantity(values, text, number.start, searched, also)


def _values_at(
    found: Sequence[Number], place: int, text: str, ends: Sequence[int], begins_at: set[int]
) -> tuple[frozenset[Decimal], frozenset[Decimal], int]:
    """What the number at a place means, what it may mean besides, and where it ends, with what belongs to it."""
    number, end = found[place], ends[place]
    if _EXPRESSION_BEHIND.match(text, end) or _EXPRESSION_BEFORE.search(text, max(0, number.start - 12), number.start):
        return frozenset(), frozenset(), end
    values, plain, none = _decimals(_meant(number, text, end)), _decimals(number.plain), frozenset[Decimal]()
    exponent, power, mixed = _EXPONENT.match(text, end), _power_behind(text, end), _mixed(found, place, text, ends)
    if exponent:
        return _raised(plain, next(each for each in exponent.groups() if each)), none, exponent.end()
    if power:
        is_mark = power[2] or power[1] == "0"  # of a footnote; "45^0" may be degrees
        return _powers(plain, power[1] or power[2]), plain if is_mark else none, power.end()
    if mixed is not None and _is_one(found[place], text, ends[place + 2]):
        return frozenset((mixed,)), none, ends[place + 2]
    if text[end : end + 1] == "/" and end + 1 in begins_at and text[ends[place + 1] : ends[place + 1] + 1] != "/":
        below, whole = _decimals(found[place + 1].values), _mixed(found, place - 1, text, ends) if place else None
        quotients = frozenset(one / other for one in values for other in below if other)
        return quotients, none if whole is None else frozenset((whole,)), ends[place + 1]
    return values, none, end


def _power_behind(text: str, end: int) -> re.Match[str] | None:
    """The power behind a number. Two asterisks that close what is bold begin none: "**12** 5-gallon buckets"."""
    found = _POWER.match(text, end)
    if found is None or not found[0].startswith("**"):
        return found
    begin = max(0, end - MOST_BOLD)
    begin = max(begin, text.rfind("\n", begin, end))
    return None if text.count("**", begin, end) % 2 else found


def _is_one(whole: Number, text: str, end: int) -> bool:
    """Whether a whole number and the fraction behind it are surely one number, and no year or count before it."""
    if int(whole.written) > MOST_WHOLE or _PART_OF.match(text, end):
        return False
    return not _NO_WHOLE.search(text, max(0, whole.start - 15), whole.start)


def _mixed(found: Sequence[Number], place: int, text: str, ends: Sequence[int]) -> Decimal | None:
    """A whole number with a fraction behind it, as in "3 1/2"; None for anything else."""
    parts = found[place : place + 3]
    if len(parts) < 3 or parts[1].start != ends[place] + 1 or parts[2].start != ends[place + 1] + 1:
        return None
    if text[ends[place]] not in " \u00a0" or text[ends[place + 1]] not in "/⁄" or text[ends[place + 2] :][:1] == "/":
        return None
    whole, above, below = (each.written for each in parts)
    if not all(each.isdecimal() and len(each) < 6 for each in (whole, above, below)) or not 0 < int(above) < int(below):
        return None
    return int(whole) + Decimal(int(above)) / int(below)


def expected_quantity(answer: Any) -> Quantity:
    """The number of a right answer, which is a number, a text that has one, or a solution that gives it behind "####"
    or "\\boxed". Raises ConfigurationError for others."""
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer):
        return Quantity(frozenset({Decimal(str(answer))}))
    found = quantities(answer) if isinstance(answer, str) else []
    if len(found) > 1:
        found = _given(answer) or found
    if len(found) != 1:
        what = "no number" if not found else "several numbers"
        raise ConfigurationError(f'{in_a_line(repr(answer), 80)} has {what}: give one, such as 1234 or "12 %"')
    if not found[0].values:
        raise ConfigurationError(f"{in_a_line(repr(answer), 80)} has no value, or one that is too large to be compared")
    return found[0]


def _given(solution: str) -> list[Quantity]:
    """The numbers that a right answer which is a whole solution gives at its end."""
    given = list(_GIVES.finditer(solution))[-1:]
    end = _ENDS.search(solution, given[0].end()) if given else None
    return quantities(solution[given[0].end() : end.start() if end else len(solution)]) if given else []


def compared(text: str, which: str, unit: str) -> Sequence[Quantity]:
    """The numbers of an answer that are compared with the right one.

    which: "answer": those that are stated as the answer (see `_stated`); "line": those of the last line that has some;
    "any"; "first"; "last"; "only": none where there are several.
    unit: that of the right one; numbers with the same are preferred.
    """
    if which == "answer":
        found = _stated(text)
    elif which == "line":
        found = next(filter(None, map(quantities, reversed(text.splitlines()))), [])
    else:
        found = quantities(text)
    found = [each for each in found if unit and each.unit == unit] or found
    if which in ("first", "last"):
        return found[:1] if which == "first" else found[-1:]
    return [] if which == "only" and len(found) > 1 else found


def _stated(text: str) -> list[Quantity]:
    """The numbers that a text states as the answer.

    Those behind the last "answer", "result", "####" or "\\boxed" that has some in its sentence; else those of a short
    first paragraph that begins with one; else those in bold, of the last line that has some; else those of the last
    line that has some, behind its last "=". Lines said beside the answer ("Source: page 12", "(as of 2024)", "I hope
    this helps") are read only if there are no others.
    """
    for announced in reversed(list(_STATED.finditer(text))[-20:]):
        boxed = _in_braces(text, announced.end()) if announced[0] == "\\boxed" else ""
        end = _ENDS.search(text, announced.end())
        stated = boxed or text[announced.end() : end.start() if end else len(text)]
        found = _behind_equals(stated) or quantities(stated)
        if found:
            return _one_boxed(stated, found) if boxed else found
    first = _FIRST_ONLY.match(text)
    if first and len(first[0].split()) <= SHORT:
        return quantities(first[0])
    with_numbers = [line for line in text.splitlines() if any(map(str.isnumeric, line)) and quantities(line)]
    lines = [line for line in with_numbers if not _REMARK.match(line)] or with_numbers
    for line in reversed(lines):
        bold = _BOLD.findall(line)
        if bold:
            return [each for part in bold for each in quantities(part)]
    return (_behind_equals(lines[-1]) or quantities(lines[-1])) if lines else []


def _in_braces(text: str, place: int) -> str:
    """What stands in the braces at a place; "" without any, or with very much in them."""
    if text[place : place + 1] != "{":
        return ""
    depth = 0
    for end in range(place, min(len(text), place + MOST_BOXED)):
        depth += (text[end] == "{") - (text[end] == "}")
        if not depth:
            return text[place + 1 : end]
    return ""


def _one_boxed(boxed: str, found: list[Quantity]) -> list[Quantity]:
    """The number that a box has; one without a value where it has several, as those of a point, or is an expression
    that is not computed."""
    is_plain = not _OF_EXPRESSION.search(_LATEX_FRACTION.sub(_of_latex, boxed))
    are_parts = len({each.unit for each in found}) == len(found)  # "2 hours 30 minutes"
    return found if is_plain and are_parts else [Quantity(frozenset())]


def _behind_equals(line: str) -> list[Quantity]:
    _, equals, behind = line.rpartition("=")
    return quantities(behind) if equals else []


def is_in_words(text: str, expected: Quantity) -> bool:
    """Whether a text names a small number by a word: "one" only where it says hardly anything else."""
    said = set(words(text))
    if 0 in expected.values and said & _ZERO:
        return True
    if 1 in expected.values and said & _ONE and len(said) <= SHORT:
        return "no" not in said
    spelled = last_in_words(text)
    if spelled is not None and (not 0 <= spelled <= 12 or spelled % 1):  # "ten" is looked for below, "one" above
        return Quantity(frozenset((spelled,))).agrees(expected, Tolerance())
    values = (str(value.normalize()) for value in expected.values if 2 <= value <= 12 and value == int(value))
    return any(word in said for value in values for word in words_of(format(int(Decimal(value)), "d")))


def _quantity(
    values: frozenset[Decimal], text: str, start: int, end: int, also: frozenset[Decimal] = frozenset()
) -> Quantity:
    if _PERCENT.match(text, end) or text[max(0, start - len(_PER_HUNDRED)) : start] == _PER_HUNDRED:
        return Quantity(values, True, "%", start, also)
    unit = _UNIT.match(text, end)
    before = text[start - 1 : start]
    return Quantity(values, False, unit[1].casefold() if unit else before if before in _MONEY else "", start, also)


def _meant(number: Number, text: str, end: int) -> frozenset[str]:
    """What a number may mean: "5 м" is 5 metres or 5 millions."""
    unit = _UNIT.match(text, end)
    return number.values | number.plain if unit and len(unit[1]) == 1 else number.values


def _decimals(values: frozenset[str]) -> frozenset[Decimal]:
    made = set()
    for value in values:
        try:
            made.add(Decimal(value))
        except InvalidOperation:  # "1.2.3", a version
            continue
    return frozenset(made)


def _raised(values: frozenset[Decimal], exponent: str) -> frozenset[Decimal]:
    power = int(exponent.translate(_RAISED))
    return frozenset(each.scaleb(power) for each in values) if abs(power) <= MOST_EXPONENT else frozenset()


def _powers(values: frozenset[Decimal], exponent: str) -> frozenset[Decimal]:
    """Numbers to a power; none where that is too large, or too small, to be an answer."""
    power = int(exponent.translate(_RAISED))
    with localcontext() as exactly:
        exactly.prec = MOST_EXPONENT + 50
        return frozenset(made for each in values if (made := _power(each, power)) is not None)


def _power(base: Decimal, power: int) -> Decimal | None:
    if not power:
        return Decimal(1)
    if not base:
        return base if power > 0 else None
    return base**power if abs(base.log10(_ROUGHLY) * power) <= MOST_EXPONENT else None


def _is_negative(text: str, start: int) -> bool:
    if _MINUS_WORD.search(text, max(0, start - 10), start):
        return True
    if text[start - 1 : start] in tuple(_MONEY):
        start -= 1
    before = text[max(0, start - 2) : start]
    return (
        bool(before) and before[-1] in _MINUS and not (len(before) > 1 and (before[0].isalnum() or before[0] in _PARTS))
    )
