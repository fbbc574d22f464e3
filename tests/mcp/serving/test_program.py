"""The server as a program: `serve()`, and `agentkit mcp-serve`."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli import app
from tests.support.mcp_clients import (
    PATIENCE,
    ROOT,
    call_of,
    initialize,
    post,
    request,
    started,
    text_of,
)
from tests.support.waiting import until

TOOLS = ["-m", "tests.support.mcp_tools"]
COMMAND = ["-m", "agentkit", "mcp-serve"]


def test_standard_output_has_nothing_but_the_protocol() -> None:
    with started(TOOLS) as (client, process):
        answer = client.ask(call_of("chatters"))
        assert text_of(answer) == "child 0, input ''"
        assert text_of(client.ask(call_of("add", 2, a=1, b=2))) == "3"
        client.sink.close()
        assert process.wait(PATIENCE) == 0
        assert client.receive() is None
        assert client.garbage == []
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        for each in ("printed", "written", "by descriptor", "by C", "by a child"):
            assert each in errors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_that_lacks_a_standard_stream_ends_or_serves(closed: str) -> None:
    message = json.dumps(call_of("add", a=1, b=2))
    line = f"printf '%s\\n' '{message}' | {sys.executable} -m tests.support.mcp_tools {closed}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")])}
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=PATIENCE, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    if closed == "2>&-":
        assert text_of(json.loads(done.stdout)) == "3"


def test_calls_that_run_when_the_input_ends_are_answered() -> None:
    with started(TOOLS) as (client, process):
        client.send(*(call_of("steps", number, count=1000) for number in range(3)))
        client.sink.close()
        assert sorted(client.receive()["id"] for _ in range(3)) == [0, 1, 2]
        assert process.wait(PATIENCE) == 0


CLIENT = """
import subprocess, sys
arguments = [sys.executable, "-m", "tests.support.mcp_tools"]
server = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\\n')
server.stdin.write(b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hang"}}\\n')
server.stdin.flush()
server.stdout.readline()
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_client_ends_the_server_though_a_tool_hangs() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")])}
    options: dict[str, object] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}
    with subprocess.Popen([sys.executable, "-c", CLIENT], **options) as client:  # type: ignore[call-overload]
        pid = int(client.stdout.readline())
        client.kill()
        client.wait(PATIENCE)
    until(lambda: is_gone(pid), PATIENCE)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def test_a_client_that_reads_nothing_while_it_writes_is_served() -> None:
    with started(TOOLS) as (client, _):
        number_of = 1000
        client.send(*(request("tools/list", number=number) for number in range(number_of)))
        assert [client.receive()["id"] for _ in range(number_of)] == list(range(number_of))


SEVERAL = """
from agentkit.tooling.toolset import Toolset
from tests.support.foreign_tools import AgnoFunction, SmolTool, Toolkit

@tool
def erase() -> str:
    'Erases.'
    return ''

@tool
def drop() -> str:
    'Drops.'
    return ''

@tool
def move() -> str:
    'Moves.'
    return ''

@tool(read_only=True)
def here() -> str:
    'Tells the place.'
    return ''

class Places(Toolset):
    label = 'places'
    made = [here, move]

    def tools(self):
        return self.made

one, kit, weather = [erase], Toolkit('mail', AgnoFunction('send', print, {'type': 'object'}, 'Sends.')), SmolTool()
places = Places()
"""


def test_the_command_serves_tools_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Harrison built the first marine chronometer.")
    (tmp_path / "mine.py").write_text(
        "from agentkit import tool\nprint('imported')\n"
        "@tool(read_only=True)\ndef now() -> str:\n    'Tells the time.'\n    return 'noon'\n"
        "@tool\ndef wipe() -> str:\n    'Wipes.'\n    return 'wiped'\n"
        "both = [now, wipe]\n" + SEVERAL
    )
    options = ["--tool", "mine:both", "--tool", "mine:now", "--docs", str(tmp_path)]
    options += [word for name in ("one", "kit", "places", "weather", "drop") for word in ("--tool", f"mine:{name}")]
    with started([*COMMAND, *options], cwd=tmp_path) as (client, process):
        names = [each["name"] for each in client.ask(request("tools/list"))["result"]["tools"]]
        assert names[:5] == ["now", "here", "weather", "drop", "search_documents"]
        assert text_of(client.ask(call_of("now"))) == "noon"
        client.sink.close()
        assert process.wait(PATIENCE) == 0
        assert client.garbage == []
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert "not served, since they may have effects: wipe, erase, send, move (--allow wipe" in said


