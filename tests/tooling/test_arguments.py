"""Model-written arguments: parsed leniently, as the schema allows, and never as a value that nobody wrote."""

import ast
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentkit import Tool, tool
from agentkit.errors import ArgumentsError
from agentkit.tooling.arguments import UNREADABLE, as_json_object, is_sendable, parse, unreadable
from agentkit.tooling.json_repair import read_values
from agentkit.tooling.json_tokens import LooseObject
from agentkit.tools import Context
from tests.support.growth import assert_linear

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "malformed-json.jsonl"


OBJECTS: list[dict[str, Any]] = [
    {"city": "Paris"},
    {"city": "Paris", "days": 3},
    {"query": ["one", "two"]},
    {"a": {"b": {"c": [1, {"d": 2}]}}},
    {"ok": True, "off": False, "none": None},
    {"n": -1.5, "m": 0, "big": 12345678901234567890},
    {"text": "line one and line two"},
    {"text": "it costs 5 euros, or 6"},
    {"text": "braces { and } and [ and ]"},
    {"text": "北京 🌦️ мир"},
    {"path": "/tmp/a-b_c.txt"},
    {"url": "https://example.org/a?x=1&y=2#z"},
    {"code": "def f(x): return x + 1"},
    {"items": [{"t": "a", "d": False}, {"t": "b", "d": True}]},
    {"list": [1, 2, 3], "after": "x"},
    {"empty": [], "also": {}},
    {"sql": "SELECT a FROM b WHERE c > 1"},
    {"regex": "[a-z]+@[a-z]+"},
    {"math": "a < b > c & d"},
    {"date": "2026-11-21", "time": "12:30"},
    {"long_key_name_here": "value", "k2": "v2", "k3": "v3"},
    {"matrix": [[1, 2], [3, 4]]},
]


def dumped(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def python_written(value: dict[str, Any]) -> str:
    return repr(value)


BREAKAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "trailing comma": lambda value: dumped(value)[:-1] + ",}",
    "single quotes and Python's literals": python_written,
    "a code fence": lambda value: f"```json\n{dumped(value)}\n```",
    "a fence without a name": lambda value: f"```\n{dumped(value)}\n```",
    "a comment": lambda value: "{ // the arguments\n" + dumped(value)[1:],
    "a block comment": lambda value: dumped(value)[:-1] + " /* done */ }",
    "a missing closer": lambda value: dumped(value)[:-1] + "\n",
    "an extra closer": lambda value: dumped(value) + "}",
    "encoded twice": lambda value: json.dumps(dumped(value)),
    "words before it": lambda value: f"Here are the arguments: {dumped(value)}",
    "words behind it": lambda value: f"{dumped(value)} That is all.",
    "white space around it": lambda value: f"\n\t {json.dumps(value, indent=2, ensure_ascii=False)} \n",
}
OWN = [
    pytest.param(breakage(value), value, id=f"{name}-{place}")
    for name, breakage in BREAKAGES.items()
    for place, value in enumerate(OBJECTS)
]


