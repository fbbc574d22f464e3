"""The tools of an agent by name, and what is sent of them to the model."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from agentkit._text import json_bytes
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.call_names import meant, meant_with_qualifier
from agentkit.tooling.schema_dialects import Dialect, tool_for
from agentkit.tools import Tool, tool


class Toolbox:
    """The tools of an agent, by name. Raises ToolDefinitionError when two have the same name.

    encoded: the tools as JSON bytes, empty without tools. has_read_only: whether any may run before a reply is
    complete.
    """

    def __init__(self, tools: Iterable[Tool[..., Any] | Callable[..., Any]] | None = ()) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        for given in listed(tools):
            made = given if isinstance(given, Tool) else tool(_callable(given))
            if made.waits_for_object:
                raise ToolDefinitionError(
                    f"tool {made.name} is a method that is not bound to an object: pass object.{made.name}"
                )
            if made.name in self._tools:
                raise ToolDefinitionError(f"two tools are named {made.name!r}: give one another name=")
            self._tools[made.name] = made
        self.encoded = json_bytes(self.schemas) if self._tools else b""
        self._encoded = {Dialect.AS_IS: self.encoded}
        self.has_read_only = any(map(self.may_begin_early, self._tools))

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> Tool[..., Any] | None:
        """The tool of that name; None when there is none."""
        return self._tools.get(name)

    def meant(self, name: str) -> str | None:
        """The name of the one tool that a call means which a model or a gateway has written in its own way
        (`functions.search`, ` Search\\n`); None when that is not certain (see `agentkit.tooling.call_names`)."""
        found = meant(name, self._tools)
        if found is None:
            found = meant_with_qualifier(name, self._tools)
            if found is not None and not self._tools[found].options.read_only:
                return None
        return found

    def plus(self, *tools: Tool[..., Any]) -> "Toolbox":
        """These tools and others."""
        return Toolbox([*self, *tools]) if tools else self

    def with_added(self, *tools: Tool[..., Any] | Callable[..., Any]) -> "Toolbox":
        """These tools and others that a run adds while it goes on."""
        return Toolbox([*self, *tools]) if tools else self

    def without(self, names: Collection[str]) -> "Toolbox":
        """These tools but for those of these names."""
        return Toolbox([each for each in self if each.name not in names])

    @property
    def names(self) -> list[str]:
        """The names of the tools, in the order in which they are sent to the model."""
        return list(self._tools)

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as OpenAI's chat completions expect them."""
        return [each.schema for each in self]

    def encoded_for(self, dialect: Dialect) -> bytes:
        """The tools as JSON bytes, their schemas in the dialect of a server; the same bytes each time."""
        if dialect not in self._encoded:
            self._encoded[dialect] = json_bytes([tool_for(dialect, each) for each in self.schemas])
        return self._encoded[dialect]

    def may_begin_early(self, name: str) -> bool:
        """Whether a tool may run before the reply is complete: it is read-only and needs no approval."""
        found = self._tools.get(name)
        return found is not None and found.options.read_only and found.options.approve is False


def listed(tools: Any) -> Iterable[Any]:
    """Raises ToolDefinitionError for what is no list of tools."""
    if isinstance(tools, Tool) or (callable(tools) and not isinstance(tools, Iterable)) or isinstance(tools, type):
        name = getattr(tools, "__name__", "") or getattr(tools, "name", "tool")
        raise ToolDefinitionError(f"tools={name} is one tool: pass a list, tools=[{name}]")
    if isinstance(tools, str | bytes) or not isinstance(tools, Iterable | None):
        raise ToolDefinitionError(f"tools={tools!r:.80} is not a list of functions: pass tools=[search, visit]")
    return () if tools is None else tools


def _callable(given: Any) -> Any:
    """Raises ToolDefinitionError for what can't be a tool."""
    if callable(given) or isinstance(given, classmethod):
        return given
    kind = type(given).__name__
    instead = _INSTEAD.get(kind, "a list has functions, and what @tool or Tool(...) makes of them")
    raise ToolDefinitionError(f"tools has {given!r:.80} (a {kind}): {instead}")


_INSTEAD = {
    "str": "pass the function itself, not its name",
    "dict": "a tool with a hand-written schema is Tool(name, description, parameters, function)",
    "list": "write its tools into the list: tools=[*more, other]",
    "tuple": "write its tools into the list: tools=[*more, other]",
    "Agent": 'an agent becomes a tool by agent.as_tool("name", "What it is asked.")',
}
