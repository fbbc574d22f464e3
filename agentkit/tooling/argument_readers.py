"""Converts a model's arguments to Python values, or reports their errors to the model in one clear sentence."""

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit._text import cut
from agentkit.errors import ArgumentsError, ToolDefinitionError
from agentkit.tooling.argument_names import check_names, left_out, left_out_of_schema, unknown_names, unwrapped, wrapped
from agentkit.tooling.arguments import MAX_VALUE_LENGTH, parse
from agentkit.tooling.plain_arguments import PlainArguments

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from pydantic import TypeAdapter

    from agentkit.tooling.coercion import Names

ArgumentsParser = Callable[[str], tuple[dict[str, Any], list[str]]]
"""Parses the JSON text of a call's arguments. Returns the keyword arguments of the tool's function, and the names of
arguments that the function does not have; those inside of nested objects, as paths, only where a default stands in for
another. Raises ArgumentsError."""

MAX_ERRORS = 5


def signature_reader(
    adapter: "TypeAdapter[Any] | PlainArguments",
    parameters: Mapping[str, Any],
    names: Collection[str] | None = None,
    tool: str | None = None,
    has_effect: bool = False,
) -> ArgumentsParser:
    """Returns the parser for arguments described by a function's annotations; values have the annotated types.

    parameters: their JSON schema. names: those under which arguments are taken, if not only those of the schema's
    properties. tool: the tool's name, for calls that wrap their arguments in an object; None leaves them as they are.
    Unknown arguments are left out, since models often add harmless ones. has_effect: they are errors where the function
    would run with a default instead.
    """
    known: Collection[str] = parameters["properties"] if names is None else names
    read_values = _plain_reader(adapter) if isinstance(adapter, PlainArguments) else _reader_of_values(adapter)
    numbers_of = _numbers_for(adapter)

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = numbers_of(parse(arguments), arguments)
        if tool is not None:
            given = wrapped(unwrapped(given, tool, known), parameters)
        try:
            coerced, values = read_values(given)
        except ArgumentsError as error:
            unknown = [] if tool is None else [name for name in given if name not in known]
            raise _with_unknown(error, unknown, given, parameters["properties"]) from error.__cause__
        unknown = [name for name in given if name not in known]
        for name, value in coerced.items():
            if isinstance(value, dict | list) and isinstance(values, dict) and name in values:  # else a typed answer
                unknown += left_out(value, values[name], name)
        if has_effect:
            check_names(parameters, values, unknown)
        return values, unknown

    return _limited(read)


def _numbers_for(
    adapter: "TypeAdapter[Any] | PlainArguments",
) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """What makes the numbers of arguments those that their types take. Its second argument is their JSON text."""
    if isinstance(adapter, PlainArguments):
        return lambda given, arguments: given

    @functools.cache  # at the first call, since a type may refer to one that is defined later
    def has_decimals() -> bool:
        from agentkit.tooling.written_numbers import takes_decimals

        return takes_decimals(adapter)

    def numbers_of(given: dict[str, Any], arguments: str) -> dict[str, Any]:
        if not has_decimals():
            return given
        from agentkit.tooling.written_numbers import as_written

        return as_written(given, arguments)

    return numbers_of


def _limited(read: ArgumentsParser) -> ArgumentsParser:
    """The same, where how deep values lie in each other is the model's mistake. How much Python bears differs between
    its versions, and between what decodes JSON and what checks the values."""

    def limited(arguments: str) -> tuple[dict[str, Any], list[str]]:
        try:
            return read(arguments)
        except RecursionError:
            raise ArgumentsError("they are nested too deeply") from None

    return limited


_ValuesReader = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]


