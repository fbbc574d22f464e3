"""What a batch makes of a server's limits, and what it costs, beside a pool of threads around `agent.run`.

    make bench        or        python -m benchmarks.batch [--quick]

The server is tests/support/faulty_model.py, in a process of its own; its answers take 0.2 s, so that the CPUs don't
limit the rate. "128 threads" is a ThreadPoolExecutor of that size around `agent.run`, as people write it; "the right
number" is one with as many threads as the server takes at once, which nobody knows before. Rates are told
as parts of what the server can do. Latency is that of a run, in service times.

The last rows are of a server that answers at once: the rate beside that of a pool of as many threads, and the CPU time
of an item that is the batch's own, the difference between the two. Both are measured in many short pairs of the pool
and the batch, each pair in the other order than the one before it; told are the medians over the pairs, against which
the goals are held, and their quartiles, since single pairs on a machine with other work differ by more than is
measured. The goal for the CPU time is 60 us on a machine where a request by http.client takes 57 us; beside it stands
what such a request takes in the same run.
"""

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agentkit import Agent
from agentkit.backends.openai import OpenAIBackend
from agentkit.batch.driver import run_batch
from tests.support.faulty_model import FaultyModel, faulty_model

SERVICE = 0.2
"""Seconds of an answer."""
THREADS = 32
GOAL_CPU, REQUEST_CPU = 60.0, 57.0
"""Microseconds of the batch's own CPU an item, and those of a request by http.client on the machine of that goal."""


class Found(NamedTuple):
    """rate: items a second. refused: share of the requests. failed: items. latency: the median of runs, in seconds."""

    rate: float
    refused: float
    failed: int
    latency: float


class Case(NamedTuple):
    """name: what limits the server. faults: see `tests.support.faulty_model.Faults`. ideal: items a second. right: how
    many threads reach that. goals: least rate (of the ideal), most refused, most latency (in service times)."""

    name: str
    faults: dict[str, Any]
    items: int
    ideal: float
    right: int
    goals: tuple[float, float, float]


CASES = [
    Case("a cap of 40", {"cap": 40}, 2000, 40 / SERVICE, 40, (0.9, 0.1, float("inf"))),
    Case("100 a second", {"rate": 100}, 2000, 100, 20, (0.9, 0.2, float("inf"))),
    Case("16 slots and a queue", {"slots": 16}, 1500, 16 / SERVICE, 16, (0.95, 0.0, 2.5)),
]


def questions(count: int) -> list[str]:
    return [f"What is {index} + 1?" for index in range(count)]


@contextmanager
def agent_of(server: FaultyModel) -> Iterator[Agent]:
    yield Agent(OpenAIBackend("any", base_url=server.url, api_key="none"))


def in_pool(threads: int, server: FaultyModel, items: int) -> tuple[int, list[float]]:
    """The items that failed, and the seconds of each run, through a pool of threads."""
    seconds: list[float] = []
    failed: list[str] = []
    with agent_of(server) as agent, ThreadPoolExecutor(threads) as pool:

        def ask(question: str) -> None:
            started = time.perf_counter()
            try:
                agent.run(question)
            except Exception as error:  # noqa: BLE001 - counted
                failed.append(type(error).__name__)
            seconds.append(time.perf_counter() - started)

        list(pool.map(ask, questions(items)))
    return len(failed), seconds


def in_batch(at_once: Any, server: FaultyModel, items: int) -> tuple[int, list[float]]:
    """The same in a batch."""
    with agent_of(server) as agent:
        records = list(run_batch(agent, questions(items), at_once=at_once))
    assert len(records) == items
    return sum(not each["ok"] for each in records), [each["seconds"] for each in records]


def found(work: Callable[[FaultyModel, int], tuple[int, list[float]]], faults: dict[str, Any], items: int) -> Found:
    with faulty_model(latency=SERVICE, **faults) as server:
        started = time.perf_counter()
        failed, seconds = work(server, items)
        took = time.perf_counter() - started
        stats = server.stats()
    return Found(items / took, stats["refused"] / stats["requests"], failed, statistics.median(seconds))


def load() -> None:
    """Have everything imported that a first run imports, which would count for the first row alone."""
    with faulty_model() as server:
        in_batch(1, server, 1)
        in_pool(1, server, 1)


