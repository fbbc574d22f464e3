"""The soak of `benchmarks/soak.py` runs: its load, and its judgement."""

from pathlib import Path

import pytest

from benchmarks.soak import GROWTH, Report, Sample, soak
from benchmarks.soak_clients import KINDS, Findings, WrongError, check


def test_a_short_soak_finds_no_wrong_answer() -> None:
    report = soak(1.0, settle=0.1)
    assert report.problems() == [], (report.found.wrong[:3], report.errors[:3])
    kinds = {*report.found.seconds, *report.found.counts}
    assert {"session, streamed", "search in documents", "a request sent again", "left in mid-stream"} <= kinds
    assert len(kinds) >= len(KINDS)
    assert not Path("/proc/self/fd").exists() or report.samples[-1].memory > 20


@pytest.mark.parametrize(
    "text",
    [
        "id=b session=s count=1 twice=none end",
        "id=a session=other count=1 twice=none end",
        "id=a session=other+s count=1 twice=none end",
        "id=a session=s count=2 twice=none end",
        "id=a session=s count=1 twice=a end",
        "id=a session=s count=1 twice=none wo",
        "id=a session=s count=1 twice=none end id=a session=s count=1 twice=none end",
        "",
    ],
    ids=["of another message", "of another session", "of two", "of a second", "asked twice", "cut", "doubled", "empty"],
)
def test_a_wrong_answer_is_noticed(text: str) -> None:
    check("id=a session=s count=1 twice=none word end", "a", "s", 1)
    with pytest.raises(WrongError):
        check(text, "a", "s", 1)


def grown(memory: float, descriptors: int = 50, threads: int = 50, log: str = "") -> list[str]:
    """The problems of a long soak in which the service grew so much in a thousand requests, and so many were left."""
    samples = [Sample(number * 100, 100 + number * memory / 10, 50, 50) for number in range(100)]
    last = Sample(10_000, 100 + 10 * memory, descriptors, threads)
    return Report(600.0, Findings(), [*samples, last], [log]).problems()


def test_growth_fails_the_soak() -> None:
    assert grown(GROWTH - 0.5) == []
    assert "memory grows by 4.0 MB per 1,000 requests" in grown(4.0)[0]
    assert "200 descriptors after 50" in grown(0.0, descriptors=200)[0]
    assert "90 threads after 50" in grown(0.0, threads=90)[0]
    assert grown(0.0, log="Traceback (most recent call last):") == ["1 errors in the log of the service"]