def _plain_reader(plain: PlainArguments) -> _ValuesReader:
    """What makes the values of plain arguments: without pydantic where they fit."""
    other = functools.cache(lambda: _reader_of_values(plain.adapter()))

    def read_values(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        values = plain.values(given)
        return other()(given) if values is None else (given, values)

    return read_values


def _reader_of_values(adapter: "TypeAdapter[Any]") -> _ValuesReader:
    """Returns what makes the values of a call's arguments, coerced where they don't fit: both the coerced arguments and
    the values. Raises ArgumentsError."""
    from agentkit.tooling.argument_errors import enum_names, places, validated, wrong_arguments
    from agentkit.tooling.coercion import MAX_ROUNDS, Coercion
    from agentkit.tooling.schema import schema_of

    @functools.cache  # few calls need it, and it takes milliseconds
    def described() -> "tuple[dict[str, Any], Names]":
        return schema_of(adapter), enum_names(adapter)

    def read_values(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        values, errors = validated(adapter, given)
        if not errors:
            return given, values
        coercion = Coercion(given, *described())
        last = errors
        for _ in range(MAX_ROUNDS):
            if not coercion.apply(places(last)):
                break
            values, last = validated(adapter, coercion.made)
            if not last:
                return coercion.made, values
        raise wrong_arguments(errors, last, coercion)

    return read_values


def schema_reader(
    parameters: Mapping[str, Any], tool: str, has_effect: bool = False, *, is_valid: bool = False
) -> ArgumentsParser:
    """Returns the parser for arguments described by a hand-written JSON schema; values keep their JSON types.

    tool, has_effect: see `signature_reader`. is_valid: the schema is known to be valid, and is not checked (which takes
    milliseconds). References to other documents are never fetched. Raises ToolDefinitionError when the schema is not a
    valid JSON schema of an object.
    """
    from agentkit.tooling.coercion import MAX_ROUNDS, Coercion  # as above: most tools have plain arguments

    validator = validator_of(parameters, is_valid)

    described: Mapping[str, Any] = parameters.get("properties") or {}
    closed = parameters.get("additionalProperties") is False

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        if described or closed:
            given = wrapped(unwrapped(given, tool, described), parameters)
        unknown = [name for name in given if closed and name not in described]
        values = {
            name: _whole_number(value, described.get(name)) for name, value in given.items() if name not in unknown
        }
        errors = list(validator.iter_errors(values))
        if not errors:
            return checked(values, unknown)
        coercion = Coercion(values, parameters)
        last = errors
        for _ in range(MAX_ROUNDS):
            if not coercion.apply(_schema_paths(last)):
                break
            last = list(validator.iter_errors(coercion.made))
            if not last:
                return checked(coercion.made, unknown)
        unknown = [name for name in given if described and name not in described]
        raise _with_unknown(_schema_error(errors), unknown, given, described)

    def checked(values: dict[str, Any], unknown: list[str]) -> tuple[dict[str, Any], list[str]]:
        unknown += left_out_of_schema(values, parameters)
        if has_effect:
            check_names(parameters, values, unknown)
        return values, unknown

    return _limited(read)


def validator_of(parameters: Mapping[str, Any], is_valid: bool) -> Any:
    """Returns the validator of a schema, which never fetches what the schema refers to. It takes numbers as they are
    written: 19.99 is a multiple of 0.01."""
    import jsonschema
    from jsonschema_specifications import REGISTRY  # of the metaschemas; without it, other documents are fetched

    validator_class = jsonschema.validators.validator_for(parameters, jsonschema.Draft202012Validator)
    try:
        if not is_valid:
            validator_class.check_schema(dict(parameters))
    except jsonschema.SchemaError as error:
        raise ToolDefinitionError(f"parameters is not a valid JSON schema: {error.message}") from None
    if "$schema" in parameters:  # a reference to the whole schema would be read by the class that this names
        parameters = {name: value for name, value in parameters.items() if name != "$schema"}
    return _exact(validator_class)(parameters, registry=REGISTRY)


@functools.cache
def _exact(validator_class: Any) -> Any:
    """The validator class with a `multipleOf` on the numbers as they are written; the package's divides floats, and
    raises OverflowError for large numbers."""
    import jsonschema

    extend: Any = jsonschema.validators.extend
    return extend(validator_class, {"multipleOf": _not_multiple})


def _not_multiple(validator: Any, step: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
    from fractions import Fraction  # as the rest: most tools have plain arguments

    from jsonschema import ValidationError

    if not validator.is_type(value, "number"):
        return
    is_finite = all(isinstance(each, int) or math.isfinite(each) for each in (value, step))
    if not is_finite or Fraction(str(value)) % Fraction(str(step)):
        yield ValidationError(f"{value!r} is not a multiple of {step}")


def _with_unknown(
    error: ArgumentsError, unknown: Sequence[str], given: Collection[str], known: Collection[str]
) -> ArgumentsError:
    """Returns the error with the names that the tool does not have: one of them may stand for what is missing. known:
    those that it has."""
    return ArgumentsError(f"{error}; {unknown_names(unknown, given, known)}") if unknown else error


def _whole_number(value: Any, schema: Any) -> Any:
    """Returns 3 for 3.0 where the schema asks for an integer: JSON schema accepts 3.0 as an integer too."""
    is_integer = isinstance(schema, Mapping) and schema.get("type") == "integer"
    return int(value) if is_integer and isinstance(value, float) and value.is_integer() else value


def _schema_paths(errors: Iterable["ValidationError"]) -> Iterator[tuple[int | str, ...]]:
    """The paths of errors, and of those in the alternatives that each is made of."""
    for error in errors:
        yield tuple(error.absolute_path)
        yield from _schema_paths(error.context or ())


def _schema_error(errors: Iterable["ValidationError"]) -> ArgumentsError:
    from jsonschema.exceptions import best_match

    told = [best_match([each]) or each for each in errors]  # of alternatives, what is wrong in the nearest
    ordered = sorted(told, key=lambda error: error.json_path)[:MAX_ERRORS]
    return ArgumentsError(
        "; ".join(f"{error.json_path.removeprefix('$.')}: {cut(error.message, MAX_VALUE_LENGTH)}" for error in ordered)
    )
