"""Hours in minutes: a mixed load on the real chat service, every answer of which is checked.

    python -m benchmarks.soak [--seconds 600] [--only KIND]

`agentkit serve` in a process of its own, with sessions in SQLite, a folder of documents and keys of two subjects; a
model server that says what it was asked; clients of all kinds (`soak_clients.KINDS`): conversations whole and streamed,
searches, /v1, requests sent again, histories, lists and clearing, wrong keys, broken bodies, slow readers, clients that
leave in mid-stream, half-open connections. Prints the latency by kind, the memory, descriptors and threads of the
service (Linux), wrong answers, and what the service logged.

Exit code 1: an answer was wrong (another message's, another session's, twice, an unexpected status), the service logged
an error, or it grew beyond GROWTH, DESCRIPTORS or THREADS. Growth is measured over the second half of the load, and
judged from WARM seconds on: a service that has just begun fills its caches.
"""

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentkit.serving.http.keys import Keys
from benchmarks.ready_server import ready
from benchmarks.soak_clients import KINDS, Findings, load
from tests.support.ports import free_port, wait_for

ROOT = Path(__file__).parents[1]

GROWTH = 3.0
"""How much memory a thousand requests may add in the second half of the load, in megabytes."""

DESCRIPTORS, THREADS = 30, 30
"""How many descriptors and threads more than in the middle of the load may be there after it."""

WARM = 60.0
"""Seconds of load from which on the growth is judged."""


@dataclass(frozen=True)
class Sample:
    """The service at one moment. memory: resident, in megabytes. requests: how many were answered until then."""

    requests: int
    memory: float
    descriptors: int
    threads: int


