"""Converts values that are bare text between tags to the types in the tool's schema."""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.tooling.json_repair import cleaned, loads


def parameters_of(name: str, tools: Sequence[Mapping[str, Any]] | None) -> Mapping[str, Any] | None:
    """Returns the JSON schema of a tool's parameters; None when the tool is not known."""
    for tool in tools or ():
        function = tool.get("function", tool)
        if function.get("name") == name:
            found: Mapping[str, Any] = function.get("parameters") or {}
            return found
    return None


def typed_value(
    text: str,
    key: str,
    parameters: Mapping[str, Any] | None,
    *,
    parse_unknown: bool = False,
    keep_text: bool = False,
) -> Any:
    """Returns the value of one argument in a type that the schema accepts, else the text.

    parse_unknown: an argument that the schema does not describe is parsed as a literal if it is one. keep_text: text
    that the schema accepts stays text.
    """
    properties = (parameters or {}).get("properties") or {}
    if key not in properties:
        return _literal(text, text) if parse_unknown else text
    schema = {**_definitions(parameters or {}), **_as_schema(properties[key])}
    if keep_text and _fits(text, schema):
        return text
    for value in _candidates(text):
        if not isinstance(value, str) and _fits(value, schema):
            return value
    return text


def _as_schema(schema: Any) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}


def _definitions(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: parameters[key] for key in ("$defs", "definitions") if key in parameters}


def _candidates(text: str) -> list[Any]:
    missing = object()
    value = _literal(text, missing)
    if value is missing:
        return []
    # 3.0 may stand for an integer, while 1 can only be a number
    return [value, int(value)] if isinstance(value, float) and value.is_integer() else [value]


def _literal(text: str, default: Any) -> Any:
    stripped = text.strip()
    if stripped in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[stripped]
    try:
        return cleaned(loads(stripped))
    except (ValueError, RecursionError):
        pass
    if stripped[:1] in ("{", "[", "(") and len(stripped) < 10_000:
        try:
            return json.loads(json.dumps(cleaned(ast.literal_eval(stripped))))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            pass
    return default


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether the value has a type that the schema allows; other rules are validated later, by the tool."""
    import jsonschema

    if not (schema.keys() & {"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"}):
        return True
    try:
        return bool(jsonschema.Draft202012Validator(_types_only(schema)).is_valid(value))
    except (jsonschema.SchemaError, jsonschema.exceptions.UnknownType, RecursionError):
        return False
    except Exception as error:
        if "Unresolvable" in type(error).__name__:
            return False
        raise


def _types_only(schema: Any) -> Any:
    """Returns the schema with only the keywords about types, so that a number that is too big is still a number."""
    kept = ("type", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions", "enum", "const")
    if isinstance(schema, bool) or not isinstance(schema, Mapping):
        return True if not isinstance(schema, bool) else schema
    made: dict[str, Any] = {}
    for key in kept:
        if key not in schema:
            continue
        entry = schema[key]
        if key == "type":
            entry = [_type_named(each) for each in entry] if isinstance(entry, list) else _type_named(entry)
            if entry is None or (isinstance(entry, list) and None in entry):
                continue
        if key in ("anyOf", "oneOf", "allOf"):
            made["anyOf" if key == "oneOf" else key] = [_types_only(each) for each in entry]
        elif key in ("$defs", "definitions"):
            made[key] = {name: _types_only(each) for name, each in entry.items()}
        else:
            made[key] = entry
    return made


_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_OTHER_NAMES = {
    **dict.fromkeys(("str", "text", "char", "varchar", "date", "datetime"), "string"),
    **dict.fromkeys(("int", "long", "short", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "double", "decimal", "num", "numeric", "float32", "float64"), "number"),
    **dict.fromkeys(("bool", "binary"), "boolean"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("dict", "map", "struct", "json"), "object"),
    **dict.fromkeys(("none", "nonetype"), "null"),
}
"""Names of types that are none in JSON Schema, but in the schemas that people write."""


def _type_named(name: Any) -> Any:
    """Returns the type of JSON Schema that a name stands for, such as "dict[str, int]"; None where any type is
    allowed, and a name that is not known as it is."""
    if not isinstance(name, str) or name in _TYPES:
        return name
    plain = name.strip().lower().partition("[")[0]
    if plain == "any":
        return None
    return plain if plain in _TYPES else _OTHER_NAMES.get(plain, name)
