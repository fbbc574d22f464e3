"""The fields of classes of attrs and msgspec, which need not be installed."""

import inspect
import typing
from collections.abc import Iterator
from typing import Any

_SCALARS = (str, int, float, bool, type(None))


class RecordField(typing.NamedTuple):
    """A field of such a class. key: under which it is given. default: as JSON has it; Ellipsis for one that it does not
    have. converter: what is called with what is given."""

    name: str
    key: str
    is_required: bool
    default: Any = ...
    converter: Any = None


def is_record(kind: Any) -> bool:
    """Whether this is a class of attrs or msgspec."""
    return isinstance(kind, type) and (hasattr(kind, "__attrs_attrs__") or hasattr(kind, "__struct_fields__"))


def fields_of(kind: Any) -> Iterator[RecordField]:
    """The fields of such a class that are given to it."""
    if hasattr(kind, "__attrs_attrs__"):
        for each in kind.__attrs_attrs__:
            if each.init:
                is_required = type(each.default).__name__ == "_Nothing"
                key = getattr(each, "alias", None) or each.name.lstrip("_")
                yield RecordField(each.name, key, is_required, _plain(each.default), each.converter)
        return
    defaults = dict(zip(reversed(kind.__struct_fields__), reversed(kind.__struct_defaults__), strict=False))
    for name in kind.__struct_fields__:
        is_required = name not in defaults or repr(defaults[name]) == "NODEFAULT"
        yield RecordField(name, name, is_required, _plain(defaults.get(name, ...)))


def keys_of_fields(kind: Any) -> dict[str, str]:
    """The names of the fields by the keys under which they are given."""
    return {each.key: each.name for each in fields_of(kind)}


def taken_by(converter: Any, hint: Any) -> Any:
    """The type of what a converter takes; that of its field where it does not say."""
    if not inspect.isroutine(converter):
        return hint
    try:
        hints, taken = typing.get_type_hints(converter), inspect.signature(converter).parameters
    except (TypeError, ValueError, NameError):
        return hint
    return hints.get(next(iter(taken), ""), hint)


def _plain(default: Any) -> Any:
    return default if isinstance(default, _SCALARS) else ...
