"""Ctrl-C in the middle of an append leaves a transcript that goes on."""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import agentkit.transcript
from agentkit.transcript import Due, Transcript


def call(number: int) -> dict[str, Any]:
    return {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": "{}"}}


IMAGE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": "", "tool_calls": [call(1), call(2)]},
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
    {"role": "user", "content": IMAGE},
    {"role": "tool", "tool_call_id": "c2", "content": "two"},
    {"role": "assistant", "content": "done"},
]


def interrupted(number: int) -> Iterator[Transcript]:
    """The transcript of the messages, whose append is interrupted at a line of the module, the one with this number;
    nothing when there are not that many."""
    transcript, left = Transcript(), number

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != agentkit.transcript.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        transcript.extend(MESSAGES)
    except KeyboardInterrupt:
        yield transcript
    finally:
        sys.settrace(before)


def rest_of(transcript: Transcript) -> list[dict[str, Any]]:
    """The messages that a run would add to it."""
    due = transcript.whats_due()
    if isinstance(due, tuple):
        return [{"role": "tool", "tool_call_id": each["id"], "content": "late"} for each in due] + MESSAGES[-1:]
    return MESSAGES if due is Due.NOTHING else [{"role": "assistant", "content": "late"}]


def test_a_transcript_goes_on_wherever_it_was_interrupted() -> None:
    number = 0
    while made := list(interrupted(number)):
        (transcript,) = made
        transcript.extend(rest_of(transcript))
        again = Transcript(list(transcript))
        assert transcript.encoded(images=False) == again.encoded(images=False), number
        assert [transcript.size(0, end) for end in range(len(again) + 1)] == [
            again.size(0, end) for end in range(len(again) + 1)
        ]
        assert (transcript.with_images, transcript.whats_due()) == (again.with_images, again.whats_due())
        number += 1
    assert number > 500  # each step of the append was tried
