"""Kimi K2: the id of a call consists of the tool's name and the call's number in the conversation.

<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}
<|tool_call_end|><|tool_calls_section_end|>   (on one line)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, arguments_call

FIRST, LAST = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
START, MIDDLE, END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
_ID = re.compile(r"(?:functions\.)?(?P<name>.+?)(?::\d+)?")


def parse_call(inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block."""
    head, separator, rest = inside.partition(MIDDLE)
    if not separator:
        return [BadCall("", "the tool call has no arguments after its name")]
    call_id = head.strip()
    found = _ID.fullmatch(call_id)
    call = arguments_call(found["name"] if found else "", rest, whole)
    is_numbered = re.fullmatch(r"functions\..+:\d+", call_id) is not None
    return [call._replace(id=call_id) if isinstance(call, Call) and is_numbered else call]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, (START, LAST), (END,), parse_call)


FORMAT = Format("kimi", starts=(START,), block=block, swallowed=(FIRST, LAST), section=(FIRST, LAST))
