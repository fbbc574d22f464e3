"""Typed answers: requested in the way the server supports, validated, and corrected by the model."""

import json
from dataclasses import dataclass
from typing import Any, Literal, TypedDict
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field

from agentkit import Agent, ConfigurationError, Limits, OutputError, tool
from agentkit.backend import Capabilities
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import OutputDelta, Reply, TextDelta
from agentkit.limits import Usage
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, calls, delta, serve, streamed, whole


class City(BaseModel):
    name: str
    people: int = Field(ge=0)


@dataclass
class Point:
    x: int
    y: int


class Pair(TypedDict):
    left: str
    right: int


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


OSLO = '{"name": "Oslo", "people": 700000}'
BAD, GOOD = ("final_answer", {"name": "Oslo"}), ("final_answer", json.loads(OSLO))
OTHER = ("final_answer", {"name": "Bergen", "people": 1})


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (City, OSLO, City(name="Oslo", people=700000)),
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (Pair, '{"left": "a", "right": 2}', {"left": "a", "right": 2}),
        (Literal["red", "blue"], '{"value": "red"}', "red"),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (list[City], f'{{"value": [{OSLO}]}}', [City(name="Oslo", people=700000)]),
        (int, '{"value": 7}', 7),
        (bool, '{"value": true}', True),
        (int | str, '{"value": "x"}', "x"),
        (City | Point, '{"value": {"x": 1, "y": 2}}', Point(1, 2)),
        (dict[str, int], '{"value": {"a": 1}}', {"a": 1}),
        (City | None, '{"value": null}', None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_has_the_type(kind: Any, text: str, value: Any, stream: bool) -> None:
    with serve([streamed(delta(content=text), delta("stop")) if stream else whole(text)]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            if stream:
                result = list(agent.stream("Go.", output=kind))[-1].result  # type: ignore[attr-defined]
            else:
                result = agent.run("Go.", output=kind)
    assert result.output == value
    assert type(result.output) is type(value)
    assert result.stopped == "answer"
    sent = server.requests[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"]["type"] == "object"
    assert "conforming to this schema" in server.requests[0].body["messages"][0]["content"]


class Town(BaseModel):
    name: str
    people: int = 5
    place: Point = Point(0, 0)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "42", 42),
        (int, '"42"', 42),
        (int, " 42\n", 42),
        (int, "```json\n42\n```", 42),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (list[str], '["a"]', ["a"]),
        (list[int], "[]", []),
        (Literal["yes", "no"], '"yes"', "yes"),
        (Literal["yes", "no"], "yes", "yes"),
        (City | None, "null", None),
        (int | None, "null", None),
        (City | None, OSLO, City(name="Oslo", people=700000)),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (list[City], f"[{OSLO}]", [City(name="Oslo", people=700000)]),
        (Town, '{"name": "Oslo", "people": null, "place": null}', Town(name="Oslo")),
        (list[Town], '{"value": [{"name": "Oslo", "people": null}]}', [Town(name="Oslo")]),
    ],
)
def test_a_bare_value_is_accepted_and_null_is_the_default(kind: Any, text: str, value: Any) -> None:
    result = _answered(kind, whole(text))
    assert result.output == value
    assert type(result.output) is type(value)


def _answered(kind: Any, *answers: Answer, **options: Any) -> Any:
    with serve(answers) as server, Agent(f"openai:m@{server.url}") as agent:
        return agent.run("Go.", output=kind, **options)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "I don't know"),
        (int, "[4"),
        (list[str], '["a", "b'),
        (list[str], "none that I know"),
        (Literal["yes", "no"], "maybe"),
        (City, "42"),
        (City, '{"people": 7, "name": "Os'),
        (City, '{"name": "Oslo", "people": 7'),
        (int, '{"value": 4'),
    ],
)
def test_partial_answers_and_answers_inside_text_are_rejected(kind: Any, text: str) -> None:
    with pytest.raises(OutputError) as raised:
        _answered(kind, whole(text), output_retries=0)
    assert raised.value.text == text


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "content_filter", "abort"])
@pytest.mark.parametrize("text", ['{"name": "Oslo", "people": 7}', '{"name": "Oslo", "people": 70', '{"name": "Oslo"'])
def test_a_truncated_answer_is_accepted_only_if_complete(text: str, reason: str) -> None:
    answers = (whole(text, finish_reason=reason), whole(OSLO))
    with serve(answers) as server, Agent(f"openai:m@{server.url}") as agent:
        result = agent.run("Go.", output=City)
    if text.endswith("}"):
        assert result.output.people == 7
    else:
        assert result.output.people == 700000
        assert "cut off" in str(result.messages[2]["content"])


