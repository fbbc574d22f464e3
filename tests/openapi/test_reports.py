"""What users of other programs that make tools of OpenAPI descriptions have reported, each as it is here."""

import json
from typing import Any

import pytest

from agentkit import Agent
from agentkit.errors import ConfigurationError
from agentkit.openapi import openapi
from tests.openapi.specs import LIST, answer, description, of_get, of_post, parameter, tool_of, tools_of
from tests.support.api_server import ApiServer, Reply


@pytest.mark.parametrize(("style", "expected"), [("pipeDelimited", "a%7Cb"), ("spaceDelimited", "a%20b")])
def test_the_default_of_explode_depends_on_the_style(api: ApiServer, style: str, expected: str) -> None:
    """PrefectHQ/fastmcp#5060"""
    answer(tool_of(of_get([parameter("ids", "query", LIST, style=style)]), api.url), '{"ids": ["a", "b"]}')
    assert api.last.query == f"ids={expected}"


def test_a_list_in_a_path_is_separated_by_commas(api: ApiServer) -> None:
    """PrefectHQ/fastmcp#497"""
    tool = tool_of(of_get([parameter("days", "path", LIST)], "/select/{days}"), api.url)
    answer(tool, '{"days": ["monday", "tuesday"]}')
    assert api.last.target == "/select/monday,tuesday"


def test_a_deep_object_keeps_its_name(api: ApiServer) -> None:
    """PrefectHQ/fastmcp#4488"""
    schema = {"type": "object", "properties": {"eq": {"type": "string"}}}
    tool = tool_of(of_get([parameter("filter", "query", schema, style="deepObject", explode=True)]), api.url)
    answer(tool, '{"filter": {"eq": "x"}}')
    assert api.last.pairs == [("filter[eq]", "x")]


def test_a_body_that_is_one_of_several_is_not_malformed(api: ApiServer) -> None:
    """google/adk-python#2213"""
    sowing = {"type": "object", "properties": {"type": {"type": "string", "default": "Sowing"}}, "required": ["type"]}
    log = {
        "oneOf": [{"$ref": "#/components/schemas/SowingTyped"}],
        "discriminator": {"propertyName": "type", "mapping": {"Sowing": "#/components/schemas/SowingTyped"}},
    }
    spec = of_post({"$ref": "#/components/schemas/Log"}, components={"schemas": {"Log": log, "SowingTyped": sowing}})
    tool = tool_of(spec, api.url)
    assert tool.parameters["type"] == "object"
    assert not tool.parameters.keys() & {"oneOf", "anyOf"}
    answer(tool, '{"body": {"type": "Sowing"}}')
    assert api.last.json == {"type": "Sowing"}


def test_a_circle_of_schemas_through_properties_is_no_error(api: ApiServer) -> None:
    """google/adk-python#3870, open-webui/open-webui#23543, wso2/api-manager#5189"""
    schemas = {
        "Folder": {
            "type": "object",
            "properties": {"files": {"type": "array", "items": {"$ref": "#/definitions/File"}}},
        },
        "File": {"type": "object", "properties": {"folder": {"$ref": "#/definitions/Folder"}}},
    }
    body = {"name": "f", "in": "body", "schema": {"$ref": "#/definitions/Folder"}}
    spec = {"swagger": "2.0", "paths": {"/f": {"post": {"parameters": [body]}}}, "definitions": schemas}
    tool = tool_of(spec, api.url)
    assert answer(tool, '{"files": [{"folder": {"files": []}}]}') == "{}"
    assert api.last.json == {"files": [{"folder": {"files": []}}]}


def test_the_variables_of_a_server_have_their_defaults() -> None:
    """microsoft/semantic-kernel#8193"""
    server = {"url": "https://example.com/{version}", "variables": {"version": {"default": "v2", "enum": ["v1", "v2"]}}}
    made: Any = openapi(of_get([]) | {"servers": [server]})[0].function
    assert made.api.base_url == "https://example.com/v2"


@pytest.mark.parametrize("value", ["../../admin/keys", "x?admin=1", "x#f", "..", "x/../../y", "%2e%2e/x"])
def test_a_value_leads_to_no_other_endpoint(api: ApiServer, value: str) -> None:
    """google/adk-js#597, openapi-ts/openapi-typescript#2483, samanhappy/mcphub#1083"""
    tool = tool_of(of_get([parameter("id", "path")], "/records/{id}/detail"), f"{api.url}/api", auth="a-long-token")
    answer(tool, json.dumps({"id": value}))
    assert all(each.segments == ["api", "records", value, "detail"] for each in api.received)
    assert all(each.query == "" for each in api.received)


