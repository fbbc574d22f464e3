"""Latency added by the MQTT bridge to a model call, and its throughput: one bridge, and two bridges of a group.

    make bench        or        python -m benchmarks.mqtt [duration of a model call in milliseconds] [--quick]

Uses a real Mosquitto, bridges as separate processes with sessions in SQLite, and a model server with prepared answers.
The latency is measured with one message at a time, from the client's publish to its answer, minus the median of the
same call by the openai package alone. The load is 50 sessions that send 8 messages each without waiting. Beside the
bridges stands a bare client of paho that answers the same load with QoS 2 and does nothing else (`mqtt_echo.py`): what
the broker, the sender and paho can do on the machine at that time. Of its rate, one bridge is to have 0.18, and two
bridges 1.6 times the rate of one, where a model call takes no time.

Whether two can have that is a question of the machine: beside them stand two bare clients that share the messages, and
the CPU that all processes take for a message (Linux): one bridge keeps about one core busy, and two have at most the
rate at which all cores are.

The broker is configured not to delay small packets (set_tcp_nodelay true) and keeps nothing on disk: one that saves its
state after each message would be measured in place of the bridges. All are measured in turn, three times, and the best
of each counts, since what else runs on the machine only takes from it. --quick: once, with a quarter of the load.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI

from benchmarks.http import Running
from benchmarks.ready_server import ready
from tests.support.mosquitto import Broker, serve_mqtt
from tests.support.mqtt_games import ROOT, Games, bridge

SESSIONS, MESSAGES, SINGLE_CALLS = 50, 8, 60
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SHARE_OF_ECHO, TIMES_OF_ONE = 0.18, 1.6
"""Goals: the rate of a bridge in that of the bare client, and of two bridges in that of one."""


@dataclass(frozen=True)
class Load:
    """How much is measured. rounds: how often. messages: of each session. single_calls: one at a time."""

    rounds: int = 3
    messages: int = MESSAGES
    single_calls: int = SINGLE_CALLS


@dataclass(frozen=True)
class Answering:
    """What answers the messages: bare clients, or bridges."""

    count: int
    is_bare: bool = False

    @property
    def group(self) -> str | None:
        """The group that shares the messages; None where one gets them all."""
        return "bench" if self.count > 1 else None


@dataclass(frozen=True)
class Measured:
    """Of one message at a time the median and 95th percentile of its latency in seconds; under load, messages per
    second, and the seconds of CPU that a message takes in what answers it (`answering`) and in the rest: broker,
    sender, model server."""

    median: float
    p95: float
    rate: float
    answering: float
    rest: float

    def limit(self, one: "Measured") -> float:
        """How many times the rate of one bridge, which keeps a core busy, all cores of this machine allow, if a message
        takes as much as here."""
        whole = self.answering + self.rest
        return CORES * one.answering / whole if whole else math.inf


def direct_call_seconds(url: str, load: Load) -> float:
    """The median duration of a model call by the openai package, in seconds."""
    times = []
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        for _ in range(load.single_calls):
            started = time.perf_counter()
            client.chat.completions.create(model="default", messages=[{"role": "user", "content": "Hello"}])
            times.append(time.perf_counter() - started)
    return statistics.median(times)


@contextmanager
def echo(broker: Broker, group: str | None) -> Iterator[int]:
    """Run a bare client: its process."""
    command = [sys.executable, "-m", "benchmarks.mqtt_echo", str(broker.port), *([group] if group else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "subscribed\n"
        try:
            yield process.pid
        finally:
            process.terminate()


def begun(stack: ExitStack, folder: Path, broker: Broker, url: str, answering: Answering) -> list[int]:
    """Start what answers: its processes."""
    if answering.is_bare:
        return [stack.enter_context(echo(broker, answering.group)) for _ in range(answering.count)]
    options = ("--store", str(folder / "sessions.db"), *(("--shared", answering.group) if answering.group else ()))
    made = []
    for number in range(answering.count):
        own = folder / str(number)
        own.mkdir()
        made.append(stack.enter_context(bridge(own, broker, url, *options)).pid)
    return made


def cpu(processes: Sequence[int]) -> tuple[float, float]:
    """The seconds of CPU that some child processes have taken, and those of the others with this process."""
    if not Path("/proc/self/stat").exists():
        return 0.0, 0.0
    children = [
        int(each) for task in Path("/proc/self/task").iterdir() for each in (task / "children").read_text().split()
    ]
    taken = {each: Running("", each).cpu for each in children}
    own = sum(taken[each] for each in processes)
    return own, sum(taken.values()) - own + time.process_time()


def measure(url: str, answering: Answering, load: Load) -> Measured:
    """Measure some bridges, or bare clients."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        options = ("allow_anonymous true", "set_tcp_nodelay true")
        broker = stack.enter_context(serve_mqtt(folder, *options, is_persistent=False))
        processes = begun(stack, folder, broker, url, answering)
        games = Games(broker)
        times = []
        for number in range(load.single_calls):
            started = time.perf_counter()
            games.ask(f"single{number}", 0)
            assert games.wait(number + 1, 30) == number + 1
            times.append(time.perf_counter() - started)
        before, started = cpu(processes), time.perf_counter()
        for number in range(load.messages):
            for session in range(SESSIONS):
                games.ask(f"s{session}", number)
        messages = SESSIONS * load.messages
        count = load.single_calls + messages
        assert games.wait(count, 300) == count
        rate = messages / (time.perf_counter() - started)
        own, rest = ((now - then) / messages for now, then in zip(cpu(processes), before, strict=True))
        games.close()
    return Measured(statistics.median(times), statistics.quantiles(times, n=20)[-1], rate, own, rest)


