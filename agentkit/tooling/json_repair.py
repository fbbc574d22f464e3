"""The reader of JSON that models write: `read_json` with repairs, `loads` without, `read_values` for several in a row,
`objects_in` for those in a text.

Raw line breaks in strings are accepted. Then other quotation marks around strings, unescaped quotation marks inside
them are repaired (json_tokens.py). All other repairs are left to the json_repair package (a trailing
comma, unquoted keys, Python literals, code fences, surrounding text), preceded by repairs that it gets wrong and
followed by a check of the result: a value that the model did not write is rejected, and so is truncated text.
What it would take too many steps to repair (repair_budget.py) is an error.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._text import joined_surrogates
from agentkit.tooling.json_tokens import LooseObject, Token
from agentkit.tooling.repair_budget import Budget, CountedText

MAX_OBJECTS = 50
MAX_REPAIRED = 100_000
"""Maximum characters of broken JSON to repair."""

_STRING = pattern(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_CURLY = str.maketrans({"‘": '"', "’": '"', "“": '"', "”": '"', "„": '"', "‚": '"', "«": '"', "»": '"'})
_KEY_WITHOUT_COLON = pattern(
    r'(\{\s*"(?:[^"\\]|\\.)*")\s*(?=(?:true|false|null|True|False|None)\b|-?\d|[\[{]|"[^"]*"\s*[,}])'
)
_ODD_KEY = pattern(r"([{,]\s*)([$_][\w$\-]*)(\s*:)")
_LITERALS = frozenset(("true", "false", "null", "none", "undefined", "nan", "infinity", "-infinity"))
_PART = {mark: pattern(rf"{mark}((?:[^{mark}\\]|\\.)*+){mark}?", re.DOTALL) for mark in "\"'`"}
_CONCATENATED = pattern(
    "|".join(
        rf"([:\[,(]\s*)({mark}(?:[^{mark}\\]|\\.){{0,2000}}{mark}"
        rf"(?:\s*\+\s*{mark}(?:[^{mark}\\]|\\.){{0,2000}}{mark})+)(?=\s*[,}}\]])"
        for mark in "\"'`"
    ),
    re.DOTALL,
)
_PREFIX = pattern(r"[bBrRfFuU]{1,2}")
_ESCAPED = pattern(r"\\(?:u[0-9a-fA-F]{4}|.)|[\r\n]", re.DOTALL)
_PREFIXED = pattern(r"[:,\[(]\s*[bBrRfFuU]{1,2}[\"']")
_CODE = pattern(
    r"undefined|(?:new\s+)?[A-Za-z_][\w.]*\(.*\)|void\s+0|.*,|\.\.\.|…|[bBrRfFuU]{1,2}([\"']).*\1", re.DOTALL
)
_SIGNS_OF_CODE = ("(", "...", "void", "undefined", ",,")
_FENCE = pattern(r"```\w*\n|\n```")
_LIST_BEHIND_LIST = pattern(r"\]\s*+(?:,\s*+)?\[")
_SIDE_BY_SIDE = pattern(r"([}\]])(\s*)(?=[{\[])")


class CutOffError(ValueError):
    """A JSON text ends in the middle of a value, so the rest of the value is not known."""


def read_json(text: str) -> Any:
    """Parse a JSON text, with repairs.

    What servers refuse becomes text (see `cleaned`). A value that was encoded twice is decoded twice. Of an object that
    is followed by text or by a copy of itself, the first is returned.

    Raises CutOffError for a text that ends in the middle of a value; ValueError, with the position of the error, for a
    text that can't be repaired.
    """
    try:
        try:
            value = _decoded(text)
            return value if text[:1] == "{" and _SUSPECT.search(text) is None else cleaned(value)
        except CutOffError:
            raise
        except ValueError:
            if len(text) > MAX_REPAIRED:
                raise
            return _repaired(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def loads(text: str, *, strict: bool = False) -> Any:
    """Parse a valid JSON text. strict: raw line breaks and tabs in strings are errors. Raises ValueError, and
    RecursionError for text that is nested too deeply."""
    return (_STRICT if strict else _DECODER).decode(text)


def read_values(text: str) -> tuple[list[Any], str]:
    """Parse the valid JSON values at the start of a text, with white space, commas or semicolons between them. Returns
    them, cleaned, and the text after them."""
    values: list[Any] = []
    start = 0
    text = text.strip()
    while start < len(text):
        try:
            value, start = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        values.append(cleaned(value))
        start = _end_of(_BETWEEN, text, start)
    return values, text[start:]


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects in a text that are valid JSON and not empty, the outermost only: of the first MAX_OBJECTS
    braces. Nothing of a text that is one object."""
    place = text.find("{")
    for _ in range(MAX_OBJECTS if place >= 0 else 0):
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            value, end = {}, place + 1
        if value and (text[:place].strip() or text[end:].strip()):
            yield cleaned(value)
        place = text.find("{", end)
        if place < 0:
            return


