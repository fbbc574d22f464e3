"""Descriptions for the tests, and calls of their tools."""

from collections.abc import Mapping
from typing import Any

from agentkit import Context, Tool
from agentkit.openapi import openapi


def description(
    paths: Mapping[str, Any], version: str = "3.1.0", components: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A description with these paths."""
    made = {"openapi": version, "info": {"title": "An API", "version": "1"}, "paths": paths, **more}
    return {**made, "components": components} if components else made


def of_get(parameters: list[dict[str, Any]], path: str = "/things", **more: Any) -> dict[str, Any]:
    """A description with one operation, `call`, that has these parameters."""
    return description({path: {"get": {"operationId": "call", "parameters": parameters, **more}}})


def of_post(schema: Any, kind: str = "application/json", version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A description with one operation, `call`, that has this body."""
    body = {"required": True, "content": {kind: {"schema": schema, **more.pop("media", {})}}}
    operation = {"operationId": "call", "requestBody": body}
    return description({"/things": {"post": operation}}, version, **more)


def tools_of(spec: Any, base_url: str | None = "http://127.0.0.1:9", **options: Any) -> dict[str, Tool[..., Any]]:
    return {each.name: each for each in openapi(spec, base_url, **options)}


def tool_of(spec: Any, base_url: str = "http://127.0.0.1:9", **options: Any) -> Tool[..., Any]:
    """The only tool of a description."""
    (made,) = openapi(spec, base_url, **options)
    return made


def answer(tool: Tool[..., Any], arguments: str = "{}", context: Context | None = None) -> str:
    """What the model reads of a call."""
    return tool.answer(arguments, context or Context()).text


def parameter(name: str, place: str = "query", kind: Any = "string", **more: Any) -> dict[str, Any]:
    schema = kind if isinstance(kind, dict) else {"type": kind}
    return {"name": name, "in": place, "required": place == "path", "schema": schema, **more}


LIST = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object", "additionalProperties": {"type": "string"}}
