"""Rewrites JSON schemas: to one form that says the same, and to forms that say it in fewer keywords."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from agentkit._lazy.patterns import pattern

Schema = dict[str, Any]

_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "contains", "propertyNames", "additionalProperties", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_RANGES = (
    *(("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"), ("minimum", "maximum")),
    *(("exclusiveMinimum", "exclusiveMaximum"), ("minimum", "exclusiveMaximum"), ("exclusiveMinimum", "maximum")),
)
MAX_COUNT = 1999
"""The largest repetition that llama.cpp's grammars take."""
MAX_INLINED = 3000
"""Maximum schemas that inlining the references of one makes; a reference beyond is an object of any kind."""


def changed(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A schema in normal form with a change made to each schema in it, inner ones first."""
    made = dict(schema)
    for key in _NAMED:
        if key in made:
            made[key] = {name: changed(each, change) for name, each in made[key].items()}
    for key in _LISTED:
        if key in made:
            made[key] = [changed(each, change) for each in made[key]]
    for key in _SINGLE:
        if isinstance(made.get(key), dict):
            made[key] = changed(made[key], change)
    return change(made)


def normal(schema: Mapping[str, Any]) -> Schema:
    """The same schema in a form that more servers read: definitions under `$defs`, references to these alone and
    without
    other keywords beside them, no schemas `true` and `false`, no empty lists, tuples as `prefixItems`."""
    return _Normal(schema).root()


class _Normal:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._circles: dict[str, bool] = {}
        self._waiting: list[tuple[str, Any]] = []

    def root(self) -> Schema:
        made = self.schema({key: each for key, each in self._root.items() if key not in ("$defs", "definitions")})
        definitions: Schema = {}
        while self._waiting:
            name, target = self._waiting.pop(0)
            definitions[name] = self.schema(target)
        return {**made, "$defs": definitions} if definitions else made

    def schema(self, given: Any) -> Schema:
        """One schema inside the root in normal form."""
        if not isinstance(given, Mapping):
            return {"not": {}} if given is False else {}
        if "$ref" in given:
            return self._reference(given)
        made: Schema = {}
        for key, value in given.items():
            if key in ("$defs", "definitions", "additionalItems"):
                continue
            if key in _NAMED and isinstance(value, Mapping):
                made[key] = {name: self.schema(each) for name, each in value.items() if each is not False}
            elif key in _LISTED and isinstance(value, list):
                made[key] = [self.schema(each) for each in value if each is not False or key == "prefixItems"]
            elif key in _SINGLE:
                made |= self._single(key, value)
            elif key in _COUNTS and isinstance(value, float) and value.is_integer():
                made[key] = int(value)
            else:
                made[key] = value
        if False in (given.get("items"), given.get("additionalItems")):  # a tuple with nothing behind it
            made.setdefault("maxItems", len(made.get("prefixItems", ())))
        return {key: value for key, value in made.items() if value != [] or key not in (*_LISTED, *_LISTS)}

    def _single(self, key: str, value: Any) -> Schema:
        if key == "items" and isinstance(value, list):  # a tuple before the draft of 2020
            return {"prefixItems": [self.schema(each) for each in value]}
        if isinstance(value, Mapping) or (value is True and key == "items"):
            return {key: self.schema(value)}
        if key in ("additionalProperties", "unevaluatedProperties"):
            return {key: value}
        return {}

    def _reference(self, given: Mapping[str, Any]) -> Schema:
        """A reference to a definition under `$defs`; with keywords beside it, the only one of several alternatives."""
        reference, siblings = given["$ref"], {key: each for key, each in given.items() if key not in ("$ref", "$defs")}
        target = self._target(reference)
        if target is None or self._is_circle(reference):
            said = f"{siblings.get('description', '')} ({reference})".strip()
            return self.schema({**siblings, "description": said})
        if reference not in self._names:
            self._names[reference] = self._new_name(reference)
            self._waiting.append((self._names[reference], target))
        made = {"$ref": f"#/$defs/{self._names[reference]}"}
        if not siblings:
            return made
        return {**self.schema(siblings), "allOf" if "anyOf" in siblings else "anyOf": [made]}

    def _is_circle(self, reference: str) -> bool:
        """Whether a reference leads to nothing but itself."""
        seen: dict[str, None] = {}
        while reference not in seen and reference not in self._circles:
            seen[reference] = None
            target = self._target(reference)
            following = target.get("$ref") if isinstance(target, Mapping) else None
            if not isinstance(following, str):
                self._circles[reference] = False
            else:
                reference = following
        is_circle = self._circles.get(reference, True)
        self._circles.update(dict.fromkeys(seen, is_circle))
        return is_circle

    def _new_name(self, reference: str) -> str:
        name = re.sub(r"[^a-zA-Z0-9_.-]", "_", unquote(reference.rpartition("/")[2]).lstrip("#")) or "root"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _target(self, reference: Any) -> Any:
        """What a reference leads to; None for what is not in this document."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        if reference != "#" and not reference.startswith("#/"):
            return next((each for each in _within(self._root) if each.get("$anchor") == reference[1:]), None)
        found: Any = self._root
        for step in unquote(reference).split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, Mapping) and step in found:
                found = found[step]
            else:
                return None
        if reference == "#":
            return {key: each for key, each in self._root.items() if key not in ("$defs", "definitions")}
        return found


_LISTS = ("enum", "type", "required", "examples")


