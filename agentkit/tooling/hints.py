"""The annotations of a function as types, each resolved by itself: what is wrong with one does not spoil the others.

A name that is imported only `if TYPE_CHECKING:` is not there at run time. That is no matter in the annotation of the
return value, and none for the run's Context; elsewhere it is an error that names it.
"""

import builtins
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Self

from agentkit.errors import ToolDefinitionError
from agentkit.tooling.annotations import loaded, names_in


class Absent:
    """Stands for a name that is not there at run time, in an annotation that has it. attribute: what is taken of it, as
    of a module."""

    def __init__(self, name: str, context_type: type, attribute: str = "") -> None:
        self.name = name
        self.attribute = attribute
        self._context_type = context_type

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == self._context_type.__name__:
            return self._context_type
        return Absent(self.name, self._context_type, name)

    def __getitem__(self, item: object) -> "Absent":
        return self

    def __or__(self, other: Any) -> Any:
        return typing.Union[self, other]  # noqa: UP007 - the operator is what is being defined

    def __ror__(self, other: Any) -> Any:
        return typing.Union[other, self]  # noqa: UP007

    def __call__(self) -> None:
        """Types are callable, and `typing` checks that."""


class Hints:
    """Resolves the annotations of one function. namespace: names that they may use in addition to those of its module.
    context_type: what `Context` means where that name is not there."""

    def __init__(self, function: Callable[..., Any], namespace: Mapping[str, Any], context_type: type) -> None:
        self._globals = _globals_of(function)
        self._names = _Names(function, namespace, self._globals, context_type)

    def of(self, parameter: inspect.Parameter, tool: str) -> Any:
        """The type of a parameter; Any without an annotation. Raises ToolDefinitionError for what is no type."""
        if parameter.annotation is parameter.empty:
            return Any
        holder = types.SimpleNamespace(__annotations__={"hint": parameter.annotation})
        try:
            names = {name: self._names[name] for name in names_in(parameter.annotation)}
            found = typing.get_type_hints(holder, self._globals, names, include_extras=True)["hint"]
            if typing.Final in (found, typing.get_origin(found)) or typing.get_origin(found) is typing.ClassVar:
                raise TypeError(f"{found} is one of a variable")
            return _value_of_alias(found)
        except (TypeError, SyntaxError, AttributeError, NameError) as error:
            raise ToolDefinitionError(
                f"tool {tool}: the annotation of the parameter {parameter.name!r} is not a type: {error}"
            ) from None

    def check(self, parameter: inspect.Parameter, hint: Any, tool: str) -> None:
        """Raise ToolDefinitionError when a name in the type is not there."""
        if any(part is Self for part in _parts(hint)):
            raise ToolDefinitionError(
                f"tool {tool}: the type of the parameter {parameter.name!r} names Self, the class of an object that is "
                "not known where the method is defined: take what such an object is made from"
            )
        missing = next((part for part in _parts(hint) if isinstance(part, Absent)), None)
        if missing is not None:
            raise ToolDefinitionError(
                f"tool {tool}: an annotation can't be resolved: the type of the parameter {parameter.name!r} names "
                f"{missing.name}, which is not there at run time (is it imported only `if TYPE_CHECKING:`?): import it "
                "outside of that, or define it before the function"
            )


class _Names(dict[str, Any]):
    """The names of annotations: given ones, those of the module and of the functions around, and what stands for
    others.

    `__missing__` is asked for each that is not an own key. A method does not hide the type of its name from the others
    of its class: `list` may be both.
    """

    def __init__(
        self, function: Callable[..., Any], given: Mapping[str, Any], module: Mapping[str, Any], context_type: type
    ) -> None:
        types_of_module = {**vars(builtins), **module}
        super().__init__(
            (name, value)
            for name, value in given.items()
            if not _is_method(value) or _is_method(types_of_module.get(name, value))
        )
        self._function = _innermost(function)
        self._module = module
        self._context_type = context_type

    def __missing__(self, name: str) -> Any:
        for place in self._places():
            if name in place:
                return loaded(place[name])
        if name == self._context_type.__name__:
            return self._context_type
        return Absent(name, self._context_type)

    def _places(self) -> Iterator[Mapping[str, Any]]:
        yield self._type_parameters()
        if "<locals>" in getattr(self._function, "__qualname__", ""):
            yield self._closure()
            yield self._around()
        yield self._module
        yield vars(builtins)

    def _type_parameters(self) -> Mapping[str, Any]:
        return {each.__name__: each for each in getattr(self._function, "__type_params__", ())}

    def _closure(self) -> Mapping[str, Any]:
        code, cells = getattr(self._function, "__code__", None), getattr(self._function, "__closure__", None) or ()
        found = {}
        for name, cell in zip(getattr(code, "co_freevars", ()), cells, strict=False):
            try:
                found[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        return found

    def _around(self) -> Mapping[str, Any]:
        """The local names of the functions in which it is defined, as far as they are still running."""
        found: dict[str, Any] = {}
        qualified = getattr(self._function, "__qualname__", "")
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            if qualified.startswith(f"{frame.f_code.co_qualname}.<locals>.") and frame.f_globals is self._module:
                found = {**frame.f_locals, **found}
            frame = frame.f_back
        return found


def _is_method(value: object) -> bool:
    """Whether this is what `def` and decorators leave in a class, and no type."""
    return hasattr(type(value), "__get__")


def _innermost(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _globals_of(function: Callable[..., Any]) -> dict[str, Any]:
    target = _innermost(function)
    if inspect.isclass(target):
        return dict(vars(sys.modules.get(target.__module__, builtins)))
    found = getattr(inspect.unwrap(target), "__globals__", None)
    return found if isinstance(found, dict) else {}


def _value_of_alias(hint: Any) -> Any:
    """What a `type Alias = ...` stands for; the alias itself where a text in it names a type: that is for pydantic to
    look up where the alias is from, and mostly the alias again (`pydantic.JsonValue`)."""
    while type(hint).__name__ == "TypeAliasType" and not _has_text(hint.__value__):
        hint = hint.__value__
    return hint.type if type(hint).__name__ == "InitVar" else hint  # of a dataclass that is a tool


def _has_text(hint: Any) -> bool:
    """Whether a text stands for a type, or for one inside it."""
    if isinstance(hint, str | typing.ForwardRef):
        return True
    origin = typing.get_origin(hint)
    parts = () if origin is typing.Literal else typing.get_args(hint)
    return any(map(_has_text, parts[:1] if origin is typing.Annotated else parts))


def _parts(hint: Any) -> Iterator[Any]:
    """A type and the types inside it."""
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)
