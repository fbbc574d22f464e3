"""Which tools a description gives: their names, descriptions, which are wanted, and the address that they call."""

import json
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from agentkit import Context, Tool
from agentkit.errors import BlockedAddressError, ConfigurationError, DependencyError, FetchError, StatusError, ToolError
from agentkit.openapi import Operation, openapi
from tests.openapi.specs import answer, description, of_get, of_post, parameter, tool_of, tools_of
from tests.support.api_server import ApiServer, Reply, serve_api

PETS: dict[str, Any] = {
    "/pets": {
        "get": {"operationId": "listPets", "tags": ["pets", "read"], "summary": "All pets"},
        "post": {"operationId": "addPet", "tags": ["pets"], "summary": "Add a pet.", "description": "Adds it."},
    },
    "/pets/{petId}": {
        "get": {"operationId": "getPet", "tags": ["pets", "read"], "description": "One pet"},
        "delete": {"tags": ["pets"], "deprecated": True},
    },
    "/orders": {"get": {"operationId": "list.orders/v2", "tags": ["orders"]}},
}


def test_names_come_from_ids_or_methods_and_paths() -> None:
    assert list(tools_of(description(PETS))) == ["listPets", "addPet", "getPet", "delete_pets_petId", "list_orders_v2"]


def test_a_tool_has_other_options_and_another_name() -> None:
    tool = tools_of(description(PETS))["listPets"].replace(name="pets", approve=True)
    assert (tool.name, tool.options.approve, tool.options.read_only) == ("pets", True, True)
    assert tool.values("{}") == {}


def test_68_operations_with_one_id_are_numbered() -> None:
    paths = {f"/p{number}": {"get": {"operationId": "x" * 80}} for number in range(68)}
    names = list(tools_of(description(paths)))
    assert len(set(names)) == 68
    assert names[:2] == ["x" * 64, "x" * 62 + "_2"]
    assert names[-1] == "x" * 61 + "_68"


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Get /v1/products/{productId}?a={b}&c", "Get_v1_products_productId_a_b_c"),
        ("größe", "gr_e"),
        ("___", "operation"),
        ("日本", "operation"),
        ("a" * 5000, "a" * 64),
        ("-a.b c-", "-a_b_c-"),
    ],
)
def test_a_name_is_made_valid(wanted: str, name: str) -> None:
    assert list(tools_of(description({"/x": {"get": {"operationId": wanted}}}))) == [name]


def test_a_name_that_looks_numbered_is_not_given_twice() -> None:
    ids = ["a", "a", "a_2", "a"]
    paths = {f"/p{number}": {"get": {"operationId": each}} for number, each in enumerate(ids)}
    assert list(tools_of(description(paths))) == ["a", "a_2", "a_2_2", "a_3"]


def test_descriptions_are_made_of_what_there_is() -> None:
    tools = tools_of(description(PETS))
    assert [each.description for each in tools.values()] == [
        "All pets",
        "Add a pet. Adds it.",
        "One pet",
        "(deprecated) DELETE /pets/{petId}",
        "GET /orders",
    ]


def test_a_long_description_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    spec = of_get([parameter("q", description="p" * 5000)], description="word " * 5000)
    with caplog.at_level(logging.WARNING):
        tool = tool_of(spec)
    assert (len(tool.description), len(tool.parameters["properties"]["q"]["description"])) == (1024, 1001)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("getPet", ["getPet"]),
        (["getPet", "addPet"], ["addPet", "getPet"]),
        ("*Pet", ["addPet", "getPet"]),
        ("list.orders/v2", ["list_orders_v2"]),
        ("orders", ["list_orders_v2"]),
        ("read", ["listPets", "getPet"]),
        ("GET /pets/*", ["getPet"]),
        ("get /pets*", ["listPets", "getPet"]),
        ("* /pets", ["listPets", "addPet"]),
        ("DELETE /pets/{petId}", ["delete_pets_petId"]),
        ("/pets/{petId}", ["getPet", "delete_pets_petId"]),
        (lambda each: each.method == "GET" and "pets" in each.tags, ["listPets", "getPet"]),
        (lambda each: not each.deprecated and not each.read_only, ["addPet"]),
        ([], []),
    ],
)
def test_only_the_wanted_operations_become_tools(only: Any, expected: list[str]) -> None:
    assert list(tools_of(description(PETS), only=only)) == expected


