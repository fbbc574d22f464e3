"""LFM2: a list of calls as Python, or as JSON where the system message asks for it.

<|tool_call_start|>[get_weather(city='Paris'), now()]<|tool_call_end|>
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, partial_word_start
from agentkit.text.formats.json_block import calls_in, name_in
from agentkit.text.formats.python_calls import python_calls
from agentkit.text.formats.python_repair import RESERVED, repaired
from agentkit.tooling.json_scan import JsonScan

START, END = "<|tool_call_start|>", "<|tool_call_end|>"
_HEAD = re.compile(r"\[|\{|[A-Za-z_][\w.]*\(")
_PARTIAL_HEAD = re.compile(r"(?:[A-Za-z_][\w.]*)?$")
_JSON = re.compile(r"\[?\s*\{")
_MAX_HEAD = 300


class _Lfm2Block:
    """Parses up to the end tag, or to the one before which an open string or bracket never closes."""

    def __init__(self) -> None:
        self._rest = ""
        self._has_begun = self._rejected = self._is_whole = False
        self._scan = JsonScan("\"'", parentheses=True)
        self._is_closed = False
        self._kept: list[str] = []
        self._end_inside: int | None = None  # the number of parts before the first end tag inside of brackets

    def feed(self, text: str) -> str | None:
        text, self._rest = self._rest + text, ""
        if not self._has_begun:
            begun = text[:_MAX_HEAD].lstrip()
            if _HEAD.match(begun) is None:
                if len(text) < _MAX_HEAD and _PARTIAL_HEAD.match(begun):
                    self._rest = text
                    return None
                return self._reject(text)
            self._has_begun = True
        while (start := text.find(END)) >= 0:
            self._keep(text[:start])
            text = text[start + len(END) :]
            if self._is_closed:
                self._is_whole = True
                return text
            self._end_inside = len(self._kept) if self._end_inside is None else self._end_inside
            self._keep(END)
        keep = partial_word_start(text, (END,))
        self._keep(text[:keep])
        self._rest = text[keep:]
        return None

    def finish(self) -> str:
        rest, self._rest = self._rest, ""
        if not self._has_begun:
            return self._reject(rest)
        self._keep(rest)
        self._is_whole = self._is_closed or self._end_inside is not None
        if self._is_closed or self._end_inside is None:
            return ""
        behind = "".join(self._kept[self._end_inside + 1 :])
        del self._kept[self._end_inside :]
        return behind

    def segments(self) -> list[Segment]:
        if self._rejected:
            return [Text(START)]
        inside = "".join(self._kept)
        bad = BadCall(
            START + inside, "the tool call is not a list of Python calls with named arguments", name_in(inside)
        )
        if not self._is_whole:
            return [bad._replace(reason="the tool call is cut off before its end")]
        text = inside.strip()
        if _JSON.match(text):
            return [each._replace(text=bad.text) if isinstance(each, BadCall) else each for each in calls_in(text)]
        text = text if text.startswith("[") else f"[{text}]"
        if text.startswith("[[") and text.endswith("]]"):
            text = text[1:-1]
        calls = python_calls(text) or [_restored(call) for call in python_calls(repaired(text))]
        return calls or ([bad] if text.strip("[] \n") else [])

    def _reject(self, text: str) -> str:
        self._rejected = True
        return text

    def _keep(self, text: str) -> None:
        self._kept.append(text)
        while text:
            if text.strip(" \t\r\n,;"):
                self._is_closed = False
            end = self._scan.feed(text)
            if end is None:
                return
            self._is_closed = True  # another call may follow without brackets around all of them
            self._scan, text = JsonScan("\"'", parentheses=True), text[end:]


def _restored(call: Segment) -> Segment:
    """Returns a call of repaired text with the names of its arguments as the model wrote them."""
    if not isinstance(call, Call) or RESERVED not in call.arguments:
        return call
    given = {key.removesuffix(RESERVED): value for key, value in json.loads(call.arguments).items()}
    return call._replace(arguments=json.dumps(given, ensure_ascii=False))


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one list of calls."""
    return _Lfm2Block()


FORMAT = Format("lfm2", starts=(START,), block=block, swallowed=(END,), strips=True)
