"""Values brought to the types that are asked for, where nothing is lost by it.

"3" is 3 where an integer is asked for, 3.0 too; "true" is true for a boolean; a bare value is a list of one; a list
or an object that was written as a string is one; null where nothing has to be given is nothing, at any depth. What is
a string and may be one stays one, whatever it looks like.
"""

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

Fault = tuple[Sequence[int | str], set[str]]
"""A place in the arguments, and the JSON types that are asked for there (none are named for other faults)."""

NOTHING = object()


def brought_to_types(given: dict[str, Any], faults: Iterable[Fault]) -> dict[str, Any]:
    """The arguments with what is wrong at each place brought to a type that is asked for there, where that can be."""
    made = copy.deepcopy(given)
    for place, wanted in faults:
        steps = _known_steps(made, place)
        if not steps:
            continue
        holder: Any = _at(made, steps[:-1])
        value = holder[steps[-1]]
        if value is None and isinstance(holder, dict):
            del holder[steps[-1]]  # the default, if there is one
            continue
        coerced = brought_to_type(value, wanted)
        if coerced is not NOTHING:
            holder[steps[-1]] = coerced
    return made


def brought_to_type(value: Any, wanted: set[str]) -> Any:
    """The value as one of the types; NOTHING when something would be lost."""
    for kind in ("array", "object", "integer", "number", "boolean", "string"):
        if kind in wanted:
            coerced = _MAKERS[kind](value)
            if coerced is not NOTHING:
                return coerced
    return NOTHING


def _known_steps(value: Any, place: Sequence[Any]) -> list[Any]:
    """The steps of a place that lead through what is there (pydantic's have the names of unions in them too)."""
    steps: list[Any] = []
    for step in place:
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
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,300}(?:\.0+)?\s*", value):
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
