"""What a model reads of the results of tools, whatever they return."""

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import json
import pathlib
import re
import sqlite3
import types
import uuid
from typing import Any, NamedTuple
from xml.dom import minidom
from xml.etree import ElementTree

import attrs
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from PIL import Image as PillowImage
from pydantic import BaseModel, SecretStr

from agentkit import Agent, Image, Result, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend
from agentkit.tooling.long_results import LongResults


def run_of(value: Any, **options: Any) -> Result:
    """A run in which a tool with an effect returns a value."""

    @tool(**options)
    def give() -> Any:
        """Give it."""
        return value() if isinstance(value, types.FunctionType) else value

    return Agent(ScriptedBackend(("give", {}), "Done."), tools=[give]).run("Go.")


def shown(value: Any, **options: Any) -> str:
    record = run_of(value, **options).tool_calls[0]
    assert record.error is None
    return record.response


@dataclasses.dataclass
class Place:
    name: str
    near: Any = None


@attrs.define
class Point:
    x: int
    y: int = 0


class Row(NamedTuple):
    id: int
    name: str


class Slotted:
    __slots__ = ("_hidden", "town")

    def __init__(self) -> None:
        self.town = "Oslo"
        self._hidden = "secret"


class Plain:
    def __init__(self) -> None:
        self.title = "Emma"
        self.pages = [1, 2]
        self._connection = object()


class OnlyProperties:
    def __init__(self) -> None:
        self._kelvin = 300

    @property
    def celsius(self) -> int:
        return self._kelvin - 273


class Said:
    def __str__(self) -> str:
        return "what it says"


class Colour(enum.Enum):
    RED = "red"


class Loud(str, enum.Enum):  # noqa: UP042 - a form that people use
    YES = "yes"


class City(BaseModel):
    name: str
    key: SecretStr = SecretStr("12345")
    flag: bytes = b"ok"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Place("Oslo", Point(1)), '{"name":"Oslo","near":{"x":1,"y":0}}'),
        ({"places": [Place("Oslo")]}, '{"places":[{"name":"Oslo","near":null}]}'),
        (Row(1, "Ada"), '{"id":1,"name":"Ada"}'),
        ([Row(1, "Ada")], '[{"id":1,"name":"Ada"}]'),
        (Slotted(), '{"town":"Oslo"}'),
        (Plain(), '{"title":"Emma","pages":[1,2]}'),
        (OnlyProperties(), '{"celsius":27}'),
        (types.SimpleNamespace(a=1), '{"a":1}'),
        (Said(), "what it says"),
        (City(name="Oslo"), '{"name":"Oslo","key":"**********","flag":"ok"}'),
        (Colour.RED, "red"),
        (Loud.YES, "yes"),
        ([Colour.RED, Loud.YES, {Colour.RED: 1}], '["red","yes",{"red":1}]'),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        ({"day": datetime.date(2026, 1, 2), "price": decimal.Decimal("1.10")}, '{"day":"2026-01-02","price":"1.10"}'),
        (pathlib.PurePosixPath("a/b.txt"), "a/b.txt"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"b", "a"}, '["a","b"]'),
        ({(1, 2): "x", None: "y", 3: "z"}, '{"[1,2]":"x","null":"y","3":"z"}'),
        (collections.deque([1]), "[1]"),
        (collections.Counter("aab"), '{"a":2,"b":1}'),
        (range(3), "[0,1,2]"),
        ({"a": 1}.items(), '[["a",1]]'),
        (ValueError("bad"), "ValueError: bad"),
        (float("nan"), "NaN"),
        ({"a": float("inf")}, '{"a": Infinity}'),
        ("text", "text"),
        (collections.UserString("a text"), "a text"),  # django/django#5367: its items are texts again
        ({"title": [collections.UserString("Emma")]}, '{"title":["Emma"]}'),
        (b"text", "text"),
        (b"\xff", "(1 byte, no UTF-8 text and can't be shown: ff)"),
        (memoryview(b"text"), "text"),
        (b"\x89PNG\r\n", "(6 bytes, a PNG image and can't be shown: 89 50 4e 47 0d 0a)"),
        (re.match("a", "a"), "<re.Match object; span=(0, 1), match='a'>"),
        (lambda: 10**5000, "(a number of 16,610 bits)"),
        (Place, "(class Place)"),
        (object(), "(an object)"),
        (lambda: map(str, [1, 2]), '["1","2"]'),
        (lambda: io.StringIO("a\nb\n"), "a\nb\n"),
        (
            lambda: map(int, ["1", "x"]),
            "[1,\"(then it raised ValueError: invalid literal for int() with base 10: 'x')\"]",
        ),
    ],
)
def test_a_value_of_any_kind_is_shown_by_what_it_holds(value: Any, text: str) -> None:
    assert shown(value) == text


