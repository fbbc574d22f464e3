"""Tool calls that a server left in the text of a reply: it serves a model whose format it was not told of."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from agentkit.arguments import UNREADABLE_CALL, unreadable
from agentkit.event import Reply
from agentkit.family import family_of
from agentkit.format import BadCall, Call, Format, Reader, Text
from agentkit.formats import format_named
from agentkit.message import Message, text_of

_MARKS = (
    ("<arg_key>", "glm"),
    ("<tool_call>", "qwen_coder"),  # which reads JSON between the tags as well
    ("<function=", "qwen_coder"),
    ("[TOOL_CALLS]", "mistral"),
    ("<｜tool▁call", "deepseek"),
    ("<|tool_call_begin|>", "kimi"),
    ("<|python_tag|>", "llama"),
)


def with_text_calls(reply: Reply, tools: Sequence[Mapping[str, Any]], model: str, ids: str) -> Reply:
    """The reply with the calls that stand in its text as tool calls; as it is when there are none.

    tools: those that were sent; without any, nothing is a call. ids: the start of the ids that are made up.
    """
    text = text_of(reply.message)
    if not tools or reply.message.get("tool_calls") or not isinstance(reply.message.get("content"), str):
        return reply
    form = _format_of(text, model)
    if form is None:
        return reply
    reader = Reader(form, tools)
    pieces = [*reader.feed(text), *reader.finish()]
    calls = [piece for piece in pieces if isinstance(piece, Call | BadCall)]
    if not any(isinstance(call, Call) for call in calls):
        return reply
    said = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    made = [
        {
            "id": (call.id if isinstance(call, Call) else None) or f"{ids}_{place}",
            "type": "function",
            "function": {
                "name": call.name or UNREADABLE_CALL,
                "arguments": call.arguments if isinstance(call, Call) else unreadable(call.text, call.reason),
            },
        }
        for place, call in enumerate(calls)
    ]
    message = {**reply.message, "content": said or None, "tool_calls": made}
    return replace(reply, message=cast(Message, message), finish_reason="tool_calls")


def _format_of(text: str, model: str) -> Format | None:
    for mark, name in _MARKS:
        if mark in text:
            return format_named(name)
    family = family_of(model)
    if family is not None and family.format == "llama" and text.lstrip()[:1] in ("{", "["):
        return format_named("llama")
    return None
