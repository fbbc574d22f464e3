"""Parameters and bodies on the wire, byte for byte."""

import json
from typing import Any

import pytest

from tests.openapi.specs import LIST, OBJECT, answer, description, of_get, of_post, parameter, tool_of
from tests.support.api_server import ApiServer

COLOURS = ["blue", "black", "brown"]
RGB = {"R": "100", "G": "200"}


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        (None, None, "blue", "color=blue"),
        (None, None, COLOURS, "color=blue&color=black&color=brown"),
        (None, None, RGB, "R=100&G=200"),
        ("form", False, COLOURS, "color=blue,black,brown"),
        ("form", False, RGB, "color=R,100,G,200"),
        ("form", True, RGB, "R=100&G=200"),
        ("spaceDelimited", None, COLOURS, "color=blue%20black%20brown"),
        ("spaceDelimited", True, COLOURS, "color=blue&color=black&color=brown"),
        ("spaceDelimited", False, RGB, "color=R%20100%20G%20200"),
        ("pipeDelimited", None, COLOURS, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, RGB, "color=R%7C100%7CG%7C200"),
        ("deepObject", True, RGB, "color%5BR%5D=100&color%5BG%5D=200"),
        ("deepObject", None, {"a": {"b": "c"}}, "color%5Ba%5D%5Bb%5D=c"),
        ("deepObject", True, ["a", "b"], "color%5B%5D=a&color%5B%5D=b"),
        ("deepObject", True, [{"a": "b"}], "color%5B0%5D%5Ba%5D=b"),
        ("form", True, "a&b=c#d+e f/é", "color=a%26b%3Dc%23d%2Be%20f%2F%C3%A9"),
        ("form", False, ["a,b", "c"], "color=a%2Cb,c"),
        ("form", True, True, "color=true"),
        ("form", True, 1.5, "color=1.5"),
        ("form", True, [{"a": 1}], "color=%7B%22a%22%3A1%7D"),
        ("form", True, [], ""),
        ("form", True, None, ""),
    ],
)
def test_a_query_is_written_in_the_style_that_is_declared(
    api: ApiServer, style: str | None, explode: bool | None, value: Any, expected: str
) -> None:
    said = {key: each for key, each in (("style", style), ("explode", explode)) if each is not None}
    tool = tool_of(of_get([{"name": "color", "in": "query", "schema": {}, **said}]), api.url)
    assert answer(tool, json.dumps({"color": value})) == "{}"
    assert api.last.target == ("/things?" + expected).rstrip("?")


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        (None, None, "blue", "blue"),
        (None, None, COLOURS, "blue,black,brown"),
        (None, None, RGB, "R,100,G,200"),
        ("simple", True, RGB, "R=100,G=200"),
        ("label", None, "blue", ".blue"),
        ("label", False, COLOURS, ".blue,black,brown"),
        ("label", True, COLOURS, ".blue.black.brown"),
        ("label", True, RGB, ".R=100.G=200"),
        ("matrix", None, "blue", ";color=blue"),
        ("matrix", False, COLOURS, ";color=blue,black,brown"),
        ("matrix", True, COLOURS, ";color=blue;color=black;color=brown"),
        ("matrix", True, RGB, ";R=100;G=200"),
        ("matrix", False, RGB, ";color=R,100,G,200"),
        (None, None, "a?c#d%20", "a%3Fc%23d%2520"),
        (None, None, 7, "7"),
    ],
)
def test_a_path_is_written_in_the_style_that_is_declared(
    api: ApiServer, style: str | None, explode: bool | None, value: Any, expected: str
) -> None:
    said = {key: each for key, each in (("style", style), ("explode", explode)) if each is not None}
    given: dict[str, Any] = {"name": "color", "in": "path", "required": True, "schema": {}, **said}
    tool = tool_of(of_get([given], "/x/{color}/y"), api.url)
    assert answer(tool, json.dumps({"color": value})) == "{}"
    assert api.last.target == f"/x/{expected}/y"


