"""What the model and the user are told: structured content, a tool's own errors, tools that are left out, mcp.json."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, ToolError
from agentkit.mcp import MCP
from agentkit.mcp.config import load_config
from agentkit.mcp.content import value_of
from agentkit.testing import ScriptedBackend

SERVER = """
import json, os, sys
TOOLS = json.loads(os.environ["TOOLS"])
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "initialize":
        info = {"name": "x", "version": "1"}
        r = {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}}
    elif m.get("method") == "tools/list":
        r = {"result": {"tools": TOOLS}}
    elif m.get("method") == "tools/call":
        said = {"type": "text", "text": "401 Bad credentials: " + os.environ["GITHUB_TOKEN"]}
        r = {"result": {"isError": True, "content": [said]}}
    else:
        r = {"error": {"code": -32601, "message": "no"}}
    if "id" in m:
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], **r}), flush=True)
"""
OBJECT = {"type": "object"}
KEY = "ghp_0123456789abcdefghijABCDEFGHIJ"


def server(folder: Path, tools: list[dict[str, Any]]) -> tuple[list[str], dict[str, str]]:
    (folder / "server.py").write_text(SERVER)
    return [sys.executable, str(folder / "server.py")], {"TOOLS": json.dumps(tools), "GITHUB_TOKEN": KEY}


@pytest.mark.parametrize(
    ("text", "structured", "is_shown"),
    [
        ("AAPL moved by 2.5 percent", {"symbol": "AAPL", "change_percent": -2.5}, True),
        ("balance: 40", {"balance": -40}, True),
        ("build #12 of main", {"build": 12, "branch": "main", "state": "\u274c"}, True),
        ("Ann, Bob", {"approved_by": "Bob", "rejected_by": "Ann"}, True),
        ("Compared 10 and 7", {"left": 10, "operator": "<", "right": 7}, True),
        ("Symbol AAPL: change -2.5 percent", {"symbol": "AAPL", "change_percent": -2.5}, False),
        ("It is 21 degrees", {"temperature": 21}, False),
    ],
)
def test_structured_content_is_left_out_only_where_the_text_says_it(
    text: str, structured: dict[str, Any], is_shown: bool
) -> None:
    shown = value_of({"content": [{"type": "text", "text": text}], "structuredContent": structured}, "x")
    assert (json.dumps(structured, ensure_ascii=False) in shown) is is_shown


def test_a_key_in_a_tools_own_error_is_not_read_by_the_model(tmp_path: Path) -> None:
    words, env = server(tmp_path, [{"name": "issue", "inputSchema": OBJECT}])
    with MCP(words, name="x", env=env) as tools:
        with pytest.raises(ToolError, match=r"Bad credentials: \*\*\*"):
            tools["issue"]()
        result = Agent(ScriptedBackend(("issue", {}), "no"), tools=[tools]).run("go on")
        assert KEY not in json.dumps(result.messages)


def test_tools_that_are_left_out_are_told_whatever_else_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flawed = {"type": "object", "properties": {"q": {"type": "strnig"}}}
    tools = [{"name": f"a{number:02}", "inputSchema": flawed} for number in range(12)]
    tools += [{"name": f"lost{number:02}", "inputSchema": {"type": "array"}} for number in range(13)]
    words, env = server(tmp_path, tools)
    with caplog.at_level(logging.WARNING), MCP(words, name="x", env=env) as found:
        assert len(list(found)) == 12
    assert caplog.text.count("is left out") == 10
    assert "3 more tools are left out: lost10, lost11, lost12; 2 more tools were changed: a10, a11" in caplog.text


def test_the_tools_that_a_file_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words, env = server(tmp_path, [{"name": "height", "inputSchema": OBJECT}])

    def found(**more: Any) -> list[str]:
        file = tmp_path / "mcp.json"
        file.write_text(json.dumps({"mcpServers": {"m": {"command": words[0], "args": words[1:], "env": env, **more}}}))
        made = load_config(file)
        try:
            return [each.name for one in made for each in one]
        finally:
            for one in made:
                one.close()

    assert (found(), found(includeTools=None), found(includeTools=[])) == (["height"], ["height"], [])
    assert found(disabledTools=["gone"], excludeTools=["gone too"]) == ["height"]
    assert "disabledTools('gone')" in caplog.text
    with pytest.raises(ConfigurationError, match="timeout"):
        found(timeout=10**400)


@pytest.mark.parametrize("timeout", [10**400, 1e10, float("inf")])
def test_a_timeout_is_no_longer_than_threads_can_wait(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        MCP([sys.executable], timeout=timeout)
