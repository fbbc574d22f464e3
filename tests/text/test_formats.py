"""The tool-call text formats: a reply is parsed as it was meant, however it is split into chunks."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.text.any_format import any_format
from agentkit.text.call_format import (
    BadCall,
    Call,
    Format,
    Segment,
    Text,
    Thought,
    partial_word_start,
    resolve_reasoning,
)
from agentkit.text.families import families
from agentkit.text.parser import ReplyParser
from agentkit.tooling.json_repair import cleaned

SHARED = Path(__file__).parents[3] / "shared" / "cases"
FORMAT_OF = {
    "hermes": "hermes",
    "qwen3": "qwen_coder",
    "qwen3_coder": "qwen_coder",
    "llama3_json": "llama",
    "mistral": "mistral",
    "deepseek_v3": "deepseek",
    "deepseek_v31": "deepseek",
    "deepseek_r1": "deepseek",
    "glm4": "glm",
    "kimi_k2": "kimi",
}
FORMATS = {family.format.name: family.format for family in families()}
CITY = {"city": "Paris"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "ratio": {"type": ["number", "null"]},
                    "exact": {"type": "boolean"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "where": {"$ref": "#/$defs/Place"},
                },
                "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]


class Parsed:
    """The result of parsing a text."""

    def __init__(self, pieces: Sequence[Segment]) -> None:
        pieces = resolve_reasoning(pieces)
        self.text = "".join(piece.text for piece in pieces if isinstance(piece, Text))
        self.thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
        self.calls = [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, Call)]
        self.ids = [piece.id for piece in pieces if isinstance(piece, Call)]
        self.bad = [piece for piece in pieces if isinstance(piece, BadCall)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parsed) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return f"Parsed({vars(self)})"


def read(
    name: str | Format,
    chunks: Sequence[str],
    tools: Sequence[Mapping[str, Any]] | None = None,
    thinking: bool = False,
    stops: Sequence[str] = ("<tool_response>",),
) -> Parsed:
    parser = ReplyParser(FORMATS[name] if isinstance(name, str) else name, tools, thinking=thinking, stops=stops)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    return Parsed([*pieces, *parser.finish()])


def splits(text: str) -> Iterator[list[str]]:
    yield list(text)
    yield [text[start : start + 7] for start in range(0, len(text), 7)]
    chance = random.Random(len(text))
    for _ in range(3):
        chunks, start = [], 0
        while start < len(text):
            size = chance.randint(1, 13)
            chunks.append(text[start : start + size])
            start += size
        yield chunks


def parse_in_chunks(name: str | Format, text: str, tools: Any = None, thinking: bool = False) -> Parsed:
    """Parse the text whole, and assert that any split into chunks gives the same result."""
    whole = read(name, [text], tools, thinking)
    for chunks in splits(text):
        assert read(name, chunks, tools, thinking) == whole
    return whole


def tagged(*objects: str) -> str:
    return "\n".join(f"<tool_call>\n{each}\n</tool_call>" for each in objects)


GOOD = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
BAR, BLOCK = "｜", "▁"
FIRST = f"<{BAR}tool{BLOCK}calls{BLOCK}begin{BAR}>"
START = f"<{BAR}tool{BLOCK}call{BLOCK}begin{BAR}>"
SEP = f"<{BAR}tool{BLOCK}sep{BAR}>"
END = f"<{BAR}tool{BLOCK}call{BLOCK}end{BAR}>"
LAST = f"<{BAR}tool{BLOCK}calls{BLOCK}end{BAR}>"

CALLS: list[tuple[str, str, str, list[tuple[str, dict[str, Any]]]]] = [
    # JSON in tags
    ("hermes", tagged(GOOD), "", [("get_weather", CITY)]),
    ("hermes", f"<tool_call>{GOOD}</tool_call>", "", [("get_weather", CITY)]),
    ("hermes", "Let me look.\n" + tagged(GOOD), "Let me look.", [("get_weather", CITY)]),
    ("hermes", tagged(GOOD) + " Done.", "Done.", [("get_weather", CITY)]),
    ("hermes", tagged(GOOD, GOOD), "", [("get_weather", CITY)] * 2),
    ("hermes", tagged('{"arguments": {"city": "Paris"}, "name": "get_weather"}'), "", [("get_weather", CITY)]),
    ("hermes", tagged('{"name": "now"}'), "", [("now", {})]),
    ("hermes", tagged('{"name": "now", "arguments": null}'), "", [("now", {})]),
    ("hermes", tagged('{"name": "now", "arguments": {}}', GOOD), "", [("now", {}), ("get_weather", CITY)]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "a </tool_call> b"}}'), "", [("f", {"t": "a </tool_call> b"})]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "}} ] {"}}'), "", [("f", {"t": "}} ] {"})]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "\\"}}"}}'), "", [("f", {"t": '"}}'})]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "C:\\\\"}}'), "", [("f", {"t": "C:\\"})]),
    ("hermes", tagged('{"name": "f", "arguments": {"a": {"b": [{"c": {}}]}}}'), "", [("f", {"a": {"b": [{"c": {}}]}})]),
    ("hermes", tagged('{"name": "f", "arguments": "{\\"x\\": 1}"}'), "", [("f", {"x": 1})]),
    ("hermes", tagged('{"name": "f", "parameters": {"x": 1}}'), "", [("f", {"x": 1})]),
    ("hermes", tagged('{"type": "function", "function": ' + GOOD + "}"), "", [("get_weather", CITY)]),
    ("hermes", tagged(f"[{GOOD}, {GOOD}]"), "", [("get_weather", CITY)] * 2),
    ("hermes", tagged(f"{GOOD}\n{GOOD}"), "", [("get_weather", CITY)] * 2),
    ("hermes", f"<tool_call>\n{GOOD}", "", [("get_weather", CITY)]),
    ("hermes", f"<tool_call>\n{GOOD}\n<tool_call>\n{GOOD}\n</tool_call>", "", [("get_weather", CITY)] * 2),
    ("hermes", tagged(GOOD[:-1]), "", [("get_weather", CITY)]),
    ("hermes", tagged(GOOD + "}"), "", [("get_weather", CITY)]),
    ("hermes", tagged("{'name': 'f', 'arguments': {'x': True, 'y': None,}}"), "", [("f", {"x": True, "y": None})]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "one\ntwo"}}'), "", [("f", {"t": "one\ntwo"})]),
    ("hermes", tagged("```json\n" + GOOD + "\n```"), "", [("get_weather", CITY)]),
    ("hermes", tagged('{"name": "f", "arguments": {"t": "\\ud83d"}}'), "", [("f", {"t": "\ufffd"})]),
    ("hermes", tagged('{"name": "f", "arguments": {"x": NaN}}'), "", [("f", {"x": "NaN"})]),
    ("hermes", tagged('{"name": "查", "arguments": {"城": "北京 🌦️"}}'), "", [("查", {"城": "北京 🌦️"})]),
    ("hermes", tagged(GOOD) + "\n<tool_response>\n21\n</tool_response>\nIt is 21.", "", [("get_weather", CITY)]),
    # parameters between tags
    (
        "qwen_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
        "",
        [("get_weather", CITY)],
    ),
    ("qwen_coder", "<tool_call>\n<function=now>\n</function>\n</tool_call>", "", [("now", {})]),
    (
        "qwen_coder",
        "Look:\n<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>\n</tool_call>",
        "Look:\n",
        [("get_weather", CITY)],
    ),
    (
        "qwen_coder",
        "<tool_call><function=f><parameter=code>\n\nif a < b:\n    print('</p>')\n\n</parameter></function>",
        "",
        [("f", {"code": "\nif a < b:\n    print('</p>')\n"})],
    ),
    (
        "qwen_coder",
        "<tool_call>\n<function=f>\n<parameter=a>\none\n<parameter=b>\ntwo\n</function>\n</tool_call>",
        "",
        [("f", {"a": "one", "b": "two"})],
    ),
    (
        "qwen_coder",
        "<tool_call>\n<function=f>\n<parameter=a>\n</parameter> is a tag\n</parameter>\n</function>\n</tool_call>",
        "",
        [("f", {"a": "</parameter> is a tag"})],
    ),
    ("qwen_coder", tagged(GOOD), "", [("get_weather", CITY)]),
    ("qwen_coder", '<function=get_weather>{"city": "Paris"}</function>', "", [("get_weather", CITY)]),
    ("qwen_coder", "<tool_call><function=f>\n{'x': 1,}\n</function></tool_call>", "", [("f", {"x": 1})]),
    # keys and values
    (
        "glm",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
        "",
        [("get_weather", CITY)],
    ),
    ("glm", "<tool_call>now</tool_call><tool_call>now\n</tool_call>", "", [("now", {})] * 2),
    (
        "glm",
        "<tool_call>f<arg_key>t</arg_key><arg_value></tool_call> and\n<arg_key></arg_value></tool_call>",
        "",
        [("f", {"t": "</tool_call> and\n<arg_key>"})],
    ),
    # DeepSeek's two forms
    (
        "deepseek",
        f'{FIRST}{START}function{SEP}get_weather\n```json\n{{"city": "Paris"}}\n```{END}{LAST}',
        "",
        [("get_weather", CITY)],
    ),
    (
        "deepseek",
        f'Yes.{FIRST}{START}get_weather{SEP}{{"city": "Paris"}}{END}{START}now{SEP}{{}}{END}{LAST}',
        "Yes.",
        [("get_weather", CITY), ("now", {})],
    ),
    ("deepseek", f'{START}f{SEP}{{"t": "{END}"}}{END}', "", [("f", {"t": END})]),
    (
        "deepseek",
        f'{FIRST}function{SEP}get_weather\n```json\n{{"city": "Paris"}}\n```{END}{LAST}Done.',
        "Done.",
        [("get_weather", CITY)],
    ),
    # Kimi
    (
        "kimi",
        "So. <|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
        "So. ",
        [("get_weather", CITY)],
    ),
    (
        "kimi",
        '<|tool_call_begin|>get_weather:3 <|tool_call_argument_begin|> {"city": "Paris"}',
        "",
        [("get_weather", CITY)],
    ),
    # Mistral, three forms
    ("mistral", f'[TOOL_CALLS] [{GOOD[:-1]}, "id": "abcdefghi"}}]', "", [("get_weather", CITY)]),
    ("mistral", '[TOOL_CALLS]get_weather{"city": "Paris"}[TOOL_CALLS]now', "", [("get_weather", CITY), ("now", {})]),
    ("mistral", '[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris"}', "", [("get_weather", CITY)]),
    ("mistral", '[TOOL_CALLS]f{"t": "[TOOL_CALLS]"} and so on', "and so on", [("f", {"t": "[TOOL_CALLS]"})]),
    ("mistral", f"[TOOL_CALLS]{GOOD}", "", [("get_weather", CITY)]),
    # Llama
    ("llama", '{"name": "get_weather", "parameters": {"city": "Paris"}}', "", [("get_weather", CITY)]),
    (
        "llama",
        '<|python_tag|>{"name": "now", "parameters": {}}; {"name": "get_weather", "parameters": {"city": "Paris"}}',
        "",
        [("now", {}), ("get_weather", CITY)],
    ),
    (
        "llama",
        'Here: {"name": "now", "parameters": {}} Anything else?',
        "Here: Anything else?",
        [("now", {})],
    ),
    ("llama", '<|python_tag|>get_weather.call(city="Paris")', "", [("get_weather", CITY)]),
    ("llama", "<|python_tag|>f.call(code=\"print('hey)')\")", "", [("f", {"code": "print('hey)')"})]),
    ("llama", "[get_weather(city='Paris'), now()]", "", [("get_weather", CITY), ("now", {})]),
    ("llama", "<|python_start|>[get_weather(city='Paris')]<|python_end|>", "", [("get_weather", CITY)]),
    ("functools", f"Let me look. functools[{GOOD}]", "Let me look.", [("get_weather", CITY)]),
    ("nemotron", f"<TOOLCALL>[{GOOD}, {GOOD}]</TOOLCALL>", "", [("get_weather", CITY)] * 2),
    (
        "olmo",
        "<function_calls>get_weather(city='Paris')\nnow()</function_calls>",
        "",
        [("get_weather", CITY), ("now", {})],
    ),
    ("llama", "[f(a=[1, -2], b={'c': None}, d=True)]", "", [("f", {"a": [1, -2], "b": {"c": None}, "d": True})]),
]


@pytest.mark.parametrize(("name", "text", "content", "calls"), CALLS, ids=range(len(CALLS)))
def test_a_call_is_parsed_as_it_was_meant(name: str, text: str, content: str, calls: list[Any]) -> None:
    got = parse_in_chunks(name, text)
    assert (got.calls, got.bad) == (calls, [])
    assert " ".join(got.text.split()) == " ".join(content.split())


TEXTS = [
    ("hermes", "Plain words."),
    ("hermes", "Write `<tool_call>` to call, and `</tool_call>` behind it."),
    ("hermes", "A tag <tool_call> in the text, {not JSON}"),
    ("hermes", "ends in a tag <tool_ca"),
    ("hermes", "the tag <tool_call>\nstands alone"),
    ("hermes", "the tag <tool_call>\n" + "stands far away " * 60 + "</tool_call>"),
    ("hermes", "ends in the tag <tool_call>"),
    ("hermes", '```json\n{"name": "get_weather", "arguments": {}}\n```'),
    ("hermes", '{"name": "get_weather", "arguments": {}}'),
    ("hermes", "1 < 2 and <b>bold</b>, `</think>` stays"),
    ("hermes", '```python\ntext.split("</think>")\n```'),
    ("hermes", 'Split it at "</think>".'),
    ("hermes", "A quotation: `" + tagged(GOOD) + "`."),
    ("hermes", "```xml\n" + tagged(GOOD) + "\n```"),
    ("qwen_coder", "The tag <tool_call> and a < b"),
    ("qwen_coder", "ends in <func"),
    ("glm", "The tag <tool_call> is one. Use <tool_call>: so."),
    ("kimi", "Nothing <|tool here"),
    ("mistral", "An [INST] and a [TOOL list"),
    ("mistral", "[TOOL_CALLS]"),
    ("deepseek", f"Bars <{BAR} and more"),
    ("dsml", "The tag <｜DSML｜invoke> and <｜DSML｜foo name='a'>"),
    ("dsml", "ends in <｜DSML｜inv"),
    ("kimi_k3", "The tag <|open|>call<|sep|> and <|ope"),
    ("llama", 'An answer: {"city": "Paris", "degrees": 21}'),
    ("llama", '```json\n{"name": "now", "parameters": {}}\n```'),
    ("llama", 'He said `{"name": "now", "parameters": {}}` so.'),
    ("llama", '{"name": "toolWithoutParameters"}'),
    ("llama", "[1, 2] and [a link](http://x)"),
    ("llama", '{"name": "not_a_tool", "parameters": {}}'),
]


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_text_that_is_not_a_call_stays_text(name: str, text: str) -> None:
    got = parse_in_chunks(name, text, TOOLS)
    assert (got.text, got.calls, got.bad, got.thoughts) == (text, [], [], "")


BAD = [
    ("hermes", tagged("{bad json}"), None),
    ("hermes", tagged("[1, 2]"), None),
    ("hermes", tagged("42"), None),
    ("hermes", tagged("get_weather(city='Paris')"), None),
    ("hermes", "<tool_call>\n</tool_call>", None),
    ("hermes", tagged('{"name": "f", "arguments": 3}'), "f"),
    ("hermes", tagged('{"arguments": {}}'), None),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": {"x": "cut o', "f"),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": {"x": 1}', "f"),
    ("qwen_coder", "<tool_call>\n<function=f>\n<parameter=x>\ncut o", "f"),
    ("qwen_coder", "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n", "f"),
    ("qwen_coder", '<function=f>{"x": "cut o</function>', "f"),
    ("glm", "<tool_call>f<arg_key>x</arg_key><arg_value>1</arg_value>", "f"),
    ("glm", "<tool_call>f<arg_key>x</arg_key><arg_value>cut o", "f"),
    ("kimi", '<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"x": ', "f"),
    ("deepseek", f'{START}f{SEP}{{"x": "cut o', "f"),
    ("dsml", '<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="x" string="true">cut o', "f"),
    ("kimi_k3", '<|open|>call tool="f" index="1"<|sep|><|open|>argument key="x" type="number"<|sep|>1', "f"),
    ("dsml", '<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="x">1</｜DSML｜parameter>\n', "f"),
    ("mistral", '[TOOL_CALLS]f{"x": "cut o', "f"),
    ("mistral", '[TOOL_CALLS]{"command": "ls"}', None),
]


@pytest.mark.parametrize(("name", "text", "tool"), BAD)
def test_a_call_that_cannot_be_parsed_is_kept_with_a_reason(name: str, text: str, tool: str | None) -> None:
    got = parse_in_chunks(name, text)
    assert got.calls == []
    assert [(bad.text, bad.name) for bad in got.bad] == [(text, tool)]
    assert got.bad[0].reason


def test_a_good_call_next_to_a_bad_one_is_kept() -> None:
    got = parse_in_chunks("hermes", tagged("{bad json}", GOOD))
    assert got.calls == [("get_weather", CITY)]
    assert len(got.bad) == 1


def test_a_string_that_is_never_closed_does_not_swallow_the_next_call() -> None:
    got = parse_in_chunks("hermes", tagged('{"name": "f", "arguments": {"x": "open}}', GOOD))
    assert ("get_weather", CITY) in got.calls


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", {"days": 42}),
        ("x", {"days": "x"}),
        ("true", {"exact": True}),
        ("True", {"exact": True}),
        ("true", {"city": "true"}),
        ("42", {"city": "42"}),
        ("null", {"city": "null"}),
        ("null", {"ratio": None}),
        ("1.5", {"ratio": 1.5}),
        ('["a", "b"]', {"tags": ["a", "b"]}),
        ("['a']", {"tags": ["a"]}),
        ("7", {"either": 7}),
        ("seven", {"either": "seven"}),
        ('{"x": 1}', {"where": {"x": 1}}),
        ("3.0", {"days": 3}),
    ],
)
def test_the_schema_gives_bare_text_its_type(text: str, value: dict[str, Any]) -> None:
    key = next(iter(value))
    qwen = f"<tool_call>\n<function=get_weather>\n<parameter={key}>\n{text}\n</parameter>\n</function>\n</tool_call>"
    glm = f"<tool_call>get_weather\n<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>\n</tool_call>"
    for name, written in (("qwen_coder", qwen), ("glm", glm)):
        assert parse_in_chunks(name, written, TOOLS).calls == [("get_weather", value)]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("float", "1.5", 1.5),
        ("int", "3", 3),
        ("bool", "true", True),
        ("dict", '{"a": 1}', {"a": 1}),
        ("dict[str, int]", '{"a": 1}', {"a": 1}),
        ("list[str]", '["a"]', ["a"]),
        ("str", "5", "5"),
        ("any", "5", 5),
        (["float", "null"], "null", None),
        (["float", "null"], "5", 5),
        ("money", "5", "5"),
        ("int", "five", "five"),
    ],
)
def test_names_of_types_that_json_schema_does_not_have_are_understood(kind: Any, text: str, value: Any) -> None:
    tools = [{"name": "f", "parameters": {"properties": {"x": {"type": kind}}}}]
    written = f"<tool_call>\n<function=f>\n<parameter=x>\n{text}\n</parameter>\n</function>\n</tool_call>"
    assert parse_in_chunks("qwen_coder", written, tools).calls == [("f", {"x": value})]


def test_without_a_schema_everything_is_text() -> None:
    text = "<tool_call>\n<function=f>\n<parameter=a>1</parameter>\n</function>\n</tool_call>"
    assert parse_in_chunks("qwen_coder", text).calls == [("f", {"a": "1"})]


REASONING = [
    ("hermes", "<think>\nHm.\n</think>\n\nYes.", False, "Hm.", "Yes."),
    ("hermes", "Hm.\n</think>\n\nYes.", True, "Hm.", "Yes."),
    ("hermes", "<think>\nHm.\n</think>\n\nYes.", True, "Hm.", "Yes."),
    ("hermes", "<think>\n\n</think>\n\nYes.", False, "", "Yes."),
    ("hermes", "</think>Yes.", True, "", "Yes."),
    ("hermes", "Hm. I was cut o", True, "Hm. I was cut o", ""),
    ("hermes", "A</think>B</think>C", True, "A", "BC"),
    ("hermes", "Never opened </think> here.", False, "Never opened", "here."),
    ("hermes", "</think>Yes.", False, "", "Yes."),
    ("hermes", "Say `<think>` first.", False, "", "Say `<think>` first."),
    ("hermes", "<thinking> is no tag", False, "", "<thinking> is no tag"),
    ("mistral", "[THINK]Hm.[/THINK]Yes.", False, "Hm.", "Yes."),
    ("glm", "<think></think>\nYes.", False, "", "Yes."),
]


@pytest.mark.parametrize(("name", "text", "thinking", "thoughts", "content"), REASONING)
def test_reasoning_is_separated_from_the_answer(
    name: str, text: str, thinking: bool, thoughts: str, content: str
) -> None:
    got = parse_in_chunks(name, text, None, thinking)
    assert (got.thoughts, got.text, got.calls) == (thoughts, content, [])


def test_a_call_in_closed_reasoning_is_only_a_thought() -> None:
    got = parse_in_chunks("hermes", f"<think>Maybe {tagged(GOOD)} then.</think>\n{tagged(GOOD)}")
    assert got.calls == [("get_weather", CITY)]
    assert "Maybe" in got.thoughts
    assert "tool_call" in got.thoughts


def test_a_call_in_reasoning_that_is_never_closed_is_only_a_thought() -> None:
    got = parse_in_chunks("hermes", f"<think>I need it. {tagged(GOOD)}")
    assert (got.thoughts, got.text, got.calls, got.bad) == (f"I need it. {tagged(GOOD)}", "", [], [])


def test_a_call_on_a_line_of_its_own_ends_reasoning_that_nothing_closes() -> None:
    got = parse_in_chunks("hermes", f"I need it.\n{tagged(GOOD, GOOD)}", thinking=True)
    assert (got.thoughts, got.text, got.calls) == ("I need it.", "", [("get_weather", CITY)] * 2)
    for thoughts in (
        f"I need it.\n{tagged(GOOD)}\nOr not",
        f"I need it.\n```\n{tagged(GOOD)}",
        f"So.\n{tagged(GOOD)[:-20]}",
        "So.\n<tool_call>",
    ):
        got = parse_in_chunks("hermes", f"<think>{thoughts}")
        assert (got.thoughts, got.text, got.calls, got.bad) == (thoughts, "", [], [])
        assert parse_in_chunks("hermes", f"<think>{thoughts}</think>Yes.").thoughts == thoughts


def test_kimis_section_of_calls_ends_the_reasoning() -> None:
    section = "<|tool_calls_section_begin|>" + KIMI + "<|tool_calls_section_end|>"
    got = parse_in_chunks("kimi", f"<think>I need it.{section}")
    assert (got.thoughts, got.calls) == ("I need it.", [("now", {})])
    for quoted in (
        f"<think>I need it.{section} No.</think>Done.",
        f"<think>It says `{section}`, no",
        f"<think>{section} no",
    ):
        assert parse_in_chunks("kimi", quoted).calls == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kimi", "Kimi writes <|tool_calls_section_begin|> before its calls. It is 42."),
        ("deepseek", f"The {FIRST} marker."),
        ("llama", '{"result": {"name": "now", "parameters": {}}}'),
        ("llama", '[1, {"name": "now", "parameters": {}}] and so on'),
        ("hermes", 'Qwen wraps it in "<think> ... </think>" tags.'),
        ("hermes", "> the </think> tag\n\nends it."),
        ("hermes", f"<thinking>Maybe {tagged(GOOD)}</thinking>"),
    ],
)
def test_markers_that_are_only_mentioned_stay_in_the_text(name: str, text: str) -> None:
    got = parse_in_chunks(name, text, TOOLS)
    assert (got.text, got.thoughts, got.calls, got.bad) == (text, "", [], [])


def test_a_call_before_the_unopened_end_of_reasoning_is_only_a_thought() -> None:
    got = parse_in_chunks("hermes", f"Maybe {tagged(GOOD)}? No.</think>I did not.")
    assert (got.thoughts, got.text, got.calls) == (f"Maybe {tagged(GOOD)}? No.", "I did not.", [])
    got = parse_in_chunks("hermes", f"Hm.</think>Maybe {tagged(GOOD)}? No.</think>I did not.")
    assert (got.text, got.calls) == ("I did not.", [])
    got = parse_in_chunks("hermes", f"There is a `<think>`. Maybe {tagged(GOOD)}? No.</think>I did not.")
    assert (got.text, got.calls) == ("I did not.", [])
    got = parse_in_chunks("hermes", f"Maybe {tagged(GOOD)}? No.</thinking>I did not.")
    assert (got.text, got.calls) == ("I did not.", [])
    got = parse_in_chunks("hermes", f"Well. <think>Maybe {tagged(GOOD)}</think> No.")
    assert (got.text, got.calls) == (f"Well. <think>Maybe {tagged(GOOD)}</think> No.", [])


@pytest.mark.parametrize(
    ("text", "thinking", "thoughts", "content"),
    [
        ("<think>One.</think>So.\n<think>\nTwo.</think>\nYes.", False, "One.\n\nTwo.", "So.\n\nYes."),
        ("One.</think>So.<think>Two.</think>Yes.", True, "One.\n\nTwo.", "So.\n\nYes."),
        ("So.<think>Two.</think>", False, "Two.", "So."),
        ("So.<think>I was cut o", False, "I was cut o", "So."),
        ("<think></think>So.<think> </think>Yes.", False, "", "So.\n\nYes."),
        ("One.</think>So.<think>Two.</think>Yes.", False, "One.\n\nTwo.", "So.\n\nYes."),
        ("So. `<think>Two.</think>` Yes.", False, "", "So. `<think>Two.</think>` Yes."),
        (f"So.<think>Maybe {tagged(GOOD)}</think>Yes.", False, f"Maybe {tagged(GOOD)}", "So.\n\nYes."),
    ],
)
def test_reasoning_opens_again_where_the_format_says_so(text: str, thinking: bool, thoughts: str, content: str) -> None:
    form = replace(FORMATS["hermes"], reopens=True)
    got = parse_in_chunks(form, text, None, thinking)
    assert (got.thoughts, got.text, got.calls, got.bad) == (thoughts, content, [], [])
    parser = ReplyParser(form, thinking=thinking)
    parser.feed(text)
    parser.finish()
    assert parser.raw_answer == content
    once = parse_in_chunks("hermes", "So.<think>Two.</think>Yes.")
    assert (once.thoughts, once.text) == ("", "So.<think>Two.</think>Yes.")


KIMI = "<|tool_call_begin|>functions.now:4<|tool_call_argument_begin|>{}<|tool_call_end|>"


def test_ids_of_the_format_are_kept() -> None:
    assert parse_in_chunks("kimi", KIMI).ids == ["functions.now:4"]
    assert parse_in_chunks("mistral", "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}").ids == ["abcdefghi"]


def test_a_call_is_emitted_before_the_reply_ends() -> None:
    parser = ReplyParser(FORMATS["hermes"])
    pieces = parser.feed(tagged(GOOD))
    assert [type(piece) for piece in pieces] == [Call]


def test_a_stop_string_and_the_text_after_it_are_dropped() -> None:
    for chunks in splits("Yes.<|im_end|>\n<|im_start|>user"):
        assert read("hermes", chunks, stops=["<|im_end|>"]).text == "Yes."


DSML = [
    *(
        "<｜DSML｜tool_calls>",
        "</｜DSML｜function_calls>",
        "<｜DSML｜invoke",
        ' name="now">',
        "</｜DSML｜invoke>",
        "｜",
    ),
    *("<｜DSML｜parameter", ' name="a" string="true">', "</｜DSML｜parameter>", "<｜DSML｜", "{", "</think>"),
]
STEP_3 = (
    "Both.<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>"
    '<steptml:invoke name="get_weather"><steptml:parameter name="city">Paris</steptml:parameter></steptml:invoke>'
    '<｜tool_call_end｜><｜tool_sep｜><｜tool_call_begin｜><steptml:invoke name="now"></steptml:invoke>'
    "<｜tool_call_end｜><｜tool_calls_end｜>"
)


def test_calls_of_a_model_whose_prompt_is_not_known_are_read() -> None:
    for chunks in ([STEP_3], *splits(STEP_3)):
        got = read(any_format(None), chunks, TOOLS)
        assert (got.text, got.calls) == ("Both.", [("get_weather", CITY), ("now", {})])


TOOL_CALLS = (
    *("<tool_calls>", "</tool_calls>", "<tool_call>", "</tool_call>", "now", "<tool_sep>", "</arg_key>"),
    *("<arg_value>", "</arg_value>", "<tool_calls:opensource>", "</tool_calls:opensource>", "["),
    *("<think:opensource>", "</think:opensource>", "<answer>", "</answer>", '{"name": "now"}'),
)
MARKS = {
    **dict.fromkeys(["tool_calls", "hunyuan", "hy3"], TOOL_CALLS),
    "minicpm5": [
        *('<function name="get_weather">', "<function name=", '<functionname="now">', '<param name="days">', "2"),
        *("</param>", "</function>", "<![CDATA[", "]]>", '<param name="arguments">', '{"city": "a"}'),
    ],
    "internlm": ["<|action_start|>", "<|plugin|>", "<|action_end|>", "{", "}", '"name"', ":", '"now"', ","],
    "minimax_m3": [
        *("]<]minimax[>[<tool_call>", "]<]minimax[>[</tool_call>", ']<]minimax[>[<invoke name="get_weather">'),
        *(
            "]<]minimax[>[</invoke>",
            "]<]minimax[>[<city>",
            "]<]minimax[>[</city>",
            "]<]minimax[>[<item>",
            "</mm:think>",
        ),
    ],
    "lfm2": [
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        "[",
        "]",
        "now()",
        "get_weather(",
        "days=",
        "'",
        ",",
        "{",
        ")",
    ],
    "minimax_m2": [
        *("<minimax:tool_call>", "</minimax:tool_call>", '<invoke name="get_weather">', '<parameter name="city">'),
        *("</parameter>", "</invoke>", "<invoke name=", "<think>", "</think>", '{"name": "now"}'),
    ],
    "seed_oss": [
        *("<seed:tool_call>", "</seed:tool_call>", "<function=get_weather>", "<parameter=days>", "2", "</parameter>"),
        *("</function>", "<seed:think>", "</seed:think>", "<![CDATA[", "]]>"),
    ],
    "hermes": [
        *("<tool_call>", "</tool_call>", "{", "}", '"', "\\", "name", ":", "```", "<think>", "</think>"),
        *("<function=", "</function>", "<function=now>{}</function>"),
    ],
    "qwen_coder": [
        *("<tool_call>", "</tool_call>", "<function=", "<parameter=", ">", "</parameter>", "</function>"),
        *('{"city": "', '"}', "```", "</think>", "</parameter/>", "</parameter "),
    ],
    "mimo": ["<tool_call>", "</tool_call>", "<function=", "<parameter=", ">", "</parameter>", "</function>"],
    "functools": ["functools[", "functools", '{"name"', "}", "]", ":", '"a"', "`"],
    "nemotron": ["<TOOLCALL>", "</TOOLCALL>", '[{"name"', "}]", ":", '"a"', "</think>"],
    "olmo": ["<function_calls>", "</function_calls>", "f(", "a=", "'", ")", "\n", "["],
    "functionary_recipients": [">>>", "all\n", "f\n", "{", "}", '"a"', ":"],
    "functionary": ["<function=", "f>", "{", "}", '"a"', ":", "</function>", "<|eom_id|>"],
    "xlam": [
        "[",
        "{",
        '"name"',
        ":",
        '"now"',
        "}",
        "]",
        "```",
        "```json",
        "[TOOL_CALLS]",
        "<tool_call>",
        "</tool_call>",
    ],
    "llama": ["{", "}", '"name"', '"parameters"', ":", "[", "]", "(", ")", "`", ";", "<|python_tag|>"],
    "mistral": ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "{", "}", '"', "[", "]", "[THINK]", "[/THINK]"],
    "deepseek": [FIRST, START, SEP, END, LAST, "{", "}", '"', "```json"],
    "glm": ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    "gemma4": [
        *("<|tool_call>", "<tool_call|>", '<|"|>', "call:f", "{", "}", "[", "]", "(", ")", ":", ",", '"', "'"),
        *("<|channel>", "thought", "<channel|>"),
    ],
    "functiongemma": [
        *("<start_function_call>", "<end_function_call>", "<escape>", "call:f", "{", "}", "[", "]", ":", ","),
        *('"', "'"),
    ],
    "granite": ["<|tool_call|>", "<tool_call>", "</tool_call>", "[", "]", "{", "}", '"', "\\", "name", ":", "```"],
    "granite_20b": ["<function_call>", "</function_call>", "[", "]", "{", "}", '"', "name", ":"],
    "phi4_mini": ["functools[", "<|tool_call|>", "<|/tool_call|>", "[", "]", "{", "}", '"', "name", ":", "functools"],
    "dsml": DSML,
    "dsml_functions": DSML,
    "kimi_k3": [
        *(
            "<|open|>tools<|sep|>",
            "<|open|>call",
            ' tool="now"',
            "<|sep|>",
            "<|close|>call<|sep|>",
            "<|close|>tools<|sep|>",
        ),
        *("<|open|>argument", ' key="a" type="string"', "<|close|>argument<|sep|>", "<|open|>think<|sep|>", "<|open|>"),
        *("<|close|>think<|sep|>", "<|open|>response<|sep|>", "<|close|>message<|sep|>", "<|close|>", "{", "}"),
    ],
    "kimi": [
        *("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
        *("<|tool_call_end|>", "<|tool_calls_section_end|>", "{", "}", '"', "functions.f:0"),
    ],
    "apertus": ["<|tools_prefix|>", "<|tools_suffix|>", "<|inner_prefix|>", "<|inner_suffix|>", '[{"f": {}}]', "]"],
    "gigachat": [
        "<|message_sep|>",
        "\n\n",
        "function call<|role_sep|>",
        "<|function_call|>",
        '{"name": "f"}',
        "{",
        "}",
    ],
    "command_r": ["Action:", "```json", '[{"tool_name": "f"}]', "```", "[", "]", "{", "}", '"'],
    "cohere": [
        *("<|START_ACTION|>", "<|END_ACTION|>", "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>"),
        *("<|END_RESPONSE|>", "<|START_TEXT|>", "[", "]", "{", "}", '"tool_name"', '"f"', ":"),
    ],
    "gpt_oss": [
        *("<|start|>assistant", "<|channel|>", "analysis", "commentary", "final", " to=", "functions.now"),
        *("<|constrain|>", "json", "<|message|>", "<|end|>", "<|call|>", "{}"),
    ],
}


@st.composite
def hostile(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Returns the name of a format, and words that are likely to be markup of it."""
    name = draw(st.sampled_from(list(FORMATS)))
    words = st.one_of(st.sampled_from([*MARKS[name], " ", "\n", "\x1f", "\r", "a", "<", "city"]), st.text(max_size=3))
    return name, draw(st.lists(words, max_size=25))


