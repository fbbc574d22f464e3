"""A Python signature and its docstring -> the JSON schema that a model is shown.

The schema is pydantic's (JSON Schema draft 2020-12) without the titles; descriptions come from `Annotated[...,
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
    """What a model is told of a function, and how its arguments become Python values.

    parameters: a JSON schema of an object. adapter: validates it. context: the name of the parameter that takes
    the run's context, if there is one.
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

    context_type: the annotation of the parameter that is left out of the schema. namespace: names that
    annotations may use beside the function's own globals. bound: False for a method still without its object,
    whose first parameter is not an argument. Raises ToolDefinitionError naming function, parameter and reason.
    """
    parameters = _parameters(function, name, bound)
    hints = _type_hints(function, name, namespace)
    docs = _Docstring.of(function)
    context: str | None = None
    arguments: dict[str, Any] = {}
    for parameter in parameters:
        hint = _hint(parameter, hints, name)
        if hint is context_type or context_type in typing.get_args(hint):
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


def _parameters(function: Callable[..., Any], name: str, bound: bool) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ToolDefinitionError(f"tool {name}: Python can't tell the signature of {function!r}") from None
    parameters = list(signature.parameters.values())[0 if bound else 1 :]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter} takes any number of arguments, which a JSON schema can't "
                "name: write each one out, or take one list or dict"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter.name!r} is positional-only, and a model gives arguments by name"
            )
        if isinstance(parameter.default, FieldInfo):
            raise ToolDefinitionError(
                f"tool {name}: the parameter {parameter.name!r} has a Field as its default: "
                f"write {parameter.name}: Annotated[<type>, Field(...)] = <default>"
            )
    return parameters


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
            f"tool {name}: the parameter {parameter.name!r} has no type annotation: write {parameter.name}: str, or "
            "whatever it is"
        )
    return _for_pydantic(hints[parameter.name])


def _for_pydantic(hint: Any) -> Any:
    """The hint with each `typing.TypedDict` as one of typing_extensions, the only one pydantic takes before 3.12."""
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
    make: Any = TypedDict  # mypy wants the keys written out, and these are only known here
    return make(name, keys)


def _argument(parameter: inspect.Parameter, hint: Any, documented: str | None) -> Any:
    """The annotation of one key of the arguments, with its description."""
    if not _says_description(hint):
        text = next((word for word in getattr(hint, "__metadata__", ()) if isinstance(word, str)), documented)
        if text:
            hint = Annotated[hint, FieldInfo(description=text)]
    return hint if parameter.default is parameter.empty else NotRequired[hint]


def _says_description(hint: Any) -> bool:
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
    """What reads a type, and its JSON schema. Raises pydantic's PydanticUserError for a type that has none."""
    adapter: TypeAdapter[Any] = TypeAdapter(_for_pydantic(hint))
    return adapter, _closed(adapter.json_schema())


def wrapped_adapter(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The same for an object that holds a value of the type as "value"."""
    adapter = _adapter_of({"value": _for_pydantic(hint)})
    return adapter, _closed(adapter.json_schema())


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without derived titles, a reference at its top resolved; no more keys than are named."""
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
    return ToolDefinitionError(f"tool {name}: {where} has a type that has no JSON schema: {reason}")


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic derives from names; they tell a model nothing new."""
    if isinstance(schema, list):
        return [_without_titles(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _inner(key, value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _inner(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):  # keys of these are names, and one of them may well be "title"
        return {name: _without_titles(entry) for name, entry in value.items()}
    return value if key in ("default", "enum", "const", "examples") else _without_titles(value)


def _default(hint: Any, default: Any) -> dict[str, Any]:
    """The "default" of a property; none where the default has no JSON form."""
    try:
        value = TypeAdapter(hint).dump_python(default, mode="json", warnings="error")
    except (ValueError, TypeError):
        return {}
    if isinstance(default, set | frozenset):
        value = sorted(value, key=repr)  # a set has another order in each process
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return {}
    return {"default": value}


class _Docstring:
    """A docstring taken apart: its text, and what it says of each parameter."""

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
    """Whether the docstring is the function's own, and not that of the class of a callable object."""
    return inspect.isroutine(function) or inspect.isclass(function) or "__doc__" in vars(function)


def _has_sections(docstring: str) -> bool:
    """Whether a docstring may name parameters; griffe takes 50 ms to load, so it is not asked in vain."""
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
