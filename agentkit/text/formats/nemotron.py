"""Nemotron Nano v2 and Llama Nemotron v1.5: a list of JSON objects between tags.

<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]</TOOLCALL>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonBlock, calls_in

START, END = "<TOOLCALL>", "</TOOLCALL>"
_HEAD = re.compile(r"[{\[]")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one list. It is a call only when JSON follows the tag."""
    return JsonBlock(marker, (START,), (END,), calls_in, _HEAD)


FORMAT = Format("nemotron", starts=(START,), block=block, strips=True)
