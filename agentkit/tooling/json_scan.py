"""Finds where a JSON value ends that arrives in chunks, without reading it."""

import functools
import re


@functools.cache
def _patterns(quotes: str, opening: str) -> tuple["re.Pattern[str]", dict[str, "re.Pattern[str]"]]:
    """What is looked for outside of strings, and inside of those in each kind of quotation marks."""
    closing = opening.translate(str.maketrans("{[(", "}])"))
    inside = {quote: re.compile(f"[{quote}\\\\]") for quote in quotes}
    return re.compile(f"[{re.escape(quotes + opening + closing)}]"), inside


class JsonScan:
    """Scans a value that begins with a bracket; what stands before the bracket is skipped. Each character is scanned
    once, and all that is kept is the number of open brackets.

    quotes: the quotation marks of strings. parentheses: whether they count as brackets, as in Python.
    """

    def __init__(self, quotes: str = '"', parentheses: bool = False) -> None:
        self._opening = "{[(" if parentheses else "{["
        self._outside, self._inside = _patterns(quotes, self._opening)
        self._quote = ""
        self._escaped = False
        self._depth = 0

    def feed(self, text: str) -> int | None:
        """Return the position in this chunk after the bracket that ends the value; None while the value continues.

        A closing bracket that nothing opened ends it too. Text after the end is not scanned.
        """
        start = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        while found := (self._inside[self._quote] if self._quote else self._outside).search(text, start):
            character = found.group()
            start = found.end()
            if character == "\\":
                self._escaped = start == len(text)
                start += 1
            elif self._quote:
                self._quote = ""
            elif character in self._inside:
                self._quote = character
            elif character in self._opening:
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth <= 0:
                    return start
        return None
