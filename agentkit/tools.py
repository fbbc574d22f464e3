"""Tools: a Python function, its description for the model, and how a call of it is answered."""

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from agentkit._threads import WORKERS
from agentkit.errors import ArgumentsError, FetchError, ToolDefinitionError, ToolError
from agentkit.limits import Budget
from agentkit.message import Image
from agentkit.tooling.arguments import ArgumentsParser, schema_reader, signature_reader

if TYPE_CHECKING:
    from typing import Self

    from agentkit.tooling.subprocess_pool import Isolated

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

logger = logging.getLogger("agentkit")

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Function names that OpenAI's API accepts."""


def _ignore_progress(text: str) -> None:
    """The progress of a tool that nobody follows."""


Approve = bool | Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Context:
    """The run in which a tool is called; a parameter annotated `Context` receives it.

    deps: what was passed as `run(..., deps=...)`. deadline: the `time.monotonic()` at which the run continues without
    its tools, or None; end: at which it ends. cancel: set when the run is to stop. progress: reports what the tool is
    doing, as a ToolProgress event. budget: what the run may spend, for an agent that is run inside the tool. session:
    the id of the run's session, or None.
    """

    deps: Any = None
    deadline: float | None = None
    end: float | None = None
    cancel: threading.Event | None = None
    progress: Callable[[str], None] = _ignore_progress
    budget: Budget | None = field(default=None, repr=False)
    session: str | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the run is to stop: it was cancelled, or its time limit is reached."""
        is_over = self.end is not None and time.monotonic() >= self.end
        return is_over or (self.cancel is not None and self.cancel.is_set())

    @property
    def can_stop(self) -> bool:
        """Whether the run may be stopped while a tool is running."""
        return self.cancel is not None or self.deadline is not None


@dataclass(frozen=True)
class Outcome:
    """The result of one call: the text for the model, images to show it, whether it is an error."""

    text: str
    images: tuple[Image, ...] = ()
    failed: bool = False
    seconds: float = 0.0

    def with_note(self, note: str) -> "Outcome":
        """The same with a note at the end of the text."""
        return replace(self, text=self.text + note) if note else self


class Tool(Generic[P, R]):
    """A function that a model may call. `@tool` makes one from a signature; this constructor takes a hand-written
    schema, against which jsonschema validates the arguments.

    name: up to 64 letters, digits, "_" and "-". description: for the model. parameters: the JSON schema of an object.
    function: called with the arguments by name. read_only: it changes nothing, so that it may run in parallel with
    others and be run again. timeout: in seconds. retries: how often it is retried after an exception. isolate: whether
    it runs in a process of its own, which is killed on timeout; memory: the limit of that process in bytes. approve:
    whether a person has to approve each call, or a function of the arguments that decides it.

    Raises ToolDefinitionError when one of these is invalid.
    """

    _read: ArgumentsParser
    _isolated: "Isolated | None"

    def __init__(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        function: Callable[P, R],
        *,
        read_only: bool = False,
        timeout: float | None = None,
        retries: int = 0,
        isolate: bool = False,
        memory: int | None = None,
        approve: Approve = False,
    ) -> None:
        self._set(name, description, dict(parameters), function, read_only, timeout, retries, approve)
        self._set_isolation(isolate, memory)
        try:
            self._read = schema_reader(self.parameters)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"tool {name}: {error}") from None
        if self.parameters.get("type") != "object":
            raise ToolDefinitionError(f'tool {name}: parameters must be a JSON schema with "type": "object"')

    def _set(
        self,
        name: str,
        description: str,
        parameters: dict[str, Any],
        function: Callable[P, R],
        read_only: bool,
        timeout: float | None,
        retries: int,
        approve: Approve,
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ToolDefinitionError(f"tool {name!r}: a name must be 1 to 64 letters, digits, '_' and '-'")
        if not isinstance(description, str) or not description.strip():
            raise ToolDefinitionError(
                f"tool {name}: it has no docstring, and a model chooses tools by their descriptions: "
                "write one, or give description="
            )
        if not callable(function):
            raise ToolDefinitionError(f"tool {name}: {function!r} is not callable")
        if timeout is not None and not timeout > 0:
            raise ToolDefinitionError(f"tool {name}: timeout={timeout!r} must be a number of seconds above 0")
        if retries < 0:
            raise ToolDefinitionError(f"tool {name}: retries={retries!r} must be at least 0")
        if not (isinstance(approve, bool) or callable(approve)):
            raise ToolDefinitionError(
                f"tool {name}: approve={approve!r} must be True, False, or a function of the arguments"
            )
        self.name = name
        self.description = description.strip()
        self.parameters = parameters
        self.function = function
        self.read_only = read_only
        self.timeout = timeout
        self.retries = retries
        self.approve = approve
        self._context: str | None = None
        self.waits_for_object = False
        with contextlib.suppress(AttributeError, TypeError):
            functools.update_wrapper(self, function, updated=())  # the function's attributes are not the tool's

    def _set_isolation(self, isolate: bool, memory: int | None) -> None:
        if memory is not None and not isolate:
            raise ToolDefinitionError(f"tool {self.name}: memory={memory} needs isolate=True (a subprocess)")
        if memory is not None and memory <= 0:
            raise ToolDefinitionError(f"tool {self.name}: memory={memory} must be a number of bytes above 0")
        self.isolate = isolate
        self._isolated = None
        if not isolate:
            return
        if self._context is not None or self.waits_for_object or hasattr(self.function, "__self__"):
            raise ToolDefinitionError(
                f"tool {self.name}: isolate=True runs it in another process, which has neither the run's Context "
                "nor the object of a method: make it a function that takes what it needs"
            )
        from agentkit.tooling.subprocess_pool import Isolated

        self._isolated = Isolated.of(self.function, self.name, memory)

    @classmethod
    def _described(
        cls,
        function: Callable[P, R],
        namespace: Mapping[str, Any],
        *,
        name: str | None,
        description: str | None,
        read_only: bool,
        timeout: float | None,
        retries: int,
        isolate: bool,
        memory: int | None,
        approve: Approve,
    ) -> "Tool[P, R]":
        """A tool whose name, description and schema are taken from the function."""
        from agentkit.tooling.schema import describe

        if not callable(function):
            raise ToolDefinitionError(f"tool: {function!r} is not a function")
        name = name or _name_of(function)
        is_method = _is_method(function)
        described = describe(function, name, Context, namespace, bound=not is_method)
        made = cls.__new__(cls)
        text = described.text if description is None else description
        made._set(name, text, described.parameters, function, read_only, timeout, retries, approve)
        made._read = signature_reader(described.adapter, described.parameters["properties"])
        made._context = described.context
        made.waits_for_object = is_method
        made._set_isolation(isolate, memory)
        return made

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, as if it had not been decorated."""
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> "Self": ...
    @overload
    def __get__(self: "Tool[Concatenate[Any, Q], R]", instance: object, owner: type | None = None) -> "Tool[Q, R]": ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> "Self": ...
    def __get__(self, instance: object, owner: type | None = None) -> "Tool[Any, R]":
        """Bind a tool made from a method to its object, as Python binds a method."""
        if instance is None or not self.waits_for_object:
            return self
        bound = type(self).__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.function = self.function.__get__(instance, owner)
        bound.waits_for_object = False
        return bound

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as an entry of `tools` in OpenAI's chat completions."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    @property
    def takes_context(self) -> bool:
        """Whether the function has a parameter for the run's context."""
        return self._context is not None

    def needs_approval(self, arguments: str) -> bool:
        """Whether a person has to approve this call. arguments: JSON text. True when the approve function fails; False
        when the arguments can't be read, since such a call is never run."""
        if isinstance(self.approve, bool):
            return self.approve
        try:
            values, _ = self._read(arguments)
        except ArgumentsError:
            return False
        try:
            return bool(self.approve(values))
        except Exception:
            logger.warning("the approve function of tool %s failed", self.name, exc_info=True)
            return True

    def answer(self, arguments: str, context: Context) -> Outcome:
        """Run one call; any error becomes a sentence for the model. arguments: JSON text."""
        started = time.monotonic()
        try:
            values, unknown = self._read(arguments)
            outcome = _outcome(self._run(values, context))
            if unknown:
                outcome = replace(outcome, text=f"{outcome.text}\n{self._ignored(unknown)}")
        except ArgumentsError as error:
            outcome = failure(f"the arguments of {self.name} don't fit: {error}. Correct them and call it again.")
        except (ToolError, FetchError) as error:  # written for the model to read
            outcome = failure(str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            logger.warning("tool %s raised %s", self.name, type(error).__name__, exc_info=True)
            outcome = failure(f"{self.name} raised {type(error).__name__}: {_without_paths(_text_of_error(error))}")
        return replace(outcome, seconds=time.monotonic() - started)

    def _ignored(self, names: Sequence[str]) -> str:
        takes = ", ".join(self.parameters["properties"]) or "none"
        return f"(ignored, since {self.name} has no such arguments: {', '.join(names)[:200]}; it takes {takes})"

    def _run(self, values: dict[str, Any], context: Context) -> Any:
        if self._context is not None:
            values[self._context] = context
        for _ in range(self.retries):
            try:
                return self._called(values, context)
            except ToolError:
                raise
            except Exception:
                logger.info("tool %s is retried", self.name, exc_info=True)
        return self._called(values, context)

    def _called(self, values: dict[str, Any], context: Context) -> Any:
        if self._isolated is not None:
            return self._isolated.call(values, self.timeout, context.cancel)
        return _finished(self.function(**values))  # type: ignore[call-arg]


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    timeout: float | None = None,
    retries: int = 0,
    isolate: bool = False,
    memory: int | None = None,
    approve: Approve = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    timeout: float | None = None,
    retries: int = 0,
    isolate: bool = False,
    memory: int | None = None,
    approve: Approve = False,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a function: the model sees its name, docstring and annotations.

    name, description: instead of the function's own. read_only: it changes nothing, so that it may run in parallel with
    others, be retried, and be run again after a crash. timeout: seconds after which the run continues without it.
    retries: how often it is retried after an exception other than ToolError. isolate: it runs in a process of its own,
    which is kept for the next call and killed on timeout or when the run is cancelled; the function has to be defined
    at the top level of a module. memory: the limit of that process in bytes (not on Windows). approve: whether a person
    has to approve each call (`result.pending`, `agent.resume`), or a function that decides it from the arguments, a
    dict.

    The decorated function stays callable as before. Raises ToolDefinitionError, naming function, parameter and reason,
    when a parameter can't be described.
    """

    def decorate(function: Callable[P, R], depth: int = 1) -> Tool[P, R]:
        return Tool._described(
            function,
            sys._getframe(depth).f_locals,  # annotations may name classes local to the enclosing function
            name=name,
            description=description,
            read_only=read_only,
            timeout=timeout,
            retries=retries,
            isolate=isolate,
            memory=memory,
            approve=approve,
        )

    return decorate if function is None else decorate(function, depth=2)


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _is_method(function: Callable[..., Any]) -> bool:
    """Whether this is a function in the body of a class, not bound to an object yet."""
    if not inspect.isfunction(function):
        return False
    *outer, _ = function.__qualname__.split(".")
    first = next(iter(inspect.signature(function).parameters.values()), None)
    in_class = bool(outer) and outer[-1] != "<locals>"
    return in_class and first is not None and first.name in ("self", "cls") and first.annotation is first.empty


def _finished(value: Any) -> Any:
    """The value itself; for an awaitable, its result."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return WORKERS.call(lambda: asyncio.run(wait()))  # an event loop runs in this thread: wait in another


def _outcome(value: Any) -> Outcome:
    """The return value of a tool as text and images."""
    parts = list(value) if isinstance(value, list | tuple) and _has_image(value) else [value]
    images = tuple(part for part in parts if isinstance(part, Image))
    return Outcome("\n".join(map(_text, parts)), images)


def _has_image(value: Sequence[Any]) -> bool:
    return any(isinstance(part, Image) for part in value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Image):
        return f"[{value.name}: the image is in the next message]"
    if isinstance(value, dict | list | int | float | bool | None):
        with contextlib.suppress(TypeError, ValueError):
            return json.dumps(value, ensure_ascii=False)
    from pydantic_core import to_json

    return to_json(value, fallback=str, inf_nan_mode="strings").decode("utf-8")


def failure(text: str) -> Outcome:
    """The result of a call that failed, as the model reads it."""
    return Outcome(f"Error: {text}", failed=True)


def _text_of_error(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose __str__ fails
        return "(no message)"


_ABSOLUTE_PATH = re.compile(r"""(?<![\w:/.])(?:[A-Za-z]:)?(?:[\\/][^\\/\s'"<>|:]+){2,}""")


def _without_paths(text: str) -> str:
    """A text with absolute paths shortened to their last component: the rest is of no use to a model."""
    return _ABSOLUTE_PATH.sub(lambda path: re.split(r"[\\/]", path.group())[-1], text)
