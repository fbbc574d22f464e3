"""How fast a batch goes on Dask and Ray, beside what the engine does with a task for each question.

    python -m benchmarks.batch_fleets [--items N] [--runs N]

Two workers with a thread each; a question takes 50 ms, in which a worker only waits. A task of the plain engine holds
its thread for that time; those of a batch don't. The start of a batch counts in its rate: on Ray that is a process of
its own, where the plain tasks have theirs already. The start of a batch on Dask is compared with that of an empty
LocalCluster, which is most of it. The rows of Ray are there where it is installed: `make bench-fleets` uses the
environment of `make test-ray`.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

os.environ.setdefault("PYTHONWARNINGS", "ignore")

from agentkit.batch import run_batch

AGENT = "tests.support.batch_agents:obedient"
SECONDS = 0.05
CLUSTER: dict[str, Any] = {"dashboard_address": None, "memory_limit": 0, "threads_per_worker": 1, "silence_logs": 50}


def plain(question: str) -> str:
    """A question, answered as simply as can be."""
    time.sleep(SECONDS)
    return f"answer {question}"


def rate(work: Callable[[], Iterable[Any]], items: int) -> float:
    """Items a second."""
    began = time.perf_counter()
    assert sum(1 for _ in work()) == items
    return items / (time.perf_counter() - began)


def by_executor(client: Any, items: int) -> Iterable[Any]:
    executor = client.get_executor(pure=False)
    return [task.result() for task in [executor.submit(plain, str(number)) for number in range(items)]]


def batch(on: Any, items: int) -> Iterable[Any]:
    return run_batch(AGENT, [f"{number} wait {SECONDS}" for number in range(items)], on=on, at_once=64)


class Ours(NamedTuple):
    """rate: items a second, with the start. start: its seconds. steady: items a second after it."""

    rate: float
    start: float
    steady: float

    def __str__(self) -> str:
        return f"batch {self.rate:.0f}/s (start {self.start:.1f} s, then {self.steady:.0f}/s)"


def batch_rate(on: Any, items: int) -> Ours:
    began = time.perf_counter()
    run = batch(on, items)
    started = time.perf_counter()
    assert sum(1 for _ in run) == items
    ended = time.perf_counter()
    return Ours(items / (ended - began), started - began, items / (ended - started))


def row(name: str, value: float, wanted: str) -> None:
    print(f"{name:<76} {value:6.2f} x   ({wanted})", flush=True)


def on_dask(items: int, runs: int) -> None:
    import distributed

    with distributed.LocalCluster(n_workers=2, **CLUSTER) as cluster, distributed.Client(cluster) as client:
        client.gather(client.map(plain, range(4)))
        list(batch(client, 64))
        found = []
        for _ in range(runs):
            theirs = rate(lambda: by_executor(client, items // 4), items // 4)
            ours = batch_rate(client, items)
            found.append((ours.rate / theirs, ours, theirs))
        best, ours, theirs = max(found)
    row(f"Dask: {ours}, get_executor() {theirs:.0f}/s", best, "at least 5")


def on_ray(items: int, runs: int) -> None:
    ray: Any = import_module("agentkit.batch.ray").ray  # as a batch has it: it reports to nobody
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(plain)
    ray.get([task.remote(str(number)) for number in range(4)])
    list(batch("ray", 64))
    found = []
    for _ in range(runs):
        theirs = rate(lambda: ray.get([task.remote(str(number)) for number in range(items // 4)]), items // 4)
        ours = batch_rate("ray", items)
        found.append((ours.rate / theirs, ours, theirs))
    best, ours, theirs = max(found)
    row(f"Ray: {ours}, a task a question {theirs:.0f}/s", best, "at least 5")
    ray.shutdown()


def starts(runs: int) -> None:
    """Seconds to the first answer of a batch, and to that of an empty cluster."""
    import distributed

    found = []
    for _ in range(runs):
        began = time.perf_counter()
        with distributed.LocalCluster(**CLUSTER) as cluster, distributed.Client(cluster) as client:
            client.submit(int, 1).result()
            empty = time.perf_counter() - began
        began = time.perf_counter()
        run = run_batch(AGENT, ["1"], on="dask")
        next(run)
        found.append(((time.perf_counter() - began) / empty, empty))
        run.close()
    ratio, empty = min(found)
    row(f"Dask: start to the first answer, empty LocalCluster {empty:.1f} s", ratio, "at most 1.5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    on_dask(options.items, options.runs)
    starts(options.runs)
    if find_spec("ray") is not None:
        on_ray(options.items, options.runs)


if __name__ == "__main__":
    main()
