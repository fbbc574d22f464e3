"""Converts the parameters of a Python function to the JSON schema that is sent to the model.

The schema is pydantic's (JSON Schema draft 2020-12) without titles; descriptions come from the docstring, else from
`Field(description=...)`, else from a string in `Annotated`.
"""

import functools
import inspect
import json
import operator
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, BaseModel, ConfigDict, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, SchemaError, to_jsonable_python
from typing_extensions import TypedDict  # pydantic wants this one on Python 3.11

from agentkit._lazy.patterns import pattern
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.argument_names import names_of_model
from agentkit.tooling.checked_types import checked_in_time
from agentkit.tooling.docstrings import docstring_of
from agentkit.tooling.record_classes import fields_in_place
from agentkit.tooling.signature import ModelValues, element_of, keys_of, unpacked

_UNDESCRIBABLE = (
    *(PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError),
    *(SchemaError, ImportError),  # of a pattern that pydantic can't compile; of a type that needs another package
)


class _Schemas(GenerateJsonSchema):
    """Pydantic's JSON schemas, with what a model can give alone: no field that a class sets itself (`init=False`), and
    each value of an enum once, also where a member has two names. A default without JSON form (infinity, NaN, bytes, an
    object) is left out without a warning: the argument is described all the same, and the default is its class's."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - declared so by pydantic

    def encode_default(self, dft: Any) -> Any:
        """Raises PydanticSerializationError, upon which pydantic leaves the default out."""
        encoded = super().encode_default(dft)
        if not _is_json(to_jsonable_python(dft, inf_nan_mode="constants", by_alias=self.by_alias, fallback=str)):
            raise PydanticSerializationError(f"{dft!r} has no JSON form")
        return encoded

    def is_subclass_schema(self, schema: Any) -> dict[str, Any]:
        """No JSON value is a class (`type[int]`): raises PydanticInvalidForJsonSchema."""
        return self.handle_invalid_for_json_schema(schema, "a class (type[...])")

    def field_is_present(self, field: Any) -> bool:
        return field.get("init") is not False and super().field_is_present(field)

    def enum_schema(self, schema: Any) -> dict[str, Any]:
        made = super().enum_schema(schema)
        values = made["enum"]
        return {**made, "enum": [each for index, each in enumerate(values) if values.index(each) == index]}


def schema_of(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON schema of what an adapter takes."""
    return adapter.json_schema(schema_generator=_Schemas)


class AnyName(frozenset[str]):
    """Contains every name: those of the arguments of a function that takes `**kwargs`."""

    def __contains__(self, name: object) -> bool:
        return True


Described = tuple[dict[str, Any], TypeAdapter[Any], Collection[str]]
"""A JSON schema of arguments, the adapter that validates them, and the names under which they are taken."""


def of_parameters(parameters: Iterable[tuple[inspect.Parameter, Any, str | None]], name: str) -> Described:
    """Describe the parameters of a tool, each with its type and its description. Raises ToolDefinitionError for a type
    without a JSON schema."""
    arguments = _Arguments(name)
    for parameter, hint, documented in parameters:
        arguments.add(parameter, hint, documented)
    return arguments.described()


