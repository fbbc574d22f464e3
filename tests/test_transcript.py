"""The transcript: what is due, the pairing rule, messages encoded once."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Image
from agentkit.errors import TranscriptError
from agentkit.message import images_for_the_model, is_plain_call, response_of, tool_response, tool_result, user
from agentkit.transcript import Due, Transcript, whats_due


def call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def asking(*ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [call(each) for each in ids]}


def answer(call_id: str) -> dict[str, Any]:
    return dict(tool_result(call_id, "ok"))


SYSTEM = {"role": "system", "content": "Be brief."}
QUESTION = {"role": "user", "content": "Why?"}
ANSWER = {"role": "assistant", "content": "Because."}


@pytest.mark.parametrize(
    ("messages", "due"),
    [
        ([], Due.NOTHING),
        ([SYSTEM], Due.NOTHING),
        ([QUESTION], Due.REPLY),
        ([SYSTEM, QUESTION], Due.REPLY),
        ([QUESTION, SYSTEM], Due.REPLY),
        ([QUESTION, ANSWER], Due.NOTHING),
        ([QUESTION, ANSWER, SYSTEM], Due.NOTHING),
        ([QUESTION, ANSWER, QUESTION], Due.REPLY),
        ([QUESTION, asking("a")], ("a",)),
        ([QUESTION, asking("a", "b")], ("a", "b")),
        ([QUESTION, asking("a", "b"), answer("a")], ("b",)),
        ([QUESTION, asking("a", "b"), answer("a"), answer("b")], Due.REPLY),
        ([QUESTION, asking("a"), answer("a"), QUESTION], Due.REPLY),
        ([QUESTION, asking("a"), answer("a"), ANSWER], Due.NOTHING),
        ([QUESTION, asking("a"), answer("a"), asking("a")], ("a",)),
        ([QUESTION, {"role": "assistant", "content": "", "tool_calls": []}], Due.NOTHING),
    ],
)
def test_what_is_due_follows_from_the_messages(messages: list[Any], due: Any) -> None:
    found = whats_due(messages)
    assert (tuple(each["id"] for each in found) if isinstance(found, tuple) else found) == due


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([QUESTION, asking("a"), QUESTION, SYSTEM, ANSWER], r"messages\[2\].*a are not answered"),
        ([QUESTION, asking("a"), ANSWER], r"messages\[2\] has the role 'assistant'.*a are not answered"),
        ([QUESTION, answer("a")], r"messages\[1\] answers the tool call 'a', which no"),
        ([QUESTION, asking("a"), answer("x")], r"the next one to be answered is 'a'"),
        ([QUESTION, asking("a", "b"), answer("b")], r"in the order of the calls"),
        ([QUESTION, asking("a", "a")], r"two tool calls with the same id"),
        ([QUESTION, {"role": "assistant", "tool_calls": [{"id": "a"}]}], r"tool_calls\[0\] is not a tool call"),
        ([QUESTION, {"role": "assistant", "tool_calls": "x"}], r"not a list"),
        ([{"role": "robot", "content": "x"}], r"messages\[0\] has the role 'robot'"),
        ([{"content": "x"}], r"messages\[0\] has the role None"),
        ([{"role": ["user"], "content": "x"}], r"messages\[0\] has the role \['user'\]"),
        (["hello"], r"messages\[0\] is a str"),
        ([{"role": "user", "content": 7}], r"content of type int"),
        ([{"role": "user"}], r"no content"),
        ([{"role": "user", "content": ["x"]}], r"part that is not a dict"),
        ([{"role": "user", "content": "x", "extra": object()}], r"messages\[0\] can't be written as JSON"),
    ],
)
def test_an_invalid_list_is_rejected_with_the_position_and_the_rule(messages: list[Any], says: str) -> None:
    with pytest.raises(TranscriptError, match=says):
        Transcript(messages)


def test_a_number_that_json_does_not_have_becomes_text() -> None:
    assert Transcript([{**QUESTION, "extra": float("nan")}]).encoded().endswith(b'"extra":"NaN"}')


def test_user_messages_wait_while_calls_are_open() -> None:
    transcript = Transcript([QUESTION, asking("a", "b")])
    image_message = images_for_the_model([Image(b"x", "image/png", "chart")])
    transcript.extend([answer("a"), image_message])
    assert [message["role"] for message in transcript] == ["user", "assistant", "tool"]
    transcript.extend([answer("b")])
    assert [message["role"] for message in transcript] == ["user", "assistant", "tool", "tool", "user"]
    assert transcript[-1] == image_message


def test_a_message_is_kept_as_it_was_when_its_dict_is_changed_later() -> None:
    message = dict(QUESTION)
    transcript = Transcript([message])
    message["content"] = "changed"
    assert transcript[0]["content"] == "Why?"


texts = st.text(max_size=30)
histories = st.lists(
    st.one_of(
        texts.map(lambda text: [{"role": "user", "content": text}]),
        texts.map(lambda text: [{"role": "assistant", "content": text}]),
        st.lists(st.uuids().map(str), min_size=1, max_size=3, unique=True).map(
            lambda ids: [asking(*ids), *(answer(each) for each in ids)]
        ),
    ),
    max_size=6,
).map(lambda groups: [message for group in groups for message in group])


@settings(deadline=None)
@given(histories)
def test_the_bytes_of_a_transcript_are_a_prefix_of_its_later_ones(messages: list[Any]) -> None:
    transcript = Transcript()
    before = b""
    for message in messages:
        transcript.extend([message])
        encoded = transcript.encoded()
        assert encoded.startswith(before)
        before = encoded
    sent = json.loads(b"[" + before + b"]")
    assert sent == json.loads(json.dumps(messages).encode("utf-8", "replace")) or any(
        "\ud800" <= letter <= "\udfff" for letter in json.dumps(messages, ensure_ascii=False)
    )


@settings(deadline=None)
@given(st.text())
def test_a_result_can_not_end_its_own_tool_response(text: str) -> None:
    for hostile in (text, text + "</tool_response>", text + "< / TOOL_response >" + text):
        wrapped = tool_response(hostile)
        assert wrapped.lower().replace(" ", "").count("</tool_response>") == 1
        assert wrapped.endswith("\n</tool_response>")


def test_a_harmless_result_arrives_unchanged() -> None:
    text = "if a < b and c > d: <b>x</b> <tool_response>"
    assert tool_response(text) == f"<tool_response>\n{text}\n</tool_response>"
    assert response_of(tool_result("a", text)) == text


def test_half_a_surrogate_pair_does_not_stop_a_request() -> None:
    transcript = Transcript([user("bad \ud800 text")])
    json.loads(b"[" + transcript.encoded() + b"]")


CONTENTS = (
    st.none() | st.text(max_size=6) | st.sampled_from(["", "Hello.", "\ud800", [{"type": "text", "text": "x"}], 3])
)
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "robot"]), "content": CONTENTS},
        optional={"name": st.just("a"), "tool_calls": st.just([])},
    ),
    st.sampled_from([asking("a"), asking("a", "b"), answer("a"), answer("b"), {"role": "user"}, {"content": "x"}]),
)


@given(st.lists(MESSAGES, max_size=6))
def test_messages_with_plain_texts_are_taken_as_others_are(messages: list[Any]) -> None:
    def made() -> Any:
        transcript = Transcript()
        for each in messages:
            try:
                transcript.extend([each])
            except TranscriptError as error:
                return str(error), list(transcript)
        kept = list(transcript)
        assert not any(one is other for one in kept for other in messages)
        return kept, transcript.encoded(), transcript.size(), transcript.whats_due(), transcript.has_images

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("agentkit.transcript.is_plain_text", lambda message: False)
        expected = made()
    assert made() == expected


@given(
    st.recursive(
        st.none() | st.just("function") | st.text(max_size=3),
        lambda inner: st.dictionaries(
            st.sampled_from(["id", "type", "function", "name", "arguments", "index"]), inner, max_size=4
        ),
    )
)
def test_a_plain_call_has_texts_for_all_that_a_call_has_and_nothing_else(call: Any) -> None:
    function = call.get("function") if isinstance(call, dict) else None
    is_plain = (
        isinstance(call, dict)
        and isinstance(function, dict)
        and call.keys() == {"id", "type", "function"}
        and function.keys() == {"name", "arguments"}
        and call["type"] == "function"
        and all(isinstance(each, str) for each in (call["id"], function["name"], function["arguments"]))
    )
    assert is_plain_call(call) == is_plain
    assert is_plain_call({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}})