ELSEWHERE = ["", ".", "..", "../admin", "a/../b", "..\\admin", "a/.", None, [], [""], [".."], "%2e%2E"]
SLASHES = ["me/api-keys", "me\\keys", "me%2fkeys", "%5C", ["a", "b/c"], {"a": "b/c"}, "/"]


@pytest.mark.parametrize("value", [*ELSEWHERE, *SLASHES])
def test_a_value_that_would_lead_to_another_path_is_refused_in_a_sentence(api: ApiServer, value: Any) -> None:
    given: dict[str, Any] = {"name": "id", "in": "path", "required": True, "schema": {}}
    tool = tool_of(of_get([given], "/things/{id}"), api.url)
    said = answer(tool, json.dumps({"id": value}))
    assert "the arguments of call don't fit: id" in said
    assert api.received == []


def test_slashes_are_sent_in_a_path_where_the_user_allows_them(api: ApiServer) -> None:
    tool = tool_of(of_get([parameter("id", "path")], "/projects/{id}/issues"), api.url, slashes_in_path=True)
    assert answer(tool, '{"id": "group/project"}') == "{}"
    assert api.last.target == "/projects/group%2Fproject/issues"
    assert "'.' and '..' can't be sent" in answer(tool, '{"id": "group/%2e%2e/other"}')
    assert len(api.received) == 1


def test_parts_of_a_step_can_not_make_it_a_step_up(api: ApiServer) -> None:
    given = [parameter("a", "path"), parameter("b", "path", style="label")]
    tool = tool_of(of_get(given, "/x/{a}{b}"), api.url)
    assert answer(tool, '{"a": "f", "b": "txt"}') == "{}"
    assert api.last.target == "/x/f.txt"


@pytest.mark.parametrize(
    ("explode", "value", "expected"),
    [
        (False, "blue", "blue"),
        (False, COLOURS, "blue,black,brown"),
        (False, RGB, "R,100,G,200"),
        (True, RGB, "R=100,G=200"),
        (False, "a b/c?é", "a b/c?é"),
        (False, 3, "3"),
    ],
)
def test_a_header_is_written_as_declared(api: ApiServer, explode: bool, value: Any, expected: str) -> None:
    tool = tool_of(of_get([{"name": "X-Color", "in": "header", "schema": {}, "explode": explode}]), api.url)
    assert answer(tool, json.dumps({"X-Color": value})) == "{}"
    assert api.last.headers["x-color"] == expected


@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "a\r\nb", "\x00", " a", "a\t", "a\x7f"])
def test_a_header_that_can_not_be_sent_is_refused_in_a_sentence(api: ApiServer, value: str) -> None:
    tool = tool_of(of_get([parameter("X-Color", "header")]), api.url)
    assert "X-Color: a header can't" in answer(tool, json.dumps({"X-Color": value}))
    assert api.received == []


def test_cookies_are_sent_together_and_can_not_end_each_other(api: ApiServer) -> None:
    tool = tool_of(of_get([parameter("a", "cookie"), parameter("b", "cookie", LIST, explode=False)]), api.url)
    assert answer(tool, '{"a": "1; b=2", "b": ["x", "y"]}') == "{}"
    assert api.last.headers["cookie"] == "a=1%3B%20b%3D2; b=x,y"


def test_reserved_characters_do_not_begin_another_cookie(api: ApiServer) -> None:
    tool = tool_of(of_get([parameter("lang", "cookie", allowReserved=True)]), api.url)
    assert answer(tool, '{"lang": "x;session=evil"}') == "{}"
    assert api.last.headers["cookie"] == "lang=x%3Bsession%3Devil"


def test_reserved_characters_stay_where_that_is_allowed_but_for_those_that_end_a_value(api: ApiServer) -> None:
    tool = tool_of(of_get([parameter("url", allowReserved=True)]), api.url)
    assert answer(tool, json.dumps({"url": "https://a.b/c?d=e&f#g+h%20"})) == "{}"
    assert api.last.query == "url=https://a.b/c?d=e%26f%23g%2Bh%2520"
    assert api.last.pairs == [("url", "https://a.b/c?d=e&f#g+h%20")]


