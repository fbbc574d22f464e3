"""Signatures and docstrings as schemas, and arguments as Python values."""

import functools
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict, Union
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import Doc

from agentkit import Agent, Context, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Movie(TypedDict):
    title: str
    year: int


class Pair(NamedTuple):
    left: str
    right: int


class Person(BaseModel):
    name: str
    born: date | None = None
    friends: list["Person"] = []


def received(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Returns the arguments that a function receives when a model calls it."""
    got: list[Any] = []

    @functools.wraps(function)
    def spy(**values: Any) -> str:
        got.append(values)
        return "ok"

    result = Agent(ScriptedBackend((tool(function).name, arguments), "Done."), tools=[tool(spy)]).run("Go.")
    assert got, result.tool_calls
    return got[0]


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    return dict(tool(function).parameters["properties"])


CASES: list[tuple[Any, Any, Any]] = [
    (str, "Oslo", "Oslo"),
    (str, "007", "007"),
    (int, 3, 3),
    (float, 2.5, 2.5),
    (float, 2, 2.0),
    (bool, True, True),
    (None, None, None),
    (list[str], ["a", "b"], ["a", "b"]),
    (list, [1, "a"], [1, "a"]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (set[int], [1, 2], {1, 2}),
    (frozenset[str], ["a"], frozenset({"a"})),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (dict, {"a": [1]}, {"a": [1]}),
    (Literal["slow", "fast"], "fast", "fast"),
    (Colour, "red", Colour.RED),
    (Optional[int], None, None),  # noqa: UP045
    (Union[int, str], "3", "3"),  # noqa: UP007
    (int | list[int], [3], [3]),
    (Point, {"x": 1}, Point(1)),
    (list[Point], [{"x": 1, "y": 2}], [Point(1, 2.0)]),
    (Movie, {"title": "Up", "year": 2009}, {"title": "Up", "year": 2009}),
    (list[Movie], [{"title": "Up", "year": 2009}], [{"title": "Up", "year": 2009}]),
    (Movie | None, {"title": "Up", "year": 2009}, {"title": "Up", "year": 2009}),
    (Optional[dict[str, Movie]], {"a": {"title": "Up", "year": 1}}, {"a": {"title": "Up", "year": 1}}),  # noqa: UP045
    (Annotated[list[Movie], Field(max_length=2)], [], []),
    (Pair, ["a", 1], Pair("a", 1)),
    (Person, {"name": "Ada", "born": "1815-12-10"}, Person(name="Ada", born=date(1815, 12, 10))),
    (date, "2024-02-29", date(2024, 2, 29)),
    (datetime, "2024-02-29T12:00:00", datetime(2024, 2, 29, 12)),
    (timedelta, "P1D", timedelta(days=1)),
    (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    (Path, "a/b.txt", Path("a/b.txt")),
    (Decimal, "1.10", Decimal("1.10")),
    (bytes, "abc", b"abc"),
    (Any, {"x": [None]}, {"x": [None]}),
    (Annotated[int, Field(ge=1, le=5)], 5, 5),
]


@pytest.mark.parametrize(("hint", "written", "expected"), CASES)
def test_a_value_arrives_as_the_type_its_annotation_names(hint: Any, written: Any, expected: Any) -> None:
    def function(value: Any) -> str:
        """Take a value."""
        return ""

    function.__annotations__["value"] = hint
    jsonschema.validate({"value": written}, tool(function).parameters)
    value = received(function, {"value": written})["value"]
    assert value == expected
    assert type(value) is type(expected)


JSON_VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, st.text()),
    (int, st.integers(-(10**20), 10**20)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (list[str], st.lists(st.text())),
    (dict[str, int], st.dictionaries(st.text(), st.integers())),
    (tuple[int, str], st.tuples(st.integers(), st.text())),
    (set[int], st.sets(st.integers())),
    # an integer beyond 64 bits is kept as text (see `cleaned`), and a text is a value of this type too
    (int | str | None, st.integers(-(2**63), 2**64 - 1) | st.text() | st.none()),
    (Colour, st.sampled_from(Colour)),
    (date, st.dates()),
    (datetime, st.datetimes()),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4)),
    (Point, st.builds(Point, st.integers(), st.floats(allow_nan=False, allow_infinity=False))),
    (Pair, st.builds(Pair, st.text(), st.integers())),
]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_value_that_the_schema_accepts_arrives_in_the_function_as_that_value(data: st.DataObject) -> None:
    from pydantic_core import to_json

    hint, values = data.draw(st.sampled_from(JSON_VALUES))
    value = data.draw(values)
    got: list[Any] = []

    def function(value: Any) -> None:
        """Take a value."""
        got.append(value)

    function.__annotations__["value"] = hint
    made = tool(function)
    written = to_json({"value": value}).decode()
    jsonschema.validate(json.loads(written), made.parameters)
    outcome = made.answer(written, Context())
    assert not outcome.failed, outcome.text
    assert got == [value]
    assert type(got[0]) is type(value)


# Descriptions

GOOGLE = """Look up a city.

    It may take a while.

    Args:
        city: Name of the city,
            in any language.
        year (int): Calendar year.

    Returns:
        The population.
    """
NUMPY = """Look up a city.

    It may take a while.

    Parameters
    ----------
    city : str
        Name of the city,
        in any language.
    year : int
        Calendar year.

    Returns
    -------
    int
        The population.
    """
SPHINX = """Look up a city.

    It may take a while.

    :param city: Name of the city,
        in any language.
    :param int year: Calendar year.
    :returns: The population.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
def test_a_docstring_describes_the_tool_and_each_argument(docstring: str) -> None:
    def population(city: str, year: int = 2024) -> int:
        return 0

    population.__doc__ = docstring
    made = tool(population)
    assert made.description == "Look up a city.\n\nIt may take a while."
    assert made.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city, in any language."},
            "year": {"type": "integer", "description": "Calendar year.", "default": 2024},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Look up.\n\n:param city: Name of the city.",
        "Look up.\n\n    Args:\n        city: Name of the city.",
        "Look up.\n\n    Parameters\n    ----------\n    city\n        Name of the city.\n",
    ],
)
def test_one_documented_argument_is_enough_to_know_the_style(docstring: str) -> None:
    def look_up(city: str) -> None: ...

    look_up.__doc__ = docstring
    assert tool(look_up).description == "Look up."
    assert parameters(look_up)["city"]["description"] == "Name of the city."


