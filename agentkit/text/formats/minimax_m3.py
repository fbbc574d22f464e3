"""MiniMax M3: a marker before each tag, and parameters as elements that are named after them, as deep as their values.

]<]minimax[>[<tool_call>
]<]minimax[>[<invoke name="get_weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>]<]minimax[>[<days>
]<]minimax[>[<item>1]<]minimax[>[</item>]<]minimax[>[</days>]<]minimax[>[</invoke>
]<]minimax[>[</tool_call>   (days on one line)

Models omit the tag that opens the first parameter, and the "<" of <invoke.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, partial_word_start
from agentkit.text.formats.typed import parameters_of, typed_value

MARK = "]<]minimax[>["
START, END = MARK + "<tool_call>", MARK + "</tool_call>"
CALL, CALL_END = MARK + "<invoke", MARK + "</invoke>"
_CALL_WITHOUT_BRACKET = MARK + "invoke"
_TAG = re.compile(r"\]<\]minimax\[>\[(?:<(?P<end>/?)|(?=invoke\s))(?P<name>[^<>\]]{1,300})>")
_NAME = re.compile(r"""\s{0,9}name\s{0,9}=\s{0,9}["']?([^"'<>]{1,300})""")
_MAX_DEPTH = 100
_MAX_SCHEMAS = 50
_MAX_HEAD = 200
_CUT = "the tool call is cut off before its end"


@dataclass
class _Element:
    """An element: its text, and the elements in it."""

    name: str
    text: list[str] = field(default_factory=list)
    inside: "list[_Element]" = field(default_factory=list)


class _M3Block:
    """Collects the text up to the end tag, and parses it as a whole."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._marker = marker
        self._tools = tools
        self._end = END if marker == START else CALL_END
        self._is_certain = marker == CALL
        self._rest = ""
        self._kept: list[str] = []
        self._rejected = self._is_whole = False

    def feed(self, text: str) -> str | None:
        text, self._rest = self._rest + text, ""
        if not self._is_certain:
            begun = text[:_MAX_HEAD].lstrip()
            self._is_certain = begun.startswith((CALL, _CALL_WITHOUT_BRACKET))
            if not self._is_certain:
                if len(text) < _MAX_HEAD and (CALL.startswith(begun) or _CALL_WITHOUT_BRACKET.startswith(begun)):
                    self._rest = text
                    return None
                return self._reject(text)
        at = text.find(self._end)
        if at >= 0:
            self._kept.append(text[:at])
            self._is_whole = True
            return text[at + len(self._end) :]
        keep = partial_word_start(text, (self._end,))
        self._kept.append(text[:keep])
        self._rest = text[keep:]
        return None

    def finish(self) -> str:
        rest, self._rest = self._rest, ""
        if not self._is_certain:
            return self._reject(rest)
        self._kept.append(rest)
        return ""

    def segments(self) -> list[Segment]:
        if self._rejected:
            return [Text(self._marker)]
        inside = "".join(self._kept)
        if self._marker == CALL:
            inside = CALL + inside + (CALL_END if self._is_whole else "")
        text = inside if self._marker == CALL else START + inside
        return list(_calls_in(inside, self._tools)) or [BadCall(text, _CUT)]

    def _reject(self, text: str) -> str:
        self._rejected = True
        return text


def _calls_in(text: str, tools: Sequence[Mapping[str, Any]] | None) -> Iterator[Segment]:
    start, stack, name, begin = 0, list[_Element](), None, 0
    for found in _TAG.finditer(text):
        before, start = text[start : found.start()], found.end()
        is_end, tag = bool(found["end"]), found["name"].strip()
        if stack:
            stack[-1].text.append(before)
        elif before.strip():
            yield Text(before.strip())
        if tag.split(None, 1)[:1] != ["invoke"]:
            _handle_tag(stack, tag, is_end)
            continue
        if stack:
            yield _call(name, stack[0], tools, text[begin : found.end()])
        stack = [] if is_end else [_Element("")]
        if not is_end:
            named = _NAME.match(tag.removeprefix("invoke"))
            name, begin = named[1].strip() if named else None, found.start()
    if stack:
        yield BadCall(text[begin:], _CUT, name)


def _handle_tag(stack: list[_Element], tag: str, is_end: bool) -> None:
    """Handle a tag inside a call. stack: the call, and the elements that are open."""
    if stack and not is_end and len(stack) <= _MAX_DEPTH:
        stack[-1].inside.append(_Element(tag))
        stack.append(stack[-1].inside[-1])
    elif is_end and any(each.name == tag for each in stack[1:]):
        while stack.pop().name != tag:
            pass
    elif is_end and len(stack) == 1 and not stack[0].inside and stack[0].text[-1].strip():
        stack[0].inside.append(_Element(tag, [stack[0].text[-1].strip().removeprefix(MARK)]))


def _call(name: str | None, whole: _Element, tools: Sequence[Mapping[str, Any]] | None, text: str) -> Call | BadCall:
    if not name:
        return BadCall(text, "the tool call has no name")
    parameters = parameters_of(name, tools) or {}
    given = _fields(whole, parameters, parameters)
    return Call(name, json.dumps(given, ensure_ascii=False))


def _fields(element: _Element, schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of the elements in an element; those of one name together are a list."""
    values: dict[str, list[Any]] = {}
    properties = {
        key: each for option in _options(schema, root) for key, each in (option.get("properties") or {}).items()
    }
    for each in element.inside:
        values.setdefault(each.name, []).append(_value(each, properties.get(each.name), root))
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _value(element: _Element, schema: Any, root: Mapping[str, Any]) -> Any:
    """Returns the value of an element: a list of what it repeats as "item", an object of other elements, or text in the
    type of its schema."""
    options = list(_options(schema, root))
    types = {kind for option in options for kind in _listed(option.get("type"))}
    text = "".join(element.text)
    is_list = "array" in types or (bool(element.inside) and all(each.name == "item" for each in element.inside))
    if element.inside and is_list and not (types and "array" not in types):
        items = next((option["items"] for option in options if isinstance(option.get("items"), Mapping)), None)
        return [_value(each, items, root) for each in element.inside]
    if element.inside:
        return _fields(element, schema if isinstance(schema, Mapping) else {}, root)
    if not text.strip() and "string" not in types and types & {"array", "object"}:
        return [] if "array" in types else {}
    return typed_value(text, element.name, {**root, "properties": {element.name: schema}} if options else None)


def _options(schema: Any, root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields a schema, those it refers to, and its alternatives."""
    waiting = [schema]
    for _ in range(_MAX_SCHEMAS):
        if not waiting:
            return
        each = waiting.pop()
        if not isinstance(each, Mapping):
            continue
        yield each
        for key in ("anyOf", "oneOf", "allOf"):
            waiting += _listed(each.get(key))
        kind, _, name = str(each.get("$ref", "")).removeprefix("#/").partition("/")
        if kind in ("$defs", "definitions"):
            waiting.append((root.get(kind) or {}).get(name))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else ([] if value is None else [value])


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of all calls of a reply, or of one whose wrapper the model omitted."""
    return _M3Block(marker, tools)


FORMAT = Format(
    "minimax_m3",
    starts=(START, CALL),
    block=block,
    swallowed=(END,),
    section=(START, END),
    thinks=("<mm:think>", "</mm:think>"),
    strips=True,
)
