"""Which texts of a conversation come from outside, and which a user has written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from agentkit.limits import is_remark_of_the_run
from agentkit.message import INVALID_ANSWER, Message, is_shown_by_a_tool, response_of, text_of
from agentkit.transcript import calls_of, whats_due

Whose = Literal["outside", "user", "nobody"]
"""Of the model, and of the run itself, is "nobody"."""

BY_USER = "by_user"
"""A key of a tool message: JSON text of what a person has answered or changed when the call waited for an approval. It
is not sent to servers."""


def texts_of(message: Message) -> Iterator[tuple[Whose, str]]:
    """The texts of a message, and whose they are."""
    role = message["role"]
    if role == "tool":
        yield from (("outside", text) for text in _parts_of(message))
        given = message.get(BY_USER)
        yield from (("user", text) for text in strings_in(_read(given) if isinstance(given, str) else None))
    elif role in ("system", "developer") or (role == "user" and not _is_of_the_run(message)):
        yield from (("user", text) for text in _parts_of(message))


def _parts_of(message: Message) -> Iterator[str]:
    """The text of a message; where it has several parts, each, and all as they follow one another."""
    content = message.get("content")
    if isinstance(content, list) and len(content) > 1:
        yield from (part["text"] for part in content if isinstance(part.get("text"), str))
    yield response_of(message) if message["role"] == "tool" else text_of(message)


def _is_of_the_run(message: Message) -> bool:
    text = text_of(message)
    return is_shown_by_a_tool(message) or text.startswith(INVALID_ANSWER) or is_remark_of_the_run(text)


def before_the_calls(messages: Sequence[Message]) -> int:
    """How many messages stand before the reply whose calls are open; all where none are."""
    if not isinstance(whats_due(messages), tuple):
        return len(messages)
    return next(place for place in reversed(range(len(messages))) if messages[place]["role"] == "assistant")


def last_words(messages: Sequence[Message]) -> str:
    """What a user has written last."""
    for message in reversed(messages):
        for whose, text in texts_of(message) if message["role"] == "user" else ():
            if whose == "user":
                return text
    return ""


def tools_answering(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """The results in the messages, the last first, each with the name of the tool that was called."""
    names: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for message in messages:
        names |= {call["id"]: call["function"]["name"] for call in calls_of(message)}
        if message["role"] == "tool":
            found.append((names.get(message.get("tool_call_id", ""), ""), response_of(message)))
    return reversed(found)


def written_by_user(decision: Mapping[str, Any]) -> str:
    """What stands under BY_USER."""
    return json.dumps(dict(decision), ensure_ascii=False, default=str)


def with_decision(message: Message, decision: Mapping[str, Any]) -> Message:
    """The message that answers a call with what a person has decided on it."""
    return cast(Message, {**message, BY_USER: written_by_user(decision)})


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def strings_in(value: Any) -> Iterator[str]:
    """The texts in a JSON value, in their order, the keys of objects too."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if each:
                yield each
        elif isinstance(each, Mapping):
            waiting += [part for pair in reversed(list(each.items())) for part in reversed(pair)]
        elif isinstance(each, Sequence):
            waiting += reversed(each)
