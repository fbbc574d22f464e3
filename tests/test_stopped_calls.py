"""A call with an effect that a stopped run has begun is not made again by whoever goes on, and a fork knows of it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentkit import Agent, Context, tool
from agentkit.event import ToolFinished, ToolProgress
from agentkit.message import Message, response_of
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend

paid: list[int] = []
CALL = ("pay", {"amount": 100})
NOT_KNOWN = "whether it had an effect is not known"


@pytest.fixture(autouse=True)
def nothing_paid() -> None:
    paid.clear()


class Payment:
    """A tool that pays, and then waits until it may end."""

    def __init__(self) -> None:
        self.has_paid, self.may_end = threading.Event(), threading.Event()

        @tool
        def pay(amount: int, ctx: Context) -> str:
            """Pay."""
            paid.append(amount)
            self.has_paid.set()
            ctx.progress("sent")
            self.may_end.wait(20)
            return "paid"

        self.tool = pay

    def agent(self, *steps: Any) -> Agent:
        return Agent(ScriptedBackend(*steps), tools=[self.tool])


def cancelled(payment: Payment) -> list[Message]:
    cancel = threading.Event()

    def stop() -> None:
        payment.has_paid.wait(20)
        cancel.set()

    threading.Thread(target=stop).start()
    return payment.agent(CALL, "Done.").run("Pay.", cancel=cancel).messages


def left_at_an_event(payment: Payment) -> list[Message]:
    with payment.agent(CALL, "Done.").stream("Pay.") as run:
        for event in run:
            if isinstance(event, ToolProgress):
                break
    return run.messages


@pytest.mark.parametrize("stop", [cancelled, left_at_an_event])
def test_a_call_that_runs_when_its_run_is_stopped_is_not_made_again(
    stop: Callable[[Payment], list[Message]],
) -> None:
    payment = Payment()
    try:
        messages = stop(payment)
    finally:
        payment.may_end.set()
    assert messages[-1]["role"] == "tool"
    assert NOT_KNOWN in str(messages[-1]["content"])
    result = payment.agent("It may be paid.").run(messages=messages)
    assert (result.output, paid) == ("It may be paid.", [100])


def test_a_call_that_ctrl_c_ends_in_its_own_thread_is_not_made_again() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        Agent(ScriptedBackend(CALL), tools=[pay]).run("Pay.")
    messages: list[Message] = raised.value.messages  # type: ignore[attr-defined]
    assert NOT_KNOWN in str(messages[-1]["content"])
    Agent(ScriptedBackend("It may be paid."), tools=[pay]).run(messages=messages)
    assert paid == [100]


def test_a_read_only_call_of_a_stopped_run_is_made_again() -> None:
    asked: list[str] = []

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        asked.append(topic)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return "found"

    with pytest.raises(KeyboardInterrupt) as raised:
        Agent(ScriptedBackend(("look", {"topic": "x"})), tools=[look], early_start=False).run("Look.")
    result = Agent(ScriptedBackend("Found."), tools=[look]).run(messages=raised.value.messages)  # type: ignore[attr-defined]
    assert (result.output, asked) == ("Found.", ["x", "x"])


def killed_in_a_payment() -> tuple[MemorySessions, Any]:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        if len(paid) == 1:
            raise KeyboardInterrupt
        return "paid"

    sessions = MemorySessions()
    with pytest.raises(KeyboardInterrupt):
        Agent(ScriptedBackend(CALL), tools=[pay]).run("Pay.", session=sessions["a"])
    return sessions, pay


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_fork_reports_the_call_whose_effect_is_not_known(is_damaged: bool) -> None:
    sessions, pay = killed_in_a_payment()
    if is_damaged:
        sessions._append("a", ["damaged by another program"], {}, None)
    forked = sessions.fork("a", "b", skip_damaged=is_damaged)
    result = Agent(ScriptedBackend("It may be paid."), tools=[pay]).resume(forked)
    assert [call.name for call in result.unknown_calls] == ["pay"]
    assert paid == [100]


def test_a_fork_before_the_result_of_a_call_does_not_make_it_again() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    sessions = MemorySessions()
    Agent(ScriptedBackend(CALL, "Done."), tools=[pay]).run("Pay.", session=sessions["a"])
    forked = sessions.fork("a", "b", at=2)
    result = Agent(ScriptedBackend("It may be paid."), tools=[pay]).resume(forked)
    assert ([call.name for call in result.unknown_calls], paid) == (["pay"], [100])


def test_a_fork_does_not_know_of_calls_of_earlier_replies() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    def again() -> dict[str, Any]:  # as servers do that number the calls of each reply anew
        function = {"name": "pay", "arguments": '{"amount": 100}'}
        return {"content": None, "tool_calls": [{"id": "call_0", "type": "function", "function": function}]}

    sessions = MemorySessions()
    agent = Agent(ScriptedBackend(again(), "Done.", again(), "Done twice."), tools=[pay])
    agent.run("Pay.", session=sessions["a"])
    forked = sessions.fork("a", "b")
    result = agent.run("Pay again.", session=forked)
    assert (result.output, result.unknown_calls, paid) == ("Done twice.", [], [100, 100])


def test_a_fork_at_an_earlier_reply_does_not_take_the_calls_of_later_ones_for_its_own() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    @tool(read_only=True)
    def look(topic: str) -> str:
        """Look."""
        return "found"

    def reply(name: str, arguments: str) -> dict[str, Any]:  # of a server that numbers the calls of each reply anew
        function = {"name": name, "arguments": arguments}
        return {"content": None, "tool_calls": [{"id": "call_0", "type": "function", "function": function}]}

    sessions = MemorySessions()
    steps: list[Any] = [reply("look", '{"topic": "x"}'), reply("pay", '{"amount": 100}'), "Done."]
    Agent(ScriptedBackend(*steps), tools=[pay, look]).run("Look, and pay.", session=sessions["a"])
    result = Agent(ScriptedBackend("Found."), tools=[pay, look]).resume(sessions.fork("a", "b", at=2))
    assert ([each.response for each in result.tool_calls], result.unknown_calls) == (["found"], [])


@pytest.mark.parametrize("forks", [False, True])
def test_a_call_that_was_started_before_a_message_that_is_undone_is_reported(forks: bool) -> None:
    sessions, pay = killed_in_a_payment()
    count = len(sessions["a"].messages)
    with sessions["a"].hold() as writer:
        writer.append([{"role": "user", "content": "Are you there?"}])
        writer.undo(1)
    assert len(sessions["a"].messages) == count
    session = sessions.fork("a", "b") if forks else sessions["a"]
    result = Agent(ScriptedBackend("It may be paid."), tools=[pay]).resume(session)
    assert ([call.name for call in result.unknown_calls], paid) == (["pay"], [100])


class _AtTheEnd(logging.Handler):
    """Ctrl-C comes while the end of a call is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        if "returned after" in record.getMessage():
            raise KeyboardInterrupt


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_call_that_has_ended_when_ctrl_c_comes_keeps_its_result(in_thread: bool) -> None:
    @tool(timeout=20 if in_thread else None)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    log, handler = logging.getLogger("agentkit.run"), _AtTheEnd()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            Agent(ScriptedBackend(CALL), tools=[pay]).run("Pay.")
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    messages: list[Message] = raised.value.messages  # type: ignore[attr-defined]
    assert [response_of(each) for each in messages if each["role"] == "tool"] == ["paid"]
    result = Agent(ScriptedBackend("It is paid."), tools=[pay]).run(messages=messages)
    assert (result.output, paid) == ("It is paid.", [100])


def test_a_run_that_is_left_at_the_end_of_a_call_has_one_answer_to_it() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    with Agent(ScriptedBackend([CALL, CALL]), tools=[pay]).stream("Pay.") as run:
        for event in run:
            if isinstance(event, ToolFinished):
                break
    assert [response_of(each) for each in run.messages if each["role"] == "tool"] == ["paid"]