@pytest.mark.parametrize(("text", "value"), OWN)
def test_broken_arguments_are_parsed_as_they_were_meant(text: str, value: dict[str, Any]) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("  \n", {}),
        ("{}", {}),
        ('{"text": "one\ntwo\tthree"}', {"text": "one\ntwo\tthree"}),
        ('{city: "Paris"}', {"city": "Paris"}),
        ('{$ref: "x", _id: 4}', {"$ref": "x", "_id": 4}),
        ("{‘city’: ‘Paris’}", {"city": "Paris"}),
        ('{"city": “Paris”}', {"city": "Paris"}),
        ('{"a" true}', {"a": True}),
        ('{"text": "she said "hi" to me"}', {"text": 'she said "hi" to me'}),
        ('{"re": "\\d+\\.\\d"}', {"re": "\\d+\\.\\d"}),
        ('{"x": NaN}', {"x": "NaN"}),
        ('{"x": "\\ud83d"}', {"x": "\ufffd"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('args = {"city": "Rome"}', {"city": "Rome"}),
        ('<arguments>{"city": "Rome"}</arguments>', {"city": "Rome"}),
        ('{"x": `a`}', {"x": "a"}),
        ("{'x': 'it's'}", {"x": "it's"}),
        ('{"c": `line\n"q" ${x}`, path: "a.js",}', {"c": 'line\n"q" ${x}', "path": "a.js"}),
        ('{"c": """one "two"\nthree"""}', {"c": 'one "two"\nthree'}),
        ("{'c': '''one \"two\" 'three' '''}", {"c": "one \"two\" 'three' "}),
        ('{"a": 1}{"a": 1}', {"a": 1}),
        ('{"a": 1} {"a": 1}\n{"a": 1}', {"a": 1}),
        ("{'a': 1}{'a': 1}", {"a": 1}),
        ('{}{"a": 1}', {"a": 1}),
        ('{"a": "x"} and so on, {or not}', {"a": "x"}),
        ('{"a": "x"}, "b": 2}', {"a": "x", "b": 2}),
        ('{\\"a\\": \\"x\\"}', {"a": "x"}),
        ('{```\n{"a":"b"}\n```}', {"a": "b"}),
        ('{```json\n{"a":"b", c: 3}\n```}', {"a": "b", "c": 3}),
        ('{"a": "see\n```py\nx = 1\n```\nand more", b: 2}', {"a": "see\n```py\nx = 1\n```\nand more", "b": 2}),
        ('{"q": ["a", "b\\nc"],}', {"q": ["a", "b\nc"]}),
        ("{'q': ['a', 'it\\'s']}", {"q": ["a", "it's"]}),
        ('{"pattern": ["x", "\\d+"]}', {"pattern": ["x", "\\d+"]}),
        ('{"q": ["a b", "' + "x" * 250 + '"],}', {"q": ["a b", "x" * 250]}),
        # public reports: hermes-agent 83229, software-agent-sdk 2488, hermes-agent 29599, openclaude 287
        ('{"action": list_windows"}', {"action": "list_windows"}),
        ('{"path": "q.py", "lines": \\n[2142, 2250]\\n\\n}', {"path": "q.py", "lines": [2142, 2250]}),
        (
            '{"path": "f.py", "content": "def f():\\n    """Doc."""\\n"}',
            {"path": "f.py", "content": 'def f():\n    """Doc."""\n'},
        ),
        (
            '{"p": "i", "c": "\n<a lang="en">\n<b c="d, e=1.0">\n"}',
            {"p": "i", "c": '\n<a lang="en">\n<b c="d, e=1.0">\n'},
        ),
        (
            '{"content": "print("a", "b")\nprint("c")\n", "path": "x"}',
            {"content": 'print("a", "b")\nprint("c")\n', "path": "x"},
        ),
    ],
)
def test_other_habits_of_models_are_parsed(text: str, value: dict[str, Any]) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no arguments at all", "not valid JSON"),
        ("[1, 2]", "must be a JSON object"),
        ("42", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ('{"a" ]', "not valid JSON"),
        ('{"a": 1}{"b": 2}', "not valid JSON"),
        ('{"c": "x = {"a": 1, "b": [1, 2]}\n"}', "not valid JSON"),
        ("{" * 5000, "cut off|deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "deep"),
    ],
)
def test_arguments_that_cannot_be_parsed_are_reported(text: str, message: str) -> None:
    with pytest.raises(ArgumentsError, match=message):
        parse(text)


@pytest.mark.parametrize("depth", [500, 900, 5000, 100_000])
def test_arguments_that_are_nested_deeper_than_python_bears_are_told_as_such(depth: int) -> None:
    @tool
    def keep(value: Any) -> Any:
        """Keep a value."""
        return value

    for each in (keep, Tool("keep", "Keep a value.", keep.parameters, keep.function)):
        told = each.answer('{"value": ' + "[" * depth + "]" * depth + "}", Context()).text
        assert "RecursionError" not in told
        assert "nested too deeply" in told or "nested more than 100 levels deep" in told


