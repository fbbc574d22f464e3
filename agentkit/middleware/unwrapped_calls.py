"""Makes the calls of `call_tool`, with which a model calls a tool that it has found, calls of that tool, where a reply
enters the run.

So approvals, early start, hooks, limits, records and the history know the tool itself, as if the model had called it by
its name. The arguments may be an object, the JSON text of one, or stand beside the name; a call from which no name can
be read stays what it is, and is answered with the tools that it may mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, cast

from agentkit._lazy.records import replace
from agentkit.backend import Backend, Begin, ReplyStream, Request
from agentkit.errors import ArgumentsError
from agentkit.event import CallDelta, Reply, ReplyDiscarded
from agentkit.executor import Executor
from agentkit.message import Message, ToolCall
from agentkit.middleware.base import Middleware
from agentkit.running.offered_tools import CALL_TOOL
from agentkit.tooling.argument_names import unwrapped
from agentkit.tooling.arguments import as_json_object, parse
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.json_scan import JsonScan
from agentkit.transcript import is_call

MAX_DEPTH = 3
"""How many times a call may be wrapped."""
_NAMES = ("name", "tool", "tool_name", "function", "function_name")
_ARGUMENTS = ("arguments", "args", "parameters", "params", "input", "tool_input")


class UnwrappedCalls(Middleware):
    """Wraps any backend for one run. executor: it knows the tools."""

    stops_on_abort = True

    def __init__(self, backend: Backend, executor: Executor) -> None:
        super().__init__(backend)
        self._executor = executor

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        if request.begin is not None:
            request = replace(request, begin=self._begin(request.begin))
        held = _HeldDeltas(self._unwrapped)
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, CallDelta):
                    yield from held.feed(delta)
                    continue
                if isinstance(delta, ReplyDiscarded):
                    held = _HeldDeltas(self._unwrapped)
                yield self._in_reply(delta) if isinstance(delta, Reply) else delta

    def _begin(self, begin: Begin) -> Begin:
        """The function that starts calls early, given the calls as they were written. Which tool a call before it means
        is known when that was complete; else it may be any."""

        def begin_unwrapped(name: str, arguments: str, before: Sequence[str]) -> str:
            name, arguments = self._unwrapped(name, arguments)
            begin(name, arguments, before)
            return name

        return begin_unwrapped

    def _in_reply(self, reply: Reply) -> Reply:
        calls = reply.message.get("tool_calls")
        if not calls or not any(map(_is_wrapped, calls)):
            return reply
        made = [self._call(call) if _is_wrapped(call) else call for call in calls]
        return replace(reply, message=cast(Message, {**reply.message, "tool_calls": made}))

    def _call(self, call: ToolCall) -> ToolCall:
        name, arguments = self._unwrapped(CALL_TOOL, call["function"]["arguments"])
        return {**call, "function": {**call["function"], "name": name, "arguments": arguments}}

    def _unwrapped(self, name: str, arguments: str) -> tuple[str, str]:
        """The name and the arguments (JSON text) of the tool that a call means; as they are where that is not clear."""
        for _ in range(MAX_DEPTH):
            inner = self._inner(arguments) if name == CALL_TOOL else None
            if inner is None:
                break
            name, arguments = inner
        return name, arguments

    def _inner(self, arguments: str) -> tuple[str, str] | None:
        try:
            written = parse(arguments)
        except ArgumentsError:
            return None
        function = written.get("function")
        if isinstance(function, Mapping):  # a call as the API has it
            written = dict(function)
        key = next((key for key in _NAMES if isinstance(written.get(key), str) and written[key].strip()), None)
        if key is None:
            return None
        name = written.pop(key)
        return name, as_json_object(self._arguments(name, written))

    def _arguments(self, name: str, beside: dict[str, Any]) -> Any:
        """The arguments for a tool. beside: what stood beside its name."""
        named = self._executor.offered.meant(name)
        tool = None if named is None else self._executor.offered.get(named)
        known = (tool.parameters.get("properties") or {}) if tool is not None else {}
        for key in _ARGUMENTS:
            if key in beside and (key == "arguments" or key not in known):
                given = _read(beside[key])
                others = {other: each for other, each in beside.items() if other in known and other != key}
                if key in known and others and not (isinstance(given, dict) and given.keys() & known.keys()):
                    return beside  # it is one of the arguments, which all stand beside the name
                return {**others, **unwrapped(given, named or name, known)} if isinstance(given, dict) else given
        return beside


def _read(given: Any) -> Any:
    """Arguments as an object, where they are the JSON text of one."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return {}
    if not isinstance(given, str):
        return given
    try:
        value = read_json(given)
    except ValueError:
        return given
    return value if isinstance(value, dict) else given


def _is_wrapped(call: Any) -> bool:
    return isinstance(call, dict) and is_call({**call, "id": ""}) and call["function"]["name"] == CALL_TOOL


class _HeldDeltas:
    """The deltas of calls: those of a `call_tool` are held back until it is complete."""

    def __init__(self, unwrapped: Callable[[str, str], tuple[str, str]]) -> None:
        self._unwrapped = unwrapped
        self._pieces: list[str] = []
        self._scan = JsonScan()

    def feed(self, delta: CallDelta) -> Iterator[CallDelta]:
        """Take a delta; return those that can be shown now."""
        if delta.name != CALL_TOOL:
            yield delta
            return
        rest = delta.arguments
        while (end := self._scan.feed(rest)) is not None:
            self._pieces.append(rest[:end])
            name, arguments = self._unwrapped(CALL_TOOL, "".join(self._pieces).strip())
            yield CallDelta(name, arguments)
            self._pieces, self._scan, rest = [], JsonScan(), rest[end:]
        self._pieces.append(rest)
