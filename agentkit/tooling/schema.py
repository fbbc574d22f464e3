"""Converts a Python signature and its docstring to the JSON schema that is sent to the model.

The schema is pydantic's (JSON Schema draft 2020-12) without titles; descriptions come from `Annotated[...,
Field(description=...)]`, from a string in `Annotated`, or from the docstring (google, numpy or sphinx style).
"""

import functools
import inspect
import json
import operator
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict  # pydantic wants this one on Python 3.11

from agentkit.errors import ToolDefinitionError

_UNDESCRIBABLE = (PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError)


@dataclass(frozen=True)
class Description:
    """The description of a function for a model, and the adapter that converts its arguments to Python values.

    parameters: the JSON schema of an object. adapter: validates the arguments. context: the name of the parameter that
    takes the run's context, if there is one.
    """

    text: str
    parameters: dict[str, Any]
    adapter: TypeAdapter[Any]
    context: str | None


def describe(
    function: Callable[..., Any],
    name: str,
    context_type: type,
    namespace: Mapping[str, Any],
    bound: bool = True,
) -> Description:
    """Describe `function` as a tool called `name`.

    context_type: the annotation of the parameter that is left out of the schema. namespace: names that annotations may
    use in addition to the function's globals. bound: False for an unbound method, whose first parameter is not an
    argument. Raises ToolDefinitionError with the function, the parameter and the reason.
    """
    parameters = _parameters(function, name, bound)
    hints = _type_hints(function, name, namespace)
    docs = _Docstring.of(function)
    context: str | None = None
    arguments: dict[str, Any] = {}
    for parameter in parameters:
        hint = _hint(parameter, hints, name)
        if _is_context(hint, context_type):
            context = parameter.name
        else:
            arguments[parameter.name] = _argument(parameter, hint, docs.parameters.get(parameter.name))
    adapter = _adapter(arguments, name)
    schema = _json_schema(adapter, name)
    for parameter in parameters:
        if parameter.name in arguments and parameter.default is not parameter.empty:
            schema["properties"][parameter.name].update(
                _default(_for_pydantic(hints[parameter.name]), parameter.default)
            )
    return Description(docs.text, schema, adapter, context)


def _is_context(hint: Any, context_type: type) -> bool:
    """Whether a type hint is the context's type: plain, with the type of its deps, or one of several types."""
    each = (hint, *typing.get_args(hint))
    return any(one is context_type or typing.get_origin(one) is context_type for one in each)


def _parameters(function: Callable[..., Any], name: str, bound: bool) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ToolDefinitionError(f"tool {name}: {function!r} has no signature that Python can inspect") from None
    given = _bound_keywords(function)
    parameters = [each for each in signature.parameters.values() if each.name not in given][0 if bound else 1 :]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter} takes any number of arguments, which a JSON schema can't "
                "describe: declare each argument, or take one list or dict"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter.name!r} is positional-only, but models pass arguments by name"
            )
        if isinstance(parameter.default, FieldInfo):
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter.name!r} has a Field as its default: "
                f"write {parameter.name}: Annotated[<type>, Field(...)] = <default>"
            )
    return parameters


def _bound_keywords(function: Callable[..., Any]) -> set[str]:
    """Returns the names of the arguments that `partial` has bound: a model neither sees nor sets them."""
    names: set[str] = set()
    while isinstance(function, partial):
        names.update(function.keywords)
        function = function.func
    return names


def _type_hints(function: Callable[..., Any], name: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    while isinstance(function, partial):
        function = function.func
    target = inspect.unwrap(function)
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target).__call__
    if inspect.isclass(target):
        target = target.__init__
    try:
        return typing.get_type_hints(target, localns=dict(namespace), include_extras=True)
    except NameError as error:
        raise ToolDefinitionError(f"tool {name}: an annotation can't be resolved: {error}") from None
    except TypeError as error:
        raise ToolDefinitionError(f"tool {name}: an annotation is not a type: {error}") from None


def _hint(parameter: inspect.Parameter, hints: Mapping[str, Any], name: str) -> Any:
    if parameter.name not in hints:
        raise ToolDefinitionError(
            f"tool {name}: the parameter {parameter.name!r} has no type annotation: add one, such as "
            f"{parameter.name}: str"
        )
    return _for_pydantic(hints[parameter.name])


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


