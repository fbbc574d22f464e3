"""Phi-4-mini: a JSON list, behind the word that its templates in use ask for or between its own tokens. FireFunction
writes the former too.

functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]
<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|/tool_call|>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format, Segment, Text
from agentkit.text.formats.json_block import calls_in
from agentkit.text.formats.list_block import ListBlock

WORD, START, END = "functools[", "<|tool_call|>", "<|/tool_call|>"
_OBJECT = re.compile(r"\[\s*+\{")


def parse_list(inside: str, whole: bool) -> list[Segment]:
    """Parse what follows the word: calls only when it is a list of objects, else Python code."""
    return calls_in(inside, whole) if _OBJECT.match(inside) else [Text("functools" + inside)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the calls after one marker."""
    return ListBlock(marker, parse_list, "[") if marker == WORD else ListBlock(marker, calls_in)


FORMAT = Format("phi4_mini", starts=(WORD, START), block=block, swallowed=(END,), strips=True)
