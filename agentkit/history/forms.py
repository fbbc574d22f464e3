"""Messages in the forms of other APIs as chat messages: other names of roles and contents, calls and results as parts
of a content (Anthropic, Gemini, Bedrock), as items of a list of their own (the Responses API), or with keys of their
own (LangChain), and several messages in one (pydantic-ai)."""

import json
from collections.abc import Mapping
from typing import Any

from agentkit.history.call_parts import IDS, call_of, result_of
from agentkit.history.ui_messages import is_ui_message, ui_messages

_ROLES = {
    **dict.fromkeys(("human", "enduser", "customer", "usermessage", "humanmessage"), "user"),
    **dict.fromkeys(
        ("ai", "bot", "model", "chatbot", "gpt", "llm", "aimessage", "aimessagechunk", "assistantmessage"), "assistant"
    ),
    **dict.fromkeys(
        ("tool_result", "tool_response", "tool_output", "function_response", "ipython", "observation"), "tool"
    ),
    **dict.fromkeys(("toolmessage", "functionexecutionresultmessage"), "tool"),
    "systemmessage": "system",
}
"""What other programs call the roles."""
_STEPS = {"tool-call": "assistant", "tool-response": "tool"}
"""Roles of smolagents; as a type these are parts of a message."""
_CHAT = ("system", "developer", "user", "assistant", "tool", "function")
_OF_CHAT = ("role", "content", "name", "tool_calls", "tool_call_id")
_CONTENTS = ("parts", "blocks", "items", "contents", "text", "message")
"""Where other programs have the content: Gemini, LlamaIndex, Semantic Kernel, agent-framework, Cohere."""
_CALL_ITEMS = ("function_call", "custom_tool_call")
_RESULT_ITEMS = ("function_call_output", "custom_tool_call_output")
_ONLY_OPENAI = {
    "reasoning": "reasoning",
    **dict.fromkeys(("web_search_call", "file_search_call", "code_interpreter_call"), "a call by the server"),
    **dict.fromkeys(("image_generation_call", "mcp_call", "mcp_list_tools"), "a call by the server"),
}
"""Items that no chat message is like. What a server has found by its own tools is in the reply behind them."""
_TURN_ROLES = {"system-prompt": "system", "user-prompt": "user", "retry-prompt": "user"}

Told = tuple[list[dict[str, Any]], list[str]]
"""Chat messages, and what was changed for them, as the ends of sentences about the message."""


def chat_messages(message: dict[str, Any]) -> Told:
    """The chat messages of a message in any known form; the same one when it is a chat message."""
    kind = message.get("type")
    if "role" not in message and kind in (*_CALL_ITEMS, *_RESULT_ITEMS):
        return [_item(message)], [f"is an item of the Responses API ({kind}), which became a chat message"]
    if "role" not in message and kind in _ONLY_OPENAI:
        return [], [f"is {_ONLY_OPENAI[kind]} of the Responses API, which other servers can't read: left out"]
    if "role" not in message and _is_turn(message):
        return _turn(message), [f"is a {message['kind']} of pydantic-ai, which became chat messages"]
    if is_ui_message(message):
        return ui_messages(message), ["is a UIMessage of Vercel's AI SDK, which became chat messages"]
    message, told = _with_role(message)
    for change in (_with_more, _with_content):
        message, more = change(message)
        told += more
    if message.get("role") in ("tool", "function") and not message.get("tool_call_id"):
        given = next((message[key] for key in IDS[1:] if isinstance(message.get(key), str)), None)
        if given is not None:
            message = {**message, "tool_call_id": given}
    content = message.get("content")
    if not isinstance(content, list):
        return [message], told
    made = _divided(message, content)
    return (made, told) if made == [message] else (made, [*told, "has tool calls or results as parts of its content"])


def is_call_item(message: Mapping[str, Any]) -> bool:
    """Whether this is a call as an item of the Responses API: calls in a row are of one reply."""
    return "role" not in message and message.get("type") in _CALL_ITEMS


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    call_id = item.get("call_id") or item.get("id")
    if item["type"] in _RESULT_ITEMS:
        return {"role": "tool", "tool_call_id": call_id, "content": item.get("output")}
    is_custom = item["type"] == "custom_tool_call"  # whose input is a text in no form
    arguments = json.dumps({"input": item.get("input")}, ensure_ascii=False) if is_custom else item.get("arguments")
    function = {"name": item.get("name"), "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def _with_more(message: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The message with the calls, or the id of one, that LangChain and LlamaIndex have beside it."""
    more = message.get("additional_kwargs")
    if not isinstance(more, Mapping):
        return message, []
    found = {key: more[key] for key in ("tool_calls", "tool_call_id") if more.get(key) and not message.get(key)}
    return {**message, **found}, [f"has {key} in its additional_kwargs, which became its own" for key in found]


def _with_content(message: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    other = next((key for key in _CONTENTS if isinstance(message.get(key), list | str)), None)
    if other is None or "role" not in message or "content" in message:
        return message, []
    rest = {key: value for key, value in message.items() if key != other}
    return {**rest, "content": message[other]}, [f"has {other} instead of a content, which it became"]


def _is_turn(message: Mapping[str, Any]) -> bool:
    parts = message.get("parts") if message.get("kind") in ("request", "response") else None
    return isinstance(parts, list) and all(isinstance(part, Mapping) for part in parts)


def _turn(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The chat messages of one of pydantic-ai: prompts and results are in a request, text and calls in a reply."""
    parts = message["parts"]
    if message["kind"] == "response":
        content = [_reply_part(part) for part in parts]
        return _divided({"role": "assistant", "content": content}, content)
    made: list[dict[str, Any]] = []
    for part in parts:
        kind = part.get("part_kind")
        is_result = kind == "tool-return" or (kind == "retry-prompt" and part.get("tool_name"))
        result = result_of({**part, "part_kind": "tool-return"}) if is_result else None
        made.append(result or {"role": _TURN_ROLES.get(str(kind), "user"), "content": part.get("content", part)})
    return made


def _reply_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    content = part.get("content")
    if part.get("part_kind") == "text" and isinstance(content, str):
        return {"type": "text", "text": content}
    if part.get("part_kind") == "thinking" and isinstance(content, str):
        return {"type": "thinking", "thinking": content}
    return part


def _with_role(message: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    key = "role" if "role" in message else "type"
    given = message.get(key)
    if isinstance(given, Mapping):  # of agent-framework
        given = given.get("value")
        message = {**message, key: given} if isinstance(given, str) else message
    if not isinstance(given, str) or (given in _CHAT and "role" in message):
        return message, []
    lowered = given.strip().lower()
    known = _ROLES if key == "type" else _ROLES | _STEPS
    role = lowered if lowered in _CHAT else known.get(lowered)
    if role is None:
        return message, []
    rest = {name: value for name, value in message.items() if name != key}
    return {"role": role, **rest}, [f"has the {key} {given!r}, which became the role {role!r}"]


def _divided(message: dict[str, Any], content: list[Any]) -> list[dict[str, Any]]:
    """The message with calls and results that were parts of its content in their own places."""
    calls = [call for part in content if (call := call_of(part)) is not None]
    results = [result for part in content if (result := result_of(part)) is not None]
    if not calls and not results:
        return [message]
    rest = [part for part in content if call_of(part) is None and result_of(part) is None]
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
