"""Hermes, Qwen2.5, Qwen3, QwQ, Granite 4: JSON between tags.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>

Some of these models know the tags of Qwen3-Coder, or those of Functionary, and use them in place of JSON.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format, Segment
from agentkit.text.formats import qwen_coder
from agentkit.text.formats.json_block import JsonBlock, calls_in
from agentkit.text.formats.qwen_coder import FUNCTION

START, END = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r"[{\[\"']|```")


_MAX_GAP = 1000


class _HermesBlock:
    """Parses JSON, or Qwen3-Coder's tags where they follow the marker."""

    def __init__(self, json: JsonBlock, tags: Block) -> None:
        self._json, self._tags = json, tags
        self._chosen: Block | None = None
        self._has_function = False
        self._held = ""

    def feed(self, text: str) -> str | None:
        if self._has_function:
            return self._end(text)
        if self._chosen is None:
            text, self._held = self._held + text, ""
            begun = text[:_MAX_GAP].lstrip()
            if _may_become(begun, FUNCTION) and len(text) < _MAX_GAP:
                self._held = text
                return None
            self._chosen = self._tags if begun.startswith(FUNCTION) else self._json
        rest = self._chosen.feed(text)
        if rest is None or self._chosen is self._json:
            return rest
        self._has_function = True
        return self._end(rest)

    def _end(self, text: str) -> str | None:
        """Expect the end tag behind the function. Returns the text after it."""
        text, self._held = self._held + text, ""
        begun = text[:_MAX_GAP].lstrip()
        if _may_become(begun, END) and len(text) < _MAX_GAP:
            self._held = text
            return None
        return text.lstrip()[len(END) :] if begun.startswith(END) else text

    def finish(self) -> str:
        if self._has_function:
            return self._held
        if self._chosen is None:
            self._chosen = self._json
            rest = self._chosen.feed(self._held)
            if rest is not None:
                return rest
        return self._chosen.finish()

    def segments(self) -> list[Segment]:
        return self._chosen.segments() if self._chosen is not None else []


def _may_become(text: str, word: str) -> bool:
    return len(text) < len(word) and word.startswith(text)


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block. It is a call only when JSON or a function follows the tag: prose may mention
    the tag."""
    tags = qwen_coder.block(marker, tools, first)
    return tags if marker == FUNCTION else _HermesBlock(JsonBlock(marker, (START,), (END,), calls_in, _HEAD), tags)


FORMAT = Format("hermes", starts=(START, FUNCTION), block=block, strips=True)
