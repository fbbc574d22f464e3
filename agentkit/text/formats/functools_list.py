"""FireFunction v2 and Phi-4-mini: a list of JSON objects behind a word.

functools[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import ListBlock

START = "functools["


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one list."""
    return ListBlock(marker)


FORMAT = Format("functools", starts=(START,), block=block, strips=True)
