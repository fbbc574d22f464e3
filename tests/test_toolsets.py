"""Toolsets in `Agent(tools=[...])`, and tools that come and go while a run goes on (`ctx.tools`)."""

import copy
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Context, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend
from agentkit.testing.scripted import ScriptedCall
from agentkit.tooling.toolset import Toolset


def named(name: str, answer: str = "done") -> Tool[..., Any]:
    return Tool(name, f"Does {name}.", {"type": "object", "properties": {}}, lambda: answer)


class Changing(Toolset):
    """A toolset whose list is set by the test."""

    def __init__(self, label: str, *names: str) -> None:
        self.label = label
        self.list: Sequence[Tool[..., Any]] = [named(name, f"{label}: {name}") for name in names]
        self.begun = threading.Event()

    def begin(self) -> None:
        self.begun.set()

    def tools(self) -> Sequence[Tool[..., Any]]:
        return self.list


def sent(backend: ScriptedBackend) -> list[list[str]]:
    return [[each["function"]["name"] for each in request.tools] for request in backend.requests]


def test_a_toolset_stands_for_its_tools_in_the_order_in_which_it_is_given() -> None:
    files = Changing("files", "read", "write")
    backend = ScriptedBackend("ok")
    agent = Agent(backend, tools=[named("first"), files, named("last")])
    assert files.begun.is_set()
    agent.run("Go on.")
    assert sent(backend) == [["first", "read", "write", "last"]]
    assert [each.name for each in agent.tools] == ["first", "read", "write", "last"]


def test_a_changed_list_is_taken_over_between_runs() -> None:
    files = Changing("files", "read")
    backend = ScriptedBackend("ok", "ok")
    agent = Agent(backend, tools=[files])
    agent.run("Go on.")
    files.list = [named("read"), named("write")]
    agent.run("Go on.")
    assert sent(backend) == [["read"], ["read", "write"]]


def test_the_bytes_of_the_tools_are_made_once_as_long_as_nothing_changes() -> None:
    agent = Agent(ScriptedBackend(), tools=[Changing("files", "read")])
    assert agent._tools.now() is agent._tools.now()


def test_two_toolsets_with_one_name_both_get_their_label_before_it() -> None:
    backend = ScriptedBackend(("disk_read", {}), ("cloud_read", {}), "ok")
    agent = Agent(backend, tools=[Changing("disk", "read", "list"), Changing("cloud", "read")])
    result = agent.run("Go on.")
    assert sent(backend)[0] == ["disk_read", "list", "cloud_read"]
    assert [call.response for call in result.tool_calls] == ["disk: read", "cloud: read"]


def test_an_own_tool_keeps_its_name_beside_that_of_a_toolset() -> None:
    backend = ScriptedBackend("ok")
    Agent(backend, tools=[Changing("disk", "read"), named("read")]).run("Go on.")
    assert sent(backend) == [["disk_read", "read"]]


def test_a_name_with_a_label_that_is_taken_or_too_long_gets_a_number() -> None:
    long = "n" * 64
    backend = ScriptedBackend("ok")
    toolsets = [Changing("a", "read", long), Changing("a", "read", long)]
    Agent(backend, tools=[named("a_read"), *toolsets]).run("Go on.")
    names = sent(backend)[0]
    assert len(set(names)) == 5
    assert all(len(name) <= 64 for name in names)


def test_a_run_takes_toolsets_too() -> None:
    backend = ScriptedBackend("ok")
    Agent(backend).run("Go on.", tools=[Changing("files", "read")])
    assert sent(backend) == [["read"]]


def test_a_copied_agent_has_the_same_toolsets() -> None:
    files = Changing("files", "read")
    backend = ScriptedBackend("ok")
    copied = copy.copy(Agent(backend, tools=[files]))
    files.list = [named("write")]
    copied.run("Go on.")
    assert sent(backend) == [["write"]]


def test_a_tool_adds_tools_that_the_model_may_call_from_its_next_reply_on() -> None:
    @tool
    def unlock(ctx: Context) -> str:
        """Unlock more."""
        ctx.tools.add(named("secret", "42"))
        return ", ".join(ctx.tools.names)

    backend = ScriptedBackend(("unlock", {}), ("secret", {}), "ok", "ok")
    agent = Agent(backend, tools=[unlock])
    result = agent.run("Go on.")
    assert [call.response for call in result.tool_calls] == ["unlock, secret", "42"]
    agent.run("Go on.")
    assert sent(backend) == [["unlock"], ["unlock", "secret"], ["unlock", "secret"], ["unlock"]]


def test_a_tool_that_was_removed_is_not_called() -> None:
    calls: list[int] = []

    @tool
    def once(ctx: Context) -> str:
        """Do it once."""
        calls.append(1)
        ctx.tools.remove("once")
        return "done"

    backend = ScriptedBackend(("once", {}), ("once", {}), "ok")
    result = Agent(backend, tools=[once, named("other")]).run("Go on.")
    assert len(calls) == 1
    assert result.tool_calls[1].error == "Error: there is no tool named 'once'. The tools are: other."


def test_what_cannot_be_added_or_removed_is_said() -> None:
    problems: list[BaseException] = []

    @tool
    def attempt(ctx: Context) -> str:
        """Try it."""
        with pytest.raises(ToolDefinitionError) as adding:
            ctx.tools.add(named("attempt"))
        with pytest.raises(ConfigurationError) as removing:
            ctx.tools.remove("nothing")
        problems.extend([adding.value, removing.value])
        return "done"

    Agent(ScriptedBackend(("attempt", {}), "ok"), tools=[attempt]).run("Go on.")
    assert [str(problem) for problem in problems] == [
        "two tools are named 'attempt': give one another name=",
        "ctx.tools.remove('nothing'): there is no such tool",
    ]
    with pytest.raises(ConfigurationError, match="this Context belongs to no run"):
        Context().tools.add(named("x"))


def test_tools_added_by_parallel_calls_are_all_there() -> None:
    def adding(number: int) -> Tool[..., Any]:
        def add(ctx: Context) -> str:
            ctx.tools.add(named(f"made_{number}"))
            return "done"

        return tool(name=f"add_{number}", description="Add one.", read_only=True)(add)

    calls: list[ScriptedCall] = [(f"add_{number}", {}) for number in range(16)]
    backend = ScriptedBackend(calls, "ok")
    Agent(backend, tools=[adding(number) for number in range(16)]).run("Go on.")
    assert {f"made_{number}" for number in range(16)} <= set(sent(backend)[1])
