"""The form of an answer that a client asks for with `response_format`, as the type of a run's answer."""

import functools
import json
from collections.abc import Mapping
from typing import Any, get_args

from jsonschema import Draft202012Validator

from agentkit.backend import ending_of
from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.event import CutOff
from agentkit.middleware.structured_output import OutputType
from agentkit.serving.http.openai.client_tools import MAX_KNOWN, cut_off_text
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.tooling.argument_readers import schema_reader
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.schema_forms import Schema, changed, inlined, normal

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_REASONING_END = "</think>"
_NOT_CHECKED = ("pattern", "patternProperties", "propertyNames", "$dynamicRef")
"""Keywords of a client's schema that are sent and not checked here: a regular expression can take any time."""


class JsonAnswer(OutputType):
    """An answer in JSON. Its value is the JSON text that the client is sent: as the model wrote it where that is valid,
    else as it was read. An answer that is cut off is what has arrived of it.

    response_format: as the client wrote it. name, schema: of the answer. Raises ToolDefinitionError for an invalid
    schema.
    """

    takes_refusals = True

    def __init__(self, response_format: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> None:
        self._format = dict(response_format)
        self.name = name
        self._checked = changed(inlined(normal(schema)), _checkable)
        self._validator = Draft202012Validator(self._checked)
        self._is_wrapped = not _is_object(self._checked)
        wrapped = {"type": "object", "properties": {"value": self._checked}, "required": ["value"]}
        self.schema = wrapped if self._is_wrapped else {"type": "object", **schema}
        self._read = schema_reader(wrapped if self._is_wrapped else {"type": "object", **self._checked}, name)

    @property
    def response_format(self) -> dict[str, Any]:
        """See `OutputType.response_format`."""
        return self._format

    def read(self, text: str, *, finish_reason: str = "") -> str:
        """See `OutputType.read`."""
        if ending_of(finish_reason) in get_args(CutOff):
            return text.strip()
        if (cut := cut_off_text(text)) is not None:
            return cut.strip()
        if not text.strip():
            raise ArgumentsError("the answer is empty")
        if self._is_valid(text):
            return text.strip()
        try:
            value = read_json(text.rpartition(_REASONING_END)[2])
        except (ValueError, RecursionError) as error:
            raise ArgumentsError(f"the answer is not valid JSON: {error}") from None
        values, _ = self._read(json.dumps(self._in_object(value), ensure_ascii=False))
        return json.dumps(values["value"] if self._is_wrapped else values, ensure_ascii=False)

    def _is_valid(self, text: str) -> bool:
        """Whether a text is the JSON of an answer, and no more."""
        try:
            return self._validator.is_valid(json.loads(text, parse_constant=_no_number))
        except (ValueError, RecursionError):
            return False

    def _in_object(self, value: Any) -> Any:
        is_in_one = isinstance(value, dict) and value.keys() == {"value"}
        return {"value": value} if self._is_wrapped and not is_in_one else value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_object(schema: Schema) -> bool:
    """Whether a schema describes objects alone, as far as it says what it describes."""
    if "type" in schema:
        return bool(schema["type"] == "object")
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    alternatives = [each for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, ())]
    return all(isinstance(value, dict) for value in values) and all(map(_is_object, alternatives))


def _checkable(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _NOT_CHECKED}


def json_answer(response_format: Any) -> JsonAnswer | None:
    """The type of the answer that a request asks for; None for a text. Raises RefusedRequestError."""
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        schema, name = response_format.get("schema") or _ANY_OBJECT, "answer"
        return _made(response_format, name, schema, "response_format.schema")
    if kind != "json_schema":
        raise _refused("response_format.type", 'must be "text", "json_object" or "json_schema"')
    described = response_format.get("json_schema")
    if not isinstance(described, Mapping):
        raise _refused("response_format.json_schema", "must be an object with a name and a schema")
    name = described.get("name") or "answer"
    return _made(response_format, str(name)[:64], described.get("schema"), "response_format.json_schema.schema")


def _made(response_format: Mapping[str, Any], name: str, schema: Any, param: str) -> JsonAnswer:
    if not isinstance(schema, Mapping):
        raise _refused(param, "must be a JSON schema")
    try:
        written = json.dumps([response_format, name, schema])
        return _known_answer(written) if len(written) <= MAX_KNOWN else JsonAnswer(response_format, name, schema)
    except ToolDefinitionError as error:
        raise _refused(param, str(error)) from None
    except (RecursionError, ValueError, TypeError, KeyError, AttributeError):
        raise _refused(param, "is no valid JSON schema") from None


@functools.lru_cache(64)  # a client asks for the same form with each request, and compiling a schema takes milliseconds
def _known_answer(written: str) -> JsonAnswer:
    return JsonAnswer(*json.loads(written))


def _refused(param: str, text: str) -> RefusedRequestError:
    return RefusedRequestError(400, f"{param}: {text}", param, "invalid_value")


def format_of_text(given: Any) -> Any:
    """The `text.format` of the Responses API as the `response_format` of a chat completion."""
    if not isinstance(given, Mapping) or given.get("type") != "json_schema":
        return given
    return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type" and v is not None}}
