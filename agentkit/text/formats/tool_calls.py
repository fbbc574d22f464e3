"""MiniMax M1, Jamba, Apriel, Hunyuan, K2 Horizon: all calls in one tag, as JSON or as keys and values.

    <tool_calls>
    {"name": "get_weather", "arguments": {"city": "Paris"}}
    {"name": "now", "arguments": {}}
    </tool_calls>

    <tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]</tool_calls>

    <tool_calls>
    <tool_call>get_weather<tool_sep>
    <arg_key>city</arg_key>
    <arg_value>Paris</arg_value>
    </tool_call>
    </tool_calls>

The tags of Hunyuan 3 have a suffix (<tool_calls:opensource>), those of K2 Horizon a prefix (<ifm|tool_calls>).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text
from agentkit.text.formats.json_block import JsonBlock, arguments_call, calls_in
from agentkit.text.formats.typed import parameters_of, typed_value

START, END = "<tool_calls>", "</tool_calls>"
SUFFIXED = ("<tool_calls:opensource>", "</tool_calls:opensource>")
_HEAD = re.compile(r"[{\[\"']|```")
STARTS, ENDS = (START, SUFFIXED[0], "<ifm|tool_calls>"), (END, SUFFIXED[1], "</ifm|tool_calls>")
_TAG = re.compile(r"<(?P<end>/?)(?:ifm\|)?(?P<name>tool_calls?|tool_sep|arg_key|arg_type|arg_value)(?::\w{1,30})?>")
_PARTIAL_TAG = re.compile(r"</?(?:ifm\|)?[a-z_]{0,10}(?::\w{0,30})?$")
_VALUE_END = re.compile(r"</(?:ifm\|)?arg_value(?::\w{1,30})?>")
_CALL = ("<tool_call", "<ifm|tool_call")
_MAX_TAG = 60
_NAME = re.compile(r"[\w.\-]{1,300}")


class _ToolCallsBlock:
    """Chooses the form by what follows the marker."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._marker = marker
        self._tools = tools
        self._block: Block | None = None
        self._held = ""

    def feed(self, text: str) -> str | None:
        if self._block is None:
            text, self._held = self._held + text, ""
            begun = text[:_MAX_TAG].lstrip()
            if len(text) < _MAX_TAG and any(call.startswith(begun) for call in _CALL):
                self._held = text
                return None
            self._block = self._chosen(begun)
        return self._block.feed(text)

    def finish(self) -> str:
        if self._block is not None:
            return self._block.finish()
        self._block = self._chosen("")
        rest = self._block.feed(self._held)
        return rest if rest is not None else self._block.finish()

    def segments(self) -> list[Segment]:
        return self._block.segments() if self._block is not None else []

    def _chosen(self, begun: str) -> Block:
        if begun.startswith(_CALL):
            return _KeysBlock(self._marker, self._tools)
        return JsonBlock(self._marker, STARTS, ENDS, calls_in, _HEAD)


class _KeysBlock:
    """Parses calls from tag to tag; a value extends to its end tag, whatever it contains."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._marker = marker
        self._tools = tools
        self._rest = ""
        self._raw: list[str] = []
        self._part: list[str] = []
        self._name: str | None = None
        self._key = ""
        self._is_value = self._is_open = False
        self._arguments: list[tuple[str, str]] = []
        self._parts: list[Segment] = []

    def feed(self, text: str) -> str | None:
        text, self._rest = self._rest + text, ""
        while found := (_VALUE_END if self._is_value else _TAG).search(text):
            self._keep(text[: found.start()])
            part = "".join(self._part)
            self._part = []
            self._raw.append(found.group())
            text = text[found.end() :]
            if self._is_value:
                self._arguments.append((self._key, part))
                self._is_value = False
            elif self._handle_tag(found["name"], bool(found["end"]), part):
                return text
        at = text.rfind("<", max(0, len(text) - _MAX_TAG))
        keep = at if at >= 0 and _PARTIAL_TAG.match(text, at) else len(text)
        self._keep(text[:keep])
        self._rest = text[keep:]
        return None

    def finish(self) -> str:
        self._keep(self._rest)
        if self._is_open:
            self._parts.append(BadCall("".join(self._raw), "the tool call is cut off before its end", self._name))
        elif self._parts:
            self._add_text("".join(self._part))
        return ""

    def segments(self) -> list[Segment]:
        return self._parts or [Text(self._marker + "".join(self._raw))]

    def _keep(self, text: str) -> None:
        self._part.append(text)
        self._raw.append(text)

    def _add_text(self, text: str) -> None:
        if text.strip():
            self._parts.append(Text(text.strip()))

    def _handle_tag(self, tag: str, is_end: bool, part: str) -> bool:
        """Handle a tag, and the text before it. Returns whether it ends all calls."""
        if tag == "tool_call":
            if self._is_open:
                self._end_call(part)
            else:
                self._add_text(part)
            self._is_open = not is_end
            if self._is_open:
                self._name, self._arguments, self._raw = None, [], self._raw[-1:]
        elif tag == "tool_calls":
            if self._is_open:
                self._end_call(part)
                self._is_open = False
            elif self._parts:
                self._add_text(part)
            return is_end
        elif tag == "arg_key" and is_end:
            self._key = part.strip()
        elif self._name is None and tag != "arg_type":
            self._name = part.strip()
        if tag == "arg_value":
            self._is_value = not is_end
        return False

    def _end_call(self, part: str) -> None:
        raw, part = "".join(self._raw), part.strip()
        if self._name is None and part[:1] in ("{", "["):
            self._parts += [each._replace(text=raw) if isinstance(each, BadCall) else each for each in calls_in(part)]
            return
        name = part if self._name is None else self._name
        if not _NAME.fullmatch(name):
            self._parts.append(BadCall(raw, "the tool call has no name"))
        elif self._name is not None and part.startswith("{") and not self._arguments:
            call = arguments_call(name, part, whole=True)
            self._parts.append(call if isinstance(call, Call) else call._replace(text=raw))
        else:
            parameters = parameters_of(name, self._tools)
            given = {key: typed_value(value, key, parameters, parse_unknown=True) for key, value in self._arguments}
            self._parts.append(Call(name, json.dumps(given, ensure_ascii=False)))


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of all calls of a reply."""
    return _ToolCallsBlock(marker, tools)


FORMAT = Format("tool_calls", starts=STARTS, block=block, strips=True)