@pytest.mark.parametrize("only", ["getPets", ["addPet", "nothing"], "POST /orders", "/pet", "get_*"])
def test_what_there_is_not_is_refused_with_what_there_is(only: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"its operations are listPets, addPet.*its tags are pets, read, orders"
    ):
        openapi(description(PETS), "http://127.0.0.1:9", only)
    with pytest.raises(ConfigurationError, match="pass names, patterns or tags"):
        openapi(description(PETS), "http://127.0.0.1:9", [Operation])  # type: ignore[list-item]


# The address


@pytest.mark.parametrize(
    ("servers", "base"),
    [
        ([{"url": "{url}/v1/"}], "/v1"),
        (
            [
                {"url": "{url}/{v}/x", "variables": {"v": {"default": "v2", "enum": ["v1"]}}},
                {"url": "http://b.invalid"},
            ],
            "/v2/x",
        ),
    ],
)
def test_the_servers_of_the_description_are_called(api: ApiServer, servers: list[Any], base: str) -> None:
    servers = json.loads(json.dumps(servers).replace("{url}", api.url))
    (tool,) = openapi(of_get([]) | {"servers": servers})
    answer(tool)
    assert api.last.target == f"{base}/things"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "names no server: pass base_url="),
        ({"servers": [{"url": "/api/v3"}]}, "relative to an address that is not known: pass base_url="),
        ({"servers": [{"url": "https://{region}.a.b"}]}, "a variable 'region' without a default value: pass base_url="),
        ({"servers": [{"description": "x"}]}, "has no url"),
        ({"servers": [{"url": "ftp://a.b"}]}, "relative|no address"),
        ({"servers": [{"url": "https://me:secret@a.b"}]}, "has a user name"),
    ],
)
def test_an_address_that_is_not_known_is_asked_for(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        openapi(of_get([]) | more)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["a.b", "", "http://", "file:///etc", "http://a b", "http://u:secret@a", "http://a?x=1", 7]
)
def test_a_base_url_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url=") as caught:
        openapi(of_get([]), url)
    assert "secret" not in str(caught.value)


def test_a_base_url_may_have_a_name_in_any_script() -> None:
    (tool,) = openapi(of_get([]), "https://bücher.example/a/")
    assert tool.function.api.base_url == "https://xn--bcher-kva.example/a"  # type: ignore[attr-defined]


def test_an_operation_on_another_host_is_left_out(caplog: pytest.LogCaptureFixture, api: ApiServer) -> None:
    paths = {
        "/a": {"get": {"operationId": "a"}, "servers": [{"url": f"{api.url}/files"}]},
        "/b": {"get": {"operationId": "b", "servers": [{"url": "https://files.invalid"}]}},
    }
    with caplog.at_level(logging.WARNING):
        (tool,) = openapi(description(paths) | {"servers": [{"url": api.url}]})
    assert "b (GET /b): its server is https://files.invalid" in caplog.text
    answer(tool)
    assert api.last.target == "/files/a"
    assert [each.name for each in openapi(description(paths), api.url)] == ["a", "b"]
    answer(openapi(description(paths), api.url)[1])
    assert api.last.target == "/b"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"host": "{host}", "basePath": "/v2", "schemes": ["http"]}, "/v2/things"),
        ({"basePath": "/v2/"}, "/v2/things"),
        ({}, "/things"),
        ({"host": "{host}"}, "/things"),
    ],
)
def test_swagger_names_its_server_in_parts(api: ApiServer, more: dict[str, Any], expected: str) -> None:
    host = api.url.removeprefix("http://")
    spec = {"swagger": "2.0", "paths": of_get([])["paths"]} | json.loads(json.dumps(more).replace("{host}", host))
    api.always(Reply(body=json.dumps(spec).encode()))
    (tool,) = openapi(f"{api.url}/docs/swagger.json")
    answer(tool)
    assert api.last.target == expected