@pytest.mark.slow
@given(hostile(), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=600, deadline=None)
def test_any_text_split_anywhere_parses_the_same(
    drawn: tuple[str, list[str]], thinking: bool, reopens: bool, chance: Any
) -> None:
    name, words = drawn
    assert_reads_the_same(replace(FORMATS[name], reopens=reopens), "".join(words), thinking, chance)


def assert_reads_the_same(form: Format, text: str, thinking: bool, chance: Any) -> None:
    """Assert that a text parses the same whole, cut at random, and one character at a time."""
    whole = read(form, [text], TOOLS, thinking)
    places = sorted(chance.randint(0, len(text)) for _ in range(6))
    cut = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert read(form, cut, TOOLS, thinking) == whole
    assert read(form, list(text), TOOLS, thinking) == whole


@pytest.mark.parametrize("text", ["<function=0\n><tool_call>", "<function=now\n \n></function>", "<function=now\n"])
def test_a_bracket_that_follows_on_the_next_line_parses_the_same_in_any_chunks(text: str) -> None:
    assert read("qwen_coder", list(text), TOOLS, False) == read("qwen_coder", [text], TOOLS, False)


@pytest.mark.parametrize("space", ["\x1f", "\r", "\x0b", "\u2028", "\u3000"])
def test_odd_white_space_after_a_name_parses_the_same_in_any_chunks(space: str) -> None:
    text = f"<tool_call><function=now{space}<parameter=a>1</parameter></function></tool_call>"
    assert read("qwen_coder", list(text), TOOLS) == read("qwen_coder", [text], TOOLS)


