"""Arguments as models write them, as the types that a tool's function takes; and what is told of others."""

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, HttpUrl, field_validator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from agentkit import Agent, Tool, tool
from agentkit.testing import ScriptedBackend
from agentkit.tooling.dates import iso_date, iso_datetime, iso_time
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context
from tests.support.growth import assert_linear

NOTHING = object()


def taken(hint: Any, value: Any, default: Any = NOTHING) -> Any:
    """What a function with a parameter of this type is called with; its outcome where it is not called."""
    received: list[Any] = []

    def take(x: Any = default) -> str:
        received.append(x)
        return "taken"

    def take_it(x: Any) -> str:
        return take(x)

    function = take_it if default is NOTHING else take
    function.__annotations__ = {"x": hint, "return": str}
    outcome = tool(name="take", description="Take it.", read_only=True)(function).answer(
        json.dumps({"x": value}), Context()
    )
    return received[0] if received else outcome


def refusal(hint: Any, value: Any) -> str:
    outcome = taken(hint, value)
    assert isinstance(outcome, Outcome)
    assert outcome.failed
    return outcome.text.removeprefix("Error: the arguments of take don't fit: ").removesuffix(
        ". Correct them and call it again."
    )


class Inner(BaseModel):
    n: int = 5


class Outer(BaseModel):
    inner: Inner
    size: Literal["Small", "Big"] = "Small"
    others: list[Inner] = []


@dataclasses.dataclass
class Data:
    n: int = 5


class Typed(TypedDict):
    a: int
    n: NotRequired[int]


class Row(NamedTuple):
    a: int
    n: int = 5


class Colour(enum.Enum):
    RED = "#f00"
    DARK_BLUE = "#00f"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


LISTS: list[Any] = [list, Sequence, deque, set, frozenset, Iterable, Collection, collections.abc.Set]


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_any_kind_are_as_lenient_as_a_list(kind: Any) -> None:
    for value in ("5", 5, [5], "[5]", '["5"]', " [5] "):
        assert list(taken(kind[int], value)) == [5], value
    assert list(taken(kind[str], "one")) == ["one"]
    assert list(taken(kind[Literal["Yes", "No"]], ["yes"])) == ["Yes"]
    assert refusal(kind[int], ["a"]).startswith("x[0]: expected a valid integer")
    assert refusal(kind[int], "a") == 'x: expected a valid array, got "a"'
    assert taken(kind[int] | None, "null") is None


def test_tuples_and_mappings_of_any_kind_are_read_from_json_text() -> None:
    assert taken(tuple[int, str], '[1, "a"]') == (1, "a")
    assert taken(tuple[int, ...], "5") == (5,)
    for kind in (dict, Mapping, MutableMapping, OrderedDict, defaultdict):
        assert taken(kind[str, int], '{"a": "1"}') == {"a": 1}
        assert refusal(kind[str, int], {"a": None}) == "x.a: expected a valid integer, got null"
    assert taken(Counter[str], '{"a": 1}') == Counter(a=1)


def test_an_iterable_is_validated_before_the_function_runs() -> None:
    assert taken(Iterable[int], ["1", 2]) == [1, 2]
    assert taken(Iterable, 1) == [1]
    assert refusal(Annotated[Iterable[int], Field(description="Numbers.")], ["a"]).startswith("x[0]: expected")


