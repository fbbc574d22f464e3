"""Lossless coercion of values to the expected types.

Where an integer is expected, "3" and 3.0 become 3; where a boolean is, "true" becomes true; where a list is, a single
value becomes a list with one element; a list or an object encoded as a string is decoded; null for an optional property
is removed, at any depth. A string stays a string where a string is allowed, whatever it looks like.
"""

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

TypeMismatch = tuple[Sequence[int | str], set[str]]
"""A path in the arguments, and the JSON types expected there (empty for errors of other kinds)."""

NOTHING = object()


def coerce_all(given: dict[str, Any], mismatches: Iterable[TypeMismatch]) -> dict[str, Any]:
    """Returns the arguments with the value at each path coerced to a type expected there, where that is possible."""
    made = copy.deepcopy(given)
    for path, expected in mismatches:
        steps = _known_steps(made, path)
        if not steps:
            continue
        holder: Any = _at(made, steps[:-1])
        value = holder[steps[-1]]
        if value is None and isinstance(holder, dict):
            del holder[steps[-1]]  # the default applies, if there is one
            continue
        coerced = coerced_value(value, expected)
        if coerced is not NOTHING:
            holder[steps[-1]] = coerced
    return made


def coerced_value(value: Any, expected: set[str]) -> Any:
    """Returns the value as one of the types; NOTHING when that would lose information."""
    for kind in ("array", "object", "integer", "number", "boolean", "string"):
        if kind in expected:
            coerced = _MAKERS[kind](value)
            if coerced is not NOTHING:
                return coerced
    return NOTHING


def _known_steps(value: Any, path: Sequence[Any]) -> list[Any]:
    """Returns the steps of a path that exist in the value (pydantic also puts names of union members in paths)."""
    steps: list[Any] = []
    for step in path:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
        ):
            value = value[step]
            steps.append(step)
    return steps


def _at(value: Any, steps: Sequence[Any]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _array(value: Any) -> Any:
    if isinstance(value, str):
        decoded = _decoded(value)
        if isinstance(decoded, list):
            return decoded
    return NOTHING if isinstance(value, list) or value is None else [value]


def _object(value: Any) -> Any:
    decoded = _decoded(value) if isinstance(value, str) else None
    return decoded if isinstance(decoded, dict) else NOTHING


def _integer(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,4300}(?:\.0+)?\s*", value):
        return int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return NOTHING


def _number(value: Any) -> Any:
    integer = _integer(value)
    if integer is not NOTHING:
        return integer
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*", value):
        return float(value)
    return NOTHING


def _boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), NOTHING) if isinstance(value, str) else NOTHING


def _string(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else NOTHING


_MAKERS = {
    "array": _array,
    "object": _object,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
