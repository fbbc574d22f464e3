"""Hermes, Qwen2.5, Qwen3, QwQ, Granite 4: JSON between tags.

<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonBlock, calls_in

START, END = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r"[{\[\"']|```")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block. It is a call only when JSON follows the tag: prose may mention the tag."""
    return JsonBlock(marker, (START,), (END,), calls_in, _HEAD)


FORMAT = Format("hermes", starts=(START,), block=block, strips=True)
