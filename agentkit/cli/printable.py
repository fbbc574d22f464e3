"""Texts of others as a terminal may show them."""

from agentkit._lazy.patterns import pattern

_CONTROL = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Returns the text without control characters, which could move the cursor or change colours."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))
