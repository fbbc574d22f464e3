"""Incremental parser of calls written as XML elements, whose values are raw text.

    <minimax:tool_call>
    <invoke name="get_weather">
    <parameter name="city">Paris</parameter>
    </invoke>
    </minimax:tool_call>

The names of the tags differ (`Tags`); `<invoke name="x">`, `<invoke name=x>` and `<invoke=x>` mean the same. Models
omit the wrapper and end tags of values, and write the JSON of calls into the wrapper.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Segment, Text
from agentkit.text.formats.json_block import JsonBlock, arguments_call, calls_in
from agentkit.text.formats.typed import parameters_of, typed_value
from agentkit.tooling.json_repair import read_json

_ATTRIBUTE = (
    r"""(?:[\s\u0120]{0,9}name)?\s{0,9}=\s{0,9}(?:"([^"<>]{1,300})"|'([^'<>]{1,300})'|([^\s"'<>]{1,300}))"""
    r"[^<>]{0,200}>"
)
_MAX_TAG = 600
_MAX_GAP = 200
_JSON_HEAD = re.compile(r"[{\[]")
_EDGE = 40
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
_ELEMENT = re.compile(r"\s*<([A-Za-z_][\w.\-]{0,100})>")
_CUT = "the tool call is cut off before its end"


@dataclass(frozen=True, eq=False)
class Tags:
    """The tags of some families. wrappers: the tags around the calls of a reply. call, value: the names of the elements
    of a call and of a parameter. only_known: a call without a wrapper counts only with the name of a tool offered.
    is_framed: whether the newlines around a value on lines of its own belong to the markup."""

    wrappers: Mapping[str, str]
    call: str
    value: str
    is_framed: bool = False
    only_known: bool = False


