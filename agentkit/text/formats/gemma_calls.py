"""Calls as the Gemma models write them: `call:`, the tool's name and its arguments in braces. Keys are bare, strings
stand between tokens of their own."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.text.call_format import BadCall, Call, Segment, Text, partial_word_start
from agentkit.text.formats.json_block import calls_in
from agentkit.text.formats.typed import parameters_of, typed_value
from agentkit.tooling.json_repair import cleaned, loads

_NAME = r"\s*+(?:(?:call\s*+)?:\s*+)?(?P<name>[^\s{}()<>\[\]\"',:][^\s{}()<>\[\]\"',]*+)?\s*+"
_HEAD = re.compile(rf"{_NAME}(?P<open>[{{(\[])")
_PARTIAL_HEAD = re.compile(rf"{_NAME}\Z")
_CALL = re.compile(r"\s*+(?:call\s*+)?:")
_MAX_HEAD = 300
_MAX_GAP = 60
"""Maximum white space between the end of a call and what follows it."""
_OUTSIDE = re.compile(r"[{}\[\]()\"'<]|[^\s{}\[\]()\"'<]+")
_INSIDE = {mark: re.compile(rf"[{mark}\\<]") for mark in "\"'"}
_TOKEN = re.compile("<")
_MAX_BEHIND = 200
"""How far is looked behind a string for what tells that it ends there."""
_BEFORE_VALUE = ":[,{(="
_STRING = {mark: re.compile(rf"{mark}((?:[^{mark}\\]|\\.)*+)({mark}?)", re.DOTALL) for mark in "\"'"}
_BLANK, _SPACE = re.compile(r"\s*+"), re.compile(r"[\s,]*+")
_BARE = {")": re.compile(r"[^,)}\]]*+"), "}": re.compile(r"[^,}\]]*+")}
_COLON = re.compile(r"\s*+[:=]")
_KEY = re.compile(r"\s*+([^\s:=,{}\[\]\"'<][^:=,{}\[\]\"'<\n]{0,100}+)\s*+[:=]")


class GemmaBlock:
    """Parses one call, up to its end tag outside of strings, or to where its arguments are closed.

    words: the tags that begin and end a call, and the token around strings.
    """

    def __init__(self, words: tuple[str, str, str], tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._start, self._end, self._quote = self._words = words
        self._tools = tools
        self._head: str | None = ""
        self._name: str | None = None
        self._kept: list[str] = []
        self._length = 0
        self._rest = ""
        self._string = ""  # what closes the string that the text is in
        self._brackets = "{}[]"
        self._depth = 0
        self._last = ""
        self._closed = self._ended = self._rejected = False
        self._doubtful: tuple[int, int] | None = None
        self._latest = (0, 0)
        self._tail = " "

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if self._head is not None:
            self._head += text
            rest = self._parse_head(self._head)
            if rest is None or self._head is not None:
                return rest
            text = rest
        text, self._rest = self._rest + text, ""
        return self._scan(text)

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        if self._head is not None:
            head = self._head
            self._rejected = not _CALL.match(head)
            self._kept = [] if self._rejected else [head]
            return head if self._rejected else ""
        self._keep(self._rest)
        if self._doubtful and (self._string or self._depth):
            return self._cut(*self._doubtful)
        return ""

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        if self._rejected:
            return [Text(self._start)]
        inside = "".join(self._kept)
        markup = self._start + inside + (self._end if self._ended else "")
        whole = self._ended or self._closed
        if self._name is None:
            found = calls_in(inside, whole) if self._closed or "{" in inside else [BadCall("", _NO_CALL)]
            return [part._replace(text=markup) if isinstance(part, BadCall) else part for part in found]
        if not whole:
            return [BadCall(markup, "the tool call is cut off before its end", self._name)]
        try:
            given = _Arguments(inside, self._quote, self._name, self._tools).read()
            return [Call(self._name, json.dumps(cleaned(given), ensure_ascii=False))]
        except (ValueError, RecursionError) as error:
            reason = "they are nested too deeply" if isinstance(error, RecursionError) else str(error)
            return [BadCall(markup, f"the arguments of the tool call can't be parsed: {reason}", self._name)]

    def _parse_head(self, head: str) -> str | None:
        """Parse the text before the arguments. Returns the text after it; None while it may go on. What decides is the
        first that comes: a bracket, a tag, other text, or the maximum length."""
        seen = head[:_MAX_HEAD]
        found = _HEAD.match(seen)
        if found is not None:
            self._name = found["name"]
            if self._name:
                self._kept.append(head[: found.start("open")])
                self._length = found.start("open")
            if found["open"] == "(":
                self._brackets = "{}[]()"
            self._head = None
            return head[self._length :]
        end, next_start = seen.find(self._end), seen.find(self._start)
        at = end if end >= 0 else partial_word_start(head, self._words[:2])
        may_be = _CALL.match(seen) is not None or _PARTIAL_HEAD.match(head[:at]) is not None
        if may_be and end >= 0 and not 0 <= next_start < end:
            return self._end_without_arguments(head, end)
        if may_be and next_start < 0 and len(head) < _MAX_HEAD:
            return None
        self._rejected = True
        return head

    def _end_without_arguments(self, head: str, end: int) -> str:
        found = _PARTIAL_HEAD.match(head[:end])
        self._name = found["name"] if found else None
        self._kept, self._ended = [head[:end]], True
        return head[end + len(self._end) :]

    def _scan(self, text: str) -> str | None:
        start = 0
        while True:
            if self._closed:
                return self._after(text, start)
            pattern = (_INSIDE.get(self._string) or _TOKEN) if self._string else _OUTSIDE
            found = pattern.search(text, start)
            if found is None:
                self._keep(text)
                return None
            at, character = found.start(), found.group()
            word = ""
            if character == "<":
                word = next((word for word in self._words if text.startswith(word, at)), "")
                if not word and partial_word_start(text[at:], self._words) == 0:
                    self._wait(text, at)
                    return None
                if word in (self._start, self._end) and (rest := self._handle_tag(text, at, word)) is not None:
                    return rest
            elif character == "\\" and at + 1 == len(text):
                self._wait(text, at)
                return None
            start = at + len(word or character) + (character == "\\")
            if character != "\\" and word not in (self._start, self._end):
                self._handle(word or character)

    def _handle(self, word: str) -> None:
        """Handle a bracket, a quotation mark or other text."""
        if self._string:
            self._string = "" if word == self._string else self._string
        elif word == self._quote or (word in ('"', "'") and self._last[-1:] in _BEFORE_VALUE):
            self._string = word
        elif word in self._brackets:
            self._depth += 1 if word in "{[(" else -1
            self._closed = self._depth <= 0
        self._last = word

    def _handle_tag(self, text: str, at: int, word: str) -> str | None:
        """Handle the tag that begins or ends a call. Returns the text after the block if the block ends here."""
        if not self._string:
            self._keep(text[:at])
            self._ended = word == self._end
            return text[at + len(word) :] if self._ended else text[at:]
        here = self._length + at
        if word == self._end:
            self._doubtful = self._doubtful or (here, here + len(word))
            self._latest = here, here + len(word)
        elif self._doubtful and here - self._latest[1] <= _MAX_GAP:
            between = (self._tail + text[:at])[-(here - self._latest[1] + 1) :][1:]
            if not between.strip():
                self._keep(text)
                return self._cut(*self._latest)
        return None

    def _after(self, text: str, start: int) -> str | None:
        """Handle what follows the bracket that closes the arguments: the end tag, which may be missing."""
        rest = text[start : start + _MAX_GAP + 1].lstrip(" \t\r\n})")
        if rest.startswith(self._end):
            self._keep(text[:start])
            self._ended = True
            return text[start:].partition(self._end)[2]
        if self._end.startswith(rest) and len(text) - start <= _MAX_GAP:
            self._keep(text[:start])
            self._rest = text[start:]
            return None
        self._keep(text[:start])
        return text[start:]

    def _keep(self, text: str) -> None:
        self._kept.append(text)
        self._length += len(text)
        self._tail = (self._tail + text)[-_MAX_GAP - 1 :]

    def _wait(self, text: str, at: int) -> None:
        self._keep(text[:at])
        self._rest = text[at:]

    def _cut(self, start: int, end: int) -> str:
        text = "".join(self._kept)
        self._kept, self._ended = [text[:start]], True
        return text[end:]


_NO_CALL = "the tool call has no name and arguments"


class _Arguments:
    """Reads the arguments of a call: keys and values in brackets, closed or not."""

    def __init__(self, inside: str, quote: str, name: str, tools: Sequence[Mapping[str, Any]] | None) -> None:
        self._text = inside
        self._quote = quote
        self._schema: Mapping[str, Any] | None = parameters_of(name, tools)
        self._at = next((at for at, character in enumerate(inside) if character in "{("), len(inside))

    def read(self) -> dict[str, Any]:
        """Returns them. Raises ValueError, RecursionError when they can't be parsed."""
        if self._text.startswith("({", self._at):
            self._at += 1  # the parenthesis of a call around one object
        return self._object(self._schema) if self._at < len(self._text) else {}

    def _object(self, schema: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        close = ")" if self._text[self._at] == "(" else "}"
        self._at += 1
        while not self._ends(close):
            key = self._key()
            made[key] = self._value(key, schema, close, is_member=True)
        return made

    def _list(self, key: str, schema: Any) -> list[Any]:
        made = []
        self._at += 1
        while not self._ends("]"):
            before = self._at
            made.append(self._value(key, schema, "}", is_member=False))
            if self._at == before:
                raise ValueError(f"there is an unexpected {self._text[before]!r}")
        return made

    def _ends(self, close: str) -> bool:
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        if self._at >= len(self._text):
            return True
        if self._text[self._at] == close:
            self._at += 1
            return True
        return False

    def _key(self) -> str:
        if self._text.startswith(self._quote, self._at) or self._text[self._at] in "\"'":
            key = self._quoted()
            found = _COLON.match(self._text, self._at)
        else:
            found = _KEY.match(self._text, self._at)
            key = found[1].strip() if found else ""
        if found is None:
            raise ValueError(f"a name with a colon is missing before {self._text[self._at : self._at + 30]!r}")
        self._at = found.end()
        return key

    def _value(self, key: str, schema: Any, close: str, *, is_member: bool) -> Any:
        self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
        character = self._text[self._at : self._at + 1]
        inner = _inner(schema, key) if is_member else schema
        if character == "{":
            return self._object(inner)
        if character == "[":
            return self._list(key, _inner(inner, None))
        is_quoted = self._text.startswith(self._quote, self._at) or character in ('"', "'")
        text = self._quoted(close if is_member else "]") if is_quoted else self._bare(close, is_member)
        known = {**_definitions(self._schema), "properties": {key: inner}} if inner is not None else None
        return typed_value(text, key, known, parse_unknown=not is_quoted)

    def _quoted(self, close: str = "") -> str:
        """Read a string. close: what closes that of which it is a value; "" for a key."""
        if self._text.startswith(self._quote, self._at):
            start = self._at + len(self._quote)
            end = self._text.find(self._quote, start)
            while close and end >= 0 and not self._may_end(end + len(self._quote), close):
                later = self._text.find(self._quote, end + len(self._quote))
                if later < 0:
                    break
                end = later
            if end < 0:
                self._at = len(self._text)
                return self._text[start:].rstrip().rstrip("})")
            self._at = end + len(self._quote)
            return self._text[start:end].replace(self._quote, '"')
        mark = self._text[self._at]
        found = _STRING[mark].match(self._text, self._at)
        if found is None or not found[2]:
            raise ValueError(f"a string is not closed: {self._text[self._at : self._at + 30]!r}")
        self._at = found.end()
        try:
            return str(loads('"' + found[1].replace(f"\\{mark}", mark).replace('"', '\\"') + '"'))
        except ValueError:
            return found[1]

    def _may_end(self, at: int, close: str) -> bool:
        """Whether a string may end before this place; else the token stands for a quotation mark inside of it."""
        behind = self._text[at : at + _MAX_BEHIND].lstrip()
        if behind[:1] == ",":
            return close == "]" or self._is_key(self._text.index(",", at) + 1)
        if behind[:1] != close:
            return not behind or (close != "]" and self._is_key(at) and behind[:1] not in "'\"<})")
        behind = behind.lstrip("}]) \t\r\n")
        return not behind or behind[0] == "," or _KEY.match(behind) is not None

    def _bare(self, close: str, is_member: bool) -> str:
        """Returns text without quotation marks, up to the next member. It may contain commas."""
        start = self._at
        while True:
            self._at = _BARE[close].match(self._text, self._at).end()  # type: ignore[union-attr]
            if not is_member or self._text[self._at : self._at + 1] != ",":
                break
            if self._is_key(self._at + 1):
                break
            self._at += 1
        text = self._text[start : self._at].strip().removesuffix(self._quote)  # the first token was left out
        return text + "0" if re.fullmatch(r"-?\d+\.", text) else text

    def _is_key(self, at: int) -> bool:
        begun = self._text[at : at + 200].lstrip()
        return not begun or begun.startswith((self._quote, '"', "'", "}", ")")) or _KEY.match(begun) is not None


def _inner(schema: Any, key: str | None) -> Any:
    """Returns the schema of a property, or of a list's items for None; None when it is not known."""
    if not isinstance(schema, Mapping):
        return None
    return (schema.get("properties") or {}).get(key) if key is not None else schema.get("items")


def _definitions(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: schema[key] for key in ("$defs", "definitions") if key in schema} if schema else {}
