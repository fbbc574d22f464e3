"""Granite 3.2: calls as Granite 3.1's, reasoning between two sentences.

Here is my thought process: ... Here is my response: ...
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import ListBlock

STARTS = ("<|tool_call|>", "<tool_call>")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of the calls after one marker."""
    return ListBlock(marker)


FORMAT = Format(
    "granite3_2",
    starts=STARTS,
    block=block,
    swallowed=("</tool_call>",),
    thinks=("Here is my thought process:", "Here is my response:"),
    strips=True,
)
