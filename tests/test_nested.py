"""Agents as tools of agents: spending, limits and cancellation are shared with nested runs."""

import contextvars
import threading
import time
from typing import Any

import pytest

from agentkit import Agent, Context, Limits, Usage, tool
from agentkit.event import Reply, ToolProgress
from agentkit.testing import ScriptedBackend


def spending(text: str, tokens: int) -> Reply:
    return Reply({"role": "assistant", "content": text}, "stop", Usage(requests=1, input_tokens=tokens))


@tool(read_only=True)
def look_up(topic: str, ctx: Context) -> str:
    """Look something up."""
    return f"{topic}: {ctx.deps}"


def test_an_agent_is_a_tool_of_another() -> None:
    inner = ScriptedBackend(("look_up", {"topic": "tides"}), "High at noon.")
    outer = ScriptedBackend(("expert", {"task": "When is the tide high?"}), "At noon.")
    expert = Agent(inner, tools=[look_up], instructions="You know tides.")
    agent = Agent(outer, tools=[expert.as_tool("expert", "Knows all about tides.")])
    result = agent.run("Tide?", deps="the almanac")
    assert result.output == "At noon."
    assert result.tool_calls[0].response == "High at noon."
    assert inner.requests[0].messages == [
        {"role": "system", "content": "You know tides."},
        {"role": "user", "content": "When is the tide high?"},
    ]
    assert "tides: the almanac" in str(inner.requests[1].messages[-1]["content"])
    (schema,) = outer.requests[0].tools
    assert schema["function"]["name"] == "expert"
    assert list(schema["function"]["parameters"]["properties"]) == ["task"]


def test_what_nested_agents_spend_is_spent_by_the_outer_one() -> None:
    inner = ScriptedBackend(spending("Inner.", 300))
    outer = ScriptedBackend(("expert", {"task": "x"}), spending("Outer.", 50))
    result = Agent(outer, tools=[Agent(inner).as_tool("expert", "Knows.")]).run("Go.")
    assert result.usage.input_tokens == 350
    assert result.usage.requests == 3


def test_the_outer_limits_hold_for_nested_agents() -> None:
    def inner_reply(messages: list[Any]) -> Any:
        if "No more tool calls" in str(messages[-1]["content"]):
            return spending("Enough.", 100)
        return Reply(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"c{len(messages)}",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": f'{{"topic": "{len(messages)}"}}'},
                    }
                ],
            },
            "tool_calls",
            Usage(requests=1, input_tokens=100),
        )

    inner = ScriptedBackend(*[inner_reply] * 30)
    outer = ScriptedBackend(("expert", {"task": "x"}), "Done.", "Done.")
    expert = Agent(inner, tools=[look_up]).as_tool("expert", "Knows.")
    result = Agent(outer, tools=[expert], limits=Limits(tokens=500)).run("Go.")
    assert result.stopped == "tokens"
    assert len(inner.requests) == 5
    assert result.usage.input_tokens <= 500
    assert "stopped early: tokens" in result.tool_calls[0].response


def test_nested_agents_in_threads_share_one_budget() -> None:
    inner = ScriptedBackend(*[spending("Inner.", 10)] * 24)
    expert = Agent(inner).as_tool("expert", "Knows.", read_only=True)
    outer = ScriptedBackend([("expert", {"task": str(number)}) for number in range(24)], "Done.")
    result = Agent(outer, tools=[expert]).run("Go.")
    assert result.usage.input_tokens == 240
    assert result.usage.requests == 26


def test_the_context_of_a_trace_passes_down() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
    seen = []

    @tool(read_only=True, timeout=5)
    def look(topic: str) -> str:
        """Look."""
        seen.append(trace.get())
        return topic

    inner = ScriptedBackend([("look", {"topic": "a"}), ("look", {"topic": "b"})], "Inner.")
    expert = Agent(inner, tools=[look], limits=Limits(seconds=20)).as_tool("expert", "Knows.", read_only=True)
    trace.set("trace-1")
    Agent(ScriptedBackend(("expert", {"task": "x"}), "Outer."), tools=[expert]).run("Go.", cancel=threading.Event())
    assert seen == ["trace-1", "trace-1"]


