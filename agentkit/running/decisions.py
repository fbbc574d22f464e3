"""What a person has decided on the open calls of a run."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agentkit._lazy.records import dataclass
from agentkit.event import OpenCall
from agentkit.message import ToolCall
from agentkit.running.parallel_calls import open_call

Decision = bool | str | Mapping[str, Any]
"""True, False, a reason for the refusal (a text), other arguments; or the answer to a question."""

Approvals = Mapping[str, Decision]
"""A person's decisions on calls, by their ids."""


@dataclass(frozen=True)
class Decided:
    """A call as a person has let it run. note: for the model, what the person has changed. answer: to what the call has
    asked; None: nothing."""

    call: ToolCall
    note: str = ""
    answer: Decision | None = None


class Decisions:
    """The decisions on the open calls of a run. given: by the ids of the calls. asked: the call that has asked a person
    something in an earlier run, with the arguments with which it was approved: what is decided on it is the answer.
    is_empty: whether there is neither."""

    def __init__(self, given: Approvals = MappingProxyType({}), asked: OpenCall | None = None) -> None:
        self._given = given
        self._asked = asked
        self.is_empty = not given and asked is None

    def __contains__(self, call: ToolCall) -> bool:
        return call["id"] in self._given

    def given(self, call: ToolCall) -> Decision | None:
        """What was decided on a call; None where nothing was."""
        return self._given.get(call["id"])

    def refusal(self, call: ToolCall) -> str:
        """What the model is told of a call that was refused; "" for another one."""
        decision = self._given.get(call["id"])
        if decision is not False and not isinstance(decision, str):
            return ""
        why = f": {decision.strip()}" if isinstance(decision, str) and decision.strip() else "."
        return f"the user did not approve this call{why}"

    def on(self, call: ToolCall, *, may_need_approval: bool) -> Decided:
        """A call that is not refused, as it was decided. may_need_approval: whether its tool has calls that need an
        approval; of another one, a decision is always an answer."""
        decision = self._given.get(call["id"])
        asked = self._asked_by(call)
        if asked is not None:
            is_as_written = asked.raw_arguments == call["function"]["arguments"]
            note = "" if is_as_written else _note(asked.arguments)
            return Decided(_with_arguments(call, asked.raw_arguments), note, decision)
        if not may_need_approval:
            return Decided(call, answer=decision)
        if not isinstance(decision, Mapping):
            return Decided(call)
        return Decided(_with_arguments(call, json.dumps(dict(decision), ensure_ascii=False)), _note(decision))

    def waiting(self, call: ToolCall) -> OpenCall:
        """A call that waits for a person: for the answer to its question, if it has asked one, else for an approval."""
        return self._asked_by(call) or open_call(call)

    def _asked_by(self, call: ToolCall) -> OpenCall | None:
        return self._asked if self._asked is not None and self._asked.id == call["id"] else None


NO_DECISIONS = Decisions()


def _with_arguments(call: ToolCall, arguments: str) -> ToolCall:
    return {**call, "function": {**call["function"], "arguments": arguments}}


def _note(arguments: Mapping[str, Any]) -> str:
    return f"\n(the user changed the arguments to {json.dumps(dict(arguments), ensure_ascii=False)})"
