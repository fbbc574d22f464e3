"""What an object of any class has: its attributes, methods and fields. None of this raises."""

import contextlib
import types
from typing import Any

from agentkit.tooling.error_text import message_of, without_paths


def safe_text(error: BaseException) -> str:
    """An exception as one line."""
    return without_paths(f"{type(error).__name__}: {message_of(error)}")


def get(value: Any, *names: str) -> Any:
    """The first attribute of these that there is; None when there is none, or it fails."""
    for name in names:
        with contextlib.suppress(Exception):
            found = getattr(value, name)
            if found is not None:
                return found
    return None


def has(value: Any, *names: str) -> bool:
    """Whether the class has all of these methods."""
    return all(callable(getattr(type(value), name, None)) for name in names)


def is_described(value: Any) -> bool:
    """Whether the class says which fields it has."""
    kind = type(value)
    return any(hasattr(kind, name) for name in ("__dataclass_fields__", "__attrs_attrs__", "model_fields", "_fields"))


def field_of(value: Any, name: str) -> Any:
    """A field of an object; where it can't be read, why."""
    try:
        return getattr(value, name)
    except Exception as error:  # noqa: BLE001 - a property of the user's class
        return f"(can't be read: {safe_text(error)})"


def has_own_text(value: Any) -> bool:
    """Whether the class says how its objects are written."""
    return not all(vars(object)[name] is getattr(type(value), name) for name in ("__str__", "__repr__"))


CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
"""Kinds of values that are no data."""


def public_fields(value: Any) -> dict[str, Any]:
    """The fields of an object, in the order in which they were set; the properties of one that has no others."""
    names = list(getattr(value, "__dict__", ()))
    classes = [kind for kind in type(value).__mro__ if kind is not object]
    for kind in reversed(classes):
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    fields = {name: field_of(value, name) for name in names if not name.startswith("_") and _is_set(value, name)}
    fields = {name: each for name, each in fields.items() if not isinstance(each, CODE)}
    if fields:
        return fields
    properties = [name for kind in classes for name, each in vars(kind).items() if isinstance(each, property)]
    return {name: field_of(value, name) for name in properties if not name.startswith("_")}


def _is_set(value: Any, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:  # noqa: BLE001 - a descriptor of the user's class
        return True
