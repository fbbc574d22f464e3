"""The `inputSchema` of a tool, made usable: what a server sends there is mostly a JSON schema of an object."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from agentkit._text import in_a_line
from agentkit.tooling.schema_forms import Schema, changed, normal

MAX_SIZE = 200_000
"""Maximum characters of a schema."""
MAX_DEPTH = 60
"""Maximum levels of schemas in each other."""
MAX_REFERENCES = 500
MAX_PLACES = 200
"""Maximum places of a tuple that have schemas of their own."""
MAX_CHANGES = 5
"""How many changes are told."""
MAX_WORK = 5_000
"""How many schemas may apply to one value, those counted twice that are reached twice."""

_TYPES = frozenset(("object", "array", "string", "number", "integer", "boolean", "null"))
_NAMED = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"))
_LISTED = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_SINGLE = frozenset(
    (
        *("additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "additionalItems"),
        *("unevaluatedItems", "unevaluatedProperties"),
    )
)
_COUNTS = frozenset(
    (
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        *("minContains", "maxContains"),
    )
)
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_TEXTS = frozenset(("title", "description", "format", "$schema", "$id", "$anchor", "pattern", "$comment"))
_NOT_CHECKED = frozenset(("pattern", "patternProperties", "$schema", "$id"))


class UnusableSchemaError(ValueError):
    """A schema of which none can be made; the message completes the sentence "its inputSchema ..."."""


def usable(given: Any) -> tuple[Schema, list[str]]:
    """A valid schema of an object, as the server sent it where that is one, and what had to be changed.

    References to other documents, which are never fetched, become schemas that allow everything. Raises
    UnusableSchemaError for what describes no object, is too large or too deep.
    """
    if given is None or given == [] or given is True:
        given = {}
    if not isinstance(given, Mapping):
        raise UnusableSchemaError(f"is no JSON schema of an object, but {in_a_line(json.dumps(given), 60)}")
    try:
        size = len(json.dumps(given))
    except (ValueError, RecursionError):
        size = MAX_SIZE + 1
    if size > MAX_SIZE:
        raise UnusableSchemaError(f"has more than {MAX_SIZE:,} characters, or is nested too deeply")
    repair = _Repair(given)
    made = repair.schema(given)
    kind = given.get("type") or "object"
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise UnusableSchemaError(f"describes no object, but {in_a_line(json.dumps(kind), 60)}")
    made["type"] = "object"
    made.setdefault("properties", {})
    return made, repair.changes


def checked_here(schema: Schema) -> Schema:
    """What of a usable schema arguments are checked against before the server checks them: all but its patterns, which
    could take for ever; its outer level alone where references lead in a circle, or to very many schemas for one value.
    """
    work = _Work()
    try:
        made = changed(normal(schema), work.without_patterns)
        is_bounded = work.is_bounded(made)
    except RecursionError:
        is_bounded = False
    return made if is_bounded else _outer(schema)


def _outer(schema: Schema) -> Schema:
    properties = {name: _flat(each) for name, each in schema["properties"].items()}
    required = [name for name in schema.get("required", ()) if name in properties]
    return {"type": "object", "properties": properties, "required": required}


def _flat(schema: Any) -> Schema:
    kept = ("type", "enum", "description")
    return {key: value for key, value in schema.items() if key in kept} if isinstance(schema, Mapping) else {}


class _Repair:
    """Makes a schema valid: a keyword whose value is none that it may have is left out. changes: what was changed."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.changes: list[str] = []
        self._root = root
        self._references = 0

    def schema(self, given: Mapping[str, Any], place: str = "", depth: int = 0) -> Schema:
        """One schema inside the root."""
        if depth > MAX_DEPTH:
            raise UnusableSchemaError(f"has more than {MAX_DEPTH} levels")
        made: Schema = {}
        for key, value in given.items():
            where = f"{place}/{key}"
            kept = self._kept(key, value, where, depth)
            if kept is None:
                self._change(where, value)
            elif kept is not _LEFT_OUT:
                made[key] = kept
        return self._with_possible_values(made, place)

    def _with_possible_values(self, made: Schema, place: str) -> Schema:
        """A schema whose `enum` stands where it can be met: that of the items of a list beside the list, or that of an
        alternative beside null, are written by some generators, and nothing would be valid."""
        kind, values = made.get("type"), made.get("enum")
        if kind not in ("array", "null") or not isinstance(values, list):
            return made
        if any(isinstance(each, list) if kind == "array" else each is None for each in values):
            return made
        self._change(f"{place}/enum", values)
        kept = {key: each for key, each in made.items() if key != "enum"}
        items = kept.get("items", {})
        is_of_items = kind == "array" and isinstance(items, dict) and "enum" not in items
        return {**kept, "items": {**items, "enum": values}} if is_of_items else kept

    def _kept(self, key: str, value: Any, where: str, depth: int) -> Any:
        """The value of a keyword as it may be; None for one that it may not have."""
        if key in _NAMED:
            return self._named(value, where, depth)
        if key in _LISTED or (key == "items" and isinstance(value, list)):
            return self._listed(key, value, where, depth)
        if key in _SINGLE or key == "items":
            return self._single(value, where, depth)
        if key == "$ref":
            return self._reference(value)
        check = _CHECKS.get(key)
        return value if check is None or check(value) else _LEFT_OUT if value is None else None

    def _named(self, value: Any, where: str, depth: int) -> Any:
        if value == [] or value is None:  # how PHP and R write an empty object
            return {}
        if not isinstance(value, Mapping):
            return None
        return {name: self._each(each, f"{where}/{name}", depth) for name, each in value.items()}

    def _listed(self, key: str, value: Any, where: str, depth: int) -> Any:
        if not isinstance(value, list) or not value:
            return None if value else _LEFT_OUT
        if key in ("prefixItems", "items") and len(value) > MAX_PLACES:
            return None
        return [self._each(each, f"{where}/{number}", depth) for number, each in enumerate(value)]

    def _single(self, value: Any, where: str, depth: int) -> Any:
        return value if isinstance(value, bool) else self._each(value, where, depth)

    def _each(self, value: Any, where: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self.schema(value, where, depth + 1)
        if isinstance(value, bool):
            return value
        self._change(where, value)
        return {}

    def _reference(self, value: Any) -> Any:
        self._references += 1
        if self._references > MAX_REFERENCES:
            raise UnusableSchemaError(f"has more than {MAX_REFERENCES} references")
        return value if isinstance(value, str) and _leads_somewhere(self._root, value) else None

    def _change(self, where: str, value: Any) -> None:
        if len(self.changes) < MAX_CHANGES:
            self.changes.append(f"{in_a_line(where, 100)}: {in_a_line(json.dumps(value), 60)}")


_LEFT_OUT: Any = object()


def _is_count(value: Any) -> bool:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_whole and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(value: Any) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(each, str) and each in _TYPES for each in kinds)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_COUNTS, _is_count),
    **dict.fromkeys(_NUMBERS, _is_number),
    **dict.fromkeys(_TEXTS, lambda value: isinstance(value, str)),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "type": _is_type,
    "required": _are_texts,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "uniqueItems": lambda value: isinstance(value, bool),
    "dependentRequired": lambda value: isinstance(value, Mapping) and all(map(_are_texts, value.values())),
    "dependencies": lambda value: False,
    "$dynamicRef": lambda value: False,
    "$recursiveRef": lambda value: False,
    "$vocabulary": lambda value: False,
}


