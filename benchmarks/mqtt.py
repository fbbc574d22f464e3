"""Latency added by the MQTT bridge to a model call, and its throughput: one bridge, and two bridges of a group.

    make bench        or        python -m benchmarks.mqtt [duration of a model call in milliseconds]

Uses a real Mosquitto, bridges as separate processes with sessions in SQLite, and a model server with prepared answers.
The latency is measured with one message at a time, from the client's publish to its answer, minus the median of the
same call by the openai package alone. The broker is configured not to delay small packets (set_tcp_nodelay true). The
load is 50 sessions that send 8 messages each without waiting.
"""

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from openai import OpenAI

from benchmarks.ready_server import ready
from tests.support.mosquitto import serve_mqtt
from tests.support.mqtt_games import Games, bridge

SESSIONS, MESSAGES, SINGLE_CALLS = 50, 8, 60


def direct_call_seconds(url: str) -> float:
    """The median duration of a model call by the openai package, in seconds."""
    times = []
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        for _ in range(SINGLE_CALLS):
            started = time.perf_counter()
            client.chat.completions.create(model="default", messages=[{"role": "user", "content": "Hello"}])
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(url: str, bridges: int) -> tuple[float, float, float]:
    """The median and 95th percentile of one message's latency in seconds, and the messages per second under load."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(serve_mqtt(folder, "allow_anonymous true", "set_tcp_nodelay true"))
        for number in range(bridges):
            bridge_folder = folder / str(number)
            bridge_folder.mkdir()
            group = ("--shared", "bench") if bridges > 1 else ()
            stack.enter_context(bridge(bridge_folder, broker, url, "--store", str(folder / "sessions.db"), *group))
        games = Games(broker)
        times = []
        for number in range(SINGLE_CALLS):
            started = time.perf_counter()
            games.ask(f"single{number}", 0)
            assert games.wait(number + 1, 30) == number + 1
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        for number in range(MESSAGES):
            for session in range(SESSIONS):
                games.ask(f"s{session}", number)
        count = SINGLE_CALLS + SESSIONS * MESSAGES
        assert games.wait(count, 300) == count
        rate = SESSIONS * MESSAGES / (time.perf_counter() - started)
        games.close()
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], rate


def main() -> None:
    delays = [int(sys.argv[1])] if len(sys.argv) > 1 else [0, 100]
    print(f"\n{'model call':>12} {'bridges':>8} {'added, median':>14} {'95 %':>9} {'messages/s':>11} {'ratio':>6}")
    with ready() as port:
        for delay in delays:
            url = f"http://127.0.0.1:{port}/turns/0/ms/{delay}"
            direct = direct_call_seconds(url)
            baseline = 0.0
            for bridges in (1, 2):
                median, p95, rate = measure(url, bridges)
                baseline = baseline or rate
                added = f"{(median - direct) * 1000:11.1f} ms {(p95 - direct) * 1000:6.1f} ms"
                print(f"{direct * 1000:9.1f} ms {bridges:>8} {added} {rate:11.0f} {rate / baseline:6.2f}")


if __name__ == "__main__":
    main()
