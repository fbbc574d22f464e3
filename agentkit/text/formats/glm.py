"""GLM-4.5 to 4.7: the tool's name, then keys and values between tags.

<tool_call>get_weather
<arg_key>city</arg_key>
<arg_value>Paris</arg_value>
</tool_call>

Models omit one of the tags: <arg_key>, <arg_value>, and </arg_value> before another key. Before the end it can't be
told from a value that was cut off.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, partial_word_start
from agentkit.text.formats.typed import parameters_of, typed_value

START, END = "<tool_call>", "</tool_call>"
KEY, KEY_END, VALUE, VALUE_END = "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"
_NAME = re.compile(r"\s*+([\w.\-]++)\s*+")
_PARTIAL_NAME = re.compile(r"\s*+[\w.\-]*+\s*+$")
_MAX_NAME = 300
_NEXT_TAGS = {
    "name": (KEY, KEY_END, VALUE_END, END, START),
    "key": (KEY_END, END, START),
    "between": (VALUE, VALUE_END, KEY, END, START),
    "value": (VALUE_END,),
    "after": (KEY, KEY_END, END, START),
}
_STATES = {KEY: "key", KEY_END: "between", VALUE: "value", VALUE_END: "after"}
_ANOTHER = re.compile(r"<arg_key>([^<>\n]{1,200})</arg_key>\s{0,20}<arg_value>")


class _GlmBlock:
    """Parses from tag to tag; a value extends to its closing tag, whatever it contains."""

    def __init__(self, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> None:
        self._tools = tools
        self._first = first
        self._state = "name"
        self._rest = ""
        self._part: list[str] = []
        self._raw: list[str] = []
        self._name = ""
        self._key = ""
        self._arguments: list[tuple[str, str]] = []
        self._whole = False
        self._rejected = False

    def feed(self, text: str) -> str | None:
        text, self._rest = self._rest + text, ""
        while True:
            words = _NEXT_TAGS[self._state]
            start, word = _first(text, words)
            if not word:
                if self._state == "name" and not self._may_be_name(text):
                    return self._reject("".join(self._part) + text)
                keep = partial_word_start(text, words)
                self._part.append(text[:keep])
                self._rest = text[keep:]
                return None
            self._part.append(text[:start])
            part = "".join(self._part)
            self._part = []
            if self._state == "name" and (len(part) > _MAX_NAME or not _NAME.fullmatch(part)):
                return self._reject(part + text[start:])
            self._raw.append(part)
            if word == START:
                self._handle_tag(START, part)
                return text[start:]
            if self._state == "name" and word in (END, VALUE_END) and not self._may_be_called(part.strip()):
                return self._reject(part + text[start:])
            if self._state == "name" and word == KEY_END and not self._has_key(part.strip()):
                return self._reject(part + text[start:])
            text = text[start + len(word) :]
            self._raw.append(word)
            if self._handle_tag(word, part):
                return text

    def finish(self) -> str:
        part = "".join(self._part) + self._rest
        if self._state == "name":
            if not _NAME.fullmatch(part):
                return self._reject(part)
            self._name = part.strip()  # the name may be incomplete
        self._raw.append(part)
        return ""

    def segments(self) -> list[Segment]:
        if self._rejected:
            return [Text(START)]
        if not self._whole:
            text = START + "".join(self._raw)
            return [BadCall(text, "the tool call is cut off before its end", self._name or None)]
        parameters = parameters_of(self._name, self._tools)
        arguments = {key: typed_value(value, key, parameters, parse_unknown=True) for key, value in self._arguments}
        return [Call(self._name, json.dumps(arguments, ensure_ascii=False))]

    def _may_be_name(self, text: str) -> bool:
        name = "".join(self._part) + text
        name = name[: partial_word_start(name, _NEXT_TAGS["name"])]
        return len(name) <= _MAX_NAME and _PARTIAL_NAME.match(name) is not None

    def _may_be_called(self, name: str) -> bool:
        """Whether a name alone is a call: within a text it may be any word, unless it is a tool's."""
        offered = {tool.get("function", tool).get("name") for tool in self._tools or ()}
        return self._first or not offered or name in offered

    def _reject(self, text: str) -> str:
        self._rejected = True
        return text

    def _handle_tag(self, word: str, part: str) -> bool:
        """Handle a tag and the text before it. Returns whether the call has ended."""
        value = part if self._state == "value" else part.strip("\n")
        if self._state == "name":
            self._name = self._name or part.strip()
        elif self._state == "key" or (word == KEY_END and part.strip()):
            self._key = part.strip()
        elif word == VALUE_END:
            self._end_value(value)
        if word in (END, START):
            self._whole = self._state in ("name", "after")
            return True
        if not (self._state == "after" and word == KEY_END and not part.strip()):
            self._state = _STATES[word]
        return False

    def _end_value(self, text: str) -> None:
        """Take a value, up to the next key that the tool has and that was not given: the tag between them is missing
        then."""
        known = (parameters_of(self._name, self._tools) or {}).get("properties") or {}
        start = 0
        for found in _ANOTHER.finditer(text):
            key = found[1].strip()
            if key in known and key not in (self._key, *(name for name, _ in self._arguments)):
                self._arguments.append((self._key, text[start : found.start()].strip("\n")))
                self._key, start = key, found.end()
        self._arguments.append((self._key, text[start:]))

    def _has_key(self, text: str) -> bool:
        """Take the name of a tool and that of its first argument without a tag between them. Returns whether they are
        that."""
        for tool in self._tools or ():
            name = str(tool.get("function", tool).get("name"))
            known = (parameters_of(name, self._tools) or {}).get("properties") or {}
            key = text.removeprefix(name).strip()
            if text.startswith(name) and key in known:
                self._name, self._key = name, key
                return True
        return False


def _first(text: str, words: Sequence[str]) -> tuple[int, str]:
    found = [(start, word) for word in words if (start := text.find(word)) >= 0]
    return min(found) if found else (-1, "")


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return _GlmBlock(tools, first)


FORMAT = Format("glm", starts=(START,), block=block, strips=True, begins_with=str.isalnum)
