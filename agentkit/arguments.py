"""Arguments that a model wrote -> Python values, or one clear sentence to the model."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agentkit.errors import ArgumentsError, ToolDefinitionError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Reader = Callable[[str], tuple[dict[str, Any], list[str]]]
"""Reads the JSON text of a call's arguments into the keyword arguments of the tool's function, and the names of
arguments that it does not have; raises ArgumentsError."""

UNREADABLE, FAULT = "unreadable_arguments", "fault"
UNREADABLE_CALL = "unreadable_tool_call"
"""The name of a call of which not even the name could be read."""
MOST_FAULTS = 5


def as_json_object(written: object) -> str:
    """The arguments of a call as the JSON text of an object, whatever a server made of them.

    An object is kept to the letter, so that what is sent back is what was generated. Nothing at all is `{}`. What
    is no JSON object (also a call cut off in the middle) is kept under the key "unreadable_arguments": servers
    parse the arguments in a history and refuse what is not JSON.
    """
    if written is None or written == "":
        return "{}"
    text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, str):  # encoded twice
        return as_json_object(value)
    if isinstance(value, dict):
        return text
    return json.dumps({UNREADABLE: text}, ensure_ascii=False)


def unreadable(text: str, fault: str) -> str:
    """The arguments of a call that could not be read, for the transcript; its tool message tells the fault."""
    return json.dumps({UNREADABLE: text, FAULT: fault}, ensure_ascii=False)


def read_json(text: str) -> Any:
    """JSON as models write it: strictly where it is JSON, and repaired where it is not (a missing or extra brace, a
    trailing comma, single quotes, raw newlines in strings, unquoted keys, Python's literals, comments, a code fence).

    NaN and Infinity, which JSON does not have, become strings; halves of surrogate pairs, which can't be sent,
    become U+FFFD. Raises ValueError for what makes no sense.
    """
    try:
        try:
            return cleaned(json.loads(text))
        except ValueError:
            if len(text) > MOST_REPAIRED:
                raise
            import json_repair

            return cleaned(json_repair.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def cleaned(value: Any) -> Any:
    """A value of JSON without what can't be sent as JSON; see `read_json`."""
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value) if not value.isascii() else value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {cleaned(key): cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [cleaned(entry) for entry in value]
    return value


_HALF_PAIR = re.compile("[\ud800-\udfff]")
MOST_REPAIRED = 100_000
"""Broken JSON of more characters is not repaired: that takes time that grows faster than the text."""


def parse(arguments: str) -> dict[str, Any]:
    """The JSON text of an object as a dict. Raises ArgumentsError saying where it stops being one."""
    try:
        value = json.loads(arguments or "{}")
    except RecursionError:
        raise ArgumentsError("the arguments are nested too deeply") from None
    except ValueError as error:
        raise ArgumentsError(f"the arguments are not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArgumentsError(f"the arguments must be a JSON object, got {_show(value)}")
    if value.keys() == {UNREADABLE, FAULT}:
        raise ArgumentsError(f"{value[FAULT]}. Write the whole call again.")
    if value.keys() == {UNREADABLE}:
        return parse(str(value[UNREADABLE]))
    return value


def signature_reader(adapter: "TypeAdapter[Any]", names: Collection[str]) -> Reader:
    """The reader for arguments that a function's annotations describe; values arrive as the annotated types.

    names: those of its parameters. Others are left out: a model often adds one, and means no harm by it.
    """
    from pydantic import ValidationError

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        try:
            values: dict[str, Any] = adapter.validate_json(json.dumps(given))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
            raise _faults((_path(fault["loc"]), _expected(fault["msg"]), fault) for fault in faults) from None
        return values, [name for name in given if name not in names]

    return read


def schema_reader(parameters: Mapping[str, Any]) -> Reader:
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

    def read(arguments: str) -> tuple[dict[str, Any], list[str]]:
        given = parse(arguments)
        errors = sorted(validator.iter_errors(given), key=lambda error: error.json_path)
        if errors:
            raise ArgumentsError(
                "; ".join(
                    f"{error.json_path.removeprefix('$.')}: {_cut(error.message)}" for error in errors[:MOST_FAULTS]
                )
            )
        return given, []

    return read


def _faults(faults: Iterable[tuple[str, str, Mapping[str, Any]]]) -> ArgumentsError:
    sentences = []
    for path, expected, fault in faults:
        missing = fault["type"] == "missing"
        sentences.append(
            f"{path}: is missing" if missing else f"{path}: expected {expected}, got {_show(fault['input'])}"
        )
    return ArgumentsError("; ".join(dict.fromkeys(sentences[:MOST_FAULTS])))


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
        return _cut(json.dumps(value, ensure_ascii=False, default=str))
    except (ValueError, RecursionError):
        return type(value).__name__


def _cut(text: str, most: int = 120) -> str:
    return text if len(text) <= most else text[:most] + "…"
