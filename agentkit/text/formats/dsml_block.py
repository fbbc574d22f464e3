"""Parser of the calls of DeepSeek V3.2 and V4: parameters as text between tags, whose names stand behind the token
｜DSML｜ (the bars are U+FF5C).

    <｜DSML｜tool_calls>
    <｜DSML｜invoke name="get_weather">
    <｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>
    <｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>
    </｜DSML｜invoke>
    </｜DSML｜tool_calls>

Models omit the wrapper, misspell it, and omit string="..." or the tags that end a parameter or a call; some servers
spell the bars in another way. A call may contain the JSON of its arguments instead of parameters.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Block, Call, Format, Segment, Text, any_of, partial_word_start
from agentkit.text.formats.json_block import arguments_call
from agentkit.text.formats.typed import parameters_of, typed_value
from agentkit.tooling.json_repair import read_json

_NAMES = {
    "invoke": "call",
    "/invoke>": "end of call",
    "parameter": "parameter",
    "/parameter>": "end of parameter",
    **dict.fromkeys(("function_calls>", "tool_calls>", "toolcalls>", "tool>", "calls>"), "wrapper"),
    **dict.fromkeys(("/function_calls>", "/tool_calls>", "/toolcalls>", "/tool>", "/calls>"), "end of wrapper"),
}


def _spellings(name: str) -> list[str]:
    """Returns a tag as the models and servers spell it, the right spelling first."""
    slash, name = ("/", name[1:]) if name[0] == "/" else ("", name)
    return [f"<{slash}{bar}DSML{bar}{gap}{name}" for bar in ("｜", "｜｜", "‖") for gap in ("", " ")]


_KINDS = {word: kind for name, kind in _NAMES.items() for word in _spellings(name)}
STARTS = tuple(_spellings("invoke"))
WRAPPERS = tuple(word for word, kind in _KINDS.items() if kind in ("wrapper", "end of wrapper", "end of call"))
_WORDS = tuple(_KINDS)
_TAG = any_of(_WORDS)
_QUOTED = r"""(?:"[^"<>\n]*"|'[^'<>\n]*'|[^\s"'<>/]+)"""
_ATTRIBUTES = re.compile(
    rf"""\s+name\s*=\s*(?P<name>{_QUOTED})(?P<more>(?:\s+\w+\s*=\s*{_QUOTED})*)\s*(?P<closed>/?)>"""
)
_IS_STRING = re.compile(r"""\bstring\s*=\s*["']?(true|false)\b""", re.IGNORECASE)
_NAMED = re.compile(r"\s+name\s*=")
_MAY_BE_NAMED = re.compile(r"\s*(?:n(?:a(?:m(?:e\s*)?)?)?)?")
_LIKE_A_PARAMETER = re.compile(r"<[^\w<>\s]{0,3}(?:DSML[^\w<>\s]{0,3})?\s?parameter\b")
_MAX_ATTRIBUTES = 500
_MAX_GAP = 200
_AFTER = {
    "end of parameter": tuple(word for word, kind in _KINDS.items() if kind != "end of parameter"),
    "end of call": (*STARTS, *WRAPPERS, "<｜end▁of▁sentence｜>"),
}
"""What follows a tag that ends a value; anywhere else it is part of the value."""


