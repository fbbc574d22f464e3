"""Latency added by the MQTT bridge to a model call, and its throughput: one bridge, and two bridges of a group.

    make bench        or        python -m benchmarks.mqtt [duration of a model call in milliseconds] [--quick]

Uses a real Mosquitto, bridges as separate processes with sessions in SQLite, and a model server with prepared answers.
The latency is measured with one message at a time, from the client's publish to its answer, minus the median of the
same call by the openai package alone. The load is 50 sessions that send 8 messages each without waiting. Beside the
bridges stands a bare client of paho that answers the same load with QoS 2 and does nothing else (`mqtt_echo.py`): what
the broker, the sender and paho can do on the machine at that time. Of its rate, one bridge is to have 0.18, and two
bridges 1.6 times the rate of one, where a model call takes no time.

The broker is configured not to delay small packets (set_tcp_nodelay true) and keeps nothing on disk: one that saves its
state after each message would be measured in place of the bridges. All are measured in turn, three times, and the best
of each counts, since what else runs on the machine only takes from it. --quick: once, with a quarter of the load.
"""

import argparse
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

from benchmarks.ready_server import ready
from tests.support.mosquitto import Broker, serve_mqtt
from tests.support.mqtt_games import ROOT, Games, bridge

SESSIONS, MESSAGES, SINGLE_CALLS = 50, 8, 60
ECHO = 0
"""In place of a number of bridges: the bare client."""
SHARE_OF_ECHO, TIMES_OF_ONE = 0.18, 1.6
"""Goals: the rate of a bridge in that of the bare client, and of two bridges in that of one."""


@dataclass(frozen=True)
class Load:
    """How much is measured. rounds: how often. messages: of each session. single_calls: one at a time."""

    rounds: int = 3
    messages: int = MESSAGES
    single_calls: int = SINGLE_CALLS


@dataclass(frozen=True)
class Measured:
    """Of one message at a time the median and 95th percentile of its latency in seconds; under load, messages per
    second."""

    median: float
    p95: float
    rate: float


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
def echo(broker: Broker) -> Iterator[None]:
    """Run the bare client."""
    command = [sys.executable, "-m", "benchmarks.mqtt_echo", str(broker.port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "subscribed\n"
        try:
            yield
        finally:
            process.terminate()


def measure(url: str, bridges: int, load: Load) -> Measured:
    """Measure some bridges, or the bare client."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        options = ("allow_anonymous true", "set_tcp_nodelay true")
        broker = stack.enter_context(serve_mqtt(folder, *options, is_persistent=False))
        if bridges == ECHO:
            stack.enter_context(echo(broker))
        for number in range(bridges):
            bridge_folder = folder / str(number)
            bridge_folder.mkdir()
            group = ("--shared", "bench") if bridges > 1 else ()
            stack.enter_context(bridge(bridge_folder, broker, url, "--store", str(folder / "sessions.db"), *group))
        games = Games(broker)
        times = []
        for number in range(load.single_calls):
            started = time.perf_counter()
            games.ask(f"single{number}", 0)
            assert games.wait(number + 1, 30) == number + 1
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        for number in range(load.messages):
            for session in range(SESSIONS):
                games.ask(f"s{session}", number)
        count = load.single_calls + SESSIONS * load.messages
        assert games.wait(count, 300) == count
        rate = SESSIONS * load.messages / (time.perf_counter() - started)
        games.close()
    return Measured(statistics.median(times), statistics.quantiles(times, n=20)[-1], rate)


def best(rounds: Sequence[Measured]) -> Measured:
    """The least latencies and the highest rate."""
    medians, p95s, rates = zip(*((each.median, each.p95, each.rate) for each in rounds), strict=True)
    return Measured(min(medians), min(p95s), max(rates))


def report(url: str, delay: int, load: Load) -> None:
    """Measure with model calls of some milliseconds, and print a line for each number of bridges."""
    direct = min(direct_call_seconds(url, load) for _ in range(load.rounds))
    kinds = (ECHO, 1, 2)
    rounds = [[measure(url, kind, load) for kind in kinds] for _ in range(load.rounds)]
    bare, one, two = map(best, zip(*rounds, strict=True))
    print(f"{'none':>12} {'bare':>8} {bare.median * 1000:11.1f} ms {bare.p95 * 1000:6.1f} ms {bare.rate:11.0f}")
    for bridges, of, compared, goal in (
        (1, bare, "of the bare client", SHARE_OF_ECHO),
        (2, one, "of one bridge", TIMES_OF_ONE),
    ):
        found = one if bridges == 1 else two
        added = f"{(found.median - direct) * 1000:11.1f} ms {(found.p95 - direct) * 1000:6.1f} ms"
        wanted = f"(goal: {goal})" if delay == 0 else ""
        ratio = f"{found.rate / of.rate:6.2f} {compared} {wanted}"
        print(f"{direct * 1000:9.1f} ms {bridges:>8} {added} {found.rate:11.0f} {ratio}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("milliseconds", type=int, nargs="?", help="duration of a model call")
    parser.add_argument("--quick", action="store_true", help="once, with a quarter of the load")
    arguments = parser.parse_args()
    load = Load(1, MESSAGES // 4, SINGLE_CALLS // 4) if arguments.quick else Load()
    print(f"\n{'model call':>12} {'bridges':>8} {'added, median':>14} {'95 %':>9} {'messages/s':>11} {'ratio':>6}")
    with ready() as port:
        for delay in [0, 100] if arguments.milliseconds is None else [arguments.milliseconds]:
            report(f"http://127.0.0.1:{port}/turns/0/ms/{delay}", delay, load)


if __name__ == "__main__":
    main()
