"""The schema of the arguments."""

import json
import logging
from typing import Any

import pytest

from tests.openapi.specs import LIST, answer, description, of_get, of_post, parameter, tool_of, tools_of
from tests.support.api_server import ApiServer


def schema_of(schema: Any, version: str = "3.0.3", **schemas: Any) -> dict[str, Any]:
    """The schema of an argument `x`, and the definitions."""
    body = {"type": "object", "properties": {"x": schema}}
    made = tool_of(of_post(body, version=version, components={"schemas": schemas})).parameters
    found: dict[str, Any] = made["properties"]["x"]
    return found


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "string", "x-nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "number", "multipleOf": 0.01}, {"type": "number", "description": "(a multiple of 0.01)"}),
        ({"type": "string", "pattern": "^(a+)+$"}, {"type": "string", "description": "(pattern: ^(a+)+$)"}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "file"}, {"type": "string"}),
        ({"type": "any", "minLength": "3", "required": True, "enum": []}, {}),
        ({"type": "string", "default": "a", "example": "b", "title": "T", "xml": {}}, {"default": "a"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"additionalProperties": {"type": "integer"}},
        ),
        ({"const": "a"}, {"const": "a"}),
        (True, {}),
        ("nonsense", {}),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}),
    ],
)
def test_a_schema_becomes_json_schema(schema: Any, expected: dict[str, Any]) -> None:
    assert expected.items() <= schema_of(schema).items()


def test_the_price_of_a_thing_is_no_multiple_of_a_cent_in_binary(api: ApiServer) -> None:
    spec = of_post({"type": "object", "properties": {"price": {"type": "number", "multipleOf": 0.01}}})
    assert answer(tool_of(spec, api.url), '{"price": 19.99}') == "{}"


def test_what_the_server_sets_is_left_out_of_requests() -> None:
    spec = of_post(
        {"$ref": "#/components/schemas/Pet"},
        components={
            "schemas": {
                "Id": {"type": "string", "readOnly": True},
                "Named": {
                    "required": ["id", "name", "made"],
                    "properties": {"id": {"$ref": "#/components/schemas/Id"}, "name": {"type": "string"}},
                },
                "Pet": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Named"},
                        {
                            "type": "object",
                            "required": ["id", "owner"],
                            "properties": {
                                "made": {"type": "string", "readOnly": True},
                                "owner": {"$ref": "#/components/schemas/Owner"},
                            },
                        },
                    ]
                },
                "Owner": {
                    "type": "object",
                    "required": ["id", "name"],
                    "properties": {"id": {"type": "integer", "readOnly": True}, "name": {"type": "string"}},
                },
            }
        },
    )
    made = tool_of(spec).parameters
    assert list(made["properties"]) == ["name", "owner"]
    assert made["required"] == ["name", "owner"]
    assert made["$defs"]["Owner"]["required"] == ["name"]
    assert list(made["$defs"]["Owner"]["properties"]) == ["name"]


def test_a_schema_that_refers_to_itself_is_kept_and_checked(api: ApiServer) -> None:
    node = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/x/Node"}}},
    }
    tool = tool_of(of_post({"$ref": "#/x/Node"}, x={"Node": node}), api.url)
    assert tool.parameters["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert answer(tool, '{"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}') == "{}"
    assert api.last.json["children"][0]["children"] == [{"name": "c"}]
    assert "'name' is a required property" in answer(tool, '{"name": "a", "children": [{"children": []}]}')


CAT = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}}
DOG = {"type": "object", "properties": {"kind": {"type": "string"}, "bark": {"type": "string"}}}


def test_the_property_that_decides_between_alternatives_has_their_values(api: ApiServer) -> None:
    pet = {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"tom": "#/components/schemas/Cat", "rex": "Dog"}},
    }
    spec = of_post({"$ref": "#/components/schemas/Pet"}, components={"schemas": {"Pet": pet, "Cat": CAT, "Dog": DOG}})
    tool = tool_of(spec, api.url)
    choices = tool.parameters["properties"]["body"]["$ref"].rpartition("/")[2]
    refs = [each["$ref"].rpartition("/")[2] for each in tool.parameters["$defs"][choices]["anyOf"]]
    kinds = [tool.parameters["$defs"][each]["properties"]["kind"]["enum"] for each in refs]
    assert kinds == [["tom"], ["rex"]]
    assert answer(tool, '{"body": {"kind": "rex", "bark": "loud"}}') == "{}"
    assert api.last.json == {"kind": "rex", "bark": "loud"}
    assert "don't fit" in answer(tool, '{"body": {"bark": "loud"}}')


