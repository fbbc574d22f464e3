"""What a tool of another framework becomes: its name, description and schema, and a function that calls it."""

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from agentkit.errors import ToolDefinitionError, ToolError
from agentkit.tooling.error_text import message_of, without_paths
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.pickling import Part, found_at, pickles_by_value

_FOR_THE_MODEL = frozenset(
    ("ToolException", "ModelRetry", "AgentRunException", "RetryAgentRun", "StopAgentRun", "CancelToolCall")
)
"""Names of exceptions whose message frameworks send to the model."""


@dataclass(frozen=True)
class _Place:
    """Where an object stands in a module."""

    module: str
    qualname: str


class ForeignCall:
    """Calls a tool of another framework with arguments by name. Several threads may do so at once.

    target: the tool. origin: the function that it was made of, by whose name it may be found in its module. variadic:
    the name of its `**kwargs`, and more. hidden: arguments that the model must not give.
    """

    kind: ClassVar[str]
    """Of what framework, for error messages."""

    def __init__(
        self, target: Any, origin: Any = None, variadic: tuple[str, ...] = (), hidden: Iterable[str] = ()
    ) -> None:
        self.target = target
        self.origin = origin
        self.hidden = frozenset(hidden)
        self._others = variadic[0] if variadic else ""

    def __call__(self, /, **arguments: Any) -> Any:
        """Returns the result, or a coroutine that does. Raises what the tool raises, ToolError in place of what it
        raises for the model to read, and for an argument that the model must not give."""
        if self._others and isinstance(arguments.get(self._others), dict):  # models write {"kwargs": {...}}
            arguments |= arguments.pop(self._others)
        if given := sorted(self.hidden & arguments.keys()):
            raise ToolError(f"the program itself gives {', '.join(given)}: call it again without that. It was not run.")
        try:
            value = self.begun(arguments)
        except Exception as error:
            _raise_for_the_model(error)
            raise
        return self._awaited(value) if inspect.isawaitable(value) else self.result(value)

    async def _awaited(self, awaitable: Awaitable[Any]) -> Any:
        try:
            value = await awaitable
        except Exception as error:
            _raise_for_the_model(error)
            raise
        return self.result(value)

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool; returns what it returns."""
        raise NotImplementedError

    def result(self, value: Any) -> Any:
        """What is shown of what the tool returned. Raises ToolError when that is a failure."""
        return value

    def pickled_parts(self) -> list[Part]:
        """The parts that perhaps can't be pickled."""
        if isinstance(self.__getstate__()["target"], _Place):
            return []
        advice = "define what it is made of at the top level of a module, or make it in the other process"
        return [Part(f"its {self.kind} {type(self.target).__name__}", self.target, advice)]

    def __getstate__(self) -> dict[str, Any]:
        """By its place in a module, where a decorator has put it there."""
        module, qualname = getattr(self.origin, "__module__", None), getattr(self.origin, "__qualname__", None)
        is_there = bool(module and qualname) and found_at(module, str(qualname)) is self.target
        if not is_there or (module == "__main__" and pickles_by_value()):
            return {**self.__dict__, "origin": None}
        return {**self.__dict__, "target": _Place(str(module), str(qualname)), "origin": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.target, _Place):
            place = self.target
            import_module(place.module)
            self.target = found_at(place.module, place.qualname)
            self.origin = getattr(self.target, "__wrapped__", None)


@dataclass(frozen=True)
class Found:
    """A tool of another framework. call: calls it with the arguments. options: what its own flags mean here."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[..., Any]
    options: ToolArguments


def _raise_for_the_model(error: Exception) -> None:
    if not isinstance(error, ToolError) and any(kind.__name__ in _FOR_THE_MODEL for kind in type(error).__mro__):
        raise ToolError(message_of(error)) from error


def failed(text: object, *, is_for_the_model: bool = True) -> ToolError:
    """The error for a failure of which a framework has only kept the text. is_for_the_model: whether that was written
    for the model; else it may have paths of this machine."""
    said = str(text).strip() or "it failed without a message"
    return ToolError(said if is_for_the_model else without_paths(said))


def refused(name: object, why: str) -> ToolDefinitionError:
    """The error for a tool that can't work without its framework."""
    return ToolDefinitionError(f"tool {name}: {why}")


def raised_by(error: BaseException, function: Any) -> bool:
    """Whether it was raised in the body of this function, not in something that it called."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return code is not None and trace is not None and trace.tb_frame.f_code is code


def beside(target: Any, name: str) -> Any:
    """What stands under this name in the module of one of the target's classes, if that is loaded; else None."""
    modules = (sys.modules.get(kind.__module__) for kind in type(target).__mro__ if kind.__module__ != "builtins")
    return next((found for module in modules if (found := getattr(module, name, None)) is not None), None)
