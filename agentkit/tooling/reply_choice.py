"""The schema of a reply that is either calls of tools or an answer, for a model that is not shown any tools.

A call is `{"tool": name, "arguments": {...}}`, several are a list of these, an answer is `{"answer": ...}`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.tooling.schema_forms import Schema, changed, normal

TOOL, ARGUMENTS, ANSWER = "tool", "arguments", "answer"


def reply_format(
    tools: Sequence[Mapping[str, Any]], answer: Mapping[str, Any] | None, *, several: bool = True
) -> dict[str, Any]:
    """A `response_format` in which a reply calls tools or answers.

    tools: those that may be called, in OpenAI's format. answer: the schema of an answer; None where the reply has to be
    a call. several: whether one reply may make several calls.
    """
    definitions: Schema = {}
    calls = [_call(tool["function"], definitions) for tool in tools]
    choices = list(calls)
    if calls and several:
        choices.append({"type": "array", "items": _one_of(calls), "minItems": 2})
    if answer is not None:
        choices.append(_object({ANSWER: _hoisted(answer, ANSWER, definitions)}))
    schema = _one_of(choices)
    if definitions:
        schema = {**schema, "$defs": definitions}
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}


def _call(function: Mapping[str, Any], definitions: Schema) -> Schema:
    name = function["name"]
    arguments = _hoisted(function["parameters"], name, definitions)
    return _object({TOOL: {"const": name}, ARGUMENTS: arguments})


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _one_of(choices: list[Schema]) -> Schema:
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _hoisted(schema: Mapping[str, Any], owner: str, definitions: Schema) -> Schema:
    """The schema for a place inside of another one: its definitions become the other's, under names of their own."""
    made = normal(schema)
    own: Schema = made.pop("$defs", {})

    def renamed(each: Schema) -> Schema:
        name = str(each.get("$ref", "")).rpartition("/")[2]
        return {**each, "$ref": f"#/$defs/{owner}.{name}"} if name else each

    definitions.update({f"{owner}.{name}": changed(each, renamed) for name, each in own.items()})
    return changed(made, renamed)