def test_odd_white_space_behind_a_call_in_a_sentence_is_no_word() -> None:
    for rest in ("\x1f", "\x1f Done."):
        assert read("hermes", list(f"I look.\n{tagged(GOOD)}{rest}"), TOOLS).calls == [("get_weather", CITY)]


CUT_ANYWHERE = [
    ("gemma4", "<|tool_call>call:f<|tool_call><tool_call|>", False),  # the first of two tags decides
    ("functiongemma", "<start_function_call>call:f<start_function_call><end_function_call>", False),
    ("gemma4", "<|tool_call>call:f{}" + " " * 70 + "<tool_call|>", False),
    ("gemma4", "<|channel>thought\nthought\nHm.<channel|>Yes.", False),  # the label is dropped once
    ("granite", "<tool_call>" + " " * 320 + "Hm.", False),  # white space up to the limit of a beginning
    ("functools", "functools[" + " " * 320 + "Hm.", False),
    ("llama", "<|python_tag|>" + " " * 320 + '{"name": "f", "parameters": {}}', False),
    ("lfm2", "<|tool_call_start|>" + " " * 320 + "[now()]<|tool_call_end|>", False),
    ("hermes", "<tool_call>" + " " * 1100 + "{}</tool_call>", False),
    ("gpt_oss", "<|channel|>commentary to=\n.<|call|>" + "x" * 520 + "<|end|>", False),
    ("qwen_coder", "<tool_call>" + " " * 220 + "<function=now></function></tool_call>", False),
    ("qwen_coder", "<function=now>" + " " * 220 + "{}</function>", False),
    ("qwen_coder", "<function=get_weather><parameter=city>a</parameter>" + " " * 220 + "</function>", False),
    ("qwen_coder", f"<function=now><parameter={'a' * 220}>1</parameter></function>", False),
    ("olmo", "<function_calls>" + " " * 320 + "now()</function_calls>", False),
    ("mistral", "[TOOL_CALLS]" + " " * 320 + "now{}", False),
    ("glm", f"<tool_call>{'a' * 320}</tool_call>", False),
    ("glm", f"<tool_call>{'a' * 296}<arg_key>", False),
    ("hunyuan", "<tool_calls>" + " " * 64 + "<tool_call>now</tool_call></tool_calls>", False),
    ("minimax_m2", "<minimax:tool_call>" + " " * 620 + '<invoke name="now"></invoke>', False),
    ("minimax_m3", "]<]minimax[>[<tool_call>" + " " * 220 + ']<]minimax[>[<invoke name="now">', False),
    ("dsml", "<｜DSML｜invoke" + " " * 520 + 'name="now">', False),
    ("xlam", "```json" + " " * 120 + '[{"name": "now"}]', False),
    ("functionary_recipients", "now\n" + " " * 320 + "{}", False),
    ("gpt_oss", "commentary " + "w" * 20 + "<|message|>Yes.", False),
    ("llama", 'a[ "a"<|eom_id|>', False),  # a bracket before JSON, and white space between them
    ("llama", '<think></think></think>{"name": "now"', True),  # nothing but tags before an end of reasoning
]


