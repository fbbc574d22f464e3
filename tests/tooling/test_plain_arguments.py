"""Arguments of plain types are described and read without pydantic, exactly as pydantic does."""

import inspect
import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Optional

import pytest

from agentkit import tool
from agentkit.errors import ArgumentsError
from agentkit.tooling.argument_readers import signature_reader
from agentkit.tooling.plain_arguments import PlainArguments
from agentkit.tooling.schema import of_parameters
from tests.support.imports import loaded_by

HINTS: list[Any] = [
    str,
    int,
    float,
    bool,
    list[str],
    list[int],
    list[float],
    list[list[bool]],
    str | None,
    None | int,
    Optional[float],  # noqa: UP045 - the older way of writing it is another type
    list[str] | None,
    list[int | None],
    Literal["celsius", "fahrenheit"],
    Literal["only"],
    Literal["a", "b"] | None,
    Annotated[str, "Of the city."],
    Annotated[list[int], " "],
]
VALUES: list[Any] = [
    *("", "word", "5", "5.0", "true", "Ünïcode 中", "half \ud800", "celsius", "only", "a", "null", "[1, 2]"),
    *(0, 1, -7, 2**53, 2**53 + 1, 10**30, 1.0, 1.5, -0.0, 1e300, float("inf"), float("nan"), True, False, None),
    *([], ["a"], ["a", 1], [1, 2], [1.5, 2], [True], [[True], [False]], [None, 1], [[1]], {}, {"a": 1}),
]


def _arguments(hint: Any, default: Any, documented: str | None) -> list[tuple[inspect.Parameter, Any, str | None]]:
    kind = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("first", kind, default=default)
    return [(first, hint, documented), (inspect.Parameter("then", kind, default="x"), str, None)]


def _plain(arguments: Iterable[tuple[inspect.Parameter, Any, str | None]]) -> PlainArguments | None:
    def never() -> Any:
        raise AssertionError

    plain = PlainArguments(never)
    return plain if all(plain.add(*each) for each in arguments) else None


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_plain_type_has_the_schema_of_pydantic(hint: Any) -> None:
    for default in (inspect.Parameter.empty, *VALUES):
        for documented in (None, "Of the place."):
            arguments = _arguments(hint, default, documented)
            plain = _plain(arguments)
            schema, _, names = of_parameters(arguments, "look_up")
            if plain is None:
                assert default is not inspect.Parameter.empty
                continue
            assert json.dumps(plain.schema()) == json.dumps(schema)
            assert plain.names == names


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_value_that_fits_is_the_one_of_pydantic(hint: Any) -> None:
    arguments = _arguments(hint, inspect.Parameter.empty, None)
    schema, adapter, names = of_parameters(arguments, "look_up")
    read = signature_reader(adapter, schema, names)
    plain = _plain(arguments)
    assert plain is not None
    fitting = 0
    for value in VALUES:
        given = {"first": value, "other": 1}
        values = plain.values(given)
        if values is None:
            continue
        fitting += 1
        expected, _ = read(json.dumps(given))
        assert json.dumps(values) == json.dumps(expected)
        assert [type(each) for each in values.values()] == [type(each) for each in expected.values()]
    assert fitting


def _misfit(first: int, names: list[str], scale: float = 1.5, unit: Literal["c", "f"] = "c") -> str:
    """Look it up."""
    return f"{first!r} {names!r} {scale!r} {unit!r}"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('{"first": 1, "names": ["a"]}', "1 ['a'] 1.5 'c'"),
        ('{"first": "1", "names": "a", "scale": "2"}', "1 ['a'] 2.0 'c'"),
        ('{"first": 1.0, "names": "[\\"a\\"]", "scale": 3, "unit": "F"}', "1 ['a'] 3.0 'f'"),
    ],
)
def test_what_does_not_fit_is_coerced_as_before(written: str, found: str) -> None:
    assert _misfit(**tool(_misfit).values(written)) == found


def test_what_cannot_be_coerced_is_said_as_before() -> None:
    plain = tool(_misfit)
    with pytest.raises(ArgumentsError, match=r"first: expected a valid integer.*names: is missing"):
        plain.values('{"first": "many"}')


PROGRAM = """
from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

@tool
def look_up(topic: str, count: int = 3, tags: list[str] | None = None) -> str:
    '''Look a topic up.

    Args:
        topic: What to look up.
    '''
    return topic * count

backend = ScriptedBackend([("look_up", ARGUMENTS)], "Done.")
result = Agent(backend, tools=[look_up]).run("Hello")
print(result.tool_calls[0].response)
"""


def _loads(arguments: str) -> tuple[str, set[str]]:
    shown, loaded = loaded_by(PROGRAM.replace("ARGUMENTS", arguments))
    return shown.strip(), loaded


def test_a_program_with_plain_tools_does_not_load_pydantic() -> None:
    shown, loaded = _loads('{"topic": "tide", "tags": ["sea"]}')
    assert shown == "tidetidetide"
    assert not {"pydantic", "pydantic_core", "jsonschema", "openai", "json_repair", "griffe"} & loaded


def test_pydantic_is_loaded_for_the_first_argument_that_needs_it() -> None:
    shown, loaded = _loads('{"topic": "tide", "count": "2"}')
    assert shown == "tidetide"
    assert "pydantic" in loaded


def _odd(*names: str) -> None:
    """Look it up."""


def _keyed(**names: str) -> None:
    """Look it up."""


def _mapped(names: dict[str, int]) -> None:
    """Look it up."""


def _untyped(names) -> None:  # type: ignore[no-untyped-def]
    """Look it up."""


@pytest.mark.parametrize("function", [_odd, _keyed, _mapped, _untyped])
def test_other_arguments_are_pydantics(function: Callable[..., Any]) -> None:
    parameter = next(iter(inspect.signature(function).parameters.values()))
    hint = Any if parameter.annotation is parameter.empty else parameter.annotation
    assert _plain([(parameter, hint, None)]) is None
    assert tool(function).parameters["type"] == "object"
