"""FunctionGemma: calls as Gemma 4's, between other tokens.

<start_function_call>call:get_weather{city:<escape>Paris<escape>,days:3}<end_function_call>
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format
from agentkit.text.formats.gemma_calls import GemmaBlock

START, END, QUOTE = "<start_function_call>", "<end_function_call>", "<escape>"


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return GemmaBlock((START, END, QUOTE), tools)


FORMAT = Format(
    "functiongemma", starts=(START,), block=block, swallowed=(END, "<start_function_response>"), strips=True
)