class _DsmlBlock:
    """Parses one call, from tag to tag."""

    def __init__(self, marker: str, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._marker = marker
        self._tools = tools
        self._expects = "call"  # whose attributes follow; "" for none
        self._rest = ""
        self._name = ""
        self._key: str | None = None
        self._is_string: bool | None = None
        self._value: list[str] = []
        self._cut: int | None = None  # the parts of the value before a tag that probably ended it
        self._arguments: list[tuple[str, bool | None, str]] = []
        self._raw: list[str] = []
        self._prose: list[str] = []
        self._reason = "the tool call is cut off before its end"
        self._whole = self._is_done = self._is_implied = self._rejected = False

    def feed(self, text: str) -> str | None:
        return self._parse(self._take() + text, at_end=False)

    def finish(self) -> str:
        return self._parse(self._take(), at_end=True) or ""

    def segments(self) -> list[Segment]:
        if self._rejected:
            return [Text(self._marker)]
        text = self._marker + "".join(self._raw)
        prose = "".join(self._prose).strip()
        if self._is_implied and prose and not (self._arguments or prose.startswith("{")):
            return [Text(text)]  # the tag is mentioned, and a call follows it
        if not self._whole:
            return [BadCall(text, self._reason, self._name or None)]
        if prose.startswith("{") and not self._arguments:
            call = arguments_call(self._name, prose, whole=True)
            return [call if isinstance(call, Call) else call._replace(text=text)]
        if prose and (_LIKE_A_PARAMETER.search(prose) or (self._takes_some and not self._arguments)):
            return [BadCall(text, "the tool call has text in place of its parameters", self._name)]
        call = Call(self._name, json.dumps(self._typed_arguments(), ensure_ascii=False))
        return [call, Text(prose)] if prose else [call]

    @property
    def _takes_some(self) -> bool:
        """Whether the tool has parameters."""
        return bool((parameters_of(self._name, self._tools) or {}).get("properties"))

    def _take(self) -> str:
        rest, self._rest = self._rest, ""
        return rest

    def _parse(self, text: str, at_end: bool) -> str | None:
        rest: str | None = text
        while rest is not None and not self._is_done:
            rest = self._parse_attributes(rest, at_end) if self._expects else self._parse_body(rest, at_end)
        return rest

    def _parse_attributes(self, text: str, at_end: bool) -> str | None:
        """Parse the attributes of a tag. Returns the text after them; None while they have not arrived."""
        found = _ATTRIBUTES.match(text[:_MAX_ATTRIBUTES])
        if found is None and not at_end and len(text) < _MAX_ATTRIBUTES and ">" not in text:
            self._rest = text
            return None
        if found is None and at_end and _NAMED.match(text):
            self._raw.append(text)
            self._is_done = True
            return ""
        if found is None:
            return self._reject(text)
        name = found["name"].strip("\"'").strip()
        self._raw.append(found.group())
        if self._expects == "call":
            self._name = name
            self._is_done = bool(found["closed"]) or not name
            self._whole = self._is_done and bool(name)
            self._reason = self._reason if name else "the tool call has no name"
        else:
            said = _IS_STRING.search(found["more"])
            self._key, self._is_string = name, said and said.group(1).lower() == "true"
            if found["closed"]:
                self._end_value()
        self._expects = ""
        return text[found.end() :]

    def _parse_body(self, text: str, at_end: bool) -> str | None:
        """Parse up to the next tag. Returns the text that is left to parse; None while that has not arrived."""
        found = _TAG.search(text)
        if found is None:
            keep = len(text) if at_end else partial_word_start(text, _WORDS)
            self._keep(text[:keep])
            self._rest = text[keep:]
            return None
        self._keep(text[: found.start()])
        is_markup = self._is_markup(found, text, at_end)
        if is_markup is None:
            self._rest = text[found.start() :]
            return None
        if is_markup:
            return self._handle_tag(found.group(), text[found.end() :])
        self._cut = len(self._value) if _KINDS[found.group()] == "end of parameter" else self._cut
        self._keep(found.group())
        return text[found.end() :]

    def _reject(self, text: str) -> str:
        """Handle a tag without a name: text, or a parameter that can't be parsed."""
        self._is_done = True
        self._rejected = self._expects == "call"
        self._reason = "a parameter of the tool call has no name"
        return text

    def _keep(self, text: str) -> None:
        self._raw.append(text)
        (self._prose if self._key is None else self._value).append(text)

    def _is_markup(self, found: "re.Match[str]", text: str, at_end: bool) -> bool | None:
        """Whether a tag is markup here; None while that depends on text that has not arrived."""
        kind = _KINDS[found.group()]
        if self._key is None:
            return True
        after = text[found.end() : found.end() + _MAX_GAP]
        if kind == "parameter":
            undecided = not at_end and len(after) < _MAX_GAP and _MAY_BE_NAMED.fullmatch(after)
            return None if undecided else _NAMED.match(after) is not None
        begun = after.lstrip()
        words = _AFTER.get(kind, ())
        if any(begun.startswith(word) for word in words):
            return True
        if at_end:
            return not begun and bool(words)
        may_grow = len(after) < _MAX_GAP and any(word.startswith(begun) for word in words)
        return None if may_grow else False

    def _handle_tag(self, tag: str, after: str) -> str:
        """Handle a tag. Returns the text that is left to parse, or that follows the block if the tag ends it."""
        kind = _KINDS[tag]
        if self._key is not None:
            self._end_value(is_implied=kind != "end of parameter")
        if kind in ("parameter", "end of parameter", "end of call"):
            self._raw.append(tag)
        if kind == "parameter":
            self._expects = kind
        if kind in ("parameter", "end of parameter"):
            return after
        self._whole = self._is_done = True
        self._is_implied = kind != "end of call"
        return after if kind == "end of call" else tag + after

    def _end_value(self, is_implied: bool = False) -> None:
        value = self._value[: self._cut] if is_implied else self._value
        self._arguments.append((str(self._key), self._is_string, "".join(value)))
        self._value, self._key, self._cut = [], None, None

    def _typed_arguments(self) -> dict[str, Any]:
        parameters = parameters_of(self._name, self._tools)
        made = {key: _typed(value, key, parameters, is_string=is_string) for key, is_string, value in self._arguments}
        known = (parameters or {}).get("properties") or {}
        if len(made) == 1 and known:  # all arguments in one that the tool does not have
            inner = next((made[key] for key in ("arguments", "input") if key in made and key not in known), None)
            inner = _object(inner)
            if inner is not None and inner.keys() <= known.keys():
                return inner
        return made


def _typed(value: str, key: str, parameters: Mapping[str, Any] | None, *, is_string: bool | None) -> Any:
    if is_string and key not in ((parameters or {}).get("properties") or {}):
        return value
    return typed_value(value, key, parameters, parse_unknown=True, keep_text=bool(is_string))


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = read_json(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
    """Creates the parser of one call."""
    return _DsmlBlock(marker, tools)


def dsml_format(name: str, wrapper: str) -> Format:
    """Returns the format of models that write tags with this name around their calls."""
    section = (f"<｜DSML｜{wrapper}>", f"</｜DSML｜{wrapper}>")
    return Format(name, starts=STARTS, block=block, swallowed=WRAPPERS, section=section, strips=True)
