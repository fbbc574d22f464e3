"""Texts: compact JSON, and texts for messages: cut short, in one line, and addresses without passwords."""

import json
import re

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_text(value: object) -> str:
    """A value as compact JSON. Raises TypeError or ValueError for what JSON can't hold, NaN and infinity among it."""
    return _ENCODER.encode(value)


def json_bytes(value: object) -> bytes:
    """A value as compact JSON in UTF-8; what UTF-8 can't hold (half of a surrogate pair) becomes "?"."""
    return json_text(value).encode("utf-8", "replace")


def cut(text: str, max_chars: int) -> str:
    """The first so many characters, with a sign where there are more."""
    return text if len(text) <= max_chars else text[:max_chars] + "…"


def in_a_line(text: str, max_chars: int) -> str:
    """A text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def joined_surrogates(text: str) -> str:
    """A text whose letters beyond the Basic Multilingual Plane came as two halves (a JSON stream may be cut between
    them); half of one alone becomes a replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def without_credentials(url: object) -> str:
    """An address without a user's name and password."""
    return re.sub(r"(?<=//)[^/@]*@", "", str(url))
