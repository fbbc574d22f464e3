"""Partial JSON: the values of pydantic's parser after each delta, in linear time, and they never change."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from agentkit.tooling.partial_json import MAX_DEPTH, SHARE, PartialJson
from tests.support.growth import assert_linear

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=5)


def from_whole(text: str) -> Any:
    """What the parser of the whole text makes of it."""
    begin = text.find("{")
    try:
        return from_json(text[begin:], allow_partial="trailing-strings") if begin >= 0 else None
    except ValueError:
        return None


def pieces_of(text: str, places: list[int]) -> list[str]:
    ends = sorted(min(place, len(text)) for place in places)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def check(pieces: list[str]) -> None:
    """Check the values after each piece, and that none of them changes later."""
    reader = PartialJson()
    given: list[tuple[Any, Any]] = []
    text = ""
    for piece in pieces:
        text += piece
        value = reader.feed(piece)
        expected = from_whole(text)
        assert same(reader.value(), expected), text
        assert value is None or same(value, expected)
        given += [(value, copy.deepcopy(value)), (reader.value(), copy.deepcopy(expected))]
    assert all(same(value, as_it_was) for value, as_it_was in given)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types: 1 is not 1.0, and NaN is NaN."""
    return repr(one) == repr(other)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]), st.lists(st.integers(0, 300), max_size=12))
@settings(max_examples=100, deadline=None)
def test_every_prefix_has_the_value_of_the_whole_parser(
    value: Any, ascii_: bool, indent: int | None, places: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    check([*pieces_of(text, places), "\n"])
    check(list(f"Here: {text}"))


@given(st.lists(st.sampled_from([*'{}[]:,"', '{"a":', "[", '"b"', "1", "-", "0", ".", "e", "true", "nul", " ", "x"])))
@settings(max_examples=500, deadline=None)
def test_text_that_is_not_json_has_the_value_of_the_whole_parser_too(words: list[str]) -> None:
    check(['{"a":', *words])


NUMBERS = ["0", "-0", "-1", "12", "1.5", "1e5", "1E-2", "-1.25e+3", "1e400", "NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("word", [*NUMBERS, "true", "false", "null", "1" * 300])
def test_words_and_numbers_are_left_out_until_they_are_values(word: str) -> None:
    for text in (f'{{"a": {word}}}', f'{{"a": [{word}, {word}], "b": {word} }}'):
        check(list(text))


@pytest.mark.parametrize("inside", [r"\n\t\"\\\/\b\f\r", r"\u00e4\u20ac\u0041", r"x\ud83d\ude00y", "ä€😀", "\x7f"])
def test_escapes_are_read_when_they_are_complete(inside: str) -> None:
    check(list(f'{{"a{inside}": "{inside}", "b": ["{inside}"]}}'))


def test_the_last_of_two_equal_keys_counts() -> None:
    check(list('{"a": {"b": 1}, "a": ["x", {"c": "y"}], "a": 2}'))


def test_a_pair_of_surrogates_may_be_cut_in_two() -> None:
    reader = PartialJson()
    assert [reader.feed(piece) for piece in ('{"a": "x\ud83d', '\ude00"', "}")] == [
        {"a": "x"},
        {"a": "x😀"},
        {"a": "x😀"},
    ]
    assert PartialJson().feed('{"a": "\ud83dx') == {"a": "\ufffdx"}


def test_the_end_of_the_object_ends_reading() -> None:
    reader = PartialJson()
    assert reader.feed('```json\n{"a": 1}\n```') == {"a": 1}
    assert reader.feed('{"a": 2}') is None
    assert reader.value() == {"a": 1}


@pytest.mark.parametrize("text", ['{"a": }', "{a", '{"a" 1', '{"a": 1,}', '{"a": [,', '{"a": "\n', '{"a": 01'])
def test_text_that_is_not_json_has_no_value(text: str) -> None:
    reader = PartialJson()
    for character in text:
        reader.feed(character)
    assert reader.feed('"b": 1}') is None
    assert reader.value() is None


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_nesting_and_the_length_of_a_number_are_bounded(bracket: str) -> None:
    reader = PartialJson()
    assert reader.feed('{"a":' + bracket * (MAX_DEPTH - 1)) is not None
    assert reader.feed(bracket) is None
    assert reader.value() is None
    reader = PartialJson()
    assert [reader.feed('{"a":'), reader.feed("1" * 100_000)] == [{}, None]


def test_small_answers_are_given_at_every_delta() -> None:
    text = json.dumps({"name": "x" * 100, "list": [1, 2, 3]})
    reader = PartialJson()
    assert all(reader.feed(text[start : start + 3]) is not None for start in range(0, len(text), 3))


INSIDES = {
    "a long string": ('"', "x", '"'),
    "escapes": ('"', "\\u00e4\\n", '"'),
    "a long list": ("[", "1,", "1]"),
    "lists in a list": ("[", "[],", "1]"),
    "objects in a list": ("[", '{"a": "b"},', "1]"),
    "a long object": ('{"a": 1', ',"key": 1', "}"),
    "deep": ("[" * 150, "1,", "1" + "]" * 150),
    "space": ("", " ", "1"),
}


@pytest.mark.parametrize("kind", INSIDES.values(), ids=INSIDES)
def test_an_answer_is_read_in_linear_time(kind: tuple[str, str, str]) -> None:
    begin, inside, end = kind

    def work(count: int) -> None:
        reader = PartialJson()
        reader.feed('{"a":' + begin)
        for _ in range(count):
            reader.feed(inside)
        assert reader.feed(end + "}") is not None

    assert_linear(work, 10_000)


@pytest.mark.parametrize("piece", ["word ", "\\n"])
def test_what_is_given_is_in_proportion_to_the_text(piece: str) -> None:
    count = 20_000
    reader = PartialJson()
    values = [reader.feed(each) for each in ('{"a": "', *[piece] * count, '"}')]
    given = [len(value["a"]) for value in values if value is not None]
    assert sum(given) <= 2 * SHARE * count * len(piece)
    assert len(given) < SHARE * math.log(count * len(piece))
    assert given[-1] == count * len(json.loads(f'"{piece}"'))
