"""Secrets that stand in several pieces of a recorded stream (cline/cline#9797)."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.testing.redaction import Redaction
from tests.support.growth import assert_linear

KEY = "sk-abcdef1234567890"
REDACTION = Redaction([KEY])


def chat(piece: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": piece}}]}


def argument(piece: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}]}


def response(piece: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "delta": piece}


def block(piece: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}


def token(piece: str) -> dict[str, Any]:
    return {"token": {"id": 1, "text": piece}}


def message(piece: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": piece}, "done": False}


def events(form: Callable[[str], dict[str, Any]], pieces: Sequence[str], end: str = "\n") -> str:
    return "".join(f"data: {json.dumps(form(piece))}{end}{end}" for piece in pieces) + "data: [DONE]" + 2 * end


def pieces_of(body: str) -> list[str]:
    lines = [line for line in body.split("\n") if line.startswith("data: {")]
    return [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines]


@pytest.mark.parametrize("form", [chat, argument, response, block, token])
def test_a_known_secret_is_found_over_several_pieces(form: Callable[[str], dict[str, Any]]) -> None:
    redacted = REDACTION.body(events(form, ["the key sk-ab", "cdef", "1234567890, keep", " it"]))
    expected = [form(piece) for piece in ("the key SECRET", "", ", keep", " it")]
    lines = [line for line in redacted.split("\n") if line.startswith("data: {")]
    assert [json.loads(line[6:]) for line in lines] == expected
    assert redacted.endswith("data: [DONE]\n\n")


def test_lines_of_json_and_bytes_are_streams_too() -> None:
    body = "".join(f"{json.dumps(message(piece))}\n" for piece in ("sk-abcdef", "1234567890"))
    assert isinstance(redacted := REDACTION.body(body.encode()), bytes)
    assert [json.loads(line)["message"]["content"] for line in redacted.splitlines()] == ["SECRET", ""]


def test_the_field_of_a_secret_is_found_over_several_pieces() -> None:
    redacted = REDACTION.body(events(argument, ['{"pass', 'word": "hun', 'ter2", "x": 1}']))
    lines = [json.loads(line[6:]) for line in redacted.split("\n") if line.startswith("data: {")]
    calls = [line["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for line in lines]
    assert "".join(calls) == '{"password": "SECRET", "x": 1}'


def test_texts_that_arrive_in_turns_are_read_each_by_itself() -> None:
    def choice(index: int, piece: str) -> str:
        return f"data: {json.dumps({'choices': [{'index': index, 'delta': {'content': piece}}]})}\n\n"

    two = choice(0, "sk-abcdef") + choice(1, "other ") + choice(0, "1234567890") + choice(1, "text")
    assert pieces_of(REDACTION.body(two)) == ["SECRET", "other ", "", "text"]
    parts = choice(0, "sk-abcdef") + choice(1, "1234567890")  # of two texts: no secret
    assert REDACTION.body(parts) == parts


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stream_without_secrets_stays_as_it_is(end: str) -> None:
    body = events(chat, ["One ", "tw\u00f6."], end) + "data: {broken" + end + ": comment" + end
    assert REDACTION.body(body) == body


@given(st.lists(st.sampled_from([KEY, KEY[:5], "x", "é ", '"', "\n", "\\", "Bearer "]), max_size=12), st.data())
def test_a_secret_is_found_wherever_the_text_is_divided(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(pieces_of(REDACTION.body(events(chat, pieces)))) == REDACTION.body(text)


def test_a_long_stream_is_read_in_linear_time() -> None:
    assert_linear(lambda size: REDACTION.body(events(chat, ["sk-abcdef", "1234567890 "] * size)), 1_000)
