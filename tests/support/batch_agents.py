"""Agents of the tests of fleets, made in each worker's process. Their model does what a question says, word by word."""

import itertools
import os
import signal
import threading
import time
from pathlib import Path

from agentkit import Agent, ConfigurationError, Limits, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply, TextDelta
from agentkit.limits import Usage
from agentkit.message import Message, text_of

ASKED = "AGENTKIT_TEST_ASKED"
"""The environment variable with the path of a file in which each question is noted when the model gets it."""
NEEDED = "AGENTKIT_TEST_NEEDED"
"""The environment variable without which `needy` can't be made."""
BARRIERS: dict[str, threading.Barrier] = {}
_NUMBERS = itertools.count()


class Obedient:
    """A model. "7 wait 0.05" waits that many seconds and answers "answer 7"; "7 meet 3" waits until three do
    so in this process. "7 die" kills the process with SIGKILL, "7 exit 3" ends it. "7 loop" calls a tool for good."""

    def reply(self, request: Request) -> ReplyStream:
        question = [text_of(each) for each in request.transcript if each["role"] == "user"][-1]
        name, *words = question.split()
        told = dict(zip(words[::2], [*words[1::2], ""], strict=False))
        if path := os.environ.get(ASKED):
            note(Path(path), f"{question}\t{os.getpid()}")
        time.sleep(float(told.get("wait", 0)))
        if "meet" in told:
            BARRIERS.setdefault(told["meet"], threading.Barrier(int(told["meet"]))).wait(30)
        if "die" in told:
            os.kill(os.getpid(), signal.SIGKILL)
        if "exit" in told:
            os._exit(int(told["exit"]))
        usage = Usage(requests=1)
        if "loop" in told:
            time.sleep(0.05)
            call = {"id": f"c{next(_NUMBERS)}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            called: Message = {"role": "assistant", "content": None, "tool_calls": [call]}  # type: ignore[list-item]
            yield Reply(called, "tool_calls", usage)
            return
        text = f"answer {name}"
        if request.stream:
            yield TextDelta(text)
        yield Reply({"role": "assistant", "content": text}, "stop", usage)

    def capabilities(self, ask: bool = False) -> Capabilities:
        return Capabilities(model="obedient")

    def close(self) -> None:
        pass


def note(path: Path, line: str) -> None:
    """Append a line, whole, to a file that many processes write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@tool(read_only=True)
def look() -> str:
    """Look again."""
    return "nothing yet"


def obedient() -> Agent:
    return Agent(Obedient(), tools=[look], limits=Limits(turns=100_000, repeats=None))


def needy() -> Agent:
    if not os.environ.get(NEEDED):
        raise ConfigurationError(f"{NEEDED} is not set")
    return obedient()