@pytest.mark.parametrize(
    ("hint", "value", "right"),
    [
        (Literal[1, 2, 3], "2", 2),
        (Literal[1, 2, 3], " 2.0 ", 2),
        (Literal[True], "true", True),
        (Literal[True, False], "No", False),
        (Literal["yes", "no"], "Yes", "yes"),
        (Literal["yes", "no"], '"no" ', "no"),
        (Literal["in progress", "done"], "IN_PROGRESS", "in progress"),
        (Literal["1", "2"], 1, "1"),
        (Literal["a", "A"], "A", "A"),
        (Literal["a"] | None, "none", None),
        (Literal[None, "x"], "null", None),
        (Literal[Colour.RED], "#f00", Colour.RED),
        (Literal[Colour.RED], "red", Colour.RED),
        (Colour, "RED", Colour.RED),
        (Colour, "dark-blue", Colour.DARK_BLUE),
        (Colour, "Colour.RED", Colour.RED),
        (Colour, "#F00", Colour.RED),
        (list[Colour], '["red"]', [Colour.RED]),
        (dict[str, Colour], {"a": "red"}, {"a": Colour.RED}),
        (Level, "HIGH", Level.HIGH),
        (Level, "2", Level.HIGH),
        (Level | None, "", None),
    ],
)
def test_of_listed_values_the_one_that_is_meant_is_taken(hint: Any, value: Any, right: Any) -> None:
    found = taken(hint, value)
    assert found == right
    assert type(found) is type(right)


def test_a_listed_value_that_may_be_one_of_two_is_told() -> None:
    assert refusal(Literal["Ab", "aB"], "ab") == "x: expected 'Ab' or 'aB', got \"ab\""
    assert refusal(Literal[1, 2], "9") == 'x: expected 1 or 2, got "9"'
    assert refusal(Colour, "green") == "x: expected '#f00' or '#00f', got \"green\""


@pytest.mark.parametrize(
    ("hint", "value", "right"),
    [
        (Inner, {"n": None}, Inner()),
        (Inner, '{"n": null}', Inner()),
        (Inner, "{'n': '3'}", Inner(n=3)),
        (Inner | None, {"n": None}, Inner()),
        (Inner | list[Inner], {"n": None}, Inner()),
        (list[Inner] | Inner, [{"n": None}], [Inner()]),
        (list[Inner], '{"n": 1}', [Inner(n=1)]),
        (list[Inner], ['{"n": "4"}', {"n": None}], [Inner(n=4), Inner()]),
        (dict[str, Inner], {"k": {"n": "null"}}, {"k": Inner()}),
        (
            Outer,
            {"inner": "{}", "size": "big", "others": '{"n": "2"}'},
            Outer(inner=Inner(), size="Big", others=[Inner(n=2)]),
        ),
        (Outer, json.dumps({"inner": {"n": None}, "size": None}), Outer(inner=Inner())),
        (Data, {"n": None}, Data()),
        (Data | None, "None", None),
        (Typed, {"a": 1, "n": None}, {"a": 1}),
        (Row, {"a": 1, "n": None}, Row(1)),
        (Row, '{"a": 1}', Row(1)),
        (Row, "[1]", Row(1)),
    ],
)
def test_models_are_read_from_json_text_and_null_is_the_default_at_any_depth(hint: Any, value: Any, right: Any) -> None:
    assert taken(hint, value) == right


def test_a_whole_that_was_encoded_twice_is_read() -> None:
    @tool
    def save(place: Inner, names: list[str]) -> str:
        """Save it."""
        return f"{place.n} {names}"

    written = json.dumps(json.dumps({"place": json.dumps({"n": "3"}), "names": '["a"]'}))
    assert save.answer(written, Context()).text == "3 ['a']"


@pytest.mark.parametrize(
    ("hint", "value", "right"),
    [
        (int, "1e3", 1000),
        (int | None, "null", None),
        (int | None, "", None),
        (float | None, "None", None),
        (list[int] | None, "", None),
        (int | str, "5", "5"),
        (str | None, "null", "null"),
        (str | None, "", ""),
        (bool, "yes", True),
        (bool, 0, False),
        (decimal.Decimal, "2.50", decimal.Decimal("2.50")),
        (datetime.date, "2026/01/02", datetime.date(2026, 1, 2)),
        (datetime.date, "20260102", datetime.date(2026, 1, 2)),
        (datetime.date, "Friday, 2 January 2026", datetime.date(2026, 1, 2)),
        (datetime.datetime, "Jan 2nd, 2026 at 3:04 PM", datetime.datetime(2026, 1, 2, 15, 4)),
        (datetime.datetime, "20260102", datetime.datetime(2026, 1, 2)),
        (datetime.time, "3pm", datetime.time(15)),
        (list[datetime.date], "2 Jan 2026", [datetime.date(2026, 1, 2)]),
    ],
)
def test_other_forms_of_a_value_are_taken_where_nothing_is_lost(hint: Any, value: Any, right: Any) -> None:
    found = taken(hint, value)
    assert found == right
    assert type(found) is type(right)


