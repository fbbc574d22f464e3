"""Forms in which gateways send reasoning and contents: shown, kept, and sent back."""

import json
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.errors import AgentkitError
from agentkit.event import ReasoningDelta, TextDelta
from agentkit.hooks import Streamed
from tests.support.model_server import Answer, delta, serve, streamed


def as_json(body: object) -> Answer:
    return Answer(json.dumps(body).encode())


CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}}
BLOCK = {"type": "thinking", "thinking": "I look.", "signature": "c2ln"}


@tool(read_only=True)
def look(city: str) -> str:
    """Look."""
    return "21"


def reply(reason: str = "stop", **message: Any) -> Answer:
    """A complete response."""
    return as_json({"choices": [{"message": {"role": "assistant", **message}, "finish_reason": reason}]})


def shown(*answers: Answer) -> tuple[str, str, list[Any], list[dict[str, Any]]]:
    """The text and the reasoning that a reader of the stream sees, the messages, and the bodies of the requests."""
    with serve(answers) as server:
        run = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), tools=[look]).stream("Go.")
        events = list(run)
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
        assert run.result is not None
        return text, thoughts, run.result.messages, [asked.body for asked in server.requests]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_text", "thinking"])
@pytest.mark.parametrize(
    "form",
    [
        lambda text: text,
        lambda text: {"text": text},
        lambda text: {"reasoningContent": {"reasoningText": {"text": text, "signature": "s"}}},
        lambda text: [{"type": "text", "text": text}],
    ],
)
@pytest.mark.parametrize("is_streamed", [True, False])
def test_reasoning_is_a_text_whatever_its_name_and_form(name: str, form: Any, is_streamed: bool) -> None:
    if is_streamed:
        pieces = [delta(**{name: form(piece)}) for piece in ("I nee", "d 27", ".")]
        first = streamed(*pieces, delta(tool_calls=[CALL]), delta("tool_calls"))
    else:
        first = reply("tool_calls", **{name: form("I need 27.")}, tool_calls=[CALL])
    text, thoughts, messages, asked = shown(first, streamed(delta(content="Done."), delta("stop")))
    assert (text, thoughts, messages[1][name]) == ("Done.", "I need 27.", "I need 27.")
    assert asked[1]["messages"][1][name] == "I need 27."


def test_reasoning_as_objects_goes_with_reasoning_in_the_text() -> None:
    pieces = [delta(reasoning_content={"text": "One."}), delta(content="<think>Two.</think>Hi"), delta("stop")]
    text, _, messages, _ = shown(streamed(*pieces))
    assert (text, messages[1]["reasoning_content"]) == ("Hi", "One.\n\nTwo.")


