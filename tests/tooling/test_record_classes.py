"""Classes of attrs and msgspec as types of arguments: litestar-org/litestar#1487, msgspec/msgspec#345."""

from datetime import date
from typing import Any

import attrs
import pytest

from agentkit import Agent, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend


def in_metres(text: str) -> float:
    return float(text.removesuffix("m"))


@attrs.define
class Leg:
    day: date
    kilometres: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@attrs.define
class Journey:
    """A journey.

    Attributes:
        start: Where it begins.
    """

    start: str
    legs: "list[Leg]" = attrs.Factory(list)
    _secret: str | None = attrs.field(default=None, alias="secret")
    height: float = attrs.field(default="0m", converter=in_metres)  # type: ignore[assignment]
    count: int = attrs.field(init=False, default=0)


@tool
def book(journey: Journey, others: list[Journey] = [], spare: Journey | None = None) -> str:  # noqa: B006
    """Book a journey."""
    return repr((journey, others, spare))


def answer(arguments: dict[str, Any]) -> str:
    return str(Agent(ScriptedBackend(("book", arguments), "ok"), tools=[book]).run("q").tool_calls[0].response)


def test_the_model_sees_the_fields_that_a_class_is_made_from() -> None:
    described = book.parameters["$defs"]["Journey"]
    assert described["description"] == "A journey."
    assert described["properties"]["start"] == {"type": "string", "description": "Where it begins."}
    assert list(described["properties"]) == ["start", "legs", "secret", "height"]
    assert described["properties"]["height"] == {"type": "string", "default": "0m"}
    assert described["required"] == ["start"]
    assert book.parameters["$defs"]["Leg"]["properties"]["kilometres"]["default"] == 1


def test_the_function_gets_instances_with_converted_values_at_any_depth() -> None:
    legs = [{"day": "2026-01-02", "kilometres": "3"}]
    expected = Journey("Oslo", [Leg(date(2026, 1, 2), 3)], secret="s", height="3m")
    assert answer({"journey": {"start": "Oslo", "legs": legs, "secret": "s", "height": "3m"}}) == repr(
        (expected, [], None)
    )
    one = Journey("Bergen")
    assert answer({"journey": '{"start": "Bergen"}', "others": {"start": "Bergen"}, "spare": "null"}) == repr(
        (one, [one], None)
    )


@pytest.mark.parametrize(
    ("journey", "words"),
    [
        (
            {"start": "a", "legs": [{"day": "2026-01-02", "kilometres": -1}]},
            "legs[0]: 'kilometres' must be >= 0",
        ),
        ({"start": "a", "height": "high"}, "could not convert"),
        ({}, "journey.start"),
        ({"start": "a", "hieght": "1m"}, "no argument 'journey.hieght' (nearest: 'height')"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(journey: dict[str, Any], words: str) -> None:
    assert words in answer({"journey": journey})


def test_an_answer_may_be_an_instance() -> None:
    result = Agent(ScriptedBackend('{"day": "2026-01-02"}')).run("When?", output=Leg)
    assert result.output == Leg(date(2026, 1, 2))


@attrs.define
class Tree:
    branches: "list[Tree]"


def test_a_class_that_refers_to_itself_is_an_error_that_says_so() -> None:
    def plant(tree: Tree) -> None:
        """Plant a tree."""

    with pytest.raises(ToolDefinitionError, match="the type Tree refers to itself"):
        tool(plant)


class Struct:
    """As msgspec makes one."""

    __struct_fields__ = ("x", "y", "z")
    __struct_defaults__ = (3, object())
    x: int
    y: int
    z: "list[int]"

    def __init__(self, x: int, y: int = 3, z: list[int] | None = None) -> None:
        self.x, self.y, self.z = x, y, z or []


def test_a_struct_of_msgspec_is_one_too() -> None:
    @tool
    def add(values: Struct) -> str:
        """Add."""
        return str([values.x, values.y, values.z])

    assert add.parameters["$defs"]["Struct"]["required"] == ["x"]
    run = Agent(ScriptedBackend(("add", {"values": {"x": "1", "z": "2"}}), "ok"), tools=[add]).run("q")
    assert run.tool_calls[0].response == "[1, 3, [2]]"
