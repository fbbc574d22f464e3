"""Numbers with all digits that they were written with, for what takes a Decimal: as a float a number has 17 at most."""

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_DIGITS = 100
"""Characters of the longest number that is kept as it is written."""


def takes_decimals(adapter: "TypeAdapter[Any]") -> bool:
    """Whether a Decimal is among the types that it makes."""
    waiting: list[Any] = [adapter.core_schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if each.get("type") == "decimal":
                return True
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
    return False


def as_written(values: dict[str, Any], text: str) -> dict[str, Any]:
    """The values that a JSON text was read as; numbers that a float can't hold are texts in it, of which a Decimal is
    made (and a float, where one is wanted). Where the text had to be repaired they stay as they are."""
    try:
        is_plain = json.loads(text) == values
    except ValueError:
        return values
    exact: dict[str, Any] = json.loads(text, parse_float=_number) if is_plain else values
    return exact


def in_object(value: Any, text: str) -> str:
    """The JSON of an object with a value under the key "value"; a number as it is written. text: what the value was
    read from."""
    if isinstance(value, float):
        try:
            json.loads(text)
        except ValueError:
            pass
        else:
            return f'{{"value": {text}}}'
    return json.dumps({"value": value})


def _number(text: str) -> float | str:
    value = float(text)
    is_kept = math.isfinite(value) and len(text) <= MAX_DIGITS and Decimal(text) != Decimal(repr(value))
    return text if is_kept else value