def best(rounds: Sequence[Measured]) -> Measured:
    """The least latencies and CPU, and the highest rate."""
    names = ("median", "p95", "answering", "rest")
    least = {name: min(getattr(each, name) for each in rounds) for name in names}
    return Measured(**least, rate=max(each.rate for each in rounds))


def report(url: str, delay: int, load: Load) -> None:
    """Measure with model calls of some milliseconds, and print a line for each number of bridges."""
    direct = min(direct_call_seconds(url, load) for _ in range(load.rounds))
    kinds = (Answering(1, is_bare=True), Answering(2, is_bare=True), Answering(1), Answering(2))
    rounds = [[measure(url, kind, load) for kind in kinds] for _ in range(load.rounds)]
    bare, bare_two, one, two = map(best, zip(*rounds, strict=True))
    for kind, found, of, compared, goal in (
        (kinds[0], bare, None, "", None),
        (kinds[1], bare_two, bare, "of one bare client", None),
        (kinds[2], one, bare, "of one bare client", SHARE_OF_ECHO),
        (kinds[3], two, one, "of one bridge", TIMES_OF_ONE),
    ):
        base = 0.0 if kind.is_bare else direct
        call = "none" if kind.is_bare else f"{direct * 1000:.1f} ms"
        added = f"{(found.median - base) * 1000:11.1f} ms {(found.p95 - base) * 1000:6.1f} ms"
        wanted = f" (goal: {goal})" if goal and delay == 0 else ""
        ratio = f"{found.rate / of.rate:6.2f} {compared}{wanted}" if of else ""
        took = f"{found.answering * 1000:7.2f} ms {found.rest * 1000:6.2f} ms"
        name = f"{kind.count} bare" if kind.is_bare else str(kind.count)
        print(f"{call:>12} {name:>8} {added} {found.rate:11.0f} {took} {ratio}")
    free, paid = min(one.limit(one), 2.0), two.limit(one)
    print(f"{'':21} {CORES} cores allow two bridges {free:.2f} of one if sharing cost nothing, {paid:.2f} as it is")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("milliseconds", type=int, nargs="?", help="duration of a model call")
    parser.add_argument("--quick", action="store_true", help="once, with a quarter of the load")
    arguments = parser.parse_args()
    load = Load(1, MESSAGES // 4, SINGLE_CALLS // 4) if arguments.quick else Load()
    print(
        f"\n{'model call':>12} {'bridges':>8} {'added, median':>14} {'95 %':>9} {'messages/s':>11} "
        f"{'CPU of it':>10} {'the rest':>9} {'ratio':>6}"
    )
    with ready() as port:
        for delay in [0, 100] if arguments.milliseconds is None else [arguments.milliseconds]:
            report(f"http://127.0.0.1:{port}/turns/0/ms/{delay}", delay, load)


if __name__ == "__main__":
    main()
