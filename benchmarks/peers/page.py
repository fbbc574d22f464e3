"""docs/performance.md: the table between its markers, made from what was measured."""

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from benchmarks.peers.work import ROOT, Row

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench-peers -->", "<!-- end -->"
COMMAND = "make bench-peers"
ROWS = {  # what each row is called, and the unit of the hand-written loop's figure with its factor
    "10 steps": ("CPU of a step, in a run of 10", "ms", 1),
    "300 steps": ("CPU of a step, in a run of 300", "ms", 1),
    "token": ("CPU of a streamed token", "µs", 1000),
    "64 runs, time": ("64 runs at once, time", "s", 1),
    "64 runs, CPU": ("64 runs at once, CPU", "s", 1),
    "start": ("CPU of a process that asks once, with a tool", "ms", 1),
    "start without tools": ("the same without tools", "ms", 1),
    "memory": ("memory after one step", "MB", 1),
}


def with_results(text: str, found: Mapping[str, Iterable[Row]], machine: str, day: date) -> str:
    """The page with the table of what was found: the rows of each program by its title, agentkit's first."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n{section(found, machine, day)}{text[end:]}"


def section(found: Mapping[str, Iterable[Row]], machine: str, day: date) -> str:
    notes: list[str] = []
    rows = {title: {row.name: row for row in each} for title, each in found.items()}
    lines = [f"Measured on {day.isoformat()} by `{COMMAND}`: {machine}.", ""]
    lines += [f"| | by hand | {' | '.join(found)} |", "|---|---|" + "---|" * len(found)]
    for name, (what, unit, factor) in ROWS.items():
        first = next((each[name] for each in rows.values() if name in each and not each[name].failed), None)
        by_hand = f"{short(first.by_hand * factor)} {unit}" if first else "–"
        cells = [cell(title, each.get(name), notes) for title, each in rows.items()]
        lines.append(f"| {what} | {by_hand} | {' | '.join(cells)} |")
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def cell(title: str, row: Row | None, notes: list[str]) -> str:
    """The ratio; or a number, under which the notes have the reason for which there is none."""
    if row is not None and not row.failed:
        return short(row.ratio)
    reason = row.failed if row else "it did not come to its end in the time that it has"
    said = f"{title}: {plain(reason)}"
    number = next((number for number, note in enumerate(notes, 1) if note.endswith(said)), 0)
    if not number:
        number = len(notes) + 1
        notes.append(f"{number}. {said}")
    return f"– ({number})"


def plain(reason: str) -> str:
    """The reason as text of a Markdown page."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(reason.split()))


def short(figure: float) -> str:
    """Two or three digits."""
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 1 else f"{figure:.2f}"


def machine() -> str:
    """The cores, the processor and the Python of this machine, and what it has to do before it measures."""
    cpu = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", cpu.read_text(), re.MULTILINE) if cpu.exists() else []
    name = names[0] if names else platform.processor() or platform.machine()
    cores, load = os.cpu_count(), os.getloadavg()[0]
    python = platform.python_version()
    return f"{cores} cores of {name}, {platform.system()}, Python {python}; load average before it {load:.1f}"


def write(found: Mapping[str, Iterable[Row]], its_machine: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_results(text, found, its_machine, date.today()), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}", file=sys.stderr)
