"""How the figures of an evaluation are written: in a terminal, in Markdown and on a page."""

import math
import unicodedata

from agentkit.evaluation.intervals import percent as _digits


def percent(share: float) -> str:
    """A share of 0 to 1, as in "62.0 %"; "100.0" and "0.0" only for all and none."""
    return f"{_digits(share)} %"


def between(low: float, high: float) -> str:
    """An interval of shares, as in "56.9-66.8"."""
    return f"{_digits(low)}-{_digits(high)}"


def points(difference: float) -> str:
    """A difference of shares with its sign, as in "+2.1"."""
    shown = f"{difference * 100:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown


def probability(p: float) -> str:
    """A probability, as in "p = .002" and "p < .001"."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1) if p < 0.9995 else "p = 1"


def amount(value: float | None, unit: str) -> str:
    """An amount with its unit: "s", "$", "tokens", "calls"; "not known" for None."""
    if value is None:
        return "not known"
    if unit == "$":
        return f"${_short(value)}"
    if unit == "s":
        return f"{value / 60:.1f} min" if abs(value) >= 120 else f"{_short(value)} s"
    shown = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"
    return f"{shown} {unit.removesuffix('s') if shown == '1' else unit}"


def _short(value: float) -> str:
    """Two decimals, or two digits of what is less than 1."""
    if abs(value) >= 1 or not value:
        return f"{value:,.2f}".removesuffix(".00")
    return f"{value:.{min(12, 1 - math.floor(math.log10(abs(value))))}f}"


def counted(count: int, noun: str) -> str:
    """A number with its noun, as in "1 question" and "1,200 questions"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def width_of(text: str) -> int:
    """The columns of a text in a terminal."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) > 0 for each in text)