def test_cancelling_passes_down() -> None:
    cancel = threading.Event()

    @tool(read_only=True)
    def wait() -> str:
        """Wait."""
        cancel.set()
        time.sleep(0.2)
        return "waited"

    inner = ScriptedBackend(("wait", {}), "Never.")
    outer = ScriptedBackend(("expert", {"task": "x"}), "Never.")
    agent = Agent(outer, tools=[Agent(inner, tools=[wait]).as_tool("expert", "Knows.")])
    result = agent.run("Go.", cancel=cancel)
    assert result.stopped == "cancelled"
    assert len(inner.requests) == 1
    assert len(outer.requests) == 1


def test_the_calls_of_nested_agents_are_reported_as_progress() -> None:
    inner = ScriptedBackend(("look_up", {"topic": "tides"}), "High at noon.")
    outer = ScriptedBackend(("expert", {"task": "x"}), "At noon.")
    agent = Agent(outer, tools=[Agent(inner, tools=[look_up]).as_tool("expert", "Knows.")])
    reported = [event.text for event in agent.stream("Go.") if isinstance(event, ToolProgress)]
    assert reported == ['expert: look_up({"topic": "tides"})']


def test_the_error_of_a_nested_agent_is_returned_to_the_outer_model() -> None:
    inner = ScriptedBackend(ValueError("no model"))
    outer = ScriptedBackend(("expert", {"task": "x"}), "It failed.")
    result = Agent(outer, tools=[Agent(inner).as_tool("expert", "Knows.")]).run("Go.")
    assert result.output == "It failed."
    assert "no model" in (result.tool_calls[0].error or "")


def endless(started: threading.Barrier | None = None) -> Any:
    """A model that calls tools until its last reply; its first reply waits for those of the others."""

    def reply(messages: list[Any]) -> Any:
        if started is not None and len(messages) == 1:
            started.wait(5)
        if "No more tool calls" in str(messages[-1]["content"]):
            return Reply({"role": "assistant", "content": "Enough."}, "stop", Usage(1, 10))
        functions = [{"name": "look_up", "arguments": f'{{"topic": "{len(messages)}-{place}"}}'} for place in range(3)]
        calls = [{"id": f"c{place}", "type": "function", "function": each} for place, each in enumerate(functions)]
        message: Any = {"role": "assistant", "content": None, "tool_calls": calls}
        return Reply(message, "tool_calls", Usage(1, 10))

    return reply


def outer_reply(count: int) -> Any:
    functions = [{"name": "expert", "arguments": f'{{"task": "{place}"}}'} for place in range(count)]
    calls = [{"id": f"c{place}", "type": "function", "function": each} for place, each in enumerate(functions)]
    message: Any = {"role": "assistant", "content": None, "tool_calls": calls}
    return Reply(message, "tool_calls", Usage(1, 10))


def test_concurrent_nested_agents_run_no_more_calls_than_the_limit() -> None:
    ran = []

    @tool(read_only=True)
    def look_up(topic: str) -> str:
        """Look something up."""
        ran.append(topic)
        time.sleep(0.02)
        return f"{topic} {len(ran)}"

    inner = ScriptedBackend(*[endless(threading.Barrier(8))] * 200)
    expert = Agent(inner, tools=[look_up]).as_tool("expert", "Knows.", read_only=True)
    result = Agent(ScriptedBackend(outer_reply(8), "Done."), tools=[expert], limits=Limits(tool_calls=30)).run("Go.")
    assert result.output == "Done."
    assert result.usage.tool_calls == 30
    assert len(ran) == 30 - 8  # the experts are calls too


@pytest.mark.parametrize("tokens", [150, 400, 1000])
def test_concurrent_nested_agents_spend_no_more_tokens_than_the_limit(tokens: int) -> None:
    inner = ScriptedBackend(*[endless()] * 200)
    expert = Agent(inner, tools=[look_up], limits=Limits(turns=None)).as_tool("expert", "Knows.", read_only=True)
    outer = ScriptedBackend(outer_reply(4), Reply({"role": "assistant", "content": "Done."}, "stop", Usage(1, 10)))
    result = Agent(outer, tools=[expert], limits=Limits(tokens=tokens)).run("Go.")
    assert result.output == "Done."
    assert all("stopped early: tokens" in record.response for record in result.tool_calls)
    assert tokens - 60 <= result.usage.input_tokens <= tokens