def test_a_value_is_in_no_way_the_server(api: ApiServer) -> None:
    """google/adk-js#597: a variable of the server that has the name of a parameter"""
    spec = of_get([parameter("region", "path")], "/things/{region}")
    spec["servers"] = [{"url": f"{api.url}/{{region}}", "variables": {"region": {"default": "eu"}}}]
    (tool,) = openapi(spec)
    answer(tool, '{"region": "evil.example"}')
    assert api.last.target == "/eu/things/evil.example"


def test_a_reference_to_an_address_is_not_looked_up(api: ApiServer) -> None:
    """harsha-iiiv/openapi-mcp-generator#68"""
    spec = description({"/a": {"get": {"parameters": [{"$ref": f"{api.url}/x"}]}}, "/b": {"get": {}}})
    assert list(tools_of(spec, api.url)) == ["get_b"]
    assert api.received == []


@pytest.mark.parametrize("name", ["StartTime<", "filter[id]", "$filter", "rule_name[]", "preReleaseVersion.platform"])
def test_argument_names_are_what_model_servers_take(api: ApiServer, name: str) -> None:
    """twilio-labs/mcp#56, beautyfree/appstore-connect-mcp#2"""
    tool = tool_of(of_get([parameter(name)]), api.url)
    (argument,) = tool.parameters["properties"]
    assert all(each.isascii() and (each.isalnum() or each in "_.-") for each in argument)
    answer(tool, json.dumps({argument: "1"}))
    assert api.last.pairs == [(name, "1")]


def test_the_fields_of_a_body_that_is_a_reference_are_known() -> None:
    """BerriAI/litellm#36765, langchain-ai/langchain#19750"""
    form = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}}
    spec = of_post({"$ref": "#/components/schemas/form"}, components={"schemas": {"form": form}})
    assert tool_of(spec).parameters["properties"] == {"resourceType": {"type": "string"}}


def test_a_relative_server_is_relative_to_the_description(api: ApiServer) -> None:
    """smithersai/smithers#505"""
    api.always(Reply(body=json.dumps(of_get([]) | {"servers": [{"url": "/api/v3"}]}).encode()))
    (tool,) = openapi(f"{api.url}/docs/openapi.json")
    answer(tool)
    assert api.last.target == "/api/v3/things"


def test_the_number_of_a_long_name_is_within_its_64_characters() -> None:
    """mcp-use/mcp-use#1885, harsha-iiiv/openapi-mcp-generator#4"""
    paths = {f"/{n}": {"get": {"operationId": "getTheVeryLongNameOfAnOperation" * 4}} for n in range(12)}
    names = list(tools_of(description(paths)))
    assert len(set(names)) == 12
    assert max(map(len, names)) == 64


def test_two_apis_may_have_operations_of_the_same_name(api: ApiServer) -> None:
    """janwilmake/openapi-mcp-server#18"""
    tools = [each for name in ("one_", "two_") for each in openapi(of_get([]), f"{api.url}/{name}", prefix=name)]
    assert [each.name for each in Agent("llamacpp:", tools=tools).tools] == ["one_call", "two_call"]
    answer(tools[1])
    assert api.last.target == "/two_/things"
    with pytest.raises(ConfigurationError, match="must be up to 32 letters"):
        openapi(of_get([]), api.url, prefix="a b")


def test_a_reference_may_lead_into_an_operation() -> None:
    """localstack/localstack#8930"""
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    response = {"content": {"application/json": {"schema": inner}}}
    reference = "#/components/responses/User/content/application~1json/schema"
    spec = of_post({"$ref": reference}, components={"responses": {"User": response}})
    assert list(tool_of(spec).parameters["properties"]) == ["a"]


