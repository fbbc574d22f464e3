"""Checks of final answers: what a check says is sent to the model, which answers again."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from agentkit import Agent, Limits, MemorySessions, OutputError, ToolError, tool
from agentkit.event import OutputDelta, ReplyDiscarded, RunFinished, TextDelta
from agentkit.testing import ScriptedBackend
from tests.support.model_server import delta, serve, streamed, whole


@dataclass
class City:
    name: str
    people: int


SMALL, LARGE = {"name": "Oslo", "people": 7}, {"name": "Oslo", "people": 717_710}


def names_oslo(text: str) -> None:
    if "Oslo" not in text:
        raise ValueError("name the capital.")


def is_large(city: City) -> None:
    if city.people < 1000:
        raise ToolError("too few people")


@tool(read_only=True)
def look(topic: str) -> str:
    """Look something up."""
    return topic


def result_of(agent: Agent, stream: bool, **options: Any) -> Any:
    if not stream:
        return agent.run("Which?", **options)
    *_, last = agent.stream("Which?", **options)
    assert isinstance(last, RunFinished)
    return last.result


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_is_told_what_is_wrong_with_its_answer(stream: bool) -> None:
    backend = ScriptedBackend(("look", {"topic": "x"}), "Bergen.", "Oslo.")
    result = result_of(Agent(backend, tools=[look], output_check=names_oslo), stream)
    assert (result.output, result.stopped, len(backend.requests)) == ("Oslo.", "answer", 3)
    assert [each["content"] for each in result.messages[-3:]] == [
        "Bergen.",
        "Your answer is not valid: name the capital. Write the whole answer again.",
        "Oslo.",
    ]
    assert result_of(Agent(ScriptedBackend("Hm.", "Oslo!")), stream, output_check=names_oslo).output == "Oslo!"


def test_nothing_that_was_streamed_is_taken_back() -> None:
    agent = Agent(ScriptedBackend("In Bergen.", "In Oslo."), output_check=names_oslo)
    events = list(agent.stream("Which?"))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["In", " Bergen.", "In", " Oslo."]
    assert not any(isinstance(event, ReplyDiscarded) for event in events)


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_is_asked_again_as_often_as_the_run_says(stream: bool) -> None:
    backend = ScriptedBackend(*["Bergen."] * 4)
    with MemorySessions() as sessions:
        with pytest.raises(OutputError, match="without a valid answer: name the capital") as raised:
            result_of(Agent(backend, output_check=names_oslo), stream, session=sessions["a"])
        assert sessions["a"].messages == []  # the failed run is undone
    assert raised.value.text == "Bergen."
    assert raised.value.messages[-1] == {"role": "assistant", "content": "Bergen."}  # type: ignore[attr-defined]
    assert len(backend.requests) == 3
    with pytest.raises(OutputError):
        result_of(Agent(backend, output_check=names_oslo), stream, output_retries=0)
    assert len(backend.requests) == 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_typed_answer_is_checked_as_its_value(stream: bool) -> None:
    backend = ScriptedBackend(("final_answer", SMALL), ("final_answer", LARGE))
    result = result_of(Agent(backend, output_check=is_large), stream, output=City)
    assert result.output == City("Oslo", 717_710)
    assert "too few people. Correct them" in str(backend.requests[1].messages[-1]["content"])
    with pytest.raises(OutputError, match="too few people"):
        result_of(Agent(ScriptedBackend(*[("final_answer", SMALL)] * 3), output_check=is_large), stream, output=City)


@pytest.mark.parametrize("stream", [False, True])
def test_a_typed_answer_of_a_server_that_takes_schemas_is_checked_too(stream: bool) -> None:
    texts = [json.dumps(SMALL), json.dumps(LARGE)]
    with serve([streamed(delta(content=text), delta("stop")) if stream else whole(text) for text in texts]) as server:
        with Agent(f"openai:gpt-5-mini@{server.url}", output_check=is_large) as agent:
            assert result_of(agent, stream, output=City).output == City("Oslo", 717_710)
        assert "too few people" in server.requests[1].body["messages"][-1]["content"]


def test_the_values_received_so_far_are_not_checked() -> None:
    checked: list[City] = []
    agent = Agent(ScriptedBackend(("final_answer", LARGE)))
    events = list(agent.stream("Which?", output=City, output_check=checked.append))
    assert any(isinstance(event, OutputDelta) for event in events)
    assert checked == [City("Oslo", 717_710)]


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (json.loads, "Expecting value"),
        (lambda text: int("x"), "invalid literal"),
        (TypeAdapter(int).validate_json, "1 validation error"),
    ],
    ids=["json", "int", "pydantic"],
)
def test_any_function_that_raises_valueerror_is_a_check(check: Any, says: str) -> None:
    backend = ScriptedBackend("Hi.", "12")
    if says == "invalid literal":
        with pytest.raises(OutputError, match=says):
            Agent(backend, output_check=check).run("Number?", output_retries=0)
        return
    assert Agent(backend, output_check=check).run("Number?").output == "12"
    assert says in str(backend.requests[1].messages[-1]["content"])


def test_an_assertion_is_a_reason_to_ask_again() -> None:
    def check(text: str) -> None:
        assert text.endswith("!")

    backend = ScriptedBackend("Hi.", "Hi!")
    assert Agent(backend, output_check=check).run("Greet.").output == "Hi!"


@pytest.mark.parametrize("output", [str, City], ids=["text", "typed"])
@pytest.mark.parametrize(
    ("check", "error"),
    [(lambda answer: answer.nope, AttributeError), (lambda answer: False, ValueError)],
    ids=["bug", "returns-false"],
)
def test_a_check_that_fails_itself_fails_the_run_behind_the_answer(check: Any, error: Any, output: Any) -> None:
    backend = ScriptedBackend("Hi." if output is str else ("final_answer", LARGE))
    with pytest.raises(error) as raised:
        Agent(backend).run("Which?", output=output, output_check=check)
    assert not isinstance(raised.value, OutputError)
    assert len(raised.value.messages) >= 2
    assert len(backend.requests) == 1


def test_the_last_answer_at_a_limit_has_to_pass_too() -> None:
    agent = Agent(ScriptedBackend(("look", {"topic": "x"}), "Bergen."), tools=[look], output_check=names_oslo)
    with pytest.raises(OutputError, match=r"the run reached its limit \(turns\) without a valid answer"):
        agent.run("Which?", limits=Limits(turns=1))


def test_the_result_of_a_tool_that_ends_the_run_has_to_pass_too() -> None:
    @tool(ends_run=True)
    def decide(city: str) -> str:
        """Decide."""
        return city

    agent = Agent(ScriptedBackend(*[("decide", {"city": name}) for name in ("Oslo", "Bergen")]), tools=[decide])
    assert agent.run("Which?", output_check=names_oslo).output == "Oslo"
    with pytest.raises(OutputError, match="its tool ended the run without a valid answer"):
        agent.run("Which?", output_check=names_oslo)


def test_an_answer_that_is_there_already_is_checked_when_it_is_resumed() -> None:
    history = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "Bergen."}]
    backend = ScriptedBackend("Oslo.")
    assert Agent(backend, output_check=names_oslo).resume(history).output == "Oslo."
    assert Agent(backend, output_check=str.strip).resume(history).output == "Bergen."
    assert len(backend.requests) == 1


def test_what_a_check_says_is_of_bounded_length() -> None:
    def check(text: str) -> None:
        if text == "Bad.":
            raise ValueError("x" * 1_000_000)

    backend = ScriptedBackend("Bad.", "Good.")
    Agent(backend, output_check=check).run("Go.")
    assert len(str(backend.requests[1].messages[-1]["content"])) < 3_000


def test_models_with_validators_of_their_own_need_no_check() -> None:
    class Town(BaseModel):
        people: int = Field(ge=1000)

    backend = ScriptedBackend(("final_answer", {"people": 7}), ("final_answer", {"people": 7000}))
    assert Agent(backend).run("Which?", output=Town).output.people == 7000
