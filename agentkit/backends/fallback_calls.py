"""Parses what a chat completions server left in the text of a reply: reasoning, and tool calls in the model's format.

A server that is not configured for its model's format leaves both there. Text that is parsed as a call is not streamed
as text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from agentkit.backend import Request, is_broken_off
from agentkit.backends.text_reply import TextReply
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.message import Message
from agentkit.text.call_format import Block, Format, Segment
from agentkit.text.parser import ReplyParser
from agentkit.text.verbatim import CopyDetector

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
        self._parsed = TextReply(f"call_{len(request.transcript)}")
        self._reasoning: list[str] = []

    def _parser(self) -> ReplyParser:
        """The parser, created for the first text: most replies with calls have none."""
        if self._reader is None:
            self._reader = self._new_parser()
        return self._reader

    def _new_parser(self) -> ReplyParser:
        looks = self._reads_calls
        return ReplyParser(
            _format_of(self._model) if looks else _REASONING_ONLY,
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
            self._parsed.add_emitted(delta.text)
        elif isinstance(delta, ReasoningDelta):
            self._reasoning.append(delta.text)
        return (delta,)

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply with its reasoning and its calls in their fields."""
        if self._reader is None:
            yield reply
            return
        has_calls = bool(reply.message.get("tool_calls"))  # the server parsed them itself: others are text
        is_plain = isinstance(reply.message.get("content"), str)
        cut_off = is_broken_off(reply.finish_reason)
        yield from self._visible(self._reader.finish(cut_off=cut_off, accept_calls=is_plain and not has_calls))
        yield self._rebuilt(reply) if is_plain else reply

    def _visible(self, segments: Sequence[Segment]) -> Iterator[Delta]:
        for delta in self._parsed.add(segments):
            yield delta
            if isinstance(delta, ReplyDiscarded):  # not the reasoning that the server had parsed itself
                yield from map(ReasoningDelta, self._reasoning)

    def _rebuilt(self, reply: Reply) -> Reply:
        parsed = self._parsed.reply(reply.finish_reason, reply.usage)
        message: dict[str, Any] = {**reply.message, **parsed.message}
        reasoning = (reply.message.get("reasoning_content"), parsed.message.get("reasoning_content"))
        if any(reasoning):
            message["reasoning_content"] = "\n\n".join(filter(None, reasoning))
        message["content"] = message["content"] or (None if message.get("tool_calls") else "")
        return replace(parsed, message=cast(Message, message), extra=reply.extra)


def _format_of(model: str) -> Format:
    from agentkit.text.any_format import any_format_of

    return any_format_of(model)


_REASONING_ONLY = Format("none", starts=(), block=lambda marker, tools, first: cast(Block, None))
