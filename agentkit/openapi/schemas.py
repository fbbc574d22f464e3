"""Schemas of an OpenAPI description as JSON Schema, for what is sent: what a server alone sets is left out.

Of each keyword only what JSON Schema can say is taken, so that what is made is always valid; a keyword with a value of
another kind is left out. Patterns are told in words: the server checks them, and one of a stranger could take for ever.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import unquote

from agentkit._text import cut, json_text
from agentkit.openapi.all_of import flattened, is_read_only
from agentkit.openapi.budget import MAX_DEPTH, MAX_DESCRIPTION, MAX_MERGED, MAX_SCHEMAS, Budget
from agentkit.openapi.document import Document, UnresolvableError, is_within, items, mapping, words

Schema = dict[str, Any]

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_HAS_PARTS = ("properties", "items", "prefixItems", "allOf", "anyOf", "oneOf", "additionalProperties", "not", "$ref")
MAX_EXAMPLE = 200
"""Characters of an example that the model is shown."""
MAX_ENUM = 2000
"""Allowed values that are listed, with 100 characters each on average; of more, any is taken."""
MAX_VALUE = 10_000
"""Characters of a value, such as a default, that is taken over."""
MAX_INLINED = 400
"""Characters of a schema that stands in the place of a reference to it."""


class SchemaReader:
    """Reads the schemas of one operation. definitions: those that are referred to, once `finish` was called."""

    def __init__(self, document: Document) -> None:
        self.definitions: dict[str, Schema] = {}
        self._document = document
        self._budget, self._merging = Budget(MAX_SCHEMAS), Budget(MAX_MERGED)
        self._names: dict[tuple[str, ...], str] = {}
        self._waiting: list[tuple[str, Any]] = []

    def read(self, schema: Any, depth: int = 0) -> Schema:
        """A schema as JSON Schema. Raises UnresolvableError."""
        if not self._budget.spend():
            return {}
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return {}
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema)
        if items(schema.get("allOf")):
            schema = flattened(schema, self._document, self._merging)
        made = self._alternatives(schema, depth) | self._values(schema) | self._parts(schema, depth)
        return _nullable(made) if is_nullable(schema) else made

    def root(self, schema: Any) -> Mapping[str, Any]:
        """A schema as it was written, with its references followed and its `allOf` merged. Raises UnresolvableError."""
        found = mapping(self._document.followed(schema)[0])
        return flattened(found, self._document, self._merging) if items(found.get("allOf")) else found

    @property
    def is_cut(self) -> bool:
        """Whether there is more than is read: what is left allows any value."""
        return self._budget.is_spent

    def finish(self) -> dict[str, Schema]:
        """Read what is referred to, and return it by name. Raises UnresolvableError."""
        while self._waiting:
            name, schema = self._waiting.pop()
            self.definitions[name] = self.read(schema)
        _check_circles(self.definitions)
        return {name: self.definitions[name] for name in self._names.values()}

    def _reference(self, schema: Mapping[str, Any]) -> Schema:
        target, reference = self._document.followed(schema)
        beside = {"description": cut(words(schema.get("description")), MAX_DESCRIPTION)}
        beside = {name: value for name, value in beside.items() if value}
        made: Schema
        is_known = (reference,) in self._names
        if isinstance(target, Mapping) and not is_known and not any(name in target for name in _HAS_PARTS):
            made = self.read(target)
            if len(json_text(made)) <= MAX_INLINED:  # one that is longer is read twice, whatever refers to it
                return _nullable(made | beside) if is_nullable(schema) else made | beside
        made = {"$ref": f"#/$defs/{self._named((reference,), target)}", **beside}
        return _nullable(made) if is_nullable(schema) else made

    def _named(self, key: tuple[str, ...], schema: Any) -> str:
        """The name under which a schema is defined."""
        if key in self._names:
            return self._names[key]
        wanted = unquote(key[0].rpartition("/")[2]).replace("~1", "_").replace("~0", "_")
        wanted = re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join((wanted, *key[2:])))[:60] or "root"
        name, count = wanted, 2
        while name in self.definitions:
            name, count = f"{wanted}_{count}", count + 1
        self._names[key] = name
        self.definitions[name] = {}
        self._waiting.append((name, schema))
        return name

    def _alternatives(self, schema: Mapping[str, Any], depth: int) -> Schema:
        """`anyOf` and `oneOf`, both as `anyOf`: descriptions are seldom so exact that only one fits."""
        property_name = words(mapping(schema.get("discriminator")).get("propertyName"))
        values_of = _values_by_target(schema) if property_name else {}

        def read(each: Any) -> Schema:
            return self._variant(each, values_of, property_name, depth) if property_name else self.read(each, depth + 1)

        found = [self._each(choices, read) for key in ("anyOf", "oneOf") if (choices := items(schema.get(key)))]
        left = self._each(items(schema.get("allOf")), lambda each: self.read(each, depth + 1))
        if len(found) == 1 and not left:
            return {"anyOf": found[0]}
        together = [{"anyOf": each} for each in found] + left
        return {"allOf": together} if together else {}

    def _each(self, given: list[Any], read: Callable[[Any], Schema]) -> list[Schema]:
        """What is read of each. Of a list that is too long the last allows any value, and stands for the rest."""
        made = []
        for each in given:
            made.append(read(each))
            if self.is_cut:
                break
        return made

    def _variant(self, choice: Any, values_of: Mapping[str, list[str]], property_name: str, depth: int) -> Schema:
        """One of the alternatives between which a property decides, with the values of that property."""
        target, reference = self._document.followed(choice)
        if not reference or not isinstance(target, Mapping) or not self._budget.spend():
            return self.read(choice, depth + 1)
        name = unquote(reference.rpartition("/")[2])
        values = list(dict.fromkeys([*values_of.get(reference, ()), *values_of.get(name, ())])) or [name]
        whole = flattened(target, self._document, self._merging)
        properties = dict(mapping(whole.get("properties")))
        described = mapping(properties.get(property_name))
        properties[property_name] = {
            "type": "string",
            "enum": values,
            **({"description": described["description"]} if "description" in described else {}),
        }
        needed = [each for each in items(whole.get("required")) if isinstance(each, str)]
        required = list(dict.fromkeys([property_name, *needed]))
        chosen = {**whole, "type": "object", "properties": properties, "required": required}
        return {"$ref": f"#/$defs/{self._named((reference, property_name, *values), chosen)}"}

    def _values(self, schema: Mapping[str, Any]) -> Schema:
        """The keywords that have no schemas in them."""
        made: Schema = {}
        types = schema.get("type")
        known = [each for each in (types if isinstance(types, list) else [types]) if each in _TYPES]
        if known:
            made["type"] = known if len(known) > 1 else known[0]
        elif types == "file":
            made["type"] = "string"
        for key, fits in _KEYWORDS.items():
            if key in schema and fits(schema[key]):
                made[key] = schema[key]
        if [each for each in known if each != "null"] == ["string"]:
            _set_texts(made)
        _set_exclusive(made, schema)
        description = _description(schema)
        if description:
            made["description"] = description
        example = _example(schema)
        if example is not None:
            made["examples"] = [example]
        return made

    def _parts(self, schema: Mapping[str, Any], depth: int) -> Schema:
        """The keywords that have schemas in them."""
        made: Schema = {}
        properties = self._properties(schema, depth)
        if properties:
            made["properties"] = properties
        declared = mapping(schema.get("properties"))
        required = [each for each in items(schema.get("required")) if isinstance(each, str)]
        required = [each for each in required if each in properties or each not in declared]
        if required:
            made["required"] = list(dict.fromkeys(required))
        if self.is_cut:
            return made
        more = schema.get("additionalProperties")
        if isinstance(more, bool) or (isinstance(more, Mapping) and not more):
            made["additionalProperties"] = more is not False or "patternProperties" in schema
        elif isinstance(more, Mapping):
            made["additionalProperties"] = self.read(more, depth + 1)
        if "discriminator" in schema and not schema.get("oneOf") and not schema.get("anyOf"):
            made["additionalProperties"] = True  # one of those that are made of it may be meant
        return made | self._of_array(schema, depth)

    def _of_array(self, schema: Mapping[str, Any], depth: int) -> Schema:
        made: Schema = {}
        first = self._each(items(schema.get("prefixItems")), lambda each: self.read(each, depth + 1))
        if first:
            made["prefixItems"] = first
        if self.is_cut:
            return made
        inner = schema.get("items")
        types = schema.get("type")
        if isinstance(inner, Mapping) or (first and inner is False):
            made["items"] = self.read(inner, depth + 1)
        elif types == "array" and not first:
            made["items"] = {}
        return made

    def _properties(self, schema: Mapping[str, Any], depth: int) -> dict[str, Schema]:
        found: dict[str, Schema] = {}
        for name, inner in mapping(schema.get("properties")).items():
            if self.is_cut:
                break
            if not is_read_only(inner, self._document):
                found[str(name)] = self.read(inner, depth + 1)
        return found


def is_nullable(schema: Mapping[str, Any]) -> bool:
    """Whether null is allowed in the manner of OpenAPI 3.0 or Swagger."""
    return schema.get("nullable") is True or schema.get("x-nullable") is True


def _nullable(made: Schema) -> Schema:
    if "$ref" in made or "anyOf" in made or "allOf" in made:
        description = {"description": made.pop("description")} if "description" in made else {}
        return {**description, "anyOf": [made, {"type": "null"}]}
    if "type" in made:
        types = made["type"] if isinstance(made["type"], list) else [made["type"]]
        made["type"] = types if "null" in types else [*types, "null"]
    if "enum" in made and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    return made


def _set_texts(made: Schema) -> None:
    """Make texts of the values of a text that are numbers or truth values: YAML reads `enum: [1.0, yes]` as these."""
    if "enum" in made:
        made["enum"] = [_text(each) for each in made["enum"]]
    for key in ("const", "default"):
        if key in made:
            made[key] = _text(made[key])


def _text(value: Any) -> Any:
    return json_text(value) if isinstance(value, bool | int | float) else value


def _values_by_target(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """The values of a discriminator's mapping by what they stand for: a reference, or the name of a schema."""
    found: dict[str, list[str]] = {}
    for value, to in mapping(mapping(schema.get("discriminator")).get("mapping")).items():
        if isinstance(to, str):
            found.setdefault(to, []).append(str(value))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_json(value: Any) -> bool:
    """Whether a value is JSON of a bounded size."""
    try:
        return is_within(value, MAX_VALUE) and len(json_text(value)) < MAX_VALUE
    except (TypeError, ValueError, RecursionError):
        return False


