"""Functionary v3.1: the JSON of the arguments between tags that name the tool.

<function=get_weather>{"city": "Paris"}</function><function=now>{}</function>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, arguments_call

START, END = "<function=", "</function>"
_HEAD = re.compile(r"[A-Za-z_]")
_NAME = re.compile(r"\s*([\w.\-]+)\s*>")


def parse_call(inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block."""
    found = _NAME.match(inside)
    if found is None:
        return [BadCall("", "the tool call has no name")]
    return [arguments_call(found[1], inside[found.end() :], whole)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, (START,), (END,), parse_call, _HEAD)


FORMAT = Format("functionary", starts=(START,), block=block, swallowed=("<|eom_id|>",), own_starts=(START,))
