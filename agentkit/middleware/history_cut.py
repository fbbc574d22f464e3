"""Selects what to leave out of a long history: old tool results first, then whole turns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import json_bytes
from agentkit.message import Message, is_shown_by_a_tool, response_of, text_of, tool_response, without_images
from agentkit.tooling.number_ranges import NumberRanges

BULKY_BYTES = 600
"""Size in bytes from which the result of a call may be replaced by one line."""


@dataclass
class TrimmedHistory:
    """What is sent of a transcript. left_out: indices of messages that are not sent. stubs: indices of tool results
    that are replaced by one line. note: text before the first remaining user message, in place of the omitted turns.
    offset: the index in the transcript of the message with the number 0, which stays the same from run to run: of the
    session's first one, whether or not the transcript has it; without a session of the first one behind the system
    message.

    What is done with it takes as long as what is sent is long, however much is left out.
    """

    left_out: NumberRanges = field(default_factory=NumberRanges)
    stubs: set[int] = field(default_factory=set)
    note: str = ""
    offset: int = field(default=0, compare=False)

    def messages(self, transcript: Sequence[Message], start: int = 0) -> Iterator[Message]:
        """The messages to send, from index `start` on."""
        return (message for _, message in self.sent(transcript, start))

    def sent(self, transcript: Sequence[Message], start: int = 0) -> Iterator[tuple[int, Message]]:
        """The same with the index of each in the transcript."""
        has_note = start > 0 or not self.note
        for index in self.left_out.missing(start, len(transcript)):
            message = transcript[index]
            if index in self.stubs:
                message = _stub(message, index - self.offset)
            if not has_note and message["role"] == "user":
                message, has_note = _with_note(message, self.note), True
            yield index, message

    def stored(self, transcript: Sequence[Message], instructed: int) -> dict[str, Any]:
        """As JSON for a session, in the numbers of its messages. instructed: the index of the first message that is the
        session's. begins: the number of the first message that is sent, from which on the others are listed."""
        first = next(self.left_out.missing(instructed, len(transcript)))
        begins = first - self.offset
        numbers = {
            name: [index - self.offset for index in sorted(getattr(self, name)) if index - self.offset >= begins]
            for name in ("left_out", "stubs")
        }
        return {"begins": begins, **numbers, "note": self.note}

    @classmethod
    def restored(cls, stored: Mapping[str, Any], offset: int, instructed: int) -> "TrimmedHistory":
        """The inverse of `stored`."""
        left_out, stubs = ({number + offset for number in stored.get(name) or ()} for name in ("left_out", "stubs"))
        before = range(instructed, stored.get("from", {}).get("message", 0) + offset)
        return cls(NumberRanges(left_out).plus(before), stubs, str(stored.get("note") or ""), offset)


def cut(
    transcript: Sequence[Message], view: TrimmedHistory, max_bytes: int, last_turns: int, given: int = 0
) -> TrimmedHistory:
    """A view of at most `max_bytes` bytes, as far as possible; it leaves out at least what `view` does. given: how many
    of the first messages stay as they are, where any do: of the others, only results of calls are replaced then."""
    made = TrimmedHistory(view.left_out, set(view.stubs), view.note, view.offset)
    sizes = {index: size_of(message) for index, message in replace(view, note="").sent(transcript)}
    size = sum(sizes.values())
    turns = _turns(transcript, list(sizes))
    last = {index for turn in turns[-last_turns:] for index in turn}
    groups = [group for turn in turns for group in _groups(transcript, turn)]
    newest = {index for group in groups[-2:] for index in group}

    def stub(indices: Iterable[int]) -> None:
        nonlocal size
        for index in indices:
            if size <= max_bytes:
                return
            if index < given or index in made.stubs:
                continue
            if transcript[index]["role"] != "tool" or sizes[index] < BULKY_BYTES:
                continue
            small = size_of(_stub(transcript[index], index - made.offset))
            size -= sizes[index] - small
            sizes[index] = small
            made.stubs.add(index)

    def leave_out(parts: Sequence[Sequence[int]]) -> None:
        nonlocal size
        left_out: list[int] = []
        for part in parts:
            if size <= max_bytes or given:
                break
            left_out += (index for index in part if index in sizes)
            size -= sum(sizes.pop(index, 0) for index in part)
        made.left_out = made.left_out.plus(left_out)
        made.stubs.difference_update(left_out)

    stub([index for index in sizes if index not in last])
    leave_out(turns[:-last_turns])
    stub([index for index in sorted(last) if index not in newest])
    leave_out(groups[:-2])
    stub(list(sizes))
    return made


def _turns(transcript: Sequence[Message], kept: Sequence[int]) -> list[list[int]]:
    """The indices of each turn, of those that are kept: a user message and everything up to the next one. System
    messages are never left out."""
    turns: list[list[int]] = []
    for index in kept:
        message = transcript[index]
        if message["role"] in ("system", "developer"):
            continue
        begins = message["role"] == "user" and not is_shown_by_a_tool(message)
        if not turns or (begins and not _follows_user(transcript, index)):
            turns.append([])
        turns[-1].append(index)
    return turns


def _follows_user(transcript: Sequence[Message], index: int) -> bool:
    """Whether the message before this one is a user's, system messages aside; it may be left out."""
    before = index - 1
    while before >= 0 and transcript[before]["role"] in ("system", "developer"):
        before -= 1
    return before >= 0 and transcript[before]["role"] == "user"


def _groups(transcript: Sequence[Message], turn: Sequence[int]) -> list[list[int]]:
    """The indices of each reply with calls of a turn, together with the results."""
    groups: list[list[int]] = []
    for index in turn:
        message = transcript[index]
        if message["role"] == "assistant" and message.get("tool_calls"):
            groups.append([index])
        elif groups and (message["role"] == "tool" or is_shown_by_a_tool(message)) and groups[-1][-1] == index - 1:
            groups[-1].append(index)
    return groups


def _stub(message: Message, number: int) -> Message:
    text = response_of(message)
    beginning = " ".join(text[:120].split())
    stub = (
        f"(left out to save space: {len(text):,} characters that begin with {beginning!r}; call earlier_result with "
        f"number {number} to read them again)"
    )
    return cast(Message, {**message, "content": tool_response(stub)})


def _with_note(message: Message, note: str) -> Message:
    content = message.get("content")
    if isinstance(content, list):
        return cast(Message, {**message, "content": [{"type": "text", "text": note}, *content]})
    return cast(Message, {**message, "content": f"{note}\n\n{content or ''}"})


def as_text(message: Message) -> str:
    """A message as plain text for a summary: its text, cut to 2000 characters, and its calls."""
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls") or ()]
    return " ".join([text_of(message)[:2000], *calls])


IMAGE_BYTES = 4000
"""Size in bytes that is assumed for an image instead of that of its data."""


def size_of(message: Message) -> int:
    """The size of a message in bytes of JSON."""
    content = message.get("content")
    images = sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0
    return len(json_bytes(without_images(message) if images else message)) + images * IMAGE_BYTES
