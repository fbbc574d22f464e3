"""Qwen3-Coder, Qwen3.5, Nemotron-3-Nano, Step-3.5: parameters as raw text between tags.

    <tool_call>
    <function=get_weather>
    <parameter=city>
    Paris
    </parameter>
    </function>
    </tool_call>

One newline after an opening tag and one before a closing tag belong to the markup. Models omit tags (the opening
<tool_call>, a </parameter>, a ">"), write </parameter1> or </parameter/>, and close a call twice (</function>,
</function_invocation>). A function may contain the JSON of its
arguments instead, as with Functionary: <function=get_weather>{"city": "Paris"}</function>, whose ">" is omitted too,
and the names may be attributes: <function name="get_weather">, <parameter name="city">.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text
from agentkit.text.formats.elements import ElementsBlock, Tags
from agentkit.text.formats.json_block import JsonBlock, arguments_call, calls_in
from agentkit.text.formats.typed import parameters_of, typed_value

START, END, FUNCTION, FUNCTION_END = "<tool_call>", "</tool_call>", "<function=", "</function>"
_NAME = re.compile(r"\s*+(?:([\w.\-]++)(?:=|,|\(|\[\])?(?=\{)|([^>\n<\s]+)\s*(?:>|\n|(?=<)))")
_ONLY_NAME = re.compile(r"\s*[^>\n<\s]+\s*")
_MAX_NAME = 300
_TAG = re.compile(
    r"<parameter=([^>\n<]{1,200})(>|\n)|</parameter\w{0,22}(?: ?/?>|(?=\n))"
    r"|</function>|</tool_call>|<tool_call>|<function="
)
_PARTIAL_TAG = re.compile(
    r"<(?:p(?:a(?:r(?:a(?:m(?:e(?:t(?:e(?:r(?:=[^>\n<]{0,200})?)?)?)?)?)?)?)?)?"
    r"|/(?:p\w{0,30} ?/?|f\w{0,8}|t\w{0,9})?|t\w{0,9}|f(?:u(?:n(?:c(?:t(?:i(?:o(?:n)?)?)?)?)?)?)?)?$"
)
_CLOSES = re.compile(r"(?<!\s)\s*+(?:<parameter=|</function>|</tool_call>)")
_MAY_CLOSE = ("<parameter=", "</function>", "</tool_call>")
_MAX_GAP = 200
_STRAYS = ("</function>", "</function_invocation>")
_STRAY = re.compile(r"\s{0,200}+</function(?:_invocation)?>")
_ELEMENT = "<function name"
_JSON_HEAD = re.compile(r"[{\[]")
_ARGUMENTS_HEAD = re.compile(r"[{\[`]")


class _QwenCoderBlock:
    """Parses from tag to tag. Inside a value, a tag counts only where the markup can continue after it. is_exact:
    whether the newlines around a value are part of it."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None, *, is_exact: bool) -> None:
        self._marker = marker
        self._is_exact = is_exact
        self._tools = tools
        self._rest = ""
        self._state = "start" if marker == START else "name"
        self._inner: Block | None = None
        self._name = ""
        self._properties: set[str] | None = None
        self._key: str | None = None
        self._value: list[str] = []
        self._arguments: list[tuple[str, str]] = []
        self._raw: list[str] = []
        self._prose: list[str] = []
        self._whole = False
        self._rejected = False

    @property
    def is_whole(self) -> bool:
        return self._state == "ended"

    def feed(self, text: str) -> str | None:
        if self._inner is not None:
            return self._inner.feed(text)
        text, self._rest = self._rest + text, ""
        if self._state == "start":
            return self._parse_start(text)
        if self._state == "name":
            return self._parse_name(text)
        if self._state == "called":
            return self._parse_arguments(text)
        if self.is_whole:
            return self._parse_strays(text)
        return self._parse_body(text, at_end=False)

    def finish(self) -> str:
        if self._inner is not None:
            return self._inner.finish()
        text, self._rest = self._rest, ""
        if self._state == "name" and _NAME.match(text):
            return self._parse_name(text, at_end=True) or ""
        if self._state in ("start", "name"):
            if self._state == "name" and text.strip() and self._marker == START:
                self._raw.append(text)
                return ""
            self._rejected = True
            return "".join(self._raw) + text
        rest = text if self.is_whole else self._parse_body(text, at_end=True)
        return rest or ""

    def segments(self) -> list[Segment]:
        if self._inner is not None:
            return self._inner.segments()
        if self._rejected:
            return [Text(self._marker)]
        if not self._whole:
            text = self._marker + "".join(self._raw) + "".join(self._value)
            return [BadCall(text, "the tool call is cut off before its end", self._name or None)]
        prose = "".join(self._prose).strip()
        if prose and ((self._properties and not self._arguments) or "<parameter" in prose):
            reason = "the tool call has other text in place of its parameters"
            return [BadCall(self._marker + "".join(self._raw), reason, self._name)]
        parameters = parameters_of(self._name, self._tools)
        arguments = {key: typed_value(value, key, parameters) for key, value in self._arguments}
        call = Call(self._name, json.dumps(arguments, ensure_ascii=False))
        return [call, Text(prose)] if prose else [call]

    def _parse_start(self, text: str) -> str | None:
        """Expect a function after <tool_call>; else the tag is part of the text."""
        begun = text[:_MAX_GAP].lstrip()
        if begun.startswith(FUNCTION):
            before, _, after = text.partition(FUNCTION)
            self._raw.append(before + FUNCTION)
            self._state = "name"
            return self._parse_name(after)
        if (FUNCTION.startswith(begun) or _ELEMENT.startswith(begun)) and len(text) < _MAX_GAP:
            self._rest = text
            return None
        if _JSON_HEAD.match(begun):  # a model trained on both formats
            self._inner = JsonBlock(START, (START,), (END,), calls_in, _JSON_HEAD)
            return self._inner.feed(text)
        if begun.startswith(_ELEMENT):
            self._inner = ElementsBlock(START, Tags({START: END}, "function", "parameter", is_framed=True), self._tools)
            return self._inner.feed(text)
        self._rejected = True
        return text

    def _parse_name(self, text: str, at_end: bool = False) -> str | None:
        if not at_end and len(text) < _MAX_NAME and _ONLY_NAME.fullmatch(text):  # a ">" may follow the white space
            self._rest = text
            return None
        found = _NAME.match(text[:_MAX_NAME])
        if found is None:
            if len(text) < _MAX_NAME and re.fullmatch(r"\s*[^>\n<\s]*[^\S\n]*", text):
                self._rest = text
                return None
            if self._marker == START:
                self._raw.append("")
                self._whole = False
                return text
            self._rejected = True
            return text
        self._name = found.group(1) or found.group(2)
        self._raw.append(found.group())
        parameters = parameters_of(self._name, self._tools)
        self._properties = set((parameters or {}).get("properties") or ()) or None
        self._state = "body" if at_end else "called"
        rest = text[found.end() :]
        return self._parse_body(rest, at_end) if at_end else self._parse_arguments(rest)

    def _parse_arguments(self, text: str) -> str | None:
        """Expect parameters after the name, or the arguments as JSON."""
        begun = text[:_MAX_GAP].lstrip()
        if not begun and len(text) < _MAX_GAP:
            self._rest = text
            return None
        if _ARGUMENTS_HEAD.match(begun):
            marker = self._marker + "".join(self._raw)
            self._inner = JsonBlock(marker, (START, FUNCTION), (FUNCTION_END, END), self._json_call)
            return self._inner.feed(text)
        self._state = "body"
        return self._parse_body(text, at_end=False)

    def _json_call(self, text: str, whole: bool) -> list[Segment]:
        return [arguments_call(self._name, text, whole)]

    def _parse_body(self, text: str, at_end: bool) -> str | None:
        start = 0
        while True:
            found = _TAG.search(text, start)
            if found is None:
                return self._wait(text, at_end)
            is_markup = self._is_markup(found, text, at_end)
            if is_markup is None:
                self._hold(text, found.start())
                return None
            if not is_markup:
                start = found.end()
                continue
            rest = self._handle_tag(found, text)
            if rest is not None or self.is_whole:
                return rest
            text, start = text[found.end() :], 0

    def _wait(self, text: str, at_end: bool) -> str | None:
        begun = None if at_end else _PARTIAL_TAG.search(text, max(0, len(text) - 250))
        keep = len(text) if begun is None else begun.start()
        if not at_end:
            self._hold(text, keep)
            return None
        self._keep(text)
        return ""  # the call is incomplete: more parameters may have been coming

    def _hold(self, text: str, start: int) -> None:
        self._keep(text[:start])
        self._rest = text[start:]

    def _keep(self, text: str) -> None:
        if self._key is not None:
            self._value.append(text)
            return
        self._raw.append(text)
        self._prose.append(text)

    def _is_markup(self, found: "re.Match[str]", text: str, at_end: bool) -> bool | None:
        """Whether a tag is markup here; None while that depends on text that has not arrived."""
        tag = found.group()
        if self._key is None:
            return True
        if tag.startswith("<parameter="):
            return self._properties is None or found.group(1).strip() in self._properties
        if tag.startswith("</parameter"):
            return self._followed(text[found.end() :], _CLOSES, _MAY_CLOSE, at_end)
        if tag == "</function>":
            after = (END, START, FUNCTION)
            pattern = re.compile("|".join(rf"\s*{re.escape(word)}" for word in after))
            return self._followed(text[found.end() :], pattern, after, at_end)
        return False

    @staticmethod
    def _followed(after: str, pattern: "re.Pattern[str]", words: Sequence[str], at_end: bool) -> bool | None:
        after = after[:_MAX_GAP]
        if pattern.match(after):
            return True
        begun = after.lstrip()
        if at_end:
            return not begun
        undecided = len(after) < _MAX_GAP and any(word.startswith(begun) for word in words)
        return None if undecided else False

    def _handle_tag(self, found: "re.Match[str]", text: str) -> str | None:
        """Handle a tag. Returns the text after the block if the tag ends the block."""
        tag = found.group()
        self._keep(text[: found.start()])
        if self._key is not None:
            self._end_value()
        if tag.startswith("<parameter="):
            self._key = found.group(1).strip()
            self._raw.append(tag)
            if found.group(2) == "\n":  # the ">" is missing
                self._value.append("\n")
            return None
        if tag.startswith("</parameter"):
            self._raw.append(tag)
            return None
        self._whole = True
        if tag in (START, FUNCTION):  # the call before was never closed
            return text[found.start() :]
        self._raw.append(tag)
        if tag == END:
            return text[found.end() :]
        self._state = "ended"
        return self._parse_strays(text[found.end() :])

    def _parse_strays(self, text: str) -> str | None:
        """Drop further end tags behind a call. Returns the text after them; None while more may come."""
        while found := _STRAY.match(text):
            self._raw.append(found.group())
            text = text[found.end() :]
        if any(word.startswith(text[:_MAX_GAP].lstrip()) for word in _STRAYS) and len(text) < _MAX_GAP:
            self._rest = text
            return None
        return text

    def _end_value(self) -> None:
        value = "".join(self._value)
        self._raw.append(value)
        self._value = []
        if not self._is_exact:
            value = value.removeprefix("\n").removesuffix("\n")
        self._arguments.append((str(self._key), value))
        self._key = None


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call, from <tool_call> or, where that was omitted, from <function=."""
    return _QwenCoderBlock(marker, tools, is_exact=False)


def exact_block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """The same where the newlines around a value are part of it."""
    return _QwenCoderBlock(marker, tools, is_exact=True)


def _begins(character: str) -> bool:
    return character == "<"


FORMAT = Format("qwen_coder", starts=(START, FUNCTION), block=block, swallowed=(END,), begins_with=_begins)