def test_a_truncated_bare_number_is_requested_again() -> None:
    assert _answered(int, whole("4", finish_reason="length"), whole("42")).output == 42


def test_openais_own_server_needs_no_instruction_and_supports_schema_with_tools() -> None:
    own = OpenAIBackend("gpt-5-mini", api_key="x").capabilities()
    assert own.takes_schema(True)
    assert own.tells_schema
    other = OpenAIBackend("m", base_url="http://127.0.0.1:9/v1").capabilities()
    assert (other.takes_schema(False), other.takes_schema(True), other.tells_schema) == (True, False, False)


def test_schemas_are_strict_where_openai_would_take_them_so() -> None:
    from agentkit.middleware.structured_output import OutputType

    class Loose(BaseModel):
        name: str = "x"

    assert OutputType(City).response_format["json_schema"]["strict"] is True
    assert OutputType(list[City]).response_format["json_schema"]["strict"] is True
    assert OutputType(Loose).response_format["json_schema"]["strict"] is False
    assert OutputType(dict[str, int]).response_format["json_schema"]["strict"] is False


def test_the_validation_error_is_sent_to_the_model() -> None:
    with serve([whole("About 700000."), whole('{"name": "Oslo", "people": -1}'), whole(OSLO)]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            result = agent.run("Oslo?", output=City)
    assert result.output == City(name="Oslo", people=700000)
    sent = [str(message["content"]) for message in result.messages if message["role"] == "user"]
    assert "not valid JSON" in sent[1]
    assert "people: expected greater than or equal to 0, got -1" in sent[2]
    Transcript(result.messages)


def test_text_around_the_answer_and_broken_json_are_accepted() -> None:
    with serve([whole(f"Here it is:\n```json\n{OSLO[:-1]},}}\n```\nGlad to help.")]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            assert agent.run("Oslo?", output=City).output.people == 700000


class Ticket(BaseModel):
    title: str
    number: UUID = Field(default_factory=uuid4)


def test_an_answer_that_is_never_equal_to_another_is_read_in_any_decoration() -> None:
    backend = ScriptedBackend('Here it is:\n```json\n{"title": "Rain"}\n```')
    assert Agent(backend).run("The ticket?", output=Ticket).output.title == "Rain"


@pytest.mark.parametrize(
    "text",
    [f"{OSLO}\nThat is: {OSLO}", f"{OSLO} of the set {{}} and {{x}}", f'{OSLO} \\boxed{{1}} {{"x": '],
    ids=range(3),
)
def test_other_braces_and_the_same_answer_twice_are_no_doubt(text: str) -> None:
    assert Agent(ScriptedBackend(text)).run("The city?", output=City).output == City(name="Oslo", people=700000)


@pytest.mark.parametrize("retries", [0, 1])
def test_an_answer_that_never_fits_is_an_error_with_the_last_text(retries: int) -> None:
    with serve([whole("No."), whole("Never.")]) as server:
        with Agent(f"openai:m@{server.url}") as agent, pytest.raises(OutputError, match="type City") as caught:
            agent.run("Oslo?", output=City, output_retries=retries)
    assert caught.value.text == ["No.", "Never."][retries]
    assert len(server.requests) == retries + 1
    assert caught.value.messages[-1]["content"] == caught.value.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True])
def test_with_tools_the_answer_arrives_by_a_tool(stream: bool) -> None:
    wrong = ("final_answer", {"name": "Oslo", "people": "many"})
    backend = ScriptedBackend(("look_up", {"topic": "Oslo"}), wrong, ("final_answer", json.loads(OSLO)))
    agent = Agent(backend, tools=[look_up])
    if stream:
        result = list(agent.stream("Oslo?", output=City))[-1].result  # type: ignore[attr-defined]
    else:
        result = agent.run("Oslo?", output=City)
    assert result.output == City(name="Oslo", people=700000)
    assert result.stopped == "answer"
    assert [each["function"]["name"] for each in backend.requests[0].tools] == ["look_up", "final_answer"]
    assert "people: expected a valid integer" in result.tool_calls[1].response
    Transcript(result.messages)


def test_calls_next_to_the_answer_are_answered_too() -> None:
    backend = ScriptedBackend([("final_answer", json.loads(OSLO)), ("look_up", {"topic": "Oslo"})])
    result = Agent(backend, tools=[look_up]).run("Oslo?", output=City)
    assert result.output.name == "Oslo"
    assert len(result.tool_calls) == 2


