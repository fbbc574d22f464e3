"""Tools as a model reads of them in a result: name, description, JSON schema of the parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit._text import cut, in_a_line, json_text
from agentkit.tools import Tool

MAX_CHARS = 16_000
"""Characters of all tools in one result."""
MAX_DESCRIPTION = 400


def told(tools: Sequence[Tool[..., Any]]) -> str:
    """The tools, one after the other. Schemas that are too long together lose their descriptions, and then more."""
    room = MAX_CHARS // max(1, len(tools)) - MAX_DESCRIPTION
    return "\n\n".join(_told(each, room) for each in tools)


def _told(tool: Tool[..., Any], room: int) -> str:
    description = in_a_line(str(tool.schema["function"].get("description") or ""), MAX_DESCRIPTION)
    return f"{tool.name}: {description}\nparameters: {told_schema(tool, room)}"


def told_schema(tool: Tool[..., Any], max_chars: int = MAX_CHARS) -> str:
    """The schema of a tool's parameters as compact JSON, with less in it where that is too long."""
    forms = (json_text(each) for each in _shorter(tool.schema["function"]["parameters"]))
    text = ""
    for text in forms:
        if len(text) <= max_chars:
            return text
    return cut(text, max_chars)


def _shorter(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield schema
    yield _without(schema, ("description", "title", "examples", "default", "$comment", "$schema"))
    properties = schema.get("properties") or {}
    types = {name: _type(each) for name, each in properties.items()}
    yield {"properties": types, "required": schema.get("required") or []}
    yield {"required": schema.get("required") or [], "others": list(properties)}


def _type(schema: Any) -> Any:
    return schema.get("type", "any") if isinstance(schema, Mapping) else "any"


def _without(schema: Any, keys: Sequence[str], depth: int = 12) -> Any:
    """A schema without words that only describe; a property of such a name stays."""
    if isinstance(schema, list):
        return [_without(each, keys, depth - 1) for each in schema] if depth else []
    if not isinstance(schema, Mapping):
        return schema
    made = {name: each for name, each in schema.items() if name not in keys}
    for name, each in made.items():
        if name in ("properties", "$defs") and isinstance(each, Mapping) and depth:
            made[name] = {key: _without(value, keys, depth - 1) for key, value in each.items()}
        elif isinstance(each, Mapping | list) and name != "enum":
            made[name] = _without(each, keys, depth - 1) if depth else {}
    return made
