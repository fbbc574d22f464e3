"""Takes away what a server that does not know its model's end of turn leaves at the end of a text: "Fine.<|im_end|>".

Only where the model has come to its end, and only what stands right behind a word or on a line of its own: an answer
about such a token names it behind a space or in quotation marks.
"""

from collections.abc import Iterable
from typing import cast

from agentkit._lazy.records import replace
from agentkit.backends.fallback_calls import Delta, ReplyText
from agentkit.event import CallDelta, ReasoningDelta, Reply, TextDelta
from agentkit.message import Message

TOKENS = (
    *("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<|eos|>"),
    *("<end_of_turn>", "<turn|>", "<eos>", "<|end|>", "<|return|>", "<|user|>", "<|observation|>", "</s>"),
    *("<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<|assistant_end|>", "<|role_end|>", "<|message_sep|>"),
    *("<|end_of_msg|>", "<seed:eos>", "<｜hy_eos:opensource｜>", "[|endofturn|]", "[e~["),
)
_OPENED = {"</s>": "<s>"}
"""Tokens that are also tags, and what has opened them."""
_ENDS = frozenset({"stop", "eos", "end_turn", "eos_token"})
"""Finish reasons of a reply that is whole."""
_MAX_HELD = 200
"""Characters that are held back at most, since a model may go on with such tokens until it is stopped."""


class WithoutEndTokens:
    """Reads one reply, complete or streamed, as `ReplyText` does, without the tokens at its end."""

    def __init__(self, inner: ReplyText) -> None:
        self._inner = inner
        self._held = ""
        self._before = ""  # the text before what is held, its last piece that is not empty

    def read(self, delta: TextDelta | ReasoningDelta | CallDelta) -> Iterable[Delta]:
        """Process a delta of the reply; return the deltas to emit, which must be iterated to the end."""
        if not isinstance(delta, TextDelta):
            return self._inner.read(delta) if not self._held else (*self._released(), *self._inner.read(delta))
        if not self._held and "<" not in delta.text and "[" not in delta.text:  # as nearly all pieces of a reply
            self._before = delta.text or self._before
            return self._inner.read(delta)
        text = self._held + delta.text
        start = _start_of_end(text)
        if start == 0 and len(text) <= _MAX_HELD:
            self._held = text
            return ()
        start = start if len(text) - start <= _MAX_HELD else len(text)
        self._held, text = text[start:], text[:start]
        self._before = text or self._before
        return self._inner.read(delta if text is delta.text else TextDelta(text))

    def finish(self, reply: Reply) -> Iterable[Delta | Reply]:
        """Yield the remaining deltas, and the reply."""
        content, held = reply.message.get("content"), self._held
        if held and isinstance(content, str) and self._is_end(content, reply.finish_reason):
            self._held = ""
            reply = replace(reply, message=cast(Message, {**reply.message, "content": content[: -len(held)]}))
        yield from self._released()
        yield from self._inner.finish(reply)

    def _is_end(self, content: str, finish_reason: str) -> bool:
        token = next((each for each in TOKENS if self._held.startswith(each)), None)
        if token is None or _start_of_end(self._held, whole=True) or not content.endswith(self._held):
            return False
        opened, last = _OPENED.get(token), self._before[-1:]
        is_glued = not last or last == "\n" or not last.isspace()
        return finish_reason in _ENDS and is_glued and last not in "`'\"(“‘«" and not (opened and opened in content)

    def _released(self) -> Iterable[Delta]:
        if not self._held:
            return ()
        text, self._held, self._before = self._held, "", self._held
        return self._inner.read(TextDelta(text))


def _start_of_end(text: str, *, whole: bool = False) -> int:
    """Where the tokens at the end of a text begin, with white space between them. whole: not also part of one."""
    if "<" not in text and "[" not in text:
        return len(text)
    from agentkit.text.call_format import partial_word_start

    start = len(text) if whole else partial_word_start(text, TOKENS)
    while True:
        before = text[:start].rstrip()
        token = next((each for each in TOKENS if before.endswith(each)), None)
        if token is None:
            return start
        start = len(before) - len(token)
