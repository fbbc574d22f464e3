"""Type hints of which pydantic accepts wrong values, or none, as ones that it checks before the function is called.

Their JSON schemas stay the same.
"""

import typing
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import to_jsonable_python

from agentkit.tooling.dates import with_separators


def checked_in_time(hint: Any) -> Any:
    """The hint itself, or in place of it:

    a list for an Iterable, whose items pydantic validates only when they are read, and for a Collection, which it does
    not know; a datetime that does not take "20261231" for seconds since 1970; a Literal of members of an enum that
    takes their values, as its JSON schema says; an enum with values that JSON does not have, by its members' names.
    """
    origin = typing.get_origin(hint)
    if any((origin or hint) is each for each in (Iterable, Collection)):
        return list[(*typing.get_args(hint), Any)[0]]  # type: ignore[misc]
    if hint is datetime:
        return Annotated[datetime, BeforeValidator(_with_separators)]
    if origin is Literal and any(isinstance(each, Enum) for each in typing.get_args(hint)):
        return _literal(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum) and not all(map(_is_scalar, hint.__members__.values())):
        return _by_name(hint)
    return hint


def _with_separators(value: Any) -> Any:
    return with_separators(value) if isinstance(value, str) else value


def _literal(members: tuple[Any, ...]) -> Any:
    values = {(each.value if isinstance(each, Enum) else each): each for each in members}
    names = {each.name.casefold(): each.value for each in members if isinstance(each, Enum)}

    def value_of(given: Any) -> Any:
        is_name = isinstance(given, str) and given not in values
        return names.get(given.casefold(), given) if is_name else given

    made: Any = Literal
    return Annotated[made[tuple(values)], BeforeValidator(value_of), AfterValidator(values.__getitem__)]


def _is_scalar(member: Enum) -> bool:
    return member.value is None or isinstance(member.value, str | int | float)


def _by_name(kind: type[Enum]) -> Any:
    """An enum whose values are tuples, dates or objects: pydantic compares them with the JSON value, which is none."""
    names = {name.casefold(): member for name, member in kind.__members__.items()}
    names.update(kind.__members__)  # a name as it stands comes before one in other letters

    def member_of(given: Any) -> Any:
        if isinstance(given, str):
            name = given.strip()
            if (found := names.get(name, names.get(name.casefold()))) is not None:
                return found
        if (found := next((each for each in kind if given in (each, _as_json(each.value))), None)) is not None:
            return found
        try:
            return kind(given)  # what its own `_missing_` knows
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"expected {' or '.join(repr(each.name) for each in kind)}") from None

    schema = {"enum": [each.name for each in kind], "type": "string"}
    return Annotated[kind, BeforeValidator(member_of), PlainSerializer(lambda each: each.name), WithJsonSchema(schema)]


def _as_json(value: Any) -> Any:
    return to_jsonable_python(value, serialize_unknown=True)
