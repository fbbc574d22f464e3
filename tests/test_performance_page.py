"""docs/performance.md is written from what `make bench-peers` measures (which no test does)."""

import re
from datetime import date
from pathlib import Path

import pytest

from benchmarks.peers import page
from benchmarks.peers.environments import PEERS
from benchmarks.peers.work import MEASURES, ROOT, Row

BEFORE = f"# Performance\n\n{page.BEGIN}\nold\n{page.END}\n\n## What was measured\n"
FOUND = {
    "agentkit 1.0": [Row("10 steps", 0.25, 0.5), Row("token", 0.02, 0.025), Row("memory", 18.0, 2700.0)],
    "other 2.0": [
        Row("10 steps", 0.5, 6.0),
        Row("token", failed="ValueError: no *stream* | here"),
        Row("memory", failed="ValueError: no *stream* | here"),
    ],
}


def filled(text: str = BEFORE) -> str:
    return page.with_results(text, FOUND, "2 cores of a processor, Linux, Python 3.12.1", date(2026, 11, 30))


def test_the_table_has_the_ratios_to_the_hand_written_loop_of_the_same_run_and_what_that_took() -> None:
    text = filled()
    assert "Measured on 2026-11-30 by `make bench-peers`: 2 cores of a processor, Linux, Python 3.12.1." in text
    assert "| | by hand | agentkit 1.0 | other 2.0 |\n|---|---|---|---|\n" in text
    assert "| CPU of a step, in a run of 10 | 0.25 ms | 2.0 | 12.0 |\n" in text
    assert "| CPU of a streamed token | 20.0 µs | 1.2 | – (3) |\n" in text
    assert "| memory after one step | 18.0 MB | 150 | – (3) |\n" in text


def test_what_failed_is_named_with_its_reason_and_what_did_not_come_to_its_end_too() -> None:
    text = filled()
    assert "3. other 2.0: ValueError: no \\*stream\\* \\| here\n" in text
    assert "| 64 runs at once, time | – | – (1) | – (2) |" in text
    assert len(re.findall(r"^\d\. other 2.0: ", text, re.MULTILINE)) == 2  # each reason once


def test_the_page_is_written_anew_between_its_markers() -> None:
    text = filled()
    assert "old" not in text
    assert text.startswith("# Performance\n\n")
    assert text.endswith(f"{page.END}\n\n## What was measured\n")
    assert filled(text) == text


def test_the_page_has_a_row_for_all_that_is_measured() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_results(text, FOUND, "", date(2026, 11, 30)).startswith("# Performance\n")
    assert set(page.ROWS) == {name for names in MEASURES for name in names}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_each_library_has_a_program_and_a_version(peer: object) -> None:
    assert isinstance(peer, type(PEERS[0]))
    assert (Path(ROOT, "benchmarks", "peers", f"{peer.name}.py")).is_file()
    assert all(re.fullmatch(r"[\w\[\]-]+==[\w.]+", requirement) for requirement in peer.requirements)
