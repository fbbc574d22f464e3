"""`--mcp` on the command line, and MCP servers of the HTTP service and the MQTT bridge."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit.cli.config import default_map
from agentkit.cli.mcp_inputs import mcp_input
from agentkit.errors import ConfigurationError
from agentkit.mcp import MCP
from agentkit.serving.tool_loading import load_tools, mcp_servers
from tests.mcp.tools.planned import Planned, entry, text
from tests.support.http_service import serve_http, settings_for
from tests.support.model_server import Asked, calls, serve, whole

READS = {"annotations": {"readOnlyHint": True}}


@pytest.fixture
def config(planned: Planned, tmp_path: Path) -> Path:
    """A file of two servers, one of which can't be started."""
    look_up = entry("look_up", {"word": {"type": "string", "description": "A \x1b[31mword."}}, **READS)
    planned.set(entry("pay", {"to": True}), look_up, results={"look_up": text("42 of them")})
    command, *args = planned.words()
    servers = {"good": {"command": command, "args": args}, "bad": {"command": "no-such-command"}}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}), "utf-8")
    return path


def reply(asked: Asked) -> Any:
    """Call the tool, then answer."""
    is_called = asked.body["messages"][-1]["role"] == "tool"
    return whole("There are 42.") if is_called else calls(("look_up", {"word": "x"}))


def agentkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "agentkit", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "OPENAI_API_KEY": "sk-any"},
    )


def test_ask_calls_the_tools_of_a_server(config: Path) -> None:
    with serve([calls(("look_up", {"word": "x"})), whole("There are 42.")]) as model:
        done = agentkit("ask", "How many?", "--mcp", str(config), "--model", f"openai:m@{model.url}")
        sent = model.requests[0].body["tools"]
    assert (done.returncode, done.stdout) == (0, "There are 42.\n")
    assert [each["function"]["name"] for each in sent] == ["look_up", "pay"]
    assert done.stderr.count("MCP server bad: it can't be used, and its tools are missing: ") == 1
    assert "'no-such-command' was not found in PATH" in done.stderr


def test_the_configuration_file_names_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agentkit").mkdir()
    (tmp_path / "agentkit" / "config.toml").write_text('mcp = ["mcp.json"]', "utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_map()["ask"]["mcp"] == ["mcp.json"]


def test_tools_lists_the_tools_of_servers_with_their_effects(config: Path) -> None:
    done = agentkit("tools", "--mcp", str(config))
    assert done.returncode == 0, done.stderr
    assert re.sub(r"[ \n]+", " ", done.stdout) == (
        "look_up (read-only) Does look_up. word (string, optional) A [31mword. "
        "pay (has effects) Does pay. to (any, optional) "
    )
    assert "MCP server bad: it can't be used" in done.stderr


@pytest.mark.parametrize("given", ["none.json", "no-such-command", "/no/such/file", "folder/none.json"])
def test_what_is_no_server_is_bad_usage(given: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        mcp_servers([given])


def test_an_input_is_asked_for_at_a_terminal_only() -> None:
    with pytest.raises(ConfigurationError, match=r"the input 'key' \(Your key\) is asked for at a terminal"):
        mcp_input({"id": "key", "description": "Your key"})
    assert mcp_input({"id": "key", "default": "x"}) == "x"


def test_servers_are_given_in_three_ways(config: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.touch(0o755)
    found = mcp_servers([str(config), "https://tools.example/mcp", "some-server --x", str(program)])
    assert [each.label for each in found if isinstance(each, MCP)] == ["good", "bad", "example", "some", "program"]


def test_the_command_of_a_server_may_be_longer_than_the_name_of_a_file() -> None:
    (server,) = mcp_servers([f"npx some-server --config {'x' * 300}"])
    assert isinstance(server, MCP)
    assert server.label == "some"
    for given in ("x" * 300, "a\0b"):
        with pytest.raises(ConfigurationError, match="there is no such file"):
            mcp_servers([given])


def test_servers_stand_in_the_place_of_the_web_tools(config: Path) -> None:
    assert all(isinstance(each, MCP) for each in load_tools([], None, [str(config)]))
    assert len(load_tools([], None)) == 2


def test_the_service_calls_the_tools_of_a_server(config: Path, tmp_path: Path) -> None:
    with serve(reply) as model, serve_http(settings_for(tmp_path, model.url, agentkit_mcp=str(config))) as service:
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "How many?"}]}
        answer = service.ask("POST", "/v1/chat/completions", body)
        assert answer.json()["choices"][0]["message"]["content"] == "There are 42."
        sent = [each["function"]["name"] for each in model.requests[0].body["tools"]]
    assert sent[:2] == ["look_up", "pay"]


def test_the_service_has_the_tools_that_a_server_has_later(config: Path, planned: Planned, tmp_path: Path) -> None:
    planned.set(entry("look_up"), results={"look_up": {**text("42"), "changes": {"tools": [entry("more")]}}})

    with serve(reply) as model, serve_http(settings_for(tmp_path, model.url, agentkit_mcp=str(config))) as service:
        body = {"model": "agentkit", "messages": [{"role": "user", "content": "How many?"}]}
        service.ask("POST", "/v1/chat/completions", body)
        service.ask("POST", "/v1/chat/completions", body)
        sent = [[each["function"]["name"] for each in request.body["tools"]] for request in model.requests]
    assert sent[0] == ["look_up"]
    assert sent[-1] == ["more"]