def test_the_error_has_position_expectation_and_finding() -> None:
    with pytest.raises(ArgumentsError, match="at character 6, found"):
        parse('{"a" ]')


SOURCES = [path for path in sorted((Path(__file__).parents[2] / "agentkit").rglob("*.py")) if path.stat().st_size > 999]


@pytest.mark.parametrize("path", SOURCES[::4], ids=lambda path: path.stem)
def test_a_source_file_with_raw_line_breaks_arrives_as_written(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    written = dumped({"path": path.name, "content": content, "mode": "w"})
    raw = written.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\\\")
    assert raw.count("\n") > 5
    assert parse(raw) == json.loads(written)
    assert json.loads(as_json_object(raw)) == json.loads(written)
    assert parse(f"{raw[:-1]},}}") == json.loads(written)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('{"to": "bob and al', "a string"),
        ('{"to": "bob \\', "a string"),
        ('{"to": "said "hi" and', "a string|a word"),
        ('{"a": "b}', "a string"),
        ('{"c":"}', "a string"),
        ('{"n": 2', "a number"),
        ('{"n": 2.', "a number"),
        ('{"n": -', "a number"),
        ('{"ok": tru', "a word"),
        ("{name: Smith", "a word"),
        ('{"a": 1, "b', "a string"),
        ('{"a": 1, "b"', "an object"),
        ('{"a": 1, "b":', "an object"),
        ('{"a": 1,', "an object"),
        ("{", "an object"),
        ('{"ids": [1, 2', "a number"),
        ('{"ids": [1, 2 ', "a list"),
        ('{"ids": ["a"', "a list"),
        ('{"a": {"b": {"c": 1 ', "an object"),
        ('{"a": """b', "a string"),
        ("{'path': '/', '", "a string"),
        ("{'path': '/', 'dry_run'", "an object"),
        ("{“a”: “x”, “", "a string"),
        ('{"pattern": "\\d+", "', "a string"),
        ('{"pattern": "\\d+", "flags"', "an object"),
        ("{'a': 'b", "a string"),
        ('{"a": `b', "a string"),
    ],
)
def test_a_truncated_value_is_rejected(text: str, inside: str) -> None:
    with pytest.raises(ArgumentsError, match=f"cut off: it ends inside ({inside})$"):
        parse(text)
    kept = json.loads(as_json_object(text))
    assert kept[UNREADABLE] == text
    assert "cut off" in kept["fault"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "b"', {"a": "b"}),
        ('{"a": true', {"a": True}),
        ('{"a": None', {"a": None}),
        ('{"a": 2 ', {"a": 2}),
        ('{"a": [1, 2]', {"a": [1, 2]}),
        ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
        ('{"ids": [1, 2}', {"ids": [1, 2]}),
        ('{"a": {"b": [1, {"c": 2}}', {"a": {"b": [1, {"c": 2}]}}),
    ],
)
def test_a_last_brace_and_brackets_before_later_ones_may_be_missing(text: str, value: dict[str, Any]) -> None:
    assert parse(text) == value


SMALL = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=9)


