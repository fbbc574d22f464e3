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
from agentkit.text.special_tokens import has_no_markup
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
        self._begun = ""
        self._parsed = TextReply(f"call_{len(request.transcript)}")
        self._reasoning: list[str] = []

    def _take(self, text: str) -> tuple[ReplyParser | None, str]:
        """Returns the parser, created for the first text (most replies with calls have none), and the text for it; no
        parser while the reply's first marker isn't complete."""
        if self._reader is not None:
            return self._reader, text
        self._begun += text
        if self._is_prose():
            return None, ""
        found = _announced(self._begun)
        if found is not None:
            self._reader = self._new_parser(found[0])
        return self._reader, found[1] if found is not None else ""

    def _is_prose(self) -> bool:
        """Whether a reply that nobody is shown before it is whole has no markup so far, of whatever family."""
        return not self._request.stream and _begins_with_a_word(self._begun) and has_no_markup(self._begun)

    def _new_parser(self, format: Format | None) -> ReplyParser:
        looks = self._reads_calls
        return ReplyParser(
            format or (_format_of(self._model) if looks else _REASONING_ONLY),
            self._request.tools.known_schemas if looks else None,
            stops=(),
            is_copy=lambda markup, calls: CopyDetector(self._request.said).is_copy(markup, calls),
            calls_last=looks or format is not None,
        )

    def read(self, delta: TextDelta | ReasoningDelta | CallDelta) -> Iterable[Delta]:
        """Process a delta of the reply; return the deltas to emit, which must be iterated to the end."""
        if isinstance(delta, TextDelta):
            reader, text = self._take(delta.text)
            if reader is None:
                return ()
            if not reader.feed_plain(text):
                return self._visible(reader.feed(text))
            self._parsed.add_emitted(text)
            if text is not delta.text:
                delta = TextDelta(text)
        elif isinstance(delta, ReasoningDelta):
            self._reasoning.append(delta.text)
        return (delta,)

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply with its reasoning and its calls in their fields."""
        if self._reader is None and (not self._begun or self._is_prose()):
            yield reply
            return
        if self._reader is None:
            self._reader = self._new_parser(None)
            yield from self._visible(self._reader.feed(self._begun))
        has_calls = bool(reply.message.get("tool_calls"))  # the server parsed them itself: others are text
        is_plain = isinstance(reply.message.get("content"), str)
        cut_off = is_broken_off(reply.finish_reason)
        accepts = is_plain and not has_calls and self._reads_calls
        yield from self._visible(self._reader.finish(cut_off=cut_off, accept_calls=accepts))
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
        return replace(reply, message=cast(Message, message), finish_reason=parsed.finish_reason)


def _format_of(model: str) -> Format:
    from agentkit.text.any_format import any_format_of

    return any_format_of(model)


def _announced(text: str) -> tuple[Format | None, str] | None:
    """See `agentkit.text.any_format.announced`; the families are not loaded for a reply that begins with a word."""
    if _begins_with_a_word(text):
        return None, text
    from agentkit.text.any_format import announced

    return announced(text)


def _begins_with_a_word(text: str) -> bool:
    return text.lstrip()[:1].isupper()


_REASONING_ONLY = Format(
    "none",
    starts=(),
    block=lambda marker, tools, first: cast(Block, None),
    quoted_thinks=(("[THINK]", "[/THINK]"), ("<|START_THINKING|>", "<|END_THINKING|>")),
)
