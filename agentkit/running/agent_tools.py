"""The tools of an agent, some of which may come and go between its runs."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from agentkit.toolbox import Toolbox, listed
from agentkit.tooling.foreign import ForeignTool
from agentkit.tooling.toolset import Toolset
from agentkit.tools import Tool

AnyTool = Tool[..., Any] | Callable[..., Any] | Toolset | ForeignTool
"""What a list of tools may have."""

MAX_NAME = 64
"""Characters of a tool's name that chat servers accept."""


class AgentTools:
    """The tools that an agent is given. Toolsets begin to get theirs at once, side by side; the first run waits for
    them. Raises ToolDefinitionError for an invalid tool.

    given: in the order in which they were given, toolsets among them. own: the others. reserved: names that a tool of a
    toolset must not have.
    """

    def __init__(self, tools: Iterable[AnyTool] | None, reserved: Collection[str] = ()) -> None:
        given = [tools] if isinstance(tools, Toolset) else listed(tools)
        self.given: tuple[Tool[..., Any] | Toolset, ...] = tuple(_made(given))
        own = [each for each in self.given if isinstance(each, Tool)]
        self.own = Toolbox(own, {each.name: _module_of(each) for each in own})
        self._reserved = reserved
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
        for each in self._toolsets:
            each.begin()
        lists = [each.tools() for each in self._toolsets]
        with self._changing:
            if len(self._lists) != len(lists) or any(map(_differ, lists, self._lists)):
                placed = list(self._ordered(lists))
                self.latest = Toolbox((each for each, _ in placed), {each.name: place for each, place in placed})
                self._lists = lists
            return self.latest

    @property
    def has_toolsets(self) -> bool:
        """Whether there may be other tools later."""
        return bool(self._toolsets)

    def _ordered(self, lists: Sequence[Sequence[Tool[..., Any]]]) -> Iterable[tuple[Tool[..., Any], str]]:
        """All tools in the order in which they were given, each with a word for where it is from. One of a toolset that
        has the name of another tool gets the label of its toolset before its own."""
        names = Counter([*self._reserved, *self.own.names, *(each.name for tools in lists for each in tools)])
        of_sets = iter(lists)
        for given in self.given:
            if isinstance(given, Tool):
                yield given, self.own.places[given.name]
                continue
            for each in next(of_sets):
                is_clear = names[each.name] == 1
                yield each if is_clear else _renamed(each, f"{given.label}_{each.name}", names), given.label


def _module_of(tool: Tool[..., Any]) -> str:
    """The last part of the name of the module in which a tool's function is defined; "" for the program itself, and for
    a function of agentkit's own, which does not say what the tool is about."""
    module = str(getattr(tool.function, "__module__", None) or "")
    return "" if module.partition(".")[0] in ("agentkit", "__main__", "builtins") else module.rpartition(".")[2]


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
    return tool.replace(name=name)


def toolbox_of(tools: Iterable[AnyTool]) -> Toolbox:
    """A toolbox of these tools; one that is given as it is, so that its schemas are encoded once. Raises
    ToolDefinitionError."""
    return tools if isinstance(tools, Toolbox) else AgentTools(tools).now()
