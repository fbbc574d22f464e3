"""Parses what a chat completions server left in the text of a reply: reasoning, and tool calls in the model's format.

A server that is not configured for its model's format leaves both there. Text that is parsed as a call is not streamed
as text. A reply is parsed from its first markup on; before that, nothing of the parser and the families is loaded.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agentkit.backend import Request
from agentkit.event import CallDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.text.special_tokens import BEGUN_BY_WORDS, has_no_markup

if TYPE_CHECKING:
    from agentkit.backends.parsed_text import ParsedText
    from agentkit.text.call_format import Format

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
    """Reads the text of one reply, complete or streamed; see `ParsedText` for what has markup.

    model: its name, by whose family bare JSON may be a call. reads_calls: whether to look for calls, if the
    request has tools.
    """

    def __init__(self, request: Request, model: str, *, reads_calls: bool) -> None:
        self._request = request
        self._model = model
        self._looks = reads_calls and bool(request.tools)
        self._parsed: ParsedText | None = None
        self._shown: list[str] = []
        self._held = ""
        self._is_read = False  # `_held` is the text so far, and has no markup
        self._reasoning: list[str] = []

    def read(self, delta: TextDelta | ReasoningDelta | CallDelta) -> Iterable[Delta]:
        """Process a delta of the reply; return the deltas to emit, which must be iterated to the end."""
        if isinstance(delta, TextDelta):
            return self._read_prose(delta) if self._parsed is None else self._parsed.read(delta)
        if isinstance(delta, ReasoningDelta):
            self._reasoning.append(delta.text)
        return (delta,)

    def _read_prose(self, delta: TextDelta) -> Iterable[Delta]:
        """Process a delta while there was no markup. Nobody is shown a reply that is not streamed before it is whole;
        of one that is streamed, what may be the beginning of a marker is held back."""
        text = self._held + delta.text
        if not self._is_prose(text):
            self._is_read = False
            return self._parse(text)
        if not self._request.stream:
            self._held, self._is_read = text, True
            return ()
        shown = _certain(text) if self._looks else len(text)
        if not shown:
            self._held = text
            return ()
        self._held = text[shown:]
        if text is not delta.text or self._held:
            delta = TextDelta(text[:shown])
        self._shown.append(delta.text)
        return (delta,)

    def _is_prose(self, text: str) -> bool:
        """Whether a reply that goes on with this text has no markup so far, of whatever family."""
        return (bool(self._shown) or _begins_with_a_word(text)) and has_no_markup(text)

    def _parse(self, text: str) -> Iterable[Delta]:
        """Let the rest of the reply be parsed, unless its first marker isn't complete."""
        found = (None, text) if self._shown else _announced(text)
        if found is None:
            self._held = text
            return ()
        self._held = ""
        return self._begun(found[0]).read(TextDelta(found[1]))

    def _begun(self, format: "Format | None") -> "ParsedText":
        from agentkit.backends.parsed_text import ParsedText  # most replies have no markup

        self._parsed = ParsedText(self._request, format, self._model, looks=self._looks, reasoning=self._reasoning)
        if self._shown:
            self._parsed.resume("".join(self._shown))
        return self._parsed

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply with its reasoning and its calls in their fields."""
        if self._parsed is None and self._held and not (self._is_read or self._is_prose(self._held)):
            yield from self._begun(None).read(TextDelta(self._held))
        if self._parsed is not None:
            yield from self._parsed.finish(reply)
            return
        if self._held and self._request.stream:
            yield TextDelta(self._held)
        yield reply


def _announced(text: str) -> "tuple[Format | None, str] | None":
    """See `agentkit.text.any_format.announced`; the families are not loaded for a reply that begins with a word."""
    if _begins_with_a_word(text):
        return None, text
    if not text.strip():
        return None
    from agentkit.text.any_format import announced

    return announced(text)


def _certain(text: str) -> int:
    """Where what may be the beginning of a marker begins in a text."""
    from agentkit.text.call_format import partial_word_start

    return partial_word_start(text, BEGUN_BY_WORDS)


def _begins_with_a_word(text: str) -> bool:
    """Whether a text begins with a letter that is no small one: markers and names of recipients do not."""
    first = text.lstrip()[:1]
    return first.isalpha() and not first.islower()
