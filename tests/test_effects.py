"""Before a tool with an effect runs it is certain what was asked for, and after it ran it is never told as undone."""

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, model_validator

from agentkit import Agent, Tool, tool
from agentkit.event import ToolRecord
from agentkit.testing import ScriptedBackend
from tests.support.growth import assert_linear

ran: list[Any] = []
NAMES = st.sampled_from(["to", "subject", "arguments", "name", "send", "input", "recipient", "", "kwargs"])


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@tool
def send(to: str = "nobody", subject: str = "") -> str:
    """Send the report to somebody."""
    ran.append((to, subject))
    return f"sent to {to}"


@tool(read_only=True)
def look_up(topic: str = "all") -> str:
    """Look something up."""
    ran.append(topic)
    return f"about {topic}"


def schema(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), **more}


TEXT = {"type": "string"}


def by_hand(parameters: Mapping[str, Any], **options: Any) -> Tool[..., str]:
    def run(**values: Any) -> str:
        ran.append(values)
        return "done"

    return Tool("send", "Send it.", parameters, run, **options)


def answer(called: Tool[..., Any] | Callable[..., Any], arguments: Any) -> ToolRecord:
    """The record of one call in a run."""
    name = called.name if isinstance(called, Tool) else called.__name__
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": written}}
    result = Agent(ScriptedBackend({"tool_calls": [call]}, "Done."), tools=[called]).run("Go.")
    assert result.output == "Done."
    return result.tool_calls[0]


# Names that a tool does not have


@pytest.mark.parametrize(
    "arguments",
    [
        {"recipient": "bob"},
        {"To": "bob"},
        {"to_": "bob", "subject": "x"},
        {"to": None, "recipient": "bob"},
        {"to": "bob", "title": "Hello"},
        {"recipient": {"to": "bob"}},
        {"input": "bob"},
        {"arguments": ["bob"]},
        {"arguments": "bob"},
        {"arguments": {"to": "bob"}, "subject": "x"},
        {"name": "another", "arguments": {"to": "bob", "subject": "x"}},
        {"name": "send", "arguments": {"to": "bob"}, "cwd": "/"},
        {"search": {"to": "bob"}},
        {"": "bob"},
    ],
)
def test_no_default_stands_in_for_an_argument_of_another_name(arguments: Any) -> None:
    record = answer(send, arguments)
    assert ran == []
    assert record.error is not None
    assert "it has no argument " in record.response
    assert "; it takes to, subject. Correct them and call it again." in record.response


def test_the_nearest_name_that_is_not_given_is_told() -> None:
    assert "no argument 'subjekt' (nearest: 'subject')" in answer(send, {"to": "bob", "subjekt": "x"}).response
    assert "no argument 'too' (nearest: 'to')" in answer(send, {"too": "bob"}).response


def test_unknown_names_are_ignored_where_every_parameter_is_given() -> None:
    record = answer(send, {"to": "bob", "subject": "x", "why": "because"})
    assert record.response == "sent to bob\n(ignored, since send has no such arguments: why; it takes to, subject)"


def test_unknown_names_are_ignored_where_a_tool_has_no_defaults() -> None:
    @tool
    def drop(path: str) -> str:
        """Drop it."""
        return f"dropped {path}"

    assert answer(drop, {"path": "a", "why": "x"}).response.startswith("dropped a\n(ignored")
    missing = answer(drop, {"file": "a"})
    assert "path: is missing; it has no argument 'file' (nearest: 'path'); it takes path" in missing.response


def test_a_read_only_tool_goes_on_and_says_what_it_ignored() -> None:
    """PerformanceMonitor#3870: an unknown argument was dropped without a word."""
    record = answer(look_up, {"status_filter": "failure"})
    assert record.response == "about all\n(ignored, since look_up has no such arguments: status_filter; it takes topic)"


