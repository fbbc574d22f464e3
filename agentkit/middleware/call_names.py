"""Gives the calls of a reply the names of the tools that they mean, where the reply enters the run.

So early start, approvals, records and the history agree on one name, and what is sent back has names and ids that
strict servers accept (`agentkit.tooling.call_names`). A call that means no tool keeps its name as far as servers accept
it; it is answered with the names of the tools. `multi_tool_use.parallel`, which OpenAI's models write around several
calls, becomes those calls if each of them means a tool.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from agentkit._lazy.records import replace
from agentkit.backend import Backend, Begin, ReplyStream, Request
from agentkit.event import CallDelta, Reply
from agentkit.executor import Executor
from agentkit.message import Message, ToolCall, is_plain_call
from agentkit.middleware.base import Middleware
from agentkit.toolbox import Toolbox
from agentkit.tooling.arguments import as_json_object, read_arguments
from agentkit.tooling.call_names import meant, valid_id, valid_name
from agentkit.tooling.earlier_result import HIDDEN_TOOLS
from agentkit.transcript import is_call

_USES = {"tool_uses"}
_USE = {"recipient_name", "name", "parameters", "arguments"}


class NamedCalls(Middleware):
    """Wraps any backend for one run. executor: it knows the tools that are not in each request."""

    stops_on_abort = True

    def __init__(self, backend: Backend, executor: Executor) -> None:
        super().__init__(backend)
        self._executor = executor

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        names = _Names(request.tools, self._executor)
        if request.begin is not None:
            request = replace(request, begin=names.begin(request.begin))
        deltas = self.backend.reply(request)
        try:
            for delta in deltas:
                if isinstance(delta, Reply):
                    yield names.in_reply(delta)
                elif isinstance(delta, CallDelta):
                    yield replace(delta, name=names.of(delta.name))
                else:
                    yield delta
        finally:
            deltas.close()


class _Names:
    """The names of the calls of one reply."""

    def __init__(self, tools: Toolbox, executor: Executor) -> None:
        self._tools = tools
        self._executor = executor
        self._found: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The tool that a name means, else a name that servers accept and no tool has."""
        if self._is_tool(name):
            return name
        found = self._found.get(name)
        if found is None:
            known = (*self._tools.names, *self._executor.offered.names)
            found = self._tools.meant(name) or meant(name, HIDDEN_TOOLS) or valid_name(name, known)
            self._found[name] = found
        return found

    def begin(self, begin: Begin) -> Begin:
        """The function that starts calls early, given their names."""

        def named(name: str, arguments: str, before: Sequence[str]) -> str | None:
            return begin(self.of(name), arguments, [self.of(each) for each in before])

        return named

    def in_reply(self, reply: Reply) -> Reply:
        """The reply with named calls; the same object when nothing changes, as nearly always."""
        calls = reply.message.get("tool_calls")
        if not calls or all(map(self._is_plain, calls)):
            return reply
        made = [each for call in calls for each in self._named(call)]
        return replace(reply, message=cast(Message, {**reply.message, "tool_calls": made}))

    def _is_tool(self, name: str) -> bool:
        return self._tools.get(name) is not None or self._executor.has(name)

    def _is_plain(self, call: ToolCall) -> bool:
        """Whether a call may stay as it is; also when it is none, which the transcript refuses."""
        if not is_plain_call(call) and not (isinstance(call, dict) and is_call({**call, "id": ""})):
            return True
        call_id = call.get("id")
        return valid_id(call_id) == call_id and self._is_tool(call["function"]["name"])

    def _named(self, call: ToolCall) -> Iterator[ToolCall]:
        if self._is_plain(call):
            yield call
            return
        name, call_id = call["function"]["name"], valid_id(call.get("id"))
        uses = self._uses(call)
        if not uses:
            yield {**call, "id": call_id, "function": {**call["function"], "name": self.of(name)}}
        for place, (used, arguments) in enumerate(uses):
            made_id = call_id if len(uses) == 1 else valid_id(f"{call_id}_{place}")
            yield {**call, "id": made_id, "function": {"name": used, "arguments": arguments}}

    def _uses(self, call: ToolCall) -> list[tuple[str, str]]:
        """The calls inside a call of `multi_tool_use.parallel`, each with its arguments; none unless all of them are
        calls of tools."""
        name = call["function"]["name"]
        if self._is_tool(self.of(name)) or not ("multi_tool_use" in name or meant(name, ("parallel",))):
            return []
        written = read_arguments(call["function"]["arguments"])
        entries = written.get("tool_uses")
        if written.keys() != _USES or not isinstance(entries, list):
            return []
        found = [self._use(entry) for entry in entries]
        return [each for each in found if each is not None] if None not in found else []

    def _use(self, entry: Any) -> tuple[str, str] | None:
        if not isinstance(entry, Mapping) or not entry.keys() <= _USE:
            return None
        name = entry.get("recipient_name", entry.get("name"))
        arguments = entry.get("parameters", entry.get("arguments"))
        tool = self.of(name) if isinstance(name, str) else ""
        if not self._is_tool(tool) or not isinstance(arguments, Mapping | str | None):
            return None
        written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
        return tool, as_json_object(written)
