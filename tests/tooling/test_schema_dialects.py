"""Schemas as servers take them: what each refuses is not sent, and what comes back is validated by the full schema."""

import copy
import json
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from agentkit import Agent, Tool, tool
from agentkit.backends import OpenAIBackend
from agentkit.middleware.structured_output import OutputType
from agentkit.testing import ScriptedBackend
from agentkit.toolbox import Toolbox
from agentkit.tooling.moonshot_schema import moonshot
from agentkit.tooling.schema_dialects import (
    Dialect,
    dialect_of,
    gemini,
    is_strict,
    openai,
    openai_strict,
    response_format_for,
    self_hosted,
    tool_for,
)
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, Asked, calls, serve, whole

TEXT = {"type": "string"}
DEFINITIONS = {
    "T": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "N": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/N"}}}},
    "a/b": TEXT,
    "a b": TEXT,
    "loop": {"$ref": "#/$defs/loop"},
    "yes": True,
    "named": {"$anchor": "Named", "type": "string"},
}
ODD: dict[str, Any] = {
    "tuple": {"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "minItems": 2, "maxItems": 2},
    "tuple and more": {"type": "array", "prefixItems": [TEXT], "items": {"type": "integer"}},
    "closed tuple": {"type": "array", "prefixItems": [TEXT], "items": False},
    "old tuple": {"type": "array", "items": [TEXT, {"type": "integer"}], "additionalItems": False},
    "reference": {"$ref": "#/$defs/T", "description": "x", "default": {"a": 1}},
    "tree": {"$ref": "#/$defs/N"},
    "described tree": {"$ref": "#/$defs/N", "description": "x"},
    "odd reference": {"$ref": "#/$defs/a~1b"},
    "spaced reference": {"$ref": "#/$defs/a%20b"},
    "anchor": {"$ref": "#Named"},
    "whole": {"$ref": "#"},
    "remote": {"$ref": "https://example.com/x.json"},
    "missing": {"$ref": "#/$defs/nowhere"},
    "loop": {"$ref": "#/$defs/loop"},
    "yes": {"$ref": "#/$defs/yes"},
    "one of": {"oneOf": [TEXT, {"type": "integer"}]},
    "discriminated": {"oneOf": [{"$ref": "#/$defs/T"}], "discriminator": {"propertyName": "a"}},
    "all of": {"allOf": [{"$ref": "#/$defs/T"}, {"properties": {"b": TEXT}}]},
    "unique": {"type": "array", "items": TEXT, "uniqueItems": True},
    "look ahead": {"type": "string", "pattern": "^(?=.*a)(?!b)c+$"},
    "look behind": {"type": "string", "pattern": "a(?<=a)b"},
    "decimal": {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
    "unbalanced": {"type": "string", "pattern": "^(a$"},
    "repeated": {"type": "string", "pattern": "^a{5000}$"},
    "digits": {"type": "string", "pattern": r"^\d{4}-\d{2}$"},
    "anything": {},
    "true": True,
    "false": False,
    "of anything": {"type": "array", "items": True},
    "constant": {"const": "a"},
    "number": {"const": 3},
    "nothing": {"const": None},
    "numbers": {"enum": [1, 2]},
    "empty text": {"enum": ["", "a", None]},
    "no value": {"enum": []},
    "no choice": {"anyOf": []},
    "no type": {"type": []},
    "types": {"type": ["string", "null"]},
    "more types": {"type": ["array", "object", "integer"]},
    "choice of true": {"anyOf": [True, TEXT]},
    "optional": {"anyOf": [TEXT, {"type": "null"}], "default": None},
    "object": {"type": "object"},
    "numbers by name": {"type": "object", "additionalProperties": {"type": "integer"}},
    "anything by name": {"type": "object", "additionalProperties": {}},
    "path": {"type": "string", "format": "path"},
    "time": {"type": "string", "format": "date-time"},
    "above": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 5},
    "huge": {"type": "integer", "maximum": 10**30},
    "long": {"type": "string", "minLength": 100_000, "maxLength": 200_000},
    "many": {"type": "array", "items": TEXT, "minItems": 5000, "maxItems": 6000},
    "many at most": {"type": "array", "items": TEXT, "maxItems": 2000},
    "float count": {"type": "string", "minLength": 5.0},
    "reversed": {"type": "string", "minLength": 5, "maxLength": 1},
    "reversed numbers": {"type": "integer", "minimum": 5, "maximum": 1},
    "nullable": {"type": "string", "nullable": True},
    "not": {"not": TEXT},
    "conditional": {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    "odd names": {"type": "object", "properties": {"a b": TEXT, "ü": TEXT, "$x": TEXT, 'q"': TEXT, "": TEXT}},
}


def of(inner: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": inner}, "$defs": DEFINITIONS, **more}


def subschemas(schema: Any) -> list[dict[str, Any]]:
    """The schemas in a schema of any dialect."""
    if not isinstance(schema, dict):
        return []
    inner = [each for key in ("properties", "$defs") for each in schema.get(key, {}).values()]
    inner += [each for key in ("anyOf", "allOf", "prefixItems") for each in schema.get(key, ())]
    inner += [schema[key] for key in ("items", "additionalProperties", "not") if isinstance(schema.get(key), dict)]
    assert all(isinstance(each, dict) for each in inner), schema
    return [schema, *(each for one in inner for each in subschemas(one))]


# What servers refuse


def check_openai(schema: dict[str, Any]) -> None:
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    assert not {"anyOf", "oneOf", "allOf", "enum", "not"} & schema.keys()
    for each in subschemas(schema):
        assert "oneOf" not in each
        assert "prefixItems" not in each
        assert "$ref" not in each or len(each) == 1
        if "$ref" in each:
            assert each["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if "array" in (each.get("type") or ""):
            assert isinstance(each["items"], dict)
        assert "(?" not in each.get("pattern", "")
        assert not any(each.get(key) == [] for key in ("enum", "type", "anyOf", "allOf", "required"))


def check_gemini(schema: dict[str, Any]) -> None:
    allowed = {
        *("type", "description", "nullable", "format", "enum", "anyOf", "items", "minItems", "maxItems"),
        *("properties", "required", "minLength", "maxLength", "pattern", "minimum", "maximum"),
    }
    for each in subschemas(schema):
        assert not each.keys() - allowed
        assert ("type" in each) != ("anyOf" in each)
        assert isinstance(each.get("type", ""), str)
        assert each.get("properties") != {}
        assert set(each.get("required", ())) <= set(each.get("properties", ()))
        assert "items" in each or each.get("type") != "array"
        for value in each.get("enum", ()):
            assert isinstance(value, str)
            assert value
            assert each["type"] == "string"


def check_moonshot(schema: dict[str, Any]) -> None:
    """What Moonshot's validator takes in all of its versions (MoonshotAI/walle, docs/validation-principles.md), and
    none of what it drops or changes."""
    kinds: dict[str, set[str]] = {
        "string": {"enum", "minLength", "maxLength"},
        "integer": {"enum", "minimum", "maximum"},
        "number": {"enum", "minimum", "maximum"},
        "array": {"items", "minItems", "maxItems"},
        "object": {"properties", "required", "additionalProperties"},
        "boolean": set(),
        "null": set(),
    }
    values: dict[str, Any] = {"string": str, "integer": int, "number": (int, float)}
    assert schema["type"] == "object"
    for each in subschemas(schema):
        beside = each.keys() - {"description", "default"}
        assert beside == {"anyOf"} or beside - {"type"} <= kinds[each["type"]]
        assert isinstance(each.get("description", ""), str)
        assert each.get("anyOf") != []
        assert ("required" in each) == ("properties" in each)
        assert set(each.get("required", ())) <= set(each.get("properties", ()))
        assert each.get("enum") != []
        assert all(isinstance(value, values[each["type"]]) for value in each.get("enum", ()))
        bounds = [value for key, value in each.items() if key.startswith(("min", "max"))]
        assert all(isinstance(bound, int) and bound >= 0 for bound in bounds)


@pytest.mark.parametrize("inner", ODD.values(), ids=ODD)
def test_no_dialect_sends_what_its_servers_refuse(inner: Any) -> None:
    given_schema = of(inner)
    before = copy.deepcopy(given_schema)
    check_openai(openai(given_schema))
    check_gemini(gemini(given_schema))
    check_moonshot(moonshot(given_schema))
    subschemas(self_hosted(given_schema))
    strict = openai_strict(of(inner, required=["x"], additionalProperties=False))
    assert strict is None or is_strict(strict)
    assert given_schema == before


def refused_by(server: LlamaServer, dialect: Dialect, schema: dict[str, Any], as_tool: bool) -> str:
    """What llama.cpp says to a schema in a dialect; "" when it answers."""
    import httpx2

    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    if as_tool:
        function = {"name": "f", "description": "d", "parameters": schema}
        body["tools"] = [tool_for(dialect, {"type": "function", "function": function})]
    else:
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
        body["response_format"] = response_format_for(dialect, form)
    answer = httpx2.post(f"{server.url}/chat/completions", json=body, timeout=30)
    return "" if answer.status_code == 200 else answer.text


def test_llama_cpp_takes_each_schema_in_its_dialect(llama: LlamaServer) -> None:
    for name, inner in ODD.items():
        for as_tool in (True, False):
            assert refused_by(llama, Dialect.SELF_HOSTED, of(inner, required=["x"]), as_tool) == "", name


@pytest.mark.parametrize("name", ["true", "no value", "odd reference", "remote", "loop", "many", "float count", "huge"])
def test_llama_cpp_refuses_these_as_they_are(llama: LlamaServer, name: str) -> None:
    assert "400" in refused_by(llama, Dialect.AS_IS, of(ODD[name], required=["x"]), as_tool=True)


ROOTS: list[dict[str, Any]] = [
    {"type": "object", "anyOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "properties": {"b": TEXT}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "allOf": [{"properties": {"a": TEXT}, "required": ["a"]}]},
    {"type": "object", "anyOf": [{"$ref": "#/$defs/T"}, {"$ref": "#/$defs/N"}], "$defs": DEFINITIONS},
    {"type": "object", "not": {"required": ["a"]}},
    {"type": "object"},
]


@pytest.mark.parametrize("root", ROOTS)
def test_alternatives_at_the_top_become_properties(root: dict[str, Any], llama: LlamaServer) -> None:
    """langchainjs#9804, google-calendar-mcp#39: "schema must have type 'object' and not have 'oneOf'/'anyOf'/...":"""
    check_openai(openai(root))
    check_gemini(gemini(openai(root)))
    check_moonshot(moonshot(root))
    assert refused_by(llama, Dialect.SELF_HOSTED, root, as_tool=True) == ""


def test_moonshot_is_sent_what_it_would_refuse_or_drop_in_other_words() -> None:
    """MoonshotAI/kimi-cli#2061, MoonshotAI/kimi-cli#2531, abhigyanpatwari/GitNexus#2703, FTShare-Lab/FTShare-MCP#7,
    earendil-works/pi#4138, router-for-me/CLIProxyAPI#5316, NousResearch/hermes-agent#68154"""

    def made(inner: Any) -> Any:
        return moonshot(of(inner))["properties"]["x"]

    assert made({"type": "string", "anyOf": [{"minLength": 1}, {"maxLength": 9}]}) == {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "string", "maxLength": 9}]
    }
    assert made({"$ref": "#/$defs/T", "description": "A thing."}) == {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": [],
        "description": "A thing.",
    }
    assert made({"type": ["string", "null"], "maxLength": 3}) == {
        "anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]
    }
    assert made({"oneOf": [TEXT, {"type": "integer"}], "description": "d"}) == {
        "anyOf": [TEXT, {"type": "integer"}],
        "description": "d",
    }
    assert made({"const": "a"}) == {"type": "string", "enum": ["a"]}
    assert made({"enum": ["a", None]}) == {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}
    assert made({"type": "number", "minimum": -5, "maximum": 5}) == {
        "type": "number",
        "maximum": 5,
        "description": "(minimum: -5)",
    }
    assert made({"type": "string", "format": "uuid"}) == {"type": "string", "description": "(format: uuid)"}
    assert made({"description": "Anything."})["description"] == "Anything."
    inner = {"type": "object", "properties": {"a": TEXT, "b": TEXT}}
    either = {**inner, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert made(either) == {"anyOf": [{**inner, "required": ["a"]}, {**inner, "required": ["b"]}]}
    assert moonshot(either) == {**inner, "required": [], "description": "(one of: a | b)"}


def test_what_is_dropped_is_said_in_the_description() -> None:
    made = openai(of({"type": "string", "pattern": "^(?=a).*$", "description": "A name."}))
    assert made["properties"]["x"] == {"type": "string", "description": "A name. (pattern: ^(?=a).*$)"}
    pair = openai(of(ODD["tuple"]))["properties"]["x"]
    assert pair["items"] == {"anyOf": [TEXT, {"type": "integer"}]}
    assert "in this order" in pair["description"]


JSON_SCHEMAS = st.recursive(
    st.sampled_from([*ODD.values()]),
    lambda inner: st.one_of(
        inner.map(lambda each: {"type": "array", "items": each}),
        st.dictionaries(st.sampled_from(["a", "b", "$ref", "type", "ü"]), inner, max_size=3).map(
            lambda each: {"type": "object", "properties": each, "required": list(each)}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"type": "array", "prefixItems": each}),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(JSON_SCHEMAS)
def test_schemas_of_any_kind_inside_each_other_are_taken(inner: Any) -> None:
    schema = of(inner)
    check_openai(openai(schema))
    check_gemini(gemini(schema))
    check_moonshot(moonshot(schema))
    subschemas(self_hosted(schema))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers() | st.text(max_size=3), max_size=4), st.sampled_from(["tuple", "unique", "one of", "types"])
)
def test_a_value_that_the_schema_takes_is_taken_in_each_dialect(value: list[Any], name: str) -> None:
    schema = of(ODD[name])
    for each in ({"x": value}, {"x": value[0] if value else None}, {"x": value[:2]}):
        if jsonschema.Draft202012Validator(schema).is_valid(each):
            for dialect in (openai, self_hosted):
                assert jsonschema.Draft202012Validator(dialect(schema)).is_valid(each)


# Strict


class Item(BaseModel):
    """An item."""

    model_config = ConfigDict(extra="forbid")
    name: str
    price: Decimal
    size: Annotated[str, Field(min_length=1)]


class Kind(Enum):
    A = "a"
    B = "b"


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"a": TEXT}, True),
        ({"a": {"type": "string", "minLength": 3}}, True),
        ({"a": {"type": "string", "pattern": "^(?=a)b$"}}, True),
        ({"a": {"oneOf": [TEXT, {"type": "null"}]}}, True),
        ({"a": {"$ref": "#/$defs/T", "description": "x"}}, True),
        ({"a": {"type": "array", "items": TEXT, "uniqueItems": True}}, True),
        ({"a": {"type": "string", "format": "path"}}, True),
        ({"a": {"type": "array"}}, False),
        ({"a": {}}, False),
        ({"a": {"type": "object"}}, False),
        ({"a": {"type": "object", "additionalProperties": TEXT}}, False),
        ({"a": {"type": "array", "prefixItems": [TEXT], "items": False}}, True),
        ({"a": {"not": TEXT, "type": "integer"}}, False),
        ({"a": {"enum": ["a", 1]}}, False),
        ({f"p{number}": TEXT for number in range(5001)}, False),
        ({"a": {"type": "integer", "enum": list(range(1001))}}, False),
    ],
)
def test_strict_is_set_only_within_openais_subset(schema: dict[str, Any], strict: bool) -> None:
    definitions = {"T": {"type": "object", "properties": {}, "required": [], "additionalProperties": False}}
    given_schema = {"type": "object", "properties": schema, "required": list(schema), "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {**given_schema, "$defs": definitions}}}
    sent = response_format_for(Dialect.OPENAI, form)["json_schema"]
    assert sent["strict"] is strict
    assert not strict or is_strict(sent["schema"])
    check_openai(sent["schema"])


def test_an_optional_property_is_not_strict() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": of(TEXT, additionalProperties=False)}}
    assert response_format_for(Dialect.OPENAI, form)["json_schema"]["strict"] is False


@pytest.mark.parametrize("kind", [Item, list[Item], Item | None, tuple[int, str], dict[str, int], Kind, set[str], Any])
def test_a_typed_answer_has_a_schema_that_each_server_takes(kind: Any, llama: LlamaServer) -> None:
    form = OutputType(kind).response_format
    sent = response_format_for(Dialect.OPENAI, form)["json_schema"]
    check_openai(sent["schema"])
    assert sent["strict"] == is_strict(sent["schema"])
    check_gemini(response_format_for(Dialect.GEMINI, form)["json_schema"]["schema"])
    assert refused_by(llama, Dialect.SELF_HOSTED, form["json_schema"]["schema"], as_tool=False) == ""


# Through a backend


@pytest.mark.parametrize(
    ("model", "url", "dialect"),
    [
        ("gpt-5-mini", None, Dialect.OPENAI),
        ("x", "https://api.openai.com/v1", Dialect.OPENAI),
        ("x", "https://me.openai.azure.com/openai/v1", Dialect.OPENAI),
        ("openai/gpt-5", "https://openrouter.ai/api/v1", Dialect.OPENAI),
        ("gpt-4o", "http://localhost:4000/v1", Dialect.OPENAI),
        ("gpt-oss-20b", "http://localhost:8080/v1", Dialect.SELF_HOSTED),
        ("x", "https://generativelanguage.googleapis.com/v1beta/openai/", Dialect.GEMINI),
        ("x", "https://us-central1-aiplatform.googleapis.com/v1/x", Dialect.GEMINI),
        ("databricks-gemini-3-8-flash", "https://dbc-1.cloud.databricks.com/serving-endpoints", Dialect.GEMINI),
        ("default", "http://10.0.0.1:8080/v1", Dialect.SELF_HOSTED),
        ("mistral-large", "https://api.mistral.ai/v1", Dialect.AS_IS),
        ("kimi-k3", "https://api.moonshot.ai/v1", Dialect.MOONSHOT),
        ("kimi-for-coding", "https://api.kimi.com/coding/v1", Dialect.MOONSHOT),
        ("moonshotai/kimi-k2.6", "https://openrouter.ai/api/v1", Dialect.MOONSHOT),
        ("moonshotai/Kimi-K2-Instruct", "http://localhost:8000/v1", Dialect.SELF_HOSTED),
    ],
)
def test_the_server_decides_the_dialect(model: str, url: str | None, dialect: Dialect) -> None:
    assert dialect_of(model, url) is dialect


@tool(read_only=True)
def draw(size: tuple[int, int], kind: Kind = Kind.A, price: Decimal = Decimal(1), tags: set[str] = set()) -> str:  # noqa: B006
    """Draw.

    Args:
        kind: Of which kind.
    """
    return f"{size} {kind.name} {price} {sorted(tags)}"


def strict_openai(asked: Asked) -> Answer:
    """As OpenAI's API: refuses a schema with what it says of one."""
    if asked.body["messages"][-1]["role"] == "tool":
        return whole("Done.")
    for each in asked.body["tools"]:
        check_openai(each["function"]["parameters"])
        assert len(each["function"]["description"]) <= 1024
    return calls(("draw", {"size": [1, 2], "kind": "b", "tags": ["x"]}))


def gemini_api(asked: Asked) -> Answer:
    """As Google's API: knows the keywords of its own type alone."""
    if asked.body["messages"][-1]["role"] == "tool":
        return whole("Done.")
    for each in asked.body["tools"]:
        check_gemini(each["function"].get("parameters", {"type": "object"}))
    return calls(("draw", {"size": [1, 2], "kind": "b", "tags": ["x"]}))


def plain() -> str:
    """Do nothing."""
    return ""


@pytest.mark.parametrize(("model", "answer"), [("gpt-4o", strict_openai), ("gemini-3-flash", gemini_api)])
def test_tools_reach_a_server_in_its_dialect_and_every_turn_in_the_same_bytes(model: str, answer: Any) -> None:
    long = Tool("long", "word " * 500, {"type": "object"}, lambda: "")
    with serve(answer) as server, Agent(OpenAIBackend(model, base_url=server.url), tools=[draw, long, plain]) as agent:
        result = agent.run("Draw.")
    assert result.tool_calls[0].response == "(1, 2) B 1 ['x']"
    first, second = (asked.body["tools"] for asked in server.requests)
    assert json.dumps(first) == json.dumps(second)
    assert urlsplit(server.url).hostname == "127.0.0.1"


def test_what_comes_back_is_validated_by_the_full_schema() -> None:
    agent = Agent(ScriptedBackend(("draw", {"size": [1, 2, 3]}), "Done."), tools=[draw])
    assert "size" in (agent.run("Draw.").tool_calls[0].error or "")


def test_the_tools_of_a_dialect_are_encoded_once() -> None:
    box = Toolbox([draw])
    assert box.encoded_for(Dialect.GEMINI) is box.encoded_for(Dialect.GEMINI)
    assert box.encoded_for(Dialect.AS_IS) is box.encoded


def test_a_long_description_is_warned_of_and_cut_where_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """OpenHands#4838, sentry-mcp#106."""
    made = Tool("long", "word " * 500, {"type": "object"}, lambda: "")
    assert "tool long: its description has 2499 characters, of which OpenAI's API takes 1024" in caplog.text
    assert len(made.description) == 2499
    sent = tool_for(Dialect.OPENAI, made.schema)["function"]["description"]
    assert len(sent) <= 1024
    assert sent.endswith("word…")
    assert tool_for(Dialect.SELF_HOSTED, made.schema)["function"]["description"] == made.description


def test_dates_and_paths_reach_a_strict_server() -> None:
    class Trip(BaseModel):
        model_config = ConfigDict(extra="forbid")
        when: datetime
        where: Path
        how: Literal["train", "ship"]

    form = response_format_for(Dialect.OPENAI, OutputType(Trip).response_format)["json_schema"]
    assert form["strict"]
    assert form["schema"]["properties"]["when"]["format"] == "date-time"
    assert form["schema"]["properties"]["where"] == {"type": "string", "description": "(format: path)"}
