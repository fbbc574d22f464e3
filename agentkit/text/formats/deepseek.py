"""DeepSeek V3, R1 and V3.1 (the bars are U+FF5C, the blocks U+2581).

    V3    <｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather
          ```json
          {"city": "Paris"}
          ```<｜tool▁call▁end｜>
    V3.1  <｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜>

All calls of a reply stand between <｜tool▁calls▁begin｜> and <｜tool▁calls▁end｜>.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, arguments_call

FIRST, LAST = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
START, MIDDLE, END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"


def parse_call(inside: str, whole: bool) -> list[Segment]:
    """Parse the call of a block, in either form."""
    if MIDDLE not in inside:
        return [BadCall("", "the tool call has no name before its arguments")]
    return _parse_call(inside, whole)


def parse_unmarked(inside: str, whole: bool) -> list[Segment]:
    """Parse the text between the section's beginning and the first call: a call whose marker the model omitted."""
    return _parse_call(inside, whole) if MIDDLE in inside else []


def _parse_call(inside: str, whole: bool) -> list[Segment]:
    head, _, rest = inside.partition(MIDDLE)
    name = head.strip()
    brace = rest.find("{")
    if name == "function" and brace != 0:  # V3: the name follows the separator, and the arguments are in a fence
        name = rest[:brace] if brace >= 0 else rest
        name, rest = name.replace("```json", "").replace("```", "").strip(), rest[brace:] if brace >= 0 else ""
    return [arguments_call(name, rest, whole)]


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call, or of the text before the first call."""
    if marker == FIRST:
        return JsonBlock(marker, (START,), (END, LAST), parse_unmarked)
    return JsonBlock(marker, (START, LAST), (END,), parse_call)


FORMAT = Format("deepseek", starts=(START, FIRST), block=block, swallowed=(LAST, END))
