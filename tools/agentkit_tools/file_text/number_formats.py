"""What a cell of a workbook shows of a number: its unit, its currency, its percent sign, and all its digits."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|[_*].|\[(?P<bracket>[^\]]*)\]?|(?P<digits>General|[0#?@]|[.,/]|E[+-])'
    r"|(?P<end>;)|(?P<literal>.)",
    re.DOTALL | re.IGNORECASE,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?\d{1,20}(?:\.\d{1,20})?)$")
_OF_SIGNS = frozenset("()+-")
"""Signs and brackets of a section for negative numbers; the number keeps its own sign."""


@dataclass(frozen=True)
class _Section:
    """A part of a format. digits: what stands for the number; "" when it is not shown. percents: how often it is taken
    times 100; thousands: how often it is divided by 1,000. condition: the numbers for which it holds, such as (">=",
    1000); None for no condition."""

    before: str
    digits: str
    behind: str
    percents: int
    thousands: int
    condition: tuple[str, float] | None


def shown(value: float, form: str) -> str:
    """A number as its format shows it, with all digits that it has."""
    sections = _sections(form or "General")
    section = _section_for(value, sections)
    if not section.digits:
        return section.before.strip()
    number = _number(value, section)
    sign = "-" if number.startswith("-") and section.before else ""
    return f"{sign}{section.before.lstrip()}{number.removeprefix(sign)}{section.behind}".strip()


def _section_for(value: float, sections: Sequence[_Section]) -> _Section:
    if any(section.condition for section in sections):
        return next(
            (each for each in sections if each.condition is None or _holds(each.condition, value)), sections[-1]
        )
    if value == 0 and len(sections) > 2:
        return sections[2]
    return sections[1] if value < 0 and len(sections) > 1 else sections[0]


def _holds(condition: tuple[str, float], value: float) -> bool:
    sign, other = condition
    return (value < other and "<" in sign) or (value > other and ">" in sign) or (value == other and sign[-1] == "=")


def _number(value: float, section: _Section) -> str:
    is_whole = isinstance(value, int) or value.is_integer()
    if is_whole and re.fullmatch("0{2,20}", section.digits) and not section.percents:
        return f"{int(value):0{len(section.digits)}d}"  # a code, such as a postal one
    if section.thousands and abs(value) < 10**300:
        value /= 1000**section.thousands
    if section.percents:
        value *= 100**section.percents
        return str(value) if isinstance(value, int) else f"{value:.10g}"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


@functools.lru_cache(1_000)
def _sections(form: str) -> tuple[_Section, ...]:
    sections: list[list[tuple[str, str]]] = [[]]
    for token in _TOKEN.finditer(form):
        kind, text = token.lastgroup or "", token[token.lastgroup or 0]
        if kind == "end":
            sections.append([])
        else:
            sections[-1].append((kind, text))
    return tuple(map(_section, sections))


def _section(tokens: Sequence[tuple[str, str]]) -> _Section:
    before, digits, behind = "", "", ""
    for kind, text in tokens:
        if kind == "digits":
            digits, behind = digits + text, ""
        elif digits:
            behind += _said(kind, text)
        else:
            before += _said(kind, text)
    signs = [text for kind, text in tokens if kind == "literal"]
    brackets = [text for kind, text in tokens if kind == "bracket"]
    return _Section(
        before,
        digits,
        behind,
        percents=min(signs.count("%"), 2),
        thousands=min(len(digits) - len(digits.rstrip(",")), 9),
        condition=next(((found[1], float(found[2])) for found in map(_CONDITION.match, brackets) if found), None),
    )


def _said(kind: str, text: str) -> str:
    """What a token that stands for no digits shows: of a bracket the currency, of a filling nothing."""
    if kind == "bracket":
        return text[1:].partition("-")[0] if text.startswith("$") else ""
    return "" if not kind or (kind != "quoted" and text in _OF_SIGNS) else text
