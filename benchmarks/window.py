"""What cutting a long history in steps saves: the prompt tokens that a real llama.cpp server has to process again.

    make bench        or        python -m benchmarks.window [turns]

A conversation of 200 turns on a context of 2,048 tokens (the project's own tiny model), cut once by agentkit's window
and once by leaving out the oldest turns as soon as the next one does not fit. Tokens are the server's own counts: those
of the prompt, minus those in its cache.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentkit import Agent, Usage
from tests.support.llama_server import serve_llama
from tests.support.tiny_model import write_tiny_model

CONTEXT = 2048
FULL = 0.85


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


def main() -> None:
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
