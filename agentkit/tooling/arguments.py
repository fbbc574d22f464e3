"""Converts a model's arguments to Python values, or reports their errors to the model in one clear sentence."""

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentkit._text import cut, joined_surrogates
from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.tooling.argument_names import check_names, left_out, left_out_of_schema, unknown_names, unwrapped
from agentkit.tooling.coercion import coerce_all
from agentkit.tooling.json_repair import CutOffError, is_clean, json_error_of, loads, read_json

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from pydantic import TypeAdapter

ArgumentsParser = Callable[[str], tuple[dict[str, Any], list[str]]]
"""Parses the JSON text of a call's arguments. Returns the keyword arguments of the tool's function, and the names of
arguments that the function does not have; those inside of nested objects, as paths, only where a default stands in for
another. Raises ArgumentsError."""

UNREADABLE, ERROR = "unreadable_arguments", "fault"
"""Keys of the object that replaces arguments which can't be parsed."""
UNREADABLE_CALL = "unreadable_tool_call"
"""The name of a call whose name could not be parsed either."""
MAX_ERRORS = 5
MAX_REMEMBERED_LENGTH = 4000
"""Maximum characters of arguments of which it is remembered for a while whether they can be sent."""
MAX_VALUE_LENGTH = 120
"""Maximum characters of a value in an error message."""


def as_json_object(written: object) -> str:
    """Returns the arguments of a call as the JSON text of an object, in whatever form the server sent them.

    Valid JSON of an object is kept character for character, so that what is sent back is what was generated; values
    that servers refuse become text (see `cleaned`). Broken JSON is repaired, unless it ends in the middle of a value.
    Missing arguments become `{}`. Anything but an object is kept under the key "unreadable_arguments": servers parse
    the arguments in a history, and refuse each request with one that they can't read.
    """
    if written is None or written == "":
        return "{}"
    text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
    if is_sendable(text):
        return text
    try:
        value = read_json(text)
    except CutOffError as error:
        return unreadable(text, f"the call is {error}")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps({UNREADABLE: joined_surrogates(text)}, ensure_ascii=False)


def is_sendable(text: str) -> bool:
    """Whether a text is the valid JSON of an object, without a value that a server may refuse or round."""
    return _is_short_sendable(text) if len(text) <= MAX_REMEMBERED_LENGTH else _is_sendable(text)


def _is_sendable(text: str) -> bool:
    try:
        value = loads(text, strict=True)
        return isinstance(value, dict) and is_clean(text, value)
    except (ValueError, RecursionError):
        return False


_is_short_sendable = functools.lru_cache(64)(_is_sendable)  # the arguments of a call are asked for several times


def is_json_object(text: str, *, strict: bool = True) -> bool:
    """Whether a text is the valid JSON of an object. strict: raw line breaks in strings are errors."""
    try:
        return isinstance(loads(text, strict=strict), dict)
    except (ValueError, RecursionError):
        return False


def unreadable(text: str, error: str) -> str:
    """Returns the JSON that replaces unparsable arguments in the transcript; the call's tool message has the error."""
    return json.dumps({UNREADABLE: joined_surrogates(text), ERROR: error}, ensure_ascii=False)


def parse(arguments: str) -> dict[str, Any]:
    """Parse the JSON text of an object, repaired if possible. Raises ArgumentsError that says where the JSON becomes
    invalid, what was expected there and what was found."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments)
    except CutOffError as error:
        raise ArgumentsError(f"the call is {error}") from None
    except ValueError as error:
        reason = json_error_of(arguments) if "deep" not in str(error) else str(error)
        raise ArgumentsError(f"the arguments are not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise ArgumentsError(f"the arguments must be a JSON object, got {_display(value)}")
    if value.keys() == {UNREADABLE, ERROR}:
        raise ArgumentsError(str(value[ERROR]))
    if value.keys() == {UNREADABLE}:
        return parse(str(value[UNREADABLE]))
    return value


def read_arguments(arguments: str) -> dict[str, Any]:
    """The arguments of a call; {} when they can't be read. arguments: JSON text."""
    try:
        return parse(arguments)
    except ArgumentsError:
        return {}


