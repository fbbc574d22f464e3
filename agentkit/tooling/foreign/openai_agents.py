"""Function tools of the OpenAI Agents SDK: `@function_tool`, `FunctionTool`, `agent.as_tool`."""

import contextlib
import copy
import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any

from agentkit.errors import ToolError
from agentkit.tooling.foreign.call import ForeignCall, Found, failed, refused
from agentkit.tooling.foreign.content import shown_parts
from agentkit.tooling.foreign.needs import injected
from agentkit.tooling.foreign.schemas import parameters_of, valid_name
from agentkit.tooling.objects import get
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.schema import without_titles
from agentkit.tooling.settling import settled
from agentkit.tooling.stop import Stop

_FAILED = "An error occurred while running the tool. Please try again."
"""How the text begins that stands for a failure, unless the tool has another one."""
_MAX_DEPTH = 4
"""How many functions in each other are looked into."""


def is_tool(value: Any) -> bool:
    """Whether it has the form of a function tool of the Agents SDK."""
    return callable(get(value, "on_invoke_tool")) and isinstance(get(value, "params_json_schema"), Mapping)


def found(tool: Any) -> Found:
    """The tool for a model. Raises ToolDefinitionError for one that needs a run of that SDK."""
    name = valid_name(tool.name)
    _refuse_what_needs_a_run(tool, name)
    parameters = without_titles(parameters_of(_relaxed(tool.params_json_schema), name))
    nullable = frozenset(each for each in parameters.get("required", ()) if _takes_null(parameters["properties"][each]))
    parameters["required"] = [each for each in parameters.get("required", ()) if each not in nullable]
    options: ToolArguments = {}
    needs_approval, timeout = get(tool, "needs_approval"), get(tool, "timeout_seconds")
    if needs_approval:
        options["approve"] = Approval(needs_approval) if callable(needs_approval) else True
    if timeout:
        options["timeout"] = float(timeout)
    return Found(name, str(get(tool, "description") or ""), parameters, AgentsCall(tool, nullable), options)


def _refuse_what_needs_a_run(tool: Any, name: str) -> None:
    if _takes_context(tool):
        raise refused(
            name,
            "its function takes the RunContextWrapper of openai-agents, and there is no run of that SDK here: write a "
            "function with @tool of agentkit that takes the run's `Context`, whose `deps` are that context",
        )
    is_enabled = getattr(tool, "is_enabled", True)
    if callable(is_enabled) or not is_enabled:
        why = "a function of the run context decides whether" if callable(is_enabled) else "it says that it is not"
        raise refused(name, f"is_enabled: {why} enabled: leave it out, or make it one that always is")
    if get(tool, "tool_input_guardrails") or get(tool, "tool_output_guardrails"):
        raise refused(
            name, "its guardrails are run by the Runner of openai-agents, and would be skipped: write them as a Hook"
        )


def _takes_context(tool: Any) -> bool:
    """Whether the decorated function takes the context. Of a tool that is made by hand this can't be seen."""
    wrapped = get(tool, "__wrapped__")
    if callable(wrapped):
        return next(injected(wrapped), None) is not None
    return _says_so(tool.on_invoke_tool, _MAX_DEPTH)


def _says_so(value: Any, depth: int) -> bool:
    """Whether a function holds the description of another one, which says that it takes a context."""
    if isinstance(get(value, "takes_context"), bool):
        return bool(value.takes_context)
    if depth == 0:
        return False
    inner = [get(value, "_invoke_tool_impl"), get(value, "invoke_tool_impl")]
    for cell in getattr(value, "__closure__", None) or ():
        with contextlib.suppress(ValueError):
            inner.append(cell.cell_contents)
    looked_into = (each for each in inner if inspect.isfunction(each) or hasattr(each, "takes_context") or _holds(each))
    return any(_says_so(each, depth - 1) for each in looked_into)


def _holds(value: Any) -> bool:
    return value is not None and hasattr(value, "_invoke_tool_impl")


def _relaxed(schema: Any) -> Any:
    """The schema without the demand of strict mode that arguments with a default are given too."""
    if isinstance(schema, list):
        return [_relaxed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: each if key in ("default", "enum", "const") else _relaxed(each) for key, each in schema.items()}
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, Mapping) and isinstance(required, list):
        made["required"] = [each for each in required if "default" not in (properties.get(each) or ())]
    return made


def _takes_null(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    kinds = schema.get("type")
    return "null" in (kinds if isinstance(kinds, list) else [kinds]) or any(
        map(_takes_null, schema["anyOf"] if isinstance(schema.get("anyOf"), list) else ())
    )


class AgentsCall(ForeignCall):
    """Calls a function tool of the Agents SDK on the event loop of the async tools."""

    kind = "openai-agents tool"

    def __init__(self, target: Any, nullable: frozenset[str]) -> None:
        super().__init__(target, get(target, "__wrapped__"))
        self._nullable = nullable
        self._raising = _raising(target)

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        text = json.dumps({**dict.fromkeys(self._nullable), **arguments}, ensure_ascii=False)
        return self._answered(text)

    async def _answered(self, text: str) -> Any:
        context = _context(self.target, text)
        try:
            return await self._raising.on_invoke_tool(context, text)
        except Exception as error:
            tell = get(self.target, "_failure_error_function")
            if isinstance(error, ToolError) or not callable(tell) or self._raising is self.target:
                raise
            said = tell(context, error)
            raise failed(await said if inspect.isawaitable(said) else said) from error

    def result(self, value: Any) -> Any:
        """The parts of a result."""
        if isinstance(value, str) and value.startswith(_FAILED):  # of a version that can't be made to raise
            raise failed(value)
        return shown_parts(value)

    def __getstate__(self) -> dict[str, Any]:
        return {key: each for key, each in super().__getstate__().items() if key != "_raising"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._raising = _raising(self.target)


def _raising(tool: Any) -> Any:
    """The tool as one that raises its failures, in place of returning a text that reads like a result; itself where
    that is not known of it."""
    if get(tool, "_use_default_failure_error_function") is None:
        return tool
    raising = copy.copy(tool)
    raising._use_default_failure_error_function, raising._failure_error_function = False, None
    return raising


def _context(tool: Any, arguments: str) -> Any:
    """The context of a call, without a run: of the SDK's own class where that is loaded."""
    values = {"tool_name": tool.name, "tool_call_id": "agentkit", "tool_arguments": arguments}
    packages = (kind.__module__.rpartition(".")[0] for kind in type(tool).__mro__)
    modules = (sys.modules.get(f"{package}.tool_context") for package in packages if package)
    kind = next((found for module in modules if (found := getattr(module, "ToolContext", None))), None)
    with contextlib.suppress(TypeError):
        if kind is not None:
            return kind(context=NoContext(), **values)
    return StandIn(values)


class StandIn:
    """In place of a ToolContext: the name and arguments of the call; nothing of a run."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values, context=NoContext(), agent=None, run_config=None, tool_call=None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class NoContext:
    """In place of the context of a run. It says so to a tool that reads anything of it."""

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ToolError(
            f"this tool reads {name!r} of the context of an openai-agents run, and there is none: it can't be used."
        )


class Approval:
    """Whether a call needs approval, as a function of the SDK decides it. One that reads the context asks a person."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, values: dict[str, Any]) -> bool:
        """Whether it does."""
        return bool(settled(self.function(StandIn({}), values, "agentkit"), Stop("the approval")))
