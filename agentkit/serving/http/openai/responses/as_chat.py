"""Requests of the Responses API that are sent to `/v1/chat/completions`, as Cursor sends them whatever the path."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.openai.response_format import format_of_text
from agentkit.serving.http.openai.responses.items import Item, chat_messages, input_items
from agentkit.serving.http.openai.responses.tools import BUILT_IN, loaded_tools

_MOVED = ("input", "instructions", "text", "reasoning", "max_output_tokens", "tools")
_WITHOUT_EFFECT = ("messages", "include", "truncation", "background", "client_metadata")


def as_chat(values: Any) -> Any:
    """The fields of a request, which may be one of the Responses API: with `input` in the place of `messages`.

    Raises RefusedRequestError for what a chat completion can't have.
    """
    if not isinstance(values, Mapping) or values.get("messages") or not values.get("input"):
        return values
    if values.get("previous_response_id"):
        why = "previous_response_id: is not supported here: send the request to /v1/responses"
        raise RefusedRequestError(400, why, "previous_response_id", "unsupported_parameter")
    instructions = values.get("instructions")
    first = [{"role": "system", "content": instructions}] if isinstance(instructions, str) and instructions else []
    others = {name: value for name, value in values.items() if name not in (*_MOVED, *_WITHOUT_EFFECT)}
    items = input_items(values["input"])
    text, reasoning = (_mapping(values.get(name)) for name in ("text", "reasoning"))
    moved = {
        "verbosity": text.get("verbosity"),
        "response_format": format_of_text(text.get("format")),
        "reasoning_effort": reasoning.get("effort"),
        "max_tokens": values.get("max_output_tokens"),
        "tools": _offered(values.get("tools"), items),
    }
    messages = [*first, *chat_messages(items, ())]
    return {**others, **{name: value for name, value in moved.items() if value is not None}, "messages": messages}


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _offered(tools: Any, items: Sequence[Item]) -> Any:
    """The tools without OpenAI's own, which such requests list beside the client's; with those that items bring."""
    loaded = [entry for _, entry in loaded_tools(items)]
    if not isinstance(tools, list | None) or (tools is None and not loaded):
        return tools
    return [
        each
        for each in (*(tools or ()), *loaded)
        if not isinstance(each, Mapping) or str(each.get("type")) not in BUILT_IN
    ]
