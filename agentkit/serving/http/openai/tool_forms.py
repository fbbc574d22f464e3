"""Tools, choices and calls of a client in other forms than those of a chat completion's functions.

Cursor writes tools with their fields beside the type, as the Responses API has them, others as Anthropic's API does;
custom tools of OpenAI's have a text as their input.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.message import ToolCall
from agentkit.serving.http.openai.responses.tools import custom_arguments, custom_function, custom_input

MODES: Mapping[str, str] = {"none": "none", "auto": "auto", "required": "required", "any": "required"}
"""The words of a choice of tools: `any` is Anthropic's and Mistral's for `required`."""

_FIELDS = ("name", "description", "parameters", "strict")


def as_function(entry: Any) -> Any:
    """A tool as a function of a chat completion; what is none is returned as it is. entry: of the field `tools`."""
    if not isinstance(entry, Mapping) or isinstance(entry.get("function"), Mapping):
        return entry
    if is_custom(entry):
        fields = _custom_fields(entry)
        return {"type": "function", "function": custom_function(fields, fields["name"])}
    if entry.get("type", "function") not in ("function", "custom") or not isinstance(entry.get("name"), str):
        return entry
    schema = {"parameters": entry["input_schema"]} if "input_schema" in entry else {}
    others = {key: value for key, value in entry.items() if key not in (*_FIELDS, "type", "input_schema")}
    function = {key: entry[key] for key in _FIELDS if entry.get(key) is not None}
    return {"type": "function", **others, "function": {**function, **schema}}


def is_custom(entry: Any) -> bool:
    """Whether a tool is a custom one of OpenAI's, whose input is a text."""
    if not isinstance(entry, Mapping) or entry.get("type") != "custom" or "input_schema" in entry:
        return False
    return isinstance(_custom_fields(entry).get("name"), str)


def custom_names(tools: Any) -> frozenset[str]:
    """The names of the custom tools of a request. tools: its field `tools`."""
    entries = tools if isinstance(tools, list) else ()
    return frozenset(_custom_fields(entry)["name"] for entry in entries if is_custom(entry))


def _custom_fields(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = entry.get("custom")
    return inner if isinstance(inner, Mapping) else entry


def as_function_calls(calls: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The calls in a client's message, those of custom tools as the calls of their functions."""
    return [_as_function_call(call) for call in calls]


def _as_function_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    made = call.get("custom") if call.get("type") == "custom" else None
    if not isinstance(made, Mapping) or not isinstance(made.get("input"), str):
        return call
    others = {key: value for key, value in call.items() if key not in ("type", "custom")}
    function = {"name": made.get("name"), "arguments": custom_arguments(made["input"])}
    return {**others, "type": "function", "function": function}


def as_written(calls: Iterable[ToolCall], customs: frozenset[str]) -> list[Any]:
    """The calls that a client is sent. customs: the names of its custom tools."""
    return [_as_custom_call(call) if call["function"]["name"] in customs else call for call in calls]


def _as_custom_call(call: ToolCall) -> dict[str, Any]:
    function = call["function"]
    made = {"name": function["name"], "input": custom_input(function["arguments"])}
    return {"id": call["id"], "type": "custom", "custom": made}