def test_an_answer_as_text_is_accepted_or_the_tool_is_named() -> None:
    backend = ScriptedBackend(f"It is {OSLO}.")
    assert Agent(backend, tools=[look_up]).run("Oslo?", output=City).output.name == "Oslo"
    backend = ScriptedBackend("I don't know.", ("final_answer", json.loads(OSLO)))
    result = Agent(backend, tools=[look_up]).run("Oslo?", output=City)
    assert result.output.name == "Oslo"
    assert "Call final_answer with it" in str(backend.requests[1].messages[-1]["content"])


def test_a_tool_answer_that_never_fits_is_an_error() -> None:
    backend = ScriptedBackend(*[("final_answer", {"name": str(number)}) for number in range(3)])
    with pytest.raises(OutputError, match="people: is missing") as caught:
        Agent(backend, tools=[look_up]).run("Oslo?", output=City)
    assert json.loads(caught.value.text) == {"name": "2"}
    Transcript(caught.value.messages)  # type: ignore[attr-defined]


def test_invalid_answers_in_one_reply_are_one_try() -> None:
    wrong = [("final_answer", {"name": name}) for name in "ABCD"]
    backend = ScriptedBackend(wrong[:2], wrong[2:], GOOD)
    assert Agent(backend).run("Oslo?", output=City).output.name == "Oslo"
    backend = ScriptedBackend(wrong[:3], GOOD)
    with pytest.raises(OutputError, match="people: is missing") as caught:
        Agent(backend).run("Oslo?", output=City, output_retries=0)
    assert len(backend.requests) == 1
    Transcript(caught.value.messages)  # type: ignore[attr-defined]


@pytest.mark.parametrize("calls", [[GOOD, OTHER], [GOOD, BAD, BAD, BAD], [BAD, GOOD, OTHER], [BAD, BAD, GOOD, BAD]])
@pytest.mark.parametrize("retries", [0, 2])
def test_of_several_answers_in_one_reply_the_first_valid_one_counts(calls: list[Any], retries: int) -> None:
    session = MemorySessions()["a"]
    agent = Agent(ScriptedBackend(calls))
    asked: list[City] = []
    options: Any = {"output_retries": retries, "output_check": asked.append, "session": session, "request_id": "1"}
    live, replayed = (agent.run("Oslo?", output=City, **options) for _ in range(2))
    assert live.output == replayed.output == asked[0] == City(name="Oslo", people=700000)
    assert (live.stopped, len(asked), replayed.replayed) == ("answer", 2, True)
    assert [record.response == "Accepted." for record in live.tool_calls] == [
        place == calls.index(GOOD) for place in range(len(calls))
    ]
    assert "this call was ignored" in live.tool_calls[-1].response


def test_a_check_that_fails_is_not_made_up_for_by_another_answer_in_the_same_reply() -> None:
    def check(city: City) -> None:
        if city.name == "Oslo":
            raise KeyError(city.name)

    with pytest.raises(KeyError, match="Oslo"):
        Agent(ScriptedBackend([GOOD, OTHER])).run("Oslo?", output=City, output_check=check)


def test_after_a_refused_schema_it_is_sent_as_text() -> None:
    def reply(asked: Any) -> Answer:
        if "response_format" in asked.body:
            return Answer(b'{"error": {"message": "response_format is not supported"}}', status=400)
        return whole(OSLO)

    with serve(reply) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        agent = Agent(backend)
        assert [agent.run("Oslo?", output=City).output.name for _ in range(2)] == ["Oslo", "Oslo"]
        backend.close()
    assert ["response_format" in asked.body for asked in server.requests] == [True, False, False]