@given(
    st.dictionaries(st.text(max_size=8), SMALL | st.lists(SMALL | st.lists(SMALL, max_size=2), max_size=2), max_size=3)
)
@settings(max_examples=150, deadline=None)
def test_json_truncated_anywhere_gives_no_value_that_the_model_did_not_write(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    for end in range(1, len(text)):
        try:
            got = parse(text[:end])
        except ArgumentsError:
            continue
        assert got == {key: value[key] for key in got}


HOSTILE = {
    "spaces": '{"a"' + " " * 8,
    "quotation marks": '{"a": ' + '"x ' * 8,
    "brackets": "{[" * 8,
    "single marks": "{' " * 8,
    "closers": "[" * 8 + "}" * 8,
    "triple marks": '{"a": """' * 4,
    "objects": "{}" * 8,
    "equal objects": "{'a':1}" * 4,
    "backslashes": '{"' + "\\" * 8,
    "comments": "{/*" * 8,
    "commas": '{"a": 1' + ", " * 8,
    "digits": '{"a": ' + "1" * 8,
    "keys": "{a:" * 8,
}


@pytest.mark.parametrize("beginning", HOSTILE.values(), ids=HOSTILE)
def test_truncation_is_found_in_linear_time(beginning: str) -> None:
    def work(size: int) -> None:
        text = (beginning * (size // len(beginning)))[:size]
        found = LooseObject(text)
        found.ends_inside()
        found.as_strict_json()

    assert_linear(work, 40_000)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_object_or_an_arguments_error(text: str) -> None:
    try:
        value = parse(text)
    except ArgumentsError as error:
        assert str(error)
    else:
        json.dumps(value, allow_nan=False).encode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
@settings(max_examples=300, deadline=None)
def test_an_object_is_never_changed(value: dict[str, Any]) -> None:
    text = json.dumps(value).encode("utf-8", "replace").decode()
    if json.loads(text).keys() & {UNREADABLE}:
        return
    assert as_json_object(text) == text or not is_sendable(text)
    assert json.dumps(parse(text)) == json.dumps(json.loads(text)).replace("\\ud", "\\ud") or "\\ud" in text


def test_broken_arguments_are_repaired_for_the_history_and_truncated_ones_are_not() -> None:
    assert as_json_object("{'city': 'Paris',}") == '{"city": "Paris"}'
    assert json.loads(as_json_object("no"))[UNREADABLE] == "no"
    with pytest.raises(ArgumentsError, match="cut off"):
        parse(unreadable('{"city": "Par', "the call was cut off"))


# ---- types


class Place(BaseModel):
    name: str
    height: int = 0


@tool
def everything(
    text: str = "",
    count: int = 0,
    ratio: float = 0.0,
    flag: bool = False,
    words: list[str] | None = None,
    numbers: list[int] | None = None,
    place: Place | None = None,
    kind: Literal["a", "b"] = "a",
    either: int | str = 0,
) -> str:
    """Take everything."""
    return repr((text, count, ratio, flag, words, numbers, place, kind, either))


HAND = Tool(
    "by_hand",
    "Take everything.",
    {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "ratio": {"type": "number"},
            "flag": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string"}},
            "numbers": {"type": "array", "items": {"type": "integer"}},
            "place": {"type": "object", "properties": {"name": {"type": "string"}, "height": {"type": "integer"}}},
        },
        "additionalProperties": False,
    },
    lambda **values: json.dumps(values, ensure_ascii=False),
)

COERCED = [
    ({"count": "3"}, 3),
    ({"count": " 42 "}, 42),
    ({"count": 3.0}, 3),
    ({"count": "3.0"}, 3),
    ({"ratio": "1.5"}, 1.5),
    ({"ratio": 2}, 2),
    ({"flag": "true"}, True),
    ({"flag": "False"}, False),
    ({"words": "one"}, ["one"]),
    ({"words": '["one", "two"]'}, ["one", "two"]),
    ({"numbers": 7}, [7]),
    ({"numbers": ["7", 8.0]}, [7, 8]),
    ({"place": '{"name": "Oslo"}'}, {"name": "Oslo"}),
    ({"place": {"name": "Oslo", "height": "23"}}, {"name": "Oslo", "height": 23}),
    ({"text": 7}, "7"),
]


@pytest.mark.parametrize(("given_arguments", "value"), COERCED)
def test_types_are_coerced_where_nothing_is_lost(given_arguments: dict[str, Any], value: Any) -> None:
    name = next(iter(given_arguments))
    received = json.loads(HAND.answer(json.dumps(given_arguments), Context()).text)
    assert received == {name: value}
    assert type(received[name]) is type(value)
    outcome = everything.answer(json.dumps(given_arguments), Context())
    assert not outcome.failed, outcome.text


@pytest.mark.parametrize("text", ["None", "true", "007", "1e5", "3", "null", "[1]", '{"a": 1}', "3.0"])
def test_a_string_stays_a_string_whatever_it_looks_like(text: str) -> None:
    received = ast.literal_eval(everything.answer(json.dumps({"text": text}), Context()).text)
    assert received[0] == text
    assert json.loads(HAND.answer(json.dumps({"text": text}), Context()).text) == {"text": text}


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": "three"},
        {"count": 3.5},
        {"count": "3.5"},
        {"flag": "maybe"},
        {"numbers": ["x"]},
        {"place": "Oslo"},
        {"text": ["a"]},
        {"text": {"a": 1}},
        {"text": 1.5},
    ],
)
def test_a_lossy_coercion_is_reported_with_position_expectation_and_finding(wrong: dict[str, Any]) -> None:
    for each in (everything, HAND):
        outcome = each.answer(json.dumps(wrong), Context())
        assert outcome.failed
        assert next(iter(wrong)) in outcome.text
        assert "Correct them and call it again" in outcome.text


