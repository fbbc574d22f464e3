"""A client's decision on the calls of a session that wait for a person."""

import json
from collections.abc import Mapping
from typing import Any

from agentkit._text import cut
from agentkit.errors import AgentkitError
from agentkit.record import call_record
from agentkit.running.decisions import Decision
from agentkit.sessions.turn import Turn
from agentkit.sessions.waiting import Waiting
from agentkit.tooling.json_repair import cleaned

MAX_DECIDED = 256
"""How many calls a client may decide on at once."""
MAX_REASON = 4000
"""Characters of the reason for a refusal."""


WRONG = "must be true, false, the reason of a refusal (a text), or other arguments or an answer (an object)"


def decision_of(value: Any) -> Any:
    """A decision of a client, without lone surrogates. Raises ValueError for what is none."""
    if not isinstance(value, bool | str | dict):
        raise ValueError(WRONG)
    if isinstance(value, str) and len(value) > MAX_REASON:
        raise ValueError(f"has {len(value):,} characters; a reason may have {MAX_REASON:,}")
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise ValueError("has a number that JSON does not have (NaN, Infinity), or too many levels") from None
    return cleaned(value)


class DecisionError(AgentkitError):
    """A decision on what does not wait for one (any more), or not as the client has seen it."""


def checked_decisions(value: Any) -> dict[str, Decision]:
    """The decisions of a client, by the ids of calls. Raises DecisionError."""
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_DECIDED:
        raise DecisionError(f"approve: must be an object with 1 to {MAX_DECIDED} calls")
    decided = {}
    for call_id, decision in value.items():
        try:
            decided[call_id] = decision_of(decision)
        except ValueError as error:
            raise DecisionError(f"approve.{cut(call_id, 80)}: {error}") from None
    return decided


def decisions_for(turn: Turn, approve: Mapping[str, Decision], asked: str) -> dict[str, Decision]:
    """What is to be decided in a turn; of a decision that was sent before, what is left of it. asked: that of the calls
    that the client has seen, "" where it does not say. Raises DecisionError."""
    if turn.state == "answered":
        return {}
    if turn.left is not None and turn.state == "open":
        return {call_id: decision for call_id, decision in approve.items() if call_id in turn.left}
    waiting = {call.id for call in turn.waiting.calls} if turn.waiting is not None and turn.left is None else set()
    unknown = sorted(approve.keys() - waiting)
    if unknown:
        names = ", ".join(_named(turn.waiting) if waiting else ()) or "none"
        raise DecisionError(f"no call {cut(unknown[0], 80)!r} waits for a decision (waiting: {names})")
    if asked and turn.waiting is not None and asked != turn.waiting.asked:
        text = "other calls wait for a decision now than those that `asked` stands for: get the history of the session"
        raise DecisionError(f"{text} (waiting: {', '.join(_named(turn.waiting))})")
    return dict(approve)


def _named(waiting: Waiting | None) -> list[str]:
    return [f"{cut(call.id, 80)} ({cut(call.name, 80)})" for call in (waiting.calls if waiting is not None else ())]


def waiting_record(waiting: Waiting) -> dict[str, Any]:
    """The calls that wait as clients are told of them: `asked`, and `calls` with their arguments as JSON text."""
    calls = [{"question": None, "reason": None, **call_record(call, as_text=True)} for call in waiting.calls]
    return {"asked": waiting.asked, "calls": calls}