@pytest.mark.parametrize(("name", "text", "keeps"), CUT_ANYWHERE, ids=range(len(CUT_ANYWHERE)))
def test_what_decides_is_the_same_in_any_chunks(name: str, text: str, keeps: bool) -> None:
    for tools in (TOOLS, None):
        made = []
        for chunks in ([text], *splits(text)):
            parser = ReplyParser(FORMATS[name], tools, stops=(), keep_reasoning=keeps)
            pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
            made.append((Parsed([*pieces, *parser.finish()]), parser.raw_answer))
        assert all(each == made[0] for each in made)


def test_a_marker_inside_a_longer_one_parses_the_same_in_any_chunks() -> None:
    form = any_format(FORMATS["llama"])  # the bracket of Llama in the tag of MiniMax M3
    for text in ("]<]minimax[>[<invoke", "]<]minimax[>[</tool_call>", "]<]minimax[>[<in and more"):
        parse_in_chunks(form, text, TOOLS)


@given(hostile())
@settings(max_examples=250, deadline=None)
def test_arguments_are_always_a_json_object_that_can_be_sent(drawn: tuple[str, list[str]]) -> None:
    name, words = drawn
    for _, arguments in read(name, ["".join(words)]).calls:
        assert isinstance(arguments, dict)
        json.dumps(arguments, allow_nan=False).encode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)


