"""What agentkit costs beside a hand-written loop, as ratios measured in one run.

    make bench        or        python -m benchmarks.overhead [--quick]

The hand-written loop of all ratios is benchmarks/peers/by_hand.py: http.client, one connection a run, and `json.dumps`
of the whole request with all messages so far for each step, as people write it. (Its cost of a step grows with the run:
agentkit encodes each message once, so the ratio falls.) agentkit runs with what it does by default and a tool that is
read-only; where tokens are streamed they arrive one by one. CPU is that of the process, all threads together; the
figures are minima of rounds in which the two alternate. The memory is what is resident (VmRSS) in a process that has
made one step, with its interpreter. Of the 10,000 runs each is one call of the tool and an answer; the ratio is that of
the runs a second (of the fastest thousand). benchmarks/peers compares other libraries in the same way.
"""

import argparse
import operator
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from agentkit import Agent, tool
from benchmarks.peers import agentkit as program
from benchmarks.peers import by_hand, work
from benchmarks.peers.page import ROWS, short
from benchmarks.peers.work import Pace, Row
from benchmarks.ready_server import ready

THREADS = 32


class Goal(NamedTuple):
    figure: float
    is_met: Callable[[float, float], bool] = operator.le


GOALS = {
    "10 steps": Goal(2.5),
    "300 steps": Goal(0.8),
    "token": Goal(1.4),
    "64 runs, time": Goal(1.2),
    "64 runs, CPU": Goal(2.0),
    "start": Goal(5.0),
    "start without tools": Goal(2.5),
    "memory": Goal(2.0),
    "10,000 runs": Goal(0.4, operator.ge),
}
NAMES = ROWS | {"10,000 runs": (f"10,000 runs through {THREADS} threads, a second", "", 1)}


def measure_many_runs(server: str, rounds: int, runs: int) -> Row:
    """Runs a second."""
    url = f"{server}/turns/1/ms/0/v1"

    def seconds_of(name: str) -> work.Work:
        each = by_hand if name == "by hand" else program
        agent = each.make(url)

        def measure() -> tuple[float]:
            started = time.perf_counter()
            with ThreadPoolExecutor(THREADS) as pool:
                for _ in pool.map(lambda _: each.run(agent), range(runs)):
                    pass
            return (time.perf_counter() - started,)

        return measure

    found = work.minima({name: seconds_of(name) for name in ("by hand", "program")}, Pace(rounds, float("inf")))
    return Row("10,000 runs", runs / found["by hand"][0], runs / found["program"][0])


def line(row: Row) -> str:
    what, unit, factor = NAMES[row.name]
    goal = GOALS[row.name]
    sign = "at least" if goal.is_met is operator.ge else "at most"
    if row.failed:
        return f"{what:>48}   {row.failed}"
    said = "ok" if goal.is_met(row.ratio, goal.figure) else "not"
    figures = f"{short(row.by_hand * factor):>9} {short(row.program * factor):>9} {unit:<3}"
    return f"{what:>48} {figures} {row.ratio:6.2f}   {sign:>8} {goal.figure:<4} {said}"


def measure_import(rounds: int) -> None:
    code = "import sys{}; print(len(sys.modules))"
    empty = min(work.process(code.format(""))[0] for _ in range(rounds))
    loaded = [work.process(code.format(", agentkit")) for _ in range(rounds)]
    cpu, modules = min(cpu for cpu, _ in loaded), loaded[0][1].strip()
    print(f"\nimport agentkit: {cpu * 1000:.0f} ms CPU with the interpreter's {empty * 1000:.0f} (goal 60), ", end="")
    print(f"{modules} modules (goal 120)")


def measure_help(rounds: int) -> None:
    code = "import sys; from agentkit.__main__ import main; sys.argv = ['agentkit', '--help']; main()"
    cpu = min(work.process(code)[0] for _ in range(rounds))
    print(f"\nagentkit --help: {cpu * 1000:.0f} ms CPU (goal 150)")


def measure_parallel_tools(rounds: int) -> None:
    from agentkit.testing import ScriptedBackend

    @tool(read_only=True)
    def nap(number: int) -> int:
        """Sleep a little."""
        time.sleep(0.1)
        return number

    def once() -> float:
        calls = [("nap", {"number": number}) for number in range(8)]
        agent = Agent(ScriptedBackend(calls, "Done."), tools=[nap])
        started = time.perf_counter()
        agent.run("Go.")
        return time.perf_counter() - started

    milliseconds = min(once() for _ in range(rounds)) * 1000
    print(f"\n8 read-only tools of 100 ms in one reply: {milliseconds:.1f} ms (goal 105)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="two rounds instead of seven, 1,000 runs instead of 10,000"
    )
    is_quick = parser.parse_args().quick
    pace = Pace(2 if is_quick else 7, float("inf"))
    print(f"{'':>48} {'by hand':>9} {'agentkit':>9}       ratio   goal")
    with ready() as port:
        server = f"http://127.0.0.1:{port}"
        for names in work.MEASURES:
            for row in work.measured_one(names, program, server, pace):
                print(line(row), flush=True)
        print(line(measure_many_runs(server, 2 if is_quick else 10, 500 if is_quick else 1000)))
    measure_import(pace.rounds)
    measure_help(pace.rounds)
    measure_parallel_tools(pace.rounds)


if __name__ == "__main__":
    main()
