"""The messages that `useChat` of Vercel's AI SDK sends to its server (UIMessage): texts, calls with their results, and
what only the page shows, as parts of one message. They become what `convertToModelMessages` of that library makes of
them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_STEP = "step-start"
_DYNAMIC, _INVOCATION = "dynamic-tool", "tool-invocation"
"""The parts of a call of a tool that the page does not know, and of any call before version 5."""
_SHOWN = ("data-", "source-")
"""How the types of parts begin that only the page shows."""
_STATES = ("streaming", "done")
NO_RESULT = "This call has no result: it was not run."


def is_ui_message(message: Mapping[str, Any]) -> bool:
    """Whether a message has parts that only these messages have."""
    parts = message.get("parts")
    return isinstance(message.get("role"), str) and isinstance(parts, list) and any(map(_is_of_page, parts))


def ui_messages(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chat messages of one: a reply and the results of its calls for each step."""
    made: list[dict[str, Any]] = []
    for step in _steps(message["parts"]):
        calls = [call for part in step if (call := _invocation(part)) is not None]
        content = [_part(part) for part in step if _invocation(part) is None and not _is_shown_only(part)]
        if not content and not calls:
            continue
        if calls and message["role"] == "assistant":
            made.append({"role": "assistant", "content": content or None, "tool_calls": list(map(_call, calls))})
            made += map(_result, calls)
        else:
            made.append({"role": message["role"], "content": content})
    return made


def _steps(parts: Iterable[Any]) -> list[list[Any]]:
    steps: list[list[Any]] = [[]]
    for part in parts:
        if _type(part) == _STEP:
            steps.append([])
        else:
            steps[-1].append(part)
    return steps


def _type(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _is_of_page(part: Any) -> bool:
    if _invocation(part) is not None or _is_shown_only(part):
        return True
    kind = _type(part)
    is_told = kind in ("text", "reasoning") and part.get("state") in _STATES
    return kind == _STEP or is_told or (kind == "file" and "mediaType" in part and isinstance(part.get("url"), str))


def _is_shown_only(part: Any) -> bool:
    return _type(part).startswith(_SHOWN)


def _invocation(part: Any) -> Mapping[str, Any] | None:
    """The call that a part is, with a `toolName`; None when it is none."""
    kind = _type(part)
    given = part.get("toolInvocation") if kind == _INVOCATION else part
    if not (isinstance(given, Mapping) and isinstance(given.get("toolCallId"), str) and "state" in given):
        return None
    if kind in (_DYNAMIC, _INVOCATION):
        return given if isinstance(given.get("toolName"), str) else None
    return {**given, "toolName": kind.removeprefix("tool-")} if kind.startswith("tool-") else None


def _call(given: Mapping[str, Any]) -> dict[str, Any]:
    arguments = given.get("input", given.get("args", given.get("rawInput")))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False, default=str)
    return {"id": given["toolCallId"], "type": "function", "function": {"name": given["toolName"], "arguments": text}}


def _result(given: Mapping[str, Any]) -> dict[str, Any]:
    """Its result: a call that waits for somebody on the page is not open, since it would be run."""
    found = next((given[key] for key in ("output", "result", "errorText") if given.get(key) is not None), NO_RESULT)
    return {"role": "tool", "tool_call_id": given["toolCallId"], "content": found}


def _part(part: Any) -> Any:
    kind = _type(part)
    if kind in ("text", "reasoning") and isinstance(part.get("text"), str):
        return {"type": kind, "text": part["text"]}
    url, media_type = (part.get("url"), part.get("mediaType")) if kind == "file" else (None, None)
    if not isinstance(url, str) or not isinstance(media_type, str):
        return part
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    name = {"filename": part["filename"]} if isinstance(part.get("filename"), str) else {}
    return {"type": "file", "file": {"file_data": url, **name}} if url.startswith("data:") else part
