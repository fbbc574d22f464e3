"""A typed answer is taken however the model surrounds it, where nothing is lost; else the model is told."""

import datetime
import enum
import json
from typing import Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentkit import Agent
from agentkit.errors import ArgumentsError
from agentkit.middleware.structured_output import OutputType
from agentkit.testing import ScriptedBackend
from agentkit.tooling.bare_answers import undecorated
from tests.support.growth import assert_linear
from tests.support.model_server import delta, serve, streamed, whole


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class City(BaseModel):
    name: str
    people: int = 0


class Empty(BaseModel):
    name: str = "nobody"


MAYBE: Any = Optional[int]  # noqa: UP045 - as people write it
MAYBE_TEXT: Any = str | None
TAKEN: list[tuple[Any, Any, list[str]]] = [
    (
        int,
        42,
        [
            *("42", "**42**", "42.", "`42`", '"42"', "42.0", "**42.**", "Answer: 42", "The answer: **42**", "\n42 \n"),
            *("```json\n42\n```", "```\n42\n```", "<answer>42</answer>", "$42$", "\\boxed{42}"),
            *('{"value": 42}', '{"answer": 42}', '{"result": "42"}', '{"int": 42}', '{"response": 42}'),
        ],
    ),
    (float, 3.5, ["3.5", "**3.5**", "3.5.", '{"answer": 3.5}']),
    (bool, True, ["true", "True", "Yes", "yes.", "**Yes**", '"yes"', '{"answer": true}', '{"answer": "Yes"}']),
    (bool, False, ["no", "False.", "`false`"]),
    (list[str], ["a"], ['["a"]', "['a']", '["a",]', '{"items": ["a"]}', '{"words": ["a"]}', 'Here: ["a"]']),
    (list[str], ["a"], ['```json\n["a"]\n```', 'I found one:\n```json\n["a"]\n```\nThat is all.']),
    (Literal["yes", "no"], "yes", ["yes", '"yes"', "Yes", "YES.", "**yes**", "`yes`", "“yes”", '{"answer": "Yes"}']),
    (MAYBE, None, ["null", "None", "NULL", "none", '{"value": null}']),
    (MAYBE, 42, ["42", "**42**"]),
    (MAYBE_TEXT, None, ["null", "None", '{"value": null}']),
    (MAYBE_TEXT, "**hi**.", ["**hi**.", '{"value": "**hi**."}', '{"answer": "**hi**."}']),
    (Color, Color.RED, ["red", '"red"', "RED", "Red.", "Color.RED", "**red**", '{"color": "red"}']),
    (datetime.date, datetime.date(2020, 1, 2), ["2020-01-02", '"2020-01-02"', "**2020-01-02**", "2020-01-02."]),
    (
        City,
        City(name="a"),
        [
            *(
                '{"name": "a"}',
                '```json\n{"name": "a"}\n```',
                'Here it is:\n{"name": "a"}',
                '{"answer": {"name": "a"}}',
            ),
            *('{"value": {"name": "a"}}', '{"City": {"name": "a"}}', '{"result": {"name": "a"}}'),
        ],
    ),
    (Empty, Empty(name="a"), ['{"name": "a"}', '{"answer": {"name": "a"}}', '{"empty": {"name": "a"}}']),
]
TOLD: list[tuple[Any, list[str]]] = [
    (int, ["The answer is 42", "42 people", "1,000", "42 or 43", "3.7", "forty-two", "[42]", "42..", "", "* 42"]),
    (bool, ["Yes, it is.", "maybe", "not yes"]),
    (Literal["yes", "no"], ["maybe", "The answer is yes", "yes or no", "yes no"]),
    (Literal["a", "A"], ["**ä**"]),
    (list[int], ["1, 2", "a"]),
    (datetime.date, ["January 2, 2020", "2020-13-45"]),
    (City, ['{"nam": "a"}', '[{"name": "a"}]', '{"properties": {"name": "a"}}']),
]


@pytest.mark.parametrize(
    ("kind", "value", "text"), [(kind, value, text) for kind, value, texts in TAKEN for text in texts]
)
def test_a_value_is_taken_however_it_is_surrounded(kind: Any, value: Any, text: str) -> None:
    result: Any = Agent(ScriptedBackend(text)).run("Which?", output=kind, output_retries=0)
    assert (result.output, type(result.output)) == (value, type(value))


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in TOLD for text in texts])
def test_what_is_not_certain_is_told(kind: Any, text: str) -> None:
    with pytest.raises(ArgumentsError):
        OutputType(kind).read(text)


def test_a_choice_of_the_same_letters_is_not_confused() -> None:
    for text in ("a", "A"):
        assert OutputType(Literal["a", "A"]).read(text) == text


@pytest.mark.parametrize("stream", [False, True])
def test_a_bare_value_of_a_server_is_taken(stream: bool) -> None:
    """llm-exe#147, langchain#5396: "Yes" was no boolean."""
    for kind, text, value in (
        (int, "42", 42),
        (list[str], '["a"]', ["a"]),
        (Literal["yes"], "Yes.", "yes"),
        (MAYBE, "null", None),
    ):
        reply = streamed(*(delta(content=each) for each in text), delta("stop")) if stream else whole(text)
        with serve([reply]) as server, Agent(f"openai:m@{server.url}") as agent:
            if stream:
                result: Any = list(agent.stream("Which?", output=kind))[-1].result  # type: ignore[attr-defined]
            else:
                result = agent.run("Which?", output=kind)
            assert (result.output, len(server.requests)) == (value, 1)


@given(st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_text_and_nothing_else_is_made_of_it(text: str) -> None:
    for bare in undecorated(text):
        assert bare in text
    if text.strip() and text.strip() not in ("null", "None"):
        try:
            value = OutputType(int).read(text)
        except ArgumentsError:
            return
        assert (
            str(value) in text.replace("_", "") or json.loads(text.strip("*_`\"'$ .\n")) == value or "e" in text.lower()
        )


@pytest.mark.parametrize("part", ["*", "**a", "answer: ", "```\n", "<answer>", "[", "“", "a: [", '{"answer": '])
def test_surroundings_are_removed_in_time_in_proportion(part: str) -> None:
    assert_linear(lambda count: list(undecorated(part * count)), 20_000)
