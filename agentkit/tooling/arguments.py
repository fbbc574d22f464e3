"""Arguments that a model wrote -> Python values, or one clear sentence to the model."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentkit._text import cut
from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.tooling.coercion import brought_to_types
from agentkit.tooling.json_repair import CutOffError, fault_of, loads, read_json

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from pydantic import TypeAdapter

ArgumentsParser = Callable[[str], tuple[dict[str, Any], list[str]]]
"""Reads the JSON text of a call's arguments into the keyword arguments of the tool's function, and the names of
arguments that it does not have; raises ArgumentsError."""

UNREADABLE, FAULT = "unreadable_arguments", "fault"
UNREADABLE_CALL = "unreadable_tool_call"
"""The name of a call of which not even the name could be read."""
MAX_FAULTS = 5
MAX_SHOWN = 120


def as_json_object(written: object) -> str:
    """The arguments of a call as the JSON text of an object, whatever a server made of them.

    An object is kept to the letter, so that what is sent back is what was generated; one that is broken is repaired,
    unless it breaks off in the middle of a value. Nothing at all is `{}`. What is no object is kept under the key
    "unreadable_arguments": servers parse the arguments in a history and refuse what is not JSON.
    """
    if written is None or written == "":
        return "{}"
    text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
    if is_json_object(text):
        return text
    try:
        value = read_json(text)
    except CutOffError as error:
        return unreadable(text, f"the call is {error}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps({UNREADABLE: text}, ensure_ascii=False)


def is_json_object(text: str, *, strict: bool = True) -> bool:
    """Whether a text is the JSON of an object as it stands. strict: raw line breaks in its strings count as faults."""
    try:
        return isinstance(json.loads(text) if strict else loads(text), dict)
    except (ValueError, RecursionError):
        return False


def unreadable(text: str, fault: str) -> str:
    """The arguments of a call that could not be read, for the transcript; its tool message tells the fault."""
    return json.dumps({UNREADABLE: text, FAULT: fault}, ensure_ascii=False)


def parse(arguments: str) -> dict[str, Any]:
    """The JSON text of an object as a dict, repaired where that is possible. Raises ArgumentsError saying where it
    stops being JSON, what was expected there and what was found."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments)
    except CutOffError as error:
        raise ArgumentsError(f"the call is {error}") from None
    except ValueError as error:
        fault = fault_of(arguments) if "deep" not in str(error) else str(error)
        raise ArgumentsError(f"the arguments are not valid JSON: {fault}") from None
    if not isinstance(value, dict):
        raise ArgumentsError(f"the arguments must be a JSON object, got {_show(value)}")
    if value.keys() == {UNREADABLE, FAULT}:
        raise ArgumentsError(str(value[FAULT]))
    if value.keys() == {UNREADABLE}:
        return parse(str(value[UNREADABLE]))
    return value


def signature_reader(adapter: "TypeAdapter[Any]", names: Collection[str]) -> ArgumentsParser:
    """The reader for arguments that a function's annotations describe; values arrive as the annotated types.

    names: those of its parameters. Others are left out: a model often adds one, and means no harm by it.
    """
    from pydantic import ValidationError

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        unknown = [name for name in given if name not in names]
        try:
            return adapter.validate_json(json.dumps(given)), unknown
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
        coerced = brought_to_types(given, [(fault["loc"], _wanted(fault["type"])) for fault in faults])
        try:
            return adapter.validate_json(json.dumps(coerced)), unknown
        except ValidationError:  # the first faults are told: those of what the model wrote
            raise _faults((_path(fault["loc"]), _expected(fault["msg"]), fault) for fault in faults) from None

    return read


def schema_reader(parameters: Mapping[str, Any]) -> ArgumentsParser:
    """The reader for arguments that a hand-written JSON schema describes; values arrive as JSON has them.

    Raises ToolDefinitionError when the schema is not a valid JSON schema of an object.
    """
    import jsonschema

    try:
        validator_class = jsonschema.validators.validator_for(parameters, jsonschema.Draft202012Validator)
        validator_class.check_schema(dict(parameters))
    except jsonschema.SchemaError as error:
        raise ToolDefinitionError(f"parameters is not a valid JSON schema: {error.message}") from None
    validator = validator_class(parameters)

    described: Mapping[str, Any] = parameters.get("properties") or {}
    closed = parameters.get("additionalProperties") is False

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        unknown = [name for name in given if closed and name not in described]
        values = {
            name: _whole_number(value, described.get(name)) for name, value in given.items() if name not in unknown
        }
        faults = list(validator.iter_errors(values))
        if faults:
            values = brought_to_types(values, [(tuple(each.absolute_path), _wanted_by(each)) for each in faults])
            if not validator.is_valid(values):
                raise _schema_faults(faults)
        return values, unknown

    return read


def _whole_number(value: Any, schema: Any) -> Any:
    """3 for the 3.0 that JSON schema takes for an integer as well."""
    asked = isinstance(schema, Mapping) and schema.get("type") == "integer"
    return int(value) if asked and isinstance(value, float) and value.is_integer() else value


def _schema_faults(faults: Iterable["ValidationError"]) -> ArgumentsError:
    ordered = sorted(faults, key=lambda fault: fault.json_path)[:MAX_FAULTS]
    return ArgumentsError(
        "; ".join(f"{fault.json_path.removeprefix('$.')}: {cut(fault.message, MAX_SHOWN)}" for fault in ordered)
    )


def _wanted_by(fault: "ValidationError") -> set[str]:
    """The types that a JSON schema asks for at a place."""
    if fault.validator == "type":
        return set(fault.validator_value) if isinstance(fault.validator_value, list) else {str(fault.validator_value)}
    inner = [_wanted_by(each) for each in fault.context or ()]
    return set().union(*inner) if inner else set()


_PYDANTIC_TYPES = {
    "list": "array",
    "tuple": "array",
    "set": "array",
    "frozen_set": "array",
    "dict": "object",
    "model": "object",
    "dataclass": "object",
    "model_attributes": "object",
    "typed_dict": "object",
    "string": "string",
    "int": "integer",
    "int_parsing": "integer",
    "float": "number",
    "bool": "boolean",
}


def _wanted(kind: str) -> set[str]:
    """The JSON type that one of pydantic's faults asks for."""
    found = _PYDANTIC_TYPES.get(kind.removesuffix("_type"))
    return {found} if found else set()


def _faults(faults: Iterable[tuple[str, str, Mapping[str, Any]]]) -> ArgumentsError:
    sentences = []
    for path, expected, fault in faults:
        missing = fault["type"] == "missing"
        sentences.append(
            f"{path}: is missing" if missing else f"{path}: expected {expected}, got {_show(fault['input'])}"
        )
    return ArgumentsError("; ".join(dict.fromkeys(sentences[:MAX_FAULTS])))


def _path(location: Iterable[int | str]) -> str:
    """A place such as `query[0].name`; `$` is the whole object."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".") or "$"


def _expected(message: str) -> str:
    """What pydantic's sentence ("Input should be a valid integer, unable to ...") says was expected."""
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def _show(value: object) -> str:
    try:
        return cut(json.dumps(value, ensure_ascii=False, default=str), MAX_SHOWN)
    except (ValueError, RecursionError):
        return type(value).__name__
