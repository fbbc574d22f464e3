"""A request in the form of OpenAI's Responses API: messages are items of its `input`, other fields have other names.

The whole conversation is sent, and nothing is left with the server (`store` is false). The reasoning of a reply goes
back to it as it came, at its place among the texts and calls of the reply: `RESPONSE_ITEMS` of a message has the items
of reasoning, and where the others stood.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit._text import json_bytes
from agentkit.backend import Request
from agentkit.backends.chat_protocol import encoded_body, with_format
from agentkit.backends.message_form import PLAIN_FORM, MessageForm
from agentkit.message import RESPONSE_ITEMS, Message
from agentkit.tooling.call_names import short_id
from agentkit.tooling.schema_dialects import Dialect

ENCRYPTED = "reasoning.encrypted_content"
"""What `include` asks for, so that reasoning can go back to a server that stores nothing."""
MAX_ID = 64
"""Characters of the id of a call that OpenAI's API takes."""
BETWEEN = "\n\n"
"""Stands between the texts of one reply, which are one text of its message."""

_LIMITS = ("max_completion_tokens", "max_tokens")
_IN_FUNCTION = ("name", "description", "parameters", "strict")


def responses_body(
    fields: Mapping[str, Any],
    request: Request,
    images: bool = True,
    escaped: bool = False,
    dialect: Dialect = Dialect.AS_IS,
    form: MessageForm = PLAIN_FORM,
) -> bytes:
    """Encode a request of the Responses API as JSON, its input last, so that each request of a run begins with the
    bytes of the one before. The arguments are those of `chat_completions_body`."""
    tools = _flat_tools(request.tools.encoded_for(dialect)) if request.tools else b""
    body = _fields_of(with_format(fields, request, dialect), takes_items=RESPONSE_ITEMS not in form.without)
    items = request.transcript.encoded(images=images, escaped=escaped, form=form, write=encoded_items)
    return encoded_body(body, request, tools, b"input", items)


# ---- fields


def _fields_of(given: Mapping[str, Any], *, takes_items: bool) -> dict[str, Any]:
    """The fields of a request by their names in the Responses API, where they have other ones."""
    fields = {name: value for name, value in given.items() if name not in ("stream_options", "logprobs", *_LIMITS)}
    limit = next((given[name] for name in _LIMITS if name in given), None)
    if limit is not None:
        fields.setdefault("max_output_tokens", limit)
    if "reasoning_effort" in fields:
        fields["reasoning"] = {"effort": fields.pop("reasoning_effort"), **(fields.get("reasoning") or {})}
    text = dict(fields.pop("text", None) or {})
    if "verbosity" in fields:
        text.setdefault("verbosity", fields.pop("verbosity"))
    if "response_format" in fields:
        text["format"] = _flat(fields.pop("response_format"), "json_schema")
    if text:
        fields["text"] = text
    if isinstance(fields.get("tool_choice"), Mapping):
        choice = fields["tool_choice"]
        fields["tool_choice"] = _choice(choice) if choice.get("type") == "allowed_tools" else _flat(choice, "function")
    fields.setdefault("store", False)
    include = [*fields.get("include", ()), *([ENCRYPTED] if takes_items else [])]
    if given.get("logprobs"):
        include.append("message.output_text.logprobs")
    fields["include"] = list(dict.fromkeys(include))
    if not include:
        del fields["include"]
    return fields


def _flat(given: Mapping[str, Any], inner: str) -> dict[str, Any]:
    """An object with what chat completions have one level further in."""
    described = given.get(inner)
    others = {name: value for name, value in given.items() if name != inner}
    return {**others, **described} if isinstance(described, Mapping) else dict(given)


def _choice(given: Mapping[str, Any]) -> dict[str, Any]:
    flat = _flat(given, "allowed_tools")
    return {**flat, "tools": [_flat(each, "function") for each in flat.get("tools") or ()]}