class ElementsBlock:
    """Parses the calls after a marker: the wrapper's tag, or the beginning of a call without it. Inside a value, a tag
    counts only where the markup can continue after it."""

    def __init__(self, marker: str, tags: Tags, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._marker = marker
        self._tags = tags
        self._tools = tools
        self._tag, self._beginnings, self._after_value, self._after_call = _patterns(tags)
        self._has_wrapper = marker in tags.wrappers
        self._rest = "" if self._has_wrapper else marker
        self._state: Callable[[str], tuple[str, bool]] = self._read_start
        self._json: JsonBlock | None = None
        self._at_end = self._rejected = self._has_ended = False
        self._name = ""
        self._names: set[str] | None = None
        self._key: str | None = None
        self._value: list[str] = []
        self._begun = self._tail = ""  # the first and the last characters of the value
        self._arguments: list[tuple[str, str]] = []
        self._prose: list[str] = []
        self._raw: list[str] = []
        self._parts: list[Segment] = []

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        text, self._rest = self._rest + text, ""
        goes_on = True
        while goes_on:
            if self._json is not None:
                return self._json.feed(text)
            text, goes_on = self._state(text)
        if self._has_ended:
            return text
        self._rest = text
        return None

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        if self._json is not None:
            return self._json.finish()
        self._at_end = True
        rest = self.feed("")
        if rest is not None or self._json is not None:
            return rest or ""
        rest, self._rest = self._rest, ""
        if self._state == self._read_between:
            return rest
        if self._state == self._read_start and not rest.lstrip().startswith(self._beginnings[0]):
            return self._reject(rest)[0]
        self._raw += [*self._value, rest]
        self._parts.append(BadCall(self._opening() + "".join(self._raw), _CUT, self._name or None))
        return ""

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._json is not None:
            return self._json.segments()
        return [Text(self._marker)] if self._rejected else self._parts

    def _opening(self) -> str:
        return self._marker if self._has_wrapper and not self._parts else ""

    def _reject(self, text: str) -> tuple[str, bool]:
        self._rejected = True
        return self._end(text if self._has_wrapper else text.removeprefix(self._marker))

    def _end(self, text: str) -> tuple[str, bool]:
        self._has_ended = True
        return text, False

    def _read_start(self, text: str) -> tuple[str, bool]:
        """Expect a call, or JSON; else the marker is part of the text."""
        begun = text[:_MAX_TAG].lstrip()
        found = self._tag.match(begun)
        if found is not None and found["call"]:
            return self._begin_call(found, text.lstrip()) if self._may_call(found) else self._reject(text)
        if self._has_wrapper and _JSON_HEAD.match(begun):
            end = self._tags.wrappers[self._marker]
            self._json = JsonBlock(self._marker, (self._marker,), (end,), calls_in, _JSON_HEAD)
            return text, True
        if not self._at_end and len(text) < _MAX_TAG and self._may_begin(begun, self._beginnings[:1]):
            return text, False
        return self._reject(text)

    def _may_call(self, found: "re.Match[str]") -> bool:
        if self._has_wrapper or not self._tags.only_known or self._tools is None:
            return True
        return parameters_of(_attribute(found, 2), self._tools) is not None

    def _begin_call(self, found: "re.Match[str]", text: str) -> tuple[str, bool]:
        self._name = _attribute(found, 2)
        self._names = set((parameters_of(self._name, self._tools) or {}).get("properties") or ()) or None
        self._arguments, self._prose, self._raw = [], [], [found.group()]
        self._state = self._read_body
        return text[found.end() :], True

    def _read_body(self, text: str) -> tuple[str, bool]:
        """Read up to the next tag that is markup."""
        start = 0
        while found := self._tag.search(text, start):
            is_markup = self._is_markup(found, text[found.end() : found.end() + _MAX_GAP])
            if is_markup is None:
                self._keep(text[: found.start()])
                return text[found.start() :], False
            if is_markup:
                return self._handle_tag(found, text)
            start = found.end()
        at = text.rfind("<", max(start, len(text) - _MAX_TAG))
        if at < 0 or self._at_end or not self._may_begin(text[at:], self._beginnings):
            at = len(text)
        self._keep(text[:at])
        return text[at:], False

    def _read_between(self, text: str) -> tuple[str, bool]:
        """Expect another call, or the end of the wrapper, after a call."""
        begun = text[:_MAX_TAG].lstrip()
        found = self._tag.match(begun)
        if found is not None and found["call"]:
            return self._begin_call(found, text.lstrip())
        ends = tuple(self._tags.wrappers.values())
        if begun.startswith(ends):
            return self._end(text.partition(">")[2])
        words = (self._beginnings[0], *ends)
        if not self._at_end and len(text) < _MAX_TAG and self._may_begin(begun, words):
            return text, False
        return self._end(text)

    @staticmethod
    def _may_begin(text: str, words: Sequence[str]) -> bool:
        """Whether a text is the beginning of one of these tags, which are not complete yet."""
        return ">" not in text and any(word.startswith(text) or text.startswith(word) for word in words)

    def _keep(self, text: str) -> None:
        (self._prose if self._key is None else self._value).append(text)
        if self._key is None:
            self._raw.append(text)
        else:
            self._begun = (self._begun + text[:_EDGE])[:_EDGE]
            self._tail = (self._tail + text[-_EDGE:])[-_EDGE:]

    def _is_markup(self, found: "re.Match[str]", behind: str) -> bool | None:
        """Whether a tag is markup here; None while that depends on text that has not arrived."""
        if self._key is None:
            return True
        before = found.string[: found.start()]
        is_cdata = (self._begun + before[:_EDGE]).lstrip().startswith(_CDATA)
        if is_cdata and not (self._tail + before[-_EDGE:]).rstrip().endswith(_CDATA_END):
            return False
        if found["value"]:
            return self._names is None or _attribute(found, 6) in self._names
        if found["value_end"] or found["call_end"]:
            words = self._after_value if found["value_end"] else self._after_call
            begun = behind.lstrip()
            if not begun:
                may_end = self._at_end and not (found["call_end"] and self._has_wrapper)
                return True if may_end else (None if not self._at_end and len(behind) < _MAX_GAP else False)
            if begun.startswith(words):
                return True
            may_grow = not self._at_end and len(behind) < _MAX_GAP
            return None if may_grow and any(word.startswith(begun) for word in words) else False
        return False

    def _handle_tag(self, found: "re.Match[str]", text: str) -> tuple[str, bool]:
        self._keep(text[: found.start()])
        self._end_value()
        if found["value"]:
            self._key = _attribute(found, 6)
        elif not found["value_end"]:
            if not found["call_end"]:  # the call was never closed
                self._end_call()
                return (text[found.start() :], True) if self._has_wrapper else self._end(text[found.start() :])
            self._raw.append(found.group())
            self._end_call()
            return (text[found.end() :], True) if self._has_wrapper else self._end(text[found.end() :])
        self._raw.append(found.group())
        return text[found.end() :], True

    def _end_value(self) -> None:
        if self._key is None:
            return
        value = "".join(self._value)
        self._raw.append(value)
        if value.strip().startswith(_CDATA) and value.rstrip().endswith(_CDATA_END):
            value = value.strip()[len(_CDATA) : -len(_CDATA_END)]
        elif self._tags.is_framed and value.startswith("\n") and value.endswith("\n"):
            value = value[1:-1]
        self._arguments.append((self._key, value))
        self._key, self._value, self._begun, self._tail = None, [], "", ""

    def _end_call(self) -> None:
        self._state = self._read_between
        prose = "".join(self._prose).strip()
        if prose.startswith("{") and not self._arguments:
            call = arguments_call(self._name, prose, whole=True)
            text = self._opening() + "".join(self._raw)
            self._parts.append(call if isinstance(call, Call) else call._replace(text=text))
            return
        if prose and not self._arguments:
            self._arguments, prose = _named_elements(prose)
        reason = ""
        if prose and (not self._arguments or f"<{self._tags.value}" in prose):
            reason = "the tool call has text in place of its parameters"
        elif len(dict(self._arguments)) < len(dict.fromkeys(self._arguments)):
            reason = "the tool call has two values for one parameter"
        if reason:
            self._parts.append(BadCall(self._opening() + "".join(self._raw), reason, self._name))
            return
        parameters = parameters_of(self._name, self._tools)
        arguments = {key: typed_value(value, key, parameters) for key, value in self._arguments}
        if len(arguments) == 1 and self._names and not self._names & arguments.keys():
            arguments = _unwrapped(arguments)
        self._parts.append(Call(self._name, json.dumps(arguments, ensure_ascii=False)))
        if prose:
            self._parts.append(Text(prose))


def _unwrapped(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments that a model wrote as one object into a parameter that the tool does not have."""
    ((key, value),) = arguments.items()
    if key not in ("arguments", "parameters", "properties") or not isinstance(value, str):
        return arguments
    try:
        inner = read_json(value)
    except ValueError:
        return arguments
    return inner if isinstance(inner, dict) else arguments


def _named_elements(text: str) -> tuple[list[tuple[str, str]], str]:
    """Returns the names and texts of elements such as `<city>Paris</city>`, and the text from what is none."""
    found: list[tuple[str, str]] = []
    start = 0
    while opening := _ELEMENT.match(text, start):
        end = text.find(f"</{opening[1]}>", opening.end())
        if end < 0:
            break
        found.append((opening[1], text[opening.end() : end]))
        start = end + len(opening[1]) + 3
    return found, text[start:].strip()


def _attribute(found: "re.Match[str]", group: int) -> str:
    """Returns the name in an opening tag. group: the first of the three groups that may hold it."""
    return str(found[group] or found[group + 1] or found[group + 2]).strip()


@functools.cache
def _patterns(tags: Tags) -> tuple["re.Pattern[str]", tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns the pattern of all tags, how they begin (that of a call first), and what may follow a value and a call
    that contains one."""
    call, value = re.escape(tags.call), re.escape(tags.value)
    wrappers, ends = tuple(tags.wrappers), tuple(tags.wrappers.values())
    pattern = (
        rf"(?P<call><{call}{_ATTRIBUTE})|(?P<value><{value}{_ATTRIBUTE})|(?P<value_end></{value}\s{{0,9}}>)"
        rf"|(?P<call_end></{call}\s{{0,9}}>){''.join('|' + re.escape(each) for each in (*wrappers, *ends))}"
    )
    beginnings = (f"<{tags.call}", f"<{tags.value}", f"</{tags.value}", f"</{tags.call}", *wrappers, *ends)
    after_value = (f"<{tags.value}", f"</{tags.call}", *ends)
    return re.compile(pattern), beginnings, after_value, (f"<{tags.call}", *wrappers, *ends)


def block_of(tags: Tags) -> Callable[[str, Sequence[Mapping[str, Any]] | None, bool], Block]:
    """Returns what creates the parser of one block of calls with these tags."""

    def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
        return ElementsBlock(marker, tags, tools)

    return block
