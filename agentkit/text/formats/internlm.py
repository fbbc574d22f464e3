"""InternLM2 and 2.5: JSON between tokens.

<|action_start|><|plugin|>
{"name": "get_weather", "parameters": {"city": "Paris"}}<|action_end|>
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonBlock, calls_in

STARTS = ("<|action_start|><|plugin|>", "<|action_start|> <|plugin|>", "<|action_start|>\n<|plugin|>")
END = "<|action_end|>"
_HEAD = re.compile(r"[{\[\"']|```")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return JsonBlock(marker, STARTS, (END,), calls_in, _HEAD)


FORMAT = Format("internlm", starts=STARTS, block=block, swallowed=(END,), strips=True)
