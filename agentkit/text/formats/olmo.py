"""Olmo 3: Python calls between tags, each on lines of its own.

<function_calls>get_weather(city='Paris')
now()</function_calls>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment, Text
from agentkit.text.formats.json_block import JsonBlock, calls_in
from agentkit.text.formats.python_calls import python_calls, python_lines

START, END = "<function_calls>", "</function_calls>"
_HEAD = re.compile(r"\s*+(?:\[|([A-Za-z_][\w.]*+)\()")
_PARTIAL_HEAD = re.compile(r"\s*+(?:[A-Za-z_][\w.]*+)?$")
_MAX_HEAD = 300


def parse_calls(inside: str, whole: bool) -> list[Segment]:
    """Parse the calls of a block."""
    found = _HEAD.match(inside)
    name = found[1] if found else None
    if not whole:
        return [BadCall("", "the tool call is cut off before its end", name)]
    calls = python_lines(inside) or python_calls(inside)
    if not calls and not name:
        return calls_in(inside)
    return calls or [BadCall("", "the tool call is not a Python call with named arguments", name)]


class _CallsBlock:
    """Parses the text after the tag, which is only mentioned where nothing like a call follows it."""

    def __init__(self) -> None:
        self._head = ""
        self._calls: JsonBlock | None = None

    def feed(self, text: str) -> str | None:
        if self._calls is not None:
            return self._calls.feed(text)
        text = self._head + text
        if _HEAD.match(text[:_MAX_HEAD]):
            self._calls = JsonBlock(START, (START,), (END,), parse_calls)
            return self._calls.feed(text)
        if _PARTIAL_HEAD.match(text) and len(text) < _MAX_HEAD:
            self._head = text
            return None
        return text

    def finish(self) -> str:
        return self._calls.finish() if self._calls is not None else self._head

    def segments(self) -> list[Segment]:
        return self._calls.segments() if self._calls is not None else [Text(START)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block."""
    return _CallsBlock()


def _begins(character: str) -> bool:
    return character.isalpha() or character in "_["


FORMAT = Format("olmo", starts=(START,), block=block, strips=True, begins_with=_begins)
