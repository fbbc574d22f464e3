"""Shows on standard error how far a batch is: on a terminal as one line that is drawn anew, elsewhere as a line now and
then, with --json as JSON lines."""

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, TextIO

from agentkit._text import in_a_line
from agentkit.batch.stats import Failures, Stats
from agentkit.cli.config import variable
from agentkit.cli.printable import printable

DRAWN_EACH = 0.25
"""Seconds after which the line on a terminal is drawn anew."""
TOLD_EACH = 30.0
"""Seconds between two lines elsewhere."""
EVENT_EACH = 5.0
"""Seconds between two events of --json."""
MAX_MESSAGE = 160
"""Characters of the message of an error in the summary."""
_CLEAR = "\r\x1b[K"


class BatchProgress:
    """Shows progress while it is entered. Its methods may be called in any thread.

    quiet: errors alone are shown. as_json: everything is an event, a JSON object in a line."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self._quiet, self._as_json = quiet, as_json
        self._stream: TextIO = sys.stderr
        self._draws = not quiet and not as_json and _is_terminal(self._stream)
        self._line = _Line(self._stream)
        self._ended = threading.Event()
        self._watching: threading.Thread | None = None

    def __enter__(self) -> "BatchProgress":
        if self._draws:
            sys.stderr = self._line  # what others print stands above the line
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        if sys.stderr is self._line:
            sys.stderr = self._stream

    def wait_for(self, what: str) -> None:
        """Say on a terminal what is done before anything is asked."""
        if self._draws:
            self._line.draw(lambda width: in_a_line(printable(what), max(width - 1, 1)))

    def begin(self, stats: Stats, out: str = "", *, agent: str = "") -> None:
        """Say what is asked. out: where the answers are written; or agent: which of several is asked."""
        left = stats.total - stats.before
        known = f", {stats.before:,} of them answered before" if stats.before else ""
        whose = {"agent": agent} if agent else {"out": out}
        if self._as_json:
            self._event("begin", {"total": stats.total, "before": stats.before, **whose})
        elif not self._quiet and not self._draws:
            self.say(f"{_counted(stats.total, 'question')}{known}: {left:,} to ask")

    def watch(self, stats: Callable[[], Stats]) -> None:
        """Show from now on, again and again, how far it is, until `rest`."""
        if self._quiet and not self._as_json:
            return
        self._watching = threading.Thread(target=self._watch, args=(stats,), name="batch progress", daemon=True)
        self._watching.start()

    def rest(self) -> None:
        """Show no more how far it is, and take the line away."""
        self._ended.set()
        if self._watching is not None:
            self._watching.join(5)
        self._line.clear()

    def say(self, text: str, **fields: Any) -> None:
        """Say something in a line of its own. fields: of the event, with --json."""
        if self._as_json:
            self._event(fields.pop("event", "note"), {"message": text, **fields})
        elif not self._quiet:
            self._print(f"agentkit: {text}")

    def failed(self, text: str, code: int, lines: Sequence[tuple[int, str]] = ()) -> None:
        """Say why nothing is asked, quiet or not. code: the exit code. lines: the bad lines, by number, and why."""
        if self._as_json:
            told = [{"line": number, "reason": reason} for number, reason in lines]
            self._event("error", {"message": text, "exit_code": code, **({"lines": told} if lines else {})})
            return
        for number, reason in lines:
            self._print(f"line {number:,}: {in_a_line(reason, MAX_MESSAGE)}")
        self._print(f"agentkit: {text}")

    def answered(self, stats: Stats, ending: str, agent: str) -> None:
        """Show the summary of one of several agents. ending: see `BatchRun.ending`."""
        self.rest()
        if self._as_json:
            self._event("answered", {"agent": agent, "ending": ending, **_fields(stats)})
            return
        for line in summary_of(stats) if not self._quiet else ():
            self._print(line)

    def evaluated(self, ending: str, message: str, failures: Sequence[str], code: int) -> None:
        """Say last what an evaluation has come to. ending: "complete", or why not all was answered; message: what to do
        then. failures: what does not hold, each a sentence, which is shown where it is quiet too. code: the exit
        code."""
        if self._as_json:
            told = {"ending": ending, "message": message, "exit_code": code, "failures": [*failures]}
            self._event("end", told)
            return
        for failure in failures:
            self._print(f"agentkit: {failure}")

    def end(self, stats: Stats, ending: str, message: str, code: int) -> None:
        """Show the summary, and last what to do, which is shown where it is quiet too.

        ending: see `BatchRun.ending`. message: what to do, "" where all is done. code: the exit code."""
        self.rest()
        if self._as_json:
            self._event("end", {"ending": ending, "message": message, "exit_code": code, **_fields(stats)})
            return
        if not self._quiet:
            for line in summary_of(stats):
                self._print(line)
        if message and not (self._quiet and code == 0):
            self._print(f"agentkit: {message}")

    def _watch(self, stats: Callable[[], Stats]) -> None:
        pause = EVENT_EACH if self._as_json else DRAWN_EACH if self._draws else TOLD_EACH
        while True:
            if self._draws:
                self._draw(stats())
            if self._ended.wait(pause):
                return
            if self._as_json:
                self._event("progress", _fields(stats()))
            elif not self._draws:
                self._print(f"agentkit: {line_of(stats(), None)}")

    def _draw(self, stats: Stats) -> None:
        self._line.draw(lambda width: line_of(stats, width))

    def _print(self, text: str) -> None:
        self._line.write(f"{printable(text)}\n")

    def _event(self, name: str, fields: dict[str, Any]) -> None:
        self._line.write(json.dumps({"event": name, **fields}, allow_nan=False, default=str) + "\n")


class _Line:
    """Standard error with a line below what is printed, which is drawn anew in place.

    One write for each: a terminal shows no state between. Nothing is drawn behind a line that somebody has begun and
    not ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._is_drawn = self._is_open = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._lock:
            self._put((_CLEAR if self._is_drawn else "") + text)
            self._is_drawn = False
            self._is_open = bool(text) and not text.endswith("\n")
        return len(text)

    def draw(self, line: Callable[[int], str]) -> None:
        """line: makes a text of less than so many columns."""
        with self._lock:
            if not self._is_open and _is_in_front(self._stream):
                self._put(f"\r{line(_width(self._stream))}\x1b[K")
                self._is_drawn = True

    def clear(self) -> None:
        with self._lock:
            if self._is_drawn:
                self._put(_CLEAR)
                self._is_drawn = False

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone: the answers matter
            self._stream.write(text)
            self._stream.flush()