def _typed_dict(name: str, keys: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # mypy requires literal keys; these are only known at run time
    return make(name, keys)


def _argument(parameter: inspect.Parameter, hint: Any, documented: str | None) -> Any:
    """Returns the annotation of one argument, with its description."""
    if not _has_description(hint):
        text = next((word for word in getattr(hint, "__metadata__", ()) if isinstance(word, str)), documented)
        if text:
            hint = Annotated[hint, FieldInfo(description=text)]
    return hint if parameter.default is parameter.empty else NotRequired[hint]


def _has_description(hint: Any) -> bool:
    return any(getattr(field, "description", None) for field in getattr(hint, "__metadata__", ()))


def _adapter(arguments: dict[str, Any], name: str) -> TypeAdapter[Any]:
    try:
        return _adapter_of(arguments)
    except _UNDESCRIBABLE as whole:
        for parameter, hint in arguments.items():
            try:
                _adapter_of({parameter: hint})
            except _UNDESCRIBABLE as error:
                raise _no_schema(name, parameter, error) from None
        raise _no_schema(name, ", ".join(arguments), whole) from None


def _adapter_of(arguments: dict[str, Any]) -> TypeAdapter[Any]:
    keys = _typed_dict("Arguments", arguments)
    keys.__pydantic_config__ = ConfigDict(extra="ignore")
    return TypeAdapter(keys)


def json_schema_of(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """Returns the adapter of a type, and its JSON schema. Raises PydanticUserError for a type without a schema."""
    adapter: TypeAdapter[Any] = TypeAdapter(_for_pydantic(hint))
    return adapter, _closed(adapter.json_schema())


def wrapped_adapter(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The same for an object with a value of the type under the key "value"."""
    adapter = _adapter_of({"value": _for_pydantic(hint)})
    return adapter, _closed(adapter.json_schema())


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema without derived titles, with a top-level reference resolved and no additional properties
    allowed."""
    schema = _without_titles(schema)
    if "$ref" in schema:  # a type that refers to itself
        schema = {**schema["$defs"][schema["$ref"].rpartition("/")[2]], "$defs": schema["$defs"]}
    for each in (schema, *schema.get("$defs", {}).values()):
        if each.get("type") == "object" and "properties" in each:
            each.setdefault("additionalProperties", False)
    return schema


def _json_schema(adapter: TypeAdapter[Any], name: str) -> dict[str, Any]:
    try:
        schema = adapter.json_schema()
    except PydanticUserError as error:
        raise _no_schema(name, "", error) from None
    schema = _without_titles(schema)
    schema.pop("description", None)
    return {"type": "object", "properties": {}, **schema, "additionalProperties": False}


def _no_schema(name: str, parameter: str, error: Exception) -> ToolDefinitionError:
    reason = str(error).split("\n")[0]
    where = f"the parameter {parameter!r}" if parameter else "a parameter"
    return ToolDefinitionError(f"tool {name}: {where} has a type without a JSON schema: {reason}")


def _without_titles(schema: Any) -> Any:
    """Returns the schema without the titles that pydantic derives from names; they add no information for a model."""
    if isinstance(schema, list):
        return [_without_titles(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _inner(key, value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _inner(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):  # their keys are names, and "title" may be one of them
        return {name: _without_titles(entry) for name, entry in value.items()}
    return value if key in ("default", "enum", "const", "examples") else _without_titles(value)


def _default(hint: Any, default: Any) -> dict[str, Any]:
    """Returns the "default" of a property; {} when the default has no JSON representation."""
    try:
        value = TypeAdapter(hint).dump_python(default, mode="json", warnings="error")
    except (ValueError, TypeError):
        return {}
    if isinstance(default, set | frozenset):
        value = sorted(value, key=repr)  # the order of a set differs between processes
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return {}
    return {"default": value}


class _Docstring:
    """A parsed docstring: its text, and the description of each parameter."""

    def __init__(self, text: str, parameters: dict[str, str]) -> None:
        self.text = text
        self.parameters = parameters

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Docstring":
        while isinstance(function, partial):
            function = function.func
        raw = inspect.getdoc(function) if _is_documented(function) else inspect.getdoc(type(function).__call__)
        if not raw or not _has_sections(raw):
            return cls(raw or "", {})
        texts: list[str] = []
        parameters: dict[str, str] = {}
        for section in _sections(raw):
            if section.kind.value == "text":
                texts.append(section.value)
            elif section.kind.value == "admonition":
                texts.append(f"{section.title}: {section.value.description}")
            elif "parameters" in section.kind.value:
                parameters |= {entry.name: " ".join(entry.description.split()) for entry in section.value}
        return cls("\n\n".join(texts).strip(), parameters)


def _is_documented(function: Callable[..., Any]) -> bool:
    """Whether the docstring belongs to the function itself, not to the class of a callable object."""
    return inspect.isroutine(function) or inspect.isclass(function) or "__doc__" in vars(function)


def _has_sections(docstring: str) -> bool:
    """Whether a docstring may describe parameters; griffe takes 50 ms to load, so it is imported only when needed."""
    lines = docstring.splitlines()
    return any(line.endswith(":") or line.startswith((":", "---")) for line in map(str.strip, lines))


def _sections(docstring: str) -> Iterator[Any]:
    import griffe

    if re.search(r"^\s*:(param|parameter|arg|argument|key|keyword)\b", docstring, re.MULTILINE):
        style = griffe.Parser.sphinx
    elif re.search(r"^\s*-{3,}\s*$", docstring, re.MULTILINE):
        style = griffe.Parser.numpy
    else:
        style = griffe.Parser.google
    yield from griffe.parse(griffe.Docstring(docstring), style, warnings=False)  # the signature has the types
