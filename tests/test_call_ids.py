"""The id of a call, as its tool and its hooks see it."""

from typing import Any

import pytest

from agentkit import Agent, Context, Hook, Limits, tool
from agentkit.event import ToolStarted
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend

seen_ids: list[tuple[str, str | None]] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen_ids.clear()


@tool
def pay(amount: int, ctx: Context) -> str:
    """Pay."""
    seen_ids.append(("tool", ctx.call_id))
    return "Paid."


@tool
def note(text: str) -> str:
    """Note something."""
    return "Noted."


@tool(read_only=True)
def look_up(topic: str, ctx: Context) -> str:
    """Look something up."""
    seen_ids.append((topic, ctx.call_id))
    return topic


class Watching(Hook):
    def around_tool(self, call: Any, proceed: Any) -> Any:
        seen_ids.append(("hook", call.context.call_id))
        return proceed(call)


@pytest.mark.parametrize("options", [{}, {"limits": Limits(seconds=60)}, {"session": MemorySessions()["a"]}])
def test_a_tool_has_the_id_of_its_call(options: dict[str, Any]) -> None:
    """What it needs to tell which of the events are its own (strands-agents/harness-sdk#2884, vercel/eve#545,
    withastro/flue#453)."""
    agent = Agent(ScriptedBackend([("pay", {"amount": 1}), ("pay", {"amount": 2})], "Done."), tools=[pay])
    run = agent.stream("Pay.", **options)
    started = [event.id for event in run if isinstance(event, ToolStarted)]
    assert [each for _, each in seen_ids] == started
    assert len(set(started)) == 2


@pytest.mark.parametrize("same_thread", [False, True])
def test_a_call_that_was_approved_has_the_id_under_which_it_waited(same_thread: bool) -> None:
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Done."), tools=[pay.replace(approve=True)])
    if same_thread:
        agent = agent.replace(tools=[pay.replace(approve=True, same_thread=True)])
    waiting = agent.run("Pay.")
    agent.resume(waiting.messages, approve={waiting.pending[0].id: True})
    assert seen_ids == [("tool", waiting.pending[0].id)]


def test_a_hook_has_it_for_tools_that_take_no_context_too() -> None:
    agent = Agent(ScriptedBackend(("note", {"text": "a"}), "Done."), tools=[note], hooks=[Watching()])
    result = agent.run("Note it.")
    assert seen_ids == [("hook", result.tool_calls[0].id)]


def test_calls_of_one_reply_that_run_at_once_have_theirs() -> None:
    calls = [("look_up", {"topic": topic}) for topic in "abc"]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[look_up], early_start=False)
    result = agent.run("Look.")
    assert sorted(seen_ids) == [(topic, call.id) for topic, call in zip("abc", result.tool_calls, strict=True)]
