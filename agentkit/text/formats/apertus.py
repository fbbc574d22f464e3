"""Apertus: a list of objects whose key is the tool's name and whose value are the arguments. A call ends the reasoning.

<|tools_prefix|>[{"get_weather": {"city": "Paris"}}, {"now": {}}]<|tools_suffix|>
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Format, Segment
from agentkit.text.formats.json_block import JsonBlock, call_of
from agentkit.tooling.json_repair import read_json

START, END = "<|tools_prefix|>", "<|tools_suffix|>"
THINKS = ("<|inner_prefix|>", "<|inner_suffix|>")
_HEAD = re.compile(r"[{\[]|```")
_NAME = re.compile(r"""\s*+\[?\s*+\{\s*+["']([\w.\-]+)["']""")


def parse_calls(inside: str, whole: bool) -> list[Segment]:
    """Parse the calls of a block. A BadCall without text stands for the whole block."""
    found = _NAME.match(inside)
    name = found[1] if found else None
    if not whole:
        return [BadCall("", "the tool call is cut off before its end", name)]
    try:
        value = read_json(inside)
    except ValueError as error:
        return [BadCall("", f"the tool call is not valid JSON: {error}", name)]
    calls = [call for entry in (value if isinstance(value, list) else [value]) for call in _calls_of(entry)]
    return calls or [BadCall("", "the tool call is empty", None)]


def _calls_of(entry: Any) -> Iterator[Segment]:
    if not isinstance(entry, dict):
        text = json.dumps(entry, ensure_ascii=False)
        yield BadCall(text, "a tool call must be an object with the tool's name as key, not " + text[:100])
    elif isinstance(entry.get("name"), str):
        yield call_of(entry)
    else:
        for name, arguments in entry.items():
            yield call_of({"name": name, "arguments": arguments})


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one block."""
    return JsonBlock(marker, (START,), (END,), parse_calls, _HEAD)


FORMAT = Format(
    "apertus",
    starts=(START,),
    block=block,
    section=(START, END),
    thinks=THINKS,
    announced_by=(START, THINKS[0]),
)