def test_a_parameter_with_content_is_json(api: ApiServer) -> None:
    content = {"application/json": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    given = [{"name": "filter", "in": "query", "content": content}, {"name": "X-F", "in": "header", "content": content}]
    assert answer(tool_of(of_get(given), api.url), '{"filter": {"n": 1}, "X-F": {"n": 2}}') == "{}"
    assert (api.last.query, api.last.headers["x-f"]) == ("filter=%7B%22n%22%3A1%7D", '{"n":2}')


def test_the_whole_query_of_openapi_3_2(api: ApiServer) -> None:
    content = {"application/x-www-form-urlencoded": {"schema": OBJECT}}
    given = [{"name": "q", "in": "querystring", "content": content}]
    assert answer(tool_of(of_get(given), api.url), '{"q": {"a": "b&c", "d": "e"}}') == "{}"
    assert api.last.query == "a=b%26c&d=e"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, "ids=1,2"),
        ("csv", "ids=1,2"),
        ("ssv", "ids=1%202"),
        ("tsv", "ids=1%092"),
        ("pipes", "ids=1%7C2"),
        ("multi", "ids=1&ids=2"),
    ],
)
def test_the_lists_of_swagger(api: ApiServer, form: str | None, expected: str) -> None:
    given = {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"}}
    given |= {"collectionFormat": form} if form else {}
    paths = {"/things": {"get": {"operationId": "call", "parameters": [given]}}}
    tool = tool_of({"swagger": "2.0", "paths": paths}, api.url)
    assert answer(tool, '{"ids": [1, 2]}') == "{}"
    assert api.last.query == expected


def test_a_fixed_query_in_a_path_stays(api: ApiServer) -> None:
    tool = tool_of(of_get([parameter("id", "path"), parameter("q")], "/things?action=get&id={id}#part"), api.url)
    assert answer(tool, '{"id": "a&b", "q": "x"}') == "{}"
    assert api.last.target == "/things?action=get&id=a%26b&q=x"


# Bodies

PERSON: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "tags": LIST, "address": OBJECT, "photo": {"type": "string"}},
}


def test_a_json_body_is_compact_and_has_what_is_given(api: ApiServer) -> None:
    tool = tool_of(of_post(PERSON), api.url)
    assert answer(tool, '{"name": "Zoë", "tags": [], "address": {"city": "Oslo"}}') == "{}"
    assert api.last.body == '{"name":"Zoë","tags":[],"address":{"city":"Oslo"}}'.encode()
    assert api.last.headers["content-type"] == "application/json"
    assert api.last.headers["content-length"] == str(len(api.last.body))


def test_a_form_is_url_encoded(api: ApiServer) -> None:
    encoding = {"address": {"style": "deepObject", "explode": True}}
    tool = tool_of(of_post(PERSON, "application/x-www-form-urlencoded", media={"encoding": encoding}), api.url)
    assert answer(tool, '{"name": "a&b", "tags": ["x", "y"], "address": {"city": "Oslo"}}') == "{}"
    assert api.last.body == b"name=a%26b&tags=x&tags=y&address%5Bcity%5D=Oslo"
    assert api.last.headers["content-type"] == "application/x-www-form-urlencoded"


def test_an_object_in_a_form_is_json_where_nothing_else_is_said(api: ApiServer) -> None:
    tool = tool_of(of_post(PERSON, "application/x-www-form-urlencoded"), api.url)
    answer(tool, '{"name": "a", "address": {"city": "Oslo"}}')
    assert api.last.body == b"name=a&address=%7B%22city%22%3A%22Oslo%22%7D"


