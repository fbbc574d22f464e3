"""Parameters in the form of Qwen-Agent: a list with the name, the type and the description of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.errors import ToolDefinitionError

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""The JSON schema of an object, or a list of `{"name": ..., "type": ..., "description": ..., "required": ...}`."""

_JSON_TYPES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "none": "null",
    "NoneType": "null",
}
"""Types as Python has them, by which they are often written."""
_ANY = ("any", "Any")


def object_schema(parameters: Parameters, tool: str) -> dict[str, Any]:
    """The JSON schema of the arguments: the given one, or the one that a list describes, with no others allowed. A
    parameter is required where its entry says `"required": True`; its other keys are keywords of JSON schema.

    Raises ToolDefinitionError for what is neither, and for an entry without a name of its own.
    """
    if isinstance(parameters, Mapping):
        return dict(parameters)
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence):
        raise ToolDefinitionError(
            f"tool {tool}: parameters is a {type(parameters).__name__}: pass the JSON schema of an object, or a list "
            'of {"name": ..., "type": ..., "description": ..., "required": ...}'
        )
    properties: dict[str, Any] = {}
    required: list[str] = []
    for position, entry in enumerate(parameters):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not name.strip():
            raise ToolDefinitionError(f'tool {tool}: parameters[{position}] has no "name"')
        if name in properties:
            raise ToolDefinitionError(f"tool {tool}: parameters has two entries named {name!r}")
        properties[name] = _property(entry)
        if _is_required(entry.get("required")):
            required.append(name)
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return {**made, **({"required": required} if required else {}), "additionalProperties": False}


def _property(entry: Mapping[str, Any]) -> dict[str, Any]:
    nested = entry.get("schema")
    given = {**nested, **entry} if isinstance(nested, Mapping) else entry
    made = {key: each for key, each in given.items() if key not in ("name", "schema", "required", "type")}
    kind = given.get("type")
    if isinstance(kind, list):
        made["type"] = [_JSON_TYPES.get(each, each) if isinstance(each, str) else each for each in kind]
    elif kind is not None and kind not in _ANY:
        made["type"] = _JSON_TYPES.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(given.get("required"), list):  # the required properties of an object
        made["required"] = given["required"]
    return made


def _is_required(value: Any) -> bool:
    return value.strip().lower() in ("true", "yes") if isinstance(value, str) else value is True