def test_rows_of_a_database_are_shown_with_their_columns() -> None:
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    rows = database.execute("select 1 as id, 'Ada' as name")
    assert shown(lambda: rows.fetchall()) == '[{"id":1,"name":"Ada"}]'
    assert shown(lambda: database.execute("select 2 as id")) == '[{"id":2}]'
    database.close()


# Documents and responses


class Document:
    """As LangChain's."""

    def __init__(self, page_content: str, **metadata: Any) -> None:
        self.page_content = page_content
        self.metadata = metadata


class LangChainDocument(BaseModel):
    id: str | None = None
    metadata: dict[str, Any] = {}
    page_content: str
    type: str = "Document"


class Node:
    """As LlamaIndex's NodeWithScore."""

    score = 0.5

    def get_content(self) -> str:
        return "a text"

    @property
    def metadata(self) -> dict[str, Any]:
        return {"file": "a.pdf"}

    def __str__(self) -> str:
        return "Node ID: 7"


@dataclasses.dataclass
class Ticket:
    """As Haystack's documents."""

    id: int
    content: str
    meta: dict[str, Any]
    embedding: list[float] | None = None


class Passage:
    def __init__(self) -> None:
        self.text = 'A "text"\nof two lines'
        self.page = 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Document("Hello\nworld", source="a.txt"), 'Hello\nworld\n({"source":"a.txt"})'),
        (Document("Hello"), "Hello"),
        (LangChainDocument(page_content="Hello", metadata={"page": 1}), 'Hello\n({"page":1})'),
        ([Document("one", page=1), Document("two")], 'one\n({"page":1})\n\ntwo'),
        ({"found": [Document("one", page=1)]}, '{"found":[{"text":"one","page":1}]}'),
        ([Node()], 'a text\n({"file":"a.pdf","score":0.5})'),
        (Ticket(7, "Broken", {"by": "Ada"}, [0.5]), 'Broken\n({"id":7,"by":"Ada"})'),
        (Passage(), 'A "text"\nof two lines\n({"page":3})'),
    ],
)
def test_a_document_is_shown_by_its_text(value: Any, text: str) -> None:
    assert shown(value) == text


class Response:
    """As those of requests and httpx."""

    def __init__(self, status: int, content: bytes, kind: str = "text/html", reason: str = "OK") -> None:
        self.status_code, self.content, self.reason = status, content, reason
        self.headers = {"content-type": kind}

    @property
    def text(self) -> str:
        return self.content.decode("latin-1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Response(200, b"<p>"), "HTTP 200 OK\n\n<p>"),
        (Response(404, b'{"error": 1}', "application/json", "Not Found"), 'HTTP 404 Not Found\n\n{"error": 1}'),
        (Response(200, b"\x89PNG", "image/png"), "HTTP 200 OK\n\n(4 bytes of image/png)"),
        ({"page": Response(200, b"x")}, '{"page":{"status":"HTTP 200 OK","text":"x"}}'),
    ],
)
def test_a_response_of_a_server_is_shown_by_its_status_and_text(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_result_of_the_model_context_protocol_is_shown_by_its_contents() -> None:
    text = types.SimpleNamespace(type="text", text="two\nlines")
    image = types.SimpleNamespace(type="image", data="eA==", mimeType="image/jpeg")

    class CallToolResult:
        def __init__(self, failed: bool, *content: Any) -> None:
            self.content, self.isError, self.structuredContent = list(content), failed, {"a": 1}

    assert shown(CallToolResult(False, text)) == "two\nlines"
    assert shown(CallToolResult(True, text)) == "(The server reports an error.)\ntwo\nlines"
    assert shown(CallToolResult(False)) == '{"a": 1}'
    parts: Any = run_of(CallToolResult(False, text, image)).messages[3]["content"]
    assert parts[1]["image_url"]["url"] == "data:image/jpeg;base64,eA=="


# Tables, arrays, images


class Frame:
    """As one of pandas: its str() leaves rows out in silence."""

    columns: tuple[str, ...] = ("n",)
    index = range(2000)

    def __init__(self, rows: int = 2000) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __str__(self) -> str:
        return "0 1 ... 1999"

    def head(self, rows: int) -> "Frame":
        return Frame(min(rows, self.rows))

    def to_csv(self, index: bool) -> str:
        return "n\n" + "".join(f"{number}\n" for number in range(self.rows))


def test_a_table_is_shown_whole_or_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Frame()).splitlines() == ["n", *map(str, range(2000))]
    assert json.loads(shown({"table": Frame(2)})) == {"table": "n\n0\n1"}
    monkeypatch.setattr("agentkit.tooling.simpler_values.MAX_ITEMS", 3)
    assert shown(Frame()) == "(the first 3 of 2,000 rows)\nn\n0\n1\n2\n"