@pytest.mark.parametrize(
    ("content", "text", "thoughts"),
    [
        ([{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "Hi"}], "Hi", "Hm."),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Hi"}],
            "Hi",
            "Hm.",
        ),
        ([{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Hi"}], "Hi", "Hm."),
        ([{"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "x"}}}, {"text": "Hi"}], "Hi", "Hm."),
        (["Hel", None, "lo"], "Hello", ""),
        ({"type": "text", "text": "Hi"}, "Hi", ""),
        ([{"text": "Hi"}], "Hi", ""),
        ([{"type": "output_text", "text": "Hi", "annotations": []}], "Hi", ""),
        ([{"type": "text", "text": {"value": "Hi", "annotations": []}}], "Hi", ""),
    ],
)
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_content_is_read_whatever_its_parts_are(content: Any, text: str, thoughts: str, is_streamed: bool) -> None:
    answer = streamed(delta(content=content), delta("stop")) if is_streamed else reply(content=content)
    said, thought, messages, _ = shown(answer)
    assert (said, thought) == (text, thoughts)
    assert all(isinstance(part, dict) and "type" in part for part in messages[1]["content"])


def test_thoughts_as_texts_are_joined_until_they_are_signed() -> None:
    parts = [{"thinking": "I "}, {"thinking": "look."}, {"thinking": "", "signature": "one"}, {"thinking": "More."}]
    pieces = [delta(content=[{"type": "thinking", **part}]) for part in parts]
    _, thoughts, messages, _ = shown(streamed(*pieces, delta(content="Hi"), delta("stop")))
    assert thoughts == "I look.More."
    assert messages[1]["content"][:2] == [
        {"type": "thinking", "thinking": "I look.", "signature": "one"},
        {"type": "thinking", "thinking": "More."},
    ]


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_refusal_as_a_part_is_the_answer(is_streamed: bool) -> None:
    part = {"type": "refusal", "refusal": "I can't."}
    answer = streamed(delta(content=[part]), delta("stop")) if is_streamed else reply(content=[part])
    with serve([answer]) as server:
        result = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0)).run("Go.")
    assert (result.output, result.messages[1]["refusal"]) == ("I can't.", "I can't.")


@pytest.mark.parametrize("part", [7, {"type": 7}, {"odd": True}, ["x"]])
def test_a_part_that_can_not_be_read_is_shown_in_the_servers_error(part: Any) -> None:
    import openai

    with serve([reply(content=[part])]) as server, pytest.raises(openai.APIError) as raised:
        Agent(OpenAIBackend("m", base_url=server.url, max_retries=0)).run("Go.")
    assert repr(part) in str(raised.value)
    assert not isinstance(raised.value, AgentkitError)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_signed_thoughts_go_back_with_the_calls(is_streamed: bool) -> None:
    if is_streamed:
        pieces = [{"thinking": "I "}, {"thinking": "look."}, {"thinking": "", "signature": "c2ln"}]
        blocks = [delta(thinking_blocks=[{"type": "thinking", **piece}]) for piece in pieces]
        first = streamed(*blocks, delta(tool_calls=[CALL]), delta("tool_calls"))
    else:
        first = reply("tool_calls", thinking_blocks=[BLOCK], tool_calls=[CALL])
    *_, asked = shown(first, streamed(delta(content="Done."), delta("stop")))
    assert asked[1]["messages"][1]["thinking_blocks"] == [BLOCK]


def test_signed_thoughts_of_several_blocks_stay_apart() -> None:
    blocks = [{"type": "thinking", "thinking": "One.", "signature": "1"}, {"type": "redacted_thinking", "data": "x"}]
    blocks += [{"type": "thinking", "thinking": "Two.", "signature": "2"}]
    pieces = [delta(thinking_blocks=[block]) for block in blocks]
    for answer in (streamed(*pieces, delta(content="Hi"), delta("stop")), reply(content="Hi", thinking_blocks=blocks)):
        assert shown(answer)[2][1]["thinking_blocks"] == blocks


@pytest.mark.parametrize(
    "deltas",
    [
        [["Let"], [" me"]],
        [["Let", " me"]],
        [["Let"], [" ", "me"]],
    ],
)
def test_pieces_of_a_thought_with_one_index_are_joined_wherever_they_stand(deltas: list[list[str]]) -> None:
    entries = [[{"type": "reasoning.text", "text": text, "index": 0} for text in texts] for texts in deltas]
    pieces = [delta(reasoning_details=each) for each in entries]
    signed = delta(reasoning_details=[{"type": "reasoning.text", "signature": "S", "index": 0}])
    _, _, messages, _ = shown(streamed(*pieces, signed, delta(content="Hi"), delta("stop")))
    joined = {"type": "reasoning.text", "text": "Let me", "index": 0, "signature": "S"}
    assert messages[1]["reasoning_details"] == [joined]


def test_pieces_of_two_thoughts_that_take_turns_are_joined_each() -> None:
    said = [("A", 0), ("B", 1), ("a", 0), ("b", 1)]
    pieces = [delta(reasoning_details=[{"type": "reasoning.text", "text": text, "index": at}]) for text, at in said]
    _, _, messages, _ = shown(streamed(*pieces, delta(content="Hi"), delta("stop")))
    assert [part["text"] for part in messages[1]["reasoning_details"]] == ["Aa", "Bb"]


def test_the_entries_of_a_complete_response_stay_as_they_are() -> None:
    entries = [{"type": "reasoning.text", "text": text, "index": 0} for text in ("One.", "Two.")]
    assert shown(reply(content="Hi", reasoning_details=entries))[2][1]["reasoning_details"] == entries


def test_calls_in_other_forms_are_read() -> None:
    flat = {"id": "c1", "name": "look", "arguments": '{"city": "Oslo"}'}
    _, _, messages, _ = shown(reply("tool_calls", tool_calls=[flat]), reply(content="Done."))
    assert messages[1]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"city": "Oslo"}'}
    assert messages[2]["tool_call_id"] == "c1"


def test_a_completion_that_is_no_chat_is_a_text() -> None:
    assert shown(as_json({"choices": [{"text": "Hello", "finish_reason": "stop"}]}))[0] == "Hello"


def test_a_filter_of_texts_sees_reasoning_under_all_names() -> None:
    blocks = [{"type": "thinking", "thinking": "secret"}]
    answer = reply(content="Hi", reasoning_text="secret", thinking="secret", thinking_blocks=blocks)
    masked = Streamed(lambda text: text.replace("secret", "..."))
    with serve([answer]) as server:
        result = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0), hooks=[masked]).run("Go.")
    assert "secret" not in str(result.messages[1])
    assert result.messages[1]["thinking_blocks"][0]["thinking"] == "..."