@pytest.mark.slow
@given(NAME, st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_json_call_round_trips(name: str, arguments: dict[str, Any], ascii_only: bool) -> None:
    arguments = json.loads(json.dumps(arguments, ensure_ascii=True).encode("utf-8", "replace"))
    text = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=ascii_only)
    inner = json.dumps(arguments, ensure_ascii=ascii_only)
    for family, written in (
        ("hermes", f"<tool_call>\n{text}\n</tool_call>"),
        ("llama", json.dumps({"name": name, "parameters": arguments}, ensure_ascii=ascii_only)),
        ("mistral", f"[TOOL_CALLS]{name}{inner}"),
        ("mistral", f"[TOOL_CALLS] [{text}]"),
        ("deepseek", f"{FIRST}{START}{name}{SEP}{inner}{END}{LAST}"),
        ("kimi", f"<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{inner}<|tool_call_end|>"),
    ):
        if "<tool_response>" in written:
            continue
        assert read(family, [written]).calls == [(name, arguments)], family
        assert read(family, list(written)).calls == [(name, arguments)], family


def shared(file: str) -> list[Any]:
    path = SHARED / file
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=row["id"]) for row in rows]


BETTER = {
    "qwen3_coder-018": "another model's parser, which loses the text",
    "qwen3_coder-030": "contested; the text between the tags is kept",
    "qwen3_coder-stream-028": "the name is the word after the =, and the text after it is kept",
    "mistral-011": "the text after the call is kept",
    "mistral-012": "the text after the call is kept",
    "qwen3_coder-060": "its prompt opened the reasoning, which the row does not specify",
    "qwen3_coder-063": "the opening tag is not part of the reasoning",
}


