"""What pydantic says of a model's arguments, in sentences for the model."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from agentkit._text import json_bytes, shown
from agentkit.errors import ArgumentsError, ToolError
from agentkit.tooling.coercion import Coercion, Names
from agentkit.tooling.error_text import described, message_of

MAX_ERRORS = 5
MAX_VALUE_LENGTH = 120
"""Maximum characters of a value in an error message."""

Errors = Sequence[Mapping[str, Any]]
"""Errors as `pydantic.ValidationError.errors()` has them."""

_KINDS = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}
"""The kinds of errors whose words are pydantic's own; others are a validator's."""

_HINTS = {
    "datetime_": " (write it as 2026-12-31T15:30:00)",
    "date_": " (write it as 2026-12-31)",
    "time_delta": " (write it as PT1H30M)",
    "time_": " (write it as 15:30:00)",
    "decimal_parsing": " (write only digits, and a point before decimals)",
    "float_parsing": " (write only digits, and a point before decimals)",
}


def validated(adapter: TypeAdapter[Any], values: Mapping[str, Any]) -> tuple[Any, Errors]:
    """The arguments with the types of the adapter, or the errors in them. Raises ArgumentsError when a validator raises
    what pydantic does not take for an error of the value."""
    try:
        return adapter.validate_json(_json_of(values)), ()
    except ValidationError as error:
        return None, error.errors(include_url=False)
    except ToolError as error:  # a validator's words for the model
        raise ArgumentsError(message_of(error).rstrip(".")) from error
    except Exception as error:  # of a user's validator, which got a value that it did not expect
        raise ArgumentsError(described(error)) from error


def _json_of(values: Mapping[str, Any]) -> str | bytes:
    try:
        return json_bytes(values)
    except ValueError:  # NaN, or an infinite number, is for pydantic to judge
        return json.dumps(values)


def wrong_arguments(errors: Errors, last: Errors, coercion: Coercion) -> ArgumentsError:
    """The errors that are left after coercion (`last`), in the words for what the model wrote, not for what became of
    it; but those inside of a string that was decoded as they are. errors: those before coercion."""
    written = {each["loc"]: each for each in errors}

    def as_written(error: Mapping[str, Any]) -> Mapping[str, Any]:
        location = error["loc"]
        if any(location[: len(path)] == path for path in coercion.decoded):
            return error
        outer = (location[:length] for length in range(len(location), -1, -1))
        return next((written[each] for each in outer if each in written), error)

    return ArgumentsError("; ".join(list(dict.fromkeys(_sentence(as_written(each)) for each in last))[:MAX_ERRORS]))


def places(errors: Errors) -> Iterator[Sequence[int | str]]:
    """Where errors are, and the keys that say which of several classes an object is of, where they are wrong."""
    for each in errors:
        yield each["loc"]
        if each["type"] == "union_tag_invalid":
            yield (*each["loc"], str(each["ctx"]["discriminator"]).strip("'"))


def enum_names(adapter: TypeAdapter[Any]) -> Names:
    """The names of the members of the enums among the adapter's types, by the values that are allowed."""
    enums: list[type[Enum]] = []
    waiting: list[Any] = [adapter.core_schema]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict | list | tuple) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            enums += [node["cls"]] if node.get("type") == "enum" else []
            expected = node.get("expected") if node.get("type") == "literal" else None
            enums += {type(each) for each in expected or () if isinstance(each, Enum)}
        waiting += node.values() if isinstance(node, dict) else node

    def names(allowed: Iterable[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind in enums:
            members = {name: member.value for name, member in kind.__members__.items() if member.value in allowed}
            is_whole = len(members) == len(kind.__members__)
            found |= members if is_whole or len(enums) == 1 else {}
            found |= {f"{kind.__name__}.{name}": value for name, value in members.items()} if members else {}
        return found

    return names


def _sentence(error: Mapping[str, Any]) -> str:
    path, words = _path(error["loc"]), error["msg"]
    if error["type"] == "missing":
        return f"{path}: is missing"
    if error["type"] not in _KINDS:
        words = words.removeprefix("Value error, ").removeprefix("Assertion failed, ").strip()
        return f"{path}: {words or 'is not valid'} (got {shown(error['input'], MAX_VALUE_LENGTH)})"
    words += next((hint for start, hint in _HINTS.items() if error["type"].startswith(start)), "")
    expected = words.removeprefix("Input should be ")
    said = words[:1].lower() + words[1:] if expected == words else f"expected {expected}"
    return f"{path}: {said}, got {shown(error['input'], MAX_VALUE_LENGTH)}"


def _path(location: Iterable[int | str]) -> str:
    """Returns a path such as `query[0].name`; `$` is the whole object."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".") or "$"
