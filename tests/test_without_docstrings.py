"""Programs without docstrings (`python -OO`, or frozen that way), and functions that no other process can import."""

import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from agentkit import tool
from agentkit.errors import ToolDefinitionError

ROOT = Path(__file__).parents[1]

PROGRAM = '''
import logging

from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

logging.basicConfig()

@tool
def get_weather(city: str) -> str:
    """Get the weather."""
    return f"sun in {city}"

@tool(description="Get the time.")
def get_time(city: str) -> str:
    """Get the time."""
    return "noon"

agent = Agent(ScriptedBackend(("get_weather", {"city": "Oslo"}), "Done."), tools=[get_weather, get_time])
print(agent.run("Go.").tool_calls[0].response, get_weather.description, get_time.description)
'''


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "COLUMNS": "200"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False)


def test_a_tool_without_its_docstring_works_and_a_warning_says_why() -> None:
    """huggingface/transformers#29689."""
    done = python("-OO", "-c", PROGRAM)
    assert done.stdout.strip() == "sun in Oslo get_weather Get the time."
    assert "tool get_weather: this program runs without docstrings (python -OO" in done.stderr
    assert "get_time" not in done.stderr
    assert python("-c", PROGRAM).stdout.strip() == "sun in Oslo Get the weather. Get the time."


def test_the_tools_of_the_pack_are_the_same_without_docstrings() -> None:
    command = (
        "-m",
        "agentkit",
        "tools",
        "--docs",
        "docs",
        "--tool",
        "search",
        "--tool",
        "visit",
        "--tool",
        "load_image",
    )
    with_docstrings, without = python(*command, "--json"), python("-OO", *command, "--json")
    assert without.stderr == ""
    assert without.stdout == with_docstrings.stdout
    assert "Search queries" in without.stdout


@pytest.mark.parametrize("command", [(), ("ask",), ("doctor",), ("serve",), ("chat",)])
def test_the_help_of_a_command_is_shown_without_docstrings(command: tuple[str, ...]) -> None:
    done = python("-OO", "-m", "agentkit", *command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "exec(compile('@tool(isolate=True)\\ndef f(x: int) -> int:\\n    \"Look.\"\\n    return x', '<cell>', 'exec'))",
        "@tool(isolate=True, description='Look.')\ndef f(x: int) -> int:\n    return x",
        "tool(isolate=True, name='f', description='Look.')(lambda x: x)",
    ],
)
def test_a_function_that_is_in_no_file_is_not_isolated(code: str) -> None:
    done = python("-c", f"from agentkit import tool\n{code}")
    assert "ToolDefinitionError: tool f: isolate=True runs it in another process" in done.stderr.splitlines()[-1]


def test_a_function_of_a_module_made_by_exec_is_not_isolated() -> None:
    namespace = {"__name__": __name__, "tool": tool}
    code = "@tool(isolate=True)\ndef made(x: int) -> int:\n    'Look.'\n    return x"
    with pytest.raises(ToolDefinitionError, match="in a file"):
        exec(code, namespace)  # noqa: S102


def test_a_function_of_a_frozen_program_is_not_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its executable is no interpreter: it would start the program again."""
    from tests.support import isolated_tools

    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ToolDefinitionError, match="in a file"):
        tool(isolate=True)(isolated_tools.add.function)


def test_a_function_of_a_notebook_is_not_isolated() -> None:
    """jupyter/notebook#6258."""
    code = "from agentkit import tool\n@tool(isolate=True)\ndef look(x: int) -> int:\n    'Look.'\n    return x\n"
    manager, client = start_new_kernel(cwd=str(ROOT))
    try:
        shown: list[str] = []
        client.execute_interactive(
            code, timeout=30, output_hook=lambda message: shown.append(message["content"].get("evalue", ""))
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert any("tool look: isolate=True" in text and "notebook" in text for text in shown), shown