def _within(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _within(each)


def inlined(schema: Schema) -> Schema:
    """A schema in normal form without references: each is replaced by its target, and one that leads to itself by an
    object of any kind."""
    definitions = schema.get("$defs", {})
    left = MAX_INLINED

    def replaced(each: Schema, outer: tuple[str, ...]) -> Schema:
        nonlocal left
        left -= 1
        name = str(each.get("$ref", "")).rpartition("/")[2]
        if name:
            if name in outer or left < 0:
                return {"type": "object", "description": f"a {name}, as above"}
            return replaced(definitions.get(name, {}), (*outer, name))
        made = dict(each)
        for key in _NAMED:
            if key in made:
                made[key] = {inner: replaced(value, outer) for inner, value in made[key].items()}
        for key in _LISTED:
            if key in made:
                made[key] = [replaced(value, outer) for value in made[key]]
        for key in _SINGLE:
            if isinstance(made.get(key), dict):
                made[key] = replaced(made[key], outer)
        return made

    return replaced({key: value for key, value in schema.items() if key != "$defs"}, ())


def merged(schema: Schema) -> Schema:
    """A schema with its `allOf` merged into it, as far as that says the same."""
    if "allOf" not in schema:
        return schema
    made: Schema = {}
    for each in (*schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}):
        for key, value in each.items():
            if key == "properties":
                made[key] = {**made.get(key, {}), **value}
            elif key == "required":
                made[key] = list(dict.fromkeys([*made.get(key, ()), *value]))
            else:
                made[key] = value
    return made


_NOT_AT_THE_TOP = ("anyOf", "oneOf", "allOf", "enum", "const", "not", "if", "then", "else")


def flat_root(schema: Schema) -> Schema:
    """The schema of an object without alternatives at its top: the properties of all of them, and a note on which go
    together."""
    definitions = schema.get("$defs", {})
    choices = [_target_of(each, definitions) for key in ("anyOf", "oneOf") for each in schema.get(key, ())]
    together = [_target_of(each, definitions) for each in schema.get("allOf", ())]
    made = merged({**{key: each for key, each in schema.items() if key not in _NOT_AT_THE_TOP}, "allOf": together})
    properties, required = dict(made.get("properties", {})), list(made.get("required", ()))
    for each in choices:
        for name, inner in each.get("properties", {}).items():
            properties.setdefault(name, inner)
    groups = [" and ".join(each["required"]) for each in choices if each.get("required")]
    if groups:
        shared = set.intersection(*(set(each.get("required", ())) for each in choices))
        required += [name for name in properties if name in shared and name not in required]
        made = noted({**made, "one of": " | ".join(groups)}, "one of")
    made = {key: each for key, each in made.items() if key not in ("type", "properties", "required")}
    return {"type": "object", "properties": properties, **({"required": required} if required else {}), **made}


def _target_of(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    return definitions.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)


def tuple_items(schema: Schema) -> Schema:
    """The schema with `items` in the place of `prefixItems`: any of the types of a tuple, as many as it has."""
    if "prefixItems" not in schema:
        return schema
    each = schema["prefixItems"]
    kinds = [kind for position, kind in enumerate(each) if kind not in each[:position]]
    made = {key: value for key, value in schema.items() if key != "prefixItems"}
    if len(kinds) > 1:
        made = noted({**made, "in this order": each}, "in this order")
    if "items" in made and made["items"] not in kinds and made.get("maxItems", len(each) + 1) > len(each):
        kinds.append(made["items"])
    elif "items" not in made and "maxItems" not in made:
        kinds = [{}]  # what follows the tuple may be anything
    return {**made, "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}


def any_of(schema: Schema) -> Schema:
    """The schema with `oneOf` as `anyOf`, which more servers know."""
    if "oneOf" not in schema or "anyOf" in schema:
        return schema
    return {
        **{key: each for key, each in schema.items() if key not in ("oneOf", "discriminator")},
        "anyOf": schema["oneOf"],
    }


def noted(schema: Schema, *keys: str) -> Schema:
    """The schema without these keywords; what they said is in its description."""
    said = [f"{key}: {_shown(schema[key])}" for key in keys if _says_something(key, schema.get(key))]
    made = {key: each for key, each in schema.items() if key not in keys}
    if said:
        made["description"] = f"{schema.get('description', '')} ({'; '.join(said)})".strip()
    return made


def _says_something(key: str, value: Any) -> bool:
    return value is not None and (key == "default" or value is not False) and value != []


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def in_counts(schema: Schema) -> Schema:
    """The schema with counts that a grammar can repeat, and bounds that are numbers of 64 bits; others are notes. A
    range
    that nothing is in is a note too: llama.cpp stops answering over it."""
    beyond = [key for key in _COUNTS if key in schema and not _is_count(schema[key])]
    for low, high in _RANGES:
        bounds = (schema.get(low), schema.get(high))
        if all(isinstance(bound, int | float) for bound in bounds) and bounds[0] > bounds[1]:  # type: ignore[operator]
            beyond += (low, high)
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(schema.get(key), int | float) and abs(schema[key]) >= 2**63:
            beyond.append(key)
    return noted(schema, *dict.fromkeys(beyond)) if beyond else schema


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_COUNT


_LOOK_AROUND = pattern(r"(?<!\\)(?:\\\\)*\(\?(?!:)|\\[1-9]|\\[pPkAZzGbB]")
_REPETITION = pattern(r"\{(\d+)?(?:,(\d+)?)?\}")


def is_safe_pattern(pattern: Any) -> bool:
    """Whether a regular expression is plain: without look-arounds, references to groups, flags, names and classes that
    the engines of servers don't know, valid, and without a repetition beyond MAX_COUNT."""
    if not isinstance(pattern, str) or _LOOK_AROUND.search(pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return all(int(each or 0) <= MAX_COUNT for match in _REPETITION.finditer(pattern) for each in match.groups())
