"""What a model reads of the results of an MCP server's tools, whatever the server sends."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentkit import Agent, ToolError
from agentkit.mcp import MCP, content
from agentkit.mcp.content import MAX_IMAGES, value_of
from agentkit.testing import ScriptedBackend
from agentkit.tooling.results import rendered
from tests.mcp.tools.planned import PIXEL, Make, Planned, answer, entry, text
from tests.support.growth import assert_linear

WAV = base64.b64encode(b"RIFF1234WAVE" + bytes(8)).decode()


def image(data: Any = PIXEL, kind: Any = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": data, "mimeType": kind}


def resource(**fields: Any) -> dict[str, Any]:
    return {"type": "resource", "resource": fields}


def blob(data: bytes) -> str:
    return base64.b64encode(data).decode()


SHOWN = "[it: the image is in the next message]"
RESULTS: dict[str, tuple[Any, str, int]] = {
    "text": (text("Hello"), "Hello", 0),
    "two texts": ({"content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}, "one\ntwo", 0),
    "nothing": ({"content": []}, "(done; there is no output)", 0),
    "no content": ({"content": None}, "(done; there is no output)", 0),
    "an image": ({"content": [image()]}, SHOWN, 1),
    "text and image": ({"content": [*text("Look:")["content"], image()]}, f"Look:\n{SHOWN}", 1),
    "two images": ({"content": [image(), image()]}, f"{SHOWN}\n[it-2: the image is in the next message]", 2),
    "an image of another type": ({"content": [image(kind="image/jpeg")]}, SHOWN, 1),
    "an image as a data URL": ({"content": [image(f"data:image/png;base64,{PIXEL}")]}, SHOWN, 1),
    "an image that is none": (
        {"content": [image(blob(b"hello"))]},
        "[an image, image/png, 5 bytes, which can't be shown]",
        0,
    ),
    "a drawing": (
        {"content": [image(blob(b"<svg xmlns='x'/>"), "image/svg+xml")]},
        "[an image, image/svg+xml, 16 bytes, which can't be shown]",
        0,
    ),
    "no base64": ({"content": [image("?!")]}, "[an image, image/png, 1 bytes, which is not valid base64]", 0),
    "an image without data": (
        {"content": [image(None, None)]},
        "[an image, of no type, without data, which is not valid base64]",
        0,
    ),
    "audio": (
        {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]},
        "[audio, audio/wav, 20 bytes]",
        0,
    ),
    "a resource": ({"content": [resource(uri="file:///a.txt", text="Hello")]}, "[file:///a.txt]\nHello", 0),
    "a resource that is an image": (
        {"content": [resource(uri="file:///a/b.png", mimeType="image/png", blob=PIXEL)]},
        "[b.png: the image is in the next message]",
        1,
    ),
    "a resource in bytes that is a text": (
        {"content": [resource(uri="x://a", mimeType="text/plain; charset=utf-8", blob=blob("Grüße".encode()))]},
        "[x://a]\nGrüße",
        0,
    ),
    "a resource in bytes without a type": (
        {"content": [resource(uri="x://a", blob=blob(b"Hello"))]},
        "[x://a]\nHello",
        0,
    ),
    "a document": (
        {"content": [resource(uri="x://a.pdf", mimeType="application/pdf", blob=blob(b"%PDF-1.7"))]},
        "[application/pdf of x://a.pdf, 8 bytes, which can't be shown]",
        0,
    ),
    "a resource without contents": ({"content": [resource(uri="x://a")]}, "[the resource x://a, without contents]", 0),
    "a resource that is none": (
        {"content": [{"type": "resource", "resource": 3}]},
        "[a resource that has no contents: 3]",
        0,
    ),
    "a link": (
        {
            "content": [
                {
                    "type": "resource_link",
                    "uri": "file:///r.txt",
                    "name": "r.txt",
                    "mimeType": "text/plain",
                    "size": 1234,
                    "description": "The report.",
                }
            ]
        },
        "[r.txt: file:///r.txt (text/plain, 1,234 bytes): The report.]",
        0,
    ),
    "a bare link": ({"content": [{"type": "resource_link", "uri": "file:///r.txt"}]}, "[file:///r.txt]", 0),
    "an unknown type": (
        {"content": [{"type": "hologram", "data": "x"}]},
        "[content of type hologram, which can't be shown]",
        0,
    ),
    "an unknown type with a text": ({"content": [{"type": "markdown", "text": "# Hi"}]}, "# Hi", 0),
    "content that is a text": ({"content": "Hello"}, "Hello", 0),
    "content that is one part": ({"content": {"type": "text", "text": "Hello"}}, "Hello", 0),
    "parts that are none": ({"content": ["one", 2]}, "one\n[a part that is no content: 2]", 0),
    "a text that is none": ({"content": [{"type": "text", "text": {"a": 1}}]}, '{"a": 1}', 0),
    "half a character": ({"content": [{"type": "text", "text": "a\ud800b"}]}, "a\ufffdb", 0),
    "structured alone": ({"structuredContent": {"n": 1}}, '{"n": 1}', 0),
    "structured and its JSON": ({**text('{ "n":1 }'), "structuredContent": {"n": 1}}, '{"n": 1}', 0),
    "a wrapped text": ({**text("one\ntwo"), "structuredContent": {"content": "one\ntwo"}}, "one\ntwo", 0),
    "a wrapped number": ({**text("3"), "structuredContent": {"result": 3}}, '{"result": 3}', 0),
    "a wrapped list": (
        {
            "content": [{"type": "text", "text": '{"n": 1}'}, {"type": "text", "text": '{"n": 2}'}],
            "structuredContent": {"result": [{"n": 1}, {"n": 2}]},
        },
        '{"result": [{"n": 1}, {"n": 2}]}',
        0,
    ),
    "a text for people": (
        {**text("Oslo: 717,710 people"), "structuredContent": {"city": "Oslo", "population": "717,710"}},
        "Oslo: 717,710 people",
        0,
    ),
    "a text that says less": (
        {**text("2 found"), "structuredContent": {"found": ["a.txt", "b.txt"]}},
        '2 found\n{"found": ["a.txt", "b.txt"]}',
        0,
    ),
    "structured and an image": ({"content": [image()], "structuredContent": {"n": 1}}, f'{SHOWN}\n{{"n": 1}}', 1),
    # anthropics/claude-code#70280: what a tool returns as parts is sent as structured content, too
    "structured, as the parts once more": (
        {
            "content": [image(), {"type": "text", "text": "a pixel"}],
            "structuredContent": {"result": [{**image(), "annotations": None}, {"type": "text", "text": "a pixel"}]},
        },
        f"{SHOWN}\na pixel",
        1,
    ),
    "structured, as the only part once more": ({"content": [image()], "structuredContent": image()}, SHOWN, 1),
    "structured with the data of an image": (
        {"content": [image()], "structuredContent": {"png": PIXEL, "url": f"data:image/png;base64,{PIXEL}", "w": 1}},
        f'{SHOWN}\n{{"png": "(in the content)", "url": "(in the content)", "w": 1}}',
        1,
    ),
    "structured with the data of a file": (
        {
            "content": [resource(uri="x://a.pdf", mimeType="application/pdf", blob=blob(b"%PDF-1.7"))],
            "structuredContent": {"pages": 2, "pdf": [blob(b"%PDF-1.7")]},
        },
        '[application/pdf of x://a.pdf, 8 bytes, which can\'t be shown]\n{"pages": 2, "pdf": ["(in the content)"]}',
        0,
    ),
    "structured list": ({**text("[1, 2]"), "structuredContent": [1, 2]}, "[1, 2]", 0),
    "an error": ({**text("No such city"), "isError": True}, "Error: No such city", 0),
    "an error that says so": ({**text("Error: no such city"), "isError": True}, "Error: no such city", 0),
    "an error without words": (
        {"content": [], "isError": True},
        "Error: the tool failed, and the server does not say why",
        0,
    ),
    "a structured error": (
        {"content": [], "structuredContent": {"code": 7}, "isError": True},
        'Error: {"code": 7}',
        0,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MCP]:
    """A server that has a tool for each of the results."""
    plan = Planned(tmp_path_factory.mktemp("results"))
    number = {name: f"t{place}" for place, name in enumerate(RESULTS)}
    plan.set(*map(entry, number.values()), results={number[name]: each[0] for name, each in RESULTS.items()})
    with MCP(plan.words(), "good") as made:
        yield made


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_shown_to_the_model(name: str, results: MCP) -> None:
    _, expected, images = RESULTS[name]
    number = f"t{list(RESULTS).index(name)}"
    outcome = answer(results, number)
    assert outcome.text == expected.replace("it:", f"{number}:").replace("it-2", f"{number}-2")
    assert len(outcome.images) == images
    assert outcome.failed == expected.startswith("Error: ")


def test_images_reach_the_model_in_a_run(server: Make) -> None:
    backend = ScriptedBackend(("draw", {}), "A dot.")
    draw = entry("draw", annotations={"readOnlyHint": True})
    tools = server(draw, results={"draw": {"content": [image()]}})
    assert Agent(backend, tools=[tools]).run("Draw.").output == "A dot."
    parts = backend.requests[1].messages[-1]["content"]
    assert isinstance(parts, list)
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert PIXEL in parts[1]["image_url"]["url"]


def test_a_program_gets_the_value_of_a_call(server: Make) -> None:
    tools = server(entry("sum"), results={"sum": {**text('{"n": 1}'), "structuredContent": {"n": 1}}})
    assert tools["sum"]() == {"n": 1}


def test_a_program_gets_an_error_of_a_tool_as_an_exception(server: Make) -> None:
    tools = server(entry("sum"), results={"sum": {**text("Too large"), "isError": True}})
    with pytest.raises(ToolError, match="Too large"):
        tools["sum"]()


def test_a_long_result_is_cut_like_that_of_any_tool(server: Make) -> None:
    tools = server(entry("read"), results={"read": text("word " * 20_000)})
    outcome = answer(tools, "read")
    assert "first 50,000 of 100,000 characters" in outcome.text


def test_a_result_of_many_parts_is_bounded() -> None:
    shown = rendered(value_of({"content": [{"type": "text", "text": "x"}] * 1_500}, "it"))[0]
    assert shown.count("x") == 1_000
    assert "500 more parts are not shown" in shown


def test_a_result_of_many_images_is_bounded() -> None:
    shown, images = rendered(value_of({"content": [image()] * (MAX_IMAGES + 2)}, "it"))
    assert len(images) == MAX_IMAGES
    assert shown.count("images of a result are shown") == 2


def test_a_huge_image_is_not_decoded() -> None:
    shown, images = rendered(value_of({"content": [image("A" * 40_000_000)]}, "it"))
    assert images == ()
    assert shown == "[an image, image/png, 30,000,000 bytes, more than 20 MB, which are not shown]"


@pytest.mark.parametrize("result", [None, 3, "text", [1]])
def test_a_result_that_is_no_object_is_said(result: Any) -> None:
    assert value_of(result, "it") == f"(the server sent no result, but {json.dumps(result)})"


def test_deep_structured_content_is_no_error() -> None:
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    assert "nested too deeply" in value_of({**text("x"), "structuredContent": deep}, "it")


def test_deep_values_where_texts_belong_are_no_error() -> None:
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    parts = [{"type": deep}, {"type": "resource_link", "uri": deep, "name": deep}, image(deep, deep)]
    assert "list" in value_of({"content": [*parts, resource(uri=deep, text="x"), resource(uri=deep)]}, "it")


def test_a_large_structured_content_is_not_compared_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_COMPARED", 20)
    says_all = {**text("a a a a a a a a"), "structuredContent": ["a"] * 8}
    assert value_of(says_all, "it") == "a a a a a a a a"
    large: list[list[Any]] = [["a"] * 8 + [[]] * 20, ["a" * 30]]
    for many in large:
        assert str(value_of({**says_all, "structuredContent": many}, "it")).endswith(json.dumps(many))


@pytest.mark.parametrize("piece", ["[", "word ", '{"a": 1} ', "data:", "=", "\\"])
def test_a_result_is_read_in_linear_time(piece: str) -> None:
    def read(count: int) -> None:
        words = piece * count
        parts = [{"type": "text", "text": words}, image(words), resource(uri=words, blob=words, mimeType=words)]
        value_of({"content": [*parts, {"type": words}], "structuredContent": {"a": words, "b": [words]}}, "it")

    assert_linear(read, 20_000)
