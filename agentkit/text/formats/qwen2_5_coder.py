"""Qwen2.5-Coder: its template asks for JSON between tags, and the models mostly write the JSON alone, or in a code
fence or tags of their own, as all that they say.

    {"name": "get_weather", "arguments": {"city": "Paris"}}
    <tools>{"name": "get_weather", "arguments": {"city": "Paris"}}</tools>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format, Segment, Text
from agentkit.text.formats import hermes
from agentkit.text.formats.brackets import BracketBlock

BRACKET = "{"
WRAPPERS = ("```json", "<tools>", "<function>", "<function-call>")
_CLOSING = re.compile(r"\s*+(?:```|</?+(?:tools?|function|function-call)>?)?\s*")
_SPACE = " \t\r\n"
_MAX_GAP = 300
_MAX_CALLS = 100


class _WrappedBlock:
    """Parses a reply that is a wrapper from its beginning on, and JSON that names the tools offered. What stands behind
    the last call is held to the end of the reply: the end of the wrapper, or text."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> None:
        self._tools = tools
        self._is_open = first
        self._inner: BracketBlock | None = None
        self._made: list[Segment] = []
        self._before = marker  # what stands before the next call
        self._space = ""
        self._behind: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Whether the last call is complete."""
        return bool(self._made) and self._inner is None

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        while self._is_open:
            if self._behind:
                self._behind.append(text)
                return None
            if self._inner is None:
                text, self._space = self._space + text, ""
                begun = text.lstrip(_SPACE)
                if not begun and len(text) < _MAX_GAP:
                    self._space = text
                    return None
                if not begun or begun[0] not in "{[" or len(self._made) >= _MAX_CALLS:
                    self._is_open = bool(self._made)
                    self._behind = [text] if self._is_open else []
                    return None if self._is_open else text
                self._before += text[: len(text) - len(begun)]
                self._inner, text = BracketBlock(begun[0], self._tools, True), begun[1:]
            rest = self._inner.feed(text)
            if rest is None:
                return None
            self._is_open, text = self._takes_calls(self._inner), rest
        return text

    def _takes_calls(self, ended: BracketBlock) -> bool:
        """Take what JSON that has ended says; return whether it is calls."""
        made, self._inner = ended.segments(), None
        is_text = not made or any(isinstance(each, Text) for each in made)
        self._made += [Text(self._before), *made] if is_text else made
        self._before = ""
        return not is_text

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        if self._inner is not None:
            rest = self._inner.finish()
            self._takes_calls(self._inner)
            return rest
        rest = "".join((self._space, *self._behind))
        return "" if self._made and _CLOSING.fullmatch(rest) else rest

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        return self._made or [Text(self._before)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block; JSON without the tags of the template is a call only when it names a tool."""
    if marker in WRAPPERS:
        return _WrappedBlock(marker, tools, first)
    return BracketBlock(marker, tools, first) if marker == BRACKET else hermes.block(marker, tools, first)


_STARTS = (*hermes.FORMAT.starts, BRACKET, *WRAPPERS)
FORMAT = Format("qwen2.5-coder", starts=_STARTS, own_starts=WRAPPERS, block=block, strips=True)
