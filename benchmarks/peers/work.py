"""The work that each program of this folder does, beside the hand-written loop in the same process.

    python -m benchmarks.peers.work NAME PORT RESULTS [SECONDS]

NAME is a module of this folder, PORT that of benchmarks/ready_server.py. Each row is measured in rounds in which the
two programs alternate; what counts is the minimum of each. The rows are written to the file RESULTS, one JSON object a
line. This module runs in the environments of the others: it imports the standard library alone.

A step of a run is a request, whose reply calls the tool, and the call. CPU is that of the process, all threads
together.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import by_hand
from benchmarks.peers.in_threads import in_threads

ROOT = Path(__file__).parents[2]
ANSWER = "The tides of the North Sea follow the moon."
WORDS = 400
RUNS_AT_ONCE = 64

Program = Any
"""A module of this folder: see by_hand.py."""
Work = Callable[[], tuple[float, ...]]
"""Does the work once, and returns what it cost."""


class Row(NamedTuple):
    """What was measured: the minima of the hand-written loop and of the program, or why there are none."""

    name: str
    by_hand: float = 0.0
    program: float = 0.0
    failed: str = ""

    @property
    def ratio(self) -> float:
        return self.program / self.by_hand


class Pace(NamedTuple):
    """How often each row is measured: in at most `rounds`, of which the first is always done, for about `seconds`."""

    rounds: int = 7
    seconds: float = 60.0


def minima(works: dict[str, Work], pace: Pace) -> dict[str, tuple[float, ...]]:
    """The least that each cost, in rounds in which they alternate."""
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in works}
    started = time.monotonic()
    for number in range(pace.rounds):
        if number and time.monotonic() - started > pace.seconds * number / (number + 1):
            break  # another one would take longer
        for name, work in works.items():
            taken[name].append(work())
    return {name: tuple(map(min, zip(*costs, strict=True))) for name, costs in taken.items()}


def cpu_of(work: Callable[[], object], times: int, units: int) -> Work:
    """Milliseconds of CPU for each of the units, of which `times` calls of `work` do `units` each."""

    def measure() -> tuple[float]:
        started = time.process_time()
        for _ in range(times):
            work()
        return ((time.process_time() - started) * 1000 / (times * units),)

    return measure


def rows_of(names: tuple[str, ...], measured: dict[str, tuple[float, ...]]) -> list[Row]:
    both = zip(names, measured["by hand"], measured["program"], strict=True)
    return [Row(name, hand, program) for name, hand, program in both]


def measure_steps(program: Program, server: str, pace: Pace, steps: int) -> list[Row]:
    url = f"{server}/turns/{steps}/ms/0/v1"
    times = max(1, 40 // steps)
    works = {}
    for name, each in (("by hand", by_hand), ("program", program)):
        agent = each.make(url)
        if steps < 100:  # what is imported late is imported now
            check(each.run(agent).strip() == ANSWER, "the run did not end with the answer")
        works[name] = cpu_of(partial(each.run, agent), times, steps + 1)
    return rows_of((f"{steps} steps",), minima(works, pace))


def measure_tokens(program: Program, server: str, pace: Pace) -> list[Row]:
    """Tokens that arrive one by one, as those of a real server do: 0.3 ms apart."""
    url = f"{server}/tokens/{WORDS}/gap/300/v1"
    works = {}
    for name, each in (("by hand", by_hand), ("program", program)):
        agent = each.make(url, False)
        check(len(each.stream(agent)) == WORDS, "the tokens did not come one by one")
        works[name] = cpu_of(partial(each.stream, agent), 1, WORDS)
    return rows_of(("token",), minima(works, pace))


def measure_at_once(program: Program, server: str, pace: Pace) -> list[Row]:
    """64 runs of 10 steps; the model takes 50 ms for each reply."""
    url = f"{server}/turns/10/ms/50/v1"
    works = {"by hand": runs_at_once(by_hand, url), "program": runs_at_once(program, url)}
    return rows_of(("64 runs, time", "64 runs, CPU"), minima(works, pace))


def runs_at_once(program: Program, url: str) -> Work:
    if hasattr(program, "at_once"):
        work = program.at_once(url, RUNS_AT_ONCE)
    else:
        agent = program.make(url)
        work = partial(in_threads, [partial(program.run, agent)] * RUNS_AT_ONCE)

    def measure() -> tuple[float, float]:
        cpu, started = time.process_time(), time.perf_counter()
        work()
        return time.perf_counter() - started, time.process_time() - cpu

    return measure


def measure_start(program: Program, server: str, pace: Pace, with_tool: bool) -> list[Row]:
    """The CPU of a process that makes an agent, asks once and ends, in milliseconds."""
    url = f"{server}/turns/0/ms/0/v1"

    def milliseconds(each: Program) -> tuple[float, ...]:
        return (process(started_as(each, url, with_tool))[0] * 1000,)

    works: dict[str, Work] = {"by hand": partial(milliseconds, by_hand), "program": partial(milliseconds, program)}
    return rows_of(("start" if with_tool else "start without tools",), minima(works, pace))


def measure_memory(program: Program, server: str, pace: Pace) -> list[Row]:
    """The resident memory of a process after one step, in MB. It is the same each time: one round will do."""
    url = f"{server}/turns/1/ms/0/v1"
    code = "\nprint(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])"

    def megabytes(each: Program) -> tuple[float, ...]:
        return (int(process(started_as(each, url, True) + code)[1].split()[-1]) / 1024,)

    works: dict[str, Work] = {"by hand": partial(megabytes, by_hand), "program": partial(megabytes, program)}
    return rows_of(("memory",), minima(works, Pace(1, pace.seconds)))


def started_as(program: Program, url: str, with_tool: bool) -> str:
    """The code of a program that makes an agent and asks once."""
    return f"from {program.__name__} import make, run\nrun(make({url!r}, {with_tool}))"


def process(code: str) -> tuple[float, str]:
    """Run the code in a new interpreter. Returns the seconds of CPU and what it printed."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    check(child.returncode == 0, "the process failed")
    return usage.ru_utime + usage.ru_stime, printed


