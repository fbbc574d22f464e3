"""What strict chat servers refuse in the messages of a request: a reading of its own, apart from agentkit's."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "tool": {"role", "content", "tool_call_id", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "reasoning_content", "reasoning", "audio"},
}
PARTS = {
    "user": {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file"},
    "assistant": {"text": "text", "refusal": "refusal"},
}


def faults(messages: Sequence[Any]) -> list[str]:
    """What is wrong with the messages of a history; OpenAI's chat completions would answer 400 to it."""
    found: list[str] = []
    waiting: list[str] = []
    for place, message in enumerate(messages):
        role = message.get("role")
        found += [f"{place}: {fault}" for fault in _faults_of(message)]
        if role == "tool":
            if message.get("tool_call_id") in waiting:
                waiting.remove(message["tool_call_id"])
            else:
                found.append(f"{place}: a tool message answers no preceding tool call")
        elif waiting:
            found.append(f"{place}: tool calls without a tool message: {waiting}")
            waiting = []
        calls = message.get("tool_calls")
        if role == "assistant" and isinstance(calls, list):
            waiting = [str(call.get("id")) for call in calls if isinstance(call, Mapping)]
            if len(set(waiting)) < len(waiting):
                found.append(f"{place}: ids are double")
    if waiting:
        found.append(f"at the end: tool calls without a tool message: {waiting}")
    return found


def faults_of_request(messages: Sequence[Any]) -> list[str]:
    """The same for the messages of a request, which have no keys that servers don't know, and no empty answers."""
    found = faults(messages)
    for place, message in enumerate(messages):
        unknown = message.keys() - KEYS.get(message.get("role"), set())
        found += [f"{place}: the key {key!r} is not known" for key in sorted(unknown)]
        is_empty = not message.get("content") and not message.get("tool_calls") and not message.get("refusal")
        if message.get("role") == "assistant" and is_empty:
            found.append(f"{place}: an assistant message has neither content nor tool calls")
    return found


def _faults_of(message: Any) -> list[str]:
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    found = [] if role in ROLES else [f"role {role!r}"]
    has_content = isinstance(content, str) or (isinstance(content, list) and content)
    if not has_content and not (role == "assistant" and (calls or message.get("refusal"))):
        found.append("no content")
    if isinstance(content, list):
        found += [fault for part in content for fault in _faults_of_part(role, part)]
    if message.get("name") is not None and not (isinstance(message["name"], str) and NAME.fullmatch(message["name"])):
        found.append(f"the name {message['name']!r}")
    if "function_call" in message:
        found.append("function_call")
    if calls is None:
        return found
    if role != "assistant" or not isinstance(calls, list) or not calls:
        return [*found, "tool_calls is not a list with entries of an assistant"]
    return [*found, *(fault for call in calls for fault in _faults_of_call(call))]


def _faults_of_part(role: Any, part: Any) -> list[str]:
    known = PARTS.get(role, {"text": "text"})
    if not isinstance(part, Mapping) or part.get("type") not in known:
        return [f"a part {str(part)[:60]} of the role {role!r}"]
    value = part.get(known[part["type"]])
    if part["type"] == "image_url":
        is_url = isinstance(value, Mapping) and isinstance(value.get("url"), str) and ":" in value["url"]
        return [] if is_url else ["an image without a URL"]
    is_text = part["type"] in ("text", "refusal")
    return [] if isinstance(value, str if is_text else Mapping) else [f"a part of the type {part['type']} without it"]


def _faults_of_call(call: Any) -> list[str]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(call.get("id"), str) or not call["id"]:
        return ["a call without id or function"]
    found = [] if len(call["id"]) <= 40 else [f"the id {call['id']!r} has more than 40 characters"]
    if call.get("type") != "function":
        found.append("a call without a type")
    if not isinstance(function.get("name"), str) or not NAME.fullmatch(function["name"]):
        found.append(f"a call of the name {function.get('name')!r}")
    try:
        assert isinstance(json.loads(function["arguments"]), dict)
    except (KeyError, TypeError, ValueError, AssertionError):
        found.append("arguments are no JSON object")
    return found
