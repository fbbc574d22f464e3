"""Whether the model of a run is sent the schemas of all tools, or finds them by searching."""

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from agentkit._lazy.logs import logger_of
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError, ToolDefinitionError
from agentkit.running.agent_tools import AgentTools
from agentkit.running.offered_tools import SEARCH_NAMES
from agentkit.running.options import RunOptions
from agentkit.toolbox import Toolbox
from agentkit.tools import Tool

logger = logger_of("agentkit")

SearchMode = Literal["auto"] | bool

MAX_SENT = 16_000
"""Bytes of schemas up to which all are sent, unless an agent says otherwise."""
MAX_TOOLS = 128
"""Number of tools up to which all are sent: what OpenAI's API accepts."""


class ToolSearch:
    """How an agent offers its tools.

    mode: whether the model searches; "auto": where there are more than MAX_TOOLS, or their schemas have more than
    MAX_SENT bytes. always: tools, or their names, that are sent whatever there is. tools: the agent's.

    Raises ConfigurationError for a name in `always` that no tool has, and, where the mode is True, ToolDefinitionError
    for a tool that has a name of the search's own.
    """

    def __init__(self, mode: SearchMode, always: Iterable[Any], tools: AgentTools) -> None:
        self.mode = mode
        self.always = tuple(map(_name_of, always))
        unknown = [name for name in self.always if tools.own.get(name) is None]
        if unknown and not tools.has_toolsets:
            raise ConfigurationError(f"always={unknown[0]!r}: no tool of this agent has that name")
        if mode is True:
            _check_names(tools.own)

    def offered(self, tools: AgentTools, options: RunOptions, backend: Backend) -> Toolbox:
        """The tools of a run. tools: the agent's."""
        source = tools if options.tools is None else self._source(options.tools)
        now = source.now if isinstance(source, AgentTools) else lambda: source
        toolbox = now()
        may_grow = isinstance(source, AgentTools) and source.has_toolsets
        if not self._searches(toolbox, may_grow=may_grow):
            return toolbox
        choice = options.sampling.get("tool_choice", backend.capabilities().tool_choice)
        names = {*self.always, *_chosen(choice)}
        from agentkit.running.searchable_tools import SearchableTools

        return SearchableTools(now, [each for each in toolbox if each.name in names or _is_always_sent(each)])

    def _source(self, tools: Any) -> AgentTools | Toolbox:
        return tools if isinstance(tools, AgentTools | Toolbox) else AgentTools(tools, reserved_by(self.mode))

    def _searches(self, toolbox: Toolbox, *, may_grow: bool) -> bool:
        if self.mode != "auto":
            if self.mode:
                _check_names(toolbox)
            return self.mode and (bool(toolbox) or may_grow)
        if not _is_much(toolbox):
            return False
        taken = _taken(toolbox)
        if taken:
            _warn(taken)
        return not taken


def reserved_by(mode: SearchMode) -> Collection[str]:
    """The names that a tool of a toolset must not have."""
    if not mode:
        return ()
    return SEARCH_NAMES


def _name_of(given: Any) -> str:
    name = given if isinstance(given, str) else getattr(given, "name", None) or getattr(given, "__name__", None)
    if not isinstance(name, str):
        raise ConfigurationError(f"always has {given!r:.80}: pass names of tools, or the tools")
    return name


def _taken(tools: Toolbox) -> str | None:
    """The name of the search's own that a tool has."""
    return next((name for name in SEARCH_NAMES if tools.get(name) is not None), None)


def _check_names(tools: Toolbox) -> None:
    taken = _taken(tools)
    if taken:
        raise ToolDefinitionError(
            f"a tool is named {taken!r}, as one of those by which a model searches: give it another name=, or turn the "
            "search off with tool_search=False"
        )


@functools.cache
def _warn(taken: str) -> None:
    """Say once that what would be searched is sent whole."""
    logger.warning(
        "a tool is named %r, as one of those by which a model searches: the schemas of all tools are sent. Give it "
        "another name=, or turn the search off with tool_search=False",
        taken,
    )


def _is_always_sent(tool: Tool[..., Any]) -> bool:
    """Whether a tool is known to the model in any case: it is the client's, who expects that, or it ends the run, which
    is nothing that a model would search for."""
    return tool.is_external or tool.options.ends_run


def _is_much(toolbox: Toolbox) -> bool:
    """Whether there are more tools, or larger ones, than are sent; those that are sent in any case do not count."""
    if len(toolbox) <= MAX_TOOLS and len(toolbox.encoded) <= MAX_SENT:
        return False
    sent = [each for each in toolbox if _is_always_sent(each)]
    size = len(toolbox.encoded) - (len(Toolbox(sent).encoded) if sent else 0)
    return len(toolbox) - len(sent) > MAX_TOOLS or size > MAX_SENT


def _chosen(choice: Any) -> Iterable[str]:
    """The names of tools in a tool_choice, which the server has to know."""
    if not isinstance(choice, Mapping):
        return ()
    nested = choice.get("allowed_tools")
    inner = nested if isinstance(nested, Mapping) else choice
    listed = inner.get("tools")
    named = listed if isinstance(listed, list) else [inner]
    entries = [each for each in named if isinstance(each, Mapping)]
    functions = [each["function"] if isinstance(each.get("function"), Mapping) else each for each in entries]
    return [each["name"] for each in functions if isinstance(each.get("name"), str)]