def test_arrays_and_numbers_of_numpy_are_shown_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(numpy.int64(3)) == "3"
    assert shown(numpy.float32(0.5)) == "0.5"
    assert shown(numpy.bool_(True)) == "true"
    assert shown({"n": numpy.int64(3), "rows": [numpy.array([1.5])]}) == '{"n":3,"rows":[[1.5]]}'
    assert json.loads(shown(numpy.arange(2000))) == list(range(2000))
    assert shown(numpy.zeros((1, 2))) == "[[0.0,0.0]]"
    assert shown(numpy.array(["2026-01-02"], dtype="datetime64[D]")) == '["2026-01-02"]'
    monkeypatch.setattr("agentkit.tooling.simpler_values.MAX_ITEMS", 2)
    assert shown(numpy.zeros((2, 2))) == '{"shape":[2,2],"the first 2 values":[0.0,0.0]}'


class Figure:
    """As one of matplotlib."""

    def savefig(self, file: Any, format: str) -> None:
        file.write(b"\x89PNG")


def test_images_of_other_packages_are_shown_to_the_model() -> None:
    for value, name in (
        (PillowImage.new("CMYK", (2, 2)), "image.png"),
        (Figure(), "figure.png"),
        ({"chart": [Figure()]}, "figure.png"),
        ({"chart": Image(b"x", "image/png", "a.png")}, "a.png"),
    ):
        result = run_of(value)
        assert f"[{name}: the image is in the next message]" in result.tool_calls[0].response
        parts: Any = result.messages[3]["content"]
        assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,")


# What can't be shown


class Broken:
    @property
    def fails(self) -> str:
        raise RuntimeError("no field")

    @property
    def works(self) -> int:
        return 1


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def circular() -> list[Any]:
    made: list[Any] = [1]
    made.append({"again": made})
    return made


def deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def wide() -> list[Any]:
    made: list[Any] = []
    for _ in range(60):
        made = [made, made]
    return made


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"b": b"\xff"}, '{"b":"(1 byte, no UTF-8 text and can\'t be shown: ff)"}'),
        (circular(), '[1,{"again":"…"}]\n(The call is done.'),
        (deep(5000), "The call is done."),
        ([Broken()], '[{"fails":"(can\'t be read: RuntimeError: no field)","works":1}]'),
        ({"a": Mute(), "b": 1}, "(Mute, which can't be shown: RuntimeError: no words)"),
        (lambda: Hostile(), "The call is done. Its result, a Hostile, can't be shown"),
    ],
)
def test_a_result_that_can_not_be_shown_is_told_as_done(value: Any, says: str) -> None:
    result = run_of(value)
    assert result.tool_calls[0].error is None
    assert says in result.tool_calls[0].response
    assert result.output == "Done."


