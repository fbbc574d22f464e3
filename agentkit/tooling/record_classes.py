"""Classes of attrs and msgspec as types of arguments: pydantic does not know them, and is given their fields."""

import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field, PlainSerializer
from typing_extensions import TypedDict  # pydantic wants this one on Python 3.11

from agentkit.errors import ToolDefinitionError
from agentkit.tooling.docstrings import docstring_of
from agentkit.tooling.record_fields import fields_of, is_record, keys_of_fields, taken_by


def fields_in_place(kind: Any, convert: Callable[[Any], Any]) -> Any:
    """For a class of attrs or msgspec: an object with its fields, which becomes an instance; None for any other.
    convert: makes the types of fields ones that pydantic knows. Raises ToolDefinitionError."""
    if not is_record(kind) or hasattr(kind, "__get_pydantic_core_schema__"):
        return None
    try:
        keys = _keys(kind, convert)
    except ToolDefinitionError:
        raise
    except (NameError, TypeError) as error:
        raise ToolDefinitionError(f"the type {kind.__name__}: its fields can't be described: {error}") from None
    except RecursionError:
        raise ToolDefinitionError(
            f"the type {kind.__name__} refers to itself, which only dataclasses and pydantic's models may"
        ) from None
    return Annotated[keys, AfterValidator(_maker(kind)), PlainSerializer(_writer(kind, keys_of_fields(kind)))]


def _keys(kind: type, convert: Callable[[Any], Any]) -> Any:
    fields, types = list(fields_of(kind)), typing.get_type_hints(kind, include_extras=True)
    docs = docstring_of(kind, [each.name for each in fields])
    hints: dict[str, Any] = {}
    for each in fields:
        shown = None if each.default is ... else {"default": each.default}
        described = Field(description=docs.parameters.get(each.name), json_schema_extra=shown)
        hint: Any = Annotated[convert(taken_by(each.converter, types.get(each.name, Any))), described]
        hints[each.key] = hint if each.is_required else NotRequired[hint]
    make: Any = TypedDict  # mypy requires literal keys; these are only known at run time
    made = make(kind.__name__, hints)
    made.__doc__ = docs.text or None
    return made


def _maker(kind: type) -> Callable[[Any], Any]:
    def made(values: dict[str, Any]) -> Any:
        try:
            return kind(**values)
        except TypeError as error:  # of a validator (`instance_of`), which pydantic would not tell the model
            raise ValueError(str(error)) from error

    return made


def _writer(kind: type, names: Mapping[str, str]) -> Callable[[Any], Any]:
    def written(value: Any) -> Any:
        if not isinstance(value, kind):
            return value
        return {key: getattr(value, name) for key, name in names.items()}

    return written