# The description


def test_a_description_is_taken_in_any_form(tmp_path: Path, api: ApiServer) -> None:
    spec = of_get([]) | {"servers": [{"url": "../v1"}]}
    text = json.dumps(spec)
    (tmp_path / "api.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    api.always(Reply(body=text.encode()))
    for given in (
        spec,
        text,
        text.encode(),
        json.dumps(spec, indent=1),
        tmp_path / "api.json",
        str(tmp_path / "api.json"),
    ):
        assert [each.name for each in openapi(given, api.url)] == ["call"]
    assert api.received == []
    (tool,) = openapi(f"{api.url}/docs/openapi.json")
    answer(tool)
    assert [each.target for each in api.received] == ["/docs/openapi.json", "/v1/things"]


YAML = """
openapi: 3.0.3
info: {title: A, version: 1.0}
servers:
  - &server
    url: http://127.0.0.1:9
paths:
  /things:
    get:
      operationId: call
      parameters:
        - {name: on, in: query, schema: {type: string, enum: [on, off, yes, 12:30, 2020-01-01, 010], default: no}}
      responses:
        200:
          description: >-
            Fine
"""


def test_yaml_is_read_as_what_is_meant() -> None:
    pytest.importorskip("yaml")
    made = tool_of(YAML).parameters["properties"]["on"]
    assert made["enum"] == ["on", "off", "yes", "12:30", "2020-01-01", "010"]
    assert made["default"] == "no"


def test_yaml_needs_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(DependencyError, match="to read YAML needs PyYAML: pip install pyyaml"):
        openapi(YAML)
    assert tool_of(json.dumps(of_get([]))).name == "call"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the text is not valid JSON"),
        ("{}", "has neither 'openapi' nor 'swagger'"),
        ('{"info": 1, "paths": {}}', "its keys are info, paths"),
        ('{"openapi": "4.0.0"}', "of version '4.0.0'"),
        ('{"swagger": "1.2"}', "of version '1.2'"),
        ("[1]\n", "it is a list, not an object"),
        ("a: b: c\n", "neither JSON nor YAML: .*line 1"),
        ("a: !!python/object:os.system x\n", "neither JSON nor YAML"),
        ("- a\n", "it is a list"),
        ("[" * 200_000 + "\n", "nested too deep|neither JSON nor YAML"),
        ('{"a":' * 100_000, "nested too deep"),
        ("a: " + "[" * 50_000 + "\n", "nested too deep|neither JSON nor YAML"),
        ("- " * 50_000 + "a\n", "nested too deep"),
        ("\n".join(f"{' ' * depth}a:" for depth in range(2000)), "nested too deep"),
        ("<html>\n<body></body></html>", "it is a str"),
        ('{"openapi": "3.0.0", "paths": []}', "the 'paths' of the text is a list"),
        ('{"openapi": "3.0.0", "paths": "x"}', "the 'paths' of the text is a str"),
        (b"\xff\xfe\x00\xd8", "not text in UTF-8"),
        (b"\x00\xff", "not text in UTF-8"),
        ("no/such/file.json", "can't be read .No such file"),
        (7, "pass the description as a dict"),
    ],
    ids=range(21),
)
def test_what_is_no_description_is_refused_in_a_sentence(text: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        openapi(text, "http://127.0.0.1:9")


def test_a_billion_laughs_are_not_laughed() -> None:
    pytest.importorskip("yaml")
    lines = ["a0: &a0 {type: string}"]
    lines += [f"a{n}: &a{n} {{type: object, properties: {{x: *a{n - 1}, y: *a{n - 1}}}}}" for n in range(1, 40)]
    schema = "schema: *a39"
    text = (
        "openapi: 3.0.0\n"
        + "\n".join(lines)
        + f"\npaths: {{/x: {{get: {{parameters: [{{name: q, in: query, {schema}}}]}}}}}}\n"
    )
    assert len(json.dumps(tool_of(text).parameters)) < 1_000_000


def test_values_that_double_at_each_level_are_not_written_out() -> None:
    pytest.importorskip("yaml")
    lists = "".join(f"a{n}: &a{n} [{f'*a{n - 1}, *a{n - 1}' if n else 'x'}]\n" for n in range(60))
    values = "{type: array, example: *a59, default: *a59, const: *a59, enum: [*a59], required: [*a59]}"
    of_kind = "{oneOf: [{$ref: '#/k'}], discriminator: {propertyName: p, mapping: *a59}}"
    names = (("*a59", "{}"), ("q", values), ("r", of_kind))
    given = ", ".join(f"{{name: {name}, in: query, schema: {schema}}}" for name, schema in names)
    text = f"openapi: 3.0.0\n{lists}k: {{required: [*a59]}}\npaths: {{/x: {{get: {{parameters: [{given}]}}}}}}\n"
    assert tool_of(text).parameters["properties"]["q"] == {"type": "array", "items": {}}
    with pytest.raises(ConfigurationError, match="of version 'list'"):
        openapi(f"{lists}openapi: *a59\n")


def test_objects_that_are_merged_with_themselves_are_refused_before_they_fill_the_memory() -> None:
    pytest.importorskip("yaml")
    lines = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
    with pytest.raises(ConfigurationError, match=r"more than 300,000 keys are merged by '<<' \(line 18\)"):
        openapi(f"a0: &a0 {{type: string, x: y}}\n{lines}openapi: 3.0.0\n")
    text = "x: &x {get: &g {summary: A}}\nopenapi: 3.0.0\npaths: {/a: {<<: *x}, /b: {<<: [*x], post: {<<: *g}}}\n"
    assert list(tools_of(text)) == ["get_a", "get_b", "post_b"]


def test_defaults_of_a_server_that_hold_one_another_are_not_expanded() -> None:
    names = [f"v{n}" for n in range(40)]
    variables = {name: {"default": f"{{v{n + 1}}}" * 2} for n, name in enumerate(names)}
    server = {"url": "https://a.example/" + "".join(f"{{{name}}}" for name in names), "variables": variables}
    made: Any = openapi(of_get([]) | {"servers": [server]})[0].function
    assert len(made.api.base_url) < 1000
    server["variables"] = {name: {"default": "x" * 200} for name in names}
    with pytest.raises(ConfigurationError, match="has more than 4,000 characters"):
        openapi(of_get([]) | {"servers": [server]})


def test_an_address_that_does_not_have_one_is_an_error_of_the_fetch(api: ApiServer) -> None:
    api.always(Reply(404, b"no"))
    with pytest.raises(StatusError):
        openapi(f"{api.url}/openapi.json")
    api.always(Reply(body=b"<!doctype html><html></html>", content_type="text/html"))
    with pytest.raises(ConfigurationError, match=r"it is a str|neither JSON nor YAML"):
        openapi(f"{api.url}/openapi.json")
    with pytest.raises(FetchError):
        openapi("http://127.0.0.1:9/openapi.json")


def test_a_description_is_not_looked_up_in_a_private_network_by_a_redirect(api: ApiServer) -> None:
    with serve_api() as inner:
        api.always(Reply(302, b"", headers={"location": f"http://localhost:{inner.http.server_port}/openapi.json"}))
        with pytest.raises(BlockedAddressError):
            openapi(f"{api.url}/openapi.json")
        assert inner.received == []


def test_a_description_of_a_stranger_can_not_name_a_server_in_a_private_network(api: ApiServer) -> None:
    with serve_api() as inner:
        there = f"http://localhost:{inner.http.server_port}"
        api.always(Reply(body=json.dumps(of_get([]) | {"servers": [{"url": there}]}).encode()))
        (tool,) = openapi(f"{api.url}/openapi.json")
        assert "localhost is a name of an internal network" in answer(tool)
        assert inner.received == []
        (tool,) = openapi(f"{api.url}/openapi.json", there)
        assert answer(tool) == "{}"


@pytest.fixture
def of_a_stranger(api: ApiServer) -> Tool[..., Any]:
    """A tool of a server that only its description names."""
    there = f"http://api.stranger.example:{api.http.server_port}"
    api.always(Reply(body=json.dumps(of_get([]) | {"servers": [{"url": there}]}).encode()))
    (tool,) = openapi(f"{api.url}/openapi.json")
    api.received.clear()
    return tool


def test_a_server_of_a_stranger_is_called_at_the_address_that_was_checked(
    api: ApiServer, of_a_stranger: Tool[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["93.184.216.34", "127.0.0.1", "127.0.0.1"]
    connect, connected = socket.create_connection, []

    def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses.pop(0), port))]

    def to_loopback(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        connected.append(address)
        monkeypatch.undo()
        return connect(("127.0.0.1", address[1]), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", to_loopback)
    assert "openapi" in answer(of_a_stranger)
    assert connected == [("93.184.216.34", api.http.server_port)]
    assert api.last.headers["host"] == f"api.stranger.example:{api.http.server_port}"


def test_the_look_up_of_a_strangers_server_ends_with_the_run(
    api: ApiServer, of_a_stranger: Tool[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, has_ended = threading.Event(), threading.Event()

    def look_up(*args: Any, **options: Any) -> Any:
        cancel.set()
        has_ended.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert "the run was cancelled" in answer(of_a_stranger, context=Context(cancel=cancel))
    has_ended.set()
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror))
    with pytest.raises(ToolError, match=r"GET /things was not called: .*the host api\S+ does not exist"):
        of_a_stranger()
    assert api.received == []


def test_references_to_other_addresses_are_never_fetched(api: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    spec = of_post({"$ref": f"{api.url}/schema.json"})
    spec["paths"]["/other"] = {"$ref": f"{api.url}/path.json"}
    with caplog.at_level(logging.WARNING):
        assert openapi(spec, api.url) == []
    assert api.received == []
    assert caplog.text.count("leads out of the description") == 2


def test_a_path_may_be_a_reference() -> None:
    spec = description({"/x": {"$ref": "#/components/pathItems/X"}}, components={"pathItems": {"X": {"get": {}}}})
    assert list(tools_of(spec)) == ["get_x"]


def test_operations_that_are_none_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    paths: dict[str, Any] = {
        "/a": {"get": "x", "post": {}},
        "/b": [],
        "/c": None,
        "x-d": {"get": {}},
        "/e": {"summary": "x", "parameters": 5},
    }
    with caplog.at_level(logging.WARNING):
        assert list(tools_of(description(paths))) == ["post_a"]
    assert "get_a (GET /a): it is no object" in caplog.text


def test_methods_of_openapi_3_2() -> None:
    paths: dict[str, Any] = {"/a": {"query": {}, "additionalOperations": {"COPY": {}, "b@d": {}}}}
    tools = tools_of(description(paths, "3.2.0"))
    assert {name: each.options.read_only for name, each in tools.items()} == {"query_a": False, "copy_a": False}


def test_5000_operations_of_which_a_few_are_wanted() -> None:
    item = of_post({"$ref": "#/components/schemas/A"})["paths"]["/things"]
    padded = {"post": {"requestBody": item["post"]["requestBody"], "responses": {"200": {"description": "x" * 2000}}}}
    schemas = {"A": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}}}
    text = json.dumps(description({f"/p{n}": padded for n in range(5000)}, components={"schemas": schemas}))
    assert len(text) > 10_000_000
    assert list(tools_of(text, only=["post_p7", "POST /p49?9"])) == ["post_p7"] + [f"post_p49{n}9" for n in range(10)]


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), None])
def test_a_timeout_is_above_0(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be a number of seconds above 0"):
        openapi(of_get([]), "http://127.0.0.1:9", timeout=timeout)