def test_null_and_its_words_are_the_default_but_not_of_a_text() -> None:
    assert taken(int, None, default=7) == 7
    assert taken(int, "null", default=7) == 7
    assert taken(str, "null", default="d") == "null"
    assert isinstance(taken(int, "", default=7), Outcome)


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (int, "1,000", "x: expected a valid integer"),
        (float, "1,5", "x: expected a valid number, unable to parse string as a number (write only digits"),
        (decimal.Decimal, "1,000", "x: expected a valid decimal (write only digits"),
        (int, "3.5", "x: expected a valid integer"),
        (bool, "maybe", "x: expected a valid boolean"),
        (datetime.date, "01/02/2026", "x: expected a valid date"),
        (datetime.date, "2026-01-02T10:00:00", "x: datetimes provided to dates should have zero time"),
        (datetime.date, "30 Feb 2026", "x: expected a valid date"),
        (datetime.time, "3", "x: expected in a valid time format"),
        (list[Inner], '[{"n": "x"}]', "x[0].n: expected a valid integer"),
        (Inner, {"n": [None]}, "x.n: expected a valid integer"),
        (Annotated[str, Field(min_length=3)], "a", 'x: string should have at least 3 characters, got "a"'),
        (Annotated[int, Field(ge=1)], 0, "x: expected greater than or equal to 1, got 0"),
        (HttpUrl, "x", "x: expected a valid URL"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_told(hint: Any, value: Any, says: str) -> None:
    assert refusal(hint, value).startswith(says)


# Validators


def with_at(value: str) -> str:
    if "@" not in value:
        raise ValueError("no @ in it")
    return value


def custom(value: str) -> str:
    raise PydanticCustomError("shop_closed", "the shop {name} is closed", {"name": value})


def silent(value: str) -> str:
    raise ValueError


def careless(value: Any) -> Any:
    return value["key"]


class Range(BaseModel):
    low: int
    high: int

    @field_validator("low")
    @classmethod
    def positive(cls, value: int) -> int:
        if value <= 0:
            raise AssertionError("low must be above 0")
        return value

    @model_validator(mode="after")
    def ordered(self) -> "Range":
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (Annotated[str, AfterValidator(with_at)], "bob", 'x: no @ in it (got "bob")'),
        (Annotated[str, AfterValidator(custom)], "bob", 'x: the shop bob is closed (got "bob")'),
        (Annotated[str, AfterValidator(silent)], "bob", 'x: is not valid (got "bob")'),
        (Annotated[str, BeforeValidator(careless)], 3, "TypeError: 'int' object is not subscriptable"),
        (Range, {"low": 3, "high": 2}, 'x: low must not be above high (got {"low": 3, "high": 2})'),
        (Range, {"low": "0", "high": 2}, 'x.low: low must be above 0 (got "0")'),
        (list[Annotated[str, AfterValidator(with_at)]], ["a@b", "c"], 'x[1]: no @ in it (got "c")'),
    ],
)
def test_the_words_of_a_validator_are_told_as_they_are(hint: Any, value: Any, says: str) -> None:
    assert refusal(hint, value) == says


