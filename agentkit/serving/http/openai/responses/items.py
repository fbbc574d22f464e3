"""The items of a Responses request as messages of a chat."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.responses.tools import TOOL_SEARCH, custom_arguments, function_name, names_of_loaded

MAX_ITEMS = 10_000

Item = Mapping[str, Any]

_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "additional_tools": "at",
}
_WITH_STATUS = ("message", "function_call", "function_call_output", "tool_search_call", "tool_search_output")
_ROLES = ("user", "assistant", "system", "developer")


def refused(param: str, text: str, code: str | None = "invalid_value") -> RefusedRequestError:
    """The error of a field. param: the field."""
    return RefusedRequestError(400, f"{param}: {text}", param, code)


def input_items(given: Any) -> list[Item]:
    """The items of the field `input`: a text is the message of a user. Raises RefusedRequestError."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise refused("input", "must be a text, or a list of items with at least one", None)
    if len(given) > MAX_ITEMS:
        raise refused("input", f"has more than {MAX_ITEMS} items")
    for place, item in enumerate(given):
        if not isinstance(item, dict):
            raise refused(f"input[{place}]", "must be an object")
    return given


def resolved(items: Sequence[Item], item_of: Callable[[str], Item | None]) -> list[Item]:
    """The items with what is stored in the place of references. item_of: returns a stored item by its id.

    Raises RefusedRequestError for an item that is not stored.
    """
    return [_referenced(item, item_of) if kind_of(item) == "item_reference" else item for item in items]


def chat_messages(items: Sequence[Item], known_calls: Collection[str]) -> list[dict[str, Any]]:
    """The messages that items stand for. What the assistant said, thought and called in one reply is one message.

    known_calls: ids of the calls of the conversation that the items continue. Raises RefusedRequestError that names the
    item.
    """
    messages = _Messages(known_calls)
    for place, item in enumerate(items):
        messages.add(item, f"input[{place}]")
    return [message for message in messages.made if message["role"] != "assistant" or _says_something(message)]


def _says_something(message: Mapping[str, Any]) -> bool:
    """Whether a message of the assistant has more than reasoning, which no server takes alone."""
    return "content" in message or "tool_calls" in message


def kind_of(item: Item) -> Any:
    """The type of an item, which messages and references may leave out."""
    return item.get("type") or ("message" if "role" in item else "item_reference" if "id" in item else None)


def _referenced(item: Item, item_of: Callable[[str], Item | None]) -> Item:
    item_id = item.get("id")
    found = item_of(item_id) if isinstance(item_id, str) else None
    if found is None:
        text = f"Item with id {item_id!r:.80} not found. Items are not persisted when `store` is set to false."
        raise RefusedRequestError(404, text, "input", "item_not_found")
    return found


