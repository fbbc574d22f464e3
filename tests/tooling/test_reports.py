"""Situations that users of other projects have reported: odd parameters of tools, and odd arguments of calls."""

import dataclasses
import datetime
import enum
import gzip
import json
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType

from agentkit import Agent, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend
from agentkit.tools import Context


def answer(function: Any, arguments: Any) -> str:
    """What the model is told of a call of a tool with an effect; arguments: JSON, or its text."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    made = function if isinstance(function, Tool) else tool(function)
    call = {"id": "c", "type": "function", "function": {"name": made.name, "arguments": text}}
    agent = Agent(ScriptedBackend({"tool_calls": [call]}, "Done."), tools=[made])
    return agent.run("Call it.").tool_calls[0].response


# pydantic/pydantic#10629: an enum whose values are tuples can't be read from JSON


class Way(enum.Enum):
    NORTH = (0, 1)
    EAST = (1, 0)


class Day(enum.Enum):
    FIRST = datetime.date(2026, 1, 1)
    LAST = datetime.date(2026, 12, 31)


class Codec(enum.Enum):
    PLAIN = ("plain", open)
    ZIPPED = ("zipped", gzip.open)


class Side(enum.Enum):
    LEFT = (-1, 0)
    RIGHT = (1, 0)

    @classmethod
    def _missing_(cls, value: object) -> "Side | None":
        return cls.LEFT if value == "port" else None


@tool
def walk(way: Way, day: Day = Day.FIRST, codecs: list[Codec] | None = None) -> str:
    """Walk on."""
    return f"{way} {day} {codecs}"


def test_an_enum_whose_values_json_does_not_have_is_offered_and_taken_by_its_names() -> None:
    assert walk.parameters["properties"]["way"] == {"enum": ["NORTH", "EAST"], "type": "string"}
    assert walk.parameters["properties"]["day"]["default"] == "FIRST"
    assert answer(walk, {"way": "EAST"}) == "Way.EAST Day.FIRST None"
    assert answer(walk, {"way": "north", "day": "last", "codecs": ["ZIPPED"]}).startswith(
        "Way.NORTH Day.LAST [<Codec.ZIPPED: ('zipped', <function open"
    )
    assert answer(walk, {"way": [1, 0], "day": "2026-12-31"}) == "Way.EAST Day.LAST None"
    assert "way: expected 'NORTH' or 'EAST' (got \"south\")" in answer(walk, {"way": "south"})


class Wait(datetime.timedelta, enum.Enum):
    NONE = 0
    DAY = 1


class Case(enum.Enum):
    a = (1,)
    A = (2,)


def test_the_names_of_an_enum_stand_for_their_own_members() -> None:
    def act(wait: Wait, case: Case) -> str:
        """Act."""
        return f"{wait.name} {case.name}"

    assert answer(act, {"wait": "NONE", "case": "a"}) == "NONE a"
    assert answer(act, {"wait": "none", "case": "A"}) == "NONE A"


def test_what_an_enum_takes_itself_is_taken() -> None:
    def turn(side: Side) -> str:
        """Turn."""
        return side.name

    assert answer(turn, {"side": "port"}) == "LEFT"
    assert answer(turn, {"side": "right"}) == "RIGHT"
    assert "expected 'LEFT' or 'RIGHT'" in answer(turn, {"side": "starboard"})


class Colour(enum.Enum):
    GREY = "grey"
    GRAY = "grey"  # noqa: PIE796 - a second name
    RED = "red"


def test_a_value_of_an_enum_is_in_the_schema_once() -> None:  # huggingface/smolagents#2639
    def paint(colour: Colour) -> str:
        """Paint it."""
        return colour.name

    assert tool(paint).parameters["$defs"]["Colour"]["enum"] == ["grey", "red"]
    assert answer(paint, {"colour": "GRAY"}) == "GREY"


# UKGovernmentBEIS/inspect_ai#5257, lidatong/dataclasses-json#281: fields that `__init__` does not take, and its own


@dataclass
class Order:
    item: str
    price: InitVar[int]
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self, price: int) -> None:
        self.total = price * 2


def test_what_only_init_takes_is_an_argument_and_what_a_class_sets_itself_is_none() -> None:
    def order(order: Order) -> str:
        """Order it."""
        return repr(order)

    made = tool(order)
    assert set(made.parameters["$defs"]["Order"]["properties"]) == {"item", "price"}
    assert answer(made, {"order": {"item": "tea", "price": "3"}}) == "Order(item='tea', total=6)"
    assert "no argument 'order.total'" in answer(made, {"order": {"item": "tea", "price": 3, "total": 1}})


@pydantic.dataclasses.dataclass
class Reference:
    source: int = Field(alias="from")
    to: int = 3


@dataclass
class Plain:
    source: Annotated[int, Field(alias="from")]
    to: int = 3


@pytest.mark.parametrize("kind", [Reference, Plain])
def test_a_field_of_a_dataclass_is_known_by_its_alias(kind: Any) -> None:  # Sema4AI/actions#70
    def link(link: Any) -> str:
        """Link it."""
        return f"{link.source} {link.to}"

    link.__annotations__["link"] = kind
    assert answer(link, {"link": {"from": 1}}) == "1 3"
    assert "no argument 'link.too'" in answer(link, {"link": {"from": 1, "too": 2}})


class Search(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    user_name: str
    max_results: int = 5


@pydantic.dataclasses.dataclass(config=ConfigDict(alias_generator=to_camel))
class SearchByDataclass:
    user_name: str
    max_results: int = 5


@pytest.mark.parametrize("kind", [Search, SearchByDataclass])
def test_a_name_that_pydantic_does_not_read_is_told(kind: Any) -> None:  # pydantic/pydantic#10272
    """Before, the value was dropped, and the call made with the default."""

    def find(search: Any) -> str:
        """Find it."""
        return f"{search.user_name} {search.max_results}"

    find.__annotations__["search"] = kind
    told = "(nearest: 'maxResults'); search takes userName, maxResults"
    assert f"'search.max_results' {told}" in answer(find, {"search": {"userName": "a", "max_results": 3}})
    assert answer(find, {"search": {"userName": "a", "maxResults": 3}}) == "a 3"
    made = tool(description="Find it.")(kind)
    assert "'max_results' (nearest: 'maxResults')" in answer(made, {"userName": "a", "max_results": 3})


class Wish(BaseModel):
    item: str
    count: int = 1


def order(order: Wish) -> str:
    """Order it."""
    return repr(order)


def order_if_any(order: Wish | None = None) -> str:
    """Order it."""
    return repr(order)


def order_with_more(order: Wish | None = None, **more: Any) -> str:
    """Order it."""
    return repr((order, more))


@pytest.mark.parametrize("function", [order, order_if_any])
def test_an_object_that_is_the_only_argument_may_be_written_in_its_place(function: Any) -> None:
    """cabout-me/gramps-mcp#25, PrefectHQ/fastmcp#1784: clients sent the fields, and every call failed."""
    assert answer(function, {"item": "tea", "count": "2"}) == "Wish(item='tea', count=2)"
    assert answer(function, {"order": {"item": "tea"}}) == "Wish(item='tea', count=1)"
    assert "no argument 'price'" in answer(function, {"item": "tea", "price": 3})
    assert "no argument 'count'" in answer(function, {"count": 3})
    assert answer(order_with_more, {"item": "tea"}) == "(None, {'item': 'tea'})"


