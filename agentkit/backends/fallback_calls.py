"""Parses what a chat completions server left in the text of a reply: reasoning, and tool calls in the model's format.

A server that is not configured for its model's format leaves both there. Text that is parsed as a call is not streamed
as text.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from agentkit._text import joined_surrogates
from agentkit.backend import Request, is_broken_off
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.message import Message, ToolCall
from agentkit.text.call_format import BadCall, Block, Call, Format, LateReasoning, Segment, Text
from agentkit.text.parser import ReplyParser
from agentkit.text.verbatim import CopyDetector
from agentkit.tooling.arguments import UNREADABLE_CALL, unreadable

Delta = TextDelta | ReasoningDelta | CallDelta | ReplyDiscarded


class PassThrough:
    """Leaves the text of a reply unchanged."""

    def read(self, delta: TextDelta | ReasoningDelta | CallDelta) -> Iterable[Delta]:
        """Return the delta unchanged."""
        return (delta,)

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Return the reply unchanged."""
        return (reply,)


class ReplyText:
    """Parses the text of one reply, complete or streamed.

    model: its name, by whose family bare JSON may be a call. reads_calls: whether to look for calls, if the
    request has tools.
    """

    def __init__(self, request: Request, model: str, *, reads_calls: bool) -> None:
        self._request = request
        self._model = model
        self._reads_calls = reads_calls and bool(request.tools)
        self._reader: ReplyParser | None = None
        self._text: list[str] = []
        self._thoughts = ""
        self._calls: list[Call | BadCall] = []
        self._reasoning: list[str] = []
        self._is_changed = False

    def _parser(self) -> ReplyParser:
        """The parser, created for the first text: most replies with calls have none."""
        if self._reader is None:
            self._reader = self._new_parser()
        return self._reader

    def _new_parser(self) -> ReplyParser:
        looks = self._reads_calls
        return ReplyParser(
            _any_format(self._model) if looks else _REASONING_ONLY,
            self._request.tools.schemas if looks else None,
            stops=(),
            is_copy=lambda markup, calls: CopyDetector(self._request.said).is_copy(markup, calls),
            calls_last=looks,
            keep_reasoning=True,
        )

    def read(self, delta: TextDelta | ReasoningDelta | CallDelta) -> Iterable[Delta]:
        """Process a delta of the reply; return the deltas to emit, which must be iterated to the end."""
        if isinstance(delta, TextDelta):
            reader = self._parser()
            if not reader.feed_plain(delta.text):
                return self._visible(reader.feed(delta.text))
            self._text.append(delta.text)
        elif isinstance(delta, ReasoningDelta):
            self._reasoning.append(delta.text)
        return (delta,)

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply with its reasoning and its calls in their fields."""
        if self._reader is None:
            yield reply
            return
        has_calls = bool(reply.message.get("tool_calls"))  # the server parsed them itself: others are text
        content = reply.message.get("content")
        is_plain = isinstance(content, str)
        cut_off = is_broken_off(reply.finish_reason)
        yield from self._visible(self._reader.finish(cut_off=cut_off, accept_calls=is_plain and not has_calls))
        text = joined_surrogates("".join(self._text))
        yield self._rebuilt(reply, text) if is_plain and (self._is_changed or text != content) else reply

    def _visible(self, segments: Sequence[Segment]) -> Iterator[Delta]:
        for segment in segments:
            if isinstance(segment, Text):
                self._text.append(segment.text)
                yield TextDelta(segment.text)
                continue
            self._is_changed = True
            if isinstance(segment, LateReasoning):
                yield from self._discarded(segment.text)
            elif isinstance(segment, Call | BadCall):
                self._calls.append(segment)

    def _discarded(self, thoughts: str) -> Iterator[Delta]:
        """Discard text that was emitted as the answer but was reasoning."""
        if self._text:
            yield ReplyDiscarded()
            yield from map(ReasoningDelta, self._reasoning)
        self._text, self._thoughts, self._calls = [], thoughts, []
        yield ReasoningDelta(thoughts)

    def _rebuilt(self, reply: Reply, text: str) -> Reply:
        message: dict[str, Any] = {**reply.message}
        if self._thoughts:
            reasoning = (message.get("reasoning_content"), self._thoughts)
            message["reasoning_content"] = "\n\n".join(filter(None, reasoning))
        if self._calls:
            message["tool_calls"] = tool_calls_of(self._calls, f"call_{len(self._request.transcript)}")
        message["content"] = text or (None if message.get("tool_calls") else "")
        reason = "tool_calls" if self._calls else reply.finish_reason
        return replace(reply, message=cast(Message, message), finish_reason=reason)


def tool_calls_of(calls: Sequence[Call | BadCall], ids: str) -> list[ToolCall]:
    """Return the `tool_calls` of a message. ids: prefix of generated ids. Invalid calls are included, so that their
    error is returned to the model."""
    made: list[ToolCall] = []
    used_ids: set[str] = set()
    for index, call in enumerate(calls):
        is_bad = isinstance(call, BadCall)
        arguments = unreadable(call.text, call.reason) if isinstance(call, BadCall) else call.arguments
        call_id = None if isinstance(call, BadCall) else call.id
        if not call_id or call_id in used_ids:
            call_id = f"{ids}_{index}"
        used_ids.add(call_id)
        name = call.name or (UNREADABLE_CALL if is_bad else "")
        made.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
    return made


@functools.lru_cache(maxsize=64)
def _any_format(model: str) -> Format:
    from agentkit.text.any_format import any_format
    from agentkit.text.families import family_of

    family = family_of(model)
    return any_format(family.format if family else None)


_REASONING_ONLY = Format("none", starts=(), block=lambda marker, tools, first: cast(Block, None))
