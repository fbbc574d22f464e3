"""JSON whose numbers keep all their digits, and whose objects keep the keys that stand in them twice."""

import json
from collections.abc import Iterator
from typing import Any


class Number(str):
    """A number as it is written; `float` would change many."""


class Members(tuple[tuple[str, Any], ...]):
    """The keys and values of an object, in their order."""


def parsed(text: str) -> Any:
    """A JSON document: None, booleans, texts and lists as usual, `Number` and `Members`. Raises ValueError, and
    RecursionError for what is nested too deeply."""
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number, object_pairs_hook=Members)


def indented(value: Any) -> str:
    """A document that was `parsed`, a value a line. Raises RecursionError."""
    return "".join(_pieces(value, "\n"))


def _pieces(value: Any, line: str) -> Iterator[str]:
    """line: the end of the line before and the indent."""
    if isinstance(value, Number):
        yield value
    elif isinstance(value, Members):
        yield from _within("{}", line, ((f"{_quoted(key)}: ", each) for key, each in value))
    elif isinstance(value, list):
        yield from _within("[]", line, (("", each) for each in value))
    else:
        yield _quoted(value)


def _within(brackets: str, line: str, parts: Iterator[tuple[str, Any]]) -> Iterator[str]:
    begun = False
    for name, value in parts:
        yield f"{',' if begun else brackets[0]}{line} {name}"
        yield from _pieces(value, f"{line} ")
        begun = True
    yield f"{line}{brackets[1]}" if begun else brackets


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
