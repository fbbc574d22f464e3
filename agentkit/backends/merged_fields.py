"""Fields of a reply, and of its calls, that a server streams in deltas which are no plain text."""

from collections.abc import Mapping
from typing import Any

_GROWING = ("text", "summary", "data", "thinking")
"""The texts of an entry of a list that deltas continue."""


class MergedField:
    """Merges a field with its deltas: lists grow (deltas with the same index and type are one entry), dicts are merged,
    strings of entries are joined; any other value is replaced. Adding takes time for the delta, and not for what was
    before."""

    def __init__(self) -> None:
        self._value: Any = None
        self._places: dict[tuple[str, str], int] = {}  # of the entries of a list that have an index
        self._pieces: dict[tuple[int, str], list[str]] = {}  # what texts of entries grow by

    def add(self, new: Any) -> None:
        """Add a delta."""
        if isinstance(new, list):
            if not isinstance(self._value, list):
                self._value, self._places, self._pieces = [], {}, {}
            for entry in new:
                place = self._place_of(entry)
                if place is None:
                    self._append(entry)
                else:
                    self._join(place, entry)
        elif isinstance(self._value, dict) and isinstance(new, dict):
            self._value.update(new)
        else:
            self.put(dict(new) if isinstance(new, dict) else new)

    def put(self, value: Any) -> None:
        """Take a whole value, as it is."""
        self._value, self._places, self._pieces = value, {}, {}

    @property
    def value(self) -> Any:
        """The field as a whole."""
        for (place, key), pieces in self._pieces.items():
            self._value[place][key] = "".join(pieces)
        self._pieces = {}
        return self._value

    def _place_of(self, entry: Any) -> int | None:
        """The entry that a delta continues. OpenRouter streams `reasoning_details` with one `index` and `type`, LiteLLM
        `thinking_blocks` without an index, each of which ends with its signature."""
        if not isinstance(entry, dict):
            return None
        if "index" in entry:
            return self._places.get(_named(entry))
        last = self._value[-1] if self._value else None
        if not isinstance(last, dict) or last.get("signature"):
            return None
        return len(self._value) - 1 if last.get("type") == entry.get("type") == "thinking" else None

    def _append(self, entry: Any) -> None:
        if isinstance(entry, dict) and "index" in entry:
            self._places[_named(entry)] = len(self._value)
        self._value.append(dict(entry) if isinstance(entry, dict) else entry)

    def _join(self, place: int, entry: Mapping[str, Any]) -> None:
        known = self._value[place]
        for key, value in entry.items():
            if key in _GROWING and isinstance(known.get(key), str) and isinstance(value, str):
                self._pieces.setdefault((place, key), [known[key]]).append(value)
            elif value is not None:
                known[key] = value
                self._pieces.pop((place, key), None)


def _named(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry["index"]), str(entry.get("type"))


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

    def put(self, name: str, value: Any) -> None:
        """Take a field that is whole, as it is."""
        field = self._fields[name] = MergedField()
        field.put(value)

    def values(self) -> dict[str, Any]:
        """The fields as wholes."""
        return {name: field.value for name, field in self._fields.items()}
