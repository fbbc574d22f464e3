"""Agents as tools of agents: what is spent, limits and cancelling pass down."""

import threading
import time
from typing import Any

from agentkit import Agent, Context, Limits, Reply, ToolProgress, Usage, tool
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
    assert len(inner.requests) == 6
    assert "stopped early: tokens" in result.tool_calls[0].response


def test_nested_agents_in_threads_share_one_budget() -> None:
    inner = ScriptedBackend(*[spending("Inner.", 10)] * 24)
    expert = Agent(inner).as_tool("expert", "Knows.", read_only=True)
    outer = ScriptedBackend([("expert", {"task": str(number)}) for number in range(24)], "Done.")
    result = Agent(outer, tools=[expert]).run("Go.")
    assert result.usage.input_tokens == 240
    assert result.usage.requests == 26


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


def test_the_calls_of_nested_agents_are_told_as_progress() -> None:
    inner = ScriptedBackend(("look_up", {"topic": "tides"}), "High at noon.")
    outer = ScriptedBackend(("expert", {"task": "x"}), "At noon.")
    agent = Agent(outer, tools=[Agent(inner, tools=[look_up]).as_tool("expert", "Knows.")])
    told = [event.text for event in agent.stream("Go.") if isinstance(event, ToolProgress)]
    assert told == ['expert: look_up({"topic": "tides"})']


def test_a_nested_agent_that_fails_is_told_to_the_outer_model() -> None:
    inner = ScriptedBackend(ValueError("no model"))
    outer = ScriptedBackend(("expert", {"task": "x"}), "It failed.")
    result = Agent(outer, tools=[Agent(inner).as_tool("expert", "Knows.")]).run("Go.")
    assert result.output == "It failed."
    assert "no model" in (result.tool_calls[0].error or "")
