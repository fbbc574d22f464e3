"""What the first open call of a conversation has asked a person, while nobody has answered.

It stands in the reply that made the call, under QUESTION, so that the answer may come from another process and days
later: the decision on such a call is the answer to its question, and no longer an approval. It is not sent to servers.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from agentkit.event import OpenCall
from agentkit.message import Message
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.questions import Question
from agentkit.transcript import calls_of, whats_due

QUESTION = "open_question"
"""The key in a reply: the `id` of the call, its `arguments` as they were approved (JSON text), and the fields of its
Question."""


def written(asked: OpenCall) -> dict[str, Any]:
    """A call that has asked something, as JSON values."""
    it = asked.question or Question("")
    made: dict[str, Any] = {"id": asked.id, "arguments": asked.raw_arguments}
    made |= {"text": it.text, "schema": it.schema, "problem": it.problem}
    return cast("dict[str, Any]", json.loads(json.dumps(made, default=_plain)))


def with_question(messages: Iterable[Message], asked: OpenCall | None) -> list[Message]:
    """The messages with what a call of their last reply has asked; None: nothing. No other has a question."""
    made = [message if QUESTION not in message else _without(message) for message in messages]
    if asked is not None:
        place = next((at for at in reversed(range(len(made))) if made[at]["role"] == "assistant"), None)
        if place is not None:
            made[place] = cast(Message, {**made[place], QUESTION: written(asked)})
    return made


def without_questions(messages: Iterable[Any]) -> tuple[list[Any], OpenCall | None]:
    """The messages as a run takes them, and the call of the last reply that has asked something, whether it is still
    open or not; those of earlier replies are answered, and servers reuse their ids."""
    made, asked = [], None
    for message in messages:
        if isinstance(message, Mapping) and message.get("role") == "assistant":
            asked = asked_in(message, message.get(QUESTION))
        if isinstance(message, Mapping) and QUESTION in message:
            message = _without(message)
        made.append(message)
    return made, asked


def asked_in(reply: Any, record: Any) -> OpenCall | None:
    """The call of a reply that has asked something; None where that can't be read. record: see QUESTION."""
    if not isinstance(record, Mapping):
        return None
    call = next((call for call in calls_of(reply) if call["id"] == record.get("id")), None)
    raw, text, schema = record.get("arguments"), record.get("text"), record.get("schema")
    if call is None or not (isinstance(raw, str) and isinstance(text, str) and isinstance(schema, Mapping | None)):
        return None
    question = Question(text, schema, str(record.get("problem") or ""))
    return OpenCall(call["id"], call["function"]["name"], read_arguments(raw), raw, question)


def still_open(asked: OpenCall | None, messages: Sequence[Message]) -> OpenCall | None:
    """A call that has asked something, if it is the next that is to be answered; else None."""
    due = whats_due(messages) if asked is not None else ()
    is_next = isinstance(due, tuple) and bool(due) and asked is not None and due[0].get("id") == asked.id
    return asked if is_next else None


def _without(message: Mapping[str, Any]) -> Any:
    return {key: value for key, value in message.items() if key != QUESTION}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