def test_a_result_that_unfolds_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.tooling.results.MAX_PARTS", 1000)
    assert "The call is done." in shown(wide())


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(PARTS)
def test_what_json_has_is_sent_as_json(value: Any) -> None:
    from agentkit.tooling.results import rendered

    text, images = rendered(value)
    assert images == ()
    assert text == value if isinstance(value, str) else json.loads(text) == value


# Long results


def test_a_long_result_is_cut_with_a_note_and_can_be_read_in_parts() -> None:
    text = "".join(f"{number:06} " for number in range(20_000))

    @tool(read_only=True)
    def log(short: bool = False) -> str:
        """Read the log."""
        return "short" if short else text

    backend = ScriptedBackend(
        [("log", {"short": True}), ("log", {})],
        ("earlier_result", {"number": 3, "start": 50_000}),
        ("earlier_result", {"number": 3, "start": 54_000, "length": 50_000}),
        ("earlier_result", {"number": 3, "start": 104_000, "length": 50_000}),
        ("earlier_result", {"number": 3, "start": 140_000}),
        "Done.",
    )
    agent = Agent(backend, tools=[log])
    result = agent.run("Go.")
    first, cut, *pages, after = [record.response for record in result.tool_calls]
    assert first == "short"
    assert cut.startswith(text[:50_000])
    assert cut[50_000:] == (
        "\n(These are the first 50,000 of 140,000 characters.)"
        "\n(Call earlier_result with number 3 and start 50000 to read on.)"
    )
    assert text[:50_000] + "".join(page.partition("\n(")[0] for page in pages) == text
    assert "no more than 140,000 characters" in after

    again = ScriptedBackend(("earlier_result", {"number": 3, "start": 60_000}), "Done.")
    later = Agent(again, tools=[log]).run("And?", messages=result.messages)
    assert "to see more, call its tool again" in later.tool_calls[0].response


@pytest.mark.parametrize("instructions", [None, "Be brief.", lambda ctx: "Be brief."])
def test_the_number_of_a_cut_result_is_the_same_in_a_follow_up(instructions: Any) -> None:
    @tool(read_only=True, max_result=50)
    def read(name: str) -> str:
        """Read a file."""
        return f"This is {name}. " * 20

    def again(messages: list[Any]) -> Any:
        cut = next(message["content"] for message in messages if "This is B" in str(message["content"]))
        return ("earlier_result", {"number": int(re.findall(r"number (\d+)", cut)[0])})

    calls = [("read", {"name": name}) for name in "ABC"]
    backend = ScriptedBackend(calls[:2], "Read.", calls[2:], again, "Read.", again, "Done.")
    agent = Agent(backend, tools=[read], instructions=instructions)
    messages: list[Any] = []
    for _ in range(3):
        result = agent.run("Go.", messages=messages)
        messages = result.messages
        if len(messages) > 6:
            assert result.tool_calls[-1].response.startswith("This is B.")


def test_xml_is_read_whole() -> None:
    """Before, the model read `{}`: the attributes of the outermost tag."""
    text = '<crew ship="H4"><name>Harrison</name>and others</crew>'
    element = ElementTree.fromstring(text)
    document = minidom.parseString(text)
    for value in (element, ElementTree.ElementTree(element), document.documentElement, etree.fromstring(text)):
        assert shown(value) == text
    assert json.loads(shown({"found": [element]})) == {"found": [text]}
    assert shown(document) == f'<?xml version="1.0" ?>{text}'


def test_the_limit_of_a_result_is_an_option_of_the_tool() -> None:
    assert shown("x" * 30, max_result=10).startswith("x" * 10 + "\n(These are the first 10 of 30 characters.)")
    assert shown("x" * 60_000, max_result=None) == "x" * 60_000
    assert run_of("x" * 60_000, ends_run=True).output == "x" * 60_000
    with pytest.raises(ToolDefinitionError, match="max_result=0 must be a number of characters above 0"):
        tool(max_result=0, description="Give it.")(circular)


def test_long_results_are_kept_in_bounded_memory() -> None:
    kept = LongResults()
    kept.MAX_CHARACTERS = 10
    for number in range(4):
        kept.keep(number, "x" * 4)
    kept.keep(9, "y" * 20)
    assert [kept.get(number) for number in (0, 1, 2, 3, 9)] == [None, None, None, None, "y" * 10]