def _leads_somewhere(root: Mapping[str, Any], reference: str) -> bool:
    """Whether a reference leads to a schema in this document."""
    if reference == "#":
        return True
    if not reference.startswith("#/"):
        return False
    found: Any = root
    for step in unquote(reference)[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and re.fullmatch("[0-9]{1,6}", step) and int(step) < len(found):
            found = found[int(step)]
        else:
            return False
    return isinstance(found, Mapping | bool)


class _Work:
    """Counts how many schemas apply to one value, in a schema in normal form. A circle is more than any number."""

    def __init__(self) -> None:
        self._schemas: list[Schema] = []
        self._definitions: Mapping[str, Schema] = {}
        self._known: dict[int | str, int] = {}
        self._inside: set[int | str] = set()

    def without_patterns(self, schema: Schema) -> Schema:
        """A schema without its patterns, which is counted."""
        made = {key: value for key, value in schema.items() if key not in _NOT_CHECKED}
        if schema.get("patternProperties"):
            made.pop("additionalProperties", None)
            made.pop("unevaluatedProperties", None)
        self._schemas.append(made)
        return made

    def is_bounded(self, root: Schema) -> bool:
        """Whether it is at most MAX_WORK for each of the schemas in the root."""
        self._definitions = root.get("$defs", {})
        return all(self._of(each) <= MAX_WORK for each in self._schemas)

    def _of(self, schema: Schema) -> int:
        key = schema["$ref"] if "$ref" in schema else id(schema)
        if key in self._inside:
            return MAX_WORK + 1
        if key not in self._known:
            self._inside.add(key)
            self._known[key] = min(MAX_WORK, sum(self._of(each) for each in self._in_place(schema))) + 1
            self._inside.discard(key)
        return self._known[key]

    def _in_place(self, schema: Schema) -> Iterator[Schema]:
        for key in ("anyOf", "oneOf", "allOf"):
            yield from schema.get(key, ())
        for key in ("not", "if", "then", "else"):
            if isinstance(schema.get(key), dict):
                yield schema[key]
        yield from schema.get("dependentSchemas", {}).values()
        if "$ref" in schema:
            yield self._definitions[schema["$ref"].removeprefix("#/$defs/")]
