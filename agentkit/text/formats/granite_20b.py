"""Granite-20B-FunctionCalling: JSON behind a token, once for each call.

<function_call> {"name": "get_weather", "arguments": {"city": "Paris"}}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import ListBlock

START = "<function_call>"


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return ListBlock(marker)


FORMAT = Format("granite_20b", starts=(START,), block=block, strips=True)
