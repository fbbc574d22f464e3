"""Functionary v3.2: each part of a reply begins with its recipient, a tool or all.

>>>all
I look it up.>>>get_weather
{"city": "Paris"}

The prompt ends with the first `>>>`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment, Text
from agentkit.text.formats.json_block import arguments_call
from agentkit.tooling.json_scan import JsonScan

START, ALL = ">>>", ">>>all\n"
_HEAD = re.compile(r"([\w.\-]+)\n\s*+(?=\{)")
_PARTIAL_HEAD = re.compile(r"[\w.\-]*+(?:\n\s*+)?$")
_MAX_HEAD = 300


def completed(text: str) -> str | None:
    """See `agentkit.text.call_format.Format.completed`: the prompt has begun the first recipient."""
    if text.startswith("all\n") or _HEAD.match(text[:_MAX_HEAD]):
        return START + text
    return None if _PARTIAL_HEAD.match(text) and len(text) < _MAX_HEAD else text


class _RecipientBlock:
    """Parses the name of a tool and the JSON of its arguments; anything else is text."""

    def __init__(self) -> None:
        self._head = ""
        self._name: str | None = None
        self._scan = JsonScan()
        self._kept: list[str] = []
        self._is_whole = False

    def feed(self, text: str) -> str | None:
        if self._name is None:
            text = self._head + text
            found = _HEAD.match(text[:_MAX_HEAD])
            if found is None:
                self._head = text if _PARTIAL_HEAD.match(text) and len(text) < _MAX_HEAD else ""
                return None if self._head else text
            self._name, self._head, text = found[1], found.group(), text[found.end() :]
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        self._is_whole = end is not None
        return None if end is None else text[end:]

    def finish(self) -> str:
        return self._head if self._name is None else ""

    def segments(self) -> list[Segment]:
        if self._name is None:
            return [Text(START)]
        inside = "".join(self._kept)
        call = arguments_call(self._name, inside, self._is_whole)
        return [call._replace(text=START + self._head + inside) if isinstance(call, BadCall) else call]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return _RecipientBlock()


FORMAT = Format(
    "functionary_recipients",
    starts=(START,),
    own_starts=(START,),
    block=block,
    swallowed=(ALL,),
    strips=True,
    completed=completed,
)
