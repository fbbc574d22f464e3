"""Tools of other frameworks in `tools=[...]`: of LangChain, openai-agents, smolagents, LlamaIndex, agno, llm and
Qwen-Agent (docs/interop.md). They are known by their form; none of these packages is imported."""

import types
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Unpack

from agentkit._lazy.logs import logger_of
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.options import ToolArguments
from agentkit.tools import Tool

logger = logger_of("agentkit")

_PLAIN = (Tool, types.FunctionType, types.MethodType, types.BuiltinFunctionType, str, bytes, dict, list, tuple)
"""What is no tool of another framework, without a closer look."""


class ForeignTool(Protocol):
    """What a type checker knows of a tool of another framework, or of several in one object: it has a name."""

    @property
    def name(self) -> Any:
        """Of the tool."""


def tool_from(
    given: Any, /, *, name: str | None = None, description: str | None = None, **options: Unpack[ToolArguments]
) -> Tool[..., Any]:
    """A tool of another framework as a Tool. name, description: in place of its own. options: see `agentkit.tool`; one
    that is not given is what the tool's own flags mean (`return_direct`, `needs_approval`, ...), or the default.

    Raises ToolDefinitionError for what is no such tool, and for one that needs its own framework.
    """
    if isinstance(given, Tool):
        return given.replace(name=name, description=description, **options)
    from agentkit.tooling.foreign.kinds import NAMES, members_of, reader_of

    read = None if isinstance(given, type) else reader_of(given)
    if read is None:
        is_several = not isinstance(given, _PLAIN) and members_of(given) is not None
        why = "it holds several tools: pass it in tools=[...]" if is_several else f"it is no tool of {NAMES}"
        raise ToolDefinitionError(f"tool_from({_kind(given)}): {why}")
    found = read(given)
    text = found.description if description is None else description
    if not text.strip():
        text = found.name
        logger.warning("tool %s: it has no description, and the model sees its name for one", text)
    together: ToolArguments = {**found.options, **options}
    return Tool(found.name if name is None else name, text, found.parameters, found.call, **together)


def tools_from(given: Any) -> list[Tool[..., Any]] | None:
    """The tool that an object of another framework is, or those that it holds (a toolkit of agno or LangChain, a
    toolbox of llm); None for anything else. Raises ToolDefinitionError as `tool_from` does, and for a class in place of
    an object."""
    if given is None or isinstance(given, (*_PLAIN, Iterator)):
        return None
    from agentkit.tooling.foreign.kinds import is_class, members_of, reader_of

    if isinstance(given, type):
        if is_class(given):
            raise ToolDefinitionError(f"tools has the class {given.__name__}: pass an object of it, {given.__name__}()")
        return None
    if reader_of(given) is not None:
        return [tool_from(given)]
    members = members_of(given)
    return None if members is None else [tool_from(each) for each in members]


def holds_several(given: Any) -> bool:
    """Whether an object of another framework may hold several tools, though it has one now."""
    from agentkit.tooling.foreign.kinds import reader_of

    return tools_from(given) is not None and reader_of(given) is None


def with_foreign(tools: Iterable[Any]) -> Iterator[Any]:
    """The same with the tools of other frameworks as tools. Raises ToolDefinitionError as `tools_from` does."""
    for given in tools:
        made = tools_from(given)
        yield from (given,) if made is None else made


def refuse_one(tools: Any) -> None:
    """Raise ToolDefinitionError where an object of another framework stands in place of a list (some can be iterated
    over, and give their fields)."""
    if tools_from(tools) is not None:
        raise ToolDefinitionError(f"tools={_kind(tools)} is one object: pass a list, tools=[{_kind(tools)}]")


def _kind(given: Any) -> str:
    return type(given).__name__
