"""What may enter a history: messages that every server can read.

A server refuses a request for one value that it can't read (llama.cpp: NaN, half a surrogate pair or a number beyond a
double in the arguments of a call), and so it refuses each later request of the same conversation. So messages become
readable where they enter a transcript or a session.
"""

from collections.abc import Mapping
from typing import Any

from agentkit.tooling.arguments import as_json_object, is_sendable
from agentkit.tooling.json_repair import cleaned


def sendable(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message, with text in place of values that a server may refuse (see `cleaned`), in the arguments of its tool
    calls too. Raises ValueError for one that JSON can't represent."""
    if all(map(_is_plain, (*message, *message.values()))):
        return dict(message)
    try:
        made = {cleaned(key): cleaned(value) for key, value in message.items()}
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    calls = made.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            function["arguments"] = as_json_object(function["arguments"])
    return made


def _is_plain(value: object) -> bool:
    """Whether this is a text, or a list of calls, that needs no closer look, as nearly all are."""
    if type(value) is list:
        return all(map(_is_plain_call, value))
    return value is None or (type(value) is str and value.isascii())


def _is_plain_call(call: object) -> bool:
    if type(call) is not dict or call.keys() != _CALL or type(call["function"]) is not dict:
        return False
    function, strings = call["function"], (call["id"], call["type"])
    return (
        function.keys() == _FUNCTION
        and all(type(each) is str and each.isascii() for each in (*strings, *function.values()))
        and is_sendable(function["arguments"])
    )


_CALL = {"id", "type", "function"}
_FUNCTION = {"name", "arguments"}