def test_null_for_an_optional_argument_is_the_default() -> None:
    assert not everything.answer('{"count": null, "text": null}', Context()).failed
    assert json.loads(HAND.answer('{"count": null}', Context()).text) == {}


class Trip(BaseModel):
    place: Place
    days: int = 3


def test_null_inside_a_value_is_the_default_too() -> None:
    @tool
    def travel(trip: Trip, others: list[Trip] | None = None) -> str:
        """Travel."""
        return f"{trip.days} {trip.place.height} {[each.days for each in others or ()]}"

    given_arguments = {
        "trip": {"place": {"name": "Oslo", "height": None}, "days": None},
        "others": [{"place": {"name": "Bergen"}, "days": None}],
    }
    assert travel.answer(json.dumps(given_arguments), Context()).text == "3 0 [3]"
    missing = travel.answer('{"trip": {"place": null}}', Context())
    assert missing.failed
    assert "trip.place" in missing.text


def test_null_for_a_required_argument_is_reported() -> None:
    @tool
    def need(city: str) -> str:
        """Need a city."""
        return city

    assert "city" in need.answer('{"city": null}', Context()).text
    assert need.answer('{"city": null}', Context()).failed


def test_unknown_arguments_of_read_only_tools_are_left_out_and_reported() -> None:
    hand = Tool("hand", "Do it.", HAND.parameters, HAND.function, read_only=True)
    for each in (tool(read_only=True)(everything.function), hand):
        outcome = each.answer('{"text": "x", "reason": "because"}', Context())
        assert not outcome.failed
        assert "ignored" in outcome.text
        assert "reason" in outcome.text


# ---- the shared cases

CUT_OFF = [f"mj-{number:03}" for number in (24, 25, 113, 114, 165, 167, 168, 179, 180, 268, 288, 289, 290, 291, 362)]
"""Rows whose source completes a truncated value."""


def shared() -> list[Any]:
    if not SHARED.exists():
        return []
    rows = [json.loads(line) for line in SHARED.read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=str(row["id"])) for row in rows]


@pytest.mark.parametrize("row", shared())
def test_the_shared_malformed_cases_give_the_expected_result(row: dict[str, Any]) -> None:
    try:
        got: dict[str, Any] | None = parse(row["text"])
    except ArgumentsError:
        got = None
    if row["text"].strip() == "":
        return  # for a tool call, missing arguments are an empty object
    if not row.get("contested"):
        assert got == (None if row["id"] in CUT_OFF else row["expected"])
    if row["id"] in CUT_OFF:
        with pytest.raises(ArgumentsError, match="cut off"):
            parse(row["text"])


def test_several_values_in_a_row_are_read_with_raw_line_breaks_too() -> None:
    text = ' {"a": "x\ny"}\n{"b": 1}, [2]; {"c": '
    assert read_values(text) == ([{"a": "x\ny"}, {"b": 1}, [2]], '{"c":')
    assert read_values("no") == ([], "no")


# ---- loose JSON: read as certainly meant, or told

