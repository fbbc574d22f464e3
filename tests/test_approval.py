"""Calls that need a person's approval: the run returns them, and continues with a decision on each."""

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, tool
from agentkit.errors import ToolDefinitionError
from agentkit.event import ApprovalNeeded
from agentkit.record import result_record
from agentkit.sessions import MemorySessions, SQLiteSessions
from agentkit.testing import ScriptedBackend
from agentkit.testing.scripted import ScriptedCall
from agentkit.transcript import Transcript

ROOT = Path(__file__).parents[1]
ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(approve=True)
def pay(amount: int) -> str:
    """Pay an amount."""
    ran.append(f"pay {amount}")
    return f"paid {amount}"


@tool
def log(text: str) -> str:
    """Log a text."""
    ran.append(f"log {text}")
    return "logged"


CALLS: list[ScriptedCall] = [
    ("log", {"text": "a"}),
    ("pay", {"amount": 5}),
    ("log", {"text": "b"}),
    ("pay", {"amount": 7}),
]


def stopped(*steps: Any) -> tuple[Agent, Any, ScriptedBackend]:
    backend = ScriptedBackend(CALLS, *(steps or ("Done.",)))
    agent = Agent(backend, tools=[pay, log])
    return agent, agent.run("Pay the bills."), backend


def test_the_run_returns_with_the_calls_that_wait() -> None:
    _, result, _ = stopped()
    assert (result.stopped, result.output) == ("approval", "")
    assert [(call.name, call.arguments) for call in result.pending] == [("pay", {"amount": 5}), ("pay", {"amount": 7})]
    assert ran == ["log a"]  # calls before it ran, calls after it wait
    Transcript(result.messages)


@pytest.mark.parametrize("stream", [False, True])
def test_it_continues_with_the_decision_on_each_and_runs_nothing_twice(stream: bool) -> None:
    agent, result, _ = stopped()
    first, second = result.pending
    decisions: dict[str, bool | str] = {first.id: True, second.id: "too much"}
    if stream:
        result = list(agent.stream(messages=result.messages, approve=decisions))[-1].result  # type: ignore[attr-defined]
    else:
        result = agent.resume(result.messages, approve=decisions)
    assert (result.output, result.stopped, result.pending) == ("Done.", "answer", [])
    assert ran == ["log a", "pay 5", "log b"]
    assert "the user did not approve this call: too much" in result.tool_calls[-1].response


def test_a_refused_call_is_reported_to_the_model() -> None:
    agent, result, _ = stopped()
    result = agent.resume(result.messages, approve={call.id: False for call in result.pending})
    assert result.output == "Done."
    assert ran == ["log a", "log b"]
    assert "the user did not approve this call." in result.tool_calls[0].response


def test_other_arguments_may_be_given() -> None:
    agent, result, _ = stopped()
    first, second = result.pending
    result = agent.resume(result.messages, approve={first.id: {"amount": 1}, second.id: True})
    assert ran == ["log a", "pay 1", "log b", "pay 7"]
    assert 'changed the arguments to {"amount": 1}' in result.tool_calls[0].response
    assert result.tool_calls[0].arguments == {"amount": 1}


def test_other_arguments_are_checked_like_the_models() -> None:
    agent, result, _ = stopped()
    first, second = result.pending
    result = agent.resume(result.messages, approve={first.id: {"amount": "lots"}, second.id: False})
    assert "don't fit" in result.tool_calls[0].response
    assert ran == ["log a", "log b"]


def test_what_is_not_decided_waits_again() -> None:
    agent, result, _ = stopped()
    result = agent.resume(result.messages, approve={result.pending[0].id: True})
    assert result.stopped == "approval"
    assert [call.arguments for call in result.pending] == [{"amount": 7}]
    assert ran == ["log a", "pay 5", "log b"]
    assert agent.resume(result.messages).stopped == "approval"
    assert agent.resume(result.messages, approve={result.pending[0].id: True}).output == "Done."
    assert ran == ["log a", "pay 5", "log b", "pay 7"]


def test_a_function_may_decide_which_calls_need_it() -> None:
    @tool(approve=lambda arguments: arguments["amount"] > 10)
    def pay(amount: int) -> str:
        """Pay an amount."""
        ran.append(f"pay {amount}")
        return "paid"

    backend = ScriptedBackend([("pay", {"amount": "5"}), ("pay", {"amount": 50})], "Done.")
    result = Agent(backend, tools=[pay]).run("Go.")
    assert ran == ["pay 5"]
    assert [call.arguments for call in result.pending] == [{"amount": 50}]


