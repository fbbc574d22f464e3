"""The schemas of a server's tools: sent as they are, made usable where they are none, and never a danger."""

import json
import time
from typing import Any

import jsonschema
import pytest

from agentkit.mcp.schemas import MAX_DEPTH, MAX_REFERENCES, MAX_SIZE, UnusableSchemaError, checked_here, usable
from agentkit.tooling.schema_dialects import Dialect, schema_for
from tests.mcp.tools.planned import Make, answer, entry
from tests.support.growth import assert_linear
from tests.support.site import Site

EMPTY = {"type": "object", "properties": {}}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}


def of_a(schema: Any) -> dict[str, Any]:
    """The schema of an object with the property "a"."""
    return {"type": "object", "properties": {"a": schema}}


PERSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "title": "Person",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]", "examples": ["Ada"]},
        "born": {"type": "string", "format": "date", "default": "1815-12-10"},
        "of": {"anyOf": [{"$ref": "#/definitions/Person"}, {"type": "null"}]},
        "kind": {"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]},
        "rest": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}, "x-own": {"any": 1}},
    },
    "required": ["name"],
    "additionalProperties": False,
    "definitions": {"Person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}


def tool_with(schema: Any, server: Make) -> Any:
    return server({"name": "it", "description": "Does it.", "inputSchema": schema})


def test_a_schema_is_sent_as_it_is(server: Make) -> None:
    assert tool_with(PERSON, server).tools()[0].parameters == PERSON


USABLE: dict[str, tuple[Any, Any]] = {
    "null": (None, EMPTY),
    "true": (True, EMPTY),
    "a list, as PHP writes an empty object": ([], EMPTY),
    "empty": ({}, EMPTY),
    "a type alone": ({"type": "object"}, EMPTY),
    "no type": ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
    "a draft alone": (DRAFT_7, {**DRAFT_7, **EMPTY}),
    "properties in a list": ({"type": "object", "properties": []}, EMPTY),
    "several types": ({"type": ["object", "null"], "properties": {}}, EMPTY),
    "required that is none": ({**EMPTY, "required": None}, EMPTY),
    "required in a property": (of_a({"type": "string", "required": True}), of_a({"type": "string"})),
    "a property that is no schema": (of_a("string"), of_a({})),
    "a type that is none": (of_a({"type": "text"}), of_a({})),
    "an empty choice": (of_a({"enum": [], "anyOf": []}), of_a({})),
    "a reference to another document": (of_a({"$ref": "https://example.com/s", "title": "A"}), of_a({"title": "A"})),
    "a reference to nothing": (of_a({"$ref": "#/$defs/B"}), of_a({})),
    "bounds of an old draft": (
        of_a({"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        of_a({"type": "number", "minimum": 0}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USABLE)
def test_a_schema_that_is_none_is_made_usable(name: str) -> None:
    given, expected = USABLE[name]
    made, _ = usable(given)
    assert made == expected
    jsonschema.Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("name", USABLE)
def test_arguments_of_such_a_tool_are_read(name: str, server: Make) -> None:
    assert json.loads(answer(tool_with(USABLE[name][0], server), "it", {}).text) == {}


def test_what_was_changed_is_said_once(server: Make, caplog: pytest.LogCaptureFixture) -> None:
    tools = tool_with({"type": "object", "properties": {"a": "string"}}, server)
    tools.tools()
    assert caplog.text.count("tool 'it': its inputSchema was changed where it is none: /properties/a: \"string\"") == 1


def test_allowed_values_that_nothing_could_meet_stand_where_they_are_meant(server: Make) -> None:
    """can1357/oh-my-pi#2652: of the items of a list beside the list, of an alternative beside null."""
    given = {
        "type": "object",
        "properties": {
            "sides": {"type": "array", "enum": ["left", "right"], "items": {"type": "string"}},
            "level": {"anyOf": [{"type": "string", "enum": ["A"]}, {"type": "null", "enum": ["A"]}]},
            "pair": {"type": "array", "enum": [[0, 1], [1, 0]]},
            "none": {"enum": [None], "type": "null"},
        },
    }
    made, told = usable(given)
    assert made["properties"] == {
        "sides": {"type": "array", "items": {"type": "string", "enum": ["left", "right"]}},
        "level": {"anyOf": [{"type": "string", "enum": ["A"]}, {"type": "null"}]},
        "pair": {"type": "array", "enum": [[0, 1], [1, 0]]},
        "none": {"enum": [None], "type": "null"},
    }
    assert told == ['/properties/sides/enum: ["left", "right"]', '/properties/level/anyOf/1/enum: ["A"]']
    tools = tool_with(given, server)
    assert json.loads(answer(tools, "it", {"sides": "LEFT", "level": None}).text) == {"sides": ["left"], "level": None}
    assert "sides" in answer(tools, "it", {"sides": ["up"]}).text


UNUSABLE: dict[str, Any] = {
    "a text": "object",
    "a number": 3,
    "false": False,
    "a list": [{"type": "object"}],
    "an array": {"type": "array", "items": {}},
    "a string": {"type": "string"},
    "a type that is no type": {"type": 3},
    "large": {"type": "object", "description": "x" * MAX_SIZE},
    "deep": json.loads('{"items":' * (MAX_DEPTH + 2) + "{}" + "}" * (MAX_DEPTH + 2)),
    "full of references": {"type": "object", "allOf": [{"$ref": "#"}] * (MAX_REFERENCES + 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_schema_of_no_object_leaves_its_tool_out_with_a_warning(
    name: str, server: Make, caplog: pytest.LogCaptureFixture
) -> None:
    tools = server(entry("good"), {"name": "bad", "inputSchema": UNUSABLE[name]})
    assert [each.name for each in tools.tools()] == ["good"]
    assert "MCP server good: tool 'bad' is left out: " in caplog.text


def test_no_schema_is_fetched(server: Make, site: Site) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": f"{site.url}/s.json"}, "b": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"$id": f"{site.url}/b.json", "$ref": "c.json"}},
        "$schema": f"{site.url}/meta.json",
        "$id": f"{site.url}/id.json",
    }
    outcome = answer(tool_with(schema, server), "it", {"a": 1, "b": 2})
    assert json.loads(outcome.text) == {"a": 1, "b": 2}
    assert site.requests == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"anyOf": [{"not": {"$ref": "#/$defs/a"}}]}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$dynamicRef": "#", "properties": {"a": {"$recursiveRef": "#"}}},
    ],
    ids=["root", "all", "itself", "not", "two", "dynamic"],
)
def test_references_in_a_circle_are_no_danger(schema: dict[str, Any], server: Make) -> None:
    tools = tool_with({"type": "object", **schema}, server)
    assert json.loads(answer(tools, "it", {"a": 1}).text) == {"a": 1}
    assert not tools.tools()[0].needs_approval('{"a": 1}')


def test_a_recursive_schema_is_checked(server: Make) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
    tools = tool_with(
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}, server
    )
    assert json.loads(answer(tools, "it", {"a": {"next": {"n": "3"}}}).text) == {"a": {"next": {"n": 3}}}
    assert answer(tools, "it", {"a": {"next": {"n": "x"}}}).failed


def bomb(levels: int) -> dict[str, Any]:
    definitions = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {**definitions, f"d{levels}": {"type": "string"}},
    }


HOSTILE: dict[str, Any] = {
    "doubling": bomb(60),
    "a pattern": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
    "a pattern of names": {"type": "object", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
    "alike names": {
        "type": "object",
        "properties": {f"p{n}": {"$ref": f"#/$defs/{n}/x"} for n in range(400)},
        "$defs": {str(n): {"x": {"type": "string"}} for n in range(400)},
    },
    "a chain": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n0"}},
        "$defs": {**{f"n{n}": {"$ref": f"#/$defs/n{n + 1}"} for n in range(400)}, "n400": {"type": "string"}},
    },
    "a long tuple": {"type": "object", "properties": {"a": {"prefixItems": [{"const": n} for n in range(5_000)]}}},
    "many alternatives": {"type": "object", "properties": {"a": {"anyOf": [{"const": n} for n in range(5_000)]}}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_schema_takes_long(name: str) -> None:
    started = time.thread_time()
    made, _ = usable(HOSTILE[name])
    for dialect in Dialect:
        schema_for(dialect, made)
    validator = jsonschema.Draft202012Validator(checked_here(made))
    list(validator.iter_errors({"a": "a" * 40 + "!", "a" * 40 + "!": 1}))
    assert time.thread_time() - started < 20


@pytest.mark.parametrize("key", ["properties", "$defs", "anyOf", "enum", "required", "description", "items"])
def test_a_schema_is_read_in_linear_time(key: str) -> None:
    def read(count: int) -> None:
        of_key = {
            "properties": {f"p{n}": {"type": "x"} for n in range(count)},
            "$defs": {f"p{n}": [] for n in range(count)},
            "anyOf": [{"type": "string", "minimum": "x"}] * count,
            "enum": list(range(count)),
            "required": ["x"] * count,
            "description": "x" * count,
            "items": [{}] * count,
        }
        made, _ = usable({"type": "object", key: of_key[key]})
        checked_here(made)

    assert_linear(read, 2_000)


def test_a_schema_that_is_too_deep_for_json_is_left_out() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"items": deep}
    with pytest.raises(UnusableSchemaError, match="nested too deeply"):
        usable({"type": "object", "properties": {"a": deep}})


def test_a_pattern_is_left_to_the_server(server: Make) -> None:
    tools = tool_with(HOSTILE["a pattern"], server)
    assert json.loads(answer(tools, "it", {"a": "a" * 40 + "!"}).text) == {"a": "a" * 40 + "!"}
    assert tools.tools()[0].parameters == HOSTILE["a pattern"]


def test_a_schema_that_is_checked_in_part_still_has_its_types(server: Make) -> None:
    schema = bomb(60)
    schema["properties"]["n"] = {"type": "integer"}
    assert json.loads(answer(tool_with(schema, server), "it", {"n": "3"}).text) == {"n": 3}