def test_an_operation_id_may_be_an_address_and_a_definition_have_brackets(api: ApiServer) -> None:
    """microsoft/OpenAPI.NET#253"""
    body = {"name": "b", "in": "body", "schema": {"$ref": "#/definitions/Collection[Services.V2.Models.A]"}}
    operation = {"operationId": "Get /v1/products/{productId}?country={country}", "parameters": [body]}
    definitions = {"Collection[Services.V2.Models.A]": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    tool = tool_of({"swagger": "2.0", "paths": {"/p": {"put": operation}}, "definitions": definitions}, api.url)
    assert tool.name == "Get_v1_products_productId_country_country"
    assert answer(tool, '{"x": 1}') == "{}"


def test_null_is_no_wrong_type_for_a_value_that_may_be_null(api: ApiServer) -> None:
    """tadata-org/fastapi_mcp#246"""
    value = {"anyOf": [{"type": "string", "maxLength": 2000}, {"type": "null"}], "title": "value"}
    schema = {"type": "object", "properties": {"value": value}, "required": ["value"]}
    tool = tool_of(of_post(schema), api.url)
    for given in (None, "x"):
        assert answer(tool, json.dumps({"value": given})) == "{}"
        assert api.last.json == {"value": given}


def test_a_required_argument_with_a_default_may_be_left_out(api: ApiServer) -> None:
    """apache/apisix#13956"""
    version = parameter("version", "query", {"type": "string", "default": "v1"}, required=True)
    tool = tool_of(of_get([version, parameter("page", "query", {"type": "integer", "default": 1})]), api.url)
    assert "required" not in tool.parameters
    answer(tool, "{}")
    assert api.last.pairs == [("version", "v1")]
    answer(tool, '{"version": "v2", "page": 3}')
    assert api.last.pairs == [("version", "v2"), ("page", "3")]
    schema = {
        "type": "object",
        "required": ["kind", "name", "gone"],
        "properties": {
            "kind": {"type": "string", "default": "note"},
            "name": {"type": "string"},
            "gone": {"type": ["string", "null"], "default": None},
        },
    }
    tool = tool_of(of_post(schema), api.url)
    assert tool.parameters["required"] == ["name", "gone"]
    answer(tool, '{"name": "x", "gone": null}')
    assert api.last.json == {"kind": "note", "name": "x", "gone": None}


def test_the_values_of_a_text_are_texts_however_yaml_reads_them(api: ApiServer) -> None:
    text = """
openapi: 3.0.0
info: {title: x, version: 1.0}
paths:
  /a:
    get:
      operationId: a
      parameters:
        - {name: version, in: query, schema: {type: string, enum: [1, 2.5, true], default: 1}}
        - {name: size, in: query, schema: {type: string, nullable: true, enum: [10, 20]}}
        - {name: count, in: query, schema: {type: integer, enum: [1, 2]}}
"""
    (tool,) = openapi(text, base_url=api.url)
    properties = tool.parameters["properties"]
    assert (properties["version"]["enum"], properties["version"]["default"]) == (["1", "2.5", "true"], "1")
    assert properties["size"]["enum"] == ["10", "20", None]
    assert properties["count"]["enum"] == [1, 2]
    answer(tool, '{"version": "2.5", "size": 20, "count": 2}')
    assert api.last.pairs == [("version", "2.5"), ("size", "20"), ("count", "2")]


OWN = {"type": "object", "properties": {"who": {"$ref": "#/$defs/Who"}, "all": {"$ref": "#/$defs/Who/properties/id"}}}


def test_a_schema_may_have_its_own_definitions(api: ApiServer) -> None:
    """PrefectHQ/fastmcp#2087, hey-api/hey-api#2982: a whole JSON Schema in a description, with its references."""
    who = {"type": "object", "properties": {"id": {"type": "integer"}, "of": {"$ref": "#/$defs/Who"}}}
    tool = tool_of(of_post({**OWN, "$defs": {"Who": who}}), api.url)
    assert tool.parameters["$defs"]["Who"]["properties"]["of"] == {"$ref": "#/$defs/Who"}
    answer(tool, '{"who": {"id": "3"}, "all": "4"}')
    assert api.last.json == {"who": {"id": 3}, "all": 4}


def test_definitions_of_one_name_are_those_of_their_operation() -> None:
    paths = {}
    for kind in ("integer", "string"):
        whole = {**OWN, "$defs": {"Who": {"type": "object", "properties": {"id": {"type": kind}}}}}
        body = {"content": {"application/json": {"schema": whole}}}
        paths[f"/{kind}"] = {"post": {"operationId": kind, "requestBody": body}}
    tools = tools_of(description(paths))
    assert {name: each.parameters["properties"]["all"]["type"] for name, each in tools.items()} == {
        "integer": "integer",
        "string": "string",
    }


def test_definitions_of_one_name_that_differ_within_an_operation_are_no_guess() -> None:
    parts = {each: {**OWN, "$defs": {"Who": {"type": each}}} for each in ("string", "integer")}
    assert tools_of(of_post({"type": "object", "properties": parts})) == {}


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "string", "format": "binary"}, "data:text/csv;base64,YSxi", "text/csv"),
        ({"type": "string", "contentMediaType": "image/svg+xml"}, "<svg/>", "image/svg+xml"),
        ({"type": "string", "contentMediaType": "application/octet-stream"}, "a,b", "text/plain"),
        ({"type": "string", "format": "binary"}, "data:application/octet-stream;base64,YSxi", "text/plain"),
    ],
)
def test_a_file_is_sent_as_what_it_is_named(api: ApiServer, schema: dict[str, Any], value: str, kind: str) -> None:
    spec = of_post({"type": "object", "properties": {"file": schema}}, "multipart/form-data")
    answer(tool_of(spec, api.url), json.dumps({"file": value}))
    assert f"Content-Type: {kind}\r\n".encode() in api.last.body


def test_a_type_beside_the_name_of_a_parameter_is_its_type(api: ApiServer) -> None:
    """A mixture of Swagger 2.0 and OpenAPI 3, as generators and people write it."""
    ids = {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"}, "collectionFormat": "multi"}
    answer(tool_of(of_get([ids]), api.url), '{"ids": ["1", 2]}')
    assert api.last.query == "ids=1&ids=2"
