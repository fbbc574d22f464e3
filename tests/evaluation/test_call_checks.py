"""Checks of tool calls: their arguments are compared as the tool takes them."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import tool
from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import Known, parse_check
from agentkit.evaluation.score import CheckError, Score
from agentkit.tools import Tool
from tests.evaluation.records import answered, call, unanswered


@tool(read_only=True)
def population(city: str, year: int = 2024, unit: Literal["people", "thousands"] = "people") -> int:
    """Look up a city's population."""
    return 0


@tool(read_only=True)
def average(numbers: list[float], options: dict[str, Any] | None = None) -> float:
    """Compute an average."""
    return 0.0


by_schema: Tool[..., Any] = Tool(
    "book",
    "Book a bus.",
    {
        "type": "object",
        "properties": {
            "num_passengers": {"type": "integer", "default": 1},
            "trip": {
                "type": "object",
                "properties": {"to": {"type": "string"}, "on": {"type": "string", "format": "date"}},
                "required": ["to", "on"],
            },
            "required": {"type": "boolean"},
        },
        "required": ["trip"],
    },
    lambda **given: "booked",
)
KNOWN = Known.of([population, average, by_schema, "search", "visit"])


def value(spec: dict[str, Any] | str, *calls: dict[str, Any]) -> float:
    """The value that a check gives an answer with these calls."""
    return parse_check(spec, known=KNOWN).score(answered("x", tool_calls=list(calls))).value


@pytest.mark.parametrize(
    ("expected", "given", "right"),
    [
        ({"city": "Oslo"}, {"city": "Oslo"}, 1),
        ({"city": "Oslo"}, {"city": "Bergen"}, 0),
        ({"city": "Oslo"}, {"city": "Oslo", "year": 1990}, 1),
        ({"city": "Oslo", "year": 1990}, {"city": "Oslo", "year": "1990"}, 1),
        ({"city": "Oslo", "year": 1990}, {"city": "Oslo", "year": 1990.0}, 1),
        ({"year": "1990"}, {"city": "Oslo", "year": 1990}, 1),
        ({"year": 2024}, {"city": "Oslo"}, 1),  # the default
        ({"year": 1990}, {"city": "Oslo"}, 0),
        ({"unit": "People"}, {"city": "Oslo", "unit": "people"}, 1),
        ({"city": "oslo"}, {"city": "Oslo"}, 0),
    ],
    ids=range(10),
)
def test_arguments_are_compared_as_the_tool_takes_them(expected: Any, given: Any, right: float) -> None:
    assert value({"check": "called", "tool": "population", "arguments": expected}, call("population", given)) == right


def test_arguments_are_read_from_what_the_model_wrote() -> None:
    spec = {"check": "called", "tool": "population", "arguments": {"city": "Oslo"}}
    assert value(spec, call("population", {}, raw_arguments='{"city": "Oslo", }')) == 1
    assert value(spec, call("population", {}, raw_arguments="Oslo")) == 0
    assert value(spec, call("population", {}, raw_arguments='{"city": ["Oslo"], "year": "soon"}')) == 0


@pytest.mark.parametrize(
    ("spec", "given", "right"),
    [
        ({"match": "exact"}, {"city": "Oslo"}, 1),
        ({"match": "exact"}, {"city": "Oslo", "year": 2024}, 1),
        ({"match": "exact"}, {"city": "Oslo", "year": 1990}, 0),
        ({"arguments": "ignore"}, {"city": "Bergen"}, 1),
        ({"loose": True, "arguments": {"city": "OSLO, Norway"}}, {"city": "oslo norway"}, 1),
        ({"one_of": {"year": [1990, "1991", None]}}, {"city": "Oslo", "year": 1991}, 1),
        ({"one_of": {"year": [1990, "1991", None]}}, {"city": "Oslo"}, 1),
        ({"one_of": {"year": [1990, 1991]}}, {"city": "Oslo"}, 0),
        ({"one_of": {"year": [1990, 1991]}}, {"city": "Oslo", "year": 1992}, 0),
        ({"one_of": {"year": [1990]}, "match": "exact"}, {"city": "Oslo", "year": 1990, "unit": "thousands"}, 0),
    ],
    ids=range(10),
)
def test_how_arguments_are_compared_can_be_said(spec: Any, given: Any, right: float) -> None:
    made = {"check": "called", "tool": "population", "arguments": {"city": "Oslo"}, **spec}
    assert value(made, call("population", given)) == right


