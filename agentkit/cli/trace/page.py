"""The page of a trace: one HTML file without script, which loads nothing."""

import base64
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from agentkit._text import visible
from agentkit.cli.progress import spent
from agentkit.cli.trace.runs import Call, TracedRun, Turn
from agentkit.limits import Usage

FOLDER = Path(__file__).parent
ROWS = 400
"""Rows of a timeline."""
PROBLEMS = 200
"""Problems that are listed."""
FOLDED = 8
"""The number of runs from which on each is folded."""
STATES = {
    "pending": "not run",
    "approval": "waits for an approval",
    "running": "no result: whether it had an effect is not known",
    "failed": "failed",
    "unknown": "whether it had an effect is not known",
}
"""What the page says of a call that has not simply returned, by its state."""


def page(title: str, runs: list[TracedRun], complaints: list[str]) -> Iterator[str]:
    """The page, in pieces. complaints: what could not be read."""
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
    shown = [_Run(run, number) for number, run in enumerate(runs, 1)]
    problems = [problem for run in shown for problem in run.problems()]
    yield from _template().generate(
        title=title,
        runs=shown,
        problems=problems[:PROBLEMS],
        more_problems=len(problems[PROBLEMS:]),
        complaints=complaints,
        usage=_spent(sum((run.usage for run in runs), Usage())),
        is_folded=len(runs) >= FOLDED,
        style=style,
        digest="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


@functools.cache
def _template() -> Template:
    """What a tool has read stands in the page: every value is escaped, and has no character that is not seen."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_seen)
    return environment.from_string((FOLDER / "page.html.jinja").read_text(encoding="utf-8"))


def _seen(value: Any) -> Any:
    """A value as it is printed: control characters, and those that hide, or change the order of others, by name."""
    return visible(value) if type(value) is str else value


@dataclass
class _Row:
    """A row of a timeline. x, width: percent."""

    id: str
    name: str
    kind: str
    began: float
    ended: float
    x: float = 0.0
    width: float = 0.0

    @property
    def took(self) -> str:
        return _seconds(self.ended - self.began)


class _Call:
    def __init__(self, call: Call, place: str) -> None:
        self.call, self.id = call, place
        self.state = STATES.get(call.state, "")
        self.brief = " ".join(call.arguments[:300].split())[:90]
        took = call.seconds
        if took is None and call.began is not None and call.ended is not None:
            took = call.ended - call.began
        self.took = "" if took is None else _seconds(took)

    def row(self, end: float) -> _Row | None:
        """end: of the run. The result is emitted in the order of the calls, and the call may have started before its
        reply was complete, so its own seconds count where they are known."""
        began, ended, seconds = self.call.began, self.call.ended, self.call.seconds
        if began is None:
            return None
        if ended is None:
            ended = max(began, end)
        elif seconds is not None:
            began = began if seconds <= ended - began else max(0.0, ended - seconds)
            ended = began + seconds
        return _Row(self.id, self.call.name, f"tool {self.call.state}", began, ended)


class _Turn:
    def __init__(self, turn: Turn, place: str, is_first: bool) -> None:
        self.turn, self.id = turn, place
        self.before = [] if is_first else turn.before
        self.calls = [_Call(call, f"{place}c{number}") for number, call in enumerate(turn.calls, 1)]
        self.name = f"Reply {turn.number}"
        took = turn.ended - turn.began if turn.began is not None and turn.ended is not None else None
        usage = _spent(turn.usage, begin=2) if turn.usage else ""
        facts = (turn.model, "" if took is None else _seconds(took), usage, turn.finish_reason)
        self.facts = [*filter(None, facts), *([] if turn.is_complete else ["not complete"])]

    def rows(self, end: float) -> Iterator[_Row]:
        turn = self.turn
        if turn.began is not None:
            ended = turn.ended if turn.ended is not None else end
            yield _Row(self.id, self.name, "reply", turn.began, max(turn.began, ended))
        yield from filter(None, (call.row(end) for call in self.calls))


class _Run:
    def __init__(self, run: TracedRun, number: int) -> None:
        self.run, self.id, self.number = run, f"r{number}", number
        self.turns = [_Turn(turn, f"{self.id}t{turn.number}", turn is run.turns[0]) for turn in run.turns]
        messages = [*run.given, *(run.turns[0].before if run.turns else [])]
        places = [place for place, each in enumerate(messages) if each.role == "user"]
        first = places[-1] if places else 0
        is_told = messages[:1] and messages[0].role in ("system", "developer") and first > 0
        self.earlier = messages[int(bool(is_told)) : first]
        self.asked = [*messages[: int(bool(is_told))], *messages[first:]]
        self.title = " ".join(messages[first].text[:400].split())[:100] if places else ""
        self.ending = self._ending()
        has_prices = any(turn.usage is not None and turn.usage.cost is not None for turn in run.turns)
        self.usage = _spent(run.usage, "cost not known" if has_prices else "")
        self._draw()

    def _ending(self) -> str:
        last = self.run.turns[-1] if self.run.turns else None
        is_whole = last is not None and last.is_complete and not last.calls
        return self.run.stopped or ("answer" if is_whole else "the record ends before the run did")

    def _draw(self) -> None:
        times = [time for turn in self.run.turns for time in (turn.began, turn.ended) if time is not None]
        times += [time for turn in self.run.turns for call in turn.calls for time in (call.began, call.ended) if time]
        end = max([self.run.ended or 0.0, *times])
        rows = [row for turn in self.turns for row in turn.rows(end)]
        self.rows, self.rows_left_out = rows[:ROWS], max(0, len(rows) - ROWS)
        for row in self.rows:
            row.x = round(min(99.6, 100 * row.began / (end or 1.0)), 2)
            row.width = round(max(0.4, 100 * (row.ended - row.began) / (end or 1.0)), 2)
        self.ticks = [_seconds(end * part / 4) for part in range(5)]
        self.took = _seconds(end) if end else _seconds(self.run.usage.seconds) if self.run.usage.seconds else ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Where something went wrong, and what."""
        if self.ending != "answer":
            yield self.id, f"Run {self.number}: {self.run.error[:200] or self.ending}"
        for turn in self.turns:
            place = f"Run {self.number}, reply {turn.turn.number}"
            if turn.turn.discarded:
                yield turn.id, f"{place}: {len(turn.turn.discarded)} discarded before it"
            for call in turn.calls:
                if call.state:
                    what = call.call.response[:200] if call.call.state == "failed" else call.state
                    yield call.id, f"{place}, {call.call.name}: {what}"


def _spent(usage: Usage, unknown: str = "", begin: int = 0) -> str:
    """begin: 2 for tokens and cost alone."""
    words = spent(usage).split(" · ")[begin:-1]
    cost = unknown if usage.cost is None else f"cost {usage.cost:.6f}".rstrip("0").rstrip(".")
    return " · ".join(word for word in (*words, cost) if word and not word.startswith("0 "))


def _seconds(time: float) -> str:
    if time >= 120:
        return f"{time / 60:.1f} min"
    if time >= 1:
        return f"{time:.2f} s"
    return f"{time * 1000:.0f} ms" if time >= 0.01 or not time else f"{time * 1000:.1f} ms"
