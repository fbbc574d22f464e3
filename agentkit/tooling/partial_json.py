"""The value of a JSON object while its text arrives, in linear time.

Reading the whole text again at each delta would take quadratic time, and so would a copy of the whole value. So each
character is read once, and a value given shares its closed objects and lists with those before it: only what is still
open is copied. A string or a list may stay open for the whole text; that is why a value is given again only when the
text has grown by a 64th. What an answer of n characters costs, with all the values given, is then in proportion to n,
also for a receiver that encodes or compares each of them.
"""

import re
from typing import Any, Literal

from agentkit._text import joined_surrogates

SHARE = 64
MAX_DEPTH = 200
"""Maximum number of open objects and lists, as in pydantic's parser."""
MAX_NUMBER = 1000
"""Maximum characters of a number."""

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_ESCAPE = re.compile(
    r'\\(?:(?P<simple>["\\/bfnrt])|u(?P<code>[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})'
    r"|u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2}))"
)
_LONGEST_ESCAPE = len(r"\ud83d\ude00")
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBER_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.(?![0-9])|(?:\.[0-9]+)?(?:[eE][-+]?[0-9]*)?))?")
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_NOTHING: Any = object()


class PartialJson:
    """Reads the first JSON object in a text that arrives in parts; text before it and after it is skipped.

    The values are those of `pydantic_core.from_json(text, allow_partial="trailing-strings")`: an unfinished string has
    the characters received so far, an unfinished key, word or number is left out.
    """

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._keys: list[str] = []  # for each open object, the key whose value comes next
        self._expected: Literal["value", "value or end", "key", "key or end", "colon", "next"] = "value"
        self._string: list[str] | None = None
        self._rest = ""  # a token whose end has not arrived
        self._half = ""  # of a surrogate pair
        self._length = self._given_at = 0
        self._is_done = False
        self._final: Any = None

    def feed(self, text: str) -> Any:
        """Read the next part of the text. Returns the value received so far; None when there is none (also for text
        that is not JSON), when the object has been complete before, and when the last one was given too recently.

        Values share parts with later ones: do not change them.
        """
        text = self._whole_characters(text)
        if not self._open:
            begin = text.find("{")
            if self._is_done or begin < 0:
                return None
            text = text[begin:]
        self._length += len(text)
        try:
            self._read(self._rest + text)
        except ValueError:
            self._is_done, self._open, self._final = True, [], None
        if not self._is_done and (self._length - self._given_at) * SHARE < self._length:
            return None
        self._given_at = self._length
        return self.value()

    def value(self) -> Any:
        """The value received so far, however long ago the last one was given; None when there is none. Takes time in
        proportion to what is open."""
        if self._is_done or not self._open:
            return self._final
        value = self._unfinished()
        for container, key in zip(reversed(self._open), reversed(self._keys), strict=True):
            copy = container.copy()
            if value is not _NOTHING:
                _put(copy, key, value)
            value = copy
        return value

    def _whole_characters(self, text: str) -> str:
        """A surrogate pair may be cut in two; a lone surrogate becomes a replacement character."""
        if text.isascii() and not self._half:
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1:]
        return joined_surrogates(text)

    def _unfinished(self) -> Any:
        """The string or number that is being received, if it is a value so far."""
        if self._string is not None:
            self._string[:] = ["".join(self._string)]
            return _NOTHING if self._expected.startswith("key") else self._string[0]
        return _number(self._rest) if _NUMBER.fullmatch(self._rest) else _NOTHING

    def _read(self, text: str) -> None:
        """Read the text up to a token that may go on, which is kept."""
        self._rest = ""
        at: int | None = 0
        while at is not None and not self._is_done:
            start = at
            if self._string is None:
                start = _end_of(_SPACE, text, at)
            if start == len(text):
                return
            at = self._read_token(text, start) if self._string is None else self._read_string(self._string, text, start)
        if not self._is_done:
            self._rest = text[start:]

    def _read_token(self, text: str, at: int) -> int | None:
        """Read one token. Returns the position after it, None when its end has not arrived. Raises ValueError."""
        character, expected = text[at], self._expected
        if expected == "next":
            return self._read_next(character, at)
        if expected == "colon":
            if character != ":":
                raise ValueError("a colon is missing")
            self._expected = "value"
            return at + 1
        if character in "}]":
            if expected != ("key or end" if character == "}" else "value or end"):
                raise ValueError("a value is missing")
            return self._close(at)
        if character == '"':
            self._string = []
            return at + 1
        if expected.startswith("key"):
            raise ValueError("a key is missing")
        return self._begin(character, at) if character in "{[" else self._read_scalar(text, at)

    def _read_next(self, character: str, at: int) -> int:
        """Read what stands after a value."""
        is_object = isinstance(self._open[-1], dict)
        if character == ",":
            self._expected = "key" if is_object else "value"
            return at + 1
        if character != ("}" if is_object else "]"):  # whatever this is, the value ends here
            self._finish(self.value())
            return at
        return self._close(at)

    def _begin(self, bracket: str, at: int) -> int:
        if len(self._open) >= MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        self._open.append({} if bracket == "{" else [])
        self._keys.append("")
        self._expected = "key or end" if bracket == "{" else "value or end"
        return at + 1

    def _close(self, at: int) -> int:
        value = self._open.pop()
        self._keys.pop()
        if self._open:
            self._store(value)
        else:
            self._finish(value)
        return at + 1

    def _finish(self, value: Any) -> None:
        self._is_done, self._final = True, value
        self._open, self._keys, self._string = [], [], None

    def _store(self, value: Any) -> None:
        _put(self._open[-1], self._keys[-1], value)
        self._expected = "next"

    def _read_scalar(self, text: str, at: int) -> int | None:
        """Read a number or a word; see `_read_token`."""
        for word, value in _WORDS.items():
            if text.startswith(word, at):
                self._store(value)
                return at + len(word)
        end = _end_of(_NUMBER_BEGUN, text, at)
        if end - at > MAX_NUMBER:
            raise ValueError("a number is too long")
        if end == len(text) or (len(text) - at < len("-Infinity") and _begins_a_word(text[at:])):
            return None
        number = text[at:end]
        if not _NUMBER.fullmatch(number) or (number.lstrip("-") == "0" and text[end].isdigit()):
            raise ValueError("a value is missing")
        self._store(_number(number))
        return end

    def _read_string(self, string: list[str], text: str, at: int) -> int | None:
        """Read a part of a string; see `_read_token`."""
        end = _end_of(_PLAIN, text, at)
        if end > at:
            string.append(text[at:end])
        elif text[at] == '"':
            end = at + 1
            self._end_string("".join(string))
        else:
            found = _ESCAPE.match(text, at)
            if found is None and text[at] == "\\" and len(text) - at < _LONGEST_ESCAPE:
                return None
            if found is None:
                raise ValueError("a string has an invalid character")
            end = found.end()
            string.append(_character(found))
        return end

    def _end_string(self, value: str) -> None:
        self._string = None
        if self._expected.startswith("key"):
            self._keys[-1] = value
            self._expected = "colon"
        else:
            self._store(value)


def _end_of(pattern: "re.Pattern[str]", text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _put(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        container.append(value)


def _number(text: str) -> int | float:
    return float(text) if set(text) & set(".eE") else int(text)


def _begins_a_word(text: str) -> bool:
    return any(word.startswith(text) for word in _WORDS)


def _character(escape: "re.Match[str]") -> str:
    if escape["simple"]:
        return _SIMPLE.get(escape["simple"], escape["simple"])
    if escape["code"]:
        return chr(int(escape["code"], 16))
    return joined_surrogates(chr(int(escape["high"], 16)) + chr(int(escape["low"], 16)))
