"""Llama 3.1 to 4: JSON without tags, or a list of Python calls.

    {"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "now", "parameters": {}}
    <|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}
    <|python_tag|>brave_search.call(query="Paris")
    [get_weather(city='Paris'), now()]        also between <|python_start|> and <|python_end|>

Since an answer may contain JSON too, an object is a call only when it names one of the tools offered.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text
from agentkit.text.formats.json_block import call_of, calls_in
from agentkit.text.formats.python_calls import python_calls
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.json_scan import JsonScan

PYTHON = "<|python_tag|>"
TAGS = ("<|python_start|>", "<|python_end|>", "<|eom_id|>")
_METHOD = re.compile(r"\s*[A-Za-z_]\w*\.call\(")
_PARTIAL_METHOD = re.compile(r"\s*(?:[A-Za-z_]\w*)?(?:\.\w*)?$")
_OBJECT = re.compile(r"""\{\s*["'](?:name|type|function|parameters|arguments|id)["']""")
_PARTIAL_OBJECT = re.compile(r"""\{\s*(?:["'][a-z]{0,10}["']?)?$""")
_LIST = re.compile(r"""\[\s*(?:[A-Za-z_][\w.]*\(|\{\s*["'](?:name|type|function)["'])""")
_PARTIAL_LIST = re.compile(r"""\[\s*(?:[A-Za-z_][\w.]*|\{\s*(?:["'][a-z]{0,10}["']?)?)?$""")
_JSON = re.compile(r"""\{\s*"|\[\s*[\[{"\d-]""")
"""The beginning of an answer that is JSON: text inside these brackets is not a call."""
_MAX_HEAD = 300


class _LlamaBlock:
    """Holds back text from an opening bracket until the bracket is closed, or until it can no longer be a call."""

    def __init__(self, bracket: str, names: set[str] | None, first: bool) -> None:
        self._head = [bracket]
        self._names = names
        self._is_list = bracket == "["
        self._may_be = first or not self._is_list
        self._scan = JsonScan("\"'", parentheses=True) if self._is_list else JsonScan()
        self._kept: list[str] = []
        self._is_open = False
        self._is_call = self._may_be

    def feed(self, text: str) -> str | None:
        if not self._is_open:
            head = "".join(self._head) + text
            self._head = [head]
            complete, partial = (_LIST, _PARTIAL_LIST) if self._is_list else (_OBJECT, _PARTIAL_OBJECT)
            if not self._may_be or (not complete.match(head) and not (partial.match(head) and len(head) < _MAX_HEAD)):
                self._is_call = False
                if len(head) == 1:
                    return None
                if not _JSON.match(head):
                    return head[1:]
            elif not complete.match(head):
                return None
            self._is_open, text = True, head
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        return None if end is None else text[end:]

    def finish(self) -> str:
        if not self._is_open:
            self._is_call = False
            return self._head[0][1:]
        return ""

    def segments(self) -> list[Segment]:
        text = "".join(self._kept)
        if not self._is_call:
            return [Text(text or self._head[0][0])]
        calls = _list_calls(text) if self._is_list else self._object_call(text)
        if not calls or (self._names is not None and any(_name(call) not in self._names for call in calls)):
            return [Text(text)]
        return calls

    def _object_call(self, text: str) -> list[Segment]:
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


class _PythonTag:
    """Parses the text after <|python_tag|>: a method call; anything else is parsed as if there was no tag."""

    def __init__(self) -> None:
        self._head = ""
        self._scan: JsonScan | None = None
        self._kept: list[str] = []

    def feed(self, text: str) -> str | None:
        if self._scan is None:
            self._head += text
            if _METHOD.match(self._head):
                self._scan, text = JsonScan("\"'", parentheses=True), self._head
            elif _PARTIAL_METHOD.match(self._head) and len(self._head) < _MAX_HEAD:
                return None
            else:
                return self._head
        end = self._scan.feed(text)
        self._kept.append(text if end is None else text[:end])
        return None if end is None else text[end:]

    def finish(self) -> str:
        return "" if self._scan else self._head

    def segments(self) -> list[Segment]:
        text = "".join(self._kept)
        if not text:
            return []
        calls = python_calls(f"[{text.strip()}]")
        return [each._replace(name=each.name.removesuffix(".call")) for each in calls if isinstance(each, Call)] or [
            BadCall(PYTHON + text, "the tool call is not a Python call with named arguments")
        ]


def _name(segment: Segment) -> str | None:
    return segment.name if isinstance(segment, Call | BadCall) else None


def _list_calls(text: str) -> list[Segment]:
    if re.match(r"\[\s*\{", text) is None:
        return python_calls(text)
    calls = calls_in(text)
    return calls if all(isinstance(call, Call) for call in calls) else []


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of a possible call, from its opening bracket or the tag before it."""
    if marker == PYTHON:
        return _PythonTag()
    names = None if tools is None else {tool.get("function", tool).get("name") for tool in tools}
    return _LlamaBlock(marker, names, first)


FORMAT = Format("llama", starts=("{", "[", PYTHON), block=block, swallowed=TAGS, between=";")
