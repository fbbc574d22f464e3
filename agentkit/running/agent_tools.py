"""The tools of an agent, some of which may come and go between its runs."""

import copy
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agentkit.toolbox import Toolbox, listed
from agentkit.tooling.toolset import Toolset
from agentkit.tools import Tool

AnyTool = Tool[..., Any] | Callable[..., Any] | Toolset
"""What a list of tools may have."""

MAX_NAME = 64
"""Characters of a tool's name that chat servers accept."""


class AgentTools:
    """The tools that an agent is given. Toolsets begin to get theirs at once, side by side; the first run waits for
    them. Raises ToolDefinitionError for an invalid tool.

    given: in the order in which they were given, toolsets among them. own: the others.
    """

    def __init__(self, tools: Iterable[AnyTool] | None) -> None:
        self.given: tuple[Tool[..., Any] | Toolset, ...] = tuple(_made(listed(tools)))
        self.own = Toolbox(each for each in self.given if isinstance(each, Tool))
        self._toolsets = [each for each in self.given if isinstance(each, Toolset)]
        self._lists: list[Sequence[Tool[..., Any]]] = []
        self._changing = threading.Lock()
        self.latest = self.own
        for each in self._toolsets:
            each.begin()

    def now(self) -> Toolbox:
        """The tools that there are now; the same object as long as nothing has changed. latest: what it returned last.
        Raises what a toolset raises."""
        if not self._toolsets:
            return self.own
        lists = [each.tools() for each in self._toolsets]
        with self._changing:
            if len(self._lists) != len(lists) or any(map(_differ, lists, self._lists)):
                self.latest = Toolbox(self._ordered(lists))
                self._lists = lists
            return self.latest

    def _ordered(self, lists: Sequence[Sequence[Tool[..., Any]]]) -> Iterable[Tool[..., Any]]:
        """All tools in the order in which they were given. One of a toolset that has the name of another tool gets the
        label of its toolset before its own."""
        names = Counter([*self.own.names, *(each.name for tools in lists for each in tools)])
        of_sets = iter(lists)
        for given in self.given:
            if isinstance(given, Tool):
                yield given
                continue
            for each in next(of_sets):
                yield each if names[each.name] == 1 else _renamed(each, f"{given.label}_{each.name}", names)


def _made(tools: Iterable[Any]) -> Iterable[Tool[..., Any] | Toolset]:
    """Functions become tools; toolsets stay."""
    for is_toolset, group in itertools.groupby(tools, lambda each: isinstance(each, Toolset)):
        members = list(group)
        yield from members if is_toolset else Toolbox(members)


def _differ(one: object, other: object) -> bool:
    return one is not other


def _renamed(tool: Tool[..., Any], name: str, taken: Counter[str]) -> Tool[..., Any]:
    name, number = name[:MAX_NAME], 2
    while taken[name]:
        ending = f"_{number}"
        name, number = name[: MAX_NAME - len(ending)] + ending, number + 1
    taken[name] += 1
    made = copy.copy(tool)
    made.name = name
    return made


def toolbox_of(tools: Iterable[AnyTool]) -> Toolbox:
    """A toolbox of these tools; one that is given as it is, so that its schemas are encoded once. Raises
    ToolDefinitionError."""
    return tools if isinstance(tools, Toolbox) else AgentTools(tools).now()
