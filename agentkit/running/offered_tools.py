"""The tools that a run offers to the model, which may change while it goes on."""

import threading
from typing import Any

from agentkit.errors import ConfigurationError
from agentkit.toolbox import Toolbox
from agentkit.tooling.context import RunTools
from agentkit.tools import Tool

FIND_TOOLS, CALL_TOOL = "find_tools", "call_tool"
SEARCH_NAMES = (FIND_TOOLS, CALL_TOOL)
"""The tools with which a model finds others (`running.searchable_tools`)."""


class OfferedTools(RunTools):
    """The tools of one run; changed by its tools (`ctx.tools`), in whatever threads they run. toolbox: those that there
    are now."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox
        self._changing = threading.Lock()

    def add(self, *tools: Any) -> None:
        """See `RunTools.add`."""
        with self._changing:
            self.toolbox = self.toolbox.with_added(*tools)

    def remove(self, *names: str) -> None:
        """See `RunTools.remove`."""
        with self._changing:
            missing = [name for name in names if self.toolbox.get(name) is None]
            if missing:
                raise ConfigurationError(f"ctx.tools.remove({missing[0]!r}): there is no such tool")
            self.toolbox = self.toolbox.without(names)

    def offer(self, tool: Tool[..., Any]) -> None:
        """Offer a tool of agentkit's own, unless it is offered already."""
        with self._changing:
            if self.toolbox.get(tool.name) is None:
                self.toolbox = self.toolbox.plus(tool)

    @property
    def names(self) -> list[str]:
        """See `RunTools.names`."""
        return self.toolbox.names