def test_a_validator_that_fails_does_not_end_a_run_that_asks_for_approval() -> None:
    @tool(approve=lambda values: True)
    def send(x: Annotated[str, BeforeValidator(careless)]) -> str:
        """Send it."""
        return x

    result = Agent(ScriptedBackend(("send", {"x": 3}), "Done."), tools=[send]).run("Go.")
    assert "TypeError" in result.tool_calls[0].response
    assert result.output == "Done."


# Hand-written schemas

HAND = Tool(
    "take",
    "Take it.",
    {
        "type": "object",
        "properties": {
            "number": {"enum": [1, 2]},
            "answer": {"enum": ["Yes", "No"]},
            "flag": {"const": True},
            "place": {
                "anyOf": [{"type": "object", "properties": {"n": {"type": "integer"}}}, {"type": "null"}],
            },
            "places": {"type": "array", "items": {"$ref": "#/$defs/place"}},
            "maybe": {"type": ["integer", "null"]},
        },
        "$defs": {"place": {"type": "object", "properties": {"open": {"type": "boolean"}}}},
    },
    lambda **values: json.dumps(values),
    read_only=True,
)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ({"number": "2"}, {"number": 2}),
        ({"answer": "yes"}, {"answer": "Yes"}),
        ({"flag": "true"}, {"flag": True}),
        ({"place": {"n": None}}, {"place": {}}),
        ({"place": '{"n": "3"}'}, {"place": {"n": 3}}),
        ({"places": {"open": "true"}}, {"places": [{"open": True}]}),
        ({"places": '[{"open": "no"}]'}, {"places": [{"open": False}]}),
        ({"maybe": "null"}, {"maybe": None}),
        ({"maybe": "7"}, {"maybe": 7}),
        ({"answer": None}, {}),
    ],
)
def test_a_hand_written_schema_is_as_lenient(written: dict[str, Any], right: dict[str, Any]) -> None:
    assert json.loads(HAND.answer(json.dumps(written), Context()).text) == right


def test_what_does_not_fit_a_hand_written_schema_is_told_where_it_stands() -> None:
    assert "number: '7' is not one of [1, 2]" in HAND.answer('{"number": "7"}', Context()).text
    assert "place.n: 'x' is not of type 'integer'" in HAND.answer('{"place": {"n": "x"}}', Context()).text


# Any value

HINTS: list[Any] = [
    *(Outer, list[Inner], Row, Typed, Data, Colour, Level, Literal[1, "a", True, None], dict[str, list[Colour]]),
    *(int | None, list[int] | str, Inner | list[Inner] | None, datetime.datetime, datetime.date, tuple[int, str], bool),
]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["null", "[1", '{"n":null}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n", "a", "inner", "size"]), inner),
    max_leaves=6,
)


@given(st.sampled_from(HINTS), ANY)
def test_any_value_is_taken_or_refused_in_a_sentence(hint: Any, value: Any) -> None:
    found = taken(hint, value)
    if isinstance(found, Outcome):
        assert found.text.startswith("Error: the arguments of take don't fit: x")


@given(ANY)
def test_a_value_that_fits_is_not_changed(value: Any) -> None:
    assert taken(Any, value) == value
    assert HAND.answer(json.dumps({"other": value}), Context()).text == json.dumps({"other": value})


@pytest.mark.parametrize("hint", [list[int], list[Literal[1, 2]], list[Inner], dict[str, int]])
def test_many_wrong_values_are_read_in_linear_time(hint: Any) -> None:
    def read(size: int) -> None:
        wrong = {str(number): "x" for number in range(size)}
        taken(hint, wrong if hint == dict[str, int] else list(wrong.values()))

    assert_linear(read, 4000)


@given(st.text() | st.from_regex(r"[0-9:/., \-TZapmJanFebd]{0,30}"))
def test_a_text_is_a_date_or_none(text: str) -> None:
    day, moment, time = iso_date(text), iso_datetime(text), iso_time(text)
    assert day is None or datetime.date.fromisoformat(day)
    assert moment is None or datetime.datetime.fromisoformat(moment)
    assert time is None or datetime.time.fromisoformat(time)