@pytest.mark.parametrize("more", [{}, {"additionalProperties": False}])
def test_a_hand_written_schema_refuses_unknown_names_too(more: dict[str, Any]) -> None:
    made = by_hand(schema({"to": TEXT, "subject": TEXT}, required=["subject"], **more))
    record = answer(made, {"recipient": "bob", "subject": "x"})
    assert (ran, record.error is not None) == ([], True)
    assert "no argument 'recipient' (nearest: 'to'); it takes to, subject" in record.response
    assert answer(made, {"to": "bob", "subject": "x"}).error is None


@pytest.mark.parametrize(
    "parameters",
    [
        schema({"to": TEXT}, additionalProperties=True),
        schema({"to": TEXT}, additionalProperties=TEXT),
        {"type": "object"},
        schema({"to": TEXT}, anyOf=[{"properties": {"recipient": TEXT}}]),
        schema({"to": TEXT}, patternProperties={"^r": TEXT}),
    ],
)
def test_a_schema_that_allows_other_names_takes_them(parameters: dict[str, Any]) -> None:
    assert answer(by_hand(parameters), {"recipient": "bob"}).error is None
    assert ran == [{"recipient": "bob"}]


def test_a_hand_written_schema_without_properties_can_refuse_all_names() -> None:
    made = by_hand({"type": "object", "additionalProperties": False})
    assert answer(made, {"why": "x"}).response == (
        "done\n(ignored, since send has no such arguments: why; it takes none)"
    )


# All arguments in a wrapper


@pytest.mark.parametrize(
    "arguments",
    [
        *({key: {"to": "bob"}} for key in ("arguments", "parameters", "input", "kwargs", "args", "params")),
        {"send": {"to": "bob"}},
        {"name": "send", "arguments": {"to": "bob"}},
        {"name": "send", "parameters": {"to": "bob"}},
        {"tool": "send", "input": {"to": "bob"}},
        {"action": "send", "action_input": {"to": "bob"}},
        {"function": {"name": "send", "arguments": {"to": "bob"}}},
        {"function": {"name": "send", "arguments": '{"to": "bob"}'}},
        {"id": "call_1", "type": "function", "name": "send", "arguments": {"to": "bob"}},
        {"arguments": '{"to": "bob"}'},
        {"arguments": {"arguments": {"to": "bob"}}},
        {"arguments": {"send": {"to": "bob"}}},
    ],
)
@pytest.mark.parametrize(
    "made", [send, by_hand(schema({"to": TEXT}, additionalProperties=False)), by_hand(schema({"to": TEXT}))]
)
def test_arguments_in_a_wrapper_are_unwrapped(made: Tool[..., str], arguments: Any) -> None:
    """openclaw#142304: models imitate the wrapper of an error message, deeper at each try."""
    assert answer(made, arguments).error is None
    assert ran in ([("bob", "")], [{"to": "bob"}])


def test_a_parameter_of_that_name_is_no_wrapper() -> None:
    @tool
    def call(name: str = "", arguments: dict[str, Any] | None = None, input: str = "") -> str:
        """Call it."""
        return json.dumps([name, arguments, input])

    assert answer(call, {"arguments": {"arguments": {}}}).response == '["", {"arguments": {}}, ""]'
    assert answer(call, {"name": "call", "arguments": {"name": "x"}}).response == '["call", {"name": "x"}, ""]'


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))
)
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_the_arguments_no_other_value_is_sent(value: Any) -> None:
    ran.clear()
    answer(send, value if isinstance(value, dict) else {"arguments": value})
    for to, _ in ran:
        assert to == "nobody" or json.dumps(to) in json.dumps(value) or to in json.dumps(value)


# Names inside of nested objects


class Place(BaseModel):
    city: str = "Oslo"
    days: int = 1


class Loose(BaseModel):
    to: str = Field("nobody", validation_alias=AliasChoices("to", "recipient"))
    cc: str = ""

    @model_validator(mode="before")
    @classmethod
    def known_as(cls, data: Any) -> Any:
        """Take an old name."""
        return {"to": data["addressee"]} if isinstance(data, dict) and "addressee" in data else data


