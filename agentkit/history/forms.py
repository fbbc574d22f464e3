"""Messages in the forms of other APIs as chat messages: other names of roles, calls and results as parts of a content
(Anthropic, Gemini), as items of a list of their own (the Responses API), or with keys of their own (LangChain)."""

import json
from collections.abc import Mapping
from typing import Any

_ROLES = {
    **dict.fromkeys(("human", "enduser", "customer"), "user"),
    **dict.fromkeys(("ai", "bot", "model", "chatbot", "gpt", "llm", "aimessagechunk"), "assistant"),
    **dict.fromkeys(
        ("tool_result", "tool_response", "tool_output", "function_response", "ipython", "observation"), "tool"
    ),
}
"""What other programs call the roles."""
_CHAT = ("system", "developer", "user", "assistant", "tool", "function")
_IDS = ("tool_call_id", "tool_use_id", "call_id", "toolCallId")
_OF_CHAT = ("role", "content", "name", "tool_calls", "tool_call_id")
ARGUMENTS = ("arguments", "args", "input", "parameters")
"""The keys that other forms have for the arguments of a call."""

Told = tuple[list[dict[str, Any]], list[str]]
"""Chat messages, and what was changed for them, as the ends of sentences about the message."""


def chat_messages(message: dict[str, Any]) -> Told:
    """The chat messages of a message in any known form; the same one when it is a chat message."""
    kind = message.get("type")
    if "role" not in message and kind in ("function_call", "function_call_output", "custom_tool_call_output"):
        return [_item(message)], [f"is an item of the Responses API ({kind}), which became a chat message"]
    if "role" not in message and kind == "reasoning":
        return [], ["is reasoning of the Responses API, which other servers can't read: left out"]
    message, told = _with_role(message)
    if "parts" in message and "content" not in message and isinstance(message["parts"], list):
        told.append("has parts instead of a content, which they became")
        message = {**{key: value for key, value in message.items() if key != "parts"}, "content": message["parts"]}
    if message.get("role") in ("tool", "function") and not message.get("tool_call_id"):
        given = next((message[key] for key in _IDS[1:] if isinstance(message.get(key), str)), None)
        if given is not None:
            message = {**message, "tool_call_id": given}
    content = message.get("content")
    if not isinstance(content, list):
        return [message], told
    made = _divided(message, content)
    return (made, told) if made == [message] else (made, [*told, "has tool calls or results as parts of its content"])


def is_call_item(message: Mapping[str, Any]) -> bool:
    """Whether this is a call as an item of the Responses API: calls in a row are of one reply."""
    return "role" not in message and message.get("type") == "function_call"


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    call_id = item.get("call_id") or item.get("id")
    if item["type"] != "function_call":
        return {"role": "tool", "tool_call_id": call_id, "content": item.get("output")}
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def _with_role(message: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    given = message.get("role", message.get("type"))
    if not isinstance(given, str) or (given in _CHAT and "role" in message):
        return message, []
    lowered = given.strip().lower()
    role = lowered if lowered in _CHAT else _ROLES.get(lowered)
    if role is None:
        return message, []
    key = "role" if "role" in message else "type"
    rest = {name: value for name, value in message.items() if name != key}
    return {"role": role, **rest}, [f"has the {key} {given!r}, which became the role {role!r}"]


def _divided(message: dict[str, Any], content: list[Any]) -> list[dict[str, Any]]:
    """The message with calls and results that were parts of its content in their own places."""
    calls = [call for part in content if (call := _call(part)) is not None]
    results = [result for part in content if (result := _result(part)) is not None]
    if not calls and not results:
        return [message]
    rest = [part for part in content if _call(part) is None and _result(part) is None]
    if calls and message.get("role") != "assistant":
        return [message]
    has_more = bool(calls or rest or message.get("tool_calls"))
    others = {} if has_more else {key: value for key, value in message.items() if key not in _OF_CHAT}
    made: list[dict[str, Any]] = [{**others, **result} for result in results]
    if calls:
        own = message.get("tool_calls")
        own = own if isinstance(own, list) else []
        known = {call.get("id") for call in own if isinstance(call, Mapping)}
        calls = [*own, *(call for call in calls if call["id"] not in known)]
        made.append({**message, "content": rest or None, "tool_calls": calls})
    elif has_more:
        made.append({**message, "content": rest or None})
    return made


def _call(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    given = part.get("functionCall", part.get("function_call"))
    if part.get("type") in ("tool_use", "tool_call", "tool-call", "function_call"):
        given = part
    if not isinstance(given, Mapping) or not isinstance(given.get("name", given.get("toolName")), str):
        return None
    arguments: Any = next((given[key] for key in ARGUMENTS if key in given), {})
    function = {"name": given.get("name", given.get("toolName")), "arguments": _json(arguments)}
    call_id = next((given[key] for key in ("id", *_IDS) if isinstance(given.get(key), str)), "")
    return {"id": call_id, "type": "function", "function": function}


def _result(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    given = part.get("functionResponse", part.get("function_response"))
    if isinstance(given, Mapping):
        return {"role": "tool", "name": given.get("name"), "content": given.get("response")}
    if part.get("type") not in ("tool_result", "tool-result"):
        return None
    call_id = next((part[key] for key in _IDS if isinstance(part.get(key), str)), None)
    content = next((part[key] for key in ("content", "result", "output") if key in part), "")
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
