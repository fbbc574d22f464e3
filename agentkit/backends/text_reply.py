"""One way from a model's text to a reply: the parts that a `ReplyParser` returns become the deltas of a chat
completions stream, and the `Accumulator` builds the reply from them, as it does from a server's own stream.

A backend's reply (`TextReply`) may discard what it has emitted. A stream that others read (`StreamDeltas`) may not.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from agentkit._lazy.records import replace
from agentkit.backend import Begin
from agentkit.backends.chat_protocol import Accumulator
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.limits import Usage
from agentkit.text.call_format import BadCall, Call, LateReasoning, Segment, Text, resolve_reasoning
from agentkit.text.parser import ReplyParser
from agentkit.tooling.arguments import ERROR, UNREADABLE, UNREADABLE_CALL


class Deltas:
    """Turns the parts of one reply into the deltas of a chat completions stream, for an `Accumulator`.

    A call keeps the id that the model wrote; the accumulator makes the missing ones. A call that can't be parsed has
    its error as arguments, so that the error is returned to the model.
    """

    def __init__(self) -> None:
        self._count = 0

    def of(self, part: Segment) -> dict[str, Any]:
        """Return the delta of the next part; an empty one when there is nothing to send yet."""
        if isinstance(part, Text):
            return {"content": part.text}
        if isinstance(part, Call | BadCall):
            return self._called(part)
        if isinstance(part, LateReasoning):
            self._restart()
        return {"reasoning_content": part.text}

    def _called(self, call: Call | BadCall) -> dict[str, Any]:
        index, self._count = self._count, self._count + 1
        if isinstance(call, Call):
            return _call_delta(index, call.id, call.name, call.arguments)
        # an object, and not its text, never starts a tool early
        return _call_delta(index, None, call.name or UNREADABLE_CALL, {UNREADABLE: call.text, ERROR: call.reason})

    def _restart(self) -> None:
        """All before was reasoning."""
        self._count = 0


class StreamDeltas(Deltas):
    """The same for a stream whose reader can't discard anything: the calls come last, since the text so far may turn
    out to be reasoning; a call that can't be parsed is text, and an entry of `invalid_tool_calls`.

    new_id: makes the id of a call that has none, or that of an earlier call.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        super().__init__()
        self._new_id = new_id
        self._calls: list[Call] = []

    def all_of(self, parts: Iterable[Segment]) -> list[dict[str, Any]]:
        """Return the deltas of the next parts."""
        return [delta for part in parts if (delta := self.of(part))]

    def _called(self, call: Call | BadCall) -> dict[str, Any]:
        if isinstance(call, Call):
            self._calls.append(call)
            return {}
        entry = {"text": call.text, "error": call.reason, "name": call.name}
        return {"content": call.text, "invalid_tool_calls": [entry]}

    def _restart(self) -> None:
        self._calls.clear()

    def calls(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the deltas of all calls, at the end of the reply. first: the index of the first one."""
        used_ids: set[str] = set()
        for index, call in enumerate(self._calls, first):
            call_id = call.id if call.id and call.id not in used_ids else self._new_id()
            used_ids.add(call_id)
            yield _call_delta(index, call_id, call.name, call.arguments)


def _call_delta(index: int, call_id: str | None, name: str, arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}


class TextReply:
    """Builds a backend's reply from the parts of its text.

    ids, begin, call_deltas: as for `Accumulator`. stream: whether `add` yields deltas.
    """

    def __init__(self, ids: str, begin: Begin | None = None, *, call_deltas: bool = False, stream: bool = True) -> None:
        self._deltas = Deltas()
        self._new_accumulator = partial(Accumulator, ids, begin, call_deltas)
        self._accumulator = self._new_accumulator()
        self._stream = stream
        self._has_emitted = False

    def add(self, parts: Iterable[Segment]) -> Iterator[TextDelta | ReasoningDelta | CallDelta | ReplyDiscarded]:
        """Add parts, and yield their deltas; before late reasoning also ReplyDiscarded, if anything was yielded. It has
        to be iterated to the end."""
        for part in parts:
            if isinstance(part, LateReasoning):
                self._accumulator = self._new_accumulator()
                if self._has_emitted:
                    yield ReplyDiscarded()
            for emitted in self._accumulator.feed_delta(self._deltas.of(part)):
                if self._stream:
                    self._has_emitted = True
                    yield emitted

    def add_emitted(self, text: str) -> None:
        """Add text that the caller emits itself."""
        self._has_emitted = True
        self._accumulator.add_text(text)

    def reply(self, finish_reason: str, usage: Usage) -> Reply:
        """Return the reply. finish_reason: the server's; with calls it becomes "tool_calls"."""
        self._accumulator.finish_reason = finish_reason
        reply = self._accumulator.reply()
        reason = "tool_calls" if reply.message.get("tool_calls") else finish_reason
        return replace(reply, finish_reason=reason, usage=usage)


def whole_message(parser: ReplyParser, text: str, new_id: Callable[[], str], *, cut_off: bool) -> dict[str, Any]:
    """Return the message of a complete text: what `StreamDeltas` yields, but its content has the markup of calls too.

    new_id: see `StreamDeltas`. cut_off: see `ReplyParser.finish`.
    """
    deltas = StreamDeltas(new_id)
    accumulator = Accumulator("call")
    parts = resolve_reasoning([*parser.feed(text), *parser.finish(cut_off=cut_off)])
    for delta in (*deltas.all_of(parts), *deltas.calls()):
        for _ in accumulator.feed_delta(delta):
            pass
    reply = accumulator.reply()
    calls = [{"index": index, **call} for index, call in enumerate(reply.message.get("tool_calls") or ())]
    return {**reply.message, **reply.extra, "content": parser.raw_answer, "tool_calls": calls or None}
