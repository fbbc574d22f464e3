"""Messages of a chat completion that have parts in the form of Anthropic's Messages API.

Cursor and Zed write them so for models with "claude" in their names, whatever the path: calls as `tool_use` in the
assistant's content, results as `tool_result` in the user's, images and documents with a `source`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_KINDS = ("tool_use", "tool_result", "image", "document", "redacted_thinking")


def as_chat_messages(messages: Any) -> Any:
    """The messages with calls, results, images and documents as a chat completion has them; what is of no such form is
    returned as it is, and refused where it can't be read."""
    if not isinstance(messages, list) or not any(map(_has_parts, messages)):
        return messages
    return [made for message in messages for made in (_as_chat(message) if _has_parts(message) else [message])]


def _has_parts(message: Any) -> bool:
    content = message.get("content") if isinstance(message, Mapping) else None
    return isinstance(content, list) and any(_kind_of(part) in _KINDS for part in content)


def _kind_of(part: Any) -> Any:
    return part.get("type") if isinstance(part, Mapping) else None


def _as_chat(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The messages that one stands for: results of tools come before what the user says."""
    rest: list[Any] = []
    calls: list[Any] = []
    results: list[Mapping[str, Any]] = []
    for part in message["content"]:
        if _kind_of(part) == "tool_use":
            calls.append(_call(part))
        elif _kind_of(part) == "tool_result":
            results.append({"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": _result(part)})
        else:
            rest += _parts([part])
    yield from results
    if calls and isinstance(there := message.get("tool_calls") or [], list):
        yield {**message, "content": rest or None, "tool_calls": [*there, *calls]}
    elif rest or not results:
        yield {**message, "content": rest}


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    given = part.get("input")
    function = {"name": part.get("name"), "arguments": {} if given is None else given}
    return {"id": part.get("id"), "type": "function", "function": function}


def _result(part: Mapping[str, Any]) -> Any:
    content = part.get("content")
    return _parts(content) if isinstance(content, list) else content


def _parts(given: Sequence[Any]) -> list[Any]:
    return [_part(part) for part in given if _kind_of(part) != "redacted_thinking"]


def _part(part: Any) -> Any:
    """An image or a document as a part of a chat completion. One that has no data is left to be refused."""
    source = part.get("source") if _kind_of(part) in ("image", "document") else None
    if not isinstance(source, Mapping):
        return part
    kind, data = source.get("type"), source.get("data")
    if kind == "text":
        return {"type": "text", "text": data}
    address = f"data:{source.get('media_type')};base64,{data}" if kind == "base64" else source.get("url")
    if not isinstance(address, str):
        return part
    if part["type"] == "image":
        return {"type": "image_url", "image_url": {"url": address}}
    name = part.get("title")
    return {"type": "file", "file": {"filename": name if isinstance(name, str) else "document", "file_data": address}}
