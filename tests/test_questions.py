"""A tool asks a person something (`ctx.ask`): the run pauses, and goes on with the answer."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Hook, Result, Tool, tool
from agentkit.cli.approvals import decided
from agentkit.event import ApprovalNeeded, ToolFinished
from agentkit.hooks import Proceed, ToolCallRequest
from agentkit.record import result_record
from agentkit.sessions import MemorySessions
from agentkit.sessions.sqlite import SQLiteSessions
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome

SEATS = {"type": "object", "properties": {"seat": {"enum": ["aisle", "window"]}}, "required": ["seat"]}
booked: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_is_booked() -> None:
    booked.clear()


@tool
def book(train: str, ctx: Context) -> str:
    """Book a train."""
    answer = ctx.ask(f"Which seat in {train}?", SEATS)
    booked.append((train, answer))
    return f"{train}: {answer['seat']}"


@tool(read_only=True)
def look(ctx: Context, place: str = "") -> str:
    """Look around."""
    return "ok" if place != "inside" else f"asked: {ctx.ask('May I go in?')}"


def paused(result: Result[Any]) -> str:
    """The id of the one call that waits."""
    assert result.stopped == "approval"
    assert len(result.pending) == 1
    assert result.pending[0].question is not None
    return result.pending[0].id


def test_a_question_pauses_the_run_and_its_answer_goes_to_the_tool() -> None:
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Booked."), tools=[book])
    first = agent.run("Book it.")
    question = first.pending[0].question
    assert question is not None
    assert (question.text, question.schema) == ("Which seat in ICE 5?", SEATS)
    assert booked == []
    assert first.messages[-1]["role"] == "assistant"  # the call is open
    result = agent.resume(first.messages, approve={paused(first): {"seat": "aisle"}})
    assert result.output == "Booked."
    assert booked == [("ICE 5", {"seat": "aisle"})]
    assert result.tool_calls[0].response == "ICE 5: aisle"


def test_the_question_is_in_the_json_of_a_result() -> None:
    first = Agent(ScriptedBackend(("book", {"train": "ICE 5"})), tools=[book]).run("Book it.")
    question = result_record(first)["pending"][0]["question"]
    assert question == {"text": "Which seat in ICE 5?", "schema": SEATS, "problem": ""}


@pytest.mark.parametrize("answer", [{"seat": "roof"}, {}, True], ids=str)
def test_an_answer_that_does_not_fit_is_asked_for_again_with_what_is_wrong(answer: Any) -> None:
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Booked."), tools=[book])
    first = agent.run("Book it.")
    second = agent.resume(first.messages, approve={paused(first): answer})
    question = second.pending[0].question
    assert question is not None
    assert "seat" in question.problem
    assert booked == []
    assert agent.resume(second.messages, approve={paused(second): {"seat": "window"}}).output == "Booked."


@pytest.mark.parametrize(("decision", "told"), [(False, "did not approve this call."), ("Too late.", ": Too late.")])
def test_a_refused_question_ends_the_call_without_running_it(decision: Any, told: str) -> None:
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Not booked."), tools=[book])
    first = agent.run("Book it.")
    result = agent.resume(first.messages, approve={paused(first): decision})
    assert booked == []
    assert str(result.tool_calls[0].error).endswith(told)
    assert result.output == "Not booked."


def test_a_question_without_a_schema_is_answered_by_true() -> None:
    agent = Agent(ScriptedBackend(("look", {"place": "inside"}), "Done."), tools=[look])
    first = agent.run("Look.")
    result = agent.resume(first.messages, approve={paused(first): True})
    assert result.tool_calls[0].response == "asked: True"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_calls_after_one_that_asks_wait_and_those_before_it_are_answered(stream: bool) -> None:
    calls = [("look", {}), ("look", {"place": "inside"}), ("look", {"place": "outside"}), ("book", {"train": "RE 1"})]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[look, book])
    events = list(agent.stream("Look.")) if stream else []
    if stream:
        assert [type(each) for each in events if isinstance(each, ApprovalNeeded | ToolFinished)] == [
            ToolFinished,
            ApprovalNeeded,
        ]
        first: Any = events[-1].result  # type: ignore[attr-defined]
    else:
        first = agent.run("Look.")
    assert [call.response for call in first.tool_calls] == ["ok"]
    second = agent.resume(first.messages, approve={paused(first): True})
    assert [call.response for call in second.tool_calls] == ["asked: True", "ok"]
    last = agent.resume(second.messages, approve={paused(second): {"seat": "aisle"}})
    assert last.output == "Done."
    assert booked == [("RE 1", {"seat": "aisle"})]


def test_a_call_that_needs_an_approval_too_is_approved_first() -> None:
    careful = Tool("book", "Book.", book.parameters, book.function, context="ctx", approve=True)
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Booked."), tools=[careful])
    first = agent.run("Book it.")
    assert first.pending[0].question is None
    second = agent.resume(first.messages, approve={first.pending[0].id: True})
    assert booked == []
    result = agent.resume(second.messages, approve={paused(second): {"seat": "aisle"}})
    assert result.output == "Booked."
    assert booked == [("ICE 5", {"seat": "aisle"})]


RUNS = {"type": "object", "properties": {"answer": {"type": "string"}, "amount": {"type": "integer"}}}


def pays(answer: str = "", amount: int = 0, *, ctx: Context) -> str:
    """Pay."""
    booked.append((answer, amount, ctx.ask("Which seat?", SEATS) if amount != 1 else ctx.ask("Really?")))
    return "paid"


careful_pay = Tool("pay", "Pay.", RUNS, pays, context="ctx", approve=lambda arguments: arguments["amount"] > 0)


@pytest.mark.parametrize("kept", ["messages", "json", "session", "messages of a session", "fork", "listed"])
def test_what_is_decided_on_a_call_that_has_asked_is_its_answer_wherever_it_is_kept(kept: str, tmp_path: Path) -> None:
    """Never its arguments; and those with which it was approved are kept for it."""
    store = SQLiteSessions(tmp_path / "sessions.db")
    calls = [("pay", {"answer": "a", "amount": 9}), ("pay", {"answer": "b", "amount": 1})]
    backend = ScriptedBackend(calls, "Paid.")
    agent = Agent(backend, tools=[careful_pay])
    result = agent.run("Pay.", session=store["a"])
    first, second = (call.id for call in result.pending)
    result = agent.resume(store["a"], approve={first: {"answer": "a", "amount": 5}, second: True})
    places: dict[str, Callable[[], Any]] = {
        "messages": lambda: result.messages,
        "json": lambda: json.loads(json.dumps(result.messages)),
        "session": lambda: store["a"],
        "messages of a session": lambda: store["a"].messages,
        "fork": lambda: store.fork("a", "b"),
        "listed": lambda: (agent.resume(store["a"]), store["a"])[1],  # asks nothing anew, and runs nothing
    }
    place = places[kept]()
    listed = agent.resume(place).pending if kept == "listed" else result.pending
    assert [(call.id, call.arguments, call.question and call.question.text) for call in listed] == [
        (first, {"answer": "a", "amount": 5}, "Which seat?"),
        (second, {"answer": "b", "amount": 1}, None),  # decided too early: it is decided anew
    ]
    result = agent.resume(place, approve={first: {"seat": "window"}})
    assert booked == [("a", 5, {"seat": "window"})]
    assert 'the user changed the arguments to {"answer": "a", "amount": 5}' in result.tool_calls[0].response
    assert [(call.id, call.question) for call in result.pending] == [(second, None)]
    result = agent.resume(result.messages, approve={second: True})
    assert paused(result) == second
    result = agent.resume(result.messages, approve={second: True})
    assert result.output == "Paid."
    assert booked == [("a", 5, {"seat": "window"}), ("b", 1, True)]
    assert "question" not in json.dumps(result.messages)


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def test_a_call_that_is_approved_at_the_terminal_is_answered_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\nwindow\nyes\ny\n"))
    calls = [("pay", {"amount": 9}), ("pay", {"amount": 1})]
    agent = Agent(ScriptedBackend(calls[0], calls[1], "Paid."), tools=[careful_pay])
    result = agent.run("Pay.")
    while result.stopped == "approval":
        result = agent.resume(result.messages, approve=decided(result.pending))
    assert booked == [("", 9, {"seat": "window"}), ("", 1, True)]
    assert sys.stdin.read() == ""


def test_an_answer_outlives_a_run_that_failed_or_was_cancelled(tmp_path: Path) -> None:
    """The question stays open: what is decided on it next is no approval of other arguments."""
    session = SQLiteSessions(tmp_path / "sessions.db")["a"]
    peek = Tool("pay", "Peek.", RUNS, pays, context="ctx", approve=True, read_only=True)
    agent = Agent(ScriptedBackend(("pay", {"amount": 2}), RuntimeError("no model"), "Done."), tools=[peek])
    result = agent.run("Pay.", session=session)
    call_id = result.pending[0].id
    result = agent.resume(session, approve={call_id: True})
    stop = threading.Event()
    stop.set()
    stopped = agent.resume(result.messages, approve={call_id: {"seat": "aisle"}}, cancel=stop)
    assert stopped.stopped == "cancelled"
    assert [call.question is not None for call in agent.resume(stopped.messages).pending] == [True]
    with pytest.raises(RuntimeError, match="no model"):
        agent.resume(session, approve={call_id: {"seat": "aisle"}})
    assert agent.resume(session, approve={call_id: {"seat": "window"}}).output == "Done."
    assert booked == [("", 2, {"seat": "aisle"}), ("", 2, {"seat": "window"})]


def test_a_question_is_not_sent_to_servers_and_ends_with_a_new_question_of_the_user() -> None:
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Never mind."), tools=[book])
    first = agent.run("Book it.")
    assert "open_question" in json.dumps(first.messages)
    result = agent.run("Forget it.", messages=first.messages)
    assert "open_question" not in json.dumps(result.messages)
    assert (result.output, booked) == ("Never mind.", [])


def test_a_stored_session_goes_on_with_the_answer(tmp_path: Path) -> None:
    store = SQLiteSessions(tmp_path / "sessions.db")
    backend = ScriptedBackend(("book", {"train": "ICE 5"}), "Booked.")
    first = Agent(backend, tools=[book]).run("Book it.", session=store["a"])
    store.close()
    again = SQLiteSessions(tmp_path / "sessions.db")
    result = Agent(backend, tools=[book]).resume(again["a"], approve={paused(first): {"seat": "aisle"}})
    assert result.output == "Booked."
    assert result.unknown_calls == []
    assert booked == [("ICE 5", {"seat": "aisle"})]


DIES = """
import os, sys
from agentkit import Agent, Context, tool
from agentkit.sessions import MemorySessions
from agentkit.sessions.sqlite import SQLiteSessions
from agentkit.testing import ScriptedBackend

