"""The system prompt and the messages of a Messages request as those of a chat completion."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit.serving.http.anthropic.tools import refused
from agentkit.serving.http.openai.anthropic_parts import as_chat_messages

ROLES = ("user", "assistant", "system")
"""Roles of messages. `system` is in them too: Claude Code sends what it adds in the middle of a conversation so."""

_BILLING = re.compile(r"x-anthropic-billing-header:[^\n]*\n?")
"""A line that Claude Code puts before its system prompt. It is not meant for the model, and differs in each request, so
that no server finds the beginning of the prompt in its cache."""

_PLACE = re.compile(r"messages\.?\[([0-9]{1,6})\](.*)", re.DOTALL)

_KNOWN = ("text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document")
_OF_RESULTS = ("text", "image", "document", "search_result", "tool_reference")


def chat_messages(system: Any, messages: Any) -> tuple[list[Any], list[int]]:
    """The messages of a chat completion, and of each the number of the message that it is made of; -1: the system
    prompt. Raises RefusedRequestError that names the part."""
    if not isinstance(messages, list) or not messages:
        raise refused("messages", "must be a list of at least one message")
    text = _system_text(system)
    made: list[Any] = [{"role": "system", "content": text}] if text else []
    places = [-1] * len(made)
    for number, message in enumerate(messages):
        found = as_chat_messages([_plain(message, f"messages[{number}]")])
        made += found
        places += [number] * len(found)
    return made, places


def _system_text(given: Any) -> str:
    if given is None or isinstance(given, str):
        texts = [given or ""]
    elif isinstance(given, list):
        texts = [_text(part, f"system[{number}]") for number, part in enumerate(given)]
    else:
        raise refused("system", "must be a text or a list of text blocks")
    kept = ((_BILLING.sub("", text, count=1) if _BILLING.match(text) else text) for text in texts)
    return "\n\n".join(text for text in kept if text.strip())


def _plain(message: Any, path: str) -> dict[str, Any]:
    """A message with the blocks that `as_chat_messages` knows, and no others."""
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in ROLES:
        raise refused(f"{path}.role", f"must be one of {', '.join(ROLES)}")
    content = message.get("content")
    if isinstance(content, str):
        return {"role": role, "content": content}
    if not isinstance(content, list):
        raise refused(f"{path}.content", "must be a text or a list of blocks")
    if role == "system":
        texts = [_text(part, f"{path}.content[{number}]") for number, part in enumerate(content)]
        return {"role": role, "content": "\n\n".join(texts)}
    blocks = [_block(part, role, f"{path}.content[{number}]") for number, part in enumerate(content)]
    thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
    rest = [block for block in blocks if block["type"] not in ("thinking", "redacted_thinking")]
    reasoning = {"reasoning_content": "\n\n".join(thoughts)} if any(thoughts) else {}
    return {"role": role, "content": rest or "", **reasoning}


def _block(part: Any, role: str, path: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in (*_KNOWN, *_OF_RESULTS):
        what = f"{kind!r:.60} is not supported" if isinstance(kind, str) else "must be an object with a type"
        raise refused(f"{path}.type", what)
    if kind == "text":
        return {"type": "text", "text": _text(part, path)}
    if kind == "thinking" and not isinstance(part.get("thinking"), str):
        raise refused(f"{path}.thinking", "must be a text")
    if kind == "tool_use" and (role != "assistant" or not _has_texts(part, "id", "name")):
        raise refused(path, "a tool_use is part of an assistant's message, with an id and a name")
    if kind == "tool_result":
        return _result(part, role, path)
    if kind in ("search_result", "tool_reference"):
        return {"type": "text", "text": _reference(part)}
    return {key: value for key, value in part.items() if key not in ("cache_control", "citations")}


def _result(part: Mapping[str, Any], role: str, path: str) -> dict[str, Any]:
    if role != "user" or not _has_texts(part, "tool_use_id"):
        raise refused(path, "a tool_result is part of a user's message, with a tool_use_id")
    content = part.get("content")
    made: Any = content or ""
    if isinstance(content, list):
        for number, each in enumerate(content):
            if not isinstance(each, Mapping) or each.get("type") not in _OF_RESULTS:
                raise refused(f"{path}.content[{number}].type", f"must be one of {', '.join(_OF_RESULTS)}")
        made = [_block(each, role, f"{path}.content[{number}]") for number, each in enumerate(content)]
    elif not isinstance(made, str):
        raise refused(f"{path}.content", "must be a text or a list of blocks")
    return {"type": "tool_result", "tool_use_id": part["tool_use_id"], "content": made}


def _reference(part: Mapping[str, Any]) -> str:
    """What a model reads of a search result, or of a tool that a search has found."""
    if part["type"] == "tool_reference":
        return f"The tool {part.get('tool_name')} is there."
    return "\n".join([f"{part.get('title')} ({part.get('source')})", *_texts_in(part.get("content"))])


def _texts_in(content: Any) -> Iterator[str]:
    for each in content if isinstance(content, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("text"), str):
            yield each["text"]


def _text(part: Any, path: str) -> str:
    text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise refused(path, "must be a block of type text with a text")
    return text


def _has_texts(part: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(part.get(name), str) for name in names)


def named(param: str, places: Sequence[int]) -> str:
    """The field of the request for one of the chat completion. places: as `chat_messages` returns them."""
    found = _PLACE.match(param)
    if found is None or int(found[1]) >= len(places):
        return param
    place = places[int(found[1])]
    return f"messages[{place}]{found[2]}" if place >= 0 else "system"
