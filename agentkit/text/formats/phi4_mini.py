"""Phi-4-mini: a JSON list between its own tokens, or behind the word that templates in use ask for.

<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|/tool_call|>
functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import ListBlock

START, WORD, END = "<|tool_call|>", "functools[", "<|/tool_call|>"


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the calls after one marker."""
    return ListBlock(marker)


FORMAT = Format("phi4_mini", starts=(START, WORD), block=block, swallowed=(END,), strips=True)
