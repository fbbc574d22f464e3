"""One question of a batch, and the record that becomes a line of its answers file."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from agentkit._lazy.records import dataclass

Record = dict[str, Any]
"""The outcome of one item, as JSON. Its fields, in this order:

id (str), ok (bool), output (the answer: text, or a value of the job's output type; None without one), stopped (why the
run ended: "answer", "turns", ...; "" where it failed), citations (list), usage (object), cost (US dollars, None where
it is not known), seconds (of the run), attempts (how often the item was begun), refusals (requests that a server
refused because of its load), tool_calls and messages (where they are kept), unknown_calls (those of which it is not
known whether they had their effect, where there are any), error (None, or {"type", "message", "status"}), item (the
other columns of the question's line; absent without any).
"""

ERROR_TYPES = {
    "unknown_effect": "it was in progress when the program was killed, and a tool may have had its effect",
    "process_died": "the process that answered it died",
    "timeout": "it did not end in time, and was left behind",
    "bad_input": "its line can't be read as a question",
}
"""The types of errors that are no exception's class: what a batch finds out about an item by itself."""


@dataclass(frozen=True)
class Item:
    """One question.

    id: unique within a batch. prompt: the question; None where `messages` hold it: a conversation in OpenAI's form that
    ends with a message of the user. sampling: fields for its requests over the job's (temperature, max_tokens, ...).
    columns: the other fields of its line, which come back as "item" in its record. line: its number in the input,
    counted from 1. same_as: the id of an earlier item with the same question, whose answer is copied; "" for none.
    problem: why its line can't be asked ("" for none): its record is an error of type "bad_input".
    """

    id: str
    prompt: str | None = None
    messages: Sequence[Mapping[str, Any]] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0
    same_as: str = ""
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """The item as JSON, for another process; without what is empty."""
        return {name: value for name, value in vars(self).items() if value or name == "id"}

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> "Item":
        """The item of which `made` is the JSON."""
        return cls(**made)
