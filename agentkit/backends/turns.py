"""Messages in the order that strict chat templates take (Mistral's and Gemma's, Qwen3.5's): instructions at the
beginning alone, then the user and the model in turns. A history has others: what the user said while a call was open,
the last words of a run at its limit behind the results of tools, a question that nobody has answered.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from agentkit.message import AWAITS_REPLY, Message, user

READ = "I have the results."
"""Stands for a reply between the results of tools and what the user says."""
BEGUN = "(The conversation begins.)"
"""Stands for what the user said before a reply that is the first message."""

_INSTRUCTIONS = ("system", "developer")


def in_turns(messages: Iterable[Message], *, has_system: bool = True) -> list[Message]:
    """The messages in turns: those of one side in a row are one, and instructions behind the beginning are the
    user's; all of them where has_system is False."""
    made: list[Message] = []
    for message in messages:
        role = message["role"]
        before = made[-1] if made else None
        is_behind = before is not None and before["role"] not in _INSTRUCTIONS
        if role in _INSTRUCTIONS and (is_behind or not has_system):
            message, role = cast(Message, {"role": "user", "content": message["content"]}), "user"
        if before is None or before["role"] in _INSTRUCTIONS:
            if role in _INSTRUCTIONS and before is not None:
                made[-1] = _joined(before, message)
                continue
            if role == "assistant":
                made.append(user(BEGUN))
        elif role == "user" and before["role"] == "tool":
            made.append({"role": "assistant", "content": READ})
        elif role == before["role"] and role in ("user", "assistant") and not _is_apart(before):
            made[-1] = _joined(before, message)
            continue
        made.append(message)
    return made


def _is_apart(message: Mapping[str, Any]) -> bool:
    """Whether a reply stands alone: its calls are answered behind it, or the model is to continue it."""
    return bool(message.get("tool_calls") or message.get(AWAITS_REPLY))


def _joined(before: Message, message: Message) -> Message:
    first, second = before.get("content") or "", message.get("content") or ""
    content: Any
    if isinstance(first, str) and isinstance(second, str):
        content = "\n\n".join(filter(None, (first, second)))
    else:
        content = [*_parts(first), *_parts(second)]
    return cast(Message, {**before, **message, "content": content})


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