@functools.lru_cache(64)  # each request of a run has the same ones
def _flat_tools(encoded: bytes) -> bytes:
    """The tools of a chat completion. The Responses API takes a schema for a strict one unless it is told otherwise."""
    tools = []
    for each in json.loads(encoded):
        function = each["function"]
        made = {name: function[name] for name in _IN_FUNCTION if name in function}
        tools.append({"type": "function", "parameters": None, "strict": False, **made})
    return json_bytes(tools)


# ---- messages


def encoded_items(message: Message) -> bytes:
    """The items of a message as the inside of a JSON array."""
    return b",".join(map(json_bytes, items_of(message)))


def items_of(message: Message) -> list[dict[str, Any]]:
    """The items of a message: of a reply its texts, calls and reasoning, of others one."""
    if message["role"] == "assistant":
        return _items_of_reply(message)
    given = message.get("content")
    content = given if isinstance(given, str) else [_part(each) for each in given or ()]
    if message["role"] == "tool":
        return [{"type": "function_call_output", "call_id": _call_id(message["tool_call_id"]), "output": content}]
    return [{"type": "message", "role": message["role"], "content": content}]


def _items_of_reply(message: Message) -> list[dict[str, Any]]:
    calls = {call["id"]: _call(call) for call in message.get("tool_calls") or ()}
    places = _without_end([each for each in message.get(RESPONSE_ITEMS) or () if isinstance(each, Mapping)])
    texts = _texts(message, [each for each in places if each.get("type") == "message"])
    made: list[dict[str, Any]] = []
    for each in places:
        if each.get("type") == "message":
            made += next(texts, [])
        elif each.get("type") == "function_call":
            call = calls.pop(str(each.get("id")), None)
            made += [call] if call else []
        elif _is_kept(each):
            made.append(dict(each))
    for rest in (*texts, list(calls.values())):
        made += rest
    return _without_end(made)


def _is_kept(item: Mapping[str, Any]) -> bool:
    """Whether an item is reasoning, or another that only its server can read. A conversation that comes from elsewhere
    may have anything there, such as an instruction of the system or the result of a call."""
    return item.get("type") == "reasoning" or (
        "encrypted_content" in item and "role" not in item and "output" not in item
    )


def _without_end(items: list[Any]) -> list[Any]:
    """Items without reasoning at their end, which is refused where nothing of its reply follows it."""
    while items and items[-1].get("type") not in ("message", "function_call"):
        items.pop()
    return items


def _texts(message: Message, places: Sequence[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The messages of a reply, each as a list; there are as many as places, where the text is still what these say."""
    content = message.get("content")
    lengths = [length for each in places if isinstance(length := each.get("characters"), int)]
    if isinstance(content, str) and len(lengths) == len(places) > 1:
        start, parts = 0, []
        for length in lengths:
            parts.append(content[start : start + length])
            start += length + len(BETWEEN)
        if BETWEEN.join(parts) == content:
            for place, part in zip(places, parts, strict=True):
                yield [_said(part, place)] if part else []
            return
    text = content if isinstance(content, str) else BETWEEN.join(_texts_in(content))
    text = text or message.get("refusal") or ""
    if text:
        yield [_said(text, places[-1] if places else {})]


def _said(text: str, place: Mapping[str, Any]) -> dict[str, Any]:
    phase = {"phase": place["phase"]} if place.get("phase") else {}
    return {"type": "message", "role": "assistant", "content": text, **phase}


def _texts_in(parts: Any) -> list[str]:
    return [part["text"] for part in parts or () if part.get("type") == "text" and part.get("text")]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    made = {"call_id": _call_id(call["id"]), "name": function["name"], "arguments": function["arguments"]}
    return {"type": "function_call", **made}


def _call_id(given: str) -> str:
    return given if len(given) <= MAX_ID else short_id(given)


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text") or ""}
    if kind == "image_url":
        image = part.get("image_url")
        named = image if isinstance(image, Mapping) else {"url": image}
        return {"type": "input_image", "image_url": named.get("url"), "detail": named.get("detail") or "auto"}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return {"type": "input_file", **part["file"]}
    return dict(part)
