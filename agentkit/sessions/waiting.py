"""The calls of a session that wait for a person, as its log has them.

    {"request": {"id": "7", "state": "waiting", "asked": "9f2c...", "calls": [{"id": "call_1", "name": ...}]}}

is written when a run stops for them, and they wait as long as no message and no call stands behind it. A decision that
has an id of its own is {"request": {"id": "8", "state": "decided", "digest": "..."}}, written before its calls run.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentkit._lazy.records import dataclass
from agentkit.event import OpenCall
from agentkit.record import call_record
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.questions import Question

WAITING = "waiting"
DECIDED = "decided"
BEGINS = ("begun", DECIDED)
"""The states with which what is done for a request begins."""


@dataclass(frozen=True)
class Waiting:
    """Calls that wait for a person. asked: what no other stop of a run has, so that a decision can say which it has
    seen: the ids of calls may come again."""

    asked: str
    calls: tuple[OpenCall, ...]

    def entry(self, request_id: str) -> dict[str, Any]:
        """The entry of the log. request_id: of the client's request, "" for none."""
        calls = [call_record(call) for call in self.calls]
        return {"request": {"id": request_id, "state": WAITING, "asked": self.asked, "calls": calls}}


def is_waiting(entry: Any) -> bool:
    """Whether a run has stopped here for a person."""
    return bool(entry.kind == "request" and entry.value.get("state") == WAITING)


def goes_on(entry: Any) -> bool:
    """Whether a run has done something here that changes what waits."""
    return entry.kind in ("message", "started") or is_waiting(entry)


def waiting_in(entries: Iterable[Any], start: int = 0) -> Waiting | None:
    """What waits at the end of a log. start: the number of the first of these entries."""
    found: list[tuple[int, Any]] = []
    for number, entry in enumerate(entries, start):
        if entry.kind == "undo":
            dropped_from = entry.extra.get("dropped_from", number)
            found = [each for each in found if each[0] < dropped_from]
        elif goes_on(entry):
            found.append((number, entry))
    return _read(found[-1][1].value) if found and is_waiting(found[-1][1]) else None


def _read(value: Mapping[str, Any]) -> Waiting | None:
    """None for what another program has damaged."""
    calls = value.get("calls")
    read = [_call(each) for each in calls] if isinstance(calls, list) else []
    whole = tuple(call for call in read if call is not None)
    asked = value.get("asked")
    return Waiting(asked, whole) if isinstance(asked, str) and whole and len(whole) == len(read) else None


def _call(value: Any) -> OpenCall | None:
    if not isinstance(value, Mapping):
        return None
    call_id, name, raw = (value.get(key) for key in ("id", "name", "raw_arguments"))
    if not (isinstance(call_id, str) and isinstance(name, str) and isinstance(raw, str)):
        return None
    reason = value.get("reason")
    more: dict[str, Any] = {"reason": reason} if isinstance(reason, str) else {}
    return OpenCall(call_id, name, read_arguments(raw), raw, _question(value.get("question")), **more)


def _question(value: Any) -> Question | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        return None
    schema = value.get("schema")
    return Question(value["text"], schema if isinstance(schema, Mapping) else None, str(value.get("problem") or ""))


def left_of(behind: Sequence[Any], open_ids: Iterable[str]) -> frozenset[str]:
    """The calls for which an earlier try of a decision has not been used up, by their ids. behind: the entries since
    then. open_ids: of the calls that are open, and were not begun."""
    has_replied = any(entry.kind == "message" and entry.value.get("role") == "assistant" for entry in behind)
    return frozenset() if has_replied or any(map(is_waiting, behind)) else frozenset(open_ids)
