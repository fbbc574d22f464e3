"""Schemas for Moonshot's API (Kimi), which takes a subset of JSON Schema of its own, for tools and answers
(github.com/MoonshotAI/walle, docs/mfjs-spec.md).

It refuses some of what is beyond (a type beside alternatives, keywords beside a reference), and drops the rest, for the
worse: a value with several types and a length may be anything, and a negative minimum is 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.tooling.schema_forms import (
    Schema,
    any_of,
    changed,
    flat_root,
    inlined,
    merged,
    normal,
    noted,
    tuple_items,
)

_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "string": ("enum", "minLength", "maxLength"),
    "integer": ("enum", "minimum", "maximum"),
    "number": ("enum", "minimum", "maximum"),
    "array": ("items", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties"),
    "boolean": (),
    "null": (),
}
"""The keywords that it knows beside the type, which is one."""
_OF_ANY = ("description", "default")
_BOUNDS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")
_NOTED = (
    *("const", "enum", "pattern", "format", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"),
    *("minProperties", "maxProperties", "contentEncoding", "contentMediaType"),
)
"""Keywords beyond it that are said in the description."""
_ANYTHING: list[Schema] = [
    *({"type": kind} for kind in ("string", "number", "boolean")),
    {"type": "object", "additionalProperties": True},
    {"type": "array"},
]


def moonshot(schema: Mapping[str, Any]) -> Schema:
    """The schema of an object as Moonshot's API takes it; constraints that it does not know become descriptions."""
    return changed(changed(flat_root(inlined(normal(schema))), _moonshot), _with_required)


def _moonshot(schema: Schema) -> Schema:
    schema = _with_values(merged(tuple_items(any_of(schema))))
    out = tuple(key for key in _BOUNDS if key in schema and not _is_bound(schema[key]))
    schema = noted(schema, *out, *(key for key in _NOTED if key in schema and key != "enum"))
    shared = {key: schema[key] for key in _OF_ANY if key in schema}
    if schema.get("items") == {}:
        del schema["items"]  # no list of anything: it is one without a word of its items
    if "anyOf" in schema:
        choices = _choices(schema)
        return {**choices[0], **shared} if len(choices) == 1 else {**shared, "anyOf": choices}
    kinds = _kinds_of(schema)
    if len(kinds) == 1:
        return {**shared, **_of_kind(schema, kinds[0])}
    return {**shared, "anyOf": [_of_kind(schema, kind) for kind in kinds] if kinds else list(_ANYTHING)}


def _choices(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, each with what stands beside them; those that its type rules out are left out."""
    beside = {key: value for key, value in schema.items() if key not in (*_OF_ANY, "anyOf")}
    allowed = _kinds_of(beside)
    made: list[Schema] = []
    for choice in (inner for each in schema["anyOf"] for inner in each.get("anyOf", [each])):
        kind = str(choice["type"])
        if allowed and kind not in allowed and not (kind == "integer" and "number" in allowed):
            continue
        mine = {key: value for key, value in beside.items() if key in _OF_KIND[kind]}
        made.append(_of_kind(merged({"allOf": [mine, choice]}), kind, choice))
    made = made or [_of_kind(beside, kind) for kind in allowed]
    return [each for place, each in enumerate(made) if each not in made[:place]]


def _with_required(schema: Schema) -> Schema:
    """The schema with the list of what is required that each object has, of its properties alone."""
    made = {key: value for key, value in schema.items() if key != "required"}
    if "properties" not in schema:
        return made
    return {**made, "required": [name for name in schema.get("required", ()) if name in schema["properties"]]}


def _of_kind(schema: Schema, kind: str, shared: Schema | None = None) -> Schema:
    """The schema of values of one type. shared: whose description it keeps."""
    made = {key: schema[key] for key in _OF_KIND.get(kind, ()) if key in schema}
    if made.get("additionalProperties") == {}:
        made["additionalProperties"] = True
    if "enum" in made:
        made["enum"] = [value for value in made["enum"] if _kind_of(value, kind) == kind]
        if not made["enum"]:
            del made["enum"]
    return {"type": kind, **made, **{key: value for key, value in (shared or {}).items() if key in _OF_ANY}}


def _kinds_of(schema: Schema) -> Sequence[str]:
    """The types that a schema without alternatives allows; () for any."""
    kinds = schema.get("type")
    if kinds is not None:
        return [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _OF_KIND]
    for kind, names in _OF_KIND.items():
        if any(name in schema for name in names if name != "enum"):
            return ["number"] if kind == "integer" else [kind]
    return list(dict.fromkeys(_kind_of(value) for value in schema.get("enum", ())))


def _with_values(schema: Schema) -> Schema:
    """The schema with its constant as its only value. Values are texts or numbers; others are said in words."""
    if "const" in schema:
        schema = {"enum": [schema["const"]], **{key: value for key, value in schema.items() if key != "const"}}
    values = schema.get("enum")
    if values is None:
        return schema
    kinds = {_kind_of(value) for value in values}
    if "anyOf" in schema or kinds & {"object", "array", "boolean"}:
        schema = noted(schema, "enum")
        return schema if "type" in schema or "anyOf" in schema else {**schema, "type": sorted(kinds)}
    return schema


def _kind_of(value: Any, wanted: str = "") -> str:
    """The type of a value. wanted: "number" for one that may be any."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        is_whole = isinstance(value, int) or value.is_integer()
        return "integer" if is_whole and wanted != "number" else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _is_bound(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
