"""Messages as plain data: objects of SDKs and what databases put beside a message become values that JSON has."""

import datetime
from collections.abc import Mapping
from enum import Enum
from typing import Any

_MAX_DEPTH = 100
_PLAIN = (str, int, float, bool, type(None))
_AS_TEXT = ("decimal.Decimal", "uuid.UUID")
"""Types by name, also of those derived from them: what does not use them need not load them."""
_ROLES = ("role", "type", "kind")
"""What says who speaks; `kind` in pydantic-ai's messages."""


def plain_message(given: Any) -> Any:
    """A message as a dict: `response.choices[0].message`, a pydantic model, a dataclass, an object with a role, or a
    dict with such objects in it. What is no message stays as it is."""
    if isinstance(given, Mapping):
        is_plain = type(given) is dict and all(type(value) in _PLAIN for value in given.values())
        return dict(given) if is_plain else {_key(key): plain(value) for key, value in given.items()}
    fields = None if isinstance(given, str | bytes | tuple | list) else _fields(given)
    if fields is None or not any(isinstance(plain(fields.get(name)), str) for name in _ROLES):
        return given
    return {_key(key): plain(value) for key, value in fields.items() if value is not None}


def plain(value: Any, depth: int = 0) -> Any:
    """A value with plain data in place of objects; an object that has none stays as it is."""
    if type(value) in _PLAIN or depth > _MAX_DEPTH:
        return value
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, Mapping):
        return {_key(key): plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if any(f"{kind.__module__}.{kind.__qualname__}" in _AS_TEXT for kind in type(value).__mro__):
        return str(value)
    fields = _fields(value)
    if fields is None:
        return value
    return {_key(key): plain(each, depth + 1) for key, each in fields.items() if each is not None}


def _key(key: Any) -> Any:
    return key.value if isinstance(key, Enum) else key


def _fields(value: Any) -> Mapping[str, Any] | None:
    """The fields of an object, by whichever way it has to say them; None when it has none."""
    if isinstance(value, type):
        return None
    import dataclasses  # here, since messages are dicts as a rule

    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for name, options in (("model_dump", {"exclude_none": True}), ("to_dict", {}), ("dict", {})):
        dump = getattr(value, name, None)
        if not callable(dump):
            continue
        try:
            dumped = dump(**options)
        except Exception:  # noqa: BLE001 - an object of somebody else; it is refused as no message
            continue
        if isinstance(dumped, Mapping):
            return dumped
    fields = getattr(value, "__dict__", None)
    return {key: each for key, each in fields.items() if not key.startswith("_")} if fields else None