READ: dict[str, dict[str, Any]] = {
    '{"x":`a`}': {"x": "a"},
    "{\"x\":'it's'}": {"x": "it's"},
    '{"x": `say "hi"`}': {"x": 'say "hi"'},
    '{"x": `a\nb`}': {"x": "a\nb"},
    '{"x": True, "y": None}': {"x": True, "y": None},
    '{"x": "a" + "b"}': {"x": "ab"},
    '{"x": "a" +\n "b" + "c", "y": 1}': {"x": "abc", "y": 1},
    "{'x': 'a' + 'b'}": {"x": "ab"},
    '{"x": "print("a" + "b")"}': {"x": 'print("a" + "b")'},
    '{"x": 1_000}': {"x": 1000},
    '{"x": 0x1F}': {"x": "0x1F"},
    '{"x": 1 /* one */, // two\n "y": 2,}': {"x": 1, "y": 2},
    "{“x”: “a”}": {"x": "a"},
    '{"notes": "Sent a message to the "dictator", waiting on response."}': {
        "notes": 'Sent a message to the "dictator", waiting on response.'
    },
    # Paths as they are typed (mistralai/mistral-vibe#216, anthropics/claude-code#87251), namespaces of PHP
    # (anthropics/anthropic-sdk-typescript#986): a backslash that is no escape shows that the others are none.
    r'{"path": "C:\Users\bob\new file.txt"}': {"path": r"C:\Users\bob\new file.txt"},
    r'{"path": "C:\data\", "deep": true}': {"path": "C:\\data\\", "deep": True},
    r'{"paths": ["C:\a\", "b"], "n": 1}': {"paths": ["C:\\a\\", "b"], "n": 1},
    r'{"name": "App\Http\new\User", "path": "src\new\utils.py"}': {
        "name": r"App\Http\new\User",
        "path": r"src\new\utils.py",
    },
    r'{"path": "C:\\Users\Anna"}': {"path": r"C:\Users\Anna"},
    r'{"text": "use App\Http;\nuse \"x\""}': {"text": 'use App\\Http;\nuse "x"'},
    r'{"text": "my\_file\nand"}': {"text": "my\\_file\nand"},
    r'{"command": "dir \"C:\data\", \"D:\\\" now", "n": 1}': {"command": r'dir "C:\data", "D:\" now', "n": 1},
}
TOLD = [
    '{"x":undefined}',
    '{"x": [1, undefined], "y": 1}',
    "{x: undefined}",
    '{"x": "a" "b"}',
    '{"x": 50%}',
    '{"x": 1 + 2}',
    '{"x": 12:30}',
    '{"x": f"a{b}"}',
    "{\"x\": b'a'}",
    "{\"x\": r'a\\d'}",
    r'{"x": r"a\d"}',
    r'{"pattern": r"\d", "text": "r"}',  # the reader of broken JSON leaves the string out, and keeps the r
    r'{"paths": ["C:\a\", "D:\new\"], "n": 1}',
    '{"x": Decimal("1.5")}',
    '{"x": datetime.date(2020, 1, 1)}',
    '{"x": new Date()}',
    '{"x": void 0}',
    '{"x": ...}',
    '{"x": <value>}',
    '{"x": $y}',
    '{"x": @a}',
    '{"x": 1,, "y": 2}',
    '{"x": "a}',
]


@pytest.mark.parametrize("text", READ)
def test_loose_json_is_read_as_it_was_meant(text: str) -> None:
    assert parse(text) == READ[text]


@pytest.mark.parametrize("text", TOLD)
def test_no_value_is_guessed(text: str) -> None:
    with pytest.raises(ArgumentsError):
        parse(text)


@pytest.mark.parametrize("part", ['"a" + ', "`a` + ", "f'a", "x(", '{"a": "b" "c', "0x", "... ", "$ "])
def test_loose_json_is_read_in_time_in_proportion(part: str) -> None:
    def work(count: int) -> None:
        with contextlib.suppress(ArgumentsError):
            parse('{"x": ' + part * count)

    assert_linear(work, 1_000)
