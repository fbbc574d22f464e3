"""The overhead of agentkit over a bare HTTP transport, as ratios measured in one run.

    make bench        or        python -m benchmarks.overhead [--quick]

Three programs do the same work on the same loopback server with prepared answers: a hand-written loop on http.client,
the openai client as a bare transport (`client.post` with prepared bytes, each message encoded once), and agentkit.
Numbers are CPU milliseconds per turn of the measuring process, the minimum of several interleaved rounds; the targets
are those of docs/architecture.md.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
from openai import OpenAI, Stream

from agentkit import Agent, Limits, tool
from agentkit.backends import OpenAIBackend
from benchmarks.ready_server import ready

QUESTION = "When is the tide high?"
INSTRUCTIONS = "You are a research assistant."


def look_up(topic: str) -> str:
    """Look a topic up.

    Args:
        topic: What to look up.
    """
    return f"All there is to know about {topic}, in a paragraph of the usual length. " * 4


TOOL = tool(read_only=True)(look_up)
TOOLS = json.dumps([TOOL.schema]).encode()
UNLIMITED = Limits(turns=None, repeats=None)


class Wire:
    """The bytes of a conversation, each message encoded once, as efficient hand-written code would do it."""

    def __init__(self, stream: bool) -> None:
        options = {"model": "m", "stream": stream} | ({"stream_options": {"include_usage": True}} if stream else {})
        self.head = json.dumps(options).encode()[:-1] + b',"tools":' + TOOLS + b',"messages":['
        self.encoded: list[bytes] = []
        self.add({"role": "system", "content": INSTRUCTIONS})
        self.add({"role": "user", "content": QUESTION})

    def add(self, message: dict[str, Any]) -> None:
        self.encoded.append(json.dumps(message).encode())

    def body(self) -> bytes:
        return self.head + b",".join(self.encoded) + b"]}"

    def take(self, message: dict[str, Any]) -> bool:
        """Store a reply and run its calls. Returns False when there are none."""
        self.add(message)
        for call in message.get("tool_calls") or ():
            text = look_up(**json.loads(call["function"]["arguments"]))
            content = f"<tool_response>\n{text}\n</tool_response>"
            self.add({"role": "tool", "tool_call_id": call["id"], "content": content})
        return bool(message.get("tool_calls"))


def joined(chunks: Any) -> dict[str, Any]:
    """The message assembled from the chunks of a stream."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            for part in delta.get("tool_calls") or ():
                calls = message.setdefault("tool_calls", [])
                if part["index"] == len(calls):
                    calls.append({"id": part["id"], "type": "function", "function": dict(part["function"])})
                else:
                    calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    return message