@pytest.mark.parametrize(
    ("expected", "given", "right"),
    [
        ({"trip": {"to": "Oslo"}}, {"trip": {"to": "Oslo", "on": "2026-01-02"}}, 1),
        ({"trip": {"to": "Oslo"}}, {"trip": '{"to": "Oslo", "on": "2026-01-02"}'}, 1),
        ({"trip": {"on": "2026-01-02"}}, {"trip": {"to": "Oslo", "on": "January 2, 2026"}}, 0),
        ({"trip": {"to": "Oslo"}}, {"trip": {"to": "Bergen", "on": "2026-01-02"}}, 0),
        ({"num_passengers": "1"}, {"num_passengers": 1, "trip": {"to": "Oslo", "on": "2026-01-02"}}, 1),
        ({"num_passengers": 1}, {"trip": {"to": "Oslo", "on": "2026-01-02"}}, 1),
        ({"required": True}, {"required": "yes", "trip": {"to": "Oslo", "on": "2026-01-02"}}, 1),
        ({"required": True}, {"required": 1, "trip": {"to": "Oslo", "on": "2026-01-02"}}, 1),
        ({"required": True}, {"required": False, "trip": {"to": "Oslo", "on": "2026-01-02"}}, 0),
    ],
    ids=range(9),
)
def test_a_part_of_an_object_may_be_expected_where_the_tool_needs_all(expected: Any, given: Any, right: float) -> None:
    # ShishirPatil/gorilla#838: "1" was expected where the tool takes an integer, and 1 was wrong
    assert value({"check": "called", "tool": "book", "arguments": expected}, call("book", given)) == right


def test_whole_numbers_are_decimals_inside_of_lists() -> None:  # ShishirPatil/gorilla#1049
    spec = {"check": "called", "tool": "average", "arguments": {"numbers": [12.0, 15.0, 18.0]}}
    assert value(spec, call("average", {"numbers": [12, 15, 18]})) == 1
    assert value(spec, call("average", {"numbers": [12, 15]})) == 0
    assert value(spec, call("average", {"numbers": "[12, 15, 18]"})) == 1


@pytest.mark.parametrize(
    ("times", "calls", "right"),
    [
        (2, 2, 1),
        (2, 1, 0),
        (2, 3, 0),
        (">=2", 3, 1),
        ("<=1", 0, 1),
        ("<=1", 2, 0),
        ("1-3", 3, 1),
        ("1-3", 0, 0),
        (0, 0, 1),
    ],
)
def test_a_call_has_to_be_made_so_often(times: Any, calls: int, right: float) -> None:
    # confident-ai/deepeval#3141: the second of two equal calls was not counted
    spec = {"check": "called", "tool": "population", "arguments": {"city": "Oslo"}, "times": times}
    assert value(spec, *[call("population", {"city": "Oslo"})] * calls, call("population", {"city": "Rome"})) == right


@pytest.mark.parametrize(
    ("spec", "called", "expected"),
    [
        ("called: search", ["search"], 1),
        ("called: search", ["visit"], 0),
        ("called: search", [], 0),
        ("not_called: visit", ["search"], 1),
        ("not_called: visit", ["search", "visit"], 0),
        ("not_called", [], 1),
        ("not_called", ["search"], 0),
        ("only_called: search, visit", ["visit", "visit"], 1),
        ("only_called: search", ["visit"], 0),
        ("called_in_order: search, visit", ["search", "book", "visit"], 1),
        ("called_in_order: search, visit", ["visit", "search"], 0.5),
        ("called_in_order: search, visit", [], 0),
        ("called_in_order: search, visit, search", ["search", "search", "visit"], pytest.approx(2 / 3, abs=1e-6)),
    ],
    ids=range(13),
)
def test_which_tools_were_called_and_in_which_order(spec: str, called: list[str], expected: float) -> None:
    assert value(spec, *map(call, called)) == expected


