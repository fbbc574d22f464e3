"""Granite 3: a JSON list behind a token, which Granite 3.1 writes as plain text too. Granite 3.3 puts its answer in
tags.

<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]
<tool_call>[{"name": "get_weather", "arguments": {"city": "Paris"}}]
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import ListBlock

START, TEXT = "<|tool_call|>", "<tool_call>"
TAGS = ("</tool_call>", "<response>", "</response>")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the calls after one marker."""
    return ListBlock(marker)


FORMAT = Format(
    "granite",
    starts=(START, TEXT),
    block=block,
    swallowed=TAGS,
    framing=TAGS,
    strips=True,
    own_starts=(TEXT,),
)
