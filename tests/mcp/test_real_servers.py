"""Real MCP servers over stdio: those of npm and PyPI that are installed.

AGENTKIT_TEST_MCP names folders with their programs, such as `node_modules/.bin` and the `bin` of an environment;
without it they are looked for in PATH.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.mcp.client import Client
from agentkit.mcp.errors import MCPError
from tests.mcp.servers import client_of, text_of
from tests.support.waiting import until

FOLDERS = os.pathsep.join(filter(None, [os.environ.get("AGENTKIT_TEST_MCP"), os.environ.get("PATH")]))


def started(program: str, *arguments: str) -> Client:
    """A client of an installed server; skips the test where it is not installed."""
    found = shutil.which(program, path=FOLDERS)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return client_of([found, *arguments], timeout=60.0)


def files(client: Client, folder: Path) -> None:
    (folder / "note.txt").write_text("café")
    found = client.call_tool("read_text_file", {"path": str(folder / "note.txt")}, read_only=True)
    assert text_of(found) == "café"
    client.call_tool("write_file", {"path": str(folder / "new.txt"), "content": "written"})
    assert (folder / "new.txt").read_text() == "written"
    assert client.call_tool("read_text_file", {"path": "/etc/passwd"}, read_only=True)["isError"] is True


def memory(client: Client, folder: Path) -> None:
    entity = {"name": "Oslo", "entityType": "city", "observations": ["717,710 people"]}
    client.call_tool("create_entities", {"entities": [entity]})
    assert "717,710" in text_of(client.call_tool("search_nodes", {"query": "Oslo"}, read_only=True))


def everything(client: Client, folder: Path) -> None:
    assert text_of(client.call_tool("echo", {"message": "hello"})) == "Echo: hello"
    assert client.request("resources/list")["resources"]
    assert client.request("prompts/list")["prompts"]
    refused = client.call_tool("echo", {"message": 3})
    assert refused["isError"] is True
    with pytest.raises(MCPError):
        client.request("no/such/method")


def thinking(client: Client, folder: Path) -> None:
    thought = {"thought": "First", "thoughtNumber": 1, "totalThoughts": 1, "nextThoughtNeeded": False}
    assert "thoughtNumber" in text_of(client.call_tool("sequentialthinking", thought))


def clock(client: Client, folder: Path) -> None:
    assert "Europe/Oslo" in text_of(client.call_tool("get_current_time", {"timezone": "Europe/Oslo"}, read_only=True))


def git(client: Client, folder: Path) -> None:
    assert "No commits yet" in text_of(client.call_tool("git_status", {"repo_path": str(folder)}, read_only=True))


def fetch(client: Client, folder: Path) -> None:
    refused = client.call_tool("fetch", {"url": "http://127.0.0.1:9/"}, read_only=True)
    assert refused["isError"] is True


@pytest.mark.parametrize(
    ("program", "use"),
    [
        ("mcp-server-everything", everything),
        ("mcp-server-fetch", fetch),
        ("mcp-server-filesystem", files),
        ("mcp-server-git", git),
        ("mcp-server-memory", memory),
        ("mcp-server-sequential-thinking", thinking),
        ("mcp-server-time", clock),
    ],
)
def test_a_real_server_is_started_listed_called_and_ended(
    program: str, use: Callable[[Client, Path], None], tmp_path: Path
) -> None:
    from tests.mcp.servers import keepers

    if program == "mcp-server-git":
        os.system(f"git init -q '{tmp_path}'")
    arguments = {"mcp-server-filesystem": [str(tmp_path)], "mcp-server-git": ["--repository", str(tmp_path)]}
    with started(program, *arguments.get(program, [])) as client:
        server = client.server()
        assert server.version in ("2025-11-25", "2026-07-28")
        tools = client.list_all("tools/list", "tools").items
        assert tools
        assert all(each["inputSchema"]["type"] == "object" for each in tools)
        use(client, tmp_path)
    until(lambda: not keepers())