def test_the_reason_names_what_is_wrong() -> None:
    def why(spec: Any, *calls: Any) -> str:
        return parse_check(spec, known=KNOWN).score(answered("x", tool_calls=list(calls))).why

    spec = {"check": "called", "tool": "population", "arguments": {"city": "Oslo"}}
    assert why(spec, call("population", {"city": "Rome"})) == 'population: city is "Rome", not "Oslo"'
    assert why(spec, call("search")) == "population was not called, but search"
    assert why({**spec, "times": 2}, call("population", {"city": "Oslo"})) == "population was called 1 times, not 2"
    # confident-ai/deepeval#3014: of calls in another order it said nothing
    assert why("called_in_order: search, visit, search", *map(call, ["search", "search", "visit"])) == (
        "search is missing in search, search, visit"
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"arguments": {"town": "Oslo"}}, "population takes no argument 'town'; it takes city, year, unit"),
        ({"arguments": {"year": "soon"}}, "the arguments don't fit population: year: 'soon' is not of type 'integer'"),
        ({"one_of": {"year": [1990, "soon"]}}, "the arguments don't fit population"),
        ({"one_of": {"year": []}}, "one_of is"),
        ({"arguments": {}, "match": "some"}, "match is one of"),
        ({"times": "3-1"}, "begins above its end"),
        ({"times": True}, "times is a number"),
    ],
    ids=range(7),
)
def test_arguments_that_the_tool_does_not_take_are_a_mistake_of_the_set(spec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_check({"check": "called", "tool": "population", **spec}, known=KNOWN, line=2)
    assert str(raised.value).startswith("line 2: check ")
    assert message in str(raised.value)


def test_calls_that_were_not_kept_are_an_error_and_no_score() -> None:
    with pytest.raises(CheckError, match="the tool calls of the answer were not kept"):
        parse_check("called: search").score(answered("x"))


def test_an_item_without_an_answer_has_called_nothing_right() -> None:
    # confident-ai/deepeval#2242: no calls at all were perfectly correct
    assert parse_check("not_called: search").score(unanswered()) == Score(0.0, False, "no answer: timeout", True)


def test_a_tool_whose_schema_is_not_known_is_compared_as_written() -> None:
    spec = {"check": "called", "tool": "search", "arguments": {"query": "Oslo"}}
    assert value(spec, call("search", {"query": "Oslo", "n": 3})) == 1
    assert value(spec, call("search", {"query": 3})) == 0


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_a_model_calls_gets_a_score(given: Any) -> None:
    spec = {"check": "called", "tool": "population", "arguments": {"city": "Oslo", "year": 1990}, "match": "exact"}
    raw = given if isinstance(given, str) else None
    made = call("population", {"city": given}, **({} if raw is None else {"raw_arguments": raw}))
    assert value(spec, made) in (0, 1)
    assert value(spec, {"name": given}) == 0


@pytest.mark.parametrize("written", ["pattern", "patternProperties", "propertyNames"])
def test_a_pattern_of_a_tool_may_not_take_for_ever(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # it was matched in this process: `^([a-z]+-?)+$` and 40 letters held all threads, and Ctrl-C, for good
    slow = "^([a-z]+-?)+$"
    code, names = {"type": "string", "pattern": slow}, {"type": "object", "additionalProperties": False}
    shapes: dict[str, dict[str, Any]] = {
        "patternProperties": {"patternProperties": {slow: {}}},
        "propertyNames": {"propertyNames": {"pattern": slow}},
    }
    inner = code if written == "pattern" else {**names, "additionalProperties": True, **shapes[written]}
    find = Tool("find", "Find.", {"type": "object", "properties": {"code": inner}}, lambda code: "found")
    fits, other, hostile = (each if written == "pattern" else {each: 1} for each in ("a-b", "ab", "a" * 40 + "!"))
    check = parse_check({"check": "called", "tool": "find", "arguments": {"code": fits}}, tools=[find])
    values = [check.score(answered("done", tool_calls=[call("find", {"code": each})])).value for each in (fits, other)]
    assert values == [1, 0]
    monkeypatch.setattr("agentkit.evaluation.json_checks.MOST_SECONDS", 2.0)
    with pytest.raises(CheckError, match="could not be checked in 2 s"):
        check.score(answered("done", tool_calls=[call("find", {"code": hostile})]))


def test_arguments_that_do_not_fit_a_pattern_are_wrong() -> None:
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[A-Z]{2}$"}, "n": {"type": "integer"}},
    }
    find = Tool("find", "Find.", schema, lambda code: "found")
    check = parse_check({"check": "called", "tool": "find", "arguments": {"n": 3}}, tools=[find])
    calls = [[call("find", {"code": code, "n": "3"})] for code in ("NO", "no")]
    assert [check.score(answered("done", tool_calls=each)).value for each in calls] == [1, 0]
    with pytest.raises(ConfigurationError, match="don't fit find"):
        parse_check({"check": "called", "tool": "find", "arguments": {"code": "no"}}, tools=[find])