def line_of(stats: Stats, width: int | None) -> str:
    """How far a batch is, as a line of less than `width` characters: what matters least is left out first. None: all
    of it."""
    answered = stats.before + stats.done
    share = f" ({answered / stats.total:.0%})" if stats.total else ""
    parts = [(0, f"{answered:,}/{stats.total:,}{share}")]
    if stats.done:
        parts.append((3, _rate(stats.rate)))
    parts.append((4, f"{stats.at_once:,} at once"))
    if stats.refused:
        parts.append((5, f"{stats.refused / max(stats.requests, 1):.1%} refused"))
    if stats.failed:
        parts.append((2, f"{stats.failed:,} failed"))
    if stats.input_tokens or stats.output_tokens:
        parts.append((7, f"{_short(stats.input_tokens + stats.output_tokens)} tokens"))
    if stats.cost:
        parts.append((6, _dollars(stats.cost)))
    if stats.seconds_left is not None and answered < stats.total:
        parts.append((1, f"{_duration(stats.seconds_left)} left"))
    while width is not None and len(parts) > 1 and len(_joined(parts)) >= width:
        parts.remove(max(parts))
    return _joined(parts) if width is None else _joined(parts)[: max(width - 1, 1)]


def summary_of(stats: Stats) -> list[str]:
    """What a start of a batch has come to, as lines: how many are answered, failures by kind, what it took."""
    answered = stats.before - stats.failed_before + stats.done - stats.failed
    failed, left = stats.failed_before + stats.failed, max(stats.total - stats.before - stats.done, 0)
    parts = [f"{answered:,} of {_counted(stats.total, 'question')} answered"]
    parts += [f"{failed:,} failed"] * bool(failed) + [f"{left:,} left"] * bool(left)
    known = f" ({stats.before:,} by earlier starts)" if stats.before else ""
    rate = f", {_rate(stats.done / stats.seconds)}" if stats.done and stats.seconds else ""
    lines = [f"{', '.join(parts)}{known}; {_duration(stats.seconds)}{rate}"]
    most = sorted(stats.failures.items(), key=lambda each: -each[1].count)
    for kind, failures in most:
        said = f": {in_a_line(failures.message, MAX_MESSAGE)}" if failures.message else ""
        lines.append(f"  {failures.count:,} x {in_a_line(kind, 60)}{said}  {_named(failures)}")
    for kind, stopped in stats.stopped.items():
        what = _CUT_OFF.get(kind, f"ended at the limit {in_a_line(kind, 60)!r}")
        lines.append(f"  {_counted(stopped.count, 'answer')} {what}  {_named(stopped)}")
    if stats.requests:
        refused = f", {stats.refused:,} of them refused" if stats.refused else ""
        spent = [f"{_counted(stats.requests, 'request')}{refused}"]
        spent += [f"{stats.input_tokens:,} + {stats.output_tokens:,} tokens"] * bool(stats.input_tokens)
        spent += [_dollars(stats.cost)] if stats.cost else []
        lines.append(" · ".join(spent))
    return lines


_CUT_OFF = {
    "length": "cut off at the most tokens of a reply (max_tokens)",
    "content_filter": "cut off by the server's content filter",
}


def _named(kind: Failures) -> str:
    """The first ids of a kind."""
    more = ", ..." if kind.count > len(kind.ids) else ""
    return f"[{', '.join(in_a_line(each, 60) for each in kind.ids)}{more}]"


def _fields(stats: Stats) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(stats).items()}


def _joined(parts: Sequence[tuple[int, str]]) -> str:
    return " · ".join(text for _, text in parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _rate(rate: float) -> str:
    if rate >= 1 or rate == 0:
        return f"{rate:,.0f}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}/s"
    return f"{rate * 60:.1f}/min"


def _short(count: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.4f}"


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and variable("TERM") != "dumb"


def _is_in_front(stream: TextIO) -> bool:
    """Whether the terminal is this program's; after `bg` it is the shell's, to type in."""
    with suppress(OSError, ValueError, AttributeError):
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return True


def _width(stream: TextIO) -> int:
    """Columns of the terminal as they are now."""
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80
