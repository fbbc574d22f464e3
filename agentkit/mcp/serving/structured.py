"""The results of tools as `structuredContent`, and its schema: of tools whose function is annotated with what it
returns, where that is a model or other JSON."""

import contextlib
import inspect
import json
import re
from collections import abc
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from agentkit._text import json_text
from agentkit.tooling.annotations import signature_of
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
        text = outcome.uncut().text
        for read in (self._dumped, self._read):
            try:
                value = read(outcome, text)
            except Exception:  # noqa: BLE001 - of a user's class
                continue
            content = value if self._is_object else {_WRAPPED: value}
            if isinstance(content, dict) and self._validator.is_valid(content):
                return content
        return None

    def _dumped(self, outcome: Outcome, text: str) -> Any:
        if outcome.value is None or outcome.images:  # of a result that was kept; bytes of images are no JSON
            raise ValueError
        value = self._adapter.dump_python(outcome.value, mode="json", by_alias=True, warnings=False)
        return _with_words(text, value) if _CONSTANT.search(text) else value

    def _read(self, outcome: Outcome, text: str) -> Any:
        return json.loads(text, parse_constant=str)


_CONSTANT = re.compile(r"\bNaN\b|\bInfinity\b")


def _with_words(text: str, value: Any) -> Any:
    """The value of a result with its NaN and infinities as words: JSON lacks them, and null would be something else. A
    schema of numbers does not let words pass. text: of the result."""
    found: list[str] = []

    def word(constant: str) -> str:
        found.append(constant)
        return constant

    with contextlib.suppress(ValueError):
        read = json.loads(text, parse_constant=word)
        return read if found else value
    return value


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
    says_nothing = schema.get("type") == "array" and not schema.get("items") and "prefixItems" not in schema
    return Structured(adapter, schema) if is_json and not says_nothing else None


_LAZY = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator, abc.Iterable, abc.AsyncIterable)
"""Of which a tool returns the items."""


def _returned(function: Callable[..., Any]) -> Any:
    """The type that a function declares to return; None when there is none that can be resolved."""
    try:
        annotation = signature_of(function).return_annotation
        parameter = inspect.Parameter("result", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        return None if annotation is inspect.Signature.empty else Hints(function, {}, Context).of(parameter, "tool")
    except Exception:  # noqa: BLE001 - of a user's function
        return None


def _resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return dict(schema)
    return {**schema["$defs"][schema["$ref"].rpartition("/")[2]], "$defs": schema["$defs"]}
