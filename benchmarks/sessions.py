"""What a message costs in a session of 1, 100, 1,000 and 5,000 messages: CPU and time, with a window of 10,000 tokens.

    python -m benchmarks.sessions [--quick]

The session lies in SQLite; the model is a ready-made reply. "agent" is `Agent.run(session=, request_id=)`, "http" a
request to a chat service in this process, "mqtt" what its responder does for a message. Least of several runs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentkit import Agent, Window
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.sessions import SQLiteSessions

SIZES = (1, 100, 1_000, 5_000)
TEXT = "The tide is high at noon and low in the evening, as the moon wants it. " * 4


class Ready:
    """A backend with a ready-made reply."""

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        yield Reply({"role": "assistant", "content": TEXT}, "stop")

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities()

    def close(self) -> None:
        """Nothing to release."""


def filled(folder: Path, size: int) -> SQLiteSessions:
    """A store whose session "a" has that many messages, the last of them by runs that have cut the history."""
    sessions = SQLiteSessions(folder / f"{size}.db")
    sessions["a"].append(
        [{"role": ("user", "assistant")[place % 2], "content": TEXT} for place in range(size - size % 2)]
    )
    agent = Agent(Ready(), window=Window(10_000))
    for number in range(3):
        agent.run(TEXT, session=sessions["a"], request_id=f"first-{number}")
    return sessions


def measured(work: Callable[[str], object], tries: int) -> tuple[float, float]:
    """The least CPU and the least time of a message, in milliseconds."""
    found = []
    for number in range(tries):
        cpu, wall = time.process_time(), time.perf_counter()
        work(f"r{number}")
        found.append(((time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3))
    return min(cpu for cpu, _ in found), min(wall for _, wall in found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    tries = 10 if parser.parse_args().quick else 40
    print("ms a message, by the number of messages in the session (aim: 5,000 at most 1.1 x 1,000 and 2 x 100)")
    print(
        f"{'':>12}" + "".join(f"{f'{size:,} CPU':>13}{'time':>8}" for size in SIZES) + f"{'5,000/1,000':>14}{'/100':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        stores = {size: filled(Path(folder), size) for size in SIZES}
        for name, make in (("agent", by_agent), ("service", by_service)):
            found = {size: measured(make(stores[size], f"{name}-"), tries) for size in SIZES}
            row = "".join(f"{cpu:13.2f}{wall:8.2f}" for cpu, wall in found.values())
            ratios = f"{found[5_000][0] / found[1_000][0]:14.2f}{found[5_000][0] / found[100][0]:7.2f}"
            print(f"{name:>12}{row}{ratios}")
        for store in stores.values():
            store.close()


def by_agent(sessions: SQLiteSessions, prefix: str) -> Callable[[str], object]:
    """Answers a message with `Agent.run`."""
    agent = Agent(Ready(), window=Window(10_000))
    return lambda request_id: agent.run(TEXT, session=sessions["a"], request_id=prefix + request_id)


def by_service(sessions: SQLiteSessions, prefix: str) -> Callable[[str], object]:
    """Answers a message with the chat service, as HTTP and MQTT do."""
    service = ChatService(Ready(), sessions, history_tokens=10_000)
    return lambda request_id: service.answer(UserInput(TEXT, "a", request_id=prefix + request_id))


if __name__ == "__main__":
    main()
