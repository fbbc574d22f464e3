"""Incremental parser of JSON blocks between markers, and the calls in JSON."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Call, Segment, Text, partial_word_start
from agentkit.tooling.json_repair import read_json, read_values
from agentkit.tooling.json_scan import JsonScan

_OUTSIDE = re.compile(r'["{}\[\]<]')
_IN_STRING = re.compile(r'["\\<]')
_MAX_HEAD = 1000
_MAX_ODD_BLOCK = 500
"""Maximum characters of a block that does not begin like a call; up to this length it counts as one if its end tag
follows."""

ParseInside = Callable[[str, bool], list[Segment]]
"""Parses the inside of a block; the bool tells whether the block is complete."""


class JsonBlock:
    """A block that extends from its marker to an end tag outside of JSON strings, to the next start tag, or to the end
    of the text.

    Invalid JSON may leave a string unclosed. So an end tag inside a string is remembered; it ends the block if a start
    tag follows it on a line of its own, or if nothing else ends the block.

    head: a pattern that the inside has to begin with; else the marker is only mentioned in a text.
    """

    def __init__(
        self,
        marker: str,
        starts: Sequence[str],
        ends: Sequence[str],
        parse_inside: ParseInside,
        head: re.Pattern[str] | None = None,
    ) -> None:
        self._marker = marker
        self._starts = starts
        self._ends = ends
        self._words = (*starts, *ends)
        self._parse_inside = parse_inside
        self._head = head
        self._kept: list[str] = []
        self._length = 0
        self._rest = ""
        self._in_string = False
        self._depth = 0
        self._has_closed = False
        self._end = ""
        self._doubtful_end: tuple[int, int] | None = None
        self._blank: bool | None = None
        self._newline = False
        self._rejected = False

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if self._rest:
            text, self._rest = self._rest + text, ""
        if self._head is not None:
            is_call = self._begins_as_call(text)
            if is_call is None:
                self._rest = text
                return None
            if not is_call:
                return self._reject(text)
            self._head = None
        return self._scan(text)

    def _begins_as_call(self, text: str) -> bool | None:
        """Whether the inside begins like that of a call; None while that isn't known."""
        assert self._head is not None
        begun = text[:_MAX_HEAD].lstrip()
        if self._head.match(begun):
            return True
        if len(text) < _MAX_HEAD and (not begun or self._head.match(begun + "``")):
            return None
        if not text.startswith(("\n", "\r\n")):
            return False  # prose that mentions the tag: in a call a line break follows it
        if any(0 <= text.find(end) <= _MAX_ODD_BLOCK for end in self._ends):
            return True
        return None if len(text) < _MAX_ODD_BLOCK + max(map(len, self._ends)) else False

    def _scan(self, text: str) -> str | None:
        start = 0
        while found := (_IN_STRING if self._in_string else _OUTSIDE).search(text, start):
            at = found.start()
            character = found.group()
            if character == "<":
                word = next((word for word in self._words if text.startswith(word, at)), "")
                if not word and partial_word_start(text[at:], self._words) == 0:
                    self._wait(text, start, at)
                    return None
                if word and (rest := self._handle_tag(text, start, at, word)) is not None:
                    return rest
                at += len(word or character) - 1
            elif character == "\\":
                at += 1
                if at == len(text):
                    self._wait(text, start, at - 1)
                    return None
            else:
                self._bracket_or_quote(character)
            self._note(text[start : at + 1])
            start = at + 1
        self._keep(text, start, len(text))
        return None

    def _handle_tag(self, text: str, start: int, at: int, word: str) -> str | None:
        """Handle a tag. Returns the text after the block if the block ends here."""
        self._note(text[start:at])
        return self._handle_tag_in_string(text, at, word) if self._in_string else self._end_block(text, at, word)

    def _bracket_or_quote(self, character: str) -> None:
        if character == '"':
            self._in_string = not self._in_string
        elif character in "{[":
            self._depth += 1
        elif self._depth > 0:
            self._depth -= 1
            self._has_closed = self._depth == 0

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        if self._head is not None:
            rest = self._reject(self._rest)
            self._rest = ""
            return rest
        self._keep(self._rest, 0, len(self._rest))
        self._rest = ""
        if (self._in_string or self._depth) and self._doubtful_end:
            return self._cut_at(*self._doubtful_end)
        return ""

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._rejected:
            return [Text(self._marker)]
        inside = "".join(self._kept)
        whole = bool(self._end) or (self._has_closed and not self._depth and not self._in_string)
        return [
            BadCall(self._marker + inside + self._end, segment.reason, segment.name)
            if isinstance(segment, BadCall) and not segment.text
            else segment
            for segment in self._parse_inside(inside, whole)
        ]

    def _reject(self, text: str) -> str:
        self._rejected = True
        return text

    def _wait(self, text: str, start: int, at: int) -> None:
        self._note(text[start:at])
        self._kept.append(text[:at])
        self._length += at
        self._rest = text[at:]

    def _keep(self, text: str, start: int, end: int) -> None:
        self._note(text[start:end])
        self._kept.append(text[:end])
        self._length += end

    def _end_block(self, text: str, at: int, word: str) -> str:
        self._kept.append(text[:at])
        if word in self._ends:
            self._end = word
            return text[at + len(word) :]
        return text[at:]

    def _handle_tag_in_string(self, text: str, at: int, word: str) -> str | None:
        """Handle a tag inside what looks like a string."""
        if word in self._ends:
            start = self._length + at
            self._doubtful_end = self._doubtful_end or (start, start + len(word))
            self._latest_end = (start, start + len(word))
            self._blank, self._newline = True, False
            return None
        if self._blank and self._newline:
            self._kept.append(text)
            return self._cut_at(*self._latest_end)
        return None

    def _cut_at(self, start: int, end: int) -> str:
        text = "".join(self._kept)
        self._kept = [text[:start]]
        self._end = text[start:end]
        return text[end:]

    def _note(self, text: str) -> None:
        """Record whether only white space follows a doubtful end tag."""
        if self._blank and text:
            self._blank = not text.strip()
            self._newline = self._newline or "\n" in text


