"""Arguments that a server wants in headers: which declarations keep the rules, and what the headers are."""

from typing import Any

import pytest

from agentkit.mcp.param_headers import MAX_DEPTH, header_value, param_headers, problem
from tests.support.growth import assert_linear


def tool(**properties: Any) -> dict[str, Any]:
    return {"name": "t", "inputSchema": {"type": "object", "properties": properties}}


def marked(name: Any = "Region", kind: Any = "string") -> dict[str, Any]:
    return {"type": kind, "x-mcp-header": name}


VALUES: dict[str, tuple[Any, str | None]] = {
    "plain": ("us-west1", "us-west1"),
    "spaces within": ("us west 1", "us west 1"),
    "empty": ("", ""),
    "integer": (-7, "-7"),
    "whole float": (42.0, "42"),
    "float": (3.5, None),
    "true": (True, "true"),
    "false": (False, "false"),
    "null": (None, None),
    "an object": ({}, None),
    "not ASCII": ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
    "space before": (" x", "=?base64?IHg=?="),
    "space behind": ("x ", "=?base64?eCA=?="),
    "line break": ("a\r\nX: b", "=?base64?YQ0KWDogYg==?="),
    "tab": ("\tx", "=?base64?CXg=?="),
    "looks encoded": ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    "half of a pair": ("\ud83d", "=?base64?77+9?="),
    "thousands of digits": (10**5000, None),
}


@pytest.mark.parametrize("what", VALUES)
def test_a_value_has_the_header_of_the_specification(what: str) -> None:
    value, header = VALUES[what]
    expected = {} if header is None else {"Mcp-Param-Region": header}
    assert param_headers(tool(region=marked(), other={"type": "string"}), {"region": value, "other": "x"}) == expected


def test_a_missing_value_has_no_header_and_a_nested_one_has() -> None:
    nested = tool(where={"type": "object", "properties": {"region": marked()}})
    assert not problem(nested)
    assert param_headers(nested, {"where": {"region": "us"}}) == {"Mcp-Param-Region": "us"}
    missing: list[dict[str, Any]] = [{}, {"where": {}}, {"where": "us"}, {"where": None}]
    for arguments in missing:
        assert param_headers(nested, arguments) == {}


INVALID: dict[str, dict[str, Any]] = {
    "empty": tool(a=marked("")),
    "space": tool(a=marked("My Region")),
    "colon": tool(a=marked("Region:Primary")),
    "not ASCII": tool(a=marked("Région")),
    "control character": tool(a=marked("Region\t1")),
    "no text": tool(a=marked(5)),
    "number": tool(a=marked(kind="number")),
    "array": tool(a=marked(kind="array")),
    "two types": tool(a=marked(kind=["string", "null"])),
    "no type": tool(a={"x-mcp-header": "A"}),
    "twice": tool(a=marked("Region"), b=marked("region")),
    "in a list": tool(a={"type": "array", "items": marked()}),
    "in a choice": tool(a={"anyOf": [marked(), {"type": "null"}]}),
    "in a definition": {"name": "t", "inputSchema": {"$defs": {"a": marked()}}},
    "at the root": {"name": "t", "inputSchema": {"type": "object", "x-mcp-header": "A"}},
    "in a property of a list": tool(a={"items": {"properties": {"b": marked()}}}),
}


@pytest.mark.parametrize("what", INVALID)
def test_a_tool_that_breaks_a_rule_is_told_apart(what: str) -> None:
    assert problem(INVALID[what])
    assert "x-mcp-header" in problem(INVALID[what])


VALID: dict[str, dict[str, Any]] = {
    "none": tool(a={"type": "string"}),
    "no schema": {"name": "t"},
    "a schema that is no object": {"name": "t", "inputSchema": [True]},
    "data that looks like one": tool(a={"type": "object", "default": {"x-mcp-header": "A"}, "enum": [marked("")]}),
    "a property of that name": tool(**{"x-mcp-header": {"type": "string"}}),
    "a reference": tool(a={"$ref": "#/$defs/a"}),
}


@pytest.mark.parametrize("what", VALID)
def test_other_tools_are_valid_and_have_no_headers(what: str) -> None:
    assert not problem(VALID[what])
    assert param_headers(VALID[what], {"a": "x"}) == {}


def test_deep_and_large_schemas_are_read_in_linear_time() -> None:
    def deep(size: int) -> object:
        schema: dict[str, Any] = marked()
        for _ in range(size):
            schema = {"type": "object", "properties": {"a": schema, "b": {"anyOf": [{"not": {}}]}}}
        return not problem({"inputSchema": schema})

    assert deep(MAX_DEPTH - 1)
    assert not deep(MAX_DEPTH + 1)
    assert_linear(deep, 5_000)
    assert_linear(lambda size: problem(tool(**{str(number): marked(f"A{number}") for number in range(size)})), 5_000)
    assert_linear(lambda size: header_value("é" * size), 200_000)
