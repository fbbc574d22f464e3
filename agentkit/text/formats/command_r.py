"""Command R and R+ of Cohere: a list of calls in a code fence, announced by a word.

Action: ```json
[
    {
        "tool_name": "get_weather",
        "parameters": {"city": "Paris"}
    }
]```
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonValueBlock


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block."""
    return JsonValueBlock(marker, "```")


FORMAT = Format(
    "command_r", starts=("Action:\n```json\n", "Action: ```json\n", "Action:```json\n"), block=block, strips=True
)