def environment() -> dict[str, str]:
    """The environment of all measured processes: modules are compiled once, no certificates but those that each brings
    are read, and nothing is reported to anyone."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    quiet = {
        "OPENAI_API_KEY": "x",
        "NO_PROXY": "127.0.0.1",
        "AGNO_TELEMETRY": "false",
        "LANGSMITH_TRACING": "false",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }
    return {name: value for name, value in os.environ.items() if name not in left_out} | quiet


def check(is_true: bool, otherwise: str) -> None:
    if not is_true:
        raise RuntimeError(otherwise)


Measure = Callable[[Program, str, Pace], list[Row]]
MEASURES: dict[tuple[str, ...], tuple[float, Measure]] = {
    ("10 steps",): (0.15, partial(measure_steps, steps=10)),
    ("token",): (0.1, measure_tokens),
    ("memory",): (0.05, measure_memory),
    ("start",): (0.2, partial(measure_start, with_tool=True)),
    ("64 runs, time", "64 runs, CPU"): (0.2, measure_at_once),
    ("start without tools",): (0.1, partial(measure_start, with_tool=False)),
    ("300 steps",): (0.2, partial(measure_steps, steps=300)),
}
"""How each row is measured, and its share of the time. The last one takes longest, and may not come to its end."""


def measured_one(names: tuple[str, ...], program: Program, server: str, pace: Pace) -> list[Row]:
    share, measure = MEASURES[names]
    try:
        return measure(program, server, Pace(pace.rounds, pace.seconds * share))
    except Exception as error:  # noqa: BLE001 - the others are measured, and the page says which one failed
        reason = f"{type(error).__name__}: {error}".replace(str(ROOT), "").splitlines()[0][:200]
        return [Row(name, failed=reason) for name in names]


def main() -> None:
    name, port, results, *seconds = sys.argv[1:]
    program = importlib.import_module(f"benchmarks.peers.{name}")
    pace = Pace(seconds=float(seconds[0])) if seconds else Pace()
    with open(results, "w", encoding="utf-8") as file:
        for names in MEASURES:
            for row in measured_one(names, program, f"http://127.0.0.1:{port}", pace):
                file.write(json.dumps(row) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