def test_partial_objects_are_emitted_while_streaming() -> None:
    parts = ['{"na', 'me": "Os', 'lo", "peo', 'ple": 7000', "00}"]
    with serve([streamed(*[delta(content=part) for part in parts], delta("stop"))]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            events = list(agent.stream("Oslo?", output=City))
    emitted = [event.value for event in events if isinstance(event, OutputDelta)]
    assert emitted[:2] == [{}, {"name": "Os"}]
    assert emitted[-1] == {"name": "Oslo", "people": 700000}


def test_partial_objects_are_emitted_when_the_answer_arrives_by_a_tool() -> None:
    parts = ['{"name": "Os', 'lo", "people": 7}']
    chunks = [
        delta(
            tool_calls=[{"index": 0, "function": {"name": "final_answer" if place == 0 else None, "arguments": part}}]
        )
        for place, part in enumerate(parts)
    ]
    with serve([streamed(*chunks, delta("tool_calls"))]) as server:
        with Agent(f"openai:m@{server.url}", tools=[look_up]) as agent:
            events = list(agent.stream("Oslo?", output=City))
    assert [event.value for event in events if isinstance(event, OutputDelta)] == [
        {"name": "Os"},
        {"name": "Oslo", "people": 7},
    ]
    assert events[-1].result.output == City(name="Oslo", people=7)  # type: ignore[attr-defined]


def test_a_limit_asks_for_the_best_answer_of_the_type() -> None:
    answers = [calls(("look_up", {"topic": "x"})), whole(OSLO)]
    with serve(answers) as server, Agent(f"openai:m@{server.url}", tools=[look_up], limits=Limits(turns=1)) as agent:
        result = agent.run("Oslo?", output=City)
    assert (result.output.name, result.stopped) == ("Oslo", "turns")
    assert "response_format" in server.requests[1].body


def test_a_limit_without_an_answer_of_the_type_is_an_error() -> None:
    answers = [calls(("look_up", {"topic": "x"})), whole("Dunno.")]
    with serve(answers) as server, Agent(f"openai:m@{server.url}", tools=[look_up], limits=Limits(turns=1)) as agent:
        with pytest.raises(OutputError, match="turns"):
            agent.run("Oslo?", output=City)


def test_sessions_store_the_validation_messages() -> None:
    with MemorySessions() as sessions:
        backend = ScriptedBackend("No.", ("final_answer", json.loads(OSLO)))
        Agent(backend, tools=[look_up]).run("Oslo?", output=City, session=sessions["a"])
        roles = [message["role"] for message in sessions["a"].messages]
    assert roles == ["user", "assistant", "user", "assistant", "tool"]


@pytest.mark.parametrize("text", [OSLO, f"```json\n{OSLO}\n```"])
def test_lightllm_is_constrained_to_the_schema(text: str) -> None:
    with serve_lightllm([Says(text)]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        assert Agent(backend).run("Oslo?", output=City).output.name == "Oslo"
        backend.close()
    sent = server.requests[-1].body["parameters"]
    assert json.loads(sent["guided_json"])["required"] == ["name", "people"]


def test_lightllm_with_tools_answers_by_the_tool() -> None:
    call = f'<tool_call>\n{{"name": "final_answer", "arguments": {OSLO}}}\n</tool_call>'
    with serve_lightllm([Says(call)]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        assert Agent(backend, tools=[look_up]).run("Oslo?", output=City).output.name == "Oslo"
        backend.close()


def test_a_real_server_keeps_to_the_schema(llama: LlamaServer) -> None:
    with Agent(f"openai:tiny@{llama.url}") as agent:
        assert agent.run("Which?", output=Literal["red", "blue"]).output in ("red", "blue")
        events = list(agent.stream("Which?", output=bool))
    assert events[-1].result.output in (True, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["City", 7, object()])
def test_a_value_that_is_not_a_type_is_an_error(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="has no JSON schema"):
        Agent(ScriptedBackend("x")).run("Go.", output=kind)


@pytest.mark.parametrize("schema", ["no", "always"])
def test_a_resumed_session_that_is_answered_gives_the_value_without_a_request(schema: Any) -> None:
    step: Any = OSLO if schema == "always" else ("final_answer", json.loads(OSLO))
    backend = Schemed(schema, step)
    agent = Agent(backend)
    with MemorySessions() as sessions:
        agent.run("Which city?", session=sessions["a"], output=City)
        again = agent.resume(sessions["a"], output=City)
        assert again.output == City(name="Oslo", people=700000)
        assert (again.stopped, len(backend.requests)) == ("answer", 1)
        assert agent.run(messages=again.messages, output=City).output == again.output


def test_a_resumed_answer_that_does_not_fit_is_corrected() -> None:
    backend = Schemed("always", "It is Oslo.", OSLO)
    agent = Agent(backend)
    with MemorySessions() as sessions:
        agent.run("Which city?", session=sessions["a"])
        again = agent.resume(sessions["a"], output=City)
        assert again.output == City(name="Oslo", people=700000)
        assert "not valid" in str(sessions["a"].messages[2]["content"])
        assert again.messages == sessions["a"].messages


def test_a_resumed_answer_that_does_not_fit_raises_without_retries() -> None:
    agent = Agent(Schemed("always", "It is Oslo."))
    answered = agent.run("Which city?")
    with pytest.raises(OutputError, match="no valid answer of type City"):
        agent.run(messages=answered.messages, output=City, output_retries=0)


def test_the_usage_of_a_corrected_answer_is_stored_with_the_answer() -> None:
    bad = Reply({"role": "assistant", "content": "Oslo."}, "stop", Usage(1, 70, 0, 5))
    with MemorySessions() as sessions:
        Agent(Schemed("always", bad, OSLO)).run("Which city?", session=sessions["a"], output=City)
        stored = [(entry.value["role"], bool(entry.usage)) for entry in sessions["a"].entries()]
    assert stored == [("user", False), ("assistant", True), ("user", False), ("assistant", True)]


class Schemed(ScriptedBackend):
    """A scripted backend with support for schemas."""

    def __init__(self, schema: Any, *steps: Any) -> None:
        super().__init__(*steps)
        self._schema = schema

    def capabilities(self, ask: bool = False) -> Capabilities:
        return Capabilities(schema=self._schema, tells_schema=True)


def test_a_long_answer_is_emitted_in_linear_time_and_whole_at_last() -> None:
    def outputs(size: int) -> list[Any]:
        text = json.dumps({"name": "x" * size, "people": 7})
        parts = [Reply({"role": "assistant", "content": text}, "stop")]
        deltas = [TextDelta(text[at : at + 4]) for at in range(0, len(text), 4)]
        agent = Agent(Streamed("always", [*deltas, *parts]))
        return [event.value for event in agent.stream("Oslo?", output=City) if isinstance(event, OutputDelta)]

    values = outputs(2000)
    assert values[-1] == {"name": "x" * 2000, "people": 7}
    assert values[:3] == [{}, {"name": "x" * 2}, {"name": "x" * 6}]
    assert len(values) > 100
    assert_linear(outputs, 20_000)


class Streamed(Schemed):
    """A backend that yields these deltas."""

    def reply(self, request: Any) -> Any:
        yield from self._steps[0]  # type: ignore[misc]


@dataclass(frozen=True)
class Route:
    stops: list[str]
    by: dict[str, str]


def test_a_dataclass_may_have_lists_and_objects() -> None:
    agent = Agent(ScriptedBackend('{"stops": ["Oslo", "Bergen"], "by": {"first": "train"}}'))
    assert agent.run("Which way?", output=Route).output == Route(["Oslo", "Bergen"], {"first": "train"})


def test_a_resumed_final_answer_that_does_not_fit_is_corrected() -> None:
    backend = ScriptedBackend(("final_answer", {"value": 7}), ("final_answer", {"name": "Oslo", "people": 7}))
    agent = Agent(backend)
    first = agent.run("How many?", output=int)
    assert agent.resume(first.messages, output=City).output == City(name="Oslo", people=7)
    assert "people: is missing" in str(backend.requests[1].messages[-1]["content"])


def test_a_resumed_final_answer_that_a_check_refuses_is_corrected() -> None:
    def large(value: int) -> None:
        if value < 1000:
            raise ValueError("too few")

    agent = Agent(ScriptedBackend(("final_answer", {"value": 7}), ("final_answer", {"value": 5000})))
    with MemorySessions() as store:
        assert agent.run("How many?", session=store["a"], output=int).output == 7
        with pytest.raises(OutputError, match="too few"):
            agent.resume(store["a"], output=int, output_check=large, output_retries=0)
        assert agent.resume(store["a"], output=int, output_check=large).output == 5000


@pytest.mark.parametrize("text", [None, "Here it is."])
def test_a_limit_takes_an_answer_by_final_answer(text: str | None) -> None:
    given = [{"function": {"name": "final_answer", "arguments": json.dumps({"value": value})}} for value in ("x", 3, 4)]
    steps: list[Any] = [("look_up", {"topic": "x"}), {"content": text, "tool_calls": given}]
    result = Agent(ScriptedBackend(*steps), tools=[look_up], limits=Limits(turns=1)).run("Go.", output=int)
    assert (result.output, result.stopped) == (3, "turns")
    assert result.messages[-1] == {"role": "assistant", "content": '{"value": 3}'}
    assert Agent(ScriptedBackend()).resume(result.messages, output=int).output == 3


def test_a_limit_with_an_invalid_final_answer_is_an_error() -> None:
    steps = [("look_up", {"topic": "x"}), ("final_answer", {"value": "x"})]
    with pytest.raises(OutputError, match="limit"):
        Agent(ScriptedBackend(*steps), tools=[look_up], limits=Limits(turns=1)).run("Go.", output=int)