class JsonValueBlock:
    """A block that is one JSON value with calls: it ends where the value does, and with the closing marker that may
    follow, such as a code fence. A marker that no bracket follows is text.
    """

    def __init__(self, marker: str, closing: str = "") -> None:
        self._marker = marker
        self._closing = closing
        self._kept: list[str] = []
        self._scan: JsonScan | None = None
        self._rest: str | None = None
        self._rejected = False

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if self._rest is not None:
            return self._close(self._rest + text)
        if self._scan is None:
            if not text.strip():
                self._kept.append(text)
                return None
            if text.lstrip()[0] not in "{[":
                self._rejected = True
                return "".join((*self._kept, text))
            self._scan = JsonScan()
        end = self._scan.feed(text)
        self._kept.append(text[:end])
        return None if end is None else self._close(text[end:])

    def _close(self, text: str) -> str | None:
        """Returns the text after the closing marker; None while it may still follow."""
        after = text.lstrip()
        if self._closing and after.startswith(self._closing):
            self._rest = ""
            return after[len(self._closing) :]
        is_open = bool(self._closing) and self._closing.startswith(after)
        self._rest = text
        return None if is_open else text

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        self._rejected = self._scan is None
        return "".join(self._kept) if self._rejected else self._rest or ""

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._rejected:
            return [Text(self._marker)]
        inside = "".join(self._kept)
        return [
            part._replace(text=self._marker + inside) if isinstance(part, BadCall) and not part.text else part
            for part in calls_in(inside, self._rest is not None)
        ]


def calls_in(text: str, whole: bool = True) -> list[Segment]:
    """Parse the calls in the JSON of a block: an object, a list of objects, or several of them in a row.

    A BadCall without text stands for the whole block.
    """
    if not whole:
        return [BadCall("", "the tool call is cut off before its end", name_in(text))]
    values, rest = read_values(text)
    if not rest.strip(_JUNK):
        rest = ""
    if rest and (not values or set(rest) & set('{["')):
        try:
            values, rest = [read_json(text)], ""
        except ValueError as error:
            return [BadCall("", f"the tool call is not valid JSON: {error}", name_in(text))]
    segments = [segment for value in values for segment in _calls_of(value)]
    if not segments:
        return [BadCall("", "the tool call is empty", None)]
    bad = [segment for segment in segments if isinstance(segment, BadCall)]
    if bad and len(bad) == len(segments):
        return [bad[0]._replace(text="", name=bad[0].name or name_in(text))]
    return [*segments, Text(rest.strip())] if rest else segments


_JUNK = " \t\r\n}],;`"
_NAME = re.compile(r"""["']?name["']?\s*:\s*["']([\w.\-]+)["']""")


def name_in(text: str) -> str | None:
    """Returns the tool's name in a call that can't be parsed as a whole."""
    found = _NAME.search(text[:10_000])
    return found.group(1) if found else None


def _calls_of(value: Any) -> Iterator[Segment]:
    if isinstance(value, list):
        for entry in value:
            yield from _calls_of(entry) if isinstance(entry, dict) else [_not_an_object(entry)]
    elif isinstance(value, dict):
        yield call_of(value)
    else:
        yield _not_an_object(value)


def _not_an_object(value: Any) -> BadCall:
    text = json.dumps(value, ensure_ascii=False)
    return BadCall(text, 'a tool call must be an object with "name" and "arguments", not ' + text[:100])


def call_of(value: dict[str, Any]) -> Call | BadCall:
    """Returns the call that an object describes. The keys of name and arguments have several accepted spellings."""
    if isinstance(value.get("function"), dict):
        value = {**value, **value["function"]}
    text = json.dumps(value, ensure_ascii=False)
    name = value.get("name") or value.get("tool_name") or value.get("function")
    if not isinstance(name, str) or not name.strip():
        return BadCall(text, 'the tool call has no "name"')
    name = name.strip()
    given: Any = next((value[key] for key in ("arguments", "parameters", "args") if value.get(key) is not None), {})
    if isinstance(given, str):
        try:
            given = read_json(given) if given.strip() else {}
        except ValueError:
            return BadCall(text, 'the "arguments" of the tool call are a string that is not valid JSON', name)
    if not isinstance(given, dict):
        return BadCall(text, f'the "arguments" of the tool call must be an object, not {str(given)[:100]}', name)
    call_id = value.get("id")
    return Call(name, json.dumps(given, ensure_ascii=False), call_id if isinstance(call_id, str) else None)


def arguments_call(name: str, text: str, whole: bool) -> Call | BadCall:
    """Returns the call of a tool whose name stands outside the JSON of its arguments."""
    if not name:
        return BadCall("", "the tool call has no name")
    if not whole:
        return BadCall("", "the tool call is cut off before its end", name)
    try:
        given = read_json(text) if text.strip() else {}
    except ValueError as error:
        return BadCall("", f"the arguments of the tool call are not valid JSON: {error}", name)
    if not isinstance(given, dict):
        return BadCall("", f"the arguments of a tool call must be an object, not {str(given)[:100]}", name)
    return Call(name, json.dumps(given, ensure_ascii=False))
