"""Decodes a JSON string that arrives in pieces, so that an answer is shown as it grows."""

import json

from agentkit._lazy.patterns import pattern
from agentkit._text import joined_surrogates

_STOP = pattern(r'["\\]')
_LENGTHS = {"u": 6}
_HIGH = pattern(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_ESCAPE = pattern(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])')


class JsonString:
    """Decodes what follows the opening quotation mark. rest: what follows the closing one; None before it has come."""

    def __init__(self) -> None:
        self._held = ""
        self.rest: str | None = None

    def feed(self, text: str) -> str:
        """Decode more of the string; an escape is returned when it is complete."""
        text, self._held = self._held + text, ""
        made: list[str] = []
        start = 0
        while found := _STOP.search(text, start):
            made.append(text[start : found.start()])
            start = found.start()
            if found.group() == '"':
                self.rest = text[start + 1 :]
                return "".join(made)
            end = _end_of_escape(text, start)
            if end > len(text):
                self._held = text[start:]
                return "".join(made)
            made.append(_decoded(text[start:end]))
            start = end
        made.append(text[start:])
        return "".join(made)


def _end_of_escape(text: str, start: int) -> int:
    """Where an escape ends; of two that make one character, the second. Behind the text's end if it may go on."""
    end = start + _LENGTHS.get(text[start + 1 : start + 2], 2)
    if not _HIGH.match(text, start) or not "\\u".startswith(text[end : end + 2]):
        return end
    return end + 6


def _decoded(escape: str) -> str:
    """The characters of an escape; one that JSON does not have is kept as it is."""
    if not all(map(_ESCAPE.fullmatch, (escape[:6], escape[6:])) if len(escape) > 6 else [_ESCAPE.fullmatch(escape)]):
        return escape
    return joined_surrogates(str(json.loads(f'"{escape}"')))
