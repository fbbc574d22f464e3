"""Nemotron Nano v2 and Llama Nemotron v1.5: a list of JSON objects between tags; Llama Nemotron v1 writes Python there.

<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]</TOOLCALL>
<TOOLCALL>[get_weather(city="Paris"), now()]</TOOLCALL>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, calls_in, name_in
from agentkit.text.formats.python_calls import python_calls

START, END = "<TOOLCALL>", "</TOOLCALL>"
_HEAD = re.compile(r"[{\[]")


_PYTHON = re.compile(r"\[\s*[A-Za-z_][\w.]*\(")


def _calls(inside: str, whole: bool) -> list[Segment]:
    if not _PYTHON.match(inside.strip()):
        return calls_in(inside, whole)
    bad = BadCall("", "the tool call is not a list of Python calls with named arguments", name_in(inside))
    return (python_calls(inside) if whole else []) or [bad]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one list. It is a call only when JSON follows the tag."""
    return JsonBlock(marker, (START,), (END,), _calls, _HEAD)


FORMAT = Format("nemotron", starts=(START,), block=block, strips=True)
