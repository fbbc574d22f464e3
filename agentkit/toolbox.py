"""The tools of an agent by name, and what is sent of them to the model."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from agentkit._text import json_bytes
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.call_names import UNNAMED, meant, meant_with_qualifier, nearest
from agentkit.tooling.foreign import ForeignTool, refuse_one, with_foreign
from agentkit.tooling.schema_dialects import Dialect, tool_for
from agentkit.tools import Tool, tool

if TYPE_CHECKING:
    from agentkit.tooling.tool_index import ToolIndex


class Toolbox:
    """The tools of an agent, by name. Raises ToolDefinitionError when two have the same name.

    places: a word for where a tool is from, by its name, such as the label of its toolset. encoded: the tools as JSON
    bytes, empty without tools. has_read_only: whether any may run before a reply is complete. are_found: whether the
    model finds tools by searching.
    """

    are_found: ClassVar[bool] = False

    def __init__(
        self,
        tools: Iterable[Tool[..., Any] | Callable[..., Any] | ForeignTool] | None = (),
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.places = dict(places or {})
        self._tools: dict[str, Tool[..., Any]] = {}
        for given in with_foreign(listed(tools)):
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

    def __bool__(self) -> bool:
        return bool(self._tools)

    def get(self, name: str) -> Tool[..., Any] | None:
        """The tool of that name; None when there is none."""
        return self._tools.get(name)

    def meant(self, name: str) -> str | None:
        """The name of the one tool that a call means which a model or a gateway has written in its own way
        (`functions.search`, ` Search\\n`); None when that is not certain (see `agentkit.tooling.call_names`)."""
        names = self.names
        found = meant(name, names)
        if found is None:
            found = meant_with_qualifier(name, names)
            tool = None if found is None else self.get(found)
            return found if tool is not None and tool.options.read_only else None
        return found

    def not_found(self, name: str) -> str:
        """What a model is told that has called a tool which there is not."""
        names = self.names
        if not names:
            return f"there is no tool named {name!r}; no tools are offered."
        if name == UNNAMED:
            return f"the call has no name that can be read. The tools are: {', '.join(names)}."
        likely = nearest(name, names)
        hint = f" Did you mean {likely!r}?" if likely else ""
        return f"there is no tool named {name!r}.{hint} The tools are: {', '.join(names)}."

    def schema_note(self, tool: Tool[..., Any]) -> str:
        """What a model is told beside what is wrong with the arguments of a call: nothing, it was sent the schema."""
        return ""

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

    @property
    def known_schemas(self) -> Sequence[dict[str, Any]]:
        """The same of all tools that a reply may call."""
        return self.schemas

    @cached_property
    def index(self) -> "ToolIndex":
        """Finds tools by words."""
        from agentkit.tooling.tool_index import ToolIndex

        return ToolIndex((each, self.places.get(each.name, "")) for each in self)

    def encoded_for(self, dialect: Dialect) -> bytes:
        """The tools as JSON bytes, their schemas in the dialect of a server; the same bytes each time."""
        found = self._encoded.get(dialect)
        if found is None:
            found = self._encoded[dialect] = json_bytes([tool_for(dialect, each) for each in self.schemas])
        return found

    def may_begin_early(self, name: str) -> bool:
        """Whether a tool may run before the reply is complete: it may run beside others and needs no approval."""
        found = self.get(name)
        return found is not None and found.options.may_overlap and found.options.approve is False


def listed(tools: Any) -> Iterable[Any]:
    """Raises ToolDefinitionError for what is no list of tools."""
    if isinstance(tools, Tool) or (callable(tools) and not isinstance(tools, Iterable)) or isinstance(tools, type):
        name = getattr(tools, "__name__", "") or getattr(tools, "name", "tool")
        raise ToolDefinitionError(f"tools={name} is one tool: pass a list, tools=[{name}]")
    if isinstance(tools, str | bytes) or not isinstance(tools, Iterable | None):
        raise ToolDefinitionError(f"tools={tools!r:.80} is not a list of functions: pass tools=[search, visit]")
    refuse_one(tools)
    return () if tools is None else tools


def _callable(given: Any) -> Any:
    """Raises ToolDefinitionError for what can't be a tool."""
    if callable(given) or isinstance(given, classmethod):
        return given
    from agentkit.tooling.signature import tool_methods  # for a mistake

    kind = type(given).__name__
    if methods := tool_methods(type(given)):
        them = ", ".join(f"object.{name}" for name in methods)
        raise ToolDefinitionError(f"tools has {given!r:.80} (a {kind}), whose methods are tools: pass these: {them}")
    instead = _INSTEAD.get(kind, "a list has functions, and what @tool or Tool(...) makes of them")
    raise ToolDefinitionError(f"tools has {given!r:.80} (a {kind}): {instead}")


_INSTEAD = {
    "str": "pass the function itself, not its name",
    "dict": "a tool with a hand-written schema is Tool(name, description, parameters, function)",
    "list": "write its tools into the list: tools=[*more, other]",
    "tuple": "write its tools into the list: tools=[*more, other]",
    "Agent": 'an agent becomes a tool by agent.as_tool("name", "What it is asked.")',
}
