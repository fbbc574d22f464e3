"""What the entries of a request say of it: whether it has its answer, which calls it has made, and of which of them the
effect is not known."""

from collections.abc import Mapping, Sequence

from agentkit.event import ToolRecord
from agentkit.executor import record_of
from agentkit.message import Message, ToolCall, response_of
from agentkit.sessions.log import Entry
from agentkit.tooling.outcome import Outcome, is_failure
from agentkit.transcript import calls_of, is_call, whats_due


def is_answered(made: Sequence[Entry], before: Sequence[Entry] = ()) -> bool:
    """Whether the messages of a request end in its answer, or in the result of a tool that ended the run. before: the
    messages before them."""
    if not made:
        return False
    last = made[-1]
    if last.value.get("role") == "assistant" and not last.value.get("tool_calls"):
        return not last.extra.get("stopped")
    has_ended = any(entry.extra.get("ends") for entry in made)
    return has_ended and not isinstance(whats_due([entry.value for entry in (*before, *made)]), tuple)


def may_have_effects(entries: Sequence[Entry]) -> bool:
    """Whether a call with an effect was started, also where it was undone since: that takes no effect back."""
    return any(entry.kind == "started" and not entry.value.get("waits") for entry in entries)


def records_of(made: Sequence[Entry], before: Sequence[Entry] = ()) -> list[ToolRecord]:
    """The answered calls of a request. before: the messages before its own, the last reply of which has made calls of
    it."""
    reply = next((entry for entry in reversed(before) if entry.value["role"] == "assistant"), None)
    calls: dict[str, ToolCall] = {call["id"]: call for call in calls_of(reply.value)} if reply is not None else {}
    found = []
    for entry in made:
        message: Message = entry.value
        if message["role"] == "assistant":
            calls = {call["id"]: call for call in calls_of(message)}  # servers reuse ids
        call = calls.get(message.get("tool_call_id", "")) if message["role"] == "tool" else None
        if call is not None:
            response = response_of(message)
            found.append(record_of(call, Outcome(response, failed=is_failure(response))))
    return found


def unknown_of(messages: Sequence[Message], started: Mapping[str, ToolCall]) -> list[ToolCall]:
    """The open calls that were started, up to the first that was not, since calls are answered in order."""
    due = whats_due(messages)
    found = []
    for call in due if isinstance(due, tuple) else ():
        if not is_call(call) or call["id"] not in started:
            break
        found.append(call)
    return found


def told_unknown(entries: Sequence[Entry]) -> list[ToolCall]:
    """The calls of which the model was told since the last answer that their effect is not known: the run that told it
    may have been killed before its caller knew."""
    calls: dict[str, ToolCall] = {}
    found: list[ToolCall] = []
    for entry in entries:
        if entry.kind != "message" or entry.value.get("role") not in ("assistant", "tool"):
            continue
        if entry.value["role"] == "assistant":
            calls = {call["id"]: call for call in calls_of(entry.value)}
            found = found if calls else []
        elif entry.extra.get("unknown") and entry.value.get("tool_call_id") in calls:
            found.append(calls[entry.value["tool_call_id"]])
    return found
