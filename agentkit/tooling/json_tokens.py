"""Tokenizer for JSON as models write it, used to detect truncated text and to rewrite text as strict JSON.

Well-formed JSON, complete or truncated, is tokenized exactly. In other text an unescaped quotation mark ends a string
only where JSON can continue after it, so that `"print("a", "b")"` is one string. Takes linear time.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agentkit._lazy.patterns import pattern

_ENDS_WITH = {"“": "”“", "„": "“”„", "‘": "’‘", "‚": "‘’‚", "«": "»", "»": "«", "”": "”", "’": "’", "`": "`´"}
_TOKEN = pattern(
    r"""(?P<space>(?:[\s\ufeff]|\\[nrt](?!\w))+)
      | (?P<comment>//[^\n]*|\#[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?)
      | (?P<open>[{\[(])
      | (?P<close>[}\])])
      | (?P<comma>[,，;])
      | (?P<colon>=>|[:：=])
      | (?P<quote>\"{3}|'{3}|["'`“”„‘’‚«»])
      | (?P<word>[^\s{}\[\](),，;:："'`“”„‘’‚«»]+|.)""",
    re.VERBOSE | re.DOTALL,
)


def _string_of(mark: str) -> tuple[str, str]:
    """Returns patterns for a string of up to 200 characters, and for the beginning of a longer or a truncated one."""
    character = rf"(?:[^{mark}\\\n]|\\.)"
    return rf"{mark}{character}{{0,200}}{mark}", rf"{mark}(?:{character}{{200}}|{character}{{0,200}}\\?\Z)"


_DOUBLE, _DOUBLE_BEGUN = _string_of('"')
_SINGLE, _SINGLE_BEGUN = _string_of("'")
_STRING = rf"(?:{_DOUBLE}|{_SINGLE}|[“”„‘’‚«][^“”„‘’‚»\n]{{0,200}}[“”‘’»])"
_NEXT = "|".join(
    (
        rf"{_STRING}\s*(?:[:：,，}}\]]|=>|\Z)",
        *(_DOUBLE_BEGUN, _SINGLE_BEGUN, r"[“„‘‚«][^“”„‘’‚»\n]{0,200}\Z"),
        r"[\w$-]{1,100}\s*:",
        r"[-+\d.{\[(}\])`]",
        r"(?:true|false|null|True|False|None)\b",
        *(r"//", r"\#", r"/\*", r"\Z"),
    )
)
_CAN_CONTINUE = pattern(rf"""\s*(?:[,，;]\s*(?:{_NEXT})|[:：}}\]]|=>|//|\#|/\*|\Z)|\s+{_STRING}\s*[,:}}\]]""")
"""What follows a quotation mark that ends a string, in text where the end of strings is ambiguous."""
_MARK = pattern(r"\\.|[\"'`´“”„‘’‚«»]", re.DOTALL)
_NUMBER = pattern(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORDS = frozenset(("true", "false", "null", "True", "False", "None", "NaN", "Infinity", "-Infinity"))
_MAX_MISSING_BRACES = 1
"""Maximum number of closing braces that may be missing at the end, after a complete value."""


class Token(NamedTuple):
    """kind: the name of a group of the pattern, "string" for a closed string, "open string" for an unclosed one. text:
    as written. end: the position after it. quote: the opening quotation mark of a string."""

    kind: str
    text: str
    end: int = 0
    quote: str = ""


def tokens(text: str) -> Iterator[Token]:
    """Yields the tokens of a text, without white space."""
    marks = _Marks(text, is_exact=_begins_as_json(text))
    position = 0
    while found := _TOKEN.match(text, position):
        kind = str(found.lastgroup)
        position = found.end()
        if kind == "quote":
            quote = found.group()
            end = marks.end_of(quote, position)
            yield Token("string" if end else "open string", text[found.start() : end or len(text)], end, quote)
            if not end:
                return
            position = end
        elif kind == "word" and marks.closes(position):  # the opening quotation mark is missing
            position += 1
            yield Token("string", f'"{found.group()}"', position, '"')
        elif kind != "space":
            yield Token(kind, found.group(), position)


_DECODER = json.JSONDecoder(
    strict=False, parse_int=len, parse_float=len
)  # avoids converting numbers with thousands of digits
_TRUNCATED = pattern(r"[-+\w.\\]{0,20}\Z")
"""The remaining text of JSON that is truncated in a number, a word or an escape."""


def _begins_as_json(text: str) -> bool:
    """Whether a text is valid or truncated JSON; raw line breaks in strings are accepted."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated") or _TRUNCATED.match(text, error.pos) is not None
    except RecursionError:
        return True
    return True


def _ends_path(text: str, position: int) -> bool:
    """Whether the backslash before a quotation mark is the last one of a path, as in `"C:\\data\\", "next": 1`."""
    start = text.rfind('"', 0, position) + 1
    is_path = text[start - 2 : start - 1] != "\\" and _DRIVE.match(text, start, position) is not None
    return is_path and _CAN_CONTINUE.match(text, position + 1) is not None


class _Marks:
    """The unescaped quotation marks of a text, and those of them after which JSON can continue."""

    def __init__(self, text: str, *, is_exact: bool) -> None:
        self._text = text
        self._positions: dict[str, list[int]] = {}
        self._closing: dict[str, list[int]] = {}
        for found in _MARK.finditer(text):
            mark, position = found.group()[-1], found.end() - 1
            if found.group() == mark or (mark == '"' and not is_exact and _ends_path(text, position)):
                self._positions.setdefault(mark, []).append(position)
                if is_exact or _CAN_CONTINUE.match(text, found.end()):
                    self._closing.setdefault(mark, []).append(position)

    def end_of(self, quote: str, start: int) -> int:
        """Returns the position after a string whose inside begins at `start`; 0 when the string is not closed."""
        if len(quote) == 3:
            return self._end_of_three(quote, start)
        ends = _ENDS_WITH.get(quote, quote)
        for known in (self._closing, self._positions):
            found = [position for mark in ends if (position := _next(known.get(mark, ()), start)) is not None]
            if found:
                return min(found) + 1
        return 0

    def closes(self, position: int) -> bool:
        """Whether a straight quotation mark at this position ends a string."""
        known = self._closing.get('"', [])
        at = bisect_left(known, position)
        return at < len(known) and known[at] == position

    def _end_of_three(self, quote: str, start: int) -> int:
        """Returns the position after a string in triple quotes; 0 when it is not closed."""
        end = self._text.find(quote, start)
        while end >= 0 and self._text.startswith(quote[0], end + 3):
            end += 1
        return end + 3 if end >= 0 else 0


def _next(positions: "list[int] | tuple[()]", start: int) -> int | None:
    at = bisect_left(positions, start)
    return positions[at] if at < len(positions) else None


class LooseObject:
    """The first object in a text, as a model wrote it. start: the position where it begins."""

    def __init__(self, text: str) -> None:
        self._is_there = "{" in text
        self.start = max(text.find("{"), 0)
        self._text = text[self.start :]
        self._tokens = list(tokens(self._text))

    def ends_inside(self) -> str:
        """Returns what the text is truncated in, such as "a string"; "" when the object is complete or only its last
        brace is missing. A list, or more than one object, left unclosed at the end is incomplete: more may have
        followed."""
        return _Ending().of(self._tokens, self._text) if self._is_there else ""

    def pieces(self) -> Iterator[Token]:
        """Yields the words and closed strings of the object."""
        depth = 0
        for token in self._tokens:
            depth += (token.kind == "open") - (token.kind == "close")
            if token.kind in ("word", "string"):
                yield token
            elif depth <= 0:
                return

    def as_strict_json(self) -> tuple[str, int]:
        """Returns the object's text with strings and keys in double quotes, and the position where the object ends.

        Literals of Python and JavaScript become those of JSON; comments and trailing commas are removed, and a missing
        last brace is added. Other errors stay."""
        written: list[str] = []
        depth, end = 0, len(self._text)
        for token in self._tokens:
            if token.kind == "comment":
                continue
            if token.kind == "close" and written[-1:] == [","]:
                written.pop()
            elif token.kind == "colon" and written and _NAME.fullmatch(written[-1]):
                written[-1] = json.dumps(written[-1], ensure_ascii=False)
            written.append(_strict(token))
            depth += (token.kind == "open") - (token.kind == "close")
            if depth == 0 and token.kind == "close":
                end = token.end
                break
        return " ".join(written) + "}" * (depth == _MAX_MISSING_BRACES), self.start + end


class _Ending:
    """Follows the tokens of an object to its end or the end of the text, and finds out what is incomplete."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._count = dict.fromkeys("{[(", 0)
        self._last = Token("", "")
        self._is_key = True

    def of(self, found: Iterable[Token], text: str) -> str:
        """See `LooseObject.ends_inside`."""
        for token in found:
            if token.kind == "comment":
                if token.text.rstrip().endswith(("}", "]")):
                    self._last = token
                continue
            self._note(token)
            if not self._open:
                return ""  # text after the object is handled elsewhere
        return self._incomplete_part(text)

    def _note(self, token: Token) -> None:
        if token.kind == "open":
            self._open.append(token.text)
            self._count[token.text] += 1
        elif token.kind == "close":
            self._close(token.text)
        is_value = token.kind in ("string", "open string", "word")
        if not is_value:
            self._is_key = False
        elif self._last.kind in ("open", "comma", "colon"):
            self._is_key = self._last.kind != "colon" and self._open[-1:] == ["{"]
        self._last = token

    def _close(self, bracket: str) -> None:
        """Close a bracket, and with it the brackets opened after it that were never closed."""
        opening = {"}": "{", "]": "[", ")": "("}[bracket]
        while self._count[opening]:
            closed = self._open.pop()
            self._count[closed] -= 1
            if closed == opening:
                return

    def _incomplete_part(self, text: str) -> str:
        """See `LooseObject.ends_inside`."""
        kind, word = self._last.kind, self._last.text
        if kind == "comment":
            return ""
        if kind == "open string":
            return "a string"
        if kind == "word" and word not in _WORDS:
            is_number = _NUMBER.fullmatch(word) is not None
            if not is_number or not text[-1:].isspace():
                return "a number" if word[:1] in "+-0123456789." else "a word"
        if kind in ("comma", "colon", "open") or self._is_key:
            return "a list" if word in ("[", "(") else "an object"
        if "[" in self._open or "(" in self._open:
            return "a list"
        return "an object" if len(self._open) > _MAX_MISSING_BRACES else ""


_NAME = pattern(r"[^\W\d]\w*|\$\w*")
_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}


def _strict(token: Token) -> str:
    if token.kind == "string":
        return _json_string(token.text[len(token.quote) : -len(token.quote)], token.quote)
    if token.kind == "word":
        return _JSON_WORDS.get(token.text, token.text)
    return {"colon": ":", "comma": ","}.get(token.kind, token.text) if token.text != ";" else ";"


_IN_STRING = pattern(r"\\(?P<escaped>.)|(?P<quote>\")|(?P<control>[\x00-\x1f])", re.DOTALL)
_DRIVE = pattern(r"[A-Za-z]:\\")
_PATH = pattern(r"[A-Za-z]:\\[^\"*?<>|\x00-\x1f]*+|(?:[\w.$@~-]++\\)++[\w.$@~-]*+")
"""A path of Windows from its drive on, or one without spaces, or a name with a namespace of PHP."""
_NO_ESCAPE = pattern(r"(?<!\\)(?:\\\\)*+\\(?:[ac-eg-mo-qsv-zA-Z0-9.~]|u(?![0-9a-fA-F]{4})|\Z)")
"""A backslash that JSON knows no escape with."""
_JSON_ESCAPES = frozenset('"\\/bfnrtu')


def _json_string(inside: str, quote: str) -> str:
    """Returns the JSON of a string in other quotation marks; escapes unknown to JSON are kept as backslash and
    character. A path that has one has no escapes at all: that of `C:\\Users\\bob` is in no other place either."""
    if _PATH.fullmatch(inside) and _NO_ESCAPE.search(inside):
        return json.dumps(inside.replace("\\\\", "\\"), ensure_ascii=False)

    def escaped(found: "re.Match[str]") -> str:
        character = found["escaped"]
        if character is None:
            return json.dumps(found.group())[1:-1]
        if character in _JSON_ESCAPES:
            return found.group()
        if character in quote or character == "\n":
            return json.dumps(character)[1:-1]
        return "\\\\" + json.dumps(character, ensure_ascii=False)[1:-1]

    return f'"{_IN_STRING.sub(escaped, inside)}"'
