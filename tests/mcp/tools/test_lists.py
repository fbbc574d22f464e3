"""A server's tools change: its list is read anew between runs, and stays the same object as long as it is the same."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit import Agent, Context, Limits
from agentkit.errors import ConfigurationError
from agentkit.mcp import MCP, Gone, MCPError, Slow, connection, tool_list
from agentkit.testing import ScriptedBackend
from tests.mcp.servers import bad_command
from tests.mcp.tools.planned import Make, Planned, answer, entry, text, until

ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


def names(tools: Any) -> list[str]:
    return [each.name for each in tools.tools()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are fresh for as long as their servers say."""
    monkeypatch.setattr(tool_list, "LEAST_FRESH", 0.0)


@ERAS
def test_the_list_is_the_same_object_and_read_once(server: Make, planned: Planned, era: str) -> None:
    tools = server(entry("a"), era=era)
    first = tools.tools()
    assert all(tools.tools() is first for _ in range(100))
    assert len(planned.requests("tools/list")) == 1


def test_a_changed_list_is_taken_over_by_the_next_run(server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_list, "REFRESH_SECONDS", 60.0)  # the server's process may get no time on a busy machine
    tools = server(entry("a"), results={"a": {**text("done"), "changes": {"tools": [entry("a"), entry("b")]}}})
    backend = ScriptedBackend(("a", {}), "ok", "ok")
    agent = Agent(backend, tools=[tools])
    agent.run("Go on.")
    agent.run("Go on.")
    sent = [[each["function"]["name"] for each in request.tools] for request in backend.requests]
    assert sent == [["a"], ["a"], ["a", "b"]]


def test_tools_that_have_not_changed_stay_the_same_objects(server: Make) -> None:
    changes = {"tools": [entry("a"), entry("b", description="Another."), entry("c")]}
    tools = server(entry("a"), entry("b"), results={"a": {**text("done"), "changes": changes}})
    before = {each.name: each for each in tools.tools()}
    answer(tools, "a")
    until(lambda: len(tools.tools()) == 3)
    after = {each.name: each for each in tools.tools()}
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]


def test_a_list_that_only_says_that_it_has_changed_stays_the_same_object(server: Make, planned: Planned) -> None:
    tools = server(entry("a"), results={"a": {**text("done"), "changes": {}}})
    first = tools.tools()
    answer(tools, "a")
    until(lambda: tools.tools() is first and len(planned.requests("tools/list")) == 2)
    assert tools.tools() is first


@pytest.mark.usefixtures("quick")
@ERAS
def test_a_list_is_read_again_when_its_time_is_over(server: Make, planned: Planned, era: str) -> None:
    tools = server(entry("a"), era=era, ttlMs=100)
    assert names(tools) == ["a"]
    planned.set(entry("a"), entry("b"), ttlMs=1_000_000)
    until(lambda: names(tools) == ["a", "b"])
    assert names(tools) == ["a", "b"]
    assert len(planned.requests("tools/list")) == 2


def test_a_list_that_is_fresh_for_no_time_is_still_fresh_for_a_moment(server: Make, planned: Planned) -> None:
    tools = server(entry("a"), ttlMs=0)
    for _ in range(20):
        tools.tools()
    assert len(planned.requests("tools/list")) == 1


@pytest.mark.usefixtures("quick")
@ERAS
def test_a_server_that_has_no_tools_yet_is_asked_again(server: Make, planned: Planned, era: str) -> None:
    """esengine/DeepSeek-Reasonix#5944: it answers before its tools are there, and does not say when they are."""
    tools = server(era=era)
    assert names(tools) == []
    planned.set(entry("a"))
    until(lambda: names(tools) == ["a"])
    asked = len(planned.requests("tools/list"))
    assert names(tools) == ["a"]
    assert len(planned.requests("tools/list")) == asked


@pytest.mark.usefixtures("quick")
def test_a_list_that_can_not_be_read_anew_stays(
    server: Make, planned: Planned, caplog: pytest.LogCaptureFixture
) -> None:
    tools = server(entry("a"), ttlMs=0)
    first = tools.tools()
    planned.set(ttlMs=0)
    planned.file.write_text("no JSON", "utf-8")
    until(lambda: tools.tools() and "can't be read anew, the known ones are used" in caplog.text)
    assert tools.tools() is first


def test_a_tool_that_has_gone_is_told_and_the_list_read_anew(server: Make, planned: Planned) -> None:
    tools = server(entry("a"), entry("b"))
    (_, gone) = tools.tools()
    planned.set(entry("a"))
    with pytest.raises(MCPError, match="Unknown tool: b"):
        gone()
    assert names(tools) == ["a"]


