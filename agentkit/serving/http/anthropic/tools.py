"""The tools of a Messages request as functions of a chat.

Those of Anthropic's own, which have a type and no schema (web_search, bash, computer, ...), are not offered: their
models were trained for them, or Anthropic runs them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.serving.http.openai.errors import RefusedRequestError

_CHOICES: Mapping[Any, str] = {"auto": "auto", "any": "required", "none": "none"}


def functions_of(given: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The functions, and the types of the tools that are not offered. given: the field `tools`. Raises
    RefusedRequestError that names the entry."""
    if given is None:
        return [], []
    if not isinstance(given, list):
        raise refused("tools", "must be a list")
    functions: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for place, entry in enumerate(given):
        path = f"tools[{place}]"
        if not isinstance(entry, Mapping):
            raise refused(path, "must be an object with a name and an input_schema")
        kind = entry.get("type") or "custom"
        if kind == "custom":
            functions.append(_function(entry, path))
        elif isinstance(kind, str):
            left_out.setdefault(kind[:80], path)
        else:
            raise refused(f"{path}.type", "must be a text")
    if left_out and not functions:
        kind, path = next(iter(left_out.items()))
        text = f"{kind!r} is Anthropic's own: this service does not have it, and the request has no other tool"
        raise refused(f"{path}.type", text)
    return functions, list(left_out)


def _function(entry: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(entry.get("name"), str):
        raise refused(f"{path}.name", "must be a text")
    if not isinstance(entry.get("input_schema"), Mapping):
        raise refused(f"{path}.input_schema", "must be the JSON schema of an object")
    fields = {**{key: entry.get(key) for key in ("description", "strict")}, "parameters": entry["input_schema"]}
    made = {name: value for name, value in fields.items() if value is not None}
    return {"type": "function", "function": {"name": entry["name"], **made}}


def choice_of(given: Any) -> dict[str, Any]:
    """The fields of a chat completion for the field `tool_choice`. Raises RefusedRequestError."""
    if given is None:
        return {}
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "tool" and isinstance(given.get("name"), str):
        choice: Any = {"type": "function", "function": {"name": given["name"]}}
    elif isinstance(kind, str) and kind in _CHOICES:
        choice = _CHOICES[kind]
    else:
        raise refused("tool_choice", "must be an object of type auto, any, none, or tool with a name")
    return {"tool_choice": choice, **({"parallel_tool_calls": False} if given.get("disable_parallel_tool_use") else {})}


def refused(param: str, text: str, code: str | None = "invalid_value") -> RefusedRequestError:
    """The error of a request whose field can't be met. param: path of the field."""
    return RefusedRequestError(400, f"{param}: {text}", param, code)


def own_names(functions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of functions."""
    return [each["function"]["name"] for each in functions]
