"""A tool with ends_run: its successful call ends the run, and its result is the output."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, Image, OutputError, ToolError, tool
from agentkit.event import ToolFinished
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend


@tool(ends_run=True)
def submit(answer: str) -> str:
    """Submit the answer."""
    if answer == "wrong":
        raise ToolError("wrong, try again")
    return f"submitted {answer}"


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


def test_a_call_of_it_ends_the_run_without_another_request() -> None:
    backend = ScriptedBackend(("submit", {"answer": "42"}))
    result = Agent(backend, tools=[submit]).run("What is it?")
    assert (result.output, result.stopped) == ("submitted 42", "answer")
    assert len(backend.requests) == 1
    assert result.messages[-1]["role"] == "tool"


def test_the_other_calls_of_its_reply_are_answered_first() -> None:
    calls = [("submit", {"answer": "42"}), ("look_up", {"topic": "x"})]
    with Agent(ScriptedBackend(calls), tools=[submit, look_up]).stream("What is it?") as run:
        finished = [event.record.name for event in run if isinstance(event, ToolFinished)]
    assert finished == ["submit", "look_up"]
    assert run.result is not None
    assert run.result.output == "submitted 42"


def test_a_failed_call_of_it_does_not_end_the_run() -> None:
    backend = ScriptedBackend(("submit", {"answer": "wrong"}), ("submit", {"reply": 1}), ("submit", {"answer": "42"}))
    result = Agent(backend, tools=[submit]).run("What is it?")
    assert (result.output, len(backend.requests)) == ("submitted 42", 3)
    assert [record.error is None for record in result.tool_calls] == [False, False, True]


def test_a_refused_call_of_it_does_not_end_the_run() -> None:
    asked = tool(ends_run=True, approve=True)(submit.function)
    agent = Agent(ScriptedBackend(("submit", {"answer": "42"}), "As you wish."), tools=[asked])
    paused = agent.run("What is it?")
    assert paused.stopped == "approval"
    assert agent.resume(paused.messages, approve={paused.pending[0].id: "not that"}).output == "As you wish."


def test_an_approved_call_of_it_ends_the_run() -> None:
    asked = tool(ends_run=True, approve=True)(submit.function)
    agent = Agent(ScriptedBackend(("submit", {"answer": "42"})), tools=[asked])
    paused = agent.run("What is it?")
    assert agent.resume(paused.messages, approve={paused.pending[0].id: True}).output == "submitted 42"


def test_the_conversation_goes_on_with_a_next_question() -> None:
    agent = Agent(ScriptedBackend(("submit", {"answer": "42"}), "It is what I said."), tools=[submit])
    first = agent.run("What is it?")
    assert agent.run("Why?", messages=first.messages).output == "It is what I said."


def test_a_resumed_run_that_had_ended_gives_its_result_again_without_a_request() -> None:
    backend = ScriptedBackend(("submit", {"answer": "42"}))
    agent = Agent(backend, tools=[submit])
    with MemorySessions() as sessions:
        agent.run("What is it?", session=sessions["a"])
        again = agent.resume(sessions["a"])
    assert (again.output, again.stopped, len(backend.requests)) == ("submitted 42", "answer", 1)


def test_a_hand_written_tool_an_agent_and_a_slow_tool_can_end_the_run() -> None:
    inner = Agent(ScriptedBackend("from inside"))
    assert ask(inner.as_tool("inner", "Asks.", ends_run=True), {"task": "x"}) == "from inside"
    slow = tool(ends_run=True, timeout=5)(submit.function)
    assert ask(slow, {"answer": "42"}) == "submitted 42"


def ask(ending: Any, arguments: dict[str, Any]) -> Any:
    return Agent(ScriptedBackend((ending.name, arguments)), tools=[ending]).run("Go.").output


class City(BaseModel):
    name: str
    people: int


def test_a_typed_run_reads_the_result_of_the_tool_as_its_value() -> None:
    @tool(ends_run=True)
    def found(name: str) -> str:
        """Give the city."""
        return json.dumps({"name": name, "people": 700_000})

    agent = Agent(ScriptedBackend(("found", {"name": "Oslo"})), tools=[found])
    assert agent.run("Which city?", output=City).output == City(name="Oslo", people=700_000)


def test_a_typed_run_raises_when_the_result_of_the_tool_is_not_of_the_type() -> None:
    agent = Agent(ScriptedBackend(("submit", {"answer": "42"})), tools=[submit])
    with pytest.raises(OutputError, match="ended the run without a valid answer of type City") as raised:
        agent.run("Which city?", output=City)
    assert raised.value.messages[-1]["role"] == "tool"  # type: ignore[attr-defined]


def test_of_two_calls_of_it_in_one_reply_both_are_answered_and_the_first_is_the_output() -> None:
    """dify#29126: a second call of the same tool in a reply was lost."""
    backend = ScriptedBackend([("submit", {"answer": "1"}), ("submit", {"answer": "2"})])
    result = Agent(backend, tools=[submit]).run("What is it?")
    assert result.output == "submitted 1"
    assert [record.response for record in result.tool_calls] == ["submitted 1", "submitted 2"]


def test_a_failing_call_beside_it_keeps_its_result() -> None:
    """smolagents#2457: the results of a reply were lost when one of its calls failed."""

    @tool
    def fails(topic: str) -> str:
        """Fail."""
        raise OSError("no such thing")

    backend = ScriptedBackend([("fails", {"topic": "x"}), ("submit", {"answer": "1"})])
    result = Agent(backend, tools=[submit, fails]).run("What is it?")
    assert (result.output, result.stopped) == ("submitted 1", "answer")
    assert [record.error is None for record in result.tool_calls] == [False, True]
    assert [message["role"] for message in result.messages] == ["user", "assistant", "tool", "tool"]


def test_an_image_that_it_returns_is_shown_and_the_run_ends() -> None:
    @tool(ends_run=True)
    def draw(topic: str) -> Any:
        """Draw."""
        return ["Here.", Image(b"png", "image/png", "drawing")]

    agent = Agent(ScriptedBackend(("draw", {"topic": "x"})), tools=[draw])
    result = agent.run("Draw.")
    assert result.output.startswith("Here.")
    assert agent.run(messages=result.messages).output == result.output


class Down(Exception):
    """The model server is away."""


def test_a_call_that_was_never_answered_has_not_ended_the_run() -> None:
    @tool(ends_run=True, approve=True)
    def send(text: str) -> str:
        """Send the answer."""
        return f"sent {text}"

    with MemorySessions() as store:
        agent = Agent(ScriptedBackend(("send", {"text": "hi"}), Down(), "I did not send it."), tools=[send])
        assert agent.run("Send hi.", session=store["a"]).pending
        with pytest.raises(Down):
            agent.run("Wait, what is the weather?", session=store["a"])
        assert agent.resume(store["a"]).output == "I did not send it."


@pytest.mark.parametrize(("name", "output"), [("submit", str), ("final_answer", int)])
def test_a_history_without_the_result_of_a_call_goes_on(name: str, output: type) -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": name, "arguments": '{"answer": "x", "value": "x"}'}},
        {"id": "2", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "y"}'}},
    ]
    history: list[Any] = [
        {"role": "user", "content": "How many?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "2", "content": "All about y."},
    ]
    backend = ScriptedBackend("3" if output is str else ("final_answer", {"value": 3}))
    result = Agent(backend, tools=[submit, look_up]).run(messages=history, output=output)
    assert result.output == output(3)
    assert len(backend.requests) == 1