class _Messages:
    """Puts items together as messages. made: the messages."""

    def __init__(self, known_calls: Collection[str]) -> None:
        self.made: list[dict[str, Any]] = []
        self._known = known_calls
        self._calls: set[str] = set(known_calls)
        self._open: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None

    def add(self, item: Item, path: str) -> None:
        kind = kind_of(item)
        if kind == "message":
            self._message(item, path)
        elif kind == "reasoning":
            self._reasoning(item, path)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, path)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._output(item, path)
        elif kind in ("tool_search_call", "tool_search_output"):
            self._search(item, path)
        elif kind != "additional_tools":  # which says nothing, and is taken where the tools are
            what = f"{kind!r:.40} is not supported" if isinstance(kind, str) else "is missing"
            raise refused(f"{path}.type", what, "unsupported_value")

    def _message(self, item: Item, path: str) -> None:
        role = item.get("role")
        if role == "tool":  # as a chat completion has it
            self._output({"call_id": item.get("tool_call_id"), "output": item.get("content")}, path)
            return
        if role not in _ROLES:
            raise refused(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
        content = content_of(item.get("content"), f"{path}.content")
        if role != "assistant":
            self._open = self._last = None
            self.made.append({"role": role, "content": content})
            return
        message = self._reply(is_new="content" in (self._open or {}))
        calls = item.get("tool_calls") or []
        if content or not calls:
            message["content"] = content
        if not isinstance(calls, list):
            raise refused(f"{path}.tool_calls", "must be a list of calls of functions")
        for call in calls:  # as a chat completion has them
            self._chat_call(call, path)

    def _chat_call(self, call: Any, path: str) -> None:
        made = call.get("function") if isinstance(call, dict) else None
        if not isinstance(made, dict):
            raise refused(f"{path}.tool_calls", "must be a list of calls of functions")
        self._call({"type": "function_call", **made, "call_id": call.get("id")}, path)

    def _reasoning(self, item: Item, path: str) -> None:
        texts = [_texts(item.get(name), f"{path}.{name}") for name in ("content", "summary") if item.get(name)]
        message = self._reply(is_new="content" in (self._open or {}) or "tool_calls" in (self._open or {}))
        if texts and texts[0]:
            had = message.get("reasoning_content")
            message["reasoning_content"] = texts[0] if had is None else f"{had}\n\n{texts[0]}"

    def _call(self, item: Item, path: str) -> None:
        call_id = _text(item, "call_id", path)
        name = function_name(_text(item, "name", path), item.get("namespace"))
        is_custom = item["type"] == "custom_tool_call"
        arguments = custom_arguments(_text(item, "input", path)) if is_custom else _json_text(item, "arguments", path)
        if call_id in self._known:
            return  # it is in the conversation that is continued
        self._calls.add(call_id)
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        message = self._last if self._last is not None and _are_of_one_reply(self._last, call_id) else self._reply()
        message.setdefault("tool_calls", []).append(call)

    def _output(self, item: Item, path: str) -> None:
        call_id = _text(item, "call_id", path)
        if call_id not in self._calls:
            text = f"No tool call found for function call output with call_id {call_id[:80]}."
            raise RefusedRequestError(400, text, "input")
        output = item.get("output")
        content = json_of(output) if isinstance(output, dict) else content_of(output, f"{path}.output")
        self._open = None
        self.made.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _search(self, item: Item, path: str) -> None:
        """A search for tools that the client has done. One of OpenAI's own has no id, and nothing to tell."""
        if item.get("call_id") is None:
            return
        given = {key: item[key] for key in ("call_id", "arguments") if key in item}
        if item["type"] == "tool_search_call":
            self._call({"type": "function_call", "name": TOOL_SEARCH, **given}, path)
            return
        names = names_of_loaded(item, path)
        told = f"Tools that can be called now: {', '.join(names)}" if names else "No tools were found."
        self._output({**given, "output": told}, path)

    def _reply(self, is_new: bool = False) -> dict[str, Any]:
        """The assistant's message that is being put together."""
        if self._open is None or is_new:
            self._open = self._last = {"role": "assistant"}
            self.made.append(self._open)
        return self._open


def _are_of_one_reply(message: Mapping[str, Any], call_id: str) -> bool:
    """Whether a call belongs to the reply of a message, although results stand between them: ids that this service
    gives begin alike in one reply."""
    calls = message.get("tool_calls") or []
    return bool(calls) and len(call_id) == 31 and calls[0]["id"][:-2] == call_id[:-2]


def _text(item: Item, name: str, path: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise refused(f"{path}.{name}", "must be a text")
    return value


def _json_text(item: Item, name: str, path: str) -> str:
    """A text of JSON, which some clients send as what it stands for."""
    value = item.get(name)
    return json_of(value) if isinstance(value, dict) else _text(item, name, path)


def json_of(value: Mapping[str, Any]) -> str:
    """An object as the text that a message has in its place."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise refused("input", "is nested too deeply") from None


def _texts(parts: Any, path: str) -> str:
    content = content_of(parts, path)
    if not isinstance(content, str):
        raise refused(path, "must have texts only")
    return content


def content_of(given: Any, path: str) -> str | list[dict[str, Any]]:
    """The content of a message: a text where it is nothing else. Raises RefusedRequestError."""
    if given is None or isinstance(given, str):
        return given or ""
    if not isinstance(given, list):
        raise refused(path, "must be a text or a list of parts")
    parts = [_part(part, f"{path}[{place}]") for place, part in enumerate(given)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, path: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS:
        return {"type": "text", "text": _text(part, "text", path)}
    if kind == "refusal":
        return {"type": "text", "text": _text(part, "refusal", path)}
    if kind == "input_audio":
        return dict(part)
    if kind == "input_file" and isinstance(part.get("file_data"), str):
        return {"type": "file", "file": {key: part[key] for key in ("filename", "file_data") if part.get(key)}}
    address = part.get("image_url") if kind == "image_url" else None
    if isinstance(address, dict):  # as a chat completion has it
        return {"type": "image_url", "image_url": dict(address)}
    if kind not in ("input_image", "image_url"):
        what = f"{kind!r:.40} is not supported" if isinstance(kind, str) else "is missing"
        what += ": the service stores no files, send file_data" if kind == "input_file" else ""
        raise refused(f"{path}.type", what, "unsupported_value")
    if not isinstance(part.get("image_url"), str):
        raise refused(f"{path}.image_url", "an image is given by its address or data URL", "unsupported_value")
    image = {"url": part["image_url"]}
    return {"type": "image_url", "image_url": {**image, **({"detail": part["detail"]} if part.get("detail") else {})}}


def listed(items: Iterable[Item], token: str) -> list[dict[str, Any]]:
    """Input items as they are listed: with ids and types. token: of the response. Raises RefusedRequestError."""
    try:
        return [_listed(item, f"{token}{place:04}") for place, item in enumerate(items)]
    except (RecursionError, ValueError):
        raise refused("input", "is nested too deeply") from None


def _listed(item: Item, number: str) -> dict[str, Any]:
    kind = kind_of(item)
    prefix = _PREFIXES.get(kind, "fco")
    made = {"id": item.get("id") or f"{prefix}_in{number}", **item, "type": kind}
    if kind == "message":
        role = item.get("role")
        content = item.get("content")
        if not isinstance(content, list):
            kind_of_text = {"type": "output_text", "annotations": []} if role == "assistant" else {"type": "input_text"}
            content = [{**kind_of_text, "text": content or ""}]
        made |= {"role": role, "content": content}
    if kind in _WITH_STATUS:
        made["status"] = item.get("status") or "completed"
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]
