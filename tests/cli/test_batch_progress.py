"""How far a batch is, as it is shown on a terminal, in a log, and as events."""

import io
import json
import os
import pty
import re
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from agentkit.batch.stats import Failures, Stats
from agentkit.cli import batch_progress
from agentkit.cli.batch_progress import BatchProgress, line_of, summary_of
from agentkit.cli.interruptions import Interruptions

STATS = Stats(
    total=10_000,
    before=200,
    failed_before=3,
    done=1_034,
    failed=12,
    in_flight=64,
    at_once=64,
    requests=2_500,
    refused=75,
    input_tokens=1_200_000,
    output_tokens=34_000,
    cost=1.234,
    seconds=61.0,
    rate=85.25,
    seconds_left=102.9,
    failures={
        "Timeout": Failures(2, ("q-1", "q-2"), "no reply in 60 s"),
        "BadRequestError 400": Failures(10, ("a\x1b[31m", "b", "c"), "too\nlong"),
    },
)


def test_a_summary_tells_of_answers_that_were_cut_off() -> None:
    """allenai/olmo-eval#399: a third of the answers were cut off, and nothing said so."""
    stopped = {"length": Failures(40, ("a", "b", "c"), ""), "turns": Failures(1, ("d",), "")}
    lines = summary_of(replace(STATS, stopped=stopped))
    assert "  40 answers cut off at the most tokens of a reply (max_tokens)  [a, b, c, ...]" in lines
    assert "  1 answer ended at the limit 'turns'  [d]" in lines


def test_a_line_has_what_matters_most_and_fits_every_width() -> None:
    whole = line_of(STATS, None)
    assert whole == (
        "1,234/10,000 (12%) · 85/s · 64 at once · 3.0% refused · 12 failed · 1.2M tokens · $1.23 · 1:42 left"
    )
    assert line_of(STATS, len(whole) + 1) == whole
    assert line_of(STATS, len(whole)) == whole.replace(" · 1.2M tokens", "")
    assert line_of(STATS, 40) == "1,234/10,000 (12%) · 1:42 left"
    for width in range(1, 130):
        line = line_of(STATS, width)
        assert len(line) < max(width, 2)
        assert "1,234/10,000 (12%)".startswith(line[:18])
        assert width < 33 or "1:42 left" in line
    bare = replace(STATS, before=0, done=0, rate=0.0, seconds_left=None, requests=0, refused=0, failed=0, cost=None)
    assert line_of(replace(bare, input_tokens=0, output_tokens=0), 80) == "0/10,000 (0%) · 64 at once"
    assert line_of(replace(bare, total=0, at_once=0), None).startswith("0/0 · ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rate": 0.05}, "3.0/min"),
        ({"rate": 2.25}, "2.2/s"),
        ({"rate": 12_345.0}, "12,345/s"),
        ({"seconds_left": 3_725.0}, "1:02:05 left"),
        ({"seconds_left": 200_000.0}, "2 d 7 h left"),
        ({"cost": 0.00042}, "$0.0004"),
        ({"cost": 1_234.5}, "$1,234.50"),
        ({"input_tokens": 2_000_000_000}, "2.0G tokens"),
    ],
    ids=["slow", "some", "fast", "hours", "days", "cents", "dollars", "tokens"],
)
def test_numbers_have_units_that_can_be_read(changed: dict[str, Any], said: str) -> None:
    assert f" · {said}" in line_of(replace(STATS, **changed), None)


def test_the_summary_groups_failures_by_kind_with_three_ids_each() -> None:
    assert summary_of(STATS) == [
        "1,219 of 10,000 questions answered, 15 failed, 8,766 left (200 by earlier starts); 1:01, 17/s",
        "  10 x BadRequestError 400: too long  [a\x1b[31m, b, c, ...]",
        "  2 x Timeout: no reply in 60 s  [q-1, q-2]",
        "2,500 requests, 75 of them refused · 1,200,000 + 34,000 tokens · $1.23",
    ]
    whole = replace(STATS, total=1, before=0, failed_before=0, done=1, failed=0, failures={}, requests=0, seconds=0.5)
    assert summary_of(whole) == ["1 of 1 question answered; 0:00, 2.0/s"]


class Ticking:
    """Statistics that say when they were asked for."""

    def __init__(self, times: int) -> None:
        self.asked = 0
        self.enough = threading.Event()
        self._times = times

    def __call__(self) -> Stats:
        self.asked += 1
        if self.asked >= self._times:
            self.enough.set()
        return replace(STATS, done=self.asked)


def _pieces(leader: int) -> Iterator[bytes]:
    while select.select([leader], [], [], 0.1)[0]:
        yield os.read(leader, 1 << 16)