class _Arguments:
    """Collects the arguments of a tool from its parameters."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._hints: dict[str, Any] = {}
        self._defaults: dict[str, tuple[Any, Any]] = {}
        self._others: dict[str, Any] = {}

    def add(self, parameter: inspect.Parameter, hint: Any, documented: str | None) -> None:
        """Add the argument of a parameter, or those that it stands for."""
        if parameter.kind is parameter.VAR_POSITIONAL:
            several = types.GenericAlias(list, (_for_pydantic(element_of(hint)),))
            self.add_key(parameter.name, several, False, documented)
        elif parameter.kind is parameter.VAR_KEYWORD:
            self._add_others(hint, documented)
        elif isinstance(parameter.default, FieldInfo):
            kind = _with_text(Annotated[_for_pydantic(hint), parameter.default], documented)
            self._hints[parameter.name] = kind if parameter.default.is_required() else NotRequired[kind]
        else:
            kind = _for_pydantic(hint)
            is_required = parameter.default is parameter.empty
            self.add_key(parameter.name, kind, is_required, documented)
            if not is_required:
                self._defaults[parameter.name] = (kind, parameter.default)

    def add_key(self, name: str, hint: Any, is_required: bool, documented: str | None) -> None:
        """Add an argument by its name and type."""
        kind = _with_text(hint, documented)
        self._hints[name] = kind if is_required else NotRequired[kind]

    def _add_others(self, hint: Any, documented: str | None) -> None:
        keys = unpacked(hint)
        if keys is None:
            self._others = {"extra_items": _with_text(_for_pydantic(element_of(hint)), documented)}
            return
        for name, (each, is_required) in keys_of(keys).items():
            self.add_key(name, _for_pydantic(each), is_required, None)

    def described(self) -> Described:
        """The JSON schema of the arguments, the adapter that validates them, and the names under which they are taken.
        Raises ToolDefinitionError for a type without a JSON schema."""
        adapter, schema = _adapter(self._hints, self._others, self._tool)
        for name, (hint, default) in self._defaults.items():
            schema["properties"][_alias_of(hint) or name].update(_default(hint, default))
        return schema, adapter, AnyName() if self._others else frozenset((*self._hints, *schema["properties"]))


def of_model(model: type[BaseModel], name: str) -> tuple[str, dict[str, Any], TypeAdapter[Any], Collection[str]]:
    """The text of a pydantic class, and what `of_parameters` says of a function: an instance is the value."""
    docs = docstring_of(model, model.model_fields)
    try:
        kind: Any = Annotated[model, AfterValidator(ModelValues)]
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = _resolved(without_titles(schema_of(adapter)))
    except _UNDESCRIBABLE as error:
        raise _no_schema(name, "", error) from None
    if schema.get("type") != "object":
        raise ToolDefinitionError(
            f"tool {name}: the arguments of a tool are a JSON object, and a {model.__name__} is none"
        )
    schema.pop("description", None)
    for field_name, info in model.model_fields.items():
        shown = schema.get("properties", {}).get(info.alias or field_name)
        if shown is not None and docs.parameters.get(field_name):
            shown["description"] = docs.parameters[field_name]
    is_open = model.model_config.get("extra") == "allow"
    schema = {"type": "object", "properties": {}, **schema}
    schema = {**schema, "additionalProperties": schema.get("additionalProperties", True) if is_open else False}
    names = AnyName() if is_open else frozenset((*names_of_model(model), *schema["properties"]))
    return docs.text, schema, adapter, names


def of_typed_dict(kind: Any, name: str) -> tuple[str, dict[str, Any], TypeAdapter[Any], Collection[str]]:
    """The same for a TypedDict."""
    keys = keys_of(kind)
    docs = docstring_of(kind, keys)
    arguments = _Arguments(name)
    for key, (hint, is_required) in keys.items():
        arguments.add_key(key, _for_pydantic(hint), is_required, docs.parameters.get(key))
    return docs.text, *arguments.described()


def _for_pydantic(hint: Any) -> Any:
    """Returns the hint with each `typing.TypedDict` replaced by that of typing_extensions, the only one that pydantic
    accepts before Python 3.12."""
    if type(hint).__module__ == "typing" and typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        required = hint.__required_keys__
        return _typed_dict(
            hint.__name__,
            {key: _for_pydantic(value) if key in required else _optional(value) for key, value in hints.items()},
        )
    if (fields := fields_in_place(hint, _for_pydantic)) is not None:
        return fields
    replaced = checked_in_time(hint)
    if replaced is not hint:
        return _for_pydantic(replaced) if typing.get_origin(replaced) is list else replaced
    arguments = typing.get_args(hint)
    changed = tuple(map(_for_pydantic, arguments)) if _holds_types(hint) else arguments
    if changed == arguments:
        return hint
    if typing.get_origin(hint) is Annotated:
        return Annotated[changed]
    if isinstance(hint, types.UnionType):
        return functools.reduce(operator.or_, changed)
    return hint.copy_with(changed) if hasattr(hint, "copy_with") else typing.get_origin(hint)[changed]


def _holds_types(hint: Any) -> bool:
    return typing.get_origin(hint) not in (None, Literal)


def _optional(hint: Any) -> Any:
    return NotRequired[_for_pydantic(hint)]


def _typed_dict(name: str, keys: Mapping[str, Any], **options: Any) -> Any:
    make: Any = TypedDict  # mypy requires literal keys; these are only known at run time
    return make(name, keys, **options)


def _with_text(hint: Any, documented: str | None) -> Any:
    """Returns a type with its description: that of the docstring, else its own, else a string annotated to it."""
    text = documented or (None if _has_description(hint) else next(_texts_in(hint), None))
    return Annotated[hint, FieldInfo(description=text)] if text else hint


def _texts_in(hint: Any) -> Iterator[str]:
    """The strings annotated to a type, and the texts of `Doc(...)`."""
    for each in getattr(hint, "__metadata__", ()):
        text = getattr(each, "documentation", each)
        if isinstance(text, str) and text.strip():
            yield text


def _has_description(hint: Any) -> bool:
    return any(getattr(field, "description", None) for field in getattr(hint, "__metadata__", ()))


def _alias_of(hint: Any) -> str | None:
    aliases = [getattr(field, "alias", None) for field in getattr(hint, "__metadata__", ())]
    return next((alias for alias in reversed(aliases) if alias), None)


def _adapter(arguments: dict[str, Any], others: dict[str, Any], name: str) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    try:
        return _described(_adapter_of(arguments, **others))
    except _UNDESCRIBABLE as whole:
        for parameter, hint in arguments.items():
            try:
                _described(_adapter_of({parameter: hint}))
            except _UNDESCRIBABLE as error:
                raise _no_schema(name, parameter, error) from None
        raise _no_schema(name, ", ".join(arguments), whole) from None


def _adapter_of(arguments: dict[str, Any], **others: Any) -> TypeAdapter[Any]:
    keys = _typed_dict("Arguments", arguments, **others)
    extra: Literal["allow", "ignore"] = "allow" if others else "ignore"
    keys.__pydantic_config__ = ConfigDict(extra=extra, validate_by_name=True, validate_by_alias=True)
    adapter: TypeAdapter[Any] = TypeAdapter(keys)
    if not adapter.pydantic_complete:
        adapter.rebuild()  # raises PydanticUndefinedAnnotation, which names what is missing
    return adapter


def json_schema_of(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """Returns the adapter of a type, and its JSON schema. Raises PydanticUserError for a type without a schema."""
    adapter: TypeAdapter[Any] = TypeAdapter(_for_pydantic(hint))
    return adapter, _closed(schema_of(adapter))


def wrapped_adapter(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The same for an object with a value of the type under the key "value"."""
    adapter = _adapter_of({"value": _for_pydantic(hint)})
    return adapter, _closed(schema_of(adapter))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema without derived titles, with a top-level reference resolved and no additional properties
    allowed."""
    schema = _resolved(without_titles(schema))
    for each in (schema, *schema.get("$defs", {}).values()):
        if each.get("type") == "object" and "properties" in each:
            each.setdefault("additionalProperties", False)
    return schema


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a type that refers to itself with its definition at the top."""
    if "$ref" not in schema:
        return schema
    return {**schema["$defs"][schema["$ref"].rpartition("/")[2]], "$defs": schema["$defs"]}


