"""A whole reply that is read as it stands is what it would be if it were put together from pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.backends.chat_protocol import Accumulator
from agentkit.backends.plain_replies import plain_reply
from agentkit.event import Reply, TextDelta

ARGUMENTS = st.one_of(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=8), max_size=3
    ).map(json.dumps),
    st.sampled_from(
        ["{}", "", "{", "[]", '{"a": 1}', '{"a": NaN}', '{"a": "\\ud800"}', " {} ", '{"a":1}{"a":1}', "null"]
    ),
    st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
FUNCTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": st.sampled_from(["look_up", "pay", "", "x" * 1001]), "arguments": ARGUMENTS},
    optional={"parameters": st.just({})},
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["a", "b", "", "c"]) | st.none(), "type": st.just("function"), "function": FUNCTIONS},
        optional={"index": st.integers(0, 2), "extra_content": st.just({"signature": "s"})},
    ),
    max_size=3,
)
TEXTS = st.none() | st.text(max_size=20) | st.sampled_from(["", " ", "\ud83d\ude00", "Hello.", "<think>x</think>"])
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXTS | st.just([{"type": "text", "text": "part"}])},
    optional={
        "tool_calls": st.none() | CALLS,
        "refusal": st.sampled_from([None, "no"]),
        "reasoning_content": st.sampled_from([None, "", "because"]),
        "annotations": st.sampled_from([[], [{"type": "url_citation"}]]),
        "function_call": st.sampled_from([None, {"name": "pay", "arguments": "{}"}]),
    },
)
CHOICES = st.fixed_dictionaries(
    {
        "message": MESSAGES,
        "finish_reason": st.sampled_from(
            ["stop", "tool_calls", "length", "content_filter", None, "error", "function_call"]
        ),
    },
    optional={"index": st.integers(0, 1), "logprobs": st.sampled_from([None, {"content": [{"token": "a"}]}])},
)
RESPONSES = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, min_size=1, max_size=2)},
    optional={
        "id": st.sampled_from(["chatcmpl-1", "", None, 7]),
        "model": st.sampled_from(["m", None]),
        "usage": st.sampled_from(
            [None, {}, {"prompt_tokens": 3, "completion_tokens": 2}, {"prompt_tokens": 9, "cost": 0.5, "x": None}]
        ),
    },
)


def in_pieces(response: dict[str, Any]) -> tuple[list[Any], Reply]:
    """What is read of a response by an accumulator that reports calls, which takes nothing as it stands."""
    accumulator = Accumulator("made", call_deltas=True)
    deltas = [delta for delta in accumulator.feed(response) if isinstance(delta, TextDelta)]
    return [*deltas, *accumulator.rest()], accumulator.reply()


@given(RESPONSES)
def test_a_reply_that_is_taken_as_it_stands_is_the_one_that_is_put_together(response: dict[str, Any]) -> None:
    found = plain_reply(response)
    accumulator = Accumulator("made")
    deltas = [*accumulator.feed(response), *accumulator.rest()]
    expected_deltas, expected = in_pieces(response)
    if found is not None:
        assert found == expected
        assert found.response_id == expected.response_id
        assert found.response_model == expected.response_model
        assert [*found.message] == [*expected.message]
        assert deltas == expected_deltas
        assert not accumulator.is_empty
    assert accumulator.reply() == expected


@pytest.mark.parametrize("finish_reason", ["stop", "tool_calls"])
def test_the_replies_that_nearly_all_servers_send_are_taken_as_they_stand(finish_reason: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "tides"}'}}
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    reply = plain_reply({"id": "1", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 4}})
    assert reply is not None
    assert reply.message == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert reply.message["tool_calls"][0] is not call
    assert reply.usage.input_tokens == 4


@given(RESPONSES, RESPONSES)
def test_what_follows_a_whole_reply_is_read_as_ever(first: dict[str, Any], second: dict[str, Any]) -> None:
    read, expected = Accumulator("made"), Accumulator("made", call_deltas=True)
    for accumulator in (read, expected):
        for response in (first, second):
            for _ in accumulator.feed(response):
                pass
        for _ in accumulator.rest():
            pass
    assert read.reply() == expected.reply()
    assert read.finish_reason == expected.finish_reason
