"""Command R7B, Command A and North of Cohere: thoughts, an answer and calls, each between its markers.

<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[
    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}}
]<|END_ACTION|>

An answer stands between <|START_RESPONSE|> and <|END_RESPONSE|>, or <|START_TEXT|> and <|END_TEXT|>.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.json_block import JsonBlock, calls_in

START, END = "<|START_ACTION|>", "<|END_ACTION|>"
THINKS = ("<|START_THINKING|>", "<|END_THINKING|>")
FRAMES = ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>")
_HEAD = re.compile(r"[{\[]|```")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block."""
    return JsonBlock(marker, (START, "<|START_RESPONSE|>", "<|START_TEXT|>"), (END,), calls_in, _HEAD)


FORMAT = Format(
    "cohere",
    starts=(START,),
    block=block,
    swallowed=(*FRAMES, END),
    thinks=THINKS,
    reopens=True,
    answers=(FRAMES[0], FRAMES[2]),
    announced_by=(START, THINKS[0], "<|START_RESPONSE|>", "<|START_TEXT|>"),
)
