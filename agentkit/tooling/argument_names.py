"""The names of a call's arguments: wrappers around all of them, and names that a tool does not have."""

import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentkit._lazy.patterns import pattern
from agentkit._text import cut
from agentkit.errors import ArgumentsError
from agentkit.tooling.json_repair import read_json
from agentkit.tooling.record_fields import is_record, keys_of_fields

if TYPE_CHECKING:
    from pydantic import BaseModel

_PAYLOADS = frozenset(
    ("arguments", "parameters", "input", "kwargs", "args", "params", "tool_input", "action_input", "tool_args")
)
_NAMES = frozenset(("name", "tool", "tool_name", "function", "function_name", "action", "recipient_name"))
_OTHERS = frozenset(("id", "type", "tool_call_id"))
_MAX_WRAPPERS = 8
_MAX_NAMED = 5
_MAX_NAMES = 200
"""Characters of unknown names that a sentence repeats."""
_COMPOSED = frozenset(
    ("allOf", "anyOf", "oneOf", "$ref", "if", "patternProperties", "dependentSchemas", "additionalProperties")
)
"""Keywords of a JSON schema that may allow other properties than those under "properties"."""


def unwrapped(given: dict[str, Any], tool: str, known: Collection[str]) -> dict[str, Any]:
    """Returns the arguments without an object around all of them: `{"arguments": {...}}`, `{"TOOL": {...}}`, or a whole
    call `{"name": "TOOL", "arguments": {...}}`, where the tool has no such parameters. tool: its name. known: the names
    of its parameters."""
    for _ in range(_MAX_WRAPPERS):
        inner = None if not given or any(name in known for name in given) else _inner(given, tool)
        if inner is None:
            return given
        given = inner
    return given


