"""Parameters as a list of descriptions, as Qwen-Agent has them, in place of a JSON schema."""

from typing import Any

import pytest

from agentkit import Context, Tool
from agentkit.errors import ToolDefinitionError


def test_a_list_of_descriptions_is_the_schema_of_an_object() -> None:
    made = Tool(
        "search",
        "Searches.",
        [
            {"name": "query", "type": "array", "items": {"type": "string"}, "description": "What.", "required": True},
            {"name": "kind", "type": "str", "enum": ["web", "news"], "required": False},
            {"name": "limit", "type": ["int", "null"], "default": 5, "required": "False"},
            {"name": "near", "schema": {"type": "number"}, "description": "Where.", "required": "true"},
            {"name": "extra", "type": "any"},
            {"name": "page", "type": "dict", "properties": {"no": {"type": "integer"}}, "required": ["no"]},
        ],
        lambda **values: values,
    )
    assert made.parameters == {
        "type": "object",
        "properties": {
            "query": {"items": {"type": "string"}, "description": "What.", "type": "array"},
            "kind": {"enum": ["web", "news"], "type": "string"},
            "limit": {"default": 5, "type": ["integer", "null"]},
            "near": {"description": "Where.", "type": "number"},
            "extra": {},
            "page": {"properties": {"no": {"type": "integer"}}, "type": "object", "required": ["no"]},
        },
        "required": ["query", "near"],
        "additionalProperties": False,
    }
    said = made.answer('{"query": "tea", "near": "3", "kind": "NEWS", "extra": [1]}', Context()).text
    assert said == '{"query": ["tea"], "near": 3, "kind": "news", "extra": [1]}'


def test_an_empty_list_is_a_tool_without_arguments() -> None:
    made = Tool("now", "The time.", [], lambda: "noon")
    assert made.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert made.answer("{}", Context()).text == "noon"


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ([{"type": "string"}], r'parameters\[0\] has no "name"'),
        (["query"], r'parameters\[0\] has no "name"'),
        ([{"name": "a"}, {"name": "a"}], "two entries named 'a'"),
        ([{"name": "a", "type": "List[str]"}], "not a valid JSON schema"),
        ("query", "parameters is a str"),
        (None, "parameters is a NoneType"),
    ],
    ids=["no name", "no description", "twice", "type", "text", "none"],
)
def test_a_list_that_describes_nothing_is_an_error_that_names_the_tool(parameters: Any, why: str) -> None:
    with pytest.raises(ToolDefinitionError, match=f"tool search: .*{why}"):
        Tool("search", "Searches.", parameters, print)
