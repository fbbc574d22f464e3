"""Fields of a reply, and of its calls, that a server streams in deltas which are no plain text."""

from collections.abc import Mapping
from typing import Any

_GROWING = ("text", "summary", "data")
"""The texts of an entry of a list that deltas continue."""


class MergedField:
    """Merges a field with its deltas: lists grow (deltas with the same index are one entry), dicts are merged, strings
    of entries are joined; any other value is replaced. Adding takes time for the delta, and not for what was before."""

    def __init__(self) -> None:
        self._value: Any = None
        self._pieces: dict[str, list[str]] = {}  # of the last entry of a list

    def add(self, new: Any) -> None:
        """Add a delta."""
        if isinstance(new, list):
            if not isinstance(self._value, list):
                self._value, self._pieces = [], {}
                if new:  # a list that begins is taken as it is
                    self._value += new[:-1]
                    self._append(new[-1])
                return
            for entry in new:
                if self._value and isinstance(entry, dict) and _continues(self._value[-1], entry):
                    self._join(entry)
                else:
                    self._append(entry)
        elif isinstance(self._value, dict) and isinstance(new, dict):
            self._value.update(new)
        else:
            self._value = dict(new) if isinstance(new, dict) else new
            self._pieces = {}

    @property
    def value(self) -> Any:
        """The field as a whole."""
        self._settle()
        return self._value

    def _append(self, entry: Any) -> None:
        self._settle()
        self._value.append(dict(entry) if isinstance(entry, dict) else entry)

    def _join(self, entry: Mapping[str, Any]) -> None:
        last = self._value[-1]
        for key, value in entry.items():
            if key in _GROWING and isinstance(last.get(key), str) and isinstance(value, str):
                self._pieces.setdefault(key, [last[key]]).append(value)
            elif value is not None:
                last[key] = value
                self._pieces.pop(key, None)

    def _settle(self) -> None:
        """Put the texts of the last entry together."""
        for key, pieces in self._pieces.items():
            self._value[-1][key] = "".join(pieces)
        self._pieces = {}


class MergedFields:
    """Fields by their names."""

    def __init__(self) -> None:
        self._fields: dict[str, MergedField] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __bool__(self) -> bool:
        return bool(self._fields)

    def add(self, name: str, value: Any) -> None:
        """Add a delta of a field."""
        field = self._fields.get(name)
        if field is None:
            field = self._fields[name] = MergedField()
        field.add(value)

    def values(self) -> dict[str, Any]:
        """The fields as wholes."""
        return {name: field.value for name, field in self._fields.items()}


def _continues(last: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a delta continues the last entry: OpenRouter streams `reasoning_details` with one `index` and `type`."""
    if not isinstance(last, dict) or "index" not in entry:
        return False
    return bool(last.get("index") == entry["index"] and last.get("type") == entry.get("type"))