@dataclass
class Report:
    """What a soak found."""

    seconds: float
    found: Findings
    samples: list[Sample]
    log: list[str]

    @property
    def growth(self) -> float:
        """Megabytes of memory per thousand requests: the slope (least squares) over the second half of the samples."""
        late = self.samples[len(self.samples) // 2 :]
        if len(late) < 3:
            return 0.0
        mean = sum(each.requests for each in late) / len(late)
        level = sum(each.memory for each in late) / len(late)
        spread = sum((each.requests - mean) ** 2 for each in late)
        return 1000 * sum((each.requests - mean) * (each.memory - level) for each in late) / spread if spread else 0.0

    @property
    def errors(self) -> list[str]:
        """The lines of the service's log that tell of an error."""
        return [line for line in self.log if re.search(r"\b(ERROR|CRITICAL|Traceback|Exception|Error)\b", line)]

    def problems(self) -> list[str]:
        """Why the soak failed."""
        told = [f"{len(self.found.wrong)} wrong answers"] if self.found.wrong else []
        told += [f"{len(self.errors)} errors in the log of the service"] if self.errors else []
        if self.samples and self.seconds >= WARM:
            middle, last = self.samples[len(self.samples) // 2], self.samples[-1]
            if self.growth > GROWTH:
                told.append(f"memory grows by {self.growth:.1f} MB per 1,000 requests, more than {GROWTH:g}")
            if last.descriptors > middle.descriptors + DESCRIPTORS:
                told.append(f"{last.descriptors} descriptors after {middle.descriptors} in the middle of the load")
            if last.threads > middle.threads + THREADS:
                told.append(f"{last.threads} threads after {middle.threads} in the middle of the load")
        return told


def sampled(process: int, requests: int) -> Sample | None:
    """The state of a process; None where there is no /proc."""
    folder = Path("/proc") / str(process)
    try:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", (folder / "status").read_text(), re.MULTILINE))
        return Sample(requests, int(status["VmRSS"]) / 1024, len(os.listdir(folder / "fd")), int(status["Threads"]))
    except (OSError, KeyError):
        return None


@contextmanager
def service(folder: Path, model: str) -> Iterator[tuple[int, int, list[str]]]:
    """Run the service: its process, its port, and the keys of two subjects."""
    documents = folder / "documents"
    documents.mkdir()
    (documents / "tides.md").write_text("# Tides\n\nThe tide is high at noon.\n")
    port = free_port()
    environment = {
        **os.environ, "LLM_SERVER_URL": model, "XDG_DATA_HOME": str(folder), "AGENTKIT_CACHE": str(folder / "cache"),
        "AGENTKIT_KEYS_FILE": str(folder / "keys.json"), "AGENTKIT_RATE": "1000000", "AGENTKIT_MAX_BODY": "1000000",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tools"))),
    }  # fmt: skip
    command = [sys.executable, "-m", "agentkit", "serve"]
    keys = [Keys(folder / "keys.json").add(name) for name in ("ann", "ben")]
    command += ["--port", str(port), "--store", str(folder / "sessions.db"), "--docs", str(documents)]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            wait_for(port, "the service", seconds=30)
            yield process.pid, port, keys
        finally:
            process.terminate()
            process.wait()


def soak(seconds: float, settle: float = 3.0, only: Collection[str] = ()) -> Report:
    """Load the service for so many seconds, and `settle` more for what it has to end; returns what was found."""
    found, samples = Findings(), []
    with ready() as model, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with service(folder, f"http://127.0.0.1:{model}/echo") as (process, port, keys):
            threads = load(port, keys, found, seconds, only)
            stop = threading.Event()

            def watch() -> None:
                while not stop.wait(min(1.0, seconds / 10)):
                    samples.append(sampled(process, found.requests))

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            for thread in threads:
                thread.join(seconds + 120)
                if thread.is_alive():
                    found.found_wrong("a client waits for its answer two minutes after the end")
            stop.set()
            watcher.join()
            time.sleep(settle)
            samples.append(sampled(process, found.requests))
        log = (folder / "log").read_text().splitlines()
    return Report(seconds, found, [each for each in samples if each is not None], log)


def quantile(sorted_values: list[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, math.ceil(share * len(sorted_values)) - 1)]


def show(report: Report) -> None:
    print(f"\n{'milliseconds':>36} {'count':>8} {'p50':>8} {'p95':>8} {'p99':>8} {'longest':>8}")
    for kind, seconds in sorted(report.found.seconds.items()):
        each = sorted(seconds)
        columns = [quantile(each, share) * 1000 for share in (0.5, 0.95, 0.99, 1.0)]
        print(f"{kind:>36} {len(each):>8,} " + " ".join(f"{value:>8.0f}" for value in columns))
    for what, count in sorted(report.found.counts.items()):
        print(f"{what:>36} {count:>8,}")
    requests = report.found.requests
    print(f"\n{requests:,} requests in {report.seconds:g} s: {requests / report.seconds:.0f} a second")
    if report.samples:
        first, last = report.samples[0], report.samples[-1]
        print(f"{'of the service':>16} {'at first':>9} {'highest':>9} {'after':>9}")
        for name in ("memory", "descriptors", "threads"):
            highest = max(getattr(each, name) for each in report.samples)
            values = (getattr(first, name), highest, getattr(last, name))
            print(
                f"{name + (' in MB' if name == 'memory' else ''):>16} " + " ".join(f"{each:>9.0f}" for each in values)
            )
        print(f"memory per 1,000 requests, over the second half: {report.growth:+.2f} MB (at most {GROWTH:g})")
    print(f"wrong answers: {len(report.found.wrong)}")
    for what in report.found.wrong[:10]:
        print(f"    {what[:500]}")
    print(f"lines in the log of the service: {len(report.log)}, errors: {len(report.errors)}")
    for line in (report.errors or report.log)[:10]:
        print(f"    {line[:300]}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Mixed load on the chat service, every answer checked.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    kinds = [act.__name__ for act, _ in KINDS]
    parser.add_argument("--only", action="append", choices=kinds, help="only this kind of client, to find a cause")
    options = parser.parse_args()
    report = soak(options.seconds, only=options.only or ())
    show(report)
    problems = report.problems()
    print("failed: " + "; ".join(problems) if problems else "passed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