@pytest.mark.parametrize("row", [*shared("toolcalls-cases.jsonl"), *shared("toolcalls-streaming.jsonl")])
def test_the_cases_of_inference_servers_give_the_expected_result(row: dict[str, Any]) -> None:
    text = row.get("text") or "".join(row["chunks"])
    got = parse_in_chunks(FORMAT_OF[row["family"]], text, row.get("tools"), bool(row.get("starts_in_reasoning")))
    if "chunks" in row:
        assert read(FORMAT_OF[row["family"]], row["chunks"], row.get("tools")) == got
    wanted = row["expected"]
    names = [call["name"].split("\n")[0] for call in wanted["tool_calls"]]
    assert [(name, arguments) for name, arguments in got.calls] == [
        (name, cleaned(call["arguments"])) for name, call in zip(names, wanted["tool_calls"], strict=True)
    ]
    assert got.bad == []
    if row["id"] not in BETTER:
        assert (got.text, got.thoughts) == (wanted["content"] or "", wanted.get("reasoning") or "")


@pytest.mark.parametrize("row", shared("toolcalls-malformed.jsonl"))
def test_the_malformed_cases_are_parsed_no_worse_than_by_any_peer(row: dict[str, Any]) -> None:
    got = parse_in_chunks(FORMAT_OF[row["family"]], row["text"], row.get("tools"))
    if row["id"] in ("hermes-probe-M-fence-outside", "hermes-probe-M-think-unclosed-then-call"):
        assert got.calls == []  # one is quoted, the other is part of the reasoning
        return
    wanted = row.get("wish") or row.get("test_wants") or {}
    if wanted:
        assert [{"name": name, "arguments": given} for name, given in got.calls] == wanted["tool_calls"]
        return
    peers = [each.get("full") or {} for each in (row.get("peers") or {}).values()] or [row["peer_result"]]
    read_by_peers = max(len(peer.get("tool_calls") or ()) for peer in peers)
    assert len(got.calls) + len(got.bad) >= read_by_peers