def test_several_parts_have_texts_json_and_files(api: ApiServer) -> None:
    schema = {**PERSON, "properties": {**PERSON["properties"], "photo": {"type": "string", "format": "binary"}}}
    tool = tool_of(of_post(schema, "multipart/form-data"), api.url)
    assert "data: URL" in tool.parameters["properties"]["photo"]["description"]
    photo = "data:image/png;base64,iVBORw0KGgo="
    answer(tool, json.dumps({"name": "a\r\nb", "tags": ["x", "y"], "address": {"city": "Oslo"}, "photo": photo}))
    kind, _, boundary = api.last.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    *parts, end = api.last.body.split(f"--{boundary}".encode())
    assert end == b"--\r\n"
    assert parts == [
        b"",
        b'\r\nContent-Disposition: form-data; name="name"\r\n\r\na\r\nb\r\n',
        b'\r\nContent-Disposition: form-data; name="tags"\r\n\r\nx\r\n',
        b'\r\nContent-Disposition: form-data; name="tags"\r\n\r\ny\r\n',
        b'\r\nContent-Disposition: form-data; name="address"\r\nContent-Type: application/json\r\n\r\n'
        b'{"city":"Oslo"}\r\n',
        b'\r\nContent-Disposition: form-data; name="photo"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x89PNG\r\n\x1a\n\r\n",
    ]


def test_a_file_may_be_given_as_its_text(api: ApiServer) -> None:
    schema = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    answer(tool_of(of_post(schema, "multipart/form-data"), api.url), '{"file": "a,b\\n1,2"}')
    assert b'name="file"; filename="file.txt"\r\nContent-Type: text/plain\r\n\r\na,b\n1,2\r\n' in api.last.body


@pytest.mark.parametrize(
    ("kind", "argument", "sent"),
    [
        ("text/plain", "héllo", "héllo".encode()),
        ("application/xml", "<a/>", b"<a/>"),
        ("application/octet-stream", "data:;base64,AAEC", b"\x00\x01\x02"),
    ],
)
def test_another_body_is_a_text(api: ApiServer, kind: str, argument: str, sent: bytes) -> None:
    answer(tool_of(of_post({"type": "string"}, kind), api.url), json.dumps({"body": argument}))
    assert (api.last.body, api.last.headers["content-type"]) == (sent, kind)


def test_json_is_chosen_where_there_is_a_choice(api: ApiServer) -> None:
    content = {kind: {"schema": PERSON} for kind in ("application/xml", "multipart/form-data", "application/json")}
    body = {"content": content, "required": True}
    tool = tool_of(description({"/things": {"put": {"requestBody": body}}}), api.url)
    answer(tool, '{"name": "a"}')
    assert api.last.json == {"name": "a"}


def test_a_list_and_a_free_object_are_one_argument(api: ApiServer) -> None:
    answer(tool_of(of_post(LIST), api.url), '{"body": ["a"]}')
    assert api.last.json == ["a"]
    answer(tool_of(of_post(OBJECT), api.url), '{"body": {"x": "y"}}')
    assert api.last.json == {"x": "y"}


def test_properties_that_are_not_declared_are_sent_where_the_body_takes_them(api: ApiServer) -> None:
    schema = {**PERSON, "additionalProperties": {"type": "integer"}}
    spec = of_post(schema)
    spec["paths"]["/things"]["post"]["parameters"] = [parameter("q")]
    answer(tool_of(spec, api.url), '{"name": "a", "age": 3, "q": "x"}')
    assert (api.last.json, api.last.query) == ({"name": "a", "age": 3}, "q=x")


def test_a_body_that_is_required_is_sent_empty_and_another_is_not(api: ApiServer) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    answer(tool_of(of_post(schema), api.url))
    assert (api.last.body, api.last.headers["content-type"]) == (b"{}", "application/json")
    spec = of_post(schema)
    del spec["paths"]["/things"]["post"]["requestBody"]["required"]
    answer(tool_of(spec, api.url))
    assert api.last.body == b""
    assert "content-type" not in api.last.headers


def test_null_is_sent_where_it_is_a_value(api: ApiServer) -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string"}}}
    answer(tool_of(of_post(schema), api.url), '{"a": null, "b": null}')
    assert api.last.json == {"a": None}
