"""xLAM: a list of JSON objects, bare, in a fence, or behind the tag of another family.

[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format, Segment, Text
from agentkit.text.formats.brackets import BracketBlock, ListBlock
from agentkit.text.formats.json_block import JsonBlock, calls_in

FENCE, LIST = "```", "[TOOL_CALLS]"
TAG, END = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r"[{\[]")
_OPENS = re.compile(r"(?:json|python|tool_call)?\s*+(?=[{\[])")
_MAY_OPEN = re.compile(r"[a-z_]{0,9}\s*$")
_CLOSES = re.compile(r"\s*+```")
_MAX_GAP = 100


class _FenceBlock:
    """Parses a fence that holds nothing but calls; anything else is a quotation."""

    def __init__(self, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._tools = tools
        self._opening: str | None = ""
        self._inner: BracketBlock | None = None
        self._closing: str | None = None
        self._end = ""

    def feed(self, text: str) -> str | None:
        if self._inner is None:
            text = (self._opening or "") + text
            found = _OPENS.match(text[:_MAX_GAP])
            if found is None and _MAY_OPEN.match(text) and len(text) < _MAX_GAP:
                self._opening = text
                return None
            if found is None:
                self._opening = ""
                return text
            self._opening, text = found.group(), text[found.end() :]
            self._inner = BracketBlock(text[0], self._tools, first=True)
            text = text[1:]
        if self._closing is None:
            rest = self._inner.feed(text)
            if rest is None:
                return None
            self._closing, text = "", rest
        text, self._closing = self._closing + text, ""
        found = _CLOSES.match(text[:_MAX_GAP])
        if found is None and len(text) < _MAX_GAP and FENCE.startswith(text.lstrip()):
            self._closing = text
            return None
        if found is not None:
            self._end, text = found.group(), text[found.end() :]
        return text

    def finish(self) -> str:
        if self._inner is None:
            return self._opening or ""
        rest = self._inner.finish() if self._closing is None else self._closing
        self._closing = ""
        return rest

    def segments(self) -> list[Segment]:
        if self._inner is None:
            return [Text(FENCE)]
        parts = self._inner.segments()
        written = "".join(part.text for part in parts if isinstance(part, Text))
        return [Text(f"{FENCE}{self._opening}{written}{self._end}")] if written else parts


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the calls after one marker."""
    if marker == FENCE:
        return _FenceBlock(tools)
    if marker == TAG:
        return JsonBlock(marker, (TAG,), (END,), calls_in, _HEAD)
    return ListBlock(marker) if marker == LIST else BracketBlock(marker, tools, first)


FORMAT = Format("xlam", starts=("[", "{", FENCE, LIST, TAG), block=block, own_starts=(FENCE, LIST, TAG), between=";,")
