"""Servers start side by side; one that fails leaves the agent with the tools of the others."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, tool
from agentkit.mcp import MCP, Gone
from agentkit.mcp.settings import Settings
from agentkit.testing import ScriptedBackend
from tests.mcp.tools.planned import SERVER, Make, Planned, answer, entry, text, until


@tool
def own() -> str:
    """Does something of its own."""
    return "own"


def sent(backend: ScriptedBackend, request: int = 0) -> list[str]:
    return [each["function"]["name"] for each in backend.requests[request].tools]


def test_a_server_whose_command_is_not_found_leaves_the_others(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend("ok", "ok")
    agent = Agent(backend, tools=[MCP("no-such-command --key sesame", name="files"), server(entry("a")), own])
    assert agent.run("Go on.").output == "ok"
    assert sent(backend) == ["a", "own"]
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warning.startswith("MCP server files: it can't be used, and its tools are missing: ")
    assert "'no-such-command'" in warning
    assert "sesame" not in caplog.text


def test_a_server_that_ends_at_its_start_leaves_the_others(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    code = "import sys; print('no such folder', file=sys.stderr); sys.exit(3)"
    backend = ScriptedBackend("ok")
    tools = [MCP([sys.executable, "-S", "-c", code], name="files"), server(entry("a"))]
    assert Agent(backend, tools=tools).run("Go on.").output == "ok"
    assert sent(backend) == ["a"]
    assert "no such folder" in caplog.text


def test_a_strict_server_that_fails_raises(server: Make) -> None:
    code = "import sys; sys.exit(3)"
    agent = Agent(
        ScriptedBackend("ok"), tools=[MCP([sys.executable, "-S", "-c", code], strict=True), server(entry("a"))]
    )
    with pytest.raises(Gone) as caught:
        agent.run("Go on.")
    assert caught.value.status == 3
    agent = Agent(ScriptedBackend("ok"), tools=[MCP("no-such-command", strict=True)])
    with pytest.raises(ConfigurationError, match="no-such-command"):
        agent.run("Go on.")


def test_the_next_run_tries_again(planned: Planned, tmp_path: Path) -> None:
    planned.set(entry("a"))
    switch = tmp_path / "on"
    code = (
        f"import os, sys, runpy; sys.argv[1:] = {planned.words()[-2:]!r}\n"
        f"if not os.path.exists({str(switch)!r}): sys.exit(3)\n"
        f"runpy.run_path({str(SERVER)!r}, run_name='__main__')"
    )
    backend = ScriptedBackend("ok", "ok")
    with MCP([sys.executable, "-S", "-c", code], name="files") as files:
        agent = Agent(backend, tools=[files])
        agent.run("Go on.")
        switch.touch()
        until(files.tools)  # for as long as a failed start took, none follows
        agent.run("Go on.")
    assert (sent(backend, 0), sent(backend, 1)) == ([], ["a"])


def test_a_program_that_looks_at_the_tools_is_told_what_went_wrong() -> None:
    files = MCP("no-such-command")
    for look in (list, lambda each: each["a"](), lambda each: "a" in each):
        with pytest.raises(ConfigurationError, match="no-such-command"):
            look(files)
    with pytest.raises(ConfigurationError):
        files.resources()


def test_servers_start_side_by_side(tmp_path: Path) -> None:
    """Each of three servers waits for the two others to be started, too."""
    code = (
        "import os, sys, time, runpy; folder = sys.argv.pop(1)\n"
        "open(os.path.join(folder, str(os.getpid())), 'w').close()\n"
        "while len(os.listdir(folder)) < 3: time.sleep(0.01)\n"
        f"runpy.run_path({str(SERVER)!r}, run_name='__main__')"
    )
    (tmp_path / "started").mkdir()
    servers = []
    for name in "abc":
        (tmp_path / name).mkdir()
        plan = Planned(tmp_path / name)
        plan.set(entry(name))
        words = [sys.executable, "-S", "-c", code, str(tmp_path / "started"), *plan.words()[-2:]]
        servers.append(MCP(words, name=name))
    backend = ScriptedBackend("ok")
    Agent(backend, tools=servers).run("Go on.")
    assert sent(backend) == ["a", "b", "c"]
    for each in servers:
        each.close()


def test_servers_of_a_run_start_side_by_side_again(planned: Planned) -> None:
    planned.set(entry("a"))
    servers = [MCP(planned.words(), name=name) for name in "xy"]
    backend = ScriptedBackend("ok")
    Agent(backend).run("Go on.", tools=servers)
    assert sent(backend) == ["x_a", "y_a"]
    for each in servers:
        each.close()


def test_one_server_may_stand_for_the_whole_list(server: Make) -> None:
    backend = ScriptedBackend("ok")
    Agent(backend, tools=server(entry("a"))).run("Go on.")
    assert sent(backend) == ["a"]


def test_a_server_is_shared_by_threads_that_run_at_once(server: Make, planned: Planned) -> None:
    files = server(entry("a"), results={"a": text("Hello")})
    outputs: list[str] = []

    def run() -> None:
        result = Agent(ScriptedBackend(("a", {}), "ok"), tools=[files]).run("Go on.")
        outputs.append(result.tool_calls[0].response)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert outputs == ["Hello"] * 8
    assert len(planned.starts) == 1
    assert len(planned.requests("tools/list")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_a_server_of_its_own(server: Make, planned: Planned) -> None:
    files = server(entry("a"))
    assert answer(files, "a").text == "{}"
    child = os.fork()
    if child == 0:
        os._exit(0 if answer(files, "a").text == "{}" and len(files.tools()) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert answer(files, "a").text == "{}"
    assert len(planned.starts) == 2


def test_a_server_ends_with_its_program(planned: Planned) -> None:
    planned.set(entry("a"))
    code = f"from agentkit.mcp import MCP; list(MCP({planned.words()!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    (pid,) = planned.starts
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the server is still there")


def test_importing_it_and_making_one_loads_neither_asyncio_nor_jsonschema_nor_requests() -> None:
    code = (
        "import sys, agentkit.mcp; from agentkit.mcp import MCP, Gone; MCP('some-server').only('a')\n"
        "print(*({'asyncio', 'anyio', 'jsonschema', 'requests', 'openai', 'httpx', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_a_run_with_a_server_loads_no_asyncio(planned: Planned) -> None:
    planned.set(entry("a"))
    code = (
        "import sys; from agentkit import Agent; from agentkit.mcp import MCP\n"
        "from agentkit.testing import ScriptedBackend\n"
        f"Agent(ScriptedBackend(('a', {{}}), 'ok'), tools=[MCP({planned.words()!r})]).run('Go on.')\n"
        "print(*({'asyncio', 'anyio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == ""


# Bad arguments

BAD: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "an empty command": ((" ",), {}, "empty"),
    "an empty list": (([],), {}, "empty"),
    "no text": ((3,), {}, "a command, its words in a list, or an http"),
    "bytes": ((b"npx",), {}, "a command"),
    "a list of numbers": ((["npx", 3],), {}, "a list of texts"),
    "an unbalanced quote": (("npx 'a",), {}, "can't be split"),
    "a host without a scheme": (("tools.example.com/mcp",), {}, "write its scheme: https://tools.example.com/mcp"),
    "a port without a scheme": (("localhost:8000",), {}, "write its scheme"),
    "a query is not shown": (("tools.example.com/mcp?key=sesame",), {}, r"scheme: https://tools\.example\.com/mcp$"),
    "another scheme": (("ws://tools.example/mcp",), {}, "http:// or https://"),
    "no host": (("https:///mcp",), {}, "not the address"),
    "a timeout of 0": (("s",), {"timeout": 0}, "above 0"),
    "a negative timeout": (("s",), {"timeout": -1}, "above 0"),
    "an endless timeout": (("s",), {"timeout": float("inf")}, "above 0"),
    "no timeout": (("s",), {"timeout": None}, "above 0"),
    "a timeout that is none": (("s",), {"timeout": "30"}, "above 0"),
    "a number in env": (("s",), {"env": {"PORT": 8080}}, "env.*'PORT'"),
    "an env that is none": (("s",), {"env": ["A=b"]}, "env is a dict"),
    "a cwd that is none": (("s",), {"cwd": 3}, "cwd=3"),
    "an empty name": (("s",), {"name": " "}, "name=' '"),
    "headers of a command": (("s",), {"headers": {}}, "is for the address of a server"),
    "auth of a command": (("s",), {"auth": print}, "is for the address of a server"),
    "env of an address": (("https://a/b",), {"env": {}}, "is for a command"),
    "cwd of an address": (("https://a/b",), {"cwd": "."}, "is for a command"),
    "a header that is none": (("https://a/b",), {"headers": {"A b": "c"}}, "'A b' is not the name of a header"),
    "a header of two lines": (("https://a/b",), {"headers": {"A": "sesame\nB: c"}}, "A contains a line break"),
    "a header of another alphabet": (("https://a/b",), {"headers": {"A": "Bearer é sesame"}}, "can't be sent"),
    "a header of our own": (("https://a/b",), {"headers": {"Accept": "sesame"}}, "leave it out"),
    "headers in a list": (("https://a/b",), {"headers": ["A"]}, "a mapping of texts"),
    "auth that is none": (("https://a/b",), {"auth": ("user", "password")}, "auth=...): a function, not tuple"),
    "ask that is none": (("s",), {"ask": True}, "ask=...): a function, not bool"),
    "strict that is none": (("s",), {"strict": 1}, "strict=1"),
    "trust that is none": (("s",), {"trust_hints": "yes"}, "trust_hints='yes'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_can_not_work_are_an_error_at_once(name: str) -> None:
    given, options, error = BAD[name]
    with pytest.raises(ConfigurationError, match=error.replace("...)", r"\.\.\.\)")) as caught:
        MCP(*given, **options)
    assert "sesame" not in str(caught.value)


def test_a_folder_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigurationError, match="/no/such/folder"):
        list(MCP([sys.executable], cwd="/no/such/folder"))


LABELS = [
    ("npx -y @modelcontextprotocol/server-filesystem /data", "filesystem"),
    ("npx some-mcp-server@1.2.3", "some"),
    ("uvx mcp-server-git --repository .", "git"),
    ("uv run --quiet server.py", "server"),
    ("python -m mcp_server_time", "time"),
    ("node /opt/server-memory/dist/index.js", "memory"),
    ("/usr/local/bin/github-mcp-server stdio", "github"),
    ("https://mcp.deepwiki.com/mcp", "deepwiki"),
    ("https://127.0.0.1:8000/mcp", "127_0_0_1"),
    ("HTTPS://tools.example/mcp", "example"),
    ("mcp", "mcp"),
]


@pytest.mark.parametrize(("server", "label"), LABELS)
def test_a_server_has_a_name(server: str, label: str) -> None:
    assert Settings(server).label == label


def test_a_server_may_be_given_a_name() -> None:
    assert MCP("some-server", "My files!").label == "My_files"
