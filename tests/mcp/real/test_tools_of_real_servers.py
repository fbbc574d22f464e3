"""The tools of real MCP servers of npm and PyPI in a run."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.mcp import MCP
from agentkit.testing import ScriptedBackend
from tests.mcp.real.programs import FOLDERS
from tests.mcp.real.programs import program as installed_program
from tests.mcp.tools.planned import answer

Start = Callable[..., MCP]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an installed server, which is closed with the test."""
    made: list[MCP] = []

    def started(program: str, *arguments: Any) -> MCP:
        made.append(MCP([installed_program(program), *map(str, arguments)], timeout=90.0, env={"PATH": FOLDERS}))
        return made[-1]

    yield started
    for each in made:
        each.close()


def test_files(start: Start, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("café\n", "utf-8")
    tools = start("mcp-server-filesystem", tmp_path)
    path = str(tmp_path / "note.txt")
    backend = ScriptedBackend(("read_text_file", {"path": path}), ("write_file", {"path": path, "content": "x"}), "ok")
    result = Agent(backend, tools=[tools]).run("Go on.")
    assert result.tool_calls[0].response == "café\n"
    assert (tmp_path / "note.txt").read_text("utf-8") == "x"
    assert tools.label == "filesystem"
    by_name = {each.name: each for each in tools}
    assert by_name["read_text_file"].options.read_only
    assert not by_name["write_file"].options.read_only
    refused = answer(tools, "read_text_file", {"path": "/etc/passwd"})
    assert refused.failed
    assert "Access denied" in refused.text
    assert answer(tools, "read_text_file", {"path": path, "head": "1", "tail": None}).text == "x"
    listed = answer(tools, "list_directory", {"path": str(tmp_path)}).text
    assert listed == "[FILE] note.txt"


def test_everything(start: Start) -> None:
    tools = start("mcp-server-everything")
    assert answer(tools, "echo", {"message": "hello"}).text == "Echo: hello"
    image = answer(tools, "get-tiny-image")
    assert len(image.images) == 1
    assert "the image is in the next message" in image.text
    annotated = answer(tools, "get-annotated-message", {"messageType": "error", "includeImage": True})
    assert len(annotated.images) == 1
    structured = answer(tools, "get-structured-content", {"location": "Chicago"}).text
    assert structured.count("temperature") == 1
    links = answer(tools, "get-resource-links", {"count": 2}).text
    uri = next(line for line in links.splitlines() if "://" in line)
    assert "read_resource" in [each.name for each in tools]
    address = uri[uri.index("demo://") :].partition(" ")[0].rstrip(":])")
    assert not answer(tools, "read_resource", {"uri": address}).failed
    assert tools.resources()


def test_memory(start: Start) -> None:
    tools = start("mcp-server-memory")
    entity = {"name": "Oslo", "entityType": "city", "observations": ["717,710 people"]}
    assert not answer(tools, "create_entities", {"entities": [entity]}).failed
    assert not answer(tools, "create_entities", {"entities": entity}).failed  # one where a list is expected
    assert "717,710" in answer(tools, "search_nodes", {"query": "Oslo"}).text


def test_thinking(start: Start) -> None:
    thought = {"thought": "First", "thoughtNumber": "1", "totalThoughts": 1, "nextThoughtNeeded": "false"}
    tools = start("mcp-server-sequential-thinking")
    assert answer(tools, "sequentialthinking", {**thought, "revisesThought": None}).text.count("thoughtNumber") == 1


def test_time(start: Start) -> None:
    tools = start("mcp-server-time")
    assert "Europe/Oslo" in answer(tools, "get_current_time", {"timezone": "Europe/Oslo"}).text
    assert answer(tools, "get_current_time", {"timezone": "Europe/Atlantis"}).failed


def test_git(start: Start, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    tools = start("mcp-server-git", "--repository", tmp_path)
    assert "No commits yet" in answer(tools, "git_status", {"repo_path": str(tmp_path)}).text


def test_fetch(start: Start) -> None:
    assert answer(start("mcp-server-fetch"), "fetch", {"url": "http://127.0.0.1:9/"}).failed


def test_servers_in_one_agent(start: Start, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Tuesday", "utf-8")
    programs = (("mcp-server-filesystem", tmp_path), ("mcp-server-memory",), ("mcp-server-everything",))
    tools = [start(*words) for words in programs]
    whole, searched = (
        ScriptedBackend("ok"),
        ScriptedBackend(
            ("find_tools", {"query": "read a text file"}),
            ("call_tool", {"name": "read_text_file", "arguments": {"path": str(tmp_path / "note.txt")}}),
            "ok",
        ),
    )
    Agent(whole, tools=tools, tool_search=False).run("Go on.")
    names = [each["function"]["name"] for each in whole.requests[0].tools]
    assert {"read_text_file", "create_entities", "echo"} < set(names)

    result = Agent(searched, tools=tools).run("Go on.")  # their schemas have more than 16 kB
    assert [each["function"]["name"] for each in searched.requests[0].tools] == ["find_tools", "call_tool"]
    assert "read_text_file" in result.tool_calls[0].response
    assert (result.tool_calls[1].name, result.tool_calls[1].response) == ("read_text_file", "Tuesday")
