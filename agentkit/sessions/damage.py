"""What is wrong with an entry of a session's log, which another program may have written or damaged."""

from collections.abc import Callable, Mapping
from typing import Any

from agentkit.transcript import ROLES

_ROLES = {*ROLES, "function"}  # a deprecated one, which is repaired


def damage_of(kind: str, entry: Mapping[str, Any], number: int) -> str | None:
    """What is wrong with the value of an entry; None when it can be read. What a run repairs (`agentkit.repair`) is not
    damage. kind: the key of the value, "" when the entry has none. number: the place of the entry in the log."""
    if kind not in _CHECKS:
        return f"it has none of the keys {', '.join(_CHECKS)}"
    if not isinstance(entry.get("usage"), Mapping | None):
        return f"its usage is {_named(entry['usage'])} instead of an object"
    if kind == "undo":
        return _undo(entry)
    value = entry[kind]
    if not isinstance(value, Mapping):
        return f"its {kind} is {_named(value)} instead of an object"
    return _view(value, number) if kind == "view" else _CHECKS[kind](value)


def damage_of_message(message: Mapping[str, Any]) -> str | None:
    """What is wrong with a message, in a way that a run can't repair."""
    if not isinstance(message.get("role"), str) or message["role"] not in _ROLES:
        return f"its message has the role {message.get('role')!r:.40}; valid are {', '.join(sorted(ROLES))}"
    for name in ("tool_call_id", "refusal"):
        if not isinstance(message.get(name), str | None):
            return f"the {name} of its message is {_named(message[name])} instead of a text"
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)):
        return "the tool_calls of its message are not a list of objects"
    content = message.get("content")
    if isinstance(content, list) and not all(map(_is_part, content)):
        return "the content of its message has a part that is not an object with a type (and a text, for one of text)"
    return None


def _is_part(part: object) -> bool:
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        return False
    return part["type"] != "text" or isinstance(part.get("text"), str | None)


def _undo(entry: Mapping[str, Any]) -> str | None:
    for name, value in (("undo", entry["undo"]), ("dropped_from", entry.get("dropped_from", 0))):
        if not _is_count(value):
            return f"its {name} is {_named(value)} instead of a number of at least 0"
    return None


def _started(value: Mapping[str, Any]) -> str | None:
    return _texts("started", value, ("id", "name", "arguments"))


def _request(value: Mapping[str, Any]) -> str | None:
    return _texts("request", value, ("id", "state"))


def _texts(kind: str, value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    wrong = next((name for name in names if not isinstance(value.get(name), str)), None)
    return None if wrong is None else f"the {wrong} of its {kind} is {_named(value.get(wrong))} instead of a text"


def _view(value: Mapping[str, Any], number: int) -> str | None:
    begin, first = value.get("from"), 0
    if "from" in value:
        if not (isinstance(begin, Mapping) and _is_count(begin.get("entry")) and _is_count(begin.get("message"))):
            return "the from of its view has no numbers of an entry and a message"
        first = begin["message"]
        if not first <= begin["entry"] < number:
            return "the from of its view is no earlier entry, or has more messages than entries before it"
    for name in ("left_out", "stubs"):
        places = value.get(name)
        if places is not None and not (
            isinstance(places, list) and all(_is_count(place) and place >= first for place in places)
        ):
            return f"the {name} of its view is not a list of numbers of at least {first}"
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _named(value: object) -> str:
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return f"{names.get(type(value), 'null')} ({value!r:.40})" if value is not None else "missing or null"


_CHECKS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "message": damage_of_message,
    "started": _started,
    "undo": lambda value: None,
    "view": lambda value: None,
    "request": _request,
}
