"""Gemma 4.

<|channel>thought
...<channel|><|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3}<tool_call|>

Models write <|tool_call|> too, with the arguments as JSON in parentheses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.gemma_calls import GemmaBlock

START, END, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
OTHER_START = "<|tool_call|>"


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return GemmaBlock((marker, END, QUOTE), tools)


FORMAT = Format(
    "gemma4",
    starts=(START, OTHER_START),
    own_starts=(OTHER_START,),
    block=block,
    swallowed=(END,),
    thinks=("<|channel>", "<channel|>"),
    label="thought",
    reopens=True,
    mentions=True,
)
