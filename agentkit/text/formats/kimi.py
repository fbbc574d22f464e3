"""Kimi K2: the id of a call consists of the tool's name and the call's number in the conversation.

<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}
<|tool_call_end|><|tool_calls_section_end|>   (on one line)
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, arguments_call

FIRST, LAST = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
START, MIDDLE, END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
_ODD = ("<|tool_call_section_begin|>", "<|tool_call_section_end|>")
"""How models misspell the markers around calls."""
_ID = re.compile(r"(?:functions\.)?(?P<name>.+?)(?::\d+)?")
_OTHER_IDS = (
    re.compile(r"functions[._](.+?)(?:[:._]\d+)?"),
    re.compile(r"functions[._]?(.{1,64}?)[:._]?\d{1,6}"),
)
"""The forms of ids that models copy from a conversation with such ones."""


def parse_call(tools: Sequence[Mapping[str, Any]] | None, inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block."""
    head, separator, rest = inside.partition(MIDDLE)
    if not separator:
        return [BadCall("", "the tool call has no arguments after its name")]
    call_id = head.strip()
    call = arguments_call(_name_in(call_id, tools), rest, whole)
    is_numbered = re.fullmatch(r"functions\..+:\d+", call_id) is not None
    return [call._replace(id=call_id) if isinstance(call, Call) and is_numbered else call]


def _name_in(call_id: str, tools: Sequence[Mapping[str, Any]] | None) -> str:
    """Returns the tool's name in the id of a call; that of a tool offered, where the id may be read so."""
    found = _ID.fullmatch(call_id)
    name = found["name"] if found else ""
    offered = {tool.get("function", tool).get("name") for tool in tools or ()}
    if name in offered:
        return name
    others = [found.group(1) for form in _OTHER_IDS if (found := form.fullmatch(call_id))]
    return next((other for other in (*others, name.rpartition(".")[2]) if other in offered), name)  # another prefix


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, (START, LAST), (END,), functools.partial(parse_call, tools))


FORMAT = Format("kimi", starts=(START,), block=block, swallowed=(FIRST, LAST, *_ODD), section=(FIRST, LAST))
