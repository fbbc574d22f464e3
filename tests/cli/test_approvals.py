"""Calls that wait for a person at the terminal: what is asked, what an answer means, what the command knows of all."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.cli import app
from agentkit.limits import Limits, Usage, left_of
from tests.cli.test_ask import REAL, environment
from tests.support.model_server import Answer, calls, serve, whole
from tests.support.waiting import until

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
TOOLS = """
import agentkit
from agentkit import tool

@tool(read_only=True)
def look(n: int) -> str:
    "Look."
    return f"seen {n}"

@tool(approve=True)
def pay(n: int) -> str:
    "Pay."
    return f"paid {n}"

def asks(name, **schema):
    def work(ctx: agentkit.Context) -> str:
        "Ask."
        return f"got {ctx.ask('Which?', {'type': 'object', **schema})!r}"
    return tool(work, name=name)

COLOURS = {"Colour": {"enum": ["1", "2"]}}
text_or_null = asks("text_or_null", properties={"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
types = asks("types", properties={"x": {"type": ["string", "null"]}})
choice = asks("choice", properties={"x": {"enum": ["1.10", "2"]}})
reference = asks("reference", properties={"x": {"$ref": "#/$defs/Colour"}}, **{"$defs": COLOURS})
number = asks("number", properties={"x": {"type": "number"}})
TITLED = [{"const": "hi", "title": "High Priority"}, {"const": "lo", "title": "Low"}]
titled = asks("titled", properties={"x": {"type": "string", "oneOf": TITLED}})
several = asks("several", properties={"x": {"type": "array", "items": {"anyOf": TITLED}}})
ONE = {"$ref": "#/$defs/Colour"}
colours = asks("colours", properties={"x": {"type": "array", "items": ONE}}, **{"$defs": COLOURS})
numbers = asks("numbers", properties={"x": {"enum": [1, 2]}})
names = asks("names", properties={"x": {"type": "string", "enum": ["a", "b"], "enumNames": ["Ann", "Bob"]}})
anything = asks("anything", properties={"x": {}})
default = asks("default", properties={"x": {"type": "boolean", "default": True}})
"""


class Terminal(io.StringIO):
    """A terminal at which lines are typed. At the end of them there is Ctrl-D, or Ctrl-C."""

    def __init__(self, typed: str, interrupts: bool = False) -> None:
        super().__init__(typed)
        self._interrupts = interrupts

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        line = super().readline(-1 if size is None else size)
        if not line and self._interrupts:
            raise KeyboardInterrupt
        return line


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `agentkit ask` at a terminal; returns standard output, standard error and the number of requests."""
    (tmp_path / "asking_tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(answers: list[Answer], terminal: Terminal, *tools: str, options: tuple[str, ...] = ()) -> Any:
        monkeypatch.setattr(sys, "stdin", terminal)
        given = [word for name in tools for word in ("-T", f"asking_tools:{name}")]
        with serve(answers) as server, pytest.raises(SystemExit):
            app(["ask", "do it now", "-m", f"openai:m@{server.url}", *given, *options])
        return (*capsys.readouterr(), len(server.requests))

    return ask


def call(name: str, **arguments: Any) -> Answer:
    return calls((name, arguments), usage=USAGE)


def test_ctrl_c_at_a_question_lists_the_calls_that_have_run(ask: Callable[..., Any]) -> None:
    answers = [call("look", n=1), call("pay", n=1), call("pay", n=2)]
    _, said, _ = ask(answers, Terminal("y\n", interrupts=True), "look", "pay")
    assert "interrupted; completed tool calls: look (" in said
    assert "), pay (" in said


def test_json_is_of_the_whole_with_what_was_before_an_approval(ask: Callable[..., Any]) -> None:
    answers = [call("look", n=1), call("pay", n=1), whole("done", usage=USAGE)]
    told, _, requests = ask(answers, Terminal("y\n"), "look", "pay", options=("--json",))
    found = json.loads(told)
    assert [each["name"] for each in found["tool_calls"]] == ["look", "pay"]
    assert (found["usage"]["requests"], found["usage"]["input_tokens"], found["usage"]["tool_calls"]) == (3, 300, 2)
    assert [each["requests"] for each in found["models"].values()] == [requests] == [3]


def test_a_limit_is_one_of_all_that_approvals_have_interrupted(ask: Callable[..., Any]) -> None:
    answers = [*(call("pay", n=number) for number in range(5)), whole("done", usage=USAGE)]
    _, said, requests = ask(answers, Terminal("y\n" * 6), "pay", options=("--max-turns", "2"))
    assert requests == 3
    assert "limit on turns reached" in said
    assert said.count("✓ pay") == 2


def test_what_is_left_of_limits() -> None:
    assert left_of(Limits(), Usage(requests=25)) == left_of(Limits(), Usage(requests=30))
    left = left_of(Limits(turns=None, tokens=100, cost=1.0, tool_calls=2), Usage(2, 50, 0, 20, cost=0.25, tool_calls=1))
    assert (left.turns, left.tokens, left.cost, left.tool_calls) == (None, 30, 0.75, 1)


@pytest.mark.parametrize("typed", ["", "-\n"])
def test_ctrl_d_is_no_answer(ask: Callable[..., Any], typed: str) -> None:
    _, said, _ = ask([call("default"), whole("done", usage=USAGE)], Terminal(typed), "default")
    assert "x (Enter: true) (- refuses)" in said
    assert "✗ default" in said
    _, said, _ = ask([call("pay", n=1), whole("done", usage=USAGE)], Terminal(""), "pay")
    assert "✗ pay" in said


@pytest.mark.parametrize(
    ("tool", "typed", "got"),
    [
        *(("text_or_null", "1.10", "1.10"), ("text_or_null", "12e4", "12e4"), ("text_or_null", "null", "null")),
        *(("text_or_null", "1e999", "1e999"), ("types", "1.10", "1.10"), ("choice", "1.10", "1.10")),
        *(("reference", "2", "2"), ("number", "2.5", 2.5), ("anything", "[1, 2]", [1, 2]), ("anything", "a b", "a b")),
        *(("anything", "1e999", "1e999"), ("anything", "NaN", "NaN"), ("default", "false", False)),
        *(("titled", "hi", "hi"), ("titled", "high priority", "hi"), ("several", "hi, Low", ["hi", "lo"])),
        *(("several", '["lo"]', ["lo"]), ("colours", "1,2", ["1", "2"]), ("numbers", "2", 2), ("names", "Bob", "b")),
        *(("default", "no", False), ("default", "y", True)),
    ],
)
def test_what_is_typed_is_a_text_where_the_schema_allows_one(
    ask: Callable[..., Any], tool: str, typed: str, got: Any
) -> None:
    _, said, _ = ask([call(tool), whole("done", usage=USAGE)], Terminal(f"{typed}\n-\n"), tool)
    assert f"got { ({'x': got})!r}" in said
    assert said.count("It asks") == 1


@pytest.mark.parametrize(
    ("tool", "shown"),
    [
        ("titled", "[hi (High Priority) | lo (Low)]"),
        ("several", "[hi (High Priority) | lo (Low), several with commas]"),
        ("colours", "[1 | 2, several with commas]"),
        ("names", "[a (Ann) | b (Bob)]"),
    ],
)
def test_what_may_be_chosen_is_shown(ask: Callable[..., Any], tool: str, shown: str) -> None:
    """The forms of MCP 2025-11-25 for choices: modelcontextprotocol/go-sdk#795, PrefectHQ/fastmcp#3731."""
    _, said, _ = ask([call(tool), whole("done", usage=USAGE)], Terminal("-\n"), tool)
    assert f"x {shown}" in said


SERVER = """
import json, os, sys, time
open("pid", "w").write(str(os.getpid()))
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "initialize":
        info = {"name": "x", "version": "1"}
        r = {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}}
    elif m.get("method") == "tools/list":
        r = {"result": {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]}}
    else:
        r = {"error": {"code": -32601, "message": "no"}}
    if "id" in m:
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], **r}), flush=True)
time.sleep(10**6)  # it does not end at the end of its input
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("command", ["ask", "chat", "a tool of ask"])
def test_mcp_servers_end_with_the_command_that_a_signal_ends(tmp_path: Path, command: str, number: int) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "slow.py").write_text(
        "import time\ndef sleep() -> str:\n    'Sleep.'\n    time.sleep(60)\n    return ''\n"
    )
    never = threading.Event()
    replies = [calls(("sleep", {}))] if command == "a tool of ask" else [Answer(b" ", hold=never)]
    with serve(replies) as server:
        words = ["chat"] if command == "chat" else ["ask", "Do it."]
        words += ["-m", f"openai:m@{server.url}", "--mcp", f"{sys.executable} server.py", "-T", "slow:sleep"]
        process = subprocess.Popen(
            [*REAL, *words],
            cwd=tmp_path,
            env=environment(HOME=str(tmp_path)),
            stdin=subprocess.PIPE if command == "chat" else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if process.stdin is not None:
            process.stdin.write("Do it.\n")
            process.stdin.flush()
        until(lambda: server.requests and (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 60)
        time.sleep(0.5)
        pid = int((tmp_path / "pid").read_text())
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        never.set()
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    until(lambda: not is_alive(pid))