def _described(adapter: TypeAdapter[Any]) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    schema = without_titles(schema_of(adapter))
    schema.pop("description", None)
    additional = schema.pop("additionalProperties", False)
    return adapter, {"type": "object", "properties": {}, **schema, "additionalProperties": additional}


_NO_TYPE_OF_JSON = pattern(r"Unable to generate pydantic-core schema for (.{1,300}?)\. Set `arbitrary_types_allowed")


def _no_schema(name: str, parameter: str, error: Exception) -> ToolDefinitionError:
    lines = str(error).split("\n")
    reason = lines[0]
    if isinstance(error, SchemaError):
        reason = f"{'in a pattern: ' if 'regex' in str(error) else ''}{lines[-1].removeprefix('error: ')}"
    if found := _NO_TYPE_OF_JSON.match(reason):
        reason = f"{found[1]}: the model writes JSON, so take numbers, texts, lists or a dataclass, and make it of them"
    where = f"the parameter {parameter!r}" if parameter else "a parameter"
    if isinstance(error, PydanticUndefinedAnnotation):
        reason += ": define it above the tool"
    return ToolDefinitionError(f"tool {name}: {where} has a type without a JSON schema: {reason}")


def without_titles(schema: Any) -> Any:
    """Returns the schema without the titles that pydantic derives from names, which add no information for a model, and
    without defaults and examples that can't be sent (infinity, NaN)."""
    if isinstance(schema, list):
        return [without_titles(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _inner(key, value) for key, value in schema.items() if not _is_left_out(key, value)}


def _is_left_out(key: str, value: Any) -> bool:
    """Whether a key of a schema is not sent: a derived title; a default or examples for which JSON has no form."""
    return (key == "title" and isinstance(value, str)) or (key in ("default", "examples") and not _is_json(value))


def _is_json(value: Any) -> bool:
    """Whether a value has a JSON form, which infinity and NaN have not."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return False
    return True


def _inner(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):  # their keys are names, and "title" may be one of them
        return {name: without_titles(entry) for name, entry in value.items()}
    return value if key in ("default", "enum", "const", "examples") else without_titles(value)


def _without_fields(hint: Any) -> Any:
    """Returns a type without its `Field(...)`s, which pydantic warns of outside of a class."""
    if typing.get_origin(hint) is not Annotated:
        return hint
    rest = tuple(each for each in hint.__metadata__ if not isinstance(each, FieldInfo))
    return Annotated[(hint.__origin__, *rest)] if rest else hint.__origin__


def _default(hint: Any, default: Any) -> dict[str, Any]:
    """Returns the "default" of a property; {} when the default has no JSON representation."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_without_fields(hint))
        value = adapter.dump_python(default, mode="json", warnings="error")
    except (ValueError, TypeError):
        return {}
    if _is_another(adapter, value, default):
        return {}
    if isinstance(default, set | frozenset):
        value = sorted(value, key=repr)  # the order of a set differs between processes
    return {"default": value} if _is_json(value) else {}


def _is_another(adapter: TypeAdapter[Any], value: Any, default: Any) -> bool:
    """Whether a model that writes the default as it is shown gives the function another value: of a secret only stars
    are shown."""
    try:
        return bool(adapter.validate_json(json.dumps(value)) != default)
    except Exception:  # noqa: BLE001 - of a validator, or of an object that can't be compared
        return False
