"""Type hints of which pydantic accepts wrong values, or none, as ones that it checks before the function is called.

Their JSON schemas stay the same.
"""

import typing
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from agentkit.tooling.dates import with_separators


def checked_in_time(hint: Any) -> Any:
    """The hint itself, or in place of it:

    a list for an Iterable, whose items pydantic validates only when they are read, and for a Collection, which it does
    not know; a datetime that does not take "20261231" for seconds since 1970; a Literal of members of an enum that
    takes their values, as its JSON schema says.
    """
    origin = typing.get_origin(hint)
    if any((origin or hint) is each for each in (Iterable, Collection)):
        return list[(*typing.get_args(hint), Any)[0]]  # type: ignore[misc]
    if hint is datetime:
        return Annotated[datetime, BeforeValidator(_with_separators)]
    if origin is Literal and any(isinstance(each, Enum) for each in typing.get_args(hint)):
        return _literal(typing.get_args(hint))
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
