"""The parameters of a function that becomes a tool, and how it is called with a model's arguments, which have names."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from agentkit._lazy.records import dataclass
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.annotations import signature_of


class ModelValues(dict[str, Any]):
    """The arguments of a pydantic class that is a tool: the fields, and the validated instance, which is the result."""

    def __init__(self, instance: Any) -> None:
        super().__init__(instance)
        self.instance = instance


@dataclass(frozen=True)
class Calling:
    """How a function is called with arguments by name.

    by_place: its parameters that may be passed by place, in order, with their defaults; positional_only: how many of
    them have to be. variadic: the name of `*args`.
    """

    by_place: tuple[tuple[str, Any], ...] = ()
    positional_only: int = 0
    variadic: str | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], parameters: list[inspect.Parameter]) -> "Calling":
        """How a function with these parameters is called."""
        by_place = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        takes_no_names = not _passes_names_on(function)
        return cls(
            tuple((each.name, each.default) for each in by_place),
            max(
                sum(takes_no_names or each.kind is each.POSITIONAL_ONLY for each in by_place),
                int(_is_dispatched(function) and bool(by_place)),
            ),
            next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), None),
        )

    def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call the function with these arguments."""
        if isinstance(values, ModelValues):
            return values.instance
        by_place, named = self.split(values)
        return function(*by_place, **named)

    def split(self, values: Mapping[str, Any]) -> tuple[list[Any], Mapping[str, Any]]:
        """The arguments by place, and those by name. What stands before an argument by place is given its default."""
        if not (self.positional_only or self.variadic):
            return [], values
        named = dict(values)
        more = named.pop(self.variadic, ()) if self.variadic else ()
        by_place = self.by_place if more else self.by_place[: self.positional_only]
        given = [position for position, (name, _) in enumerate(by_place, 1) if name in named]
        count = len(by_place) if more else max(given, default=0)
        return [*(named.pop(name, default) for name, default in by_place[:count]), *more], named


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function; of an object that can be called, that of its class."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def is_method(function: Callable[..., Any]) -> bool:
    """Whether this is a function in the body of a class, not bound to an object yet."""
    if inspect.ismethod(function) or not hasattr(type(function), "__get__"):
        return False
    defined: Any = inspect.unwrap(function)  # such as what `functools.cache` leaves of it
    if not inspect.isfunction(defined):
        return False
    *outer, _ = defined.__qualname__.split(".")
    first = next(iter(signature_of(function).parameters.values()), None)
    in_class = bool(outer) and outer[-1] != "<locals>"
    return in_class and first is not None and first.name in ("self", "cls")


def tool_methods(kind: type) -> list[str]:
    """The names of the methods of a class that are tools, as `@tool` leaves them."""
    names = dict.fromkeys(name for each in reversed(kind.__mro__) for name in vars(each))
    return [name for name in names if getattr(inspect.getattr_static(kind, name), "waits_for_object", False) is True]


def parameters_of(function: Callable[..., Any], tool: str, bound: bool) -> list[inspect.Parameter]:
    """The parameters of a function, without those that `partial` has bound: a model neither sees nor sets them. bound:
    False for an unbound method, whose first parameter is no argument. Raises ToolDefinitionError when it has no
    signature."""
    try:
        taken = _taken(function)
    except (TypeError, ValueError):
        raise ToolDefinitionError(f"tool {tool}: {function!r} has no signature that Python can inspect") from None
    given = _bound_keywords(function)
    return [each for each in taken if each.name not in given][0 if bound else 1 :]


def check_given(function: Callable[..., Any], tool: str, context: str | None, properties: Mapping[str, Any]) -> None:
    """Raise ToolDefinitionError where a function can't be called with the arguments that a hand-written schema has."""
    try:
        taken = _taken(function)
    except (TypeError, ValueError):  # Python can't inspect it
        return
    needed = [each for each in taken if each.default is each.empty and each.kind not in _VARIADIC]
    missing = [each.name for each in needed if each.name not in properties and each.name != context]
    if properties and missing:
        raise ToolDefinitionError(
            f"tool {tool}: the function needs {missing[0]!r}, which is none of the properties of parameters (they are "
            "passed by name; the name of what takes the run's Context is given as context=)"
        )


def _taken(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function; of one that wraps another (`functools.wraps`), those of the other as far as it
    passes arguments on: what it gives the other itself is not to be given to it."""
    if not _wraps(function):
        return list(signature_of(function).parameters.values())
    if inspect.ismethod(function):
        of_function = _taken(function.__func__)
        return of_function[0 if of_function[0].kind is inspect.Parameter.VAR_POSITIONAL else 1 :]
    innermost = inspect.unwrap(function, stop=lambda each: hasattr(each, "__signature__") or not _passes_on(each))
    taken = list(signature_of(innermost, follow_wrapped=False).parameters.values())
    return taken if _passes_names_on(function) else [each for each in taken if each.kind is not each.KEYWORD_ONLY]


def _wraps(function: Callable[..., Any]) -> bool:
    inner = getattr(function, "__func__", function)
    return inspect.isfunction(inner) and hasattr(inner, "__wrapped__") and not hasattr(inner, "__signature__")


def _passes_on(function: Callable[..., Any]) -> bool:
    """Whether a function that wraps another may give it any arguments."""
    return not _wraps(function) or bool(_variadic_kinds(function))


def _is_dispatched(function: Callable[..., Any]) -> bool:
    """Whether this is a function of `functools.singledispatch`, which is chosen by its first argument by place."""
    return callable(getattr(function, "dispatch", None)) and hasattr(function, "registry")


def _passes_names_on(function: Callable[..., Any]) -> bool:
    """Whether a function can be given the arguments by name: not one that wraps another and takes `*args` alone."""
    return not _wraps(function) or _variadic_kinds(function) != {inspect.Parameter.VAR_POSITIONAL}


_VARIADIC = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def _variadic_kinds(function: Callable[..., Any]) -> set[Any]:
    kinds = {each.kind for each in signature_of(function, follow_wrapped=False).parameters.values()}
    return kinds & _VARIADIC


def _bound_keywords(function: Callable[..., Any]) -> set[str]:
    names: set[str] = set()
    while isinstance(function, functools.partial):
        names.update(function.keywords)
        function = function.func
    return names


def element_of(hint: Any) -> Any:
    """The type of each of `*args` or `**kwargs`; Any for those of a ParamSpec."""
    return Any if isinstance(hint, typing.ParamSpecArgs | typing.ParamSpecKwargs) else hint


def keys_of(keys: Any) -> dict[str, tuple[Any, bool]]:
    """The keys of a TypedDict, each with its type and whether it is required."""
    hints = typing.get_type_hints(keys, include_extras=True)
    return {name: _key(hint, name in keys.__required_keys__) for name, hint in hints.items()}


def unpacked(hint: Any) -> Any:
    """The TypedDict of `**kwargs: Unpack[...]`; None for another type."""
    return typing.get_args(hint)[0] if _origin_name(hint) == "Unpack" else None


def _key(hint: Any, is_required: bool) -> tuple[Any, bool]:
    """The type of a key, and whether it is required, which `__required_keys__` misses where annotations are text."""
    while (qualifier := _origin_name(hint)) in ("Required", "NotRequired", "ReadOnly"):
        is_required = {"Required": True, "NotRequired": False}.get(qualifier, is_required)
        hint = typing.get_args(hint)[0]
    return hint, is_required


def _origin_name(hint: Any) -> str:
    origin = typing.get_origin(hint)
    return str(getattr(origin, "__name__", None) or getattr(origin, "_name", ""))
