"""The tokens of JSON as models write it, and what they tell: whether a text breaks off, and how it is written strictly.

Well-formed JSON, whole or cut off, is taken apart exactly. In other text an unescaped quotation mark ends a string
where JSON goes on behind it, so that `"print("a", "b")"` is one string. Linear in the length of the text.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_ENDS_WITH = {"“": "”“", "„": "“”„", "‘": "’‘", "‚": "‘’‚", "«": "»", "»": "«", "”": "”", "’": "’", "`": "`´"}
_TOKEN = re.compile(
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
    """Patterns of a string of at most 200 letters, and of the beginning of a longer one or one that breaks off."""
    letter = rf"(?:[^{mark}\\\n]|\\.)"
    return rf"{mark}{letter}{{0,200}}{mark}", rf"{mark}(?:{letter}{{200}}|{letter}{{0,200}}\\?\Z)"


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
_GOES_ON = re.compile(rf"""\s*(?:[,，;]\s*(?:{_NEXT})|[:：}}\]]|=>|//|\#|/\*|\Z)|\s+{_STRING}\s*[,:}}\]]""")
"""What follows a quotation mark that ends a string, where that is not clear."""
_MARK = re.compile(r"\\.|[\"'`´“”„‘’‚«»]", re.DOTALL)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORDS = frozenset(("true", "false", "null", "True", "False", "None", "undefined", "NaN", "Infinity", "-Infinity"))
_MISSING = 1
"""So many closing braces may be missing at the end, behind a value that is complete."""


class Token(NamedTuple):
    """kind: the name of a group of the pattern, "string" for a string that is closed, "open string" for one that is
    not. text: as it is written. end: the place behind it. quote: of a string, the mark at its beginning."""

    kind: str
    text: str
    end: int = 0
    quote: str = ""


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, white space left out."""
    marks = _Marks(text, is_exact=_begins_as_json(text))
    place = 0
    while found := _TOKEN.match(text, place):
        kind = str(found.lastgroup)
        place = found.end()
        if kind == "quote":
            quote = found.group()
            end = marks.end_of(quote, place)
            yield Token("string" if end else "open string", text[found.start() : end or len(text)], end, quote)
            if not end:
                return
            place = end
        elif kind == "word" and marks.closes(place):  # the mark at its beginning is missing
            place += 1
            yield Token("string", f'"{found.group()}"', place, '"')
        elif kind != "space":
            yield Token(kind, found.group(), place)


_DECODER = json.JSONDecoder(strict=False, parse_int=len, parse_float=len)  # numbers by thousands of digits cost nothing
_BEGUN = re.compile(r"[-+\w.\\]{0,20}\Z")
"""What may be left of JSON that breaks off in a number, a word or an escape."""


def _begins_as_json(text: str) -> bool:
    """Whether a text is JSON as far as it goes, raw line breaks in its strings aside."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated") or _BEGUN.match(text, error.pos) is not None
    except RecursionError:
        return True
    return True


class _Marks:
    """The quotation marks of a text that aren't escaped, and those of them behind which JSON could go on."""

    def __init__(self, text: str, *, is_exact: bool) -> None:
        self._text = text
        self._places: dict[str, list[int]] = {}
        self._closing: dict[str, list[int]] = {}
        for found in _MARK.finditer(text):
            mark = found.group()
            if mark[0] != "\\":
                self._places.setdefault(mark, []).append(found.start())
                if is_exact or _GOES_ON.match(text, found.end()):
                    self._closing.setdefault(mark, []).append(found.start())

    def end_of(self, quote: str, start: int) -> int:
        """The place behind the end of a string that begins at `start`, behind its quote; 0 when it has none."""
        if len(quote) == 3:
            return self._end_of_three(quote, start)
        ends = _ENDS_WITH.get(quote, quote)
        for known in (self._closing, self._places):
            found = [place for mark in ends if (place := _next(known.get(mark, ()), start)) is not None]
            if found:
                return min(found) + 1
        return 0

    def closes(self, place: int) -> bool:
        """Whether a straight mark at a place ends a string."""
        known = self._closing.get('"', [])
        at = bisect_left(known, place)
        return at < len(known) and known[at] == place

    def _end_of_three(self, quote: str, start: int) -> int:
        """Behind three marks in a row; two of them are an empty string where no third pair follows."""
        place = self._text.find(quote, start)
        while place >= 0 and self._text.startswith(quote[0], place + 3):
            place += 1
        return place + 3 if place >= 0 else 0


def _next(places: "list[int] | tuple[()]", start: int) -> int | None:
    at = bisect_left(places, start)
    return places[at] if at < len(places) else None


class LooseObject:
    """The first object of a text, as a model wrote it. start: the place where it begins."""

    def __init__(self, text: str) -> None:
        self._is_there = "{" in text
        self.start = max(text.find("{"), 0)
        self._text = text[self.start :]
        self._tokens = list(tokens(self._text))

    def ends_inside(self) -> str:
        """What it breaks off in, such as "a string"; "" when it is whole, or only its last brace is missing.

        A list that is not closed at the end, or more than one object, is no whole value: more may have been to come."""
        return _Ending().of(self._tokens, self._text) if self._is_there else ""

    def strictly(self) -> tuple[str, int]:
        """Its text with strings and keys as JSON writes them, whatever they stood between, and the place where it ends.

        JSON's words stand for Python's and JavaScript's; comments and commas at the end of a list are left out, and the
        last brace is added where it is missing. What else is wrong with it stays."""
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
        return " ".join(written) + "}" * (depth == _MISSING), self.start + end


class _Ending:
    """Follows the tokens of an object to its end, or to that of the text."""

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
                return ""  # what follows the object is another matter
        return self._fault(text)

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
        """Brackets that are missing before a later one are closed with it."""
        opening = {"}": "{", "]": "[", ")": "("}[bracket]
        while self._count[opening]:
            closed = self._open.pop()
            self._count[closed] -= 1
            if closed == opening:
                return

    def _fault(self, text: str) -> str:
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
        return "an object" if len(self._open) > _MISSING else ""


_NAME = re.compile(r"[^\W\d]\w*|\$\w*")
_JSON_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}


def _strict(token: Token) -> str:
    if token.kind == "string":
        return _json_string(token.text[len(token.quote) : -len(token.quote)], token.quote)
    if token.kind == "word":
        return _JSON_WORDS.get(token.text, token.text)
    return {"colon": ":", "comma": ","}.get(token.kind, token.text) if token.text != ";" else ";"


_IN_STRING = re.compile(r"\\(?P<escaped>.)|(?P<quote>\")|(?P<control>[\x00-\x1f])", re.DOTALL)
_JSON_ESCAPES = frozenset('"\\/bfnrtu')


def _json_string(inside: str, quote: str) -> str:
    """The JSON of a string whose inside is written between other marks; escapes that JSON doesn't have are letters."""

    def escaped(found: "re.Match[str]") -> str:
        letter = found["escaped"]
        if letter is None:
            return json.dumps(found.group())[1:-1]
        if letter in _JSON_ESCAPES:
            return found.group()
        if letter in quote or letter == "\n":
            return json.dumps(letter)[1:-1]
        return "\\\\" + json.dumps(letter, ensure_ascii=False)[1:-1]

    return f'"{_IN_STRING.sub(escaped, inside)}"'
