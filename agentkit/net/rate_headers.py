"""What the headers of a response say about the limits on the rate of requests: how many requests and tokens are left,
until when, and how long to wait.

Each server has its own form: OpenAI's `x-ratelimit-remaining-requests` with `x-ratelimit-reset-requests: 6m0s` (Groq's,
Azure's and most gateways'), Anthropic's `anthropic-ratelimit-*` with dates, the bare `x-ratelimit-*` of OpenRouter with
milliseconds since 1970, the `RateLimit` and `RateLimit-Policy` of the IETF's draft, and `Retry-After`. What can't be
read says nothing.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass

MAX_LENGTH = 200
"""Characters of a header that are read."""
MAX_SECONDS = 30 * 86_400.0
"""A longer time says nothing."""


@dataclass(frozen=True)
class Allowance:
    """How many requests (or tokens) are left, until the whole is there again. limit: the whole, if it is known.
    seconds: until then."""

    remaining: int
    limit: int | None
    seconds: float


@dataclass(frozen=True)
class Told:
    """What a response says. retry_after: seconds."""

    requests: Allowance | None = None
    tokens: Allowance | None = None
    retry_after: float | None = None


def told_by(headers: Mapping[str, str]) -> Told:
    """What the headers of a response say; their names may have any case."""
    lower = {name.lower(): str(value)[:MAX_LENGTH] for name, value in headers.items() if _IS_OF_RATES.match(name)}
    if not lower:
        return Told()
    now = _date(lower.get("date", "")) or time.time()
    return Told(
        _least(_allowances(lower, _OF_REQUESTS, now)) or _of_draft(lower),
        _least(_allowances(lower, _OF_TOKENS, now)),
        _retry_after(lower, now),
    )


_IS_OF_RATES = pattern(r"(?:x-ratelimit|ratelimit|anthropic-ratelimit|retry-after|date\Z)", re.IGNORECASE)
_OF_REQUESTS = (
    "x-ratelimit-{}-requests",
    "anthropic-ratelimit-requests-{}",
    "x-ratelimit-{}",
    "ratelimit-{}",
)
_OF_TOKENS = (
    "x-ratelimit-{}-tokens",
    "anthropic-ratelimit-tokens-{}",
    "anthropic-ratelimit-input-tokens-{}",
    "anthropic-ratelimit-output-tokens-{}",
)


def _allowances(headers: Mapping[str, str], forms: tuple[str, ...], now: float) -> Iterator[Allowance]:
    for form in forms:
        remaining = _count(headers.get(form.format("remaining"), ""))
        seconds = seconds_of(headers.get(form.format("reset"), ""), now)
        limit = _count(headers.get(form.format("limit"), ""))
        if remaining is not None and seconds is not None and limit != 0:  # 0 of 0 stands for no limit
            yield Allowance(remaining, limit, seconds)


def _least(allowances: Iterator[Allowance]) -> Allowance | None:
    """The one of which the least is left."""
    return min(allowances, key=lambda each: each.remaining, default=None)


_ITEM = pattern(r'\s*"?([^";,]{0,40})"?((?:;[^,]{0,80})?)')
_PARAMETER = pattern(r";\s*(\w{1,20})\s*=\s*(\d{1,12})")
_OLD_DRAFT = pattern(r"(limit|remaining|reset)\s*=\s*(\d{1,12})")


def _of_draft(headers: Mapping[str, str]) -> Allowance | None:
    """`RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, or `limit=100, remaining=50,
    reset=30` of an older draft."""
    text = headers.get("ratelimit", "")
    old = dict(_OLD_DRAFT.findall(text))
    if "remaining" in old and "reset" in old:
        limit = int(old["limit"]) if "limit" in old else None
        return Allowance(int(old["remaining"]), limit, float(old["reset"]))
    whole = {name: fields.get("q") for name, fields in _items(headers.get("ratelimit-policy", ""))}
    found = [
        Allowance(fields["r"], whole.get(name), float(fields["t"]))
        for name, fields in _items(text)
        if "r" in fields and "t" in fields
    ]
    return _least(iter(found))


def _items(text: str) -> Iterator[tuple[str, dict[str, int]]]:
    for part in text.split(",")[:10]:
        found = _ITEM.match(part)
        if found is not None:
            yield found[1].strip(), {name: int(value) for name, value in _PARAMETER.findall(found[2])}


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _sensible(milliseconds / 1000)
    return seconds_of(headers.get("retry-after", ""), now)


_DURATION = pattern(r"(?:\d{1,12}(?:\.\d{0,12})?(?:d|h|ms|us|µs|ns|m|s))+\Z")
_PART = pattern(r"(\d{1,12}(?:\.\d{0,12})?)(d|h|ms|us|µs|ns|m|s)")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def seconds_of(text: str, now: float) -> float | None:
    """The seconds that a header says: a number (above a billion: seconds or milliseconds since 1970), a duration such
    as "6m0s" or "120ms", or a date. None for what is none of these. now: seconds since 1970."""
    text = text.strip()[:MAX_LENGTH]
    number = _number(text)
    if number is not None:
        if number > 1e11:
            number /= 1000
        return _sensible(number - now if number > 1e9 else number)
    if _DURATION.match(text):
        return _sensible(sum(float(value) * _UNITS[unit] for value, unit in _PART.findall(text)))
    date = _date(text)
    return None if date is None else _sensible(date - now)


def _date(text: str) -> float | None:
    """Seconds since 1970 of a date, as in ISO 8601 or in HTTP."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


_COUNT = pattern(r"\s*(\d{1,15})(?!\d)")  # -1 stands for no limit


def _count(text: str) -> int | None:
    found = _COUNT.match(text)
    return None if found is None else int(found[1])


def _sensible(seconds: float) -> float | None:
    return None if seconds > MAX_SECONDS else max(0.0, seconds)
