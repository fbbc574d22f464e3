"""What is chosen and changed of the tools of a server: some of them, other names, other options."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from agentkit._lazy.logs import logger_of
from agentkit._text import known_options, short_repr
from agentkit.errors import ConfigurationError, ToolDefinitionError
from agentkit.mcp.server_tool import ServerCall, ServerTool, prefixed_name
from agentkit.tooling.definition import NAME
from agentkit.tooling.options import ToolOptions

_MAX_LISTED = 10
"""How many names an error lists where none is near."""


logger = logger_of("agentkit")


class Selection(ABC):
    """Chooses or changes tools. names: of those that it is about, in which * stands for anything."""

    names: tuple[str, ...] = ()

    @abstractmethod
    def of(self, tool: ServerTool) -> ServerTool | None:
        """What becomes of a tool; None for one that is left out."""

    @property
    @abstractmethod
    def how(self) -> str:
        """The method that was called, for errors."""

    def check_names(self) -> None:
        """Raise ConfigurationError for a name that is none, or given twice."""
        for name in self.names:
            if not isinstance(name, str) or not name:
                raise ConfigurationError(f"{self.how}({short_repr(name)}): the name of a tool, such as 'read_*'")
            if self.names.count(name) > 1:
                raise ConfigurationError(f"{self.how}(): {short_repr(name)} is named twice")

    def check_tools(self, tools: Sequence[ServerTool], label: str) -> None:
        """Raise ConfigurationError for a name that none of the tools has. label: of their server."""
        for name in self.names:
            if not any(_is_meant(tool, name) for tool in tools):
                raise ConfigurationError(f"{self.how}({short_repr(name)}): {_unknown(name, tools, label)}")

    def takes(self, tool: ServerTool) -> bool:
        """Whether a tool has one of the names."""
        return any(_is_meant(tool, name) for name in self.names)


@dataclass(frozen=True)
class Only(Selection):
    """The tools of these names alone."""

    names: tuple[str, ...]
    how: str = "only"

    def __post_init__(self) -> None:
        self.check_names()

    def of(self, tool: ServerTool) -> ServerTool | None:
        """See `Selection.of`."""
        return tool if self.takes(tool) else None


@dataclass(frozen=True)
class Without(Selection):
    """The tools but for those of these names."""

    names: tuple[str, ...]
    how: str = "without"
    only_warns: bool = False
    """Whether a name that no tool has is no error."""

    def __post_init__(self) -> None:
        self.check_names()

    def check_tools(self, tools: Sequence[ServerTool], label: str) -> None:
        """See `Selection.check_tools`."""
        try:
            super().check_tools(tools, label)
        except ConfigurationError as error:
            if not self.only_warns:
                raise
            logger.warning("%s", error)

    def of(self, tool: ServerTool) -> ServerTool | None:
        """See `Selection.of`."""
        return None if self.takes(tool) else tool


@dataclass(frozen=True)
class Replaced(Selection):
    """The tools with other options, those of these names alone where there are any."""

    names: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    how: str = "replace"

    def __post_init__(self) -> None:
        self.check_names()
        known_options("replace()", self.options, ToolOptions)
        if not self.options:
            raise ConfigurationError("replace(): give the options that the tools are to have, such as approve=True")

    def of(self, tool: ServerTool) -> ServerTool | None:
        """See `Selection.of`. Raises ToolDefinitionError for options that don't fit the tool."""
        if self.names and not self.takes(tool):
            return tool
        options: Any = self.options
        try:
            return tool.replace(**options)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"replace(): {error}") from None


@dataclass(frozen=True)
class Prefixed(Selection):
    """The tools with a prefix before their names."""

    prefix: str
    how: str = "prefixed"

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not NAME.fullmatch(self.prefix) or len(self.prefix) > 40:
            raise ConfigurationError(
                f"prefixed({short_repr(self.prefix)}): 1 to 40 letters, digits, '_' and '-', such as 'fs_'"
            )

    def of(self, tool: ServerTool) -> ServerTool | None:
        """See `Selection.of`."""
        return tool.replace(name=prefixed_name(self.prefix, tool.name))


def _unknown(name: str, tools: Sequence[ServerTool], label: str) -> str:
    names = [each.name for each in tools]
    near = difflib.get_close_matches(name[:100], names, 3, 0.5)
    if near:
        return f"{label} has no such tool: did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return f"{label} has no such tool: it has {', '.join(names[:_MAX_LISTED])}{more}"


def _is_meant(tool: ServerTool, pattern: str) -> bool:
    """Whether a tool is meant, by its name or by the one that its server gives it."""
    own = tool.function.entry["name"] if isinstance(tool.function, ServerCall) else tool.name
    return fnmatchcase(tool.name, pattern) or pattern == own
