"""What is sent of a long history, as a session keeps it: its view, in the numbers of its messages.

    {"from": {"entry": 9, "message": 7}, "left_out": [8], "stubs": [10], "note": "..."}

See `agentkit.middleware.history_cut.TrimmedHistory`; "from" is where reading starts: all messages before it are left
out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.record import usage_from
from agentkit.sessions.log import Entry, ordered

PLACES = ("left_out", "stubs")


def last_view(entries: Sequence[Entry]) -> tuple[Mapping[str, Any] | None, Usage | None]:
    """The view in effect at the end of a log, and the usage of the last reply. Messages that are undone go from the
    view."""
    view: Mapping[str, Any] | None = None
    reply: Entry | None = None
    count = 0
    for number, entry in enumerate(entries):
        if entry.kind == "undo":
            count, reply = max(0, count - entry.value), None
            if view is not None:
                is_undone = entry.extra.get("dropped_from", 0) <= view["number"]
                view = None if is_undone else shortened(view, count)
        elif entry.kind == "view":
            view = {**entry.value, "number": number}
        elif entry.kind == "message":
            count += 1
            if entry.usage:  # of a copy, it is that of a request with what the other session sent
                reply = None if entry.extra.get("copied") else entry
            elif entry.value.get("role") == "tool":
                reply = None
    if view is not None:
        view = shortened(view, count)
    spent = None if reply is None else usage_from(reply.usage)
    return view, spent if spent is not None and spent.input_tokens else None


def shortened(view: Mapping[str, Any], messages: int) -> dict[str, Any]:
    """The view of a session of which only the first `messages` messages are left."""
    return {**view, **{name: [place for place in view.get(name) or () if place < messages] for name in PLACES}}


def settled(messages: Sequence[Message]) -> int:
    """The number of messages before the last reply where that has calls without a result; else of all."""
    results = 0
    for place in reversed(range(len(messages))):
        message = messages[place]
        if message["role"] == "assistant":
            return place if len(message.get("tool_calls") or ()) > results else len(messages)
        results += message["role"] == "tool"
    return len(messages)


def is_sound(view: Mapping[str, Any], messages: Sequence[Message], first: int) -> bool:
    """Whether a view can be of this session: it leaves no call without its results, shortens results only, and leaves
    nothing of a reply out that has open calls. messages: those from number `first` on."""
    left_out, stubs = (set(view.get(name) or ()) for name in PLACES)
    if not left_out and not stubs:
        return True
    results = {number for number, message in enumerate(messages, first) if message["role"] == "tool"}
    if any((number in left_out) != (number - 1 in left_out) for number in results if number > first):
        return False
    return stubs <= results and max(left_out, default=-1) < first + settled(messages)


def begins_at(entries: Sequence[Entry], start: int, first: int, begins: int) -> dict[str, Any]:
    """Where reading starts, as `{"from": ...}`: at the entry of the message with the number `begins`, if all messages
    from it on are stored behind all others; else nothing. start, first: the numbers of the first of these entries and
    of the first message among them."""
    sent, held = ordered(entries)
    place = begins - first
    if not begins or not 0 <= place < len(sent):
        return {}
    numbers = {id(entry): number for number, entry in enumerate(entries)}
    before, after = ([numbers[id(entry)] for entry in part] for part in (sent[:place], [*sent[place:], *held]))
    is_apart = max(before, default=-1) < min(after)
    return {"from": {"entry": start + min(after), "message": begins}} if is_apart else {}
