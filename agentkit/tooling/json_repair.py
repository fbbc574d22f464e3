"""JSON as models write it: strictly where it is JSON, and repaired where it is not.

Raw line breaks in strings are read as they stand; then other marks around strings, unescaped quotation marks in them
and `undefined` (json_tokens.py). The rest of the repairs are the json_repair package's (a trailing comma, unquoted
keys, Python's literals, code fences, words around), with some before it that it gets wrong and a look at what comes
out: a value that nobody wrote is refused, and so is a text that breaks off.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from agentkit.tooling.json_tokens import LooseObject

MAX_REPAIRED = 100_000
"""Broken JSON of more characters is not repaired: that takes time that grows faster than the text."""

_HALF_PAIR = re.compile("[\ud800-\udfff]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CURLY = str.maketrans({"‘": '"', "’": '"', "“": '"', "”": '"', "„": '"', "‚": '"', "«": '"', "»": '"'})
_KEY_WITHOUT_COLON = re.compile(
    r'(\{\s*"(?:[^"\\]|\\.)*")\s*(?=(?:true|false|null|True|False|None)\b|-?\d|[\[{]|"[^"]*"\s*[,}])'
)
_ODD_KEY = re.compile(r"([{,]\s*)([$_][\w$\-]*)(\s*:)")
_SIDE_BY_SIDE = re.compile(r"([}\]])(\s*)(?=[{\[])")


class CutOffError(ValueError):
    """A JSON text that ends in the middle of a value: what was to come is not known."""


def read_json(text: str) -> Any:
    """The value of a text. NaN and Infinity, which JSON does not have, become strings; halves of surrogate pairs,
    which can't be sent, become U+FFFD. What was encoded twice is decoded twice, and of an object that is followed by
    words or by itself the first is taken.

    Raises CutOffError for a text that ends in the middle of a value; ValueError, saying where it stops being JSON, for
    what makes no sense.
    """
    try:
        try:
            return cleaned(_decoded(text))
        except CutOffError:
            raise
        except ValueError:
            if len(text) > MAX_REPAIRED:
                raise
            return _repaired(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def loads(text: str) -> Any:
    """The value of a JSON text that may have raw line breaks and tabs in its strings. Raises ValueError."""
    return _DECODER.decode(text)


_DECODER = json.JSONDecoder(strict=False)
_ESCAPED_OBJECT = re.compile(r'\s*\{\s*\\"')
_SPACE = re.compile(r"\s*")
_ANOTHER_MEMBER = re.compile(r"[\s}\]]*,\s*[\w\"'“{\[]")


def _decoded(text: str) -> Any:
    try:
        value = loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
        return _first_object(text)
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return loads(value)
        except ValueError:
            return _repaired(value)
    return value


def _first_object(text: str) -> Any:
    start = len(text) - len(text.lstrip())
    value, end = _DECODER.raw_decode(text, start)
    return _followed(value, text, start, end)


def _followed(value: Any, text: str, start: int, end: int) -> Any:
    """The object between two places of a text, when it is sent again behind them, or followed by words. An empty one
    that another follows is what some servers begin a stream with. Raises ValueError when it is not clear what is
    meant."""
    if not isinstance(value, dict) or _ANOTHER_MEMBER.match(text, end):
        raise ValueError("something follows the value")
    source, place = text[start:end], _behind_space(text, end)
    while text.startswith("{", place):
        if value and text.startswith(source, place):
            other, place = value, place + len(source)
        else:
            other, place = _DECODER.raw_decode(text, place)
        if value and other != value:
            raise ValueError("two different objects stand one after the other")
        value, place = other, _behind_space(text, place)
    return value


def _behind_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _repaired(text: str) -> Any:
    if _ESCAPED_OBJECT.match(text):  # escaped once too often
        text = str(loads(f'"{text}"'))
    found = LooseObject(text)
    inside = found.ends_inside()
    if inside:
        raise CutOffError(f"cut off: it ends inside {inside}")
    written, end = found.strictly()
    try:
        value = cleaned(loads(written))
    except ValueError:
        value = None
    if text.count('"', end) % 2:
        raise ValueError("it is not clear which of its quotation marks end a string")
    if not isinstance(value, dict) or _ANOTHER_MEMBER.match(text, end):
        return _guessed(text)
    return _followed(value, text, found.start, end)


def _guessed(text: str) -> Any:
    import json_repair

    value = cleaned(json_repair.loads(_prepared(text)))
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = cleaned(json_repair.loads(value))
    if _has_empty(value) and '""' not in text and "''" not in text and not _has_curly_pair(text):
        raise ValueError("a value is missing")
    return value


def _prepared(text: str) -> str:
    if '"' not in text and "'" not in text and any(letter in text for letter in "‘“„«"):
        text = text.translate(_CURLY)
    text = _KEY_WITHOUT_COLON.sub(r"\1:", text)
    return _outside_strings(text, lambda part: _SIDE_BY_SIDE.sub(r"\1,\2", _ODD_KEY.sub(r'\1"\2"\3', part)))


def _outside_strings(text: str, change: Callable[[str], str]) -> str:
    pieces, place = [], 0
    for found in _STRING.finditer(text):
        pieces += [change(text[place : found.start()]), found.group()]
        place = found.end()
    return "".join([*pieces, change(text[place:])])


def _has_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_empty(entry) for entry in value.values())
    return any(_has_empty(entry) for entry in value) if isinstance(value, list) else value == ""


def _has_curly_pair(text: str) -> bool:
    return re.search("[‘“„«][’”“»]", text) is not None


def cleaned(value: Any) -> Any:
    """A value of JSON without what can't be sent as JSON; see `read_json`."""
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value) if not value.isascii() else value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [cleaned(entry) for entry in value]
    return value


def fault_of(text: str) -> str:
    """Where a text stops being JSON, what was expected there, and what was found."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20]
        where = f"at character {error.pos + 1}" if error.pos < len(text) else "at its end"
        got = f", found {found!r}" if found else ""
        return f"{error.msg[:1].lower()}{error.msg[1:]} {where}{got}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it is JSON, but no object"
