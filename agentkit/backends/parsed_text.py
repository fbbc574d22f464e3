"""The text of a reply that has markup: its reasoning and its calls, read by the parser of all families' formats."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from agentkit._lazy.records import replace
from agentkit.backend import Request, is_broken_off
from agentkit.backends.text_reply import TextReply
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.text.call_format import Block, Format, Segment
from agentkit.text.parser import ReplyParser
from agentkit.text.verbatim import CopyDetector

Delta = TextDelta | ReasoningDelta | CallDelta | ReplyDiscarded


class ParsedText:
    """Parses the text of one reply, complete or streamed.

    format: what the reply is known to be written in; None: of any family, or that of the model. model: its name, by
    whose family bare JSON may be a call. looks: whether to look for calls. reasoning: the texts of the reasoning that
    the server had parsed itself, to which its reader adds.
    """

    def __init__(
        self, request: Request, format: Format | None, model: str, *, looks: bool, reasoning: list[str]
    ) -> None:
        self._looks = looks
        self._reader = ReplyParser(
            format or (_format_of(model) if looks else _REASONING_ONLY),
            request.tools.known_schemas if looks else None,
            stops=(),
            is_copy=lambda markup, calls: CopyDetector(request.said).is_copy(markup, calls),
            calls_last=looks or format is not None,
        )
        self._parsed = TextReply(f"call_{len(request.transcript)}")
        self._reasoning = reasoning
        self._ahead = 0  # characters that were shown, and that the parser has not returned yet

    def resume(self, shown: str) -> None:
        """Take the beginning of the reply, which was shown already: it has no markup."""
        returned = self._parsed.add(self._reader.feed(shown))
        self._ahead = len(shown) - sum(len(each.text) for each in returned if isinstance(each, TextDelta))

    def read(self, delta: TextDelta) -> Iterable[Delta]:
        """Process text of the reply; return the deltas to emit, which must be iterated to the end."""
        if not self._reader.feed_plain(delta.text):
            return self._visible(self._reader.feed(delta.text))
        self._parsed.add_emitted(delta.text)
        return (delta,)

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply with its reasoning and its calls in their fields."""
        has_calls = bool(reply.message.get("tool_calls"))  # the server parsed them itself: others are text
        is_plain = isinstance(reply.message.get("content"), str)
        cut_off = is_broken_off(reply.finish_reason)
        accepts = is_plain and not has_calls and self._looks
        yield from self._visible(self._reader.finish(cut_off=cut_off, accept_calls=accepts))
        yield self._rebuilt(reply) if is_plain else reply

    def _visible(self, segments: Sequence[Segment]) -> Iterator[Delta]:
        for delta in self._parsed.add(segments):
            if isinstance(delta, TextDelta) and self._ahead:
                text, self._ahead = delta.text[self._ahead :], max(0, self._ahead - len(delta.text))
                if text:
                    yield TextDelta(text)
                continue
            yield delta
            if isinstance(delta, ReplyDiscarded):  # not the reasoning that the server had parsed itself
                self._ahead = 0
                yield from map(ReasoningDelta, self._reasoning)

    def _rebuilt(self, reply: Reply) -> Reply:
        parsed = self._parsed.reply(reply.finish_reason, reply.usage)
        message: dict[str, Any] = {**reply.message, **parsed.message}
        reasoning = (reply.message.get("reasoning_content"), parsed.message.get("reasoning_content"))
        if any(reasoning):
            message["reasoning_content"] = "\n\n".join(filter(None, reasoning))
        message["content"] = message["content"] or (None if message.get("tool_calls") else "")
        return replace(reply, message=cast(Message, message), finish_reason=parsed.finish_reason)


def without_reasoning(text: str) -> str:
    """The answer in the whole text of a reply whose server has left its reasoning in it, between tags."""
    reader = ReplyParser(_REASONING_ONLY, None, stops=(), is_copy=lambda markup, calls: False, calls_last=False)
    parsed = TextReply("call_0", stream=False)
    for segments in (reader.feed(text), reader.finish(cut_off=False, accept_calls=False)):
        for _ in parsed.add(segments):
            pass
    return str(parsed.reply("stop", Usage()).message.get("content") or "")


def _format_of(model: str) -> Format:
    from agentkit.text.any_format import any_format_of  # loads the families

    return any_format_of(model)


_REASONING_ONLY = Format(
    "none",
    starts=(),
    block=lambda marker, tools, first: cast(Block, None),
    quoted_thinks=(("[THINK]", "[/THINK]"), ("<|START_THINKING|>", "<|END_THINKING|>")),
)