def test_the_connection_may_be_closed_and_used_again(server: Make, planned: Planned) -> None:
    tools = server(entry("a"))
    assert answer(tools, "a").text == "{}"
    tools.close()
    assert answer(tools, "a").text == "{}"
    assert len(planned.starts) == 2


def test_a_server_is_not_started_before_it_is_needed(server: Make, planned: Planned) -> None:
    tools = server(entry("a"))
    repr(tools.only("a").prefixed("x_"))
    assert planned.starts == []


def test_a_first_list_ends_in_time_however_many_pages_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MIN_START_SECONDS", 0.5)
    monkeypatch.setattr(connection, "LISTS", 0)
    with MCP(bad_command(list="slow"), timeout=1.0) as tools:
        started = time.monotonic()
        with pytest.raises(Slow):
            list(tools)
        assert time.monotonic() - started < 6


@pytest.mark.parametrize("how", ["cancelled", "out of time"])
def test_a_run_that_is_over_does_not_wait_for_the_first_list(how: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    options: Any = {"cancel": cancel} if how == "cancelled" else {"limits": Limits(seconds=0.2)}
    with MCP(bad_command(start="hang"), strict=True) as tools:
        started = time.monotonic()
        result = Agent(ScriptedBackend("ok"), tools=[tools]).run("Go on.", **options)
        assert result.stopped == ("cancelled" if how == "cancelled" else "seconds")
        assert time.monotonic() - started < 15


def test_a_list_that_no_thread_can_read_is_gone_and_read_later(server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    tools = server(entry("a"))
    monkeypatch.setattr(tool_list, "RETRY_SECONDS", 0.0)
    with monkeypatch.context() as context:
        context.setattr(tool_list, "WORKERS", SimpleNamespace(submit=no_thread))
        for _ in range(2):
            with pytest.raises(Gone, match="can't start new thread"):
                list(tools)
    assert names(tools) == ["a"]


# Resources


def test_resources_are_read_by_a_tool(server: Make) -> None:
    uri = "file:///a.txt"
    tools = server(
        entry("a"),
        resources=[{"uri": uri, "name": "a.txt", "description": "A text."}],
        resourceTemplates=[{"uriTemplate": "file:///{path}", "name": "any"}],
        contents={uri: {"contents": [{"uri": uri, "text": "Hello"}]}},
    )
    read = tools.tools()[1]
    assert read.name == "read_resource"
    assert read.options.read_only
    assert "- file:///a.txt: A text." in read.description
    assert "- file:///{path}: any" in read.description
    assert answer(tools, "read_resource", {"uri": uri}).text == "Hello"
    assert answer(tools, "read_resource", {"uri": "file:///b"}).text == "Error: MCP server good: Resource not found"


@pytest.mark.parametrize("resources", [{}, {"resources": []}, {"resources": 3}])
def test_a_server_without_resources_has_no_tool_for_them(server: Make, resources: dict[str, Any]) -> None:
    assert names(server(entry("a"), **resources)) == ["a"]


def test_a_servers_own_tool_for_resources_keeps_its_name(server: Make) -> None:
    tools = server(entry("read_resource"), resources=[{"uri": "x://a"}])
    assert names(tools) == ["read_resource", "read_resource_of_good"]
    tools = server(entry("read_resource"), entry("read_resource_of_good"), resources=[{"uri": "x://a"}])
    assert len({*names(tools)}) == 3


def test_a_program_reads_resources(server: Make) -> None:
    uri = "x://a"
    contents = {"contents": [{"uri": uri, "text": "One"}, {"uri": "x://b", "text": "Two"}]}
    tools = server(entry("a"), resources=[{"uri": uri}], contents={uri: contents})
    assert [each["uri"] for each in tools.resources()] == [uri]
    assert tools.read(uri) == "[x://a]\nOne\n[x://b]\nTwo"


@pytest.mark.parametrize("contents", [{"contents": None}, {"contents": 3}, {}, {"contents": []}])
def test_a_resource_without_contents_is_said(server: Make, contents: dict[str, Any]) -> None:
    tools = server(entry("a"), resources=[{"uri": "x://a"}], contents={"x://a": contents or {"none": 1}})
    outcome = answer(tools, "read_resource", {"uri": "x://a"}, Context())
    assert outcome.text.startswith("(")


@pytest.mark.parametrize("era", ["2025-06-18", "modern"])
def test_a_program_reads_what_a_server_says_of_its_tools_together(era: str) -> None:
    """openai/codex#29097, google-gemini/gemini-cli#13432, anthropics/claude-code#3312"""
    with MCP(bad_command(era=era)) as tools:
        assert tools.instructions() == tools.prefixed("x_").instructions() == "Be careful."
    with MCP("no-such-program-of-anyone") as tools, pytest.raises((Gone, ConfigurationError)):
        tools.instructions()