def test_the_command_serves_an_agent() -> None:
    options = ["--agent", "research: answers with sources", "--model", "extractive", "--docs", "examples/documents"]
    with started([*COMMAND, *options], cwd=ROOT) as (client, _):
        listed = client.ask(request("tools/list"))["result"]["tools"]
        assert [(each["name"], each["description"]) for each in listed] == [("research", "answers with sources")]
        message = call_of("research", task="How accurate was Harrison's H4 on its voyage to Jamaica?")
        message["params"]["_meta"] = {"progressToken": 1}
        assert "Jamaica" in text_of(client.ask(message))
        assert client.others[0]["params"]["message"].startswith("research: ")


@contextlib.contextmanager
def over_http(*options: str) -> Iterator[tuple[tuple[str, int], subprocess.Popen[bytes]]]:
    arguments = [*COMMAND, "--tool", "tests.support.mcp_tools:add", "--http", "127.0.0.1:0", *options]
    with started(arguments, cwd=ROOT) as (_, process):
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        found = re.search(r"serving 1 tool on http://127\.0\.0\.1:(\d+)/mcp; press Ctrl-C", line)
        assert found, line
        yield ("127.0.0.1", int(found[1])), process


def test_the_command_serves_over_http_with_a_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("secret\n")
    with over_http("--token-file", str(token)) as (address, process):
        assert post(address, initialize()).status == 401
        known: dict[str, str | None] = {"Authorization": "Bearer secret"}
        assert post(address, initialize(), known).status == 200
        assert text_of(post(address, call_of("add", a=1, b=2), known).message) == "3"
        taken = CliRunner().invoke(app, ["mcp-serve", "--http", f"127.0.0.1:{address[1]}"])
        assert taken.exit_code == 1
        assert f"can't listen on 127.0.0.1:{address[1]}: address already in use" in taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert "secret" not in process.stderr.read().decode()


def test_ctrl_c_stops_a_program_that_serves() -> None:
    with started([*TOOLS, "127.0.0.1:0"]) as (_, process):
        assert process.stderr is not None
        found = re.search(rb"on http://127\.0\.0\.1:(\d+)/mcp", process.stderr.readline())
        assert found
        assert post(("127.0.0.1", int(found[1])), request("ping")).status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tool", "no-such"], "there is no such tool"),
        (["--tool", "no.such:thing"], "can't be imported"),
        (["--tool", "tests.support.mcp_tools:UNREACHABLE"], "nobody answers"),
        (["--docs", "/no/such/folder"], "/no/such/folder"),
        (["--allow", "wipe"], "none of the tools has that name"),
        (["--http", "8931"], "host:port"),
        (["--http", "0.0.0.0:0"], "without a token"),
        (["--agent", "research"], "write a name and what it does"),
        (["--agent", "re search: answers", "--model", "extractive"], "re search"),
        (["--agent", "research: answers", "--model", "no-such:x"], "no-such"),
        (["--model", "extractive"], "are for --agent"),
        (["--token-file", "x"], "--http"),
        (["--allow-origin", "http://localhost:6274"], "--allow-origin is for --http"),
        (["--http", "127.0.0.1:0", "--allow-origin", "*"], "is not the origin of a web page"),
        (["--http", "127.0.0.1:0", "--token-file", "/no/such/file"], "no such file"),
        (["--http", "127.0.0.1:0", "--token-file", "/"], "is a directory"),
    ],
    ids=lambda each: " ".join(each)[:40] if isinstance(each, list) else "",
)
def test_a_wrong_option_is_explained(options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["mcp-serve", *options])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("mode", "content", "said"),
    [(0o644, "x", "chmod 600"), (0o660, "x", "chmod 600"), (0o600, " \n", "empty"), (0o600, "a b", "one word")],
    ids=["all", "group", "empty", "words"],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path: Path, mode: int, content: str, said: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    result = CliRunner().invoke(app, ["mcp-serve", "--http", "127.0.0.1:0", "--token-file", str(path)])
    assert result.exit_code == 2
    assert said in result.stderr