class Listing(BaseModel):
    status: str = "open"
    count: int = 20


def test_no_arguments_are_an_object_of_which_nothing_is_required() -> None:  # GitGuardian/ggmcp#206
    def list_issues(params: Listing) -> str:
        """List issues."""
        return f"{params.status} {params.count}"

    assert answer(list_issues, {}) == "open 20"
    assert "order: is missing" in answer(order, {})
    assert answer(order_if_any, {}) == "None"


def test_an_object_of_one_of_several_kinds_may_be_written_in_its_place() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"] = "cat"
        lives: int = 9

    class Dog(BaseModel):
        kind: Literal["dog"] = "dog"

    @tool
    def keep(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> str:
        """Keep a pet."""
        return repr(pet)

    assert answer(keep, {"kind": "cat", "lives": "7"}) == "Cat(kind='cat', lives=7)"
    assert answer(keep, {"kind": "dog"}) == "Dog(kind='dog')"
    assert "pet: is missing" in answer(keep, {})
    assert "no argument 'age'" in answer(keep, {"kind": "cat", "age": 3})


def test_an_object_of_a_hand_written_schema_may_be_written_in_its_place() -> None:
    body = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    made = Tool("send", "Send it.", {"type": "object", "properties": {"body": body}, "required": ["body"]}, repr_of)
    assert answer(made, {"a": "1"}) == "{'body': {'a': 1}}"


def repr_of(**values: Any) -> str:
    return repr(values)


Nested = TypeAliasType("Nested", "int | list[Nested]")


def test_an_alias_that_names_itself_is_a_type() -> None:  # BasisResearch/effectful#761
    def total(numbers: Nested) -> str:
        """Add up."""
        return repr(numbers)

    assert answer(total, {"numbers": [1, [2, [3]]]}) == "[1, [2, [3]]]"
    assert "Error" in answer(total, {"numbers": [1, ["x"]]})


class Holder(BaseModel):
    rows: "list[NowhereDefined]" = []  # type: ignore[name-defined]  # noqa: F821


def test_a_class_that_is_not_there_yet_is_named() -> None:  # langchain-ai/langchain#39099
    def fill(name: str, holder: Holder) -> str:
        """Fill it."""
        return name

    with pytest.raises(ToolDefinitionError, match=r"'holder' .*NowhereDefined.* define it above the tool"):
        tool(fill)


def test_a_parameter_without_a_json_schema_is_named() -> None:
    def each(items: list[int], work: Callable[[int], int]) -> str:
        """Do it."""
        return ""

    with pytest.raises(ToolDefinitionError, match="the parameter 'work'"):
        tool(each)


def test_the_stars_of_a_secret_are_no_default_that_a_model_could_send_back() -> None:
    def log_in(user: str = "me", password: SecretStr = SecretStr("hunter2")) -> str:  # noqa: B008
        """Log in."""
        return password.get_secret_value()

    made = tool(log_in)
    assert "default" not in made.parameters["properties"]["password"]
    assert made.parameters["properties"]["user"]["default"] == "me"
    assert answer(made, {}) == "hunter2"


# agno-agi/agno#6302, NousResearch/hermes-agent#83937: models and servers that write no object for no arguments


@pytest.mark.parametrize("nothing", ["", " ", "null", "None", "[]", '""', "{}"])
def test_what_stands_for_no_arguments_is_none(nothing: str) -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    def at(place: str) -> str:
        """Tell the time of a place."""
        return place

    assert answer(now, nothing) == "noon"
    assert "place: is missing" in answer(at, nothing)


@pytest.mark.parametrize("something", ["[1]", "0", "false", '"x"', "[{}]"])
def test_what_stands_for_something_else_is_told(something: str) -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    assert "the arguments must be a JSON object" in answer(now, something)


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


def test_the_key_that_tells_classes_apart_is_read_as_leniently_as_any_listed_value() -> None:
    def draw(shape: Annotated[Square | Circle, Field(discriminator="kind")]) -> str:
        """Draw it."""
        return repr(shape)

    assert answer(draw, {"shape": {"kind": "Circle", "radius": "2"}}) == "Circle(kind='circle', radius=2.0)"
    assert "'square', 'circle'" in answer(draw, {"shape": {"kind": "cube", "radius": 2}})
    assert answer(draw, {"shape": '{"kind": " square", "side": 1}'}) == "Square(kind='square', side=1.0)"


# The words for wrong arguments: only what is wrong, as the model wrote it


class Span(BaseModel):
    first: int
    last: int

    @model_validator(mode="after")
    def in_order(self) -> "Span":
        if self.first > self.last:
            raise ValueError("it ends before it begins")
        return self


@tool
def read(span: Span, pages: list[int], title: str = "") -> str:
    """Read a part."""
    return "read"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"span": {"first": "1", "last": "2"}, "pages": "x"}, 'pages: expected a valid array, got "x"'),
        ({"span": {"first": "3", "last": "2"}, "pages": 4}, "span: it ends before it begins"),
        ({"span": {"first": "3", "last": "4"}, "pages": [1, "b"]}, "pages[1]: expected a valid integer"),
        ({"span": '{"first": "a", "last": "4"}', "pages": 4}, "span.first: expected a valid integer"),
    ],
)
def test_what_was_understood_is_not_told_as_wrong(arguments: dict[str, Any], told: str) -> None:
    said = read.answer(json.dumps(arguments), Context()).text.removeprefix("Error: the arguments of read don't fit: ")
    assert said.startswith(told)
    assert "; " not in said
