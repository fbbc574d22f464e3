"""What `output=` may be: a type, or the JSON schema of the answer as a dict."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from agentkit.errors import ArgumentsError, ConfigurationError, ToolDefinitionError
from agentkit.middleware.structured_output import OutputType
from agentkit.tooling.argument_readers import schema_reader
from agentkit.tooling.schema_forms import Schema, normal

_DESCRIBING = ("type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const")
"""Keywords of which a schema that says anything of a value has one."""


def answer_type(given: Any) -> OutputType:
    """The type of an answer. given: what was passed as `output=`. Raises ConfigurationError for what is none."""
    if isinstance(given, OutputType):
        return given
    if isinstance(given, Mapping):
        return SchemaAnswer(given)
    instead = _instead(given)
    if instead:
        raise ConfigurationError(f"output={given!r:.60} has no JSON schema: {instead}")
    return OutputType(given)


def _instead(given: Any) -> str | None:
    """What to pass instead of a value that is no type; None where it may be one."""
    if isinstance(given, list | tuple):
        names = " | ".join(getattr(each, "__name__", str(each)) for each in given)
        return f"of several types pass their union, output={names:.60}" if given else "pass one"
    if isinstance(given, str):
        return "pass the class itself, not its name"
    if isinstance(given, TypeAdapter):
        return "pass what it was made of"
    if isinstance(given, BaseModel) or (dataclasses.is_dataclass(given) and not isinstance(given, type)):
        return f"pass its class, {type(given).__name__}"
    return None


class SchemaAnswer(OutputType):
    """An answer described by a JSON schema; its value has JSON's own types.

    schema: of an object; of another value it is wrapped in one, under the key "value". Raises ConfigurationError for
    what is no valid schema.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        if not any(key in schema for key in _DESCRIBING):
            raise ConfigurationError(
                f"output={schema!r:.60} is no JSON schema, it has none of {', '.join(_DESCRIBING)}: write "
                '{"type": "object", "properties": {...}}, or pass a TypedDict or a pydantic model'
            )
        try:
            own = normal(json.loads(json.dumps(schema)))
            self._is_wrapped = own.get("type") != "object" or "properties" not in own
            self.schema = _wrapped(own) if self._is_wrapped else own
            self.name = re.sub(r"\W+", "_", str(schema.get("title", ""))[:64]).strip("_") or "answer"
            self._read = schema_reader(self.schema, self.name)
        except (ToolDefinitionError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigurationError(f"output={schema!r:.60} is no valid JSON schema: {error}") from None
        self._given = schema

    def _plain(self, value: Any) -> Any:
        with contextlib.suppress(ArgumentsError):
            return self._read(json.dumps({"value": value}))[0]
        return None


def _wrapped(schema: Schema) -> Schema:
    """The schema of an object with such a value."""
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: Schema = {"type": "object", "properties": {"value": inner}, "required": ["value"]}
    return {**outer, "$defs": schema["$defs"]} if "$defs" in schema else outer
