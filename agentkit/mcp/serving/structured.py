"""The results of tools as `structuredContent`, and its schema: of tools whose function is annotated with what it
returns, where that is a model or other JSON."""

import inspect
import json
from collections import abc
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from agentkit._text import json_text
from agentkit.tooling.hints import Hints
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context, Tool

_KINDS = frozenset({"object", "array", "integer", "number", "boolean"})
_WRAPPED = "result"
"""The key of a value that is no object, which `structuredContent` has to be."""


class Structured:
    """The structured results of one tool. schema: `outputSchema`."""

    def __init__(self, adapter: Any, schema: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator

        self._adapter = adapter
        self._is_object = schema.get("type") == "object"
        self.schema = schema if self._is_object else _around(schema)
        self._validator = Draft202012Validator(self.schema)

    def of(self, outcome: Outcome) -> dict[str, Any] | None:
        """The structured content of a result; None when it is not of the type that the function declares."""
        try:
            value = json.loads(self._json(outcome))
        except Exception:  # noqa: BLE001 - of a user's class
            return None
        content = value if self._is_object else {_WRAPPED: value}
        is_valid = isinstance(content, dict) and self._validator.is_valid(content)
        return content if is_valid else None

    def _json(self, outcome: Outcome) -> Any:
        if outcome.value is None:  # of a result that was kept
            return outcome.uncut().text
        return self._adapter.dump_json(outcome.value, by_alias=True, warnings=False)


def _around(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has such a value; definitions stay at the top, where references look for them."""
    inner = {key: each for key, each in schema.items() if key != "$defs"}
    made = {"type": "object", "properties": {_WRAPPED: inner}, "required": [_WRAPPED]}
    return {**made, "$defs": schema["$defs"]} if "$defs" in schema else made


def structured_of(tool: Tool[..., Any]) -> Structured | None:
    """How the results of a tool are structured; None where nothing is known of what it returns."""
    hint = _returned(tool.function)
    if hint in (None, Any, str, bytes, inspect.Signature.empty) or get_origin(hint) in _LAZY:
        return None
    from agentkit.tooling.schema import json_schema_of

    try:
        adapter, _ = json_schema_of(hint)
        schema = _resolved(adapter.json_schema(mode="serialization"))
    except Exception:  # noqa: BLE001 - of a user's class
        return None
    is_json = schema.get("type") in _KINDS and '"binary"' not in json_text(schema)
    return Structured(adapter, schema) if is_json else None


_LAZY = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator, abc.Iterable, abc.AsyncIterable)
"""Of which a tool returns the items."""


def _returned(function: Callable[..., Any]) -> Any:
    """The type that a function declares to return; None when there is none that can be resolved."""
    try:
        annotation = inspect.signature(function).return_annotation
        parameter = inspect.Parameter("result", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        return None if annotation is inspect.Signature.empty else Hints(function, {}, Context).of(parameter, "tool")
    except Exception:  # noqa: BLE001 - of a user's function
        return None


def _resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return dict(schema)
    return {**schema["$defs"][schema["$ref"].rpartition("/")[2]], "$defs": schema["$defs"]}
