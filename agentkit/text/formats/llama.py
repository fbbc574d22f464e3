"""Llama 3.1 to 4: JSON without tags, or a list of Python calls.

    {"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "now", "parameters": {}}
    <|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}
    <|python_tag|>brave_search.call(query="Paris")
    [get_weather(city='Paris'), now()]
    <|python_start|>[get_weather(city='Paris'), now()]<|python_end|>
    <function=get_weather>{"city": "Paris"}</function>

Llama 4 writes text between its tags too, and JSON behind them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text
from agentkit.text.formats.brackets import BracketBlock, function_block, names_of, written_calls
from agentkit.text.formats.python_calls import python_calls
from agentkit.tooling.json_scan import JsonScan

TAGS = ("<|python_tag|>", "<|python_start|>", "<|python_end|>")
FUNCTION = "<function="
_CALL = re.compile(r"\s*([A-Za-z_][\w.]*)\(")
_VALUE = re.compile(r"\s*[{\[]")
_PARTIAL = re.compile(r"\s*(?:[A-Za-z_][\w.]*)?$")
_BETWEEN = re.compile(r"[\s;,]*")
_NEXT = re.compile(r"[\s;,]*+[{\[]")
_MAX_HEAD = 300


class _TagBlock:
    """Parses the calls after a tag; anything else is parsed as if there was no tag."""

    def __init__(self, marker: str, names: set[str] | None) -> None:
        self._marker = marker
        self._names = names
        self._held = ""
        self._scan = JsonScan("\"'", parentheses=True)
        self._values: list[list[str]] = []
        self._is_open = False

    @property
    def is_whole(self) -> bool:
        """Whether the last value is closed."""
        return bool(self._values) and not self._is_open

    def feed(self, text: str) -> str | None:
        text, self._held = self._held + text, ""
        while True:
            if not self._is_open:
                if self._is_undecided(text):
                    self._held = text
                    return None
                if not self._begins_value(text[:_MAX_HEAD]):
                    return text
                self._values.append([])
                self._scan = JsonScan("\"'", parentheses=True)
                self._is_open = True
            end = self._scan.feed(text)
            self._values[-1].append(text if end is None else text[:end])
            if end is None:
                return None
            self._is_open, text = False, text[end:]

    def finish(self) -> str:
        held, self._held = self._held, ""
        return held

    def segments(self) -> list[Segment]:
        made: list[Segment] = []
        for place, pieces in enumerate(self._values):
            text = "".join(pieces).lstrip(" \t\r\n;,")
            is_cut = self._is_open and place == len(self._values) - 1
            made += [_cut_off(self._marker, text)] if is_cut else self._calls(text)
        return made

    def _is_undecided(self, text: str) -> bool:
        partial = _BETWEEN.fullmatch(text) if self._values else _PARTIAL.match(text)
        return partial is not None and len(text) < _MAX_HEAD

    def _begins_value(self, text: str) -> bool:
        if self._values:
            return _NEXT.match(text) is not None
        found = _CALL.match(text)
        if found is None:
            return _VALUE.match(text) is not None
        return found[1].endswith(".call") or (self._names is not None and found[1] in self._names)

    def _calls(self, text: str) -> list[Segment]:
        if text[0] in "{[":
            return written_calls(text) or [Text(text)]
        calls = [each for each in python_calls(f"[{text}]") if isinstance(each, Call)]
        return [each._replace(name=each.name.removesuffix(".call")) for each in calls] or [
            BadCall(self._marker + text, "the tool call is not a Python call with named arguments")
        ]


def _cut_off(marker: str, text: str) -> Segment:
    return BadCall(marker + text, "the tool call is cut off before its end")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of a possible call, from its opening bracket or the tag before it."""
    if marker in TAGS:
        return _TagBlock(marker, names_of(tools))
    return function_block(marker) if marker == FUNCTION else BracketBlock(marker, tools, first)


FORMAT = Format(
    "llama",
    starts=("{", "[", *TAGS, FUNCTION),
    own_starts=(FUNCTION,),
    block=block,
    swallowed=("<|eom_id|>", "<|eom|>"),
    between=";,",
)
