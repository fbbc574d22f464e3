"""Functionary v3.1: the JSON of the arguments between tags that name the tool.

<function=get_weather>{"city": "Paris"}</function><function=now>{}</function>
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.brackets import function_block

START = "<function="


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return function_block(marker)


FORMAT = Format("functionary", starts=(START,), block=block, swallowed=("<|eom_id|>",), own_starts=(START,))