def test_a_function_that_fails_asks_for_approval() -> None:
    @tool(approve=lambda arguments: arguments["no such"])
    def pay(amount: int) -> str:
        """Pay an amount."""
        return "paid"

    assert Agent(ScriptedBackend(("pay", {"amount": 5})), tools=[pay]).run("Go.").stopped == "approval"


def test_unreadable_arguments_go_back_to_the_model_without_approval() -> None:
    @tool(approve=lambda arguments: True)
    def pay(amount: int) -> str:
        """Pay an amount."""
        return "paid"

    result = Agent(ScriptedBackend(("pay", {"amount": "lots"}), "Done."), tools=[pay]).run("Go.")
    assert (result.output, result.stopped) == ("Done.", "answer")


def test_a_read_only_tool_may_need_approval_and_does_not_start_early() -> None:
    @tool(read_only=True, approve=True)
    def peek(topic: str) -> str:
        """Peek."""
        ran.append(topic)
        return "seen"

    agent = Agent(ScriptedBackend(("peek", {"topic": "x"}), "Done."), tools=[peek])
    result = list(agent.stream("Go."))[-1].result  # type: ignore[attr-defined]
    assert (result.stopped, ran) == ("approval", [])
    assert agent.resume(result.messages, approve={result.pending[0].id: True}).output == "Done."
    assert ran == ["x"]


def test_the_event_is_emitted() -> None:
    events = list(Agent(ScriptedBackend(CALLS), tools=[pay, log]).stream("Go."))
    needed = [event for event in events if isinstance(event, ApprovalNeeded)]
    assert [len(event.calls) for event in needed] == [2]
    assert result_record(events[-1].result)["pending"][0]["name"] == "pay"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("approve", "says"),
    [({"nobody": True}, "no such call is open"), ({"call_1_1": 7}, "pass True, False, the reason")],
)
def test_an_invalid_decision_is_an_error(approve: Any, says: str) -> None:
    agent, result, _ = stopped()
    with pytest.raises(ConfigurationError, match=says):
        agent.resume(result.messages, approve=approve)
    assert ran == ["log a"]


@pytest.mark.parametrize("value", [date(2026, 1, 2), Decimal(5), {5}])
def test_changed_arguments_that_are_not_json_are_an_error_before_anything_begins(value: Any) -> None:
    agent, result, _ = stopped()
    with pytest.raises(ConfigurationError, match="have to be JSON"):
        agent.resume(result.messages, approve={result.pending[0].id: {"amount": value}})
    assert ran == ["log a"]


def test_approve_is_a_bool_or_a_function() -> None:
    with pytest.raises(ToolDefinitionError, match="approve"):

        @tool(approve="yes")  # type: ignore[call-overload, untyped-decorator]
        def pay(amount: int) -> str:
            """Pay an amount."""
            return "paid"


def test_a_decision_does_not_apply_to_a_later_call_with_the_same_id() -> None:
    def call(amount: int) -> Any:
        function = {"name": "pay", "arguments": json.dumps({"amount": amount})}
        return {"content": None, "tool_calls": [{"id": "call_0", "type": "function", "function": function}]}

    agent = Agent(ScriptedBackend(call(5), call(5000), "Done."), tools=[pay])
    result = agent.run("Go.")
    result = agent.resume(result.messages, approve={"call_0": True})
    assert ran == ["pay 5"]
    assert (result.stopped, [each.arguments for each in result.pending]) == ("approval", [{"amount": 5000}])


def test_a_session_waits_for_days() -> None:
    with MemorySessions() as sessions:
        Agent(ScriptedBackend(CALLS), tools=[pay, log]).run("Go.", session=sessions["a"])
        agent = Agent(ScriptedBackend("Done."), tools=[pay, log])
        waiting = agent.resume(sessions["a"])
        assert waiting.stopped == "approval"
        result = agent.resume(sessions["a"], approve={call.id: True for call in waiting.pending})
        assert (result.output, result.unknown_calls) == ("Done.", [])
        assert ran == ["log a", "pay 5", "log b", "pay 7"]


OTHER = """
import sys
from agentkit import Agent
from agentkit.sessions import SQLiteSessions
from agentkit.testing import ScriptedBackend
from tests.test_approval import log, pay, ran
sessions = SQLiteSessions(sys.argv[1])
agent = Agent(ScriptedBackend("Done."), tools=[pay, log])
result = agent.resume(sessions["a"], approve={call_id: True for call_id in sys.argv[2:]})
print(result.output, ran)
"""


def test_another_process_may_continue(tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as sessions:
        result = Agent(ScriptedBackend(CALLS), tools=[pay, log]).run("Go.", session=sessions["a"])
    command = [sys.executable, "-c", OTHER, str(tmp_path / "chat.db"), *(call.id for call in result.pending)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "Done. ['pay 5', 'log b', 'pay 7']\n"
