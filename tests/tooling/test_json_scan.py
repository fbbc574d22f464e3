"""Where a streamed JSON value ends: the same place in any chunks, in linear time."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.backends.chat_protocol import Accumulator
from agentkit.tooling.json_scan import JsonScan
from tests.support.growth import assert_linear
from tests.support.model_server import delta

VALUES = st.recursive(
    st.text(max_size=6) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


def end_of(scan: JsonScan, pieces: list[str]) -> int | None:
    before = 0
    for piece in pieces:
        end = scan.feed(piece)
        if end is not None:
            return before + end
        before += len(piece)
    return None


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted(min(place, len(text)) for place in places)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES), st.booleans(), st.text(), st.lists(st.integers(0, 200)))
def test_a_value_ends_at_its_last_bracket_in_any_chunks(value: Any, ascii_: bool, rest: str, places: list[int]) -> None:
    text = json.dumps(value, ensure_ascii=ascii_)
    assert end_of(JsonScan(), cut(text + rest, places)) == len(text)


@given(
    st.text("{}[]()\"'\\a", max_size=40),
    st.lists(st.integers(0, 40)),
    st.sampled_from([("'\"", True), ('"', False), ('"', True)]),
)
def test_any_text_reads_the_same_in_any_chunks(text: str, places: list[int], options: tuple[str, bool]) -> None:
    assert end_of(JsonScan(*options), cut(text, places)) == end_of(JsonScan(*options), [text])


def test_quotation_marks_and_parentheses_are_options() -> None:
    assert end_of(JsonScan(), ["{'}'"]) == 3
    assert end_of(JsonScan("'\""), ["{'}'}"]) == 5
    assert end_of(JsonScan(), ["[f(]"]) == 4
    assert end_of(JsonScan(parentheses=True), ["[f(])]"]) == 5


@pytest.mark.parametrize("part", ['{"a": [', '"', "\\", "{", "'", "x"])
def test_text_is_scanned_in_linear_time_and_any_depth(part: str) -> None:
    def work(count: int) -> None:
        scan = JsonScan()
        assert scan.feed("{") is None
        for _ in range(count):
            scan.feed(part)

    assert_linear(work, 20_000)


@pytest.mark.parametrize("part", ["{}", "}", '{"a": 1}', " "])
def test_the_arguments_of_a_call_are_read_in_linear_time(part: str) -> None:
    def work(count: int) -> None:
        accumulator = Accumulator("call", lambda *_: None)
        list(accumulator.feed(delta(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": "{}"}}])))
        chunk = delta(tool_calls=[{"index": 0, "function": {"arguments": part}}])
        for _ in range(count):
            list(accumulator.feed(chunk))

    assert_linear(work, 10_000)


@given(st.text('{}":a1 \n', max_size=12), st.lists(st.integers(0, 12)))
def test_arguments_are_complete_when_they_are_a_json_object(text: str, places: list[int]) -> None:
    begun: list[str] = []
    accumulator = Accumulator("call", lambda name, arguments, before: begun.append(arguments))
    list(accumulator.feed(delta(tool_calls=[{"index": 0, "function": {"name": "look"}}])))
    for piece in cut('{"a": ' + text, places):
        list(accumulator.feed(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}])))
    list(accumulator.feed(delta(tool_calls=[{"index": 0, "function": {"name": "next", "arguments": "{}"}}])))
    calls = accumulator.reply().message["tool_calls"]
    try:
        is_object = isinstance(json.loads('{"a": ' + text), dict)
    except ValueError:
        is_object = False
    assert (len(calls) == 2) == is_object