def test_a_base_that_names_its_alternatives_and_that_they_are_made_of(api: ApiServer) -> None:
    pet = {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "discriminator": {"propertyName": "kind"},
        "oneOf": [{"$ref": "#/components/schemas/Cat"}],
    }
    cat = {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"lives": {"type": "integer"}}}]}
    spec = of_post({"$ref": "#/components/schemas/Pet"}, components={"schemas": {"Pet": pet, "Cat": cat}})
    assert answer(tool_of(spec, api.url), '{"body": {"kind": "Cat", "lives": 9}}') == "{}"


def test_overlapping_alternatives_do_not_exclude_each_other(api: ApiServer) -> None:
    one = {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]}
    assert answer(tool_of(of_post(one), api.url), '{"body": {"a": 1, "b": 2}}') == "{}"


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"anyOf": [{"$ref": "#/components/schemas/B"}]}, "B": {"oneOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"$ref": "#/components/schemas/Missing"}},
        {"A": {"$ref": "http://127.0.0.1:9/other.json#/A"}},
        {"A": {"$ref": "other.yaml#/A"}},
        {"A": {"$ref": "#anchor"}},
        {"A": {"$ref": "#/paths/~1good/get/nothing"}},
        {"A": {"type": "object", "properties": {"b": {"items": {"$ref": "#/nowhere"}}}}},
    ],
)
def test_an_operation_with_a_reference_that_leads_nowhere_is_left_out_with_a_warning(
    schemas: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    spec = of_post({"$ref": "#/components/schemas/A"}, components={"schemas": schemas})
    spec["paths"]["/good"] = {"get": {"operationId": "good"}}
    with caplog.at_level(logging.WARNING):
        assert list(tools_of(spec)) == ["good"]
    (record,) = caplog.records
    assert "call (POST /things)" in record.getMessage()


def test_names_in_references_may_be_escaped(api: ApiServer) -> None:
    schemas = {"a/b~c d%é[X]": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    spec = of_post({"$ref": "#/components/schemas/a~1b~0c%20d%25%C3%A9[X]"}, components={"schemas": schemas})
    assert list(tool_of(spec).parameters["properties"]) == ["x"]
    inner = {"type": "array", "items": {"$ref": "#/paths/~1things/post/requestBody/content/application~1json/schema"}}
    spec = of_post({"type": "object", "properties": {"x": inner}})
    made = tool_of(spec).parameters
    assert made["$defs"]["schema"]["properties"]["x"]["items"] == {"$ref": "#/$defs/schema"}


def test_a_name_that_is_taken_has_the_place_before_it(api: ApiServer) -> None:
    spec = of_post({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "body": {}}})
    given = [parameter("id", "path"), parameter("id", "query"), parameter("id", "header"), parameter("body", "query")]
    spec["paths"] = {"/things/{id}": {"post": {**spec["paths"]["/things"]["post"], "parameters": given}}}
    tool = tool_of(spec, api.url)
    assert list(tool.parameters["properties"]) == ["id", "query_id", "header_id", "body", "body_id", "body_body"]
    assert tool.parameters["required"] == ["id", "body_id"]
    values = {"id": "a", "query_id": "b", "header_id": "c", "body": "d", "body_id": 5, "body_body": 6}
    answer(tool, json.dumps(values))
    assert api.last.target == "/things/a?id=b&body=d"
    assert (api.last.headers["id"], api.last.json) == ("c", {"id": 5, "body": 6})


def test_names_that_model_servers_refuse_are_written_otherwise(api: ApiServer) -> None:
    names = ["filter[name]", "$top", "StartTime<", "StartTime>", "a b", "é", "x" * 100]
    tool = tool_of(of_get([parameter(each) for each in names]), api.url)
    made = list(tool.parameters["properties"])
    assert made == ["filter_name", "top", "StartTime", "query_StartTime", "a_b", "value", "x" * 64]
    assert tool.parameters["properties"]["query_StartTime"]["description"] == "(sent as StartTime>)"
    answer(tool, json.dumps(dict.fromkeys(made, "1")))
    assert [name for name, _ in api.last.pairs] == names


def test_parameters_of_a_path_hold_for_its_operations_which_may_replace_them(api: ApiServer) -> None:
    paths = {
        "/things/{id}": {
            "parameters": [parameter("id", "path"), {"$ref": "#/components/parameters/Q"}],
            "get": {"operationId": "call", "parameters": [parameter("id", "path", "integer")]},
        }
    }
    spec = description(paths, components={"parameters": {"Q": parameter("q", "query", LIST)}})
    made = tool_of(spec).parameters
    assert made["properties"] == {"id": {"type": "integer"}, "q": LIST}


def test_broken_parameters_do_no_harm(api: ApiServer) -> None:
    given: list[Any] = [
        {"name": "no_schema", "in": "query"},
        {"name": "not_in_path", "in": "path", "required": True},
        {"name": "nowhere", "in": "somewhere"},
        {"in": "query"},
        {"name": 5, "in": "query"},
        "nonsense",
        {"name": "list", "in": "query", "schema": []},
        *({"name": each, "in": "header"} for each in ("Host", "Content-Length", "Authorization", "accept")),
    ]
    tool = tool_of(of_get(given, "/things/{undeclared}"), api.url)
    assert list(tool.parameters["properties"]) == ["no_schema", "list", "undeclared"]
    assert tool.parameters["required"] == ["undeclared"]
    answer(tool, '{"undeclared": "a", "no_schema": "b"}')
    assert api.last.target == "/things/a?no_schema=b"


def test_unknown_arguments_are_refused_where_they_would_change_what_is_done(api: ApiServer) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "count": {"type": "integer"}}}
    assert "no argument 'title' (nearest" in answer(tool_of(of_post(schema), api.url), '{"title": "a"}')
    assert api.received == []