@pytest.mark.parametrize("row", shared("toolcalls-reasoning.jsonl"))
def test_the_reasoning_cases_give_the_expected_result(row: dict[str, Any]) -> None:
    if row["id"] == "glm4-reason-08":
        return  # there an end tag of reasoning that nothing opened is text; here it ends the reasoning
    if row["id"] == "glm4-reason-02":
        thinking = True  # the prompt has opened the reasoning
    else:
        thinking = ("</think>" in row["text"] or row["id"] == "kimi_k2-reason-04") and "<think>" not in row["text"]
    got = parse_in_chunks(FORMAT_OF[row["family"]], row["text"], None, thinking)
    wanted = row["expected"]
    if row["id"] == "qwen3-reason-10":  # a call on lines of its own ends reasoning that nothing closes
        assert got.calls == [("bash", {"command": "cat /etc/hosts"})]
    assert got.thoughts == (wanted["reasoning"] or "").strip()
    content = wanted["content"] or ""
    if "<tool_call>" not in content and "<|tool_calls" not in content:  # that parser leaves calls to another one
        assert got.text == content


@given(st.text("<a>|b中", max_size=12), st.lists(st.text("<a>|b中", min_size=1, max_size=6), min_size=1, max_size=4))
def test_where_a_word_may_begin_is_the_first_suffix_that_begins_one(text: str, words: list[str]) -> None:
    longest = max(map(len, words)) - 1
    places = range(max(0, len(text) - longest), len(text))
    wanted = next((place for place in places if any(word.startswith(text[place:]) for word in words)), len(text))
    assert partial_word_start(text, words) == wanted
