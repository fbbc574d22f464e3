"""Dates and times as people write them, as ISO 8601. What may be read in two ways (01/02/2026) is not read."""

import re
from datetime import date

from agentkit._lazy.patterns import pattern

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_MONTH = r"([A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,?\s+)?"
_DATE = (
    rf"{_WEEKDAY}(?:(\d{{4}})[/.-](\d{{1,2}})[/.-](\d{{1,2}})|{_DAY}[\s-]+{_MONTH},?[\s-]+(\d{{4}})"
    rf"|{_MONTH}\s+{_DAY},?\s+(\d{{4}}))"
)
_TIME = r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:([ap])\.?m\.?)?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?"
_DATE_PATTERN = pattern(rf"{_DATE}(?:(?:\s*,)?(?:\s+at)?(?:t|\s)\s*{_TIME})?", re.IGNORECASE)
_TIME_PATTERN = pattern(_TIME, re.IGNORECASE)
_COMPACT = pattern(r"((?:19|20)\d\d)([01]\d)([0-3]\d)")
MAX_LENGTH = 60


def iso_date(text: str) -> str | None:
    """A date, "2026-01-02"; None for a text that is none, or that has a time of day."""
    day, time = _parts(text)
    return day if time is None else None


def iso_datetime(text: str) -> str | None:
    """A date with a time, "2026-01-02T15:00:00"; None for a text that is none."""
    day, time = _parts(text)
    return None if day is None else f"{day}T{time or '00:00:00'}"


def iso_time(text: str) -> str | None:
    """A time of day, "15:00:00"; None for a text that is none, also for a number that may be one."""
    found = _TIME_PATTERN.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    return None if found is None else _time(found.groups())


def with_separators(text: str) -> str:
    """ "20261231" as "2026-12-31"; any other text as it is."""
    found = _COMPACT.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    return text if found is None else "-".join(found.groups())


def _parts(text: str) -> tuple[str | None, str | None]:
    text = with_separators(text)
    found = _DATE_PATTERN.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    if found is None:
        return None, None
    numbers = found.groups()
    year, month, day = (
        (numbers[0], numbers[1], numbers[2])
        if numbers[0]
        else (numbers[5], _number_of(numbers[4]), numbers[3])
        if numbers[5]
        else (numbers[8], _number_of(numbers[6]), numbers[7])
    )
    try:
        made = date(int(year or 0), int(month or 0), int(day or 0)).isoformat()
    except ValueError:
        return None, None
    if numbers[9] is None:
        return made, None
    time = _time(numbers[9:])
    return (None, None) if time is None else (made, time)


def _number_of(month: str | None) -> int:
    """The number of a month by its name or the beginning of that; 0 for another word."""
    name = (month or "").lower()
    return next((number for number, each in enumerate(_MONTHS, 1) if each.startswith(name) or name == "sept"), 0)


def _time(parts: tuple[str | None, ...]) -> str | None:
    hour, minute, second = (int(part or 0) for part in parts[:3])
    half, zone = parts[3], (parts[4] or "").upper()
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    elif parts[1] is None:
        return None  # "at 5" may be either
    if hour > 23 or minute > 59 or second > 59:
        return None
    zone = "Z" if zone in ("Z", "UTC", "GMT") else zone
    return f"{hour:02}:{minute:02}:{second:02}{zone}"
