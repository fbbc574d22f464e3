"""The messages that a user or another program gives, as dicts in OpenAI's form."""

from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.history.forms import chat_messages, is_call_item
from agentkit.history.parts import chat_part
from agentkit.history.plain import plain_message
from agentkit.message import is_plain_text


def given_messages(messages: Iterable[Any]) -> tuple[list[Any], list[int], list[tuple[int, str]]]:
    """The messages, with the place at which each was given, and what was changed for it: the place, and the end of a
    sentence. What is no message stays as it is."""
    made: list[Any] = []
    places: list[int] = []
    told: list[tuple[int, str]] = []
    is_reply = False
    for place, given in enumerate(messages):
        if is_plain_text(given):
            made.append(dict(given))
            places.append(place)
            is_reply = False
            continue
        message = plain_message(given)
        found, says = chat_messages(message) if isinstance(message, dict) else ([message], [])
        told += [(place, each) for each in says]
        is_item = isinstance(message, dict) and is_call_item(message)
        if is_reply and is_item:
            made[-1]["tool_calls"] += found[0]["tool_calls"]
            continue
        is_reply = is_item
        made += found
        places += [place] * len(found)
    return made, places, told


def storable_messages(messages: Iterable[Any]) -> list[Any]:
    """The messages in the form in which a session stores them: what a run repairs stays as it is."""
    return [_with_parts(message) for message in given_messages(messages)[0]]


def _with_parts(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [chat_part(each) if isinstance(each, str | Mapping) else each for each in content]}
