"""The gain of starting read-only tools early, and the cost of the stream that it needs.

    make bench        or        python -m benchmarks.early_start

A loopback server streams tool calls of eleven tokens each at 50 tokens per second; the tools sleep. Seconds are those
of a whole run, calls and answer, with `early_start` on and off; the CPU time is what the client spends on a streamed
reply compared with one that is not streamed.
"""

import time
from collections.abc import Callable, Sequence

from agentkit import Agent, Tool, tool
from agentkit.backends import OpenAIBackend
from benchmarks.ready_server import ready

GAP = 20
"""Milliseconds between two tokens."""
TOKENS_PER_CALL = 11


def sleeping(seconds: Sequence[float]) -> Tool[[str], str]:
    """A tool whose nth call of a reply takes as many seconds as the nth number."""

    @tool(read_only=True, name="look_up")
    def look_up(topic: str) -> str:
        """Look a topic up.

        Args:
            topic: What to look up.
        """
        index = int(topic[-2:]) if topic[-2:].isdigit() else 0
        time.sleep(seconds[index % len(seconds)])
        return topic

    return look_up


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure_gain(port: int) -> None:
    print(f"\nseconds of a run (calls of {TOKENS_PER_CALL} tokens at {1000 // GAP} tokens per second)")
    print(f"{'':>44} {'off':>8} {'on':>8} {'ratio':>7}")
    for calls, taken in ((1, [1.0]), (3, [0.0]), (3, [1.0]), (3, [2.0, 0.3, 0.8]), (6, [1.0]), (6, [2.0, 0.3, 0.8])):
        backend = OpenAIBackend("m", base_url=f"http://127.0.0.1:{port}/calls/{calls}/gap/{GAP}/v1")
        agents = {on: Agent(backend, tools=[sleeping(taken)], early_start=on) for on in (False, True)}
        agents[False].run("Go.")
        off, on = (min(seconds_of(lambda: agents[on].run("Go.")) for _ in range(2)) for on in (False, True))
        name = f"{calls} calls that take {', '.join(map(str, taken))} s"
        print(f"{name:>44} {off:8.2f} {on:8.2f} {on / off:7.2f}")
        backend.close()


def measure_cost(port: int) -> None:
    calls = 20
    backend = OpenAIBackend("m", base_url=f"http://127.0.0.1:{port}/calls/{calls}/gap/0/v1")
    spent = {}
    for on in (False, True):
        agent = Agent(backend, tools=[sleeping([0.0])], early_start=on)
        agent.run("Go.")
        rounds = []
        for _ in range(7):
            started = time.process_time()
            for _ in range(10):
                agent.run("Go.")
            rounds.append((time.process_time() - started) / 10)
        spent[on] = min(rounds)
    backend.close()
    extra = (spent[True] - spent[False]) * 1_000_000 / (calls * TOKENS_PER_CALL)
    print(f"\nCPU of a run with {calls * TOKENS_PER_CALL} tokens: off {spent[False] * 1000:.1f} ms, on ", end="")
    print(f"{spent[True] * 1000:.1f} ms: {extra:.0f} microseconds per token for the stream")


def main() -> None:
    with ready() as port:
        measure_gain(port)
        measure_cost(port)


if __name__ == "__main__":
    main()
