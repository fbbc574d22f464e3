"""Typed answers whose type is a JSON schema, given as a dict."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from agentkit import Agent
from agentkit.errors import ConfigurationError, OutputError
from agentkit.event import OutputDelta
from agentkit.testing import ScriptedBackend
from tests.support.model_server import serve, whole

CITY: dict[str, Any] = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
    "required": ["name"],
    "additionalProperties": False,
}


class Town(BaseModel):
    name: str


@dataclass
class Village:
    name: str


def test_an_answer_is_a_dict_that_fits_the_schema() -> None:
    """Schemas that are known at run time alone (pydantic-ai#3980, openai/openai-agents-python#528)."""
    wrong = ("final_answer", {"name": "Oslo", "people": 0})
    backend = ScriptedBackend(wrong, ("final_answer", {"name": "Oslo", "people": "717710"}))
    assert Agent(backend).run("A city?", output=CITY).output == {"name": "Oslo", "people": 717710}
    (tool,) = backend.requests[0].tools
    assert tool["function"]["parameters"]["properties"].keys() == {"name", "people"}


def test_a_server_is_sent_the_schema() -> None:
    with serve([whole('{"name": "Oslo"}')]) as server, Agent(f"openai:m@{server.url}") as agent:
        assert agent.run("A city?", output=CITY).output == {"name": "Oslo"}
        asked = server.requests[0].body["response_format"]["json_schema"]
    assert asked["name"] == "City"
    assert asked["schema"]["required"] == ["name"]


@pytest.mark.parametrize(
    ("schema", "written", "value"),
    [
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"enum": ["red", "blue"]}, "Red", "red"),
        ({"type": "integer"}, "**42**", 42),
        ({"type": "object", "additionalProperties": {"type": "number"}}, '{"a": 1.5}', {"a": 1.5}),
        (
            {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}},
            '{"value": [[], [[]]]}',
            [[], [[]]],
        ),
        ({"anyOf": [CITY, {"type": "null"}]}, "null", None),
    ],
)
def test_other_values_than_objects_have_schemas_too(schema: dict[str, Any], written: str, value: Any) -> None:
    assert Agent(ScriptedBackend(written)).run("What?", output=schema).output == value


def test_a_stream_has_what_has_arrived_and_an_agent_that_is_a_tool_has_a_schema() -> None:
    run = Agent(ScriptedBackend(("final_answer", {"name": "Oslo", "people": 7}))).stream("A city?", output=CITY)
    parts = [event.value for event in run if isinstance(event, OutputDelta)]
    assert parts[-1] == {"name": "Oslo", "people": 7}
    inner = Agent(ScriptedBackend(("final_answer", {"name": "Bergen"})))
    outer = Agent(
        ScriptedBackend(("ask", {"task": "Which?"}), "Bergen."), tools=[inner.as_tool("ask", "Asks.", output=CITY)]
    )
    assert outer.run("Which?").tool_calls[0].response == '{"name": "Bergen"}'


def test_an_answer_that_never_fits_is_an_error() -> None:
    with pytest.raises(OutputError, match="'name' is a required property"):
        Agent(ScriptedBackend(*['{"people": 3}'] * 3)).run("A city?", output=CITY)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": str}, "is no JSON schema, it has none of type, properties"),
        ({}, "is no JSON schema"),
        ({"type": "objekt"}, "is no valid JSON schema"),
        ({"type": "object", "properties": {"when": object}}, "is no valid JSON schema.*not JSON serializable"),
        ([Town, Village], r"of several types pass their union, output=Town \| Village"),
        ("Town", "pass the class itself, not its name"),
        (Town(name="Oslo"), "pass its class, Town"),
        (Village("Oslo"), "pass its class, Village"),
        (TypeAdapter(Town), "pass what it was made of"),
    ],
)
def test_what_is_no_type_says_what_to_pass(given: Any, says: str) -> None:
    backend = ScriptedBackend("Hi.")
    with pytest.raises(ConfigurationError, match=says):
        Agent(backend).run("A city?", output=given)
    assert not backend.requests
