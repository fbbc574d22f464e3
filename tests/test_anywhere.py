"""One agent, many threads; runs in running event loops, in tools, after a fork, and at the end of the program."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from agentkit import Agent, Context, Limits, tool
from agentkit.net import connections, outgoing
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, Asked, calls, serve, whole

ROOT = Path(__file__).parents[1]


@tool(read_only=True)
def look_up(topic: str, ctx: Context) -> str:
    """Look something up."""
    return f"{topic} for {ctx.deps}"


def test_sixty_four_threads_run_one_agent_twelve_times_without_cross_talk() -> None:
    def reply(messages: list[Any]) -> Any:
        asked = messages[0]["content"]
        if messages[-1]["role"] == "tool":
            return f"Told {asked}: {messages[-1]['content'].splitlines()[1]}"
        return ("look_up", {"topic": asked})

    agent = Agent(ScriptedBackend(*[reply] * (64 * 12 * 2)), tools=[look_up])
    start = threading.Barrier(64)

    def work(number: int) -> list[str]:
        start.wait()
        return [agent.run(f"q{number}-{turn}", deps=number).output for turn in range(12)]

    with ThreadPoolExecutor(64) as pool:
        for number, outputs in enumerate(pool.map(work, range(64))):
            assert outputs == [f"Told q{number}-{turn}: q{number}-{turn} for {number}" for turn in range(12)]


def test_threads_share_the_connections_of_one_backend() -> None:
    def reply(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        if messages[-1]["role"] == "tool":
            return whole(f"Told {messages[0]['content']}.")
        return calls(("look_up", {"topic": messages[0]["content"]}))

    with serve(reply) as server, Agent(f"openai:m@{server.url}", tools=[look_up]) as agent:
        with ThreadPoolExecutor(16) as pool:
            outputs = list(pool.map(lambda number: agent.run(f"q{number}").output, range(64)))
    assert outputs == [f"Told q{number}." for number in range(64)]


def test_a_run_works_inside_a_running_event_loop() -> None:
    agent = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Done."), tools=[look_up])

    async def handler() -> str:
        return str(agent.run("Go.").output)

    assert asyncio.run(handler()) == "Done."


def test_an_async_tool_works_inside_a_running_event_loop() -> None:
    @tool
    async def later(text: str) -> str:
        """Echo later."""
        await asyncio.sleep(0.01)
        return text

    agent = Agent(ScriptedBackend(("later", {"text": "x"}), "Done."), tools=[later])

    async def handler() -> Any:
        return agent.run("Go.")

    assert asyncio.run(handler()).tool_calls[0].response == "x"


def test_a_run_works_inside_a_tool_of_a_run() -> None:
    inner = Agent(ScriptedBackend(*["Inner."] * 8))

    @tool(read_only=True, timeout=10)
    def ask(question: str) -> str:
        """Ask another agent."""
        return str(inner.run(question).output)

    backend = ScriptedBackend([("ask", {"question": str(number)}) for number in range(8)], "Outer.")
    result = Agent(backend, tools=[ask]).run("Go.")
    assert [record.response for record in result.tool_calls] == ["Inner."] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_run_works_in_the_child_of_a_fork() -> None:
    code = (
        "import os\n"
        "from agentkit import Agent, tool\n"
        "from agentkit.testing import ScriptedBackend\n\n"
        "@tool(read_only=True, timeout=5)\n"
        "def look_up(topic: str) -> str:\n"
        '    """Look up."""\n'
        "    return topic\n\n"
        "def run():\n"
        '    calls = [("look_up", {"topic": "x"}), ("look_up", {"topic": "y"})]\n'
        '    return Agent(ScriptedBackend(calls, "Done."), tools=[look_up]).run("Go.").output\n\n'
        "assert run() == 'Done.'\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if run() == 'Done.' else 1)\n"
        "_, status = os.waitpid(child, 0)\n"
        "assert status == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=20, check=True)


def test_a_run_works_at_the_end_of_the_program() -> None:
    code = (
        "import atexit\n"
        "from agentkit import Agent, tool\n"
        "from agentkit.testing import ScriptedBackend\n\n"
        "@tool\n"
        "def look_up(topic: str) -> str:\n"
        '    """Look up."""\n'
        "    return topic\n\n"
        "def last():\n"
        '    agent = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Done."), tools=[look_up])\n'
        '    print(agent.run("Go.").output)\n\n'
        "atexit.register(last)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=20, capture_output=True, text=True, check=True
    )
    assert done.stdout == "Done.\n"


def _without_names(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a module as the interpreter does at the end of a program, before it frees what other modules hold."""
    for name in [name for name in vars(module) if not name.startswith("__")]:
        monkeypatch.setattr(module, name, None)


