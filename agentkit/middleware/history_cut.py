"""What is left out of a long history: old tool results first, then whole turns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agentkit._text import json_bytes
from agentkit.message import Message, is_shown_by_a_tool, response_of, text_of, tool_response, without_images

BULKY = 600
"""Bytes from which the result of a call is worth a line instead."""


@dataclass
class TrimmedHistory:
    """What is sent of a transcript: `left_out` and `stubs` are places in it; `note` stands before the first user
    message that is left, in the place of the turns that went."""

    left_out: set[int] = field(default_factory=set)
    stubs: set[int] = field(default_factory=set)
    note: str = ""

    def messages(self, transcript: Sequence[Message], start: int = 0) -> Iterator[Message]:
        """What is sent, from the place `start` on."""
        noted = start > 0 or not self.note
        for place in range(start, len(transcript)):
            message = transcript[place]
            if place in self.left_out:
                continue
            if place in self.stubs:
                message = _stub(message, place)
            if not noted and message["role"] == "user":
                message, noted = _with_note(message, self.note), True
            yield message

    def stored(self, offset: int) -> dict[str, Any]:
        """For a session, whose messages begin `offset` places later."""
        places = {name: sorted(place - offset for place in getattr(self, name)) for name in ("left_out", "stubs")}
        return {**places, "note": self.note}

    @classmethod
    def restored(cls, stored: Mapping[str, Any], offset: int) -> "TrimmedHistory":
        """What `stored` gave."""
        left_out, stubs = ({place + offset for place in stored.get(name) or ()} for name in ("left_out", "stubs"))
        return cls(left_out, stubs, str(stored.get("note") or ""))


def cut(transcript: Sequence[Message], view: TrimmedHistory, max_bytes: int, last_turns: int) -> TrimmedHistory:
    """A view of at most so many bytes, as far as that can be had; it leaves out what the view before it did."""
    made = TrimmedHistory(set(view.left_out), set(view.stubs), view.note)
    sizes = [size_of(message) for message in transcript]
    for place in made.stubs:
        sizes[place] = size_of(_stub(transcript[place], place))
    size = sum(sizes[place] for place in range(len(transcript)) if place not in made.left_out)
    turns = [turn for turn in _turns(transcript) if not set(turn) <= made.left_out]
    last = {place for turn in turns[-last_turns:] for place in turn}
    groups = [group for turn in turns for group in _groups(transcript, turn)]
    newest = {place for group in groups[-2:] for place in group}

    def stub(places: Sequence[int]) -> None:
        nonlocal size
        for place in places:
            if size <= max_bytes:
                return
            if transcript[place]["role"] != "tool" or place in made.stubs | made.left_out or sizes[place] < BULKY:
                continue
            small = size_of(_stub(transcript[place], place))
            size -= sizes[place] - small
            sizes[place] = small
            made.stubs.add(place)

    def leave_out(parts: Sequence[Sequence[int]]) -> None:
        nonlocal size
        for part in parts:
            if size <= max_bytes:
                return
            size -= sum(sizes[place] for place in part if place not in made.left_out)
            made.left_out |= set(part)
            made.stubs -= set(part)

    stub([place for place in range(len(transcript)) if place not in last])
    leave_out(turns[:-last_turns])
    stub([place for place in sorted(last) if place not in newest])
    leave_out(groups[:-2])
    stub(range(len(transcript)))
    return made


def _turns(transcript: Sequence[Message]) -> list[list[int]]:
    """The places of each turn: what a user says, and all that follows up to the next. System messages stay."""
    turns: list[list[int]] = []
    speaks = False
    for place, message in enumerate(transcript):
        if message["role"] in ("system", "developer"):
            continue
        begins = message["role"] == "user" and not speaks and not is_shown_by_a_tool(message)
        if begins or not turns:
            turns.append([])
        speaks = message["role"] == "user"
        turns[-1].append(place)
    return turns


def _groups(transcript: Sequence[Message], turn: Sequence[int]) -> list[list[int]]:
    """The calls of a turn, each reply with its results."""
    groups: list[list[int]] = []
    for place in turn:
        message = transcript[place]
        if message["role"] == "assistant" and message.get("tool_calls"):
            groups.append([place])
        elif groups and (message["role"] == "tool" or is_shown_by_a_tool(message)) and groups[-1][-1] == place - 1:
            groups[-1].append(place)
    return groups


def _stub(message: Message, place: int) -> Message:
    text = response_of(message)
    begins = " ".join(text[:120].split())
    told = (
        f"(left out to save space: {len(text):,} characters that begin with {begins!r}; call earlier_result with "
        f"number {place} to read them again)"
    )
    return cast(Message, {**message, "content": tool_response(told)})


def _with_note(message: Message, note: str) -> Message:
    content = message.get("content")
    if isinstance(content, list):
        return cast(Message, {**message, "content": [{"type": "text", "text": note}, *content]})
    return cast(Message, {**message, "content": f"{note}\n\n{content or ''}"})


def in_words(message: Message) -> str:
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls") or ()]
    return " ".join([text_of(message)[:2000], *calls])


IMAGE_BYTES = 4000
"""What a picture counts for, instead of its data."""


def size_of(message: Message) -> int:
    content = message.get("content")
    pictures = sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0
    return len(json_bytes(without_images(message) if pictures else message)) + pictures * IMAGE_BYTES