def test_a_default_without_a_json_representation_is_not_in_the_schema() -> None:
    def measure(least: float = float("-inf"), most: float = float("nan"), name: object = object) -> str:
        """Measure."""
        return f"{least} {most}"

    assert all("default" not in schema for schema in parameters(measure).values())
    agent = Agent(ScriptedBackend(("measure", {}), "Done."), tools=[measure])
    assert agent.run("Go.").tool_calls[0].response == "-inf nan"


def test_the_context_may_be_optional() -> None:
    def work(ctx: Context | None = None, item: str = "x") -> str:
        """Work."""
        return type(ctx).__name__

    assert list(parameters(work)) == ["item"]
    agent = Agent(ScriptedBackend(("work", {}), "Done."), tools=[work])
    assert agent.run("Go.").tool_calls[0].response == "Context"


def test_the_docstring_takes_precedence_over_a_description_in_the_annotation() -> None:
    def function(
        a: Annotated[int, Field(description="From the field.")],
        b: Annotated[int, "From the string."],
        c: Annotated[int, Field(description="From the field.")],
        d: Annotated[int, ..., "From the string."],
        e: Annotated[int, Doc("From the text.")],
        f: int = Field(3, description="From the default."),
        g: int = Field(3, description="From the default."),
    ) -> None:
        """Do it.

        Args:
            a: From the docstring.
            b: From the docstring.
            f: From the docstring.
        """

    descriptions = {name: schema["description"] for name, schema in parameters(function).items()}
    assert descriptions == {
        **dict.fromkeys("abf", "From the docstring."),
        "c": "From the field.",
        "d": "From the string.",
        "e": "From the text.",
        "g": "From the default.",
    }


def test_constraints_are_in_the_schema_and_are_kept() -> None:
    def function(count: Annotated[int, Field(ge=1, le=5)] = 2) -> None:
        """Do it."""

    assert parameters(function)["count"] == {"type": "integer", "minimum": 1, "maximum": 5, "default": 2}
    outcome = tool(function).answer('{"count": 9}', Context())
    assert outcome.failed
    assert "count: expected less than or equal to 5, got 9" in outcome.text


def test_a_parameter_may_have_any_name() -> None:
    def function(schema: int, copy: str, title: str, model_config: int, json: int, class_: int = 1) -> None:
        """Do it."""

    values = {"schema": 1, "copy": "a", "title": "b", "model_config": 2, "json": 3}
    assert received(function, values) == values


def test_schemas_are_the_same_bytes_in_every_process() -> None:
    code = textwrap.dedent("""
        import json
        from typing import Literal
        from agentkit import tool
        @tool
        def f(tags: set[str] = {"c", "a", "b", "zz", "q"}, kind: Literal["x", "y"] = "x") -> None:
            "Do it."
        print(json.dumps(f.schema))
    """)

    def printed(seed: str) -> str:
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert len({printed(seed) for seed in ("1", "2", "3")}) == 1


# What can't be described


class Unknown:
    """A class without a JSON representation."""


def odd_type(thing: Unknown) -> None:
    """Do it."""


def odd_inside(things: list[Unknown]) -> None:
    """Do it."""


def function_type(then: Callable[[int], int]) -> None:
    """Do it."""


def unresolved(thing: "NoSuchName") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do it."""


def no_docstring(thing: int) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (odd_type, "tool odd_type: the parameter 'thing' has a type without a JSON schema"),
        (odd_inside, "tool odd_inside: the parameter 'things' has a type without a JSON schema"),
        (function_type, "tool function_type: .*parameter.* has a type without a JSON schema"),
        (unresolved, "tool unresolved: an annotation can't be resolved.*NoSuchName"),
        (no_docstring, "tool no_docstring: it has no docstring"),
        (42, "42 is not a function"),
    ],
)
def test_an_undescribable_function_is_rejected_naming_function_parameter_and_reason(
    function: Any, message: str
) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        tool(function)


@pytest.mark.parametrize("name", ["", "two words", "ö", "x" * 65, "a.b"])
def test_a_name_that_servers_reject_is_rejected(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match="1 to 64 letters"):
        Tool(name, "Do it.", {"type": "object"}, print)


# Hand-written schemas


def test_a_tool_may_be_given_by_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    }
    forecast = Tool("forecast", "Forecast the weather.", schema, lambda city, days=1: f"{city}: {days} days of rain")
    assert forecast.schema["function"]["parameters"] == schema
    assert forecast.answer('{"city": "Bergen", "days": 3}', Context()).text == "Bergen: 3 days of rain"
    wrong = forecast.answer('{"city": "Bergen", "days": 0}', Context())
    assert wrong.failed
    assert "days: 0 is less than the minimum of 1" in wrong.text


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"type": "object", "properties": 3}, {"type": "string"}, {}])
def test_an_invalid_schema_is_rejected(schema: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match=r"tool f: parameters (must be|is not) a"):
        Tool("f", "Do it.", schema, print)
