"""Signatures with which people had trouble elsewhere: wrapped functions, methods, and names in annotations."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import date
from typing import Annotated, Any, Final, Self

import pytest
from pydantic import BaseModel, ConfigDict, EmailStr, Field, JsonValue

from agentkit import Agent, Context, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend


def answer(function: Any, arguments: dict[str, Any]) -> str:
    made = function if isinstance(function, Tool) else tool(function)
    result = Agent(ScriptedBackend((made.name, arguments), "Done."), tools=[made]).run("Go.")
    return result.tool_calls[0].response


# Wrappers


def multiples(count: int, settings: dict[str, float]) -> list[float]:
    """List multiples.

    Args:
        count: How many.
        settings: Of what.
    """
    return [settings["value"] * number for number in range(count)]


def bound_to(settings: dict[str, float]) -> Callable[[int], list[float]]:
    @functools.wraps(multiples)
    def bound(count: int) -> list[float]:
        return multiples(count, settings)

    return bound


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def passing(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return passing


@pytest.mark.parametrize("wrapped", [bound_to({"value": 2.0}), passed_on(bound_to({"value": 2.0}))])
def test_what_a_wrapper_gives_the_function_itself_is_no_argument(wrapped: Any) -> None:  # pydantic/pydantic-ai#2787
    made = tool(wrapped)
    assert made.parameters["properties"] == {"count": {"type": "integer", "description": "How many."}}
    assert answer(made, {"count": "3"}) == "[0.0, 2.0, 4.0]"


def test_a_wrapper_that_takes_no_names_is_called_by_place() -> None:
    def by_place(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @by_place
    def area(width: int, height: int = 2, *, unit: str = "m") -> str:
        """Compute an area."""
        return f"{width * height} {unit}"

    made = tool(area)
    assert list(made.parameters["properties"]) == ["width", "height"]  # the wrapper could not pass the unit on
    assert answer(made, {"width": 3}) == "6 m"
    assert answer(made, {"height": 5, "width": 3}) == "15 m"


def test_a_function_that_is_chosen_by_its_first_argument_gets_it_by_place() -> None:
    @functools.singledispatch
    def double(value: int, times: int = 2) -> str:
        """Double a value."""
        return f"{value * times}"

    @double.register
    def _(value: str, times: int = 2) -> str:  # type: ignore[misc]
        return f"a text, {value}"

    assert answer(tool(double), {"value": "3", "times": 4}) == "12"


def test_a_wrapped_method_keeps_its_object() -> None:
    def checked(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapper(self: Any, count: int) -> Any:
            return method(self, count, "kg")

        return wrapper

    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        @checked
        def weigh(self, count: int, unit: str) -> str:
            """Weigh."""
            return f"{self.factor * count} {unit}"

    made = tool(Scale(2).weigh)
    assert list(made.parameters["properties"]) == ["count"]
    assert answer(made, {"count": 3}) == "6 kg"


# Tools of tools


def test_a_tool_is_made_again_with_what_it_is_bound_to_and_its_options() -> None:
    class Shelf:
        def __init__(self, name: str) -> None:
            self.name = name

        @tool(read_only=True)
        @functools.cache  # noqa: B019
        def find(self, title: str, count: int = 1) -> str:
            """Find a book."""
            return f"{self.name}: {title} {count}"

    shelf = Shelf("top")
    renamed = tool(name="look_up")(shelf.find)
    assert (renamed.name, renamed.options.read_only, list(renamed.parameters["properties"])) == (
        *("look_up", True),
        ["title", "count"],
    )
    assert answer(renamed, {"title": "x"}) == "top: x 1"
    assert answer(functools.partial(shelf.find, count=2), {"title": "y"}) == "top: y 2"


def test_what_only_init_of_a_dataclass_takes_is_an_argument_of_the_tool() -> None:
    @dataclass
    class Order:
        """Order something."""

        item: str
        price: InitVar[int] = 3

    assert answer(Order, {"item": "tea", "price": "4"}) == '{"item":"tea"}'


# Methods


class Notes:
    """A class some of whose methods have the names of types."""

    @tool
    def list(self: Self) -> str:
        """List the notes."""
        return "one"

    @tool
    def find(self: Any, ids: list[int], day: date | None = None) -> str:  # type: ignore[valid-type]
        """Find notes."""
        return f"{ids} {day}"

    @tool
    def date(self) -> str:
        """Tell the date."""
        return "today"

    @tool
    def move(self, ids: list[int], to: date) -> str:  # type: ignore[valid-type]
        """Move notes."""
        return f"{ids} {to}"


def test_self_with_an_annotation_is_no_argument() -> None:  # huggingface/smolagents#681
    assert Notes().list.parameters["properties"] == {}
    assert answer(Notes().list, {}) == "one"


def test_a_method_does_not_hide_the_type_of_its_name_from_the_others() -> None:  # teng-lin/notebooklm-py#2266
    assert Notes().move.parameters["properties"] == {
        "ids": {"items": {"type": "integer"}, "type": "array"},
        "to": {"format": "date", "type": "string"},
    }
    assert answer(Notes().find, {"ids": ["1", 2]}) == "[1, 2] None"
    assert answer(Notes().move, {"ids": 1, "to": "2026-12-31"}) == "[1] 2026-12-31"


def test_a_parameter_of_the_class_itself_is_refused_by_name() -> None:
    with pytest.raises(ToolDefinitionError, match=r"tool merge: .* 'other' names Self"):

        class Shelf:
            @tool
            def merge(self, other: Self | None = None) -> str:
                """Merge two shelves."""
                return ""


def test_an_object_in_the_place_of_its_tools_is_told_what_to_pass() -> None:  # simonw/llm#1114
    given: list[Any] = [Notes()]
    with pytest.raises(ToolDefinitionError, match=r"pass these: object.list, object.find, object.date, object.move"):
        Agent(ScriptedBackend(), tools=given)
    with pytest.raises(ToolDefinitionError, match=r"is a class with tools as its methods: .* Notes\(...\)\.list"):
        Agent(ScriptedBackend(), tools=[Notes])


def test_a_pydantic_class_may_have_methods_that_are_tools() -> None:  # langchain-ai/langchain#19783
    class Shelf(BaseModel):
        model_config = ConfigDict(ignored_types=(Tool,))
        name: str

        @tool
        def show(self, count: int) -> str:
            """Show the shelf."""
            return f"{self.name} {count}"

    assert answer(Shelf(name="top").show, {"count": "2"}) == "top 2"


# What can't be an argument


def looking_ahead(word: Annotated[str, Field(pattern="^(?!x)")]) -> None:
    """Look."""


def a_class(kind: type[int]) -> None:
    """Look."""


class Matrix:
    """As numpy's arrays are, of no form that JSON has."""