@tool
def dies(ctx: Context) -> str:
    "Die."
    ctx.ask("Sure?")
    os._exit(7)

agent = Agent(ScriptedBackend(("dies", {})), tools=[dies])
session = SQLiteSessions(sys.argv[1])["a"]
pending = agent.run("Go.", session=session).pending
agent.resume(session, approve={pending[0].id: True})
"""


def test_a_call_that_was_killed_after_the_answer_is_not_run_again(tmp_path: Path) -> None:
    path = str(tmp_path / "sessions.db")
    assert subprocess.run([sys.executable, "-c", DIES, path], check=False).returncode == 7
    agent = Agent(ScriptedBackend("I don't know."), tools=[tool(name="dies", description="Die.")(booked.append)])
    result = agent.resume(SQLiteSessions(path)["a"])
    assert [call.name for call in result.unknown_calls] == ["dies"]
    assert booked == []


class Counting(Hook):
    """Lets each call pass."""

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
        return proceed(call)


@pytest.mark.parametrize("approve", [False, True], ids=["no approval", "approval"])
def test_a_question_passes_hooks_around_the_call(approve: bool) -> None:
    asking = Tool("book", "Book.", book.parameters, book.function, context="ctx", approve=approve)
    agent = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "Booked."), tools=[asking], hooks=[Counting()])
    result = agent.run("Book it.")
    if approve:
        result = agent.resume(result.messages, approve={result.pending[0].id: True})
    answer: Any = {"seat": "aisle"}
    result = agent.resume(result.messages, approve={paused(result): answer})
    assert result.output == "Booked."
    assert booked == [("ICE 5", {"seat": "aisle"})]


def test_an_agent_inside_of_a_tool_cannot_ask_and_says_so() -> None:
    inner = Agent(ScriptedBackend(("book", {"train": "ICE 5"}), "?"), tools=[book])
    outer = Agent(ScriptedBackend(("travel", {"task": "Book."}), "Done."), tools=[inner.as_tool("travel", "Travels.")])
    result = outer.run("Go.")
    assert result.output == "Done."
    assert "approval" in result.tool_calls[0].response
    assert booked == []


def test_a_question_outside_of_a_run_is_an_error_that_says_what_was_asked() -> None:
    outcome = book.answer('{"train": "ICE 5"}', Context())
    assert outcome.failed
    assert (
        outcome.text == "Error: book asks a person: Which seat in ICE 5? Nobody can answer that here; it was not run."
    )


@pytest.mark.parametrize("how", ["fork", "append"])
def test_a_question_that_was_copied_does_not_count_for_a_later_call_with_its_id(how: str) -> None:
    sent: list[tuple[int, str]] = []

    @tool(approve=True)
    def transfer(amount: int, to: str, ctx: Context) -> str:
        """Transfer money."""
        if amount > 100:
            ctx.ask(f"Really {amount}?")
        sent.append((amount, to))
        return f"sent {amount} to {to}"

    def call(amount: int, to: str) -> dict[str, Any]:  # of a server that numbers the calls of each reply anew
        function = {"name": "transfer", "arguments": json.dumps({"amount": amount, "to": to})}
        return {"content": None, "tool_calls": [{"id": "call_0", "type": "function", "function": function}]}

    sessions = MemorySessions()
    agent = Agent(ScriptedBackend(call(500, "Ann"), "Done.", call(20, "Bob"), "Done."), tools=[transfer])
    agent.run("Send Ann 500.", session=sessions["a"])
    asks = agent.resume(sessions["a"], approve={"call_0": True})
    copy = sessions.fork("a", "b") if how == "fork" else sessions["b"]
    if how == "append":
        copy.append(asks.messages)
    assert copy.messages[-1].get("open_question")
    agent.resume(copy, approve={"call_0": True})
    assert sent == [(500, "Ann")]
    assert not any("open_question" in message for message in copy.messages)
    agent.run("Send Bob 20.", session=copy)
    result = agent.resume(copy, approve={"call_0": True})
    assert sent == [(500, "Ann"), (20, "Bob")]
    assert result.tool_calls[-1].response == "sent 20 to Bob"
