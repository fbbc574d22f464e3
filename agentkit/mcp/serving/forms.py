"""The schema of a question as a form of MCP: an object whose fields are texts, numbers, truth values and choices, each
described where it stands. Clients show other schemas as a line of text, or not at all."""

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

MAX_STEPS = 10
"""How many references, and alternatives in each other, are followed for a field."""
_KINDS: Mapping[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def form_of(schema: Schema) -> dict[str, Any]:
    """The form that asks for what a schema of an object describes, as far as forms can."""
    properties = schema.get("properties")
    fields = properties if isinstance(properties, Mapping) else {}
    form: dict[str, Any] = {
        "type": "object",
        "properties": {name: _field(each, schema) for name, each in fields.items()},
    }
    if "required" in schema:
        form["required"] = schema["required"]
    if '"$ref"' in json.dumps(form, default=str):  # a schema that leads to itself
        form |= {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return form


def _field(given: Any, root: Schema, steps: int = MAX_STEPS) -> Any:
    """The schema of a field without references, and without null: what may be null may be left out."""
    if not isinstance(given, Mapping) or not steps:
        return given
    found = dict(given)
    target = _target(found.get("$ref"), root)
    if target is not None:
        found = {**target, **{key: value for key, value in found.items() if key != "$ref"}}
    for key in ("anyOf", "oneOf"):
        options = found.get(key)
        left = [each for each in options if not _is_null(each)] if isinstance(options, list) else []
        if len(left) == 1 and isinstance(left[0], Mapping):
            found = {**left[0], **{name: value for name, value in found.items() if name != key}}
    if target is not None or found.keys() != given.keys():
        return _field(found, root, steps - 1)
    return _plain(found, root, steps)


def _plain(field: dict[str, Any], root: Schema, steps: int) -> dict[str, Any]:
    """A field without null, with a type, and its items alike."""
    kinds = field.get("type")
    if isinstance(kinds, list):
        without = [each for each in kinds if each != "null"]
        field["type"] = without[0] if len(without) == 1 else without
    if "const" in field:
        field["enum"] = [field.pop("const")]
    if isinstance(field.get("enum"), list):
        field["enum"] = [each for each in field["enum"] if each is not None]
        types = {type(each) for each in field["enum"]}
        if "type" not in field and len(types) == 1:
            field["type"] = _KINDS.get(types.pop(), "string")
    if field.get("default", 0) is None:
        del field["default"]
    if "items" in field:
        field["items"] = _field(field["items"], root, steps - 1)
    return field


def _target(reference: Any, root: Schema) -> Schema | None:
    """What a reference within the schema leads to; None for another one."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("type") == "null" or schema.get("const", 0) is None)
