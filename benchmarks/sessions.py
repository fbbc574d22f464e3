"""What a message costs in a session of 1, 100, 1,000 and 5,000 messages: CPU and time, with a window of 10,000 tokens.

    python -m benchmarks.sessions [--quick]

The session lies in SQLite; the model is a ready-made reply. "agent" is `Agent.run(session=, request_id=)`; "http" and
"mqtt" are what these services do for a message, without the network. Least of several runs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agentkit import Agent, Window
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply
from agentkit.serving.chat_service import ChatService, process_user_input_with_llm
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.prompts import Prompts
from agentkit.serving.http.schemas import SessionRequest
from agentkit.serving.mqtt.payloads import UserMessage
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder
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
        for name, make in (("agent", by_agent), ("http", by_http), ("mqtt", by_mqtt)):
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


def by_http(sessions: SQLiteSessions, prefix: str) -> Callable[[str], object]:
    """Answers a message as the HTTP service does behind its routes."""
    conversations = Conversations(ChatService(Ready(), sessions, history_tokens=10_000), (), Prompts(None))

    def ask(request_id: str) -> None:
        body = SessionRequest(session_id="a", message=TEXT)
        user_input, meta = conversations.next("me", body, prefix + request_id)
        process_user_input_with_llm(conversations.service, replace(user_input, session="a"))
        conversations.keep("me", "a", meta, user_input.system_prompt or "")

    return ask


def by_mqtt(sessions: SQLiteSessions, prefix: str) -> Callable[[str], object]:
    """Answers a message as the MQTT bridge does between two publications."""
    responder = Responder(ChatService(Ready(), sessions, history_tokens=10_000))

    def ask(request_id: str) -> None:
        message = Message(Project.named("p"), "a", TEXT, "", log_id=prefix + request_id)
        responder.answer(message)
        responder.note_delivered(message)

    return ask


class Message(UserMessage):
    """A message to the session of the benchmark."""

    @property
    def key(self) -> str:
        """The id of its session in the store."""
        return "a"


if __name__ == "__main__":
    main()
