"""The limits that servers report in their headers, in the forms of each."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.net.rate_headers import Allowance, Told, seconds_of, told_by

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            ("1s", 1.0),
            ("6m0s", 360.0),
            ("120ms", 0.12),
            ("1h2m3.5s", 3723.5),
            ("2m59.56s", 179.56),
            ("1d2h", 93_600.0),
        ),
        *(("0s", 0.0), ("17.5", 17.5), ("0", 0.0), ("-3", 0.0), (" 2 ", 2.0), ("12µs", 12e-6)),
        *((str(NOW + 5), 5.0), (str(int((NOW + 5) * 1000)), 5.0), (str(NOW - 5), 0.0)),
        (datetime.fromtimestamp(NOW + 7, UTC).isoformat().replace("+00:00", "Z"), 7.0),
        ((datetime.fromtimestamp(NOW + 7, UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 7.0),
        *(("", None), ("soon", None), ("nan", None), ("inf", None), ("1e400", None), ("5 minutes", None)),
        *(("1s2", None), ("99999999d", None), ("-", None)),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    found = seconds_of(text, NOW)
    assert found is None if seconds is None else found == pytest.approx(seconds, abs=0.01)


OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}


def test_openais() -> None:
    assert told_by(OPENAI) == Told(Allowance(59, 60, 1.0), Allowance(149984, 150000, 360.0))
    assert told_by({name.upper(): value for name, value in OPENAI.items()}) == told_by(OPENAI)


def test_anthropics() -> None:
    now = datetime.now(UTC)
    reset = (now + timedelta(seconds=30)).isoformat()
    headers = {
        "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": reset,
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": reset,
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "7000",
        "anthropic-ratelimit-output-tokens-reset": reset,
        "retry-after": "12",
    }
    told = told_by(headers)
    assert told.requests is not None
    assert told.tokens is not None
    assert (told.requests.remaining, told.requests.limit, told.retry_after) == (49, 50, 12.0)
    assert (told.tokens.remaining, told.tokens.limit) == (7000, 8000)
    assert told.requests.seconds == pytest.approx(30, abs=1.5)


def test_openrouters_and_others() -> None:
    now = datetime.now(UTC).timestamp()
    headers = {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int((now + 42) * 1000)),
    }
    told = told_by(headers)
    assert told.requests is not None
    assert (told.requests.remaining, told.requests.limit) == (0, 20)
    assert told.requests.seconds == pytest.approx(42, abs=2)
    old = {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "30"}
    assert told_by(old).requests == Allowance(50, 100, 30.0)


@pytest.mark.parametrize(("limit", "remaining"), [("0", "0"), ("-1", "-1"), ("60", "-1"), ("60", "many")])
def test_what_stands_for_no_limit(limit: str, remaining: str) -> None:
    headers = {**OPENAI, "x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": remaining}
    assert told_by(headers) == Told(tokens=Allowance(149984, 150000, 360.0))


def test_the_draft_of_the_ietf() -> None:
    policy = '"burst";q=100;w=60,"daily";q=1000;w=86400'
    headers = {"RateLimit-Policy": policy, "RateLimit": '"burst";r=50;t=30,"daily";r=900;t=3600'}
    assert told_by(headers).requests == Allowance(50, 100, 30.0)
    assert told_by({"RateLimit": "limit=100, remaining=40, reset=5"}).requests == Allowance(40, 100, 5.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "garbage"}, None),
        ({"retry-after": "-1"}, 0.0),
        ({}, None),
    ],
    ids=["seconds", "milliseconds", "garbage", "negative", "none"],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert told_by(headers).retry_after == seconds


NAMES = st.sampled_from([*OPENAI, "ratelimit", "ratelimit-policy", "retry-after", "retry-after-ms", "date"])
TEXTS = st.text(max_size=30) | st.text('0123456789.smhd-e,;=rtqw"T:Z+', max_size=30)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(NAMES, TEXTS))
def test_whatever_stands_there_is_read_as_sensible_numbers_or_not_at_all(headers: dict[str, str]) -> None:
    told = told_by(headers)
    for allowance in (told.requests, told.tokens):
        assert allowance is None or (allowance.remaining >= 0 and 0 <= allowance.seconds < math.inf)
    assert told.retry_after is None or 0 <= told.retry_after < math.inf