@dataclasses.dataclass
class Point:
    x: int = 0
    y: int = 0


class Keys(TypedDict, total=False):
    a: int
    b: int


@tool
def travel(
    place: Place | None = None,
    places: list[Place] | None = None,
    named: dict[str, Place] | None = None,
    loose: Loose | None = None,
    point: Point | None = None,
    keys: Keys | None = None,
    free: dict[str, Any] | None = None,
) -> str:
    """Travel."""
    ran.append(1)
    return "gone"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"place": {"town": "Bergen"}}, "place.town"),
        ({"places": [{"city": "a"}, {"town": "b"}]}, "places[1].town"),
        ({"named": {"a": {"town": "b"}}}, "named.a.town"),
        ({"loose": {"receiver": "bob"}}, "loose.receiver"),
        ({"point": {"x": 1, "z": 2}}, "point.z"),
        ({"keys": {"a": 1, "c": 2}}, "keys.c"),
        ({"place": '{"town": "Bergen"}'}, "place.town"),
    ],
)
def test_no_default_inside_of_an_object_stands_in_for_a_lost_key(arguments: Any, path: str) -> None:
    record = answer(travel, arguments)
    assert (ran, record.error is not None) == ([], True)
    assert f"no argument {path!r}" in record.response
    assert answer(tool(read_only=True)(travel.function), arguments).error is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"place": {"city": "a", "days": 2, "why": "x"}},
        {"place": {"city": "a"}},
        {"loose": {"recipient": "bob"}},
        {"loose": {"addressee": "bob"}},
        {"point": {"x": 1, "y": 2, "z": 3}},
        {"keys": {"a": 1}},
        {"free": {"a": {"b": [{"c": 1}]}}},
    ],
)
def test_an_object_in_which_nothing_is_lost_is_taken(arguments: Any) -> None:
    assert answer(travel, arguments).error is None


def test_a_hand_written_schema_looks_into_nested_objects_too() -> None:
    made = by_hand(
        schema(
            {
                "mail": schema({"to": TEXT, "cc": TEXT}),
                "list": {"type": "array", "items": schema({"a": TEXT, "b": TEXT})},
            }
        )
    )
    assert "no argument 'mail.recipient'" in answer(made, {"mail": {"recipient": "bob"}, "list": []}).response
    record = answer(made, {"mail": {}, "list": [{"a": "1", "c": "2"}]})
    assert "no argument 'list[0].c' (nearest: " in record.response
    assert "; list[0] takes a, b." in record.response
    assert ran == []
    assert answer(made, {"mail": {"to": "bob"}, "list": [{"a": "1"}]}).error is None


class Mail(BaseModel):
    to: str
    copies: "list[Mail]" = []


def test_the_names_of_a_nested_object_are_told_where_one_is_wrong() -> None:  # microsoft/agent-framework#7953
    @tool
    def post(mail: Mail, folder: str = "out") -> None:
        """Post a mail."""

    response = answer(post, {"mail": {"to": "bob", "copies": [{"to": "eve", "copy": []}]}}).response
    assert "no argument 'mail.copies[0].copy' (nearest: 'copies'); mail.copies[0] takes to, copies." in response
    response = answer(post, {"mail": {"to": "bob", "cc": "eve"}, "folders": "in"}).response
    assert response.endswith("it takes mail, folder; mail takes to, copies. Correct them and call it again.")


def test_an_approval_is_not_asked_for_a_call_that_would_be_refused() -> None:
    asked = tool(approve=lambda values: True)(send.function)
    assert not asked.needs_approval('{"recipient": "bob"}')
    assert asked.needs_approval('{"to": "bob"}')
    assert not tool(approve=True)(send.function).needs_approval('{"recipient": "bob"}')


