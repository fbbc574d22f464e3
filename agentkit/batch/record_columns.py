"""Records as rows of a table: which columns they have, and of what type each is."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentkit._text import joined_surrogates, json_text
from agentkit.batch.item import Record

FIXED = {
    "id": "text",
    "ok": "bool",
    "output": "text",
    "stopped": "text",
    "citations": "text",
    "usage.requests": "int",
    "usage.input_tokens": "int",
    "usage.output_tokens": "int",
    "cost": "float",
    "seconds": "float",
    "attempts": "int",
    "refusals": "int",
    "error.type": "text",
    "error.message": "text",
    "error.status": "int",
}
"""The columns that every table has, and their types where the records have no others."""
LEVELS = {"usage": 1, "error": 1, "item": 1, "scores": 2}
"""Fields whose own fields are columns, named with dots, and how many levels deep."""
MAX_COLUMNS = 500
"""A field with more fields of its own is one column, of JSON."""
_LARGEST = {"int": (1 << 63) - 1, "float": 1 << 53}


def cells_of(record: Record, levels: Mapping[str, int] = LEVELS) -> dict[str, Any]:
    """The values of a record by the names of their columns."""
    cells: dict[str, Any] = {}
    for name, value in record.items():
        cells.update(_flat(name, value, levels.get(name, 0)))
    return cells


def _flat(name: str, value: Any, levels: int) -> Iterator[tuple[str, Any]]:
    if levels == 0 or not isinstance(value, Mapping):
        if value is not None or levels == 0:
            yield name, value
        return
    for inner, each in value.items():
        yield from _flat(f"{name}.{inner}", each, levels - 1)


class Columns:
    """The columns of all records of a file. types: "text", "bool", "int" or "float", by their names, in their order."""

    def __init__(self, records: Iterable[Record]) -> None:
        found: dict[str, set[str]] = {}
        levels = dict(LEVELS)
        for record in records:
            _widen(found, cells_of(record, levels))
            if len(found) > MAX_COLUMNS:
                _fold(found, levels)
        self._levels = levels
        known = [name for name in FIXED if name in found or name.partition(".")[0] in levels or "." not in name]
        others = sorted((name for name in found if name not in FIXED), key=lambda name: name.startswith("item"))
        self.types = {name: _type_of(found.get(name, set()), FIXED.get(name)) for name in [*known, *others]}

    def row(self, record: Record) -> list[Any]:
        """The values of a record in the order of the columns, each of the type of its column, or None."""
        cells = cells_of(record, self._levels)
        return [_as_type(cells.get(name), type_) for name, type_ in self.types.items()]


def _widen(found: dict[str, set[str]], cells: Mapping[str, Any]) -> None:
    for name, value in cells.items():
        found.setdefault(name, set()).add(_kind_of(value))


def _fold(found: dict[str, set[str]], levels: dict[str, int]) -> None:
    """Make one column of the field that has most."""
    counts = {field: sum(name.startswith(f"{field}.") for name in found) for field in levels}
    most = max(counts, key=lambda field: counts[field])
    if counts[most] * 2 < MAX_COLUMNS:
        return
    for name in [name for name in found if name.startswith(f"{most}.")]:
        del found[name]
    del levels[most]
    found[most] = {"text"}


def _kind_of(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "large" if abs(value) > _LARGEST["int"] else "int" if abs(value) <= _LARGEST["float"] else "long"
    return "float" if isinstance(value, float) else "text"


def _type_of(kinds: set[str], usual: str | None) -> str:
    kinds = kinds - {"none"}
    found = "text"
    if kinds == {"bool"}:
        found = "bool"
    elif kinds and kinds <= {"int", "long"}:
        found = "int"
    elif kinds and kinds <= {"int", "float"}:
        found = "float"
    can_be_usual = not kinds or usual in (found, "text") or (usual == "float" and kinds <= {"int", "float"})
    return usual if usual is not None and can_be_usual else found


def _as_type(value: Any, type_: str) -> Any:
    if value is None:
        return None
    if type_ == "float":
        return float(value) if math.isfinite(value) else None
    if type_ != "text":
        return value
    return joined_surrogates(value if isinstance(value, str) else json_text(value))
