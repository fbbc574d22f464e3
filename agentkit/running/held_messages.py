"""The messages that wait until the open calls of a reply are answered, such as an image that one of its tools returned.

Servers take no message between calls and their results, so these stand in the reply that made the calls, under HELD,
where the messages of a run are handed out before it has an answer. They are not sent like that: whoever goes on from
such messages sends them behind the last result.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from agentkit.message import Message

HELD = "held_messages"
"""The key in a reply: user messages."""


def with_held(messages: list[Message], held: Sequence[Message]) -> list[Message]:
    """The messages of a run, with those that wait in the last reply, whose calls are open."""
    place = next((at for at in reversed(range(len(messages))) if messages[at]["role"] == "assistant"), None)
    if not held or place is None:
        return messages
    return [*messages[:place], cast(Message, {**messages[place], HELD: [*held]}), *messages[place + 1 :]]


def without_held(messages: list[Any]) -> list[Any]:
    """The messages as a run takes them: those that wait stand behind the results that there are."""
    if not any(type(message) is dict and HELD in message for message in messages):
        return messages
    made: list[Any] = []
    waiting: list[Any] = []
    for message in messages:
        if waiting and not (isinstance(message, Mapping) and message.get("role") == "tool"):
            made += waiting
            waiting = []
        if isinstance(message, Mapping) and HELD in message:
            waiting = _user_messages(message[HELD]) if message.get("role") == "assistant" else []
            message = {key: value for key, value in message.items() if key != HELD}
        made.append(message)
    return made + waiting


def _user_messages(held: Any) -> list[Any]:
    """Those that may wait; anybody may have written the messages."""
    found: Iterable[Any] = held if isinstance(held, list) else ()
    return [each for each in found if isinstance(each, Mapping) and each.get("role") == "user"]
