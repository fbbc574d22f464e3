"""Arguments of plain types: str, int, float, bool, a Literal of strings, lists of these, and any of these or None.

Their JSON schema is what pydantic makes of them, and values that fit are what pydantic gives the function; so a program
whose tools have no others need not load pydantic, which takes longer than all of agentkit. What does not fit exactly is
pydantic's: it coerces, or says what is wrong (`agentkit.tooling.arguments`).
"""

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_NAMES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_MOST = 2**53
"""Integers above are compared, and converted, by pydantic."""


class PlainArguments:
    """The arguments of one function. adapter: makes pydantic's own, when a call does not fit."""

    def __init__(self, adapter: "Callable[[], TypeAdapter[Any]]") -> None:
        self._properties: dict[str, dict[str, Any]] = {}
        self._hints: dict[str, Any] = {}
        self._required: list[str] = []
        self.adapter = functools.cache(adapter)

    def add(self, parameter: inspect.Parameter, hint: Any, documented: str | None) -> bool:
        """Add the argument of a parameter. Returns False for one that is not plain."""
        is_required = parameter.default is parameter.empty
        own, text = _without_text(hint)
        schema = schema_of(own)
        is_plain = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and schema is not None
        if not is_plain or not (is_required or _is_plain_default(own, parameter.default)):
            return False
        if documented or text:
            schema = dict(sorted({**(schema or {}), "description": documented or text}.items()))
        self._properties[parameter.name] = {**(schema or {}), **({} if is_required else {"default": parameter.default})}
        self._hints[parameter.name] = own
        if is_required:
            self._required.append(parameter.name)
        return True

    @property
    def names(self) -> frozenset[str]:
        """The names of the arguments."""
        return frozenset(self._hints)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        required = {"required": self._required} if self._required else {}
        return {"type": "object", "properties": self._properties, **required, "additionalProperties": False}

    def values(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments as the function gets them; None where they don't fit exactly."""
        if not all(name in given for name in self._required):
            return None
        values = {}
        for name, hint in self._hints.items():
            if name in given:
                values[name] = value = value_of(hint, given[name])
                if value is UNFIT:
                    return None
        return values


UNFIT: Any = object()


def schema_of(hint: Any) -> dict[str, Any] | None:
    """The JSON schema of a plain type as pydantic writes it; None for another type."""
    if isinstance(hint, type) and hint in _NAMES:
        return {"type": _NAMES[hint]}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and len(arguments) == 1:
        items = schema_of(arguments[0])
        return None if items is None else {"items": items, "type": "array"}
    if origin is Literal and all(type(each) is str and _is_text(each) for each in arguments):
        distinct = list(dict.fromkeys(arguments))
        return {"enum": distinct, "type": "string"} if len(distinct) > 1 else {"const": distinct[0], "type": "string"}
    if origin in (typing.Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        inner = schema_of(_other_than_none(arguments))
        return None if inner is None else {"anyOf": [inner, {"type": "null"}]}
    return None


def value_of(hint: Any, given: Any) -> Any:
    """The value that a function gets for one from JSON; UNFIT where it is not exactly of the type."""
    kind = type(given)
    if hint in (str, int, float, bool):
        return _scalar(hint, kind, given)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        values = [value_of(arguments[0], each) for each in given] if kind is list else [UNFIT]
        return UNFIT if any(each is UNFIT for each in values) else values
    if origin is Literal:
        return given if kind is str and given in arguments else UNFIT
    if given is None:
        return None
    inner = _other_than_none(arguments)
    return UNFIT if inner is float and kind is int else value_of(inner, given)


def _other_than_none(alternatives: tuple[Any, ...]) -> Any:
    return next(each for each in alternatives if each is not type(None))


def _scalar(hint: type, kind: type, given: Any) -> Any:
    if hint is str:
        return given if kind is str and _is_text(given) else UNFIT
    if hint is float:
        if kind is int and -_MOST <= given <= _MOST:
            return float(given)
        return given if kind is float and math.isfinite(given) else UNFIT
    if kind is int and not -_MOST <= given <= _MOST:
        return UNFIT
    return given if kind is hint else UNFIT


def _is_text(given: str) -> bool:
    """Whether a string has no half of a surrogate pair, which pydantic refuses."""
    if given.isascii():
        return True
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_text(hint: Any) -> tuple[Any, str | None]:
    """A type without the string that is annotated to it, and that string; another annotation is not plain."""
    if typing.get_origin(hint) is not Annotated:
        return hint, None
    if not all(type(each) is str for each in hint.__metadata__):
        return None, None
    return hint.__origin__, next((each for each in hint.__metadata__ if each.strip()), None)


def _is_plain_default(hint: Any, default: Any) -> bool:
    """Whether a default is a value of its type that stands for itself in JSON."""
    value = value_of(hint, default) if type(default) in _NAMES or default is None else UNFIT
    return type(value) is type(default) and bool(value == default)