def http_client_loop(port: int, path: str, stream: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    wire, going = Wire(stream), True
    while going:
        connection.request("POST", path + "/chat/completions", wire.body(), {"content-type": "application/json"})
        response = connection.getresponse()
        if stream:
            lines = (line[6:] for line in response if line.startswith(b"data: {"))
            going = wire.take(joined(map(json.loads, lines)))
            response.read()  # lets http.client reuse the connection
        else:
            going = wire.take(json.loads(response.read())["choices"][0]["message"])
    connection.close()


def bare_loop(client: OpenAI, stream: bool) -> None:
    wire, going = Wire(stream), True
    options: Any = {"headers": {"content-type": "application/json"}}
    while going:
        if stream:
            chunks = client.post(
                "/chat/completions",
                cast_to=object,
                content=wire.body(),
                options=options,
                stream=True,
                stream_cls=Stream[object],
            )
            going = wire.take(joined(chunks))
        else:
            response = client.post("/chat/completions", cast_to=httpx2.Response, content=wire.body(), options=options)
            going = wire.take(response.json()["choices"][0]["message"])


def agent_loop(agent: Agent, stream: bool) -> None:
    if stream:
        for _ in agent.stream(QUESTION):
            pass
    else:
        agent.run(QUESTION)


def cpu_per_turn(work: Callable[[], None], turns: int, runs: int) -> float:
    """CPU milliseconds per turn."""
    started = time.process_time()
    for _ in range(runs):
        work()
    return (time.process_time() - started) * 1000 / (turns + 1) / runs


def minimum_of(programs: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The minimum of several rounds, in which the programs alternate."""
    taken = [{name: program() for name, program in programs.items()} for _ in range(rounds)]
    return {name: min(each[name] for each in taken) for name in programs}


def measure_turns(port: int, rounds: int) -> None:
    print("\nCPU ms per turn (and as a ratio to the bare transport; target 1.25)")
    print(f"{'':>24} {'http.client':>12} {'bare openai':>12} {'agentkit':>12} {'ratio':>7}")
    for stream in (False, True):
        for turns in (1, 10, 100, 300):
            path = f"/turns/{turns}/ms/0/v1"
            url = f"http://127.0.0.1:{port}{path}"
            client = OpenAI(api_key="x", base_url=url)
            backend = OpenAIBackend("m", base_url=url)
            agent = Agent(backend, tools=[TOOL], instructions=INSTRUCTIONS, limits=UNLIMITED, early_start=stream)
            runs = max(1, 200 // (turns + 1))
            found = minimum_of(
                {
                    "http": lambda: cpu_per_turn(lambda: http_client_loop(port, path, stream), turns, runs),
                    "bare": lambda: cpu_per_turn(lambda: bare_loop(client, stream), turns, runs),
                    "agentkit": lambda: cpu_per_turn(lambda: agent_loop(agent, stream), turns, runs),
                },
                rounds,
            )
            name = f"{turns} turns, {'streamed' if stream else 'whole'}"
            print(
                f"{name:>24} {found['http']:12.3f} {found['bare']:12.3f} {found['agentkit']:12.3f} "
                f"{found['agentkit'] / found['bare']:7.2f}"
            )
            client.close()
            backend.close()


def measure_import(rounds: int) -> None:
    code = "import resource, sys{}; print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) * 1000, len(sys.modules))"

    def cpu_and_modules(what: str) -> tuple[float, int]:
        cpu, modules = run_python(code.format(what)).split()
        return float(cpu), int(modules)

    empty = min(cpu_and_modules("") for _ in range(rounds))
    loaded = min(cpu_and_modules(", agentkit") for _ in range(rounds))
    print(f"\nimport agentkit: {loaded[0]:.0f} ms CPU with the interpreter's {empty[0]:.0f} (target 60), ", end="")
    print(f"{loaded[1]} modules (target 120)")


BARE_START = """
import httpx2
from openai import OpenAI
client = OpenAI(api_key="x", base_url={url!r})
client.post("/chat/completions", cast_to=httpx2.Response, content=b'{{"model":"m","messages":[]}}',
            options={{"headers": {{"content-type": "application/json"}}}})
"""
AGENT_START = """
from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
@tool(read_only=True)
def look_up(topic: str) -> str:
    \"\"\"Look a topic up.

    Args:
        topic: What to look up.
    \"\"\"
    return topic
Agent(OpenAIBackend("m", base_url={url!r}), tools=[look_up]).run("Hello")
"""


def measure_start(port: int, rounds: int) -> None:
    url = f"http://127.0.0.1:{port}/turns/0/ms/0/v1"

    def seconds(code: str) -> float:
        started = time.perf_counter()
        run_python(code.format(url=url))
        return time.perf_counter() - started

    found = minimum_of({"bare": lambda: seconds(BARE_START), "agentkit": lambda: seconds(AGENT_START)}, rounds * 2)
    print(f"\nprocess with one request: bare {found['bare']:.3f} s, agentkit {found['agentkit']:.3f} s, ", end="")
    print(f"ratio {found['agentkit'] / found['bare']:.2f} (target 1.15)")


def measure_parallel_tools(rounds: int) -> None:
    from agentkit.testing import ScriptedBackend

    @tool(read_only=True)
    def nap(number: int) -> int:
        """Sleep a little."""
        time.sleep(0.1)
        return number

    def once() -> float:
        calls = [("nap", {"number": number}) for number in range(8)]
        agent = Agent(ScriptedBackend(calls, "Done."), tools=[nap])
        started = time.perf_counter()
        agent.run("Go.")
        return time.perf_counter() - started

    milliseconds = min(once() for _ in range(rounds)) * 1000
    print(f"\n8 read-only tools of 100 ms in one reply: {milliseconds:.1f} ms (target 105)")


def measure_many_runs(port: int, rounds: int) -> None:
    url = f"http://127.0.0.1:{port}/turns/9/ms/50/v1"
    client = OpenAI(api_key="x", base_url=url)
    backend = OpenAIBackend("m", base_url=url)
    agent = Agent(backend, tools=[TOOL], instructions=INSTRUCTIONS, limits=UNLIMITED, early_start=False)

    def seconds(work: Callable[[], None]) -> float:
        threads = [threading.Thread(target=work) for _ in range(64)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    found = minimum_of(
        {
            "bare": lambda: seconds(lambda: bare_loop(client, False)),
            "agentkit": lambda: seconds(lambda: agent_loop(agent, False)),
        },
        rounds,
    )
    print(f"\n64 concurrent runs of 10 turns, 50 ms per reply: bare {found['bare']:.2f} s, agentkit ", end="")
    print(f"{found['agentkit']:.2f} s, ratio {found['agentkit'] / found['bare']:.2f} (target 1.20)")
    client.close()
    backend.close()


def run_python(code: str) -> str:
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        environment.pop("PYTHONDONTWRITEBYTECODE")
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cache, env=environment
        )
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of seven")
    rounds = 2 if parser.parse_args().quick else 7
    with ready() as port:
        measure_turns(port, rounds)
        measure_import(rounds)
        measure_start(port, rounds)
        measure_parallel_tools(rounds)
        measure_many_runs(port, rounds)


if __name__ == "__main__":
    main()
