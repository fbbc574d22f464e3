"""Lines that are JSON each: what they hold, and what is wrong with those that are none."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from json.scanner import make_scanner
from typing import Any

from agentkit.batch.text_lines import MAX_BYTES, Entry, Line, LineError, decoded
from agentkit.errors import ConfigurationError

Skipped = Callable[[int, bytes | str], bool]
"""Whether a line is left out: given are its number, and its bytes or the text that a program has given for it."""

_SPACE = " \t\r\n"
_LOOK = 2000
"""How many lines at the beginning of a file are looked at when the first isn't JSON."""
_UNUSUAL = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""What may be NUL or half a surrogate pair. No other line has them: UTF-8 has no half pairs, and JSON no bare NUL."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in made if keys.count(key) > 1)
        raise LineError(f"has the key {twice[:80]!r} twice")
    return made


def _constant(name: str) -> None:
    raise LineError(f"has {name}, which JSON does not have: use null or a number")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise LineError(f"has the number {text[:40]}, which is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)


def json_value(content: bytes) -> Any:
    """What a line of JSON holds. Raises LineError when it is no JSON, or has text that can't be sent."""
    text = decoded(content).strip(_SPACE)
    try:
        value, end = _DECODER.raw_decode(text, 0)
    except json.JSONDecodeError as error:
        raise LineError(_why_not(text, error)) from None
    except RecursionError:
        raise LineError("is nested too deeply") from None
    except LineError:
        raise
    except ValueError:  # of int(), whose text has thousands of digits
        raise LineError("has a number with too many digits") from None
    if end < len(text):
        raise LineError(_why_more(text, end))
    if b"\\u" in content and _UNUSUAL.search(content) is not None:
        check_texts(value)
    return value


# Without `_object`, which takes longer than all the rest of it.
_scan = make_scanner(json.JSONDecoder(parse_constant=_constant, parse_float=_number))  # type: ignore[arg-type]
_ENDS = ("\n", "", "\r\n")


def quick_object(content: bytes) -> dict[str, Any] | None:
    """The object on a line, in half the time of `json_value`, whose value it is unless a key stands twice in it; None
    where `json_value` has to look."""
    try:
        text = content.decode()
        value, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    if type(value) is not dict or text[end:] not in _ENDS:
        return None
    return None if b"\\u" in content and _UNUSUAL.search(content) is not None else value


def has_no_key_twice(value: dict[str, Any], content: bytes) -> bool:
    """Whether this is certain of a `quick_object`. A key that stands twice on a line is one in the object, so that the
    line has more keys than the object and those in it; and it has a colon for each key, and any in its texts."""
    if b" :" in content or b"\t:" in content or b"\r:" in content:
        return content.count(b":") == _keys_in(value)
    return content.count(b'":') == _keys_in(value)  # the colon of a key stands right behind its quote


def _keys_in(value: dict[str, Any]) -> int:
    count = 0
    inner: list[Any] = [value]
    for each in inner:  # which becomes longer meanwhile
        if type(each) is dict:
            count += len(each)
            inner += each.values()
        elif type(each) is list:
            inner += each
    return count


_GIVEN_ID = re.compile(rb'"((?:custom_)?id)"\s*:\s*"([^"\\]+)"')
_OTHER_FIELDS = {b"id": (b'"custom_id"', b'"body"'), b"custom_id": (b'"id"', b'"id"')}
"""What a line may have besides one id where that is not its id."""
_ESCAPED_ASCII = re.compile(rb"\\u00[0-7]")
"""Keys may be written so."""
_BACKSLASH = 0x5C


def plain_id(content: bytes) -> str | None:
    """The id of a line that is known to be a question, where it can be seen without parsing; None says nothing."""
    found = _GIVEN_ID.search(content)
    if found is None:
        return None
    name, given = found.groups()
    begin = found.start()
    one, other = _OTHER_FIELDS[name]
    if (
        content.count(b"{", 0, begin) != 1  # of an inner object, or there is one in a text
        or content[begin - 1] == _BACKSLASH
        or one in content
        or other in content
        or (b"\\u00" in content and _ESCAPED_ASCII.search(content) is not None)
    ):
        return None
    return given.decode("utf-8", "replace")


def check_texts(value: object) -> None:
    """Raises LineError when a text in a value of JSON has a NUL or half a surrogate pair."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            check_text(each)
        elif isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each


def check_text(text: str) -> None:
    """Raises LineError when a text has a NUL or half a surrogate pair."""
    if "\0" in text:
        raise LineError(f"has a NUL character (position {text.index(chr(0)) + 1} of a text)")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise LineError(f"has half a surrogate pair (\\u{code:04x}), which is no character") from None


def _why_not(text: str, error: json.JSONDecodeError) -> str:
    if "\0" in text[:MAX_BYTES]:
        return "has a NUL character"
    if error.pos >= len(text) or "Unterminated" in error.msg:
        return f"is not JSON: it ends in the middle ({error.msg})"
    if text.startswith(("{'", "['", "'")):
        return (
            "is not JSON: texts stand in double quotes there (this looks like Python's repr: write it with json.dumps)"
        )
    if "control character" in error.msg:
        return f"is not JSON: a bare control character at position {error.pos + 1}: write it as \\n or \\t"
    return f"is not JSON: {error.msg} at position {error.pos + 1}"


def _why_more(text: str, end: int) -> str:
    rest = text[end : end + 200].lstrip(_SPACE)
    if rest.startswith(",") and not rest.strip(f",{_SPACE}"):
        return "is not JSON: a comma behind the value: remove it"
    if "\r" in text[end : end + 200]:
        return "has several values, separated by CR alone: end lines with LF"
    return f"has more than one JSON value (position {end + 1}): write each in a line of its own"


def json_entries(lines: Iterable[Line], is_skipped: Skipped | None = None) -> Iterator[Entry]:
    """What the lines hold; blank ones are left out. is_skipped: whether a line is left out, before it is parsed."""
    for number, content, problem in lines:
        if problem:
            yield number, None, content, problem
            continue
        if not content or content.isspace() or (is_skipped is not None and is_skipped(number, content)):
            continue
        try:
            value = json_value(content)
        except LineError as error:
            yield number, None, content, str(error)
        else:
            yield number, value, content, ""


def text_entries(lines: Iterable[Line]) -> Iterator[Entry]:
    """Plain text with a question in each line; blank ones are left out."""
    for number, content, problem in lines:
        if not problem and not content.strip():
            continue
        try:
            yield number, None if problem else decoded(content).strip(_SPACE), content, problem
        except LineError as error:
            yield number, None, content, str(error)


def check_is_lines(lines: Iterator[Line], name: str) -> None:
    """Raises ConfigurationError when JSON stands in a file otherwise than one value a line."""
    first = next((each for each in lines if each[2] or each[1].strip()), None)
    if first is None:
        raise ConfigurationError(f"{name}: has no questions: it is empty")
    number, content, problem = first
    where = f"{name}: line {number}"
    try:
        value = None if problem else json_value(content)
    except LineError:
        if content.lstrip()[:1] in (b"{", b"[") and _is_over_lines(first, list(islice(lines, _LOOK))):
            raise ConfigurationError(
                f"{where}: begins JSON that goes over several lines: write each record in one line "
                f"(jq -c {_FLAT[content.lstrip()[:1]]} FILE > questions.jsonl)"
            ) from None
        return
    if (
        isinstance(value, list)
        and value
        and all(isinstance(each, str | dict) and not _is_message(each) for each in value)
    ):
        raise ConfigurationError(
            f"{where}: is one JSON array of {len(value):,} records: write each in a line of its own "
            "(jq -c '.[]' FILE > questions.jsonl)"
        )


_FLAT = {b"{": ".", b"[": "'.[]'"}


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _is_over_lines(first: Line, others: Sequence[Line]) -> bool:
    """Whether the first line isn't JSON by itself, but with some that follow, or begins an array of records."""
    begin = first[1].strip()
    if begin == b"[":
        return True
    text = b"".join(content for _, content, _ in (first, *others))[:MAX_BYTES].decode("utf-8", "replace")
    try:
        _, end = _DECODER.raw_decode(text.lstrip(_SPACE))
    except (ValueError, RecursionError):
        return begin.startswith(b"[") and _begins_records(text)
    return "\n" in text[:end].strip(_SPACE)


def _begins_records(text: str) -> bool:
    """Whether an array begins with an object that is whole."""
    inside = text.lstrip(_SPACE)[1:].lstrip(_SPACE)
    try:
        return inside.startswith("{") and isinstance(_DECODER.raw_decode(inside)[0], dict)
    except (ValueError, RecursionError):
        return False