def test_a_connection_that_outlives_its_module_is_closed_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = connections.Connections(f"http://127.0.0.1:{listener.getsockname()[1]}").take(5)
        server, _ = listener.accept()
    with server, monkeypatch.context() as patched:
        _without_names(connections, patched)
        del connection  # a failure there would fail the test
        assert server.recv(1) == b""


def test_a_client_for_asyncio_that_outlives_its_module_is_freed_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    client = outgoing.async_httpx_client("http://127.0.0.1:1")
    with monkeypatch.context() as patched:
        _without_names(outgoing, patched)
        patched.setattr(sys, "meta_path", None)
        patched.delitem(sys.modules, "asyncio", raising=False)
        del client
        gc.collect()


@pytest.mark.parametrize("count", [1, 8])
def test_a_hung_tool_hangs_neither_the_run_nor_the_program(count: int) -> None:
    code = (
        "import time\n"
        "from agentkit import Agent, tool\n"
        "from agentkit.testing import ScriptedBackend\n\n"
        "@tool(read_only=True, timeout=0.3)\n"
        "def hang() -> str:\n"
        '    """Hang."""\n'
        "    time.sleep(60)\n\n"
        f'agent = Agent(ScriptedBackend([("hang", {{}})] * {count}, "Done."), tools=[hang])\n'
        "started = time.monotonic()\n"
        'result = agent.run("Go.")\n'
        "print(time.monotonic() - started, time.time())\n"
        "assert 'did not finish within 0.3 seconds' in result.tool_calls[0].response\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=20, capture_output=True, text=True, check=True
    )
    ended = time.time()
    took, at = map(float, done.stdout.split())
    assert took < 0.6 + 0.5  # tolerance for a busy machine
    assert ended - at < 1.5


def test_limits_are_the_runs_own_in_threads() -> None:
    def reply(messages: list[Any]) -> Any:
        if "No more tool calls" in str(messages[-1]["content"]):
            return "Enough."
        return ("look_up", {"topic": str(len(messages))})

    agent = Agent(ScriptedBackend(*[reply] * 200), tools=[look_up], limits=Limits(tool_calls=5))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: agent.run("Go."), range(16)))
    assert {(result.stopped, result.usage.tool_calls) for result in results} == {("tool_calls", 5)}


CELL = """
import asyncio
import gc
from agentkit import Agent, tool
from agentkit.net import connections, outgoing
from agentkit.testing import ScriptedBackend

@tool(read_only=True, timeout=10)
def look_up(topic: str) -> str:
    "Look up."
    return topic

@tool
async def later(text: str) -> str:
    "Echo later."
    await asyncio.sleep(0.01)
    return text

asyncio.get_running_loop()  # there is one, as in every cell
calls = [("look_up", {"topic": "x"}), ("look_up", {"topic": "y"}), ("later", {"text": "z"})]
result = Agent(ScriptedBackend(calls, "Done."), tools=[look_up, later]).run("Go.")
result.output, [record.response for record in result.tool_calls]
"""


def test_a_run_works_in_a_jupyter_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    try:
        shown: list[str] = []
        reply = client.execute_interactive(
            CELL, timeout=60, output_hook=lambda message: shown.append(str(message["content"]))
        )
        assert reply["content"]["status"] == "ok", shown
        assert "('Done.', ['x', 'y', 'z'])" in "".join(shown)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
