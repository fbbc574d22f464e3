"""What may enter a history: messages that every server can read.

A server refuses a request for one value that it can't read (llama.cpp: NaN, half a surrogate pair or a number beyond a
double in the arguments of a call), and so it refuses each later request of the same conversation. So messages become
readable where they enter a transcript or a session.
"""

from collections.abc import Mapping
from typing import Any

from agentkit.message import is_plain_call
from agentkit.tooling.arguments import as_json_object, is_sendable


def sendable(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message, with text in place of values that a server may refuse (see `cleaned`), in the arguments of its tool
    calls too. Raises ValueError for one that JSON can't represent."""
    if _is_plain(message):
        return dict(message)
    from agentkit.tooling.json_repair import cleaned

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


def _is_plain(message: Mapping[str, Any]) -> bool:
    """Whether a message has nothing but texts and calls that need no closer look, as nearly all have."""
    for key, value in message.items():
        if type(key) is not str or not key.isascii():
            return False
        if type(value) is str:
            if not value.isascii():
                return False
        elif value is not None and not (key == "tool_calls" and type(value) is list and all(map(_is_sendable, value))):
            return False
    return True


def _is_sendable(call: object) -> bool:
    if not is_plain_call(call):
        return False
    texts: Any = call["id"], *call["function"].values()
    return all(map(str.isascii, texts)) and is_sendable(call["function"]["arguments"])
