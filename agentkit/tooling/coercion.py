"""Lossless coercion of arguments to what their JSON schema expects.

Where an integer is expected, "3" and 3.0 become 3; where a boolean is, "true" becomes true; where a list is, a single
value becomes a list with one element; a list or an object encoded as a string is decoded; of a list of allowed values,
the one that is meant is taken ("Yes" for "yes", "2" for 2, the name of an enum's member for its value); a date in words
becomes ISO 8601; null for an optional property is removed, at any depth. A string stays a string where any string is
allowed, whatever it looks like; there an object, or a list of objects, becomes its JSON text, as the content of a file.
An object whose only key is the name of its own property is what stands under that.
"""

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, field
from agentkit.tooling.dates import iso_date, iso_datetime, iso_time
from agentkit.tooling.json_repair import read_json

Path = tuple[int | str, ...]
Names = Callable[[Sequence[Any]], Mapping[str, Any]]
"""Returns the names that allowed values have beside themselves (those of an enum's members)."""

MAX_ROUNDS = 8
"""How often the arguments are looked at again after a change: what a string held may need one too."""
MAX_PATHS = 2000
"""How many values are coerced in one round."""
MAX_ALTERNATIVES = 200
"""How many schemas are looked at for one value."""
NOTHING = object()


@dataclass
class Coercion:
    """The coercion of the arguments of one call. schema: the JSON schema of the arguments. names: see `Names`.

    made: the arguments as they are now. decoded: the paths of strings that were decoded.
    """

    given: dict[str, Any]
    schema: Mapping[str, Any]
    names: Names = lambda allowed: {}
    made: dict[str, Any] = field(init=False)
    decoded: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.made = copy.deepcopy(self.given)

    def apply(self, paths: Iterable[Sequence[int | str]]) -> bool:
        """Coerce the values at the paths of errors; returns whether one was changed. Values that stand for nothing are
        removed first, and alone: what else is wrong may follow from them."""
        given = dict.fromkeys(map(tuple, islice(paths, MAX_PATHS)))
        known = [steps for path in given if (steps := _known_steps(self.made, path))]
        changed = [self._remove(steps) for steps in known]
        if not any(changed):
            changed = [self._coerce(steps) for steps in known]
        return any(changed)

    def _remove(self, steps: Path) -> bool:
        holder = _at(self.made, steps[:-1])
        if not isinstance(holder, dict) or steps[-1] not in holder:
            return False
        value = holder[steps[-1]]
        if value is not None and not _is_null_text(value):
            return False
        expected = Expected.at(self.schema, steps)
        is_text = isinstance(value, str) and expected.takes_text
        if is_text or expected.takes_null or not expected.is_property:
            return False
        del holder[steps[-1]]  # the default applies, if there is one
        return True

    def _coerce(self, steps: Path) -> bool:
        holder: Any = _at(self.made, steps[:-1])
        value = holder[steps[-1]]
        coerced = coerced_value(value, Expected.at(self.schema, steps), self.names)
        if coerced is NOTHING or (type(coerced) is type(value) and coerced == value):
            return False
        if isinstance(value, str) and isinstance(coerced, list | dict) and coerced != [value]:
            self.decoded.add(steps)
        holder[steps[-1]] = coerced
        return True


@dataclass
class Expected:
    """What a schema expects somewhere. types: the JSON types. allowed: the values, where they are listed. formats: of
    strings. is_property: whether the place is a declared property of an object. name: its name, then; "" for none.
    is_prose: whether strings there have no form of their own, such as that of a path."""

    types: set[str] = field(default_factory=set)
    allowed: list[Any] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    is_property: bool = False
    name: str = ""
    is_prose: bool = True

    @property
    def takes_null(self) -> bool:
        return "null" in self.types

    @property
    def takes_text(self) -> bool:
        """Whether any string is valid."""
        return "string" in self.types

    @classmethod
    def at(cls, schema: Mapping[str, Any], steps: Path) -> "Expected":
        """What is expected at a path, by all alternatives together."""
        nodes, is_property = _alternatives([schema], schema), False
        for step in steps:
            is_property = any(step in _mapping(node, "properties") or "prefixItems" in node for node in nodes)
            nodes = _alternatives([inner for node in nodes for inner in _inner(node, step)], schema)
        made = cls(is_property=is_property, name=str(steps[-1]) if is_property else "")
        for node in nodes:
            made._add(node)
        return made

    def _add(self, node: Mapping[str, Any]) -> None:
        if isinstance(node.get("enum"), list):
            self.allowed += node["enum"]
        elif "const" in node:
            self.allowed.append(node["const"])
        elif isinstance(node.get("format"), str) and node["format"] in _FORMATS:
            self.formats.add(node["format"])
        else:
            types = node.get("type")
            self.types |= set(types) if isinstance(types, list) else {types} if isinstance(types, str) else set()
            self.types |= {"object"} if "prefixItems" in node else set()  # a named tuple may be either
            self.is_prose = self.is_prose and "format" not in node and "pattern" not in node
        if None in self.allowed:
            self.types.add("null")