def signature_reader(
    adapter: "TypeAdapter[Any]", parameters: Mapping[str, Any], tool: str | None = None, has_effect: bool = False
) -> ArgumentsParser:
    """Returns the parser for arguments described by a function's annotations; values have the annotated types.

    parameters: their JSON schema. tool: the tool's name, for calls that wrap their arguments in an object; None leaves
    them as they are. Unknown arguments are left out, since models often add harmless ones. has_effect: they are errors
    where the function would run with a default instead.
    """
    from pydantic import ValidationError

    names = parameters["properties"]

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        if tool is not None:
            given = unwrapped(given, tool, names)
        try:
            return validated(given)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
        coerced = coerce_all(given, [(each["loc"], _expected_types(each["type"])) for each in errors])
        try:
            return validated(coerced)
        except ValidationError:  # report the errors in what the model wrote, not those after coercion
            found = ((_path(each["loc"]), _expected(each["msg"]), each) for each in errors)
            raise _with_unknown(_arguments_error(found), () if tool is None else given, names) from None

    def validated(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        values = adapter.validate_json(json.dumps(given))
        unknown = [name for name in given if name not in names]
        for name, value in given.items():
            if isinstance(value, dict | list) and name in values:
                unknown += left_out(value, values[name], name)
        if has_effect:
            check_names(parameters, values, unknown)
        return values, unknown

    return read


def schema_reader(parameters: Mapping[str, Any], tool: str, has_effect: bool = False) -> ArgumentsParser:
    """Returns the parser for arguments described by a hand-written JSON schema; values keep their JSON types.

    tool, has_effect: see `signature_reader`. Raises ToolDefinitionError when the schema is not a valid JSON schema of
    an object.
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
        if described or closed:
            given = unwrapped(given, tool, described)
        unknown = [name for name in given if closed and name not in described]
        values = {
            name: _whole_number(value, described.get(name)) for name, value in given.items() if name not in unknown
        }
        errors = list(validator.iter_errors(values))
        if errors:
            values = coerce_all(values, [(tuple(each.absolute_path), _schema_types(each)) for each in errors])
            if not validator.is_valid(values):
                raise _with_unknown(_schema_error(errors), given, described or given)
        unknown += left_out_of_schema(values, parameters)
        if has_effect:
            check_names(parameters, values, unknown)
        return values, unknown

    return read


def _with_unknown(error: ArgumentsError, given: Collection[str], known: Collection[str]) -> ArgumentsError:
    """Returns the error with the names that the tool does not have: one of them may stand for what is missing."""
    unknown = [name for name in given if name not in known]
    return ArgumentsError(f"{error}; {unknown_names(unknown, given, known)}") if unknown else error


def _whole_number(value: Any, schema: Any) -> Any:
    """Returns 3 for 3.0 where the schema asks for an integer: JSON schema accepts 3.0 as an integer too."""
    is_integer = isinstance(schema, Mapping) and schema.get("type") == "integer"
    return int(value) if is_integer and isinstance(value, float) and value.is_integer() else value


def _schema_error(errors: Iterable["ValidationError"]) -> ArgumentsError:
    ordered = sorted(errors, key=lambda error: error.json_path)[:MAX_ERRORS]
    return ArgumentsError(
        "; ".join(f"{error.json_path.removeprefix('$.')}: {cut(error.message, MAX_VALUE_LENGTH)}" for error in ordered)
    )


def _schema_types(error: "ValidationError") -> set[str]:
    """Returns the types that the JSON schema accepts at the position of an error."""
    if error.validator == "type":
        return set(error.validator_value) if isinstance(error.validator_value, list) else {str(error.validator_value)}
    inner = [_schema_types(each) for each in error.context or ()]
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


def _expected_types(kind: str) -> set[str]:
    """Returns the JSON type that one of pydantic's error types says was expected."""
    found = _PYDANTIC_TYPES.get(kind.removesuffix("_type"))
    return {found} if found else set()


def _arguments_error(errors: Iterable[tuple[str, str, Mapping[str, Any]]]) -> ArgumentsError:
    sentences = []
    for path, expected, error in errors:
        missing = error["type"] == "missing"
        sentences.append(
            f"{path}: is missing" if missing else f"{path}: expected {expected}, got {_display(error['input'])}"
        )
    return ArgumentsError("; ".join(dict.fromkeys(sentences[:MAX_ERRORS])))


def _path(location: Iterable[int | str]) -> str:
    """Returns a path such as `query[0].name`; `$` is the whole object."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".") or "$"


def _expected(message: str) -> str:
    """Returns what was expected, from pydantic's message ("Input should be a valid integer, unable to ...")."""
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def _display(value: object) -> str:
    try:
        return cut(json.dumps(value, ensure_ascii=False, default=str), MAX_VALUE_LENGTH)
    except (ValueError, RecursionError):
        return type(value).__name__
