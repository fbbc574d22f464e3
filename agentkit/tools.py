"""Tools: a Python function, its description for the model, and how a call of it is answered."""

import contextlib
import copy
import functools
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack, overload

from agentkit._lazy.logs import INFO, WARNING, logger_of
from agentkit._lazy.records import replace
from agentkit._text import cut, known_options
from agentkit.errors import ArgumentsError, FetchError, HookError, ToolDefinitionError, ToolError
from agentkit.event import Result
from agentkit.evidence.sources import given_by, named_in
from agentkit.sessions.own_turn import calling
from agentkit.tooling.context import Context as Context
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.interrupts import is_interrupt, stops_the_run
from agentkit.tooling.options import ToolArguments, ToolOptions
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.questions import QuestionAsked
from agentkit.tooling.stop import Stop

if TYPE_CHECKING:
    from typing import Self

    from agentkit.tooling.argument_readers import ArgumentsParser
    from agentkit.tooling.parameter_list import Parameters
    from agentkit.tooling.subprocess_pool import Isolated

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
logger = logger_of("agentkit")

MAX_ERROR = 20_000
"""Maximum characters of an error that a tool has written, and of what came before it."""


class Tool(Generic[P, R]):
    """A function that a model may call. `@tool` makes one from a signature; this constructor takes a hand-written
    schema, against which jsonschema validates the arguments.

    name: up to 64 letters, digits, "_" and "-". description: for the model. parameters: the JSON schema of an object,
    or a list of `{"name": ..., "type": ..., "description": ..., "required": True}`. function: called with the arguments
    by name. context: the name of its parameter that takes the run's Context, which is not in the schema. options: see
    `agentkit.tooling.options.ToolOptions`.

    Raises ToolDefinitionError when one of these is invalid.
    """

    _read: "ArgumentsParser"
    _reader: "Callable[[str, bool], ArgumentsParser]"
    _isolated: "Isolated | None"
    _is_described = False
    is_external = False
    """Whether the calls are answered outside of this program: such a tool is made with approve, and its calls stand
    behind the others of a reply, so that those are run."""
    has_hooks = True
    """Whether the hooks of a run stand around its calls."""

    def __init__(
        self,
        name: str,
        description: str,
        parameters: "Parameters",
        function: Callable[P, R],
        *,
        context: str | None = None,
        **options: Unpack[ToolArguments],
    ) -> None:
        from agentkit.tooling.argument_readers import schema_reader  # a program without tools needs none of this
        from agentkit.tooling.parameter_list import object_schema
        from agentkit.tooling.signature import check_given

        self._set(name, description, object_schema(parameters, name), function, context, options)
        self._set_isolation()
        schema = self.parameters
        self._reader = lambda name, has_effect: schema_reader(schema, name, has_effect)
        try:
            self._read = self._reader(name, not self.options.read_only)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"tool {name}: {error}") from None
        if self.parameters.get("type") != "object":
            raise ToolDefinitionError(f'tool {name}: parameters must be a JSON schema with "type": "object"')
        check_given(function, name, context, self.parameters.get("properties") or {})

    def _set(
        self,
        name: str,
        description: str,
        parameters: dict[str, Any],
        function: Callable[P, R],
        context: str | None,
        options: ToolArguments,
    ) -> None:
        from agentkit.tooling.definition import check_plain, checked_description, checked_name
        from agentkit.tooling.result_cache import ResultCache
        from agentkit.tooling.signature import Calling

        if not callable(function):
            raise ToolDefinitionError(f"tool {name}: {function!r} is not callable")
        self.name = checked_name(name)
        self.description = checked_description(name, description)
        self.parameters = parameters
        self.function = function
        try:
            self.options = ToolOptions(**known_options(f"tool {name}", options, ToolOptions))
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"tool {name}: {error}") from None
        self._cache = None if self.options.cache is None else ResultCache(self.options.cache)
        self._context = context
        self._calling = Calling()
        self.waits_for_object = False
        if self.options.same_thread:
            check_plain(name, function)
        with contextlib.suppress(AttributeError, TypeError):
            functools.update_wrapper(self, function, updated=())  # the function's attributes are not the tool's

    def _set_isolation(self) -> None:
        self._isolated = None
        if not self.options.isolate:
            return
        if self._context is not None or self.waits_for_object or hasattr(self.function, "__self__"):
            raise ToolDefinitionError(
                f"tool {self.name}: isolate=True runs it in another process, which has neither the run's Context "
                "nor the object of a method: make it a function that takes what it needs"
            )
        from agentkit.tooling.subprocess_pool import Isolated

        self._isolated = Isolated.of(self.function, self.name, self.options.memory)

    @classmethod
    def _described(
        cls,
        function: Callable[P, R],
        namespace: Mapping[str, Any],
        name: str | None,
        description: str | None,
        options: ToolArguments,
    ) -> "Tool[P, R]":
        """A tool whose name, description and schema are taken from the function."""
        from agentkit.tooling.argument_readers import signature_reader
        from agentkit.tooling.definition import checked_name, text_or_name
        from agentkit.tooling.description import describe
        from agentkit.tooling.signature import is_method, name_of, tool_methods

        if isinstance(function, classmethod):
            raise ToolDefinitionError(f"tool: {function!r} is not a function: write @classmethod above @tool")
        if not callable(function):
            raise ToolDefinitionError(f"tool: {function!r} is not a function")
        if isinstance(function, type) and (methods := tool_methods(function)):
            one = f"{function.__name__}(...).{methods[0]}"
            raise ToolDefinitionError(f"tool: {function!r} is a class with tools as its methods: pass those, as {one}")
        name = checked_name(name or name_of(function))
        waits = is_method(function)
        described = describe(function, name, Context, namespace, bound=not waits)
        made = cls.__new__(cls)
        text = text_or_name(name, described.text) if description is None else description
        made._set(name, text, described.parameters, function, described.context, options)
        made._calling = described.calling
        its = (described.adapter, made.parameters, described.names)
        made._reader = lambda name, has_effect: signature_reader(*its, name, has_effect)
        made._read = made._reader(name, not made.options.read_only)
        made.waits_for_object = waits
        made._is_described = True
        made._set_isolation()
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
        bound.function = bound.__dict__["__wrapped__"] = self.function.__get__(instance, owner)
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
        approve = self.options.approve
        if approve is False:
            return False
        try:
            values, _ = self._read(arguments)
        except ArgumentsError:
            return False
        if approve is True:
            return True
        from agentkit.tooling.settling import called

        try:
            return bool(called(functools.partial(approve, values), Stop(self.name)))
        except Exception as error:
            if stops_the_run(error):
                raise
            log_raised(logger, WARNING, f"the approve function of tool {self.name} raised", error, approve)
            return True

    def values(self, arguments: str) -> dict[str, Any]:
        """The arguments of a call as the function gets them. arguments: JSON text. Raises ArgumentsError."""
        return self._read(arguments)[0]

    def answer(self, arguments: str, context: Context) -> Outcome:
        """Run one call; any error of its own becomes a sentence for the model. arguments: JSON text. Raises what stops
        the thread (`agentkit.tooling.interrupts`)."""
        from agentkit.tooling.argument_names import ignored

        started, around, handlers = time.monotonic(), context.sources, context.hooks.handlers
        if self._context is not None:
            context = replace(context, sources=around.of_call())
        try:
            values, unknown = self._read(arguments)
            made = self._made(arguments, values, context, self.stop(context))
            outcome = made.with_note(ignored(self.name, self.parameters, unknown))
        except ArgumentsError as error:
            why = f"the arguments of {self.name} don't fit: {error}. Correct them and call it again."
            outcome = failure(why, error)
        except (ToolError, FetchError) as error:  # written for the model to read
            from agentkit.tooling.error_text import message_of

            outcome = failure(cut(message_of(error), MAX_ERROR) + _before(error), error)
        except QuestionAsked as asked:
            why = f"{self.name} asks a person: {asked.question.text} Nobody can answer that here; it was not run."
            outcome = replace(failure(why), question=asked.question)
        except BaseException as error:
            if is_interrupt(error, handlers):
                raise
            log_raised(logger, WARNING, f"tool {self.name} raised", error, self.function)
            if isinstance(error, HookError):  # of an agent that it ran; what a check has to say is not for the model
                outcome = failure(f"{self.name} did not finish: a check failed.", error)
            else:
                from agentkit.tooling.error_text import described

                outcome = failure(f"{self.name} raised {described(error)}{_before(error)}", error)
        if outcome.failed:
            outcome = replace(outcome, sources=named_in(outcome.text, given_by(context.sources)))
        if not around.defers:
            outcome = outcome.settled(around)
        ends_run = self.options.ends_run and not outcome.failed
        return outcome.ended(time.monotonic() - started, ends_run)

    def _made(self, arguments: str, values: dict[str, Any], context: Context, stop: Stop) -> Outcome:
        if self._cache is None or context.answer is not None:  # what one person has answered is not for others
            return self._outcome(self._run(arguments, values, context, stop), context)
        defaults = self.parameters["properties"] if self._is_described else {}
        from agentkit.tooling.result_cache import key_of

        def make() -> Outcome:
            made = self._outcome(self._run(arguments, values, context, stop), context)
            return replace(made, value=None)  # its text is kept

        key = key_of(values, defaults, self.function, self._scope_of(context))
        return self._cache.outcome(key, make, stop)

    def _scope_of(self, context: Context) -> tuple[Any, ...]:
        """What a result that is kept depends on beside the arguments."""
        if self.options.shared:
            return ()
        return (context.deps, context.session) if self.takes_context else (context.deps,)

    def stop(self, context: Context) -> Stop:
        """What ends the waiting of a call."""
        return Stop.of(self.name, self._timeout(context), context.deadline, context.cancel)

    def _outcome(self, value: Any, context: Context) -> Outcome:
        is_result = issubclass(type(value), Result)  # isinstance() runs code of the class
        is_partial = is_result and value.stopped != "answer"
        value = value.output if is_result else value
        from agentkit.tooling.results import rendered  # what a program needs whose tools are called

        text, images = rendered(value)
        sources = given_by(context.sources)
        return self.cut(Outcome(text, images, value=value, sources=sources, is_partial=is_partial))

    def cut(self, outcome: Outcome) -> Outcome:
        """A result with no more text than the model is sent at once."""
        return outcome.cut(None if self.options.ends_run or outcome.failed else self.options.max_result)

    def _run(self, arguments: str, values: dict[str, Any], context: Context, stop: Stop) -> Any:
        for _ in range(self.options.retries):
            try:
                return self._called(values, context, stop)
            except ToolError:
                raise
            except Exception as error:
                if stop.is_over or is_interrupt(error, context.hooks.handlers):  # nobody waits for another try
                    raise
                log_raised(logger, INFO, f"tool {self.name} is retried after", error, self.function)
            values, _ = self._read(arguments)  # the function may have changed what it was given
        return self._called(values, context, stop)

    def _called(self, values: dict[str, Any], context: Context, stop: Stop) -> Any:
        if self._context is not None:
            values[self._context] = context
        if self._isolated is not None:
            return self._isolated.call(*self._calling.split(values), self._timeout(context), context.cancel)
        from agentkit.tooling.settling import called

        call = functools.partial(self._calling.call, self.function, values)
        if context.session is None:
            return called(call, stop)
        with calling(context.store, context.session, lambda: stop.is_over):
            return called(call, stop)

    def _timeout(self, context: Context) -> float | None:
        return context.tool_timeout if self.options.timeout is None else self.options.timeout

    def replace(
        self, *, name: str | None = None, description: str | None = None, **options: Unpack[ToolArguments]
    ) -> "Self":
        """A copy with another name or description, or other options than this tool has (see `tool`). Raises
        ToolDefinitionError when one is invalid."""
        from agentkit.tooling.replaced import replaced

        made: Self = replaced(self, name, description, options)
        return made

    def __copy__(self) -> "Self":
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> "Self":
        memo[id(self)] = copied = self.__copy__()  # complete, since the object of a method may hold this tool
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled as a reference to the place where it is defined, as a function is; or as a method of its object; else
        as its parts. Raises PicklingError that names the part that can't be pickled."""
        from agentkit.tooling.pickling import pickled_tool

        return pickled_tool(self, protocol)

    @classmethod
    def _made_again(
        cls,
        name: str,
        description: str,
        parameters: Mapping[str, Any] | None,
        function: Callable[..., Any],
        context: str | None,
        options: ToolArguments,
    ) -> "Tool[..., Any]":
        function = function.function if isinstance(function, Tool) else function
        if parameters is None:
            return cls._described(function, {}, name, description, options)
        return cls(name, description, parameters, function, context=context, **options)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, **options: Unpack[ToolArguments]
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    **options: Unpack[ToolArguments],
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a function: the model sees its name, docstring and annotations.

    name, description: instead of the function's own.
    read_only (bool): it changes nothing, so that it may run in parallel with others, be retried, and be run again after
    a crash.
    timeout (seconds): the run continues without it after that time.
    retries (int): how often it is retried after an exception other than ToolError.
    isolate (bool): it runs in a process of its own, which is kept for the next call and killed on timeout or when the
    run is cancelled; the function has to be defined at the top level of a module.
    memory (bytes): the limit of that process (not on Windows).
    approve (bool, or a function of the arguments, a dict): whether a person has to approve a call (`result.pending`,
    `agent.resume`).
    ends_run (bool): a successful call ends the run, and its result is `result.output`.
    max_result (characters): how much of a result is sent (default: 50,000; None: all); the model can read the rest in
    parts.
    cache (seconds): a result is kept for that time, for calls with the same arguments and `deps`; for a tool that is
    read_only. shared (bool): one result for all `deps`.
    same_thread (bool): it is called in the thread that runs the agent, and the run waits for it whatever happens.

    The decorated function stays callable as before. Raises ToolDefinitionError, naming function, parameter and reason,
    when a parameter can't be described.
    """

    def decorate(function: Callable[P, R], depth: int = 1) -> Tool[P, R]:
        if isinstance(function, Tool):
            return function.replace(name=name, description=description, **options)
        namespace = sys._getframe(depth).f_locals  # annotations may name classes local to the enclosing function
        return Tool._described(function, namespace, name, description, options)

    return decorate if function is None else decorate(function, depth=2)


def _before(error: BaseException) -> str:
    """What a generator gave before it raised this."""
    from agentkit.tooling.results import rendered
    from agentkit.tooling.settling import items_before

    items = items_before(error)
    return f"\nBefore that it gave:\n{cut(rendered(items)[0], MAX_ERROR)}" if items else ""
