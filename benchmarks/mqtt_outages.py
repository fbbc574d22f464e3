"""Whether the MQTT bridges answer each request once and in order while brokers restart and bridges are killed.

    python -m benchmarks.mqtt_outages [number of bridges] [requests per session] [with or without ids]

50 sessions send their requests without waiting for answers (20 each by default). Meanwhile a real Mosquitto with
persistence is restarted five times, and a bridge is killed (kill -9) and started again three times. Two bridges or more
are a group (`--shared`) on one SQLite store. Prints what was lost, answered twice, or answered out of order.
"""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.model_server import Answer, Asked, serve, whole
from tests.support.mosquitto import serve_mqtt
from tests.support.mqtt_games import Games, bridge


@dataclass
class Outcome:
    """What came back. lost: requests without an answer. doubled: answers that came more than once. disordered: sessions
    whose answers came in another order than their requests. seconds: the time that it took."""

    lost: list[str]
    doubled: list[str]
    disordered: dict[str, list[str]]
    seconds: float


def reply(asked: Asked) -> Answer:
    """Repeats the last message, after 10 ms."""
    return Answer(whole(f"Answer to {asked.body['messages'][-1]['content']}").body, delay=0.01)


def run_outages(
    folder: Path, *, bridges: int, sessions: int, each: int, kills: int, restarts: int, with_ids: bool = True
) -> Outcome:
    """Send the requests, with outages spread over them, and see what comes back."""
    rng = random.Random(7)
    places = rng.sample(range(1, each - 1), kills + restarts) if kills + restarts < each - 1 else [1] * kills + [2]
    killed, restarted = set(places[:kills]), set(places[kills:])
    started = time.monotonic()
    with serve_mqtt(folder) as broker, serve(reply) as server, ExitStack() as stack:
        folders = [folder / f"bridge{number}" for number in range(bridges)]
        group = ("--shared", "g") if bridges > 1 else ()
        options = ("--store", str(folder / "sessions.db"), *group)
        running = []
        for each_folder in folders:
            each_folder.mkdir()
            running.append(stack.enter_context(bridge(each_folder, broker, server.url, *options)))
        games = Games(broker)
        for number in range(each):
            for session in range(sessions):
                (games.ask if with_ids else games.say)(f"s{session}", number)
            time.sleep(rng.uniform(0.05, 0.3))
            if number in killed:
                which = rng.randrange(bridges)
                running[which].send_signal(signal.SIGKILL)
                running[which].wait()
                (folders[which] / "bridge.log").write_text("")
                running[which] = stack.enter_context(bridge(folders[which], broker, server.url, *options))
            if number in restarted:
                broker.stop()
                time.sleep(rng.uniform(0.0, 0.3))
                broker.start()
        games.wait(sessions * each, 120)
        time.sleep(1.0)
        games.close()
    return _outcome(games, sessions, each, time.monotonic() - started)


def _outcome(games: Games, sessions: int, each: int, seconds: float) -> Outcome:
    outcome = Outcome([], [], {}, seconds)
    for session in (f"s{number}" for number in range(sessions)):
        answers, expected = games.of(session), [f"Answer to {session} {number}" for number in range(each)]
        counts = Counter(answers)
        outcome.lost += [text for text in expected if not counts[text]]
        outcome.doubled += [text for text in expected if counts[text] > 1]
        if [text for text in dict.fromkeys(answers) if text in expected] != [t for t in expected if counts[t]]:
            outcome.disordered[session] = answers
    return outcome


def main() -> None:
    bridges = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    each = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with_ids = len(sys.argv) < 4 or sys.argv[3] != "without"
    with tempfile.TemporaryDirectory() as name:
        outcome = run_outages(
            Path(name), bridges=bridges, sessions=50, each=each, kills=3, restarts=5, with_ids=with_ids
        )
    print(
        f"{50 * each} requests, {bridges} bridges, 5 broker restarts, 3 kills: {len(outcome.lost)} lost, "
        f"{len(outcome.doubled)} answered twice, {len(outcome.disordered)} sessions out of order, "
        f"{outcome.seconds:.0f} seconds"
    )
    for texts in (outcome.lost, outcome.doubled, outcome.disordered):
        print(f"  {texts}" if texts else "  -")


if __name__ == "__main__":
    main()