def _mapping(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = node.get(key)
    return found if isinstance(found, Mapping) else {}


def _alternatives(nodes: Iterable[Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas with those that they refer to, and those of which they are made."""
    found: dict[int, Mapping[str, Any]] = {}
    waiting = [node for node in nodes if isinstance(node, Mapping)]
    while waiting and len(found) < MAX_ALTERNATIVES:
        node = waiting.pop(0)
        if id(node) in found:
            continue
        found[id(node)] = node
        for key in ("anyOf", "oneOf", "allOf"):
            parts = node.get(key)
            waiting += [part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, Mapping)]
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            target: Any = root
            for step in reference[2:].split("/"):
                target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
            waiting += [target] if isinstance(target, Mapping) else []
    return list(found.values())


def _inner(node: Mapping[str, Any], step: int | str) -> list[Any]:
    """The schemas of what stands in a value under a key or an index."""
    if isinstance(step, str):
        declared = _mapping(node, "properties").get(step)
        return [node.get("additionalProperties") if declared is None else declared]
    first = node.get("prefixItems")
    items = node.get("items")
    if isinstance(first, list) and step < len(first):
        return [first[step]]
    return [items[step]] if isinstance(items, list) and step < len(items) else [items]


def _known_steps(value: Any, path: Iterable[Any]) -> Path:
    """The steps of a path that exist in the value (pydantic also puts names of union members in paths)."""
    steps: list[Any] = []
    for step in path:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
        ):
            value = value[step]
            steps.append(step)
    return tuple(steps)


def _at(value: Any, steps: Iterable[Any]) -> Any:
    for step in steps:
        value = value[step]
    return value


# One value


def coerced_value(value: Any, expected: Expected, names: Names = lambda allowed: {}) -> Any:
    """Returns the value as one that is expected; NOTHING when there is none, or when that would lose information."""
    if expected.allowed:
        found = _one_of(value, expected.allowed, names(expected.allowed))
        if found is not NOTHING:
            return found
    if _type_of(value) in expected.types or (isinstance(value, str) and expected.takes_text):
        return NOTHING
    if isinstance(value, dict) and list(value) == [expected.name] and "object" not in expected.types:
        return value[expected.name]
    if isinstance(value, str):
        read = _read(value, expected)
        if read is not NOTHING:
            return read
    for kind in ("array", "integer", "number", "boolean", "string"):
        if kind in expected.types:
            coerced = _MAKERS[kind](value)
            if coerced is not NOTHING:
                return coerced
    is_document = expected.is_property and expected.takes_text and expected.is_prose and _is_document(value)
    return json.dumps(value, ensure_ascii=False, indent=2) if is_document else NOTHING


def _is_document(value: Any) -> bool:
    """Whether an object or a list of objects is JSON that a model has written in the place of its text, such as the
    content of a file, and not around a text: `{"query": "x"}`, `{"type": "string", "value": "x"}`."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) and each for each in value)
    if not isinstance(value, dict) or not value.keys() - _OF_SCHEMAS:
        return False
    return len(value) > 1 or isinstance(next(iter(value.values())), list | dict)


_OF_SCHEMAS = frozenset(
    ("type", "value", "description", "title", "default", "string", "text", "name", "format", "enum")
)


def _read(text: str, expected: Expected) -> Any:
    """Returns what a string says that is more than a string: null, a date, a list or an object."""
    if expected.takes_null and _is_null_text(text, empty=True):
        return None
    for kind in expected.formats:
        made = _FORMATS[kind](text)
        if made is not None:
            return made
    decoded = _decoded(text)
    return decoded if _type_of(decoded) in expected.types else NOTHING


def _type_of(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return "null" if value is None else kinds.get(type(value), "")


def _is_null_text(value: Any, empty: bool = False) -> bool:
    words = ("null", "none", "nil", "undefined", *([""] if empty else []))
    return isinstance(value, str) and value.strip().lower() in words


def _one_of(value: Any, allowed: Sequence[Any], names: Mapping[str, Any]) -> Any:
    """Returns the one allowed value that is meant; NOTHING when it is not one."""
    if isinstance(value, list | dict):
        return NOTHING
    written = _written(value)
    forms = [(_written(each), each) for each in allowed] + [(name, each) for name, each in names.items()]
    for alike in (str, str.casefold, _bare):
        found = _distinct(each for form, each in forms if alike(form) == alike(written))
        if found:
            return found[0] if len(found) == 1 else NOTHING
    number, truth = _number(value), _truth(value)
    found = [each for each in allowed if type(each) in (int, float) and number is not NOTHING and each == number]
    found += [each for each in allowed if type(each) is bool and each is truth]
    return found[0] if len(found) == 1 else NOTHING


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({json.dumps(value, default=repr): value for value in values}.values())


def _written(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    text = value.strip()
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _bare(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.casefold())


_WHOLE = pattern(r"\s*+[+-]?\d{1,4300}+(?:\.0++)?\s*+")  # Python reads no longer one
_WHOLE_WITH_EXPONENT = pattern(r"\s*+[+-]?\d{1,15}+(?:\.\d{1,15}+)?[eE]\+?\d{1,2}+\s*+")
_DECIMAL = pattern(r"\s*+[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d{1,3}+)?\s*+")


def _array(value: Any) -> Any:
    return NOTHING if value is None else [value]


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.strip().partition(".")[0])
    if isinstance(value, str) and _WHOLE_WITH_EXPONENT.fullmatch(value):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return NOTHING


def _number(value: Any) -> Any:
    integer = _integer(value)
    if integer is not NOTHING:
        return integer
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value)
    return NOTHING


_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "y", "t", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f", "0"), False),
}
"""The words that pydantic takes for a bool."""


def _truth(value: Any) -> Any:
    is_short = isinstance(value, str) or (isinstance(value, int) and value in (0, 1))
    return _TRUTHS.get(str(value).strip().lower(), NOTHING) if is_short else NOTHING


def _string(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else NOTHING


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "array": _array,
    "integer": _integer,
    "number": _number,
    "boolean": _truth,
    "string": _string,
}
_FORMATS: dict[str, Callable[[str], str | None]] = {"date": iso_date, "date-time": iso_datetime, "time": iso_time}


def _decoded(text: str) -> Any:
    """The JSON list or object in a string, repaired if that is possible; NOTHING when there is none."""
    if not text.lstrip().startswith(("[", "{")):
        return NOTHING
    try:
        return read_json(text)
    except ValueError:
        return NOTHING
