"""Whole replies that deviate in nothing, as nearly all that are not streamed are: they are read as they stand, where
others are put together by `Accumulator`, with the same result."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from agentkit._text import joined_surrogates
from agentkit.backend import ending_of
from agentkit.backends.call_pieces import MAX_NAME
from agentkit.backends.usage import usage_in, usage_of
from agentkit.event import Reply
from agentkit.message import Message, is_plain_call
from agentkit.tooling.arguments import is_sendable

_ENDS = ("stop", "tool_calls")
_SENT = ("role", "content", "tool_calls")


def plain_reply(response: Mapping[str, Any]) -> Reply | None:
    """The reply in a complete response; None for one that has anything but a text and calls with arguments that can be
    sent back as they are, or that did not end well."""
    choices = response.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return None
    choice = choices[0]
    message, reason = choice.get("message"), end_of(choice)
    if type(message) is not dict or reason not in _ENDS or choice.get("delta") or choice.get("logprobs"):
        return None
    content, calls = message.get("content"), message.get("tool_calls")
    if not (content is None or type(content) is str) or any(message[key] for key in message if key not in _SENT):
        return None
    if calls and not _are_plain(calls):
        return None
    made: dict[str, Any] = {"role": "assistant", "content": joined_surrogates(content) if content else None}
    if calls:
        made["tool_calls"] = [_as_kept(call["id"], **call["function"]) for call in calls]
    elif not content:
        made["content"] = ""
    model, number = response.get("model"), response.get("id")
    return Reply(
        cast(Message, made),
        reason,
        usage_of(usage_in(response)),
        response_model=model if isinstance(model, str) else "",
        response_id=number if isinstance(number, str) else "",
    )


def end_of(choice: Mapping[str, Any]) -> Any:
    """The finish reason of a choice; that of the provider behind a gateway where it says that the reply broke off:
    OpenRouter calls that "stop"."""
    native = choice.get("native_finish_reason")
    is_error = isinstance(native, str) and native not in _ENDS and ending_of(native) == "error"
    return native if is_error else choice.get("finish_reason")


def _as_kept(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _are_plain(calls: Any) -> bool:
    """Whether each is a call by its own id, with a name, and arguments that can be sent back as they are."""
    return type(calls) is list and all(map(_is_plain, calls)) and _have_own_ids(calls)


def _is_plain(call: object) -> bool:
    if not is_plain_call(call):
        return False
    function = call["function"]
    return bool(call["id"]) and 0 < len(function["name"]) <= MAX_NAME and is_sendable(function["arguments"])


def _have_own_ids(calls: Sequence[Mapping[str, Any]]) -> bool:
    return len(calls) == 1 or len({call["id"] for call in calls}) == len(calls)