def measure_limits(scale: float) -> None:
    print(f"\n{'':24}{'':16}{'rate':>8}{'refused':>9}{'failed':>8}{'latency':>9}")
    for case in CASES:
        items = int(case.items * scale)
        ways: dict[str, Callable[[FaultyModel, int], tuple[int, list[float]]]] = {
            "batch": lambda server, count: in_batch(None, server, count),
            "the right number": lambda server, count, right=case.right: in_pool(right, server, count),  # type: ignore[misc]
            "128 threads": lambda server, count: in_pool(128, server, count),
        }
        for name, work in ways.items():
            each = found(work, case.faults, items)
            rate, latency = each.rate / case.ideal, each.latency / SERVICE
            least, refused, longest = case.goals
            is_met = rate >= least and each.refused <= refused and latency <= longest and not each.failed
            said = _met(is_met) if name == "batch" else ""
            what = f"{case.name if name == 'batch' else '':24}{name:16}"
            print(f"{what}{rate:8.2f}{each.refused:9.1%}{each.failed:8}{latency:9.2f}  {said}", flush=True)


def measure_change(scale: float) -> None:
    """How fast a cap that is tripled is used."""
    times: list[float] = []
    with faulty_model(latency=SERVICE, cap=40) as server, agent_of(server) as agent:
        threading.Timer(8.0, lambda: server.change(cap=120)).start()
        started = time.monotonic()
        for _ in run_batch(agent, questions(int(6000 * max(scale, 0.5)))):
            times.append(time.monotonic() - started)
    rates = [sum(second <= each < second + 1 for each in times) for second in range(int(times[-1]))]
    print(f"\na cap of 40, of 120 after 8 s; answers in each second: {rates}")


def request_cost(server: FaultyModel, requests: int = 300) -> float:
    """The microseconds of CPU of a request by http.client over one connection: what a CPU of this machine does."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    body = json.dumps({"model": "any", "messages": [{"role": "user", "content": questions(1)[0]}]})
    started = time.process_time()
    for _ in range(requests):
        connection.request("POST", f"{address.path}/chat/completions", body, {"content-type": "application/json"})
        json.loads(connection.getresponse().read())
    taken = time.process_time() - started
    connection.close()
    return taken / requests * 1e6


def measure_own_cost(pairs: int, items: int) -> None:
    """Compare a pool and a batch, of so many items each, in pairs."""
    ways = {"pool": in_pool, "batch": in_batch}
    rates: list[float] = []
    own: list[float] = []
    by_hand: list[float] = []
    with faulty_model() as server:
        for pair in range(pairs):
            took: dict[str, tuple[float, float]] = {}
            for name in ways if pair % 2 else reversed(ways):
                started, cpu = time.perf_counter(), time.process_time()
                ways[name](THREADS, server, items)
                took[name] = time.perf_counter() - started, time.process_time() - cpu
            rates.append(took["pool"][0] / took["batch"][0])
            own.append((took["batch"][1] - took["pool"][1]) / items * 1e6)
            by_hand.append(request_cost(server))
    low, rate, high = statistics.quantiles(rates)
    print(f"\n{pairs} pairs of {items:,} items, {THREADS} at once, a server that answers at once: medians (quartiles)")
    print(f"the rate beside a pool of threads: {rate:.2f} ({low:.2f} to {high:.2f}; goal 0.9)   {_met(rate >= 0.9)}")
    low, cost, high = statistics.quantiles(own)
    request = statistics.median(by_hand)
    times, goal = cost / request, GOAL_CPU / REQUEST_CPU
    print(
        f"the batch's own CPU: {cost:.0f} us an item ({low:.0f} to {high:.0f}), {times:.2f} of a request by "
        f"http.client, {request:.0f} us (goal {goal:.2f})   {_met(times <= goal)}"
    )


def _met(is_met: bool) -> str:
    return "ok" if is_met else "not"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the items, and fewer pairs")
    quick = parser.parse_args().quick
    load()
    measure_limits(1 / 3 if quick else 1.0)
    measure_change(0.5 if quick else 1.0)
    measure_own_cost(6 if quick else 30, 500 if quick else 1000)


if __name__ == "__main__":
    main()
