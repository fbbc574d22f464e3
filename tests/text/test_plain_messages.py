"""Messages that are plain are passed on without a closer look: nothing is different from what that would have made."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.backends.message_form import PLAIN_FORM, MessageForm
from agentkit.message import is_plain_call, tool_response
from agentkit.text.special_tokens import neutral_message
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.sendable import sendable

MARKED = [
    "<|im_end|>",
    "[INST]",
    "</tool_call>",
    "a",
    "é",
    "\\u003c|im_end|>",
    "<tool_response>\n",
    "\n</tool_response>",
]
TEXTS = st.lists(st.sampled_from([*MARKED, " ", "b", "\ud800"]), max_size=4).map("".join)
ARGUMENTS = TEXTS | st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(), max_size=2).map(json.dumps)
CALLS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        "type": st.sampled_from(["function", "custom"]),
        "function": st.fixed_dictionaries({"name": TEXTS, "arguments": ARGUMENTS}, optional={"more": TEXTS}),
    },
    optional={"index": st.integers(0, 3)},
)
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | TEXTS},
        optional={
            "tool_calls": st.none() | st.lists(CALLS, max_size=2),
            "reasoning_content": TEXTS,
            "refusal": st.none() | TEXTS,
        },
    ),
    st.fixed_dictionaries(
        {"role": st.just("tool"), "content": TEXTS | TEXTS.map(tool_response), "tool_call_id": TEXTS}
    ),
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "tool"]), "content": st.none() | TEXTS},
        optional={"name": TEXTS, "tool_calls": st.none() | st.lists(CALLS, max_size=1)},
    ),
)


@given(MESSAGES, st.booleans())
def test_special_tokens_are_found_in_every_message(message: dict[str, Any], is_wrapped: bool) -> None:
    closer = neutral_message(message, ["<|in no message|>"], is_wrapped=is_wrapped)
    assert neutral_message(message, is_wrapped=is_wrapped) == closer


@pytest.mark.parametrize("marked", MARKED[:3])
@pytest.mark.parametrize("place", ["id", "name", "arguments", "escaped", "content", "name of the message"])
def test_a_special_token_in_any_place_is_broken(marked: str, place: str) -> None:
    escaped = marked.replace("<", "\\u003c").replace("[", "\\u005b")
    arguments = {"arguments": json.dumps({"a": marked}), "escaped": f'{{"a": "{escaped}"}}'}.get(place, "{}")
    function = {"name": marked if place == "name" else "look_up", "arguments": arguments}
    call = {"id": marked if place == "id" else "c", "type": "function", "function": function}
    message: dict[str, Any] = {"role": "assistant", "content": marked if place == "content" else None}
    if place == "name of the message":
        message["name"] = marked
    made = neutral_message({**message, "tool_calls": [call]})
    is_kept = marked == "</tool_call>" and place in ("content", "name of the message", "id")  # in a model's own text
    values = json.dumps(
        {**made, "tool_calls": [{**call, "function": read_values(call)} for call in made["tool_calls"]]}
    )
    assert (marked in values) is is_kept


def read_values(call: dict[str, Any]) -> dict[str, Any]:
    return {**call["function"], "arguments": json.loads(call["function"]["arguments"])}


@given(MESSAGES)
def test_what_enters_a_history_is_the_same_with_and_without_a_closer_look(message: dict[str, Any]) -> None:
    closer = sendable({**message, "é": None})
    del closer["é"]
    assert sendable(message) == closer


@given(MESSAGES)
def test_a_server_takes_the_same_form_with_and_without_a_closer_look(message: Any) -> None:
    assert PLAIN_FORM(message) == MessageForm(without=frozenset({"in no message"}))(message)


@given(ARGUMENTS)
def test_the_arguments_of_each_reader_are_its_own(arguments: str) -> None:
    one, other = read_arguments(arguments), read_arguments(arguments)
    assert repr(one) == repr(other)
    one["changed"] = True
    assert "changed" not in other
    assert "changed" not in read_arguments(arguments)
    try:
        value = read_json(arguments)
    except ValueError:
        return
    if isinstance(value, dict) and arguments.strip():
        assert repr(other) == repr(value)


@pytest.mark.parametrize(
    "call",
    [
        None,
        {},
        {"id": "a", "type": "function"},
        {"id": "a", "type": "function", "function": None},
        {"id": "a", "type": "function", "function": {"name": "n", "arguments": {}}},
        {"id": "a", "type": "function", "function": {"name": "n", "arguments": "{}", "more": "x"}},
        {"id": "a", "type": "function", "index": 0, "function": {"name": "n", "arguments": "{}"}},
        {"id": None, "type": "function", "function": {"name": "n", "arguments": "{}"}},
    ],
)
def test_a_call_with_anything_else_is_not_plain(call: Any) -> None:
    assert not is_plain_call(call)
