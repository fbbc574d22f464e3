"""Functions and toolkits of agno: `@tool`, `Function`, `Toolkit`."""

import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from agentkit.tooling.annotations import signature_of
from agentkit.tooling.foreign.call import ForeignCall, Found, beside, failed, refused
from agentkit.tooling.foreign.content import image_part, joined
from agentkit.tooling.foreign.needs import injected
from agentkit.tooling.foreign.schemas import parameters_of, valid_name, variadic_of
from agentkit.tooling.objects import get, has
from agentkit.tooling.options import ToolArguments

_BY_NAME = frozenset(
    (
        *("agent", "team", "run_context", "session_state", "images", "videos", "audios", "files"),
        *("_agno_agent", "_agno_team", "_agno_run_context"),
    )
)
"""Parameters that agno fills in by their names; `fc`, the call itself, it fills in here too."""
_HOOKS = ("tool_hooks", "pre_hook", "post_hook")


def is_tool(value: Any) -> bool:
    """Whether it has the form of a Function of agno."""
    is_described = isinstance(get(value, "name"), str) and isinstance(get(value, "parameters"), Mapping)
    return is_described and hasattr(value, "entrypoint") and hasattr(value, "stop_after_tool_call")


def toolkit_tools(value: Any) -> list[Any] | None:
    """The functions of a Toolkit of agno; None for anything else."""
    functions, more = get(value, "functions"), get(value, "async_functions")
    if not isinstance(functions, Mapping) or not has(value, "register"):
        return None
    every = {**(more if isinstance(more, Mapping) else {}), **functions}
    if not all(map(is_tool, every.values())):
        return None
    if not every:
        raise refused(get(value, "name"), "the toolkit has no functions (some have them once connect() was called)")
    return [every[name] for name in (*functions, *(each for each in every if each not in functions))]


def is_class(kind: type) -> bool:
    """Whether objects of this class are toolkits."""
    return callable(getattr(kind, "register", None)) and callable(getattr(kind, "get_functions", None))


def found(function: Any) -> Found:
    """The function for a model. Raises ToolDefinitionError for one that needs an agent of agno, or that is run
    elsewhere."""
    name = valid_name(function.name)
    hidden = _refuse_what_needs_agno(function, name)
    prepared = _prepared(function)
    parameters = parameters_of(prepared.parameters, name, hidden, function=function.entrypoint)
    options: ToolArguments = {}
    if get(function, "requires_confirmation") or get(function, "approval_type") == "required":
        options["approve"] = True
    if function.stop_after_tool_call:
        options["ends_run"] = True
    return Found(
        name, str(get(prepared, "description") or ""), parameters, AgnoCall(function, prepared, hidden), options
    )


def _refuse_what_needs_agno(function: Any, name: str) -> list[str]:
    """Raise ToolDefinitionError for what only agno can fill in; returns the arguments that the model must not give."""
    if get(function, "external_execution") or not callable(function.entrypoint):
        raise refused(name, "agno does not run it, but leaves that to the program (external_execution)")
    if get(function, "requires_user_input"):
        raise refused(name, "a person fills in some of its arguments (requires_user_input), which is not possible here")
    described = function.parameters.get("properties") or {}
    needs = [each for each, _ in injected(function.entrypoint)]
    signature = _signature(function.entrypoint)
    needs += [each for each in signature if each.name in _BY_NAME and each.name not in described]
    for parameter in needs:
        if parameter.default is parameter.empty:
            raise refused(
                name,
                f"agno fills in its parameter {parameter.name!r}, and there is no agent of agno here: write a function "
                "with @tool of agentkit that takes the run's `Context`",
            )
    if any(get(function, each) for each in _HOOKS) and beside(function, "FunctionCall") is None:
        raise refused(name, "it has hooks, and agno's FunctionCall, which runs them, is not there")
    return [each.name for each in needs]


def _signature(function: Any) -> list[inspect.Parameter]:
    try:
        return list(signature_of(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _prepared(function: Any) -> Any:
    """A copy with its schema, which agno makes only when an agent runs."""
    made = function.model_copy(deep=True) if has(function, "model_copy") else copy.copy(function)
    if has(made, "process_entrypoint"):
        made.process_entrypoint()
    return made


class AgnoCall(ForeignCall):
    """Calls a function as agno does, with its hooks and its cache; an async one on the loop of the async tools."""

    kind = "agno function"

    def __init__(self, target: Any, prepared: Any, hidden: Iterable[str]) -> None:
        super().__init__(target, inspect.unwrap(target.entrypoint), variadic_of(target.entrypoint), hidden)
        self._prepared = prepared
        functions = (
            target.entrypoint,
            get(target, "pre_hook"),
            get(target, "post_hook"),
            *(get(target, "tool_hooks") or ()),
        )
        self.is_async = any(map(_is_async, functions))

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the function."""
        call = beside(self._prepared, "FunctionCall")
        if call is None:
            return self._prepared.entrypoint(**arguments)
        made = call(function=self._prepared, arguments=arguments, call_id="agentkit")
        return made.aexecute() if self.is_async else made.execute()

    def result(self, value: Any) -> Any:
        """What a result has for the model."""
        if hasattr(value, "updated_session_state") and hasattr(value, "status"):
            if value.status == "failure":
                raise failed(value.error, is_for_the_model=False)
            value = value.result
        if not (hasattr(value, "content") and hasattr(value, "images") and hasattr(value, "audios")):
            return value
        parts = [value.content, *map(_shown_image, value.images or ())]
        others = {"video": value.videos, "audio": value.audios, "file": get(value, "files")}
        parts += [f"({len(each)} {kind}: can't be shown)" for kind, each in others.items() if each]
        return joined(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {key: each for key, each in super().__getstate__().items() if key != "_prepared"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._prepared = _prepared(self.target)


def _is_async(function: Any) -> bool:
    function = inspect.unwrap(function) if callable(function) else function
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _shown_image(image: Any) -> Any:
    return image_part(data=get(image, "content"), url=get(image, "url"), path=get(image, "filepath"))
