"""Parameters that another framework fills in itself and hides from the model.

A function that is brought from another framework may have one: LangChain's `InjectedToolArg`, the `RunContextWrapper`
of
openai-agents, FastAPI's `Depends(...)`. agentkit would offer it to the model, which would then choose the user's id.
They
are recognised by the names of their types, markers and modules; none of these frameworks is imported.
"""

import inspect
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from agentkit.errors import ToolDefinitionError
from agentkit.tooling.hints import Absent

UNMISTAKABLE = frozenset(
    (
        *("InjectedToolArg", "InjectedState", "InjectedStore", "InjectedToolCallId", "RunnableConfig", "ToolRuntime"),
        *("CallbackManagerForToolRun", "AsyncCallbackManagerForToolRun", "InjectedArg", "ToolCallArg"),
        *("RunContextWrapper", "RunContext", "ToolContext", "ReadonlyContext", "CallbackContext", "InvocationContext"),
        *("CancellationToken", "ContextVariables", "CurrentContext", "CurrentRequest", "CurrentHeaders", "Depends"),
        *("AgentRunContext", "ToolExecutionContext", "RunManager", "KernelArguments"),
    )
)
"""Names that mean this wherever they are defined."""

_FRAMEWORKS = (
    *("langchain", "langchain_core", "langchain_community", "langgraph", "pydantic_ai", "google.adk", "autogen"),
    *("autogen_core", "autogen_agentchat", "autogen_ext", "ag2", "smolagents", "llama_index", "workflows.context"),
    *("crewai", "agno", "phi.agent", "fastmcp", "mcp.server", "semantic_kernel", "agent_framework", "strands"),
    *("haystack", "fastapi", "starlette", "mirascope", "docket"),
)
_IN_FRAMEWORKS = frozenset(
    (
        *("Context", "Agent", "Team", "Runtime", "State", "BaseStore", "Store", "Session", "ServerSession", "Kernel"),
        *("Request", "Response", "WebSocket", "BackgroundTasks", "HTTPConnection", "Security", "Header", "Cookie"),
        *("Dependency", "Workflow", "Crew", "Flow", "Task", "AgentContext", "MessageContext", "Progress", "BaseAgent"),
    )
)
"""Names that mean this where one of these frameworks defines them."""

_BY_NAME = frozenset(
    (
        "agent",
        "team",
        "run_context",
        "tool_context",
        "run_manager",
        "context_variables",
        "session_state",
        "tool_runtime",
    )
)
"""Names of parameters by which frameworks know them, whatever their types say."""


def refuse_hidden(parameter: inspect.Parameter, hint: Any, tool: str) -> None:
    """Raise ToolDefinitionError for a parameter that another framework hides from the model. hint: its type."""
    marker = marker_of(parameter, hint)
    if marker is not None:
        raise ToolDefinitionError(
            f"tool {tool}: the parameter {parameter.name!r} ({marker}) is one that another framework hides from the "
            "model, which would choose its value here: take the run's `agentkit.Context` as a parameter instead, and "
            "pass the value as deps=..."
        )


def marker_of(parameter: inspect.Parameter, hint: Any) -> str | None:
    """The name of the type, marker or parameter by which another framework hides this one; None where it does not."""
    return next(_markers(parameter, hint), None)


def _markers(parameter: inspect.Parameter, hint: Any) -> Iterator[str]:
    for part in _parts(hint):
        yield from _marked(part)
    if parameter.default is not parameter.empty:
        yield from _marked(type(parameter.default))
    if parameter.name in _BY_NAME and _says_nothing(hint):
        yield f"the name {parameter.name}"


def _parts(hint: Any) -> Iterator[Any]:
    """A type, the types inside it, and what is annotated to them."""
    yield hint
    for part in (*typing.get_args(hint), *getattr(hint, "__metadata__", ())):
        if not isinstance(part, str | bytes | int | float | None):
            yield from _parts(part)


def _marked(part: Any) -> Iterator[str]:
    if isinstance(part, Absent):
        if part.name in UNMISTAKABLE or part.attribute in UNMISTAKABLE:
            yield part.attribute or part.name
        return
    kind = typing.get_origin(part) or part
    for each in inspect.getmro(kind if inspect.isclass(kind) else type(kind)):
        name = each.__name__.lstrip("_")
        if name in UNMISTAKABLE:
            yield name
        elif name in _IN_FRAMEWORKS and _is_of_a_framework(each):
            yield f"{name} of {each.__module__.partition('.')[0]}"


def _is_of_a_framework(kind: type) -> bool:
    module = f"{getattr(kind, '__module__', '')}."
    return any(module.startswith(f"{framework}.") for framework in _FRAMEWORKS)


def _says_nothing(hint: Any) -> bool:
    """Whether a type accepts any JSON or any JSON object, or is not there: an `agent: str` is the model's to choose."""
    kind = typing.get_origin(hint) or hint
    if not inspect.isclass(kind):
        return hint is Any or isinstance(hint, Absent)
    has_fields = hasattr(kind, "model_fields") or hasattr(kind, "__dataclass_fields__") or typing.is_typeddict(kind)
    return not (has_fields or issubclass(kind, str | int | float | list | tuple | Enum))