_DECODER = json.JSONDecoder(strict=False)
_STRICT = json.JSONDecoder()
_BETWEEN = pattern(r"[ \t\r\n,;]*")
_ESCAPED_OBJECT = pattern(r'\s*\{\s*\\"')
_SPACE = pattern(r"\s*")
_ANOTHER_MEMBER = pattern(r"[\s}\]]*,\s*[\w\"'“{\[]")


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
    """Returns the object at text[start:end] when a copy of it or other text follows. Some servers begin a stream with
    an empty object; then the object after it is returned. Raises ValueError when it is not clear what is meant."""
    if not isinstance(value, dict) or _ANOTHER_MEMBER.match(text, end):
        raise ValueError("there is text after the value")
    source, position = text[start:end], _end_of(_SPACE, text, end)
    while text.startswith("{", position):
        if value and text.startswith(source, position):
            other, position = value, position + len(source)
        else:
            other, position = _DECODER.raw_decode(text, position)
        if value and other != value:
            raise ValueError("it contains two different objects in a row")
        value, position = other, _end_of(_SPACE, text, position)
    return value


def _end_of(pattern: "re.Pattern[str]", text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _repaired(text: str) -> Any:
    text = _CONCATENATED.sub(_joined, text)
    if _ESCAPED_OBJECT.match(text):  # escaped twice
        text = str(loads(f'"{text}"'))
    found = LooseObject(text)
    inside = found.ends_inside()
    if inside:
        raise CutOffError(f"cut off: it ends inside {inside}")
    written, end = found.as_strict_json()
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

    budget = Budget(text)
    budget.spend_on_lists(len(_LIST_BEHIND_LIST.findall(text)))

    def loads(broken: str) -> Any:
        return cleaned(json_repair.loads(CountedText(broken, budget)))

    value = loads(_prepared(text))
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = loads(value)
    if _has_empty(value) and '""' not in text and "''" not in text and not _has_curly_pair(text):
        raise ValueError("a value is missing")
    if any(sign in text for sign in _SIGNS_OF_CODE) or _PREFIXED.search(text):
        _refuse_code(value, text, budget)
    if (lost := _lost(value, text, budget)) is not None:
        raise ValueError(f"it is not clear what {lost} means")
    return value


def _joined(found: "re.Match[str]") -> str:
    """Returns strings that are joined by plus signs as one string."""
    before, parts = (part for part in found.groups() if part is not None)
    return before + parts[0] + "".join(_PART[parts[0]].findall(parts)) + parts[0]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from _leaves(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _leaves(entry)
    else:
        yield value


def _lost(value: Any, text: str, budget: Budget) -> str | None:
    """Returns a word or a string of a text that is not in the value made of it; None when all are."""
    leaves = list(_leaves(value))
    whole = {leaf for leaf in leaves if isinstance(leaf, str)}
    words = "\n".join(leaf for leaf in leaves if isinstance(leaf, str))
    numbers = {leaf for leaf in leaves if isinstance(leaf, int | float)}
    before: Token | None = None
    for token in LooseObject(_FENCE.sub("\n", text) if "```" in text else text).pieces():  # a fence is no string
        written, prefix = token.text, _prefix_of(token, before)
        before = token
        if prefix:
            return json.dumps(f"{prefix}{written[:40]}", ensure_ascii=False)
        if token.kind == "string":
            written = written[len(token.quote) : -len(token.quote)]
            if "\\" in written or "\n" in written:  # these are in the value in another form
                written = max(_ESCAPED.split(written), key=len)
        elif written.lower() in _LITERALS or _number(written.rstrip("eE")) in numbers or written in ("...", "…", "；"):
            continue
        written = written.strip(" \t\r\n:\"'`")
        if written not in whole:
            budget.spend(len(words))
            if written not in words:
                return json.dumps(written[:40], ensure_ascii=False)
    return None


def _prefix_of(token: Token, before: Token | None) -> str:
    """What stands directly before a string as in a programming language: the r of r"...", which is no JSON."""
    is_prefix = before is not None and before.kind == "word" and _PREFIX.fullmatch(before.text) is not None
    if before is None or not is_prefix or token.kind != "string":
        return ""
    return before.text if before.end == token.end - len(token.text) else ""


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _refuse_code(value: Any, text: str, budget: Budget) -> None:
    """Raises ValueError where a value is an expression of a programming language, and not a text in quotation marks."""
    for leaf in _leaves(value):
        if isinstance(leaf, str) and _CODE.fullmatch(leaf):
            budget.spend(4 * len(text))
            if not any(f"{mark}{leaf}" in text for mark in "\"'`“"):
                raise ValueError(f"{json.dumps(leaf[:40], ensure_ascii=False)} is no JSON value")


def _prepared(text: str) -> str:
    if '"' not in text and "'" not in text and any(quote in text for quote in "‘“„«"):
        text = text.translate(_CURLY)
    text = _KEY_WITHOUT_COLON.sub(r"\1:", text)
    return _outside_strings(text, lambda part: _SIDE_BY_SIDE.sub(r"\1,\2", _ODD_KEY.sub(r'\1"\2"\3', part)))


def _outside_strings(text: str, change: Callable[[str], str]) -> str:
    """Returns a text with what is outside of its strings changed; the last string may be open."""
    parts, end = [], 0
    for found in _STRING.finditer(text):
        parts += [change(text[end : found.start()]), found.group()]
        end = found.end()
    return "".join([*parts, change(text[end:])])


def _has_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_empty(entry) for entry in value.values())
    return any(_has_empty(entry) for entry in value) if isinstance(value, list) else value == ""


def _has_curly_pair(text: str) -> bool:
    return re.search("[‘“„«][’”“»]", text) is not None


def cleaned(value: Any) -> Any:
    """Returns a value without anything that JSON can't represent or that a server may refuse or round.

    NaN, Infinity and integers beyond 64 bits become strings, from which a tool that takes a number still gets it;
    unpaired surrogates, which can't be encoded, become U+FFFD. Raises RecursionError for a value that is nested too
    deeply, or contains itself.
    """
    if isinstance(value, str):
        return joined_surrogates(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(entry) for entry in value]
    return value


def is_clean(text: str, value: Any) -> bool:
    """Whether `cleaned` leaves a value as it is. text: the JSON that the value was read from."""
    return _SUSPECT.search(text) is None or cleaned(value) == value


_SUSPECT = pattern(r"NaN|Infinity|\d{19}|[eE]\+?\d{3}|\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""What stands in the JSON of each value that is not clean: most texts have nothing of it."""


def json_error_of(text: str) -> str:
    """Returns where a JSON text becomes invalid, what was expected there, and what was found."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20]
        where = f"at character {error.pos + 1}" if error.pos < len(text) else "at its end"
        got = f", found {found!r}" if found else ""
        return f"{error.msg[:1].lower()}{error.msg[1:]} {where}{got}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it is JSON, but not an object"
