"""The schema of another framework's tool as the parameters of a tool, and its name as one that servers accept."""

import hashlib
import inspect
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from agentkit.errors import ToolDefinitionError
from agentkit.tooling.annotations import signature_of
from agentkit.tooling.definition import NAME
from agentkit.tooling.parameter_list import object_schema

_UNACCEPTABLE = re.compile(r"[^a-zA-Z0-9_-]++")


def valid_name(name: object) -> str:
    """A name with "_" for what servers refuse in one: "Google Search" becomes "Google_Search". One that has nothing
    else becomes "tool_" with a digest of it."""
    if not isinstance(name, str) or not name.strip():
        raise ToolDefinitionError(f"a tool has no name, but {name!r}: give one with tool_from(..., name=...)")
    if NAME.fullmatch(name):
        return name
    made = _UNACCEPTABLE.sub("_", name).strip("_")[:64]
    return made or f"tool_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def parameters_of(
    schema: Any, tool: str, hidden: Collection[str] = (), *, is_open: bool = True, function: Any = None
) -> dict[str, Any]:
    """The parameters of a tool: from a JSON schema, a list of descriptions, a pydantic class of version 1 or 2; None
    stands for no arguments. hidden: arguments that the model must not give. is_open: whether others than the described
    ones are passed on, where the schema does not say. function: that from whose signature the schema was made; its
    titles only repeat names then, and its `**kwargs` are not an argument, but any others. Raises ToolDefinitionError
    for a schema that there is not."""
    made = _as_json(_json_schema(schema, tool), tool)
    variadic = () if function is None else variadic_of(function)
    if function is not None:
        from agentkit.tooling.schema import without_titles

        made = without_titles(made)
    if isinstance(made.get("$ref"), str):
        target = made["$ref"].rpartition("/")[2]
        made = {**(made.get("$defs") or made.get("definitions") or {}).get(target, {}), **made}
        del made["$ref"]
    properties = made.get("properties")
    properties = dict(properties) if isinstance(properties, Mapping) else {}
    made |= {"type": made.get("type", "object"), "properties": properties}
    for name in (*hidden, *variadic):
        properties.pop(name, None)
    required = [name for name in made.get("required") or () if name in properties]
    made = {key: each for key, each in made.items() if key not in ("required", "title", "description", "$schema")}
    made |= {"required": required} if required else {}
    if variadic and variadic[0]:
        made["additionalProperties"] = True
    elif not is_open or function is not None:
        made.setdefault("additionalProperties", False)
    return made


def variadic_of(function: Any) -> tuple[str, ...]:
    """The names of `**kwargs` ("" without them) and of `*args`."""
    try:
        parameters = signature_of(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    names = {each.kind: each.name for each in parameters}
    return names.get(inspect.Parameter.VAR_KEYWORD, ""), names.get(inspect.Parameter.VAR_POSITIONAL, "")


def _json_schema(schema: Any, tool: str) -> dict[str, Any]:
    if schema is None:
        return {"type": "object", "properties": {}}
    if isinstance(schema, Mapping):
        return dict(schema)
    if isinstance(schema, list | tuple):
        return object_schema(schema, tool)
    from agentkit.tooling.schema import without_titles  # loads pydantic, which is there

    for method in ("model_json_schema", "schema"):  # of pydantic 2 and 1
        make = getattr(schema, method, None)
        if callable(make):
            try:
                made: dict[str, Any] = without_titles(make())
                return made
            except Exception as error:  # noqa: BLE001 - of any class
                reason = str(error).split("\n")[0]
                raise ToolDefinitionError(f"tool {tool}: its arguments have no JSON schema: {reason}") from None
    raise ToolDefinitionError(f"tool {tool}: the schema of its arguments is a {type(schema).__name__}")


def _as_json(schema: dict[str, Any], tool: str) -> dict[str, Any]:
    """A copy that has only what JSON has."""
    try:
        made: dict[str, Any] = json.loads(json.dumps(schema, default=_plain))
    except (ValueError, TypeError, RecursionError) as error:
        raise ToolDefinitionError(f"tool {tool}: the schema of its arguments is no JSON: {error}") from None
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return dict(value) if isinstance(value, Mapping) else getattr(value, "value", str(value))
