"""Compact JSON, and texts for messages: truncated, on one line, addresses without credentials."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import parameters_of

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _kept_encoder(sort_keys: bool = False) -> Callable[[object, int], Iterable[str]] | None:
    """What `_ENCODER` makes anew for each text, which takes longer than encoding a message; None where Python has none.
    It does not look for values that contain themselves: those are nested too deeply."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    try:
        made = make(None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", sort_keys, False, False)
        return made if "".join(made({"ä": [1, None]}, 0)) == '{"ä":[1,null]}' else None
    except Exception:  # noqa: BLE001 - it is no public part of the json module
        return None


_KEPT = _kept_encoder()


def json_text(value: object) -> str:
    """A value as compact JSON. Raises TypeError or ValueError for what JSON can't represent, also for NaN; and
    RecursionError for what is nested too deeply."""
    if _KEPT is None:
        return _ENCODER.encode(value)
    try:
        return "".join(_KEPT(value, 0))
    except RecursionError:
        return _ENCODER.encode(value)  # raises ValueError for a value that contains itself


_SORTED_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
_KEPT_SORTED = _kept_encoder(sort_keys=True)


def canonical_json(value: object) -> str:
    """A value as compact JSON with the keys of each object in order: equal values have equal texts. Raises as
    `json_text` does."""
    if _KEPT_SORTED is None:
        return _SORTED_ENCODER.encode(value)
    try:
        return "".join(_KEPT_SORTED(value, 0))
    except RecursionError:
        return _SORTED_ENCODER.encode(value)


def json_bytes(value: object) -> bytes:
    """A value as compact JSON in UTF-8, its surrogates as `joined_surrogates` has them."""
    try:
        text = json_text(value) if _KEPT is None else "".join(_KEPT(value, 0))
    except RecursionError:
        text = json_text(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return joined_surrogates(text).encode()


_ASCII = bytes(range(128))


def utf8(text: str) -> bytes:
    """A text in UTF-8, any surrogates encoded as other characters are."""
    return text.encode("utf-8", "surrogatepass")


def beyond_ascii(text: str | bytes) -> bytes:
    """The characters of a text that ASCII has not: 10 times as quick as a search for them. text: or as `utf8` has it,
    as the result is."""
    if text.isascii():
        return b""
    return (utf8(text) if isinstance(text, str) else text).translate(None, _ASCII)


_HIDDEN = pattern(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, instead: str | None = None) -> str:
    """A text without control characters, and without those that hide or change the order of others.

    instead: what stands in the place of each; None: its name, as ⟨U+202E⟩."""
    name = (lambda found: f"⟨U+{ord(found[0]):04X}⟩") if instead is None else (lambda found: instead)
    return _HIDDEN.sub(name, text.replace("\r\n", "\n"))


def cut(text: str, max_chars: int) -> str:
    """The first `max_chars` characters, followed by an ellipsis when there are more."""
    return text if len(text) <= max_chars else text[:max_chars] + "…"


def shown(value: object, max_chars: int) -> str:
    """A value as the beginning of its JSON, for an error message."""
    try:
        return cut(json.dumps(value, ensure_ascii=False, default=str), max_chars)
    except (ValueError, RecursionError):
        return type(value).__name__


def short_repr(value: object, max_chars: int = 80) -> str:
    """The repr of a value of any size, cut after `max_chars` characters."""
    return repr(cut(value, max_chars)) if isinstance(value, str) else cut(repr(value), max_chars)


def in_a_line(text: str, max_chars: int) -> str:
    """A text on one line of at most `max_chars` characters."""
    line = " ".join(text.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def joined_surrogates(text: str) -> str:
    """A text with surrogate pairs joined to one character (a JSON stream may be cut between the two); a lone surrogate
    becomes a replacement character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def without_credentials(url: object) -> str:
    """A URL without user name and password."""
    text = str(url)
    return re.sub(r"(?<=//)[^/]*@", "", text) if "@" in text else text  # up to the last one: a password may have some


def known_options(owner: str, given: Any, options: type) -> dict[str, Any]:
    """Return keyword arguments for a dataclass of options (of `_lazy.records`). Raises TypeError naming `owner` for one
    that it has not."""
    known = parameters_of(options)
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise TypeError(f"{owner}: unexpected keyword argument {unknown!r}; valid are {', '.join(known)}")
    return dict(given)


def line_of(error: UnicodeDecodeError) -> int:
    """The line, counted from 1, of the first byte that could not be decoded."""
    return error.object.count(b"\n", 0, error.start) + 1