def _is_enum(value: Any) -> bool:
    is_short = isinstance(value, list) and 0 < len(value) <= MAX_ENUM and is_within(value, MAX_ENUM * 100)
    return is_short and _is_json_list(value)


def _is_json_list(value: list[Any]) -> bool:
    return all(each is None or isinstance(each, str | int | float | bool) or _is_json(each) for each in value)


_KEYWORDS: dict[str, Callable[[Any], bool]] = {
    "enum": _is_enum,
    "const": _is_json,
    "default": _is_json,
    "format": lambda value: isinstance(value, str),
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "multipleOf": lambda value: _is_count(value) and value > 0,
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        _is_count,
    ),
    "uniqueItems": lambda value: isinstance(value, bool),
    "deprecated": lambda value: value is True,
}
"""The keywords that are taken over as they are, and what their values have to be."""


def _set_exclusive(made: Schema, schema: Mapping[str, Any]) -> None:
    """OpenAPI 3.0 says by a boolean that a bound itself is not allowed."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(exclusive) is True and bound in made:
            made[exclusive] = made.pop(bound)


def _description(schema: Mapping[str, Any]) -> str:
    """The description, with what is told in words: patterns, and steps of fractions, which no binary number has."""
    text = cut(words(schema.get("description")), MAX_DESCRIPTION)
    step = schema.get("multipleOf")
    said = [f"pattern: {cut(schema['pattern'], 200)}"] if isinstance(schema.get("pattern"), str) else []
    said += [f"a multiple of {step}"] if isinstance(step, float) else []
    return f"{text} ({'; '.join(said)})".strip() if said else text


def _example(schema: Mapping[str, Any]) -> Any:
    found = schema.get("example")
    if found is None and items(schema.get("examples")):
        found = schema["examples"][0]
    return found if found is not None and _is_json(found) and len(json_text(found)) <= MAX_EXAMPLE else None


def _check_circles(definitions: Mapping[str, Schema]) -> None:
    """Raise UnresolvableError when a definition consists of itself: no value could be checked against it."""
    try:
        TopologicalSorter({name: set(_in_place(schema)) for name, schema in definitions.items()}).prepare()
    except CycleError as error:
        raise UnresolvableError(f"the schema {error.args[1][0]!r} consists of itself") from None


def _in_place(schema: Schema) -> Iterator[str]:
    """The names of the definitions that the same value has to match."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if "$ref" in each:
            yield each["$ref"].rpartition("/")[2]
        waiting += [inner for key in ("anyOf", "allOf") for inner in each.get(key, ())]
