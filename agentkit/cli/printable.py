"""Texts of others as a terminal may show them, and JSON that loses none of them."""

import json
from typing import Any

from agentkit._lazy.patterns import pattern

_CONTROL = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Returns the text without control characters, which could move the cursor or change colours."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def encodable_json(value: Any, encoding: str | None) -> str:
    """Returns a value as JSON: in ASCII where an encoding (None: UTF-8) lacks one of its letters, or has none for half
    a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, indent=2)
    return text