@contextmanager
def terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Standard error is a terminal; yields what reads all that was written to it."""
    leader, follower = pty.openpty()
    with open(follower, "w", buffering=1) as stream:
        termios.tcsetwinsize(follower, (24, columns))
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(batch_progress, "_is_in_front", lambda stream: True)
        monkeypatch.setenv("TERM", "xterm")
        yield lambda: b"".join(_pieces(leader)).decode()
    os.close(leader)


def test_on_a_terminal_one_line_is_drawn_anew_and_what_others_print_stands_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_progress, "DRAWN_EACH", 0.005)
    with terminal(50, monkeypatch) as read:
        ticking = Ticking(3)
        with BatchProgress(quiet=False, as_json=False) as progress:
            progress.wait_for("reading \x1b[31mquestions.jsonl")
            progress.begin(STATS, "answers.jsonl")
            progress.watch(ticking)
            assert ticking.enough.wait(30)
            print("a warning of a library", file=sys.stderr)
            print("begun, ", end="", file=sys.stderr)
            progress.rest()
            print("and ended", file=sys.stderr)
        shown = read()
    assert shown.startswith("\rreading [31mquestions.jsonl\x1b[K")
    assert "\x1b[?25" not in shown  # the cursor is never hidden: a kill would leave it so
    pieces = shown.replace("\r\n", "\n").split("\r")
    assert all(piece.endswith("\x1b[K") for piece in pieces[1:] if "/10,000" in piece)
    assert all(len(piece.replace("\x1b[K", "")) < 50 for piece in pieces if "/10,000" in piece)
    assert "\r\x1b[Ka warning of a library\r\n" in shown
    printed = re.sub(r"\r[^\r\n]*\x1b\[K", "", shown)  # without the line, which may have been drawn in between
    assert printed.endswith("begun, and ended\r\n")


@pytest.mark.parametrize("why", ["a pipe", "TERM=dumb"])
def test_elsewhere_it_is_whole_lines_now_and_then_without_control_characters(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """stanford-crfm/helm#1351, awslabs/graphrag-toolkit#129: progress in a log."""
    monkeypatch.setattr(batch_progress, "TOLD_EACH", 0.005)
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    stream.isatty = lambda: why == "TERM=dumb"  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    ticking = Ticking(3)
    with BatchProgress(quiet=False, as_json=False) as progress:
        progress.begin(STATS, "answers.jsonl")
        progress.watch(ticking)
        assert ticking.enough.wait(30)
        progress.end(STATS, "stopped", "interrupted; go on", 130)
    shown = stream.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)
    lines = shown.splitlines()
    assert lines[0] == "agentkit: 10,000 questions, 200 of them answered before: 9,800 to ask"
    assert lines[1] == f"agentkit: {line_of(replace(STATS, done=1), None)}"
    assert lines[-1] == "agentkit: interrupted; go on"
    assert summary_of(STATS)[0] in lines


def test_events_are_json_lines_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "EVENT_EACH", 0.005)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    ticking = Ticking(2)
    with BatchProgress(quiet=True, as_json=True) as progress:
        progress.begin(STATS, "answers.jsonl")
        progress.watch(ticking)
        assert ticking.enough.wait(30)
        progress.say("interrupted", event="stopping")
        progress.end(STATS, "stopped", "go on", 130)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events[0] == {"event": "begin", "total": 10_000, "before": 200, "out": "answers.jsonl"}
    assert {each["event"] for each in events[1:-2]} == {"progress"}
    assert events[-2] == {"event": "stopping", "message": "interrupted"}
    end = events[-1]
    assert (end["event"], end["ending"], end["exit_code"], end["message"]) == ("end", "stopped", 130, "go on")
    assert end["failures"]["Timeout"] == {"count": 2, "ids": ["q-1", "q-2"], "message": "no reply in 60 s"}


def test_quiet_says_only_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with BatchProgress(quiet=True, as_json=False) as progress:
        progress.begin(STATS, "answers.jsonl")
        progress.watch(Ticking(1))
        progress.say("interrupted")
        progress.end(STATS, "budget", "stopped at the limit", 3)
    assert stream.getvalue() == "agentkit: stopped at the limit\n"


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_costs_only_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "TOLD_EACH", 0.005)
    monkeypatch.setattr(sys, "stderr", Broken())
    ticking = Ticking(3)
    with BatchProgress(quiet=False, as_json=False) as progress:
        progress.watch(ticking)
        assert ticking.enough.wait(30)
        progress.end(STATS, "stopped", "go on", 130)


class TestInterruptions:
    def test_before_there_is_something_to_stop_it_is_a_keyboard_interrupt(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with Interruptions(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is before

    def test_the_first_stops_and_the_second_cancels_whatever_the_main_thread_holds(self) -> None:
        lock = threading.Lock()
        called: list[str] = []
        seen = [threading.Event(), threading.Event()]

        def act(name: str, number: int) -> None:
            with lock:
                called.append(name)
            seen[number].set()

        with Interruptions() as signals:
            signals.call(lambda: act("stop", 0), lambda: act("cancel", 1))
            with lock:
                signal.raise_signal(signal.SIGINT)  # a handler that took the lock here would wait for ever
            assert seen[0].wait(30)
            signal.raise_signal(signal.SIGTERM)
            assert seen[1].wait(30)
        assert called == ["stop", "cancel"]
        assert signals.count == 2

    def test_a_signal_that_was_ignored_stays_ignored(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with Interruptions() as signals:
                signals.call(lambda: None, lambda: None)
                assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_a_forked_child_ends_at_a_signal_and_its_parent_hears_nothing_of_it(self) -> None:
        stopped = threading.Event()
        with Interruptions() as signals:
            signals.call(stopped.set, stopped.set)
            child = os.fork()
            if child == 0:
                signal.raise_signal(signal.SIGTERM)
                os._exit(3)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
            assert not stopped.is_set()
        assert signals.count == 0
