"""Our client against our server."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agentkit import Agent
from agentkit.mcp import MCP, Question, handshake
from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.http import HTTPServing
from agentkit.testing import ScriptedBackend
from tests.support import mcp_tools
from tests.support.mcp_clients import PATIENCE, ROOT

COMMAND = [sys.executable, "-m", "agentkit", "mcp-serve", "--tool", "tests.support.mcp_tools:TOOLS", "--allow", "book"]


@contextlib.contextmanager
def served(way: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What MCP is given."""
    mcp_tools.STARTED.clear()
    mcp_tools.CANCELLED.clear()
    if way == "stdio":
        path = f"{ROOT}:{ROOT / 'tools'}"
        yield COMMAND, {"cwd": ROOT, "env": {"PYTHONPATH": path}}
        return
    with HTTPServing(Server(mcp_tools.TOOLS), ("127.0.0.1", 0)) as serving:
        yield serving.url, {"trust_hints": True}


@pytest.mark.parametrize("way", ["stdio", "http"])
def test_tools_are_called_asked_about_and_cancelled(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "DISCOVER_SECONDS", PATIENCE)  # a program that starts slowly is taken for an old one
    asked: list[str] = []

    def ask(question: Question) -> Mapping[str, Any]:
        asked.append(question.message)
        return {"seat": "window"}

    with served(way) as (server, options), MCP(server, timeout=PATIENCE, ask=ask, **options) as tools:
        assert tools["place"](name="Oslo") == {"name": "Oslo", "people": 717710}
        assert tools["book"](train="ICE 5") == "booked window in ICE 5"
        assert asked == ["Which seat in ICE 5?"]
        cancel = threading.Event()
        agent = Agent(ScriptedBackend(("wait", {}), "never"), tools=[tools["wait"]])
        run = threading.Thread(target=lambda: list(agent.stream("Wait.", cancel=cancel)))
        run.start()
        assert tools["was"](state="started") == "True"
        cancel.set()
        assert tools["was"](state="cancelled") == "True"
        run.join(PATIENCE)
        assert not run.is_alive()


def test_a_run_pauses_for_the_question_of_a_tool() -> None:
    with served("http") as (server, options), MCP(server, **options) as tools:
        agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Done."), tools=[tools["book"]])
        result = agent.run("Book.")
        assert [each.name for each in result.pending] == ["book"]
        again = agent.resume(result.messages, approve={result.pending[0].id: {"seat": "aisle"}})
        assert "booked aisle in ICE 5" in str(again.messages)


@pytest.mark.parametrize("way", ["stdio", "http"])
def test_a_server_of_both_kinds_is_spoken_to_as_an_older_one_on_demand(way: str) -> None:
    """PrefectHQ/fastmcp#4551, anvia-hq/anvia#393: what a tool asks in the middle of a call is not in 2026-07-28."""
    with served(way) as (server, options), MCP(server, handshake=True, timeout=PATIENCE, **options) as tools:
        assert tools["place"](name="Oslo") == {"name": "Oslo", "people": 717710}
        assert tools.connection.described().version == "2025-11-25"
        tools.close()
        assert tools["place"](name="Oslo"), "also when it is started again"
        assert tools.connection.described().version == "2025-11-25"