def test_texts_are_read_as_the_values_that_are_expected(api: ApiServer) -> None:
    schema = {"type": "object", "properties": {"count": {"type": "integer"}, "tags": LIST, "ok": {"type": "boolean"}}}
    assert answer(tool_of(of_post(schema), api.url), '{"count": "3", "tags": "a", "ok": "yes"}') == "{}"
    assert api.last.json == {"count": 3, "tags": ["a"], "ok": True}


@pytest.mark.parametrize("form", ["deep", "wide", "doubling", "chain", "all_of"])
def test_a_schema_of_any_size_takes_bounded_time_and_space(form: str) -> None:
    schemas: dict[str, Any] = {}
    if form == "deep":
        inner: Any = {"type": "string"}
        for _ in range(400):
            inner = {"type": "object", "properties": {"a": inner}}
        schemas["A"] = inner
    elif form == "wide":
        schemas["A"] = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(20_000)}}
    else:
        both = {"doubling": "anyOf", "all_of": "allOf"}.get(form)
        for n in range(2000):
            name = "A" if n == 0 else f"S{n}"
            to = {"$ref": f"#/components/schemas/S{n + 1}"}
            schemas[name] = {both: [to, to]} if both else {"type": "object", "properties": {"a": to}}
        schemas["S2000"] = {"type": "object", "properties": {"end": {"type": "string"}}}
    body = {"type": "object", "properties": {"x": {"$ref": "#/components/schemas/A"}}}
    tools = tools_of(of_post(body, components={"schemas": schemas}))
    assert len(tools) == (0 if form == "all_of" else 1)
    assert all(len(json.dumps(each.parameters)) < 1_000_000 for each in tools.values())


def test_thousands_of_names_that_become_the_same_are_numbered_in_linear_time() -> None:
    properties = {chr(0x4E00 + n): {"type": "string"} for n in range(3_900)}
    names = list(tool_of(of_post({"type": "object", "properties": properties})).parameters["properties"])
    assert names[:3] == ["value", "body", "body_2"]
    assert len(set(names)) == 3_900


def test_what_is_beyond_the_schemas_that_are_read_is_not_described_and_allowed(api: ApiServer) -> None:
    wide: dict[str, Any] = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10_000)}}
    wide |= {"required": ["p0", "p9999"], "additionalProperties": False}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wide"}}}, "required": True}
    paths = {f"/things/{n}": {"post": {"operationId": f"call{n}", "requestBody": body}} for n in range(5)}
    tools = tools_of(description(paths, components={"schemas": {"Wide": wide}}), api.url)
    assert sum(len(each.parameters["properties"]) for each in tools.values()) < 5 * 4100
    assert answer(tools["call4"], '{"p0": "a", "p9999": "b"}') == "{}"
    assert api.last.json == {"p0": "a", "p9999": "b"}


def test_members_of_all_of_that_are_merged_again_and_again_take_bounded_time() -> None:
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10_000)}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Wide"}] * 10_000}
    made = tool_of(of_post({"properties": {"x": schema}}, components={"schemas": {"Wide": wide}})).parameters
    assert 1000 < len(made["properties"]["x"]["properties"]) < 5000


def test_a_key_that_was_ours_means_nothing_in_a_description() -> None:
    hidden = {"x-agentkit-hidden": [{}, "a"], "properties": {"a": {"type": "string"}}, "required": ["a", {}]}
    assert tool_of(of_post({"allOf": [hidden]} | hidden)).parameters["required"] == ["a"]


@pytest.mark.parametrize("form", ["parameters", "path"])
def test_an_operation_without_measure_is_left_out(form: str, caplog: pytest.LogCaptureFixture) -> None:
    count = 600 if form == "parameters" else 1
    path = "/things" if form == "parameters" else "/" + "x" * 3000
    with caplog.at_level(logging.WARNING):
        assert tools_of(of_get([parameter(f"p{n}") for n in range(count)], path)) == {}
    assert "more than 500 parameters, or 2,000 characters" in caplog.text