def a_matrix(rows: Matrix) -> None:
    """Look."""


def final(count: Final[int] = 1) -> None:  # type: ignore[valid-type]
    """Look."""


def two_contexts(ctx: Context, context: Context[int]) -> None:
    """Look."""


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (looking_ahead, r"tool looking_ahead: the parameter 'word' .* in a pattern: look-around.* is not supported"),
        (a_class, r"tool a_class: the parameter 'kind' has a type without a JSON schema: .* a class"),
        (a_matrix, r"the parameter 'rows' has .*Matrix'>: the model writes JSON, so take numbers, texts, lists"),
        (final, r"tool final: the annotation of the parameter 'count' is not a type: typing.Final\[int\]"),
        (two_contexts, r"tool two_contexts: the parameters 'ctx' and 'context' both take the run's Context"),
    ],
)
def test_a_definition_that_no_call_could_fit_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(ToolDefinitionError, match=reason):
        tool(function)


def test_a_function_that_needs_more_than_its_hand_written_schema_has_is_refused() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    def forecast(city: str, ctx: Context) -> str:
        """Forecast the weather."""
        return f"{city}: {type(ctx).__name__}"

    with pytest.raises(ToolDefinitionError, match=r"tool forecast: the function needs 'ctx', .*context="):
        Tool("forecast", "Forecast the weather.", schema, forecast)
    assert (
        answer(Tool("forecast", "Forecast it.", schema, forecast, context="ctx"), {"city": "Oslo"}) == "Oslo: Context"
    )


def test_a_type_that_needs_a_package_names_the_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "email_validator", None)

    def write(address: EmailStr) -> None:
        """Write."""

    with pytest.raises(ToolDefinitionError, match=r"tool write: the parameter 'address' .*pydantic\[email\]"):
        tool(write)


# Aliases of other packages


def test_any_json_of_pydantic_is_a_type() -> None:
    def store(value: JsonValue, more: dict[str, JsonValue], other: JsonValue | None = None) -> str:
        """Store a value."""
        return repr((value, more, other))

    assert answer(store, {"value": {"a": [1, None]}, "more": {"b": "x"}}) == "({'a': [1, None]}, {'b': 'x'}, None)"
