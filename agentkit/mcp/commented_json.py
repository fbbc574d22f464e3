"""JSON as people write it into configuration files: with comments, and commas behind the last value."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any


def read_commented(text: str) -> tuple[Any, list[str]]:
    """The value of a JSON text, and sentences on what it has that JSON has not. Raises ValueError that says where it is
    no JSON."""
    notes: list[str] = []
    doubled: dict[str, None] = {}

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(given)
        if len(made) < len(given):
            counts = Counter(name for name, _ in given)
            doubled.update(dict.fromkeys(name for name in made if counts[name] > 1))
        return made

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (json.JSONDecodeError, RecursionError):
        plain = "".join(_plain(text))
        try:
            value = json.loads(plain, object_pairs_hook=pairs)
        except json.JSONDecodeError as error:
            raise ValueError(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        notes.append("it has comments or commas behind the last value, which JSON has not")
    notes += [f"{name!r} stands in one object twice: the last one counts" for name in doubled]
    return value, notes


def _plain(text: str) -> Iterator[str]:
    """The text with spaces in the place of comments, and of commas before a closing bracket."""
    place, comma = 0, False
    while place < len(text):
        end = _end_of_token(text, place)
        token = text[place:end]
        if token.startswith(("//", "/*")):
            yield "".join("\n" if each == "\n" else " " for each in token)
        elif token == ",":
            if comma:
                yield ","
            comma = True
        elif token.isspace():
            yield token
        else:
            if comma and token not in "]}":
                yield ","
            comma = False
            yield token
        place = end
    if comma:
        yield ","


def _end_of_token(text: str, start: int) -> int:
    """Where a string, a comment, or a character of another kind ends that begins there."""
    if text.startswith("//", start):
        end = text.find("\n", start)
        return len(text) if end < 0 else end
    if text.startswith("/*", start):
        end = text.find("*/", start + 2)
        return len(text) if end < 0 else end + 2
    if text[start] != '"':
        return start + 1
    place = start + 1
    while place < len(text) and text[place] not in '"\n':
        place += 2 if text[place] == "\\" else 1
    return min(place + 1, len(text))
