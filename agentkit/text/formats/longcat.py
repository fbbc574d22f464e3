"""LongCat-Flash: JSON between tags of its own.

<longcat_tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</longcat_tool_call>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonBlock, calls_in

START, END = "<longcat_tool_call>", "</longcat_tool_call>"
_HEAD = re.compile(r"[{\[\"']|```")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block."""
    return JsonBlock(marker, (START,), (END,), calls_in, _HEAD)


FORMAT = Format("longcat", starts=(START,), block=block, strips=True, thinks=("<longcat_think>", "</longcat_think>"))
