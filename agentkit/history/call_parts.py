"""Calls of tools and their results that are parts of a content, in the forms of other APIs and frameworks."""

import json
from collections.abc import Mapping
from typing import Any

IDS = ("tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId")
"""The keys that other forms have for the id of a call."""
ARGUMENTS = ("arguments", "args", "input", "parameters", "tool_kwargs")
"""The keys that other forms have for the arguments of a call."""
_NAMES = ("name", "toolName", "tool_name")
_KINDS = ("type", "content_type", "block_type", "part_kind")
_CALL_KINDS = ("tool_use", "tool_call", "tool-call", "function_call")
_CALL_KEYS = ("functionCall", "function_call", "toolUse", "tool_call")
_RESULT_KINDS = ("tool_result", "tool-result", "function_result", "tool-return")
_RESULT_KEYS = ("functionResponse", "function_response", "toolResult", "tool_call_result")
_UNTYPED_CALL = frozenset(("id", "name", "arguments"))  # of AutoGen
_UNTYPED_RESULT = frozenset(("call_id", "content"))


def call_of(part: Any) -> dict[str, Any] | None:
    """The call that a part is, in OpenAI's form; None when it is none."""
    if not isinstance(part, Mapping):
        return None
    kind = _first(part, _KINDS)
    given = part if kind in _CALL_KINDS or _is_untyped(part, _UNTYPED_CALL) else _inside(part, _CALL_KEYS)
    if given is None or not isinstance(name := _first(given, _NAMES), str):
        return None
    function = {"name": name, "arguments": _json(_first(given, ARGUMENTS, {}))}
    call_id = next((given[key] for key in ("id", *IDS) if isinstance(given.get(key), str)), "")
    return {"id": call_id, "type": "function", "function": function}


def result_of(part: Any) -> dict[str, Any] | None:
    """The tool message of the result that a part is; None when it is none."""
    if not isinstance(part, Mapping):
        return None
    kind = _first(part, _KINDS)
    given = part if kind in _RESULT_KINDS or _is_untyped(part, _UNTYPED_RESULT) else _inside(part, _RESULT_KEYS)
    if given is None:
        return None
    content = _first(given, ("content", "result", "output", "response"), "")
    origin = given["origin"] if isinstance(given.get("origin"), Mapping) else {}  # the call, in Haystack's results
    ids = [*(given.get(key) for key in IDS), origin.get("id"), given.get("id") if kind == "function_result" else None]
    call_id = next((each for each in ids if isinstance(each, str)), None)
    if call_id is None and (name := _first(given, _NAMES)) is not None:
        return {"role": "tool", "name": name, "content": content}
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _first(given: Mapping[str, Any], keys: tuple[str, ...], default: Any = None) -> Any:
    return next((given[key] for key in keys if key in given), default)


def _inside(part: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    return next((part[key] for key in keys if isinstance(part.get(key), Mapping)), None)


def _is_untyped(part: Mapping[str, Any], keys: frozenset[str]) -> bool:
    return keys <= part.keys() and not any(key in part for key in _KINDS)


def _json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
