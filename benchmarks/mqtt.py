"""What the MQTT bridge adds to a model call, and how many messages a second it answers: one bridge, and two of a group.

    make bench        or        python -m benchmarks.mqtt [milliseconds of a model call]

A real Mosquitto, bridges as processes of their own with sessions in SQLite, a model server with ready answers. Latency
is that of one message at a time, from the client's publish to its answer, less the median of the same call by the
openai package alone; the broker is told not to hold small packets back (set_tcp_nodelay true). The
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

SESSIONS, EACH, ALONE = 50, 8, 60


def seconds_alone(url: str) -> float:
    """The median of a model call by the openai package, in seconds."""
    times = []
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        for _ in range(ALONE):
            started = time.perf_counter()
            client.chat.completions.create(model="default", messages=[{"role": "user", "content": "Hello"}])
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(url: str, bridges: int) -> tuple[float, float, float]:
    """The median and the 95th percentile of one message's seconds, and messages a second under load."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(serve_mqtt(folder, "allow_anonymous true", "set_tcp_nodelay true"))
        for number in range(bridges):
            own = folder / str(number)
            own.mkdir()
            group = ("--shared", "bench") if bridges > 1 else ()
            stack.enter_context(bridge(own, broker, url, "--store", str(folder / "sessions.db"), *group))
        games = Games(broker)
        times = []
        for number in range(ALONE):
            started = time.perf_counter()
            games.ask(f"alone{number}", 0)
            assert games.wait(number + 1, 30) == number + 1
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        for number in range(EACH):
            for session in range(SESSIONS):
                games.ask(f"s{session}", number)
        count = ALONE + SESSIONS * EACH
        assert games.wait(count, 300) == count
        rate = SESSIONS * EACH / (time.perf_counter() - started)
        games.close()
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], rate


def main() -> None:
    delays = [int(sys.argv[1])] if len(sys.argv) > 1 else [0, 100]
    print(f"\n{'model call':>12} {'bridges':>8} {'added, median':>14} {'95 %':>9} {'messages/s':>11} {'ratio':>6}")
    with ready() as port:
        for delay in delays:
            url = f"http://127.0.0.1:{port}/turns/0/ms/{delay}"
            alone = seconds_alone(url)
            first = 0.0
            for bridges in (1, 2):
                median, slow, rate = measure(url, bridges)
                first = first or rate
                added = f"{(median - alone) * 1000:11.1f} ms {(slow - alone) * 1000:6.1f} ms"
                print(f"{alone * 1000:9.1f} ms {bridges:>8} {added} {rate:11.0f} {rate / first:6.2f}")


if __name__ == "__main__":
    main()
