"""Messages, arguments and results in the JSON form of the conventions, of a limited size."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._text import joined_surrogates, json_text
from agentkit.message import reasoning_of, response_of
from agentkit.telemetry import names

MAX_TEXT = 8_000
"""Characters of one text."""
MAX_MESSAGES = 64_000
"""Characters of the texts of all messages of an attribute, and of all tools."""
_OF_A_TOOL = ("name", "description", "parameters")


_NULL = pattern(r"(?<!\\)((?:\\\\)*)\\u0000")
"""An escaped null character in JSON."""


def _json(value: object) -> str:
    return joined_surrogates(_without_null(json_text(value)))


def _without_null(text: str) -> str:
    return _NULL.sub(r"\1\\ufffd", text)


def cut_text(text: object) -> str:
    """A text as it is sent: without null characters, with which many viewers can't store a span."""
    given = joined_surrogates(text if isinstance(text, str) else str(text)).replace("\0", "\ufffd")
    return given if len(given) <= MAX_TEXT else f"{given[:MAX_TEXT]}… ({len(given):,} characters)"


def cut_arguments(text: str) -> str:
    """The arguments of a call, as JSON text, as they are sent."""
    return cut_text(_without_null(text))


def attributes_of_input(messages: Sequence[Mapping[str, Any]]) -> dict[str, str | int]:
    """The messages of a request: the system message with which they begin, and the newest that there is room for."""
    found: dict[str, str | int] = {}
    start = 0
    if messages and messages[0]["role"] in ("system", "developer"):
        start, found[names.SYSTEM_INSTRUCTIONS] = 1, _json(_texts(messages[0].get("content")))
    kept: list[dict[str, Any]] = []
    size = 0
    for index in range(len(messages) - 1, start - 1, -1):
        made = _message(messages[index])
        size += _size(made)
        if size > MAX_MESSAGES and kept:
            found[names.MESSAGES_LEFT_OUT] = index + 1 - start
            break
        kept.append(made)
    found[names.INPUT_MESSAGES] = _json(kept[::-1])
    return found


def attributes_of_tools(schemas: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The tools of a request: with their parameters, or where there is no room for that, as many of
    their names as there is room for."""
    if not schemas:
        return {}
    functions = [schema["function"] for schema in schemas if isinstance(schema.get("function"), Mapping)]
    whole = _json([{"type": "function", **{key: each[key] for key in _OF_A_TOOL if key in each}} for each in functions])
    if len(whole) <= MAX_MESSAGES:
        return {names.TOOL_DEFINITIONS: whole}
    named: list[dict[str, str]] = []
    size = len("[")
    for each in functions:
        named.append({"type": "function", "name": cut_text(each.get("name", ""))})
        size += len(_json(named[-1])) + len(",")
        if size > MAX_MESSAGES:
            named.pop()
            break
    return {names.TOOL_DEFINITIONS: _json(named)}


def attributes_of_output(message: Mapping[str, Any], finish_reason: str) -> dict[str, str]:
    """The message of a reply. finish_reason: "" when it is not known."""
    made = _message(message)
    return {names.OUTPUT_MESSAGES: _json([{**made, "finish_reason": finish_reason} if finish_reason else made])}


def _size(message: Mapping[str, Any]) -> int:
    return sum(len(str(value)) for part in message["parts"] for value in part.values())


def _message(message: Any) -> dict[str, Any]:
    role = message["role"]
    if role == "tool":
        text = response_of(message)
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": cut_text(text)}
        return {"role": role, "parts": [part]}
    reasoning = reasoning_of(message)
    parts = [{"type": "reasoning", "content": cut_text(reasoning)}] if reasoning else []
    parts += _texts(message.get("content"))
    if isinstance(message.get("refusal"), str):
        parts += _texts(message["refusal"])
    parts += [_call(call) for call in message.get("tool_calls") or ()]
    return {"role": "system" if role == "developer" else role, "parts": parts}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": cut_text(function["name"]),
        "arguments": _arguments(function["arguments"]),
    }


def _arguments(text: str) -> Any:
    """The arguments of a call as values, or as their text where they are long or no JSON."""
    if len(text) > MAX_TEXT:
        return cut_text(text)
    try:
        values = json.loads(text)
        json_text(values)  # which refuses NaN, and what is nested too deep to be written
    except (ValueError, RecursionError):
        return cut_text(text)
    return values


def _texts(content: object) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": cut_text(content)}] if content else []
    return [_part(part) for part in _mappings(content)]


def _mappings(content: object) -> Iterable[Mapping[str, Any]]:
    return (part for part in content if isinstance(part, Mapping)) if isinstance(content, list) else ()


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a message. The bytes of images and files are left out."""
    kind = cut_text(part.get("type", ""))
    if isinstance(part.get("text"), str):
        return {"type": "text", "content": cut_text(part["text"])}
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if kind != "image_url" or not isinstance(url, str):
        return {"type": kind}
    if not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": cut_text(url)}
    return {"type": "blob", "modality": "image", "mime_type": url[5:45].partition(";")[0], "content": ""}