def wrapped(given: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a tool that takes one object, where the keys of that were written in its place: all that
    it, or one of several that it may be, has to have, and nothing else. parameters: the JSON schema of the
    arguments."""
    described = parameters.get("properties") or {}
    if len(described) != 1 or described.keys() & given.keys():
        return given
    (name,) = described
    is_required = name in parameters.get("required", ())
    objects = [each for each in _alternatives(described[name], parameters, set()) if each.get("properties")]
    may_be_others = bool(given) and parameters.get("additionalProperties", True) is not False
    if not objects or not (is_required or (bool(given) and not may_be_others)) or (not given and len(objects) > 1):
        return given
    is_whole = any(set(each.get("required", ())) <= given.keys() <= each["properties"].keys() for each in objects)
    return {name: given} if is_whole else given


def _inner(given: Mapping[str, Any], tool: str) -> dict[str, Any] | None:
    payloads = [key for key in given if key in _PAYLOADS]
    if not payloads and len(given) == 1:
        (key,) = given
        value = given[key]
        is_call = (
            key in ("function", "tool_call", "function_call") and isinstance(value, dict) and value.keys() & _NAMES
        )
        return _object(value) if key == tool or is_call else None
    rest = given.keys() - set(payloads)
    if len(payloads) != 1 or not rest <= _NAMES | _OTHERS or any(given[key] != tool for key in rest & _NAMES):
        return None
    return _object(given[payloads[0]])


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            value = read_json(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def check_names(parameters: Mapping[str, Any], values: Mapping[str, Any], unknown: Sequence[str]) -> None:
    """Raises ArgumentsError where a tool would run with the default of a parameter in place of an argument whose name
    it does not have. parameters: its JSON schema. values: the arguments read. unknown: names (or paths in nested
    objects) that were left out of them."""
    known = parameters.get("properties") or {}
    strangers = [*unknown, *(name for name in values if name not in known and _is_complete(parameters))]
    if strangers and (len(known) > len(values.keys() & known.keys()) or any("." in name for name in unknown)):
        raise ArgumentsError(unknown_names(strangers, values, known, parameters))


def ignored(tool: str, parameters: Mapping[str, Any], names: Sequence[str]) -> str:
    """Returns the note for the result of a call of which these arguments were left out; "" without any."""
    if not names:
        return ""
    takes = ", ".join(parameters.get("properties") or ()) or "none"
    return f"\n(ignored, since {tool} has no such arguments: {', '.join(names)[:_MAX_NAMES]}; it takes {takes})"


def unknown_names(
    names: Sequence[str], given: Collection[str], known: Collection[str], parameters: Mapping[str, Any] | None = None
) -> str:
    """Returns a sentence that names arguments which a tool does not have, the nearest to each that it has and that is
    not given, and all that it has. names: also paths of keys in nested objects, of whose names `parameters` knows, the
    JSON schema."""
    free = [name for name in known if name not in given] or list(known)
    takes = {"it": known}
    told = []
    for name in names[:_MAX_NAMED]:
        place, _, key = name.rpartition(".")
        there = list(_names_at(parameters or {}, place)) if place else []
        if there:
            takes[cut(place, 60)] = there
        told.append(f"no argument {cut(name, 60)!r}{_nearest(key, there or free)}")
    if len(takes) > 1 and all("." in name for name in names):
        del takes["it"]
    lists = "; ".join(f"{place} takes {', '.join(there) or 'none'}" for place, there in takes.items())
    return f"it has {' and '.join(told)}; {lists}"


_STEP = pattern(r"\[\d+\]|[^.\[\]]+")


def _names_at(parameters: Mapping[str, Any], path: str) -> Collection[str]:
    """The names that the objects at a path (`mail.to[0]`) may have by the schema of all arguments."""
    found: list[Mapping[str, Any]] = [parameters]
    for step in _STEP.findall(path):
        found = [each for schema in found for each in _alternatives(_inside(schema, step), parameters, set())]
    return dict.fromkeys(name for schema in found for name in schema.get("properties") or ())


def _inside(schema: Mapping[str, Any], step: str) -> Any:
    if step[0] == "[":
        return schema.get("items")
    return (schema.get("properties") or {}).get(step, schema.get("additionalProperties"))


def _alternatives(schema: Any, parameters: Mapping[str, Any], seen: set[str]) -> Iterator[Mapping[str, Any]]:
    """A schema without its references, and those that it is made of. seen: references that were followed."""
    if not isinstance(schema, Mapping):
        return
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    if reference and reference not in seen:
        seen.add(reference)
        yield from _alternatives((parameters.get("$defs") or {}).get(reference), parameters, seen)
    yield schema
    for kind in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(kind) or ():
            yield from _alternatives(each, parameters, seen)


def _nearest(name: str, known: list[str]) -> str:
    import difflib  # for a mistake of a model

    found = difflib.get_close_matches(name[:60], known, n=1, cutoff=0.0)
    return f" (nearest: {found[0]!r})" if found else ""


def _is_complete(schema: Mapping[str, Any]) -> bool:
    """Whether the schema of an object names all of its properties, though it does not forbid others in words."""
    return bool(schema.get("properties")) and not schema.keys() & _COMPOSED


def left_out(given: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yields the paths of keys in nested objects that are lost in the validated value, where a default stands in for
    another key. given: the JSON value. value: as validated by pydantic."""
    if isinstance(given, dict):
        names = _lost(given, value)
        yield from (f"{path}.{name}" for name in names)
        for key, inner in given.items():
            if isinstance(inner, dict | list):
                yield from left_out(inner, _member(value, key), f"{path}.{key}" if path else key)
    elif isinstance(given, list) and isinstance(value, list | tuple) and len(given) == len(value):
        for index, inner in enumerate(given):
            if isinstance(inner, dict | list):
                yield from left_out(inner, value[index], f"{path}[{index}]")


def _member(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if is_record(type(value)):
        return getattr(value, keys_of_fields(type(value)).get(key, key), None)
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        key = next((name for name, field in fields.items() if key in _names_of(name, field)), key)
    return getattr(value, key, None) if fields is not None or hasattr(type(value), "__dataclass_fields__") else None


def names_of_model(model: "type[BaseModel]") -> set[str]:
    """Returns the keys under which the fields of a pydantic class may be given."""
    only_by_alias = _only_by_alias(model, model.model_fields)
    names = {each for name, field in model.model_fields.items() for each in _names_of(name, field)}
    return {name for name in names if isinstance(name, str)} - only_by_alias


def _only_by_alias(kind: Any, fields: Mapping[str, Any]) -> set[str]:
    """Returns the names of fields that pydantic doesn't read under their own names, and under that of no other."""
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    if config.get("populate_by_name") or config.get("validate_by_name"):
        return set()
    named = {name for name, field in fields.items() if getattr(field, "validation_alias", None) is not None}
    return named - {alias for name in named for alias in _names_of("", fields[name])}


def _names_of(name: str, field: Any) -> list[Any]:
    """Returns the keys under which a field of a model may be given."""
    alias = field.validation_alias
    choices = getattr(alias, "choices", (alias,))
    return [name, field.alias, *(getattr(each, "path", (each,))[0] for each in choices)]


def _lost(given: Mapping[str, Any], value: Any) -> list[str]:
    if isinstance(value, dict):
        return [name for name in given if name not in value] if value.keys() < given.keys() else []
    if hasattr(type(value), "model_fields"):
        return _lost_in_model(given, value)
    if is_record(type(value)):
        known = keys_of_fields(type(value))
        return [name for name in given if name not in known] if known.keys() - given.keys() else []
    return _lost_in_dataclass(given, value) if hasattr(type(value), "__dataclass_fields__") else []


def _lost_in_dataclass(given: Mapping[str, Any], value: Any) -> list[str]:
    import dataclasses  # most calls have no such argument

    fields = {field.name: field.init for field in dataclasses.fields(value)}
    known = {name for name in value.__dataclass_fields__ if fields.get(name, True)}  # with those only of `__init__`
    known -= _only_by_alias(type(value), getattr(value, "__pydantic_fields__", {}))
    lost = [name for name in given if name not in known]
    if not lost or not (any(name in fields for name in lost) or fields.keys() & known - given.keys()):
        return []
    hints = typing.get_type_hints(type(value), include_extras=True)
    infos = [(name, info) for name, hint in hints.items() for info in getattr(hint, "__metadata__", ())]
    infos += getattr(value, "__pydantic_fields__", {}).items()
    aliases = {each for name, info in infos if hasattr(info, "validation_alias") for each in _names_of(name, info)}
    return [name for name in lost if name not in aliases or name in fields]


def _lost_in_model(given: Mapping[str, Any], value: "BaseModel") -> list[str]:
    fields, is_set = type(value).model_fields, value.model_fields_set
    if len(given) <= len(is_set) or len(is_set) >= len(fields):
        return []  # all was used, by a validator perhaps, or nothing is left to a default
    known = names_of_model(type(value))
    return [name for name in given if name not in known]


def left_out_of_schema(value: Any, schema: Any, path: str = "") -> Iterator[str]:
    """The same for a value under a hand-written schema: keys that it does not name, where one that it names is
    missing."""
    if not isinstance(schema, Mapping):
        return
    if isinstance(value, dict):
        described = schema.get("properties") or {}
        if path and _is_complete(schema) and described.keys() - value.keys():
            yield from (f"{path}.{name}" for name in value if name not in described)
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from left_out_of_schema(inner, described.get(key), f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict | list):
                yield from left_out_of_schema(inner, schema.get("items"), f"{path}[{index}]")
