"""What cutting a long history in steps saves: the prompt tokens that a real llama.cpp server has to process again; and
what it costs.

    make bench        or        python -m benchmarks.window [turns]

A conversation of 200 turns on a context of 2,048 tokens (the project's own tiny model), cut once by agentkit's window
and once by leaving out the oldest turns as soon as the next one does not fit. Tokens are the server's own counts: those
of the prompt, minus those in its cache.

Then one turn of 4,000 steps with a window of 8,000 tokens, without a server: the CPU time of a step, which is the same
at the end as at the beginning (ratio 1).
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentkit import Agent, Limits, Usage, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply, ReplyStarted
from tests.support.llama_server import serve_llama
from tests.support.tiny_model import write_tiny_model

CONTEXT = 2048
FULL = 0.85
DONE = {"role": "assistant", "content": "Done."}


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look a topic up."""
    return f"All there is to know about {topic}, in a paragraph of the usual length. " * 4


def question(turn: int) -> str:
    return f"Question {turn}: what about it?"


def by_window(url: str, turns: int) -> Usage:
    agent, spent = Agent(f"openai:tiny@{url}", window=CONTEXT), Usage()
    messages: list[Any] = []
    with agent:
        for turn in range(turns):
            result = agent.run(question(turn), messages=messages)
            messages, spent = result.messages, spent + result.usage
    return spent


def by_turn(url: str, turns: int) -> Usage:
    agent, spent = Agent(f"openai:tiny@{url}"), Usage()
    messages: list[Any] = []
    with agent:
        for turn in range(turns):
            result = agent.run(question(turn), messages=messages)
            messages, spent = list(result.messages), spent + result.usage
            per_turn = result.usage.input_tokens / (len(messages) / 2)
            if result.usage.input_tokens + per_turn > CONTEXT * FULL:
                messages = messages[2:]
    return spent


class Steps:
    """Calls a tool for a number of steps, and answers."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        self._left -= 1
        size = len(request.transcript.encoded()) // 4
        call = {"name": "look_up", "arguments": json.dumps({"topic": f"tides {self._left}"})}
        calls: Any = [{"id": f"c{self._left}", "type": "function", "function": call}]
        made: Any = {"role": "assistant", "content": None, "tool_calls": calls} if self._left > 0 else DONE
        yield Reply(made, "stop", Usage(1, size, 0, 20))

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        return Capabilities()

    def close(self) -> None:
        """Nothing."""


def cpu_of_steps(steps: int) -> list[float]:
    """Milliseconds of a step in each quarter of a turn."""
    times = []
    agent = Agent(Steps(steps), tools=[look_up], limits=Limits(turns=None, repeats=None), window=8_000)
    for event in agent.stream("When is the tide high?"):
        if isinstance(event, ReplyStarted):
            times.append(time.process_time())
    quarter = steps // 4
    marks = [*times[::quarter][:4], times[-1]]
    return [(later - earlier) * 1000 / quarter for earlier, later in itertools.pairwise(marks)]


def main() -> None:
    measure_tokens()
    quarters = cpu_of_steps(4_000)
    print(f"\nCPU ms of a step, by quarters of 4,000: {', '.join(f'{each:.2f}' for each in quarters)}", end="")
    print(f" (last to first: {quarters[-1] / quarters[0]:.2f})")


def measure_tokens() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    ways: dict[str, Callable[[str, int], Usage]] = {"one turn a time": by_turn, "in steps (window)": by_window}
    print(f"\nprompt tokens of {turns} turns on a context of {CONTEXT:,} tokens")
    print(f"{'what is cut':>20} {'total':>10} {'processed':>10} {'per turn':>8} {'ratio':>7}")
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "tiny.gguf")
        for name, way in ways.items():
            with serve_llama(model, context=CONTEXT, slots=1) as server:
                spent = way(server.url, turns)
            read = spent.input_tokens - spent.cached_tokens
            first = first or read
            print(f"{name:>20} {spent.input_tokens:10,} {read:10,} {read / turns:8.0f} {read / first:7.2f}")


if __name__ == "__main__":
    main()
