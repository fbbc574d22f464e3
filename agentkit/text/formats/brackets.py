"""Calls without tags, as JSON or as a list of Python calls in brackets, and such calls after a word.

    {"name": "get_weather", "parameters": {"city": "Paris"}}
    [{"name": "get_weather", "arguments": {"city": "Paris"}}]
    [get_weather(city='Paris'), now()]

Since an answer may contain JSON too, brackets alone are a call only when they name one of the tools offered.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Call, Segment, Text
from agentkit.text.formats.json_block import JsonBlock, arguments_call, call_of, calls_in
from agentkit.text.formats.python_calls import python_calls
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.json_scan import JsonScan

_OBJECT = re.compile(r"""\{\s*["'](?:name|type|function|parameters|arguments|id)["']""")
_PARTIAL_OBJECT = re.compile(r"""\{\s*(?:["'][a-z]{0,10}["']?)?$""")
_LIST = re.compile(r"""\[\s*(?:(?P<name>[A-Za-z_][\w.]*)\(|\{\s*["'](?:name|type|function)["'])""")
_PARTIAL_LIST = re.compile(r"""\[\s*(?:[A-Za-z_][\w.]*|\{\s*(?:["'][a-z]{0,10}["']?)?)?$""")
_BRACKET = re.compile(r"[{\[]\s*\Z")
_JSON = re.compile(r"""\{\s*"|\[\s*[\[{"\d-]""")
"""The beginning of an answer that is JSON: text inside these brackets is not a call."""
_FUNCTION_HEAD = re.compile(r"[A-Za-z_]")
_FUNCTION_NAME = re.compile(r"\s*([\w.\-]+)\s*>")
_MAX_HEAD = 300
"""Maximum characters before it is decided whether a bracket begins a call; those behind them do not count."""


class BracketBlock:
    """Holds back text from an opening bracket until the bracket is closed, or until it can no longer be a call."""

    def __init__(self, bracket: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> None:
        self._head = [bracket]
        self._names = names_of(tools)
        self._is_list = bracket == "["
        self._may_be = first or not self._is_list or self._names is not None
        self._scan = JsonScan("\"'", parentheses=True) if self._is_list else JsonScan()
        self._kept: list[str] = []
        self._is_open = self._is_closed = False
        self._is_call = self._may_be

    def feed(self, text: str) -> str | None:
        if not self._is_open:
            head = "".join(self._head) + text
            self._head = [head]
            complete, partial = (_LIST, _PARTIAL_LIST) if self._is_list else (_OBJECT, _PARTIAL_OBJECT)
            seen = head[:_MAX_HEAD]
            begun = complete.match(seen) if self._may_be else None
            if begun is None and len(head) < _MAX_HEAD and (partial if self._may_be else _BRACKET).match(head):
                return None
            if begun is None or self._names_no_tool(begun):
                self._is_call = False
                if not _JSON.match(seen):
                    return head[1:]
            self._is_open, text = True, head
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        self._is_closed = end is not None
        return None if end is None else text[end:]

    def _names_no_tool(self, begun: "re.Match[str]") -> bool:
        """Whether the beginning of a list of Python calls tells that none of the tools offered is called."""
        return self._is_list and self._names is not None and begun["name"] not in (None, *self._names)

    def finish(self) -> str:
        if not self._is_open:
            self._is_call = False
            return self._head[0][1:]
        return ""

    def segments(self) -> list[Segment]:
        text = "".join(self._kept)
        if not self._is_call or (self._is_list and not self._is_closed):
            return [Text(text or self._head[0][0])]
        calls = written_calls(text)
        if not calls or (self._names is not None and any(_name(call) not in self._names for call in calls)):
            return [Text(text)]
        return calls


class ListBlock:
    """Parses a JSON list that follows a marker, as in `functools[{...}]`, where the marker ends with the bracket.
    Anything but objects means that the marker is only mentioned."""

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self._head: str | None = ""
        self._opening = "[" if marker.endswith("[") else ""
        self._scan = JsonScan()
        self._scan.feed(self._opening)
        self._kept: list[str] = []
        self._is_whole = self._is_rejected = False

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if self._head is not None:
            text = self._head + text
            begun = text[:_MAX_HEAD].lstrip()
            if not begun and len(text) < _MAX_HEAD:
                self._head = text
                return None
            self._head = None
            if begun[:1] not in (("{",) if self._opening else ("{", "[")):
                self._is_rejected = True
                return text
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        self._is_whole = end is not None
        return None if end is None else text[end:]

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        rest, self._head = self._head or "", None
        self._is_rejected = self._is_rejected or not self._kept
        return rest

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._is_rejected:
            return [Text(self._marker)]
        inside = "".join(self._kept)
        calls = calls_in(self._opening + inside, self._is_whole)
        whole = self._marker + inside
        return [each._replace(text=whole) if isinstance(each, BadCall) and not each.text else each for each in calls]


def function_block(marker: str) -> JsonBlock:
    """Returns the parser of `get_weather>{"city": "Paris"}</function>`, which follows the marker `<function=`."""
    return JsonBlock(marker, (marker,), ("</function>",), _named_call, _FUNCTION_HEAD)


def _named_call(inside: str, whole: bool) -> list[Segment]:
    found = _FUNCTION_NAME.match(inside)
    if found is None:
        return [BadCall("", "the tool call has no name")]
    return [arguments_call(found[1], inside[found.end() :], whole)]


def names_of(tools: Sequence[Mapping[str, Any]] | None) -> set[str] | None:
    """Returns the names of the tools; None where they are not known."""
    return None if tools is None else {tool.get("function", tool).get("name") for tool in tools}


def written_calls(text: str) -> list[Segment]:
    """Returns the calls in brackets, or those of a JSON object; none where they are something else."""
    return _object_call(text) if text.lstrip().startswith("{") else _list_calls(text)


def _object_call(text: str) -> list[Segment]:
    try:
        value = read_json(text)
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    if "parameters" not in inner and "arguments" not in inner:
        return []
    call = call_of(value)
    return [call if isinstance(call, Call) else call._replace(text=text)] if _name(call) else []


def _name(segment: Segment) -> str | None:
    return segment.name if isinstance(segment, Call | BadCall) else None


def _list_calls(text: str) -> list[Segment]:
    if re.match(r"\[\s*\{", text) is None:
        return python_calls(text)
    calls = calls_in(text)
    return calls if all(isinstance(call, Call) for call in calls) else []
