"""The client's messages as those of a run: all of them, in their order."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.message import AWAITS_REPLY
from agentkit.repair import repaired
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.transcript import whats_due


def run_messages(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages of a run that answers those of a client, without an empty answer at the end. What ends with no
    question (the beginning of an answer that the model is to continue, instructions alone) is marked as awaiting a
    reply.

    Raises RefusedRequestError where results of calls are missing at the end: a client's calls are not run here.
    """
    made = list(messages)
    while made and _is_placeholder(made[-1]):
        made.pop()
    if not made:
        raise RefusedRequestError(400, "messages: there is nothing to answer", "messages", "invalid_value")
    if made[-1].get("role") == "user":
        return made
    ready, _ = repaired(made)
    if isinstance(whats_due(ready), tuple):  # type: ignore[arg-type]
        raise RefusedRequestError(
            400,
            "messages: an assistant message with tool_calls must be followed by one tool message for each tool_call_id",
            f"messages.[{_last_with_calls(made)}].role",
        )
    if made[-1].get("role") in ("system", "developer", "assistant"):
        made[-1] = {**made[-1], AWAITS_REPLY: True}
    return made


def _is_placeholder(message: Mapping[str, Any]) -> bool:
    """Whether this is an answer of which nothing is there yet, as some front ends put it behind the question."""
    is_blank = message.get("role") == "assistant" and not message.get("content")
    return is_blank and not message.get("tool_calls") and not message.get("function_call")


def _last_with_calls(messages: Sequence[Mapping[str, Any]]) -> int:
    return max((place for place, message in enumerate(messages) if message.get("tool_calls")), default=0)