def test_the_model_is_told_of_wrong_arguments_before_a_person_is_asked() -> None:
    """vercel/ai#19238, openai/openai-agents-js#1335: a person approved calls that could not run."""
    asked = tool(approve=True)(send.function)
    backend = ScriptedBackend(("send", {"recipient": "bob"}), ("send", {"to": "bob"}))
    result = Agent(backend, tools=[asked]).run("Go.")
    assert "no argument 'recipient'" in result.tool_calls[0].response
    assert [call.arguments for call in result.pending] == [{"to": "bob"}]
    assert ran == []


def test_whether_a_person_is_asked_may_be_found_out_asynchronously() -> None:
    async def is_strange(values: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return bool(values["to"] == "eve")

    asked = tool(approve=is_strange)(send.function)
    assert answer(asked, {"to": "bob"}).error is None
    result = Agent(ScriptedBackend(("send", {"to": "eve"})), tools=[asked]).run("Go.")
    assert [call.arguments for call in result.pending] == [{"to": "eve"}]


@pytest.mark.parametrize("part", ['{"arguments": ', "[", '{"a": '])
def test_deep_wrappers_take_time_in_proportion(part: str) -> None:
    from agentkit.tools import Context

    assert_linear(lambda count: send.answer(part * count, Context()), 2_000)


# Results that can't be shown


def circular() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


UNSHOWN: dict[str, Callable[[], Any]] = {
    "bytes": lambda: {"b": b"\xff"},
    "bare bytes": lambda: b"\xff\xfe",
    "circular": circular,
    "5,000 levels": lambda: nested(5_000),
    "unspeakable": Unspeakable,
    "unspeakable inside": lambda: {"a": [Unspeakable()]},
    "a key": lambda: {Unspeakable(): 1},
}


@pytest.mark.parametrize("make", UNSHOWN.values(), ids=UNSHOWN)
@pytest.mark.parametrize("ends", [False, True])
def test_a_call_whose_result_cannot_be_shown_is_told_as_done(make: Callable[[], Any], ends: bool) -> None:
    """device-builder#2743: an unserialisable result was told as a failure, which invites the model to repeat it."""

    @tool(ends_run=ends)
    def pay(to: str) -> Any:
        """Pay."""
        ran.append(to)
        return make()

    backend = ScriptedBackend(("pay", {"to": "bob"}), "Paid.")
    result = Agent(backend, tools=[pay]).run("Pay Bob.")
    record = result.tool_calls[0]
    assert (ran, record.error) == (["bob"], None)
    assert len(record.response) < 5_000
    assert not record.response.startswith("Error")
    assert result.stopped == "answer"
    assert len(backend.requests) == (1 if ends else 2)
    json.dumps(result.messages)


def test_what_can_be_shown_of_a_result_is() -> None:
    @tool
    def pay(to: str) -> Any:
        """Pay."""
        return {"receipt": 17, "to": to, "loop": circular(), "deep": nested(5_000)}

    response = answer(pay, {"to": "bob"}).response
    assert response.startswith('{"receipt":17,"to":"bob",')
    assert len(response) < 5_000


# Keywords that are bound


def test_bound_keywords_are_no_parameters() -> None:
    def fetch(what: str, api_key: str, limit: int = 3) -> str:
        """Fetch it."""
        return f"{what} {api_key} {limit}"

    made = tool(functools.partial(fetch, api_key="s3"))
    assert list(made.parameters["properties"]) == ["what", "limit"]
    assert "s3" not in json.dumps(made.schema)
    assert answer(made, {"what": "x"}).response == "x s3 3"
    assert "no argument 'api_key'" in answer(made, {"what": "x", "api_key": "theirs"}).response
    by_position = tool(functools.partial(fetch, "bound", "s3"))
    assert list(by_position.parameters["properties"]) == ["limit"]
    assert answer(by_position, {"limit": 5}).response == "bound s3 5"
    twice = tool(functools.partial(functools.partial(fetch, api_key="s3"), limit=9))
    assert list(twice.parameters["properties"]) == ["what"]
    assert answer(twice, {"what": "x"}).response == "x s3 9"
