"""Makes the agent that the options of the command line describe: for one question, a chat, or a batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentkit import Agent, ConfigurationError, Limits
from agentkit.evidence.settings import mode_of
from agentkit.serving.environment import DEFAULT_MODEL
from agentkit.serving.hook_loading import load_hooks
from agentkit.serving.tool_loading import AnyTool, Inputs, load_tools

INSTRUCTIONS = (
    "You are a research assistant. Look things up with your tools before you answer, and cite the source after each "
    "statement. If the sources don't contain the answer, say so."
)
"""The system message where none is given."""

OPTIONS = ("model", "tools", "docs", "mcp", "hooks", "instructions", "max_turns", "evidence", "taint")
"""What describes an agent."""


def checked_agent_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are given, without those that are None. Raises ConfigurationError for an unknown one, and for a
    value that is no text, number or list of texts."""
    if unknown := [name for name in options if name not in OPTIONS]:
        raise ConfigurationError(f"an agent has no option {unknown[0]!r:.80}: use {', '.join(OPTIONS)}")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if not _KINDS.get(name, _is_text)(value):
            raise ConfigurationError(f"the option {name!r} of an agent can't be {value!r:.80}")
    return given


def agent_of_options(
    options: Mapping[str, Any], inputs: Inputs | None = None, tools: Sequence[AnyTool] | None = None
) -> Agent:
    """The agent that the options describe.

    options: each may be left out, or be None. model (the embedded one by default), tools (names, see `load_tools`; an
    empty list: none), docs (a folder or several), mcp (servers), hooks (names), instructions, max_turns, evidence (a
    word), taint.
    inputs: see `agentkit.mcp.load_config`. tools: those that were loaded already.

    Raises ConfigurationError and LimitError for what can't be loaded or made.
    """
    given = checked_agent_options(options)
    if tools is None:
        is_none = "tools" in given and not (given["tools"] or given.get("docs") or given.get("mcp"))
        names = given.get("tools", ())
        tools = [] if is_none else load_tools(names, given.get("docs"), given.get("mcp", ()), inputs)
    return Agent(
        given.get("model") or DEFAULT_MODEL,
        tools=tools,
        instructions=given.get("instructions", INSTRUCTIONS),
        limits=Limits(turns=given.get("max_turns", 25)),
        hooks=load_hooks(given.get("hooks", ())),
        evidence=mode_of(given.get("evidence", "flag")),
        taint=given.get("taint", "off"),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str) and all(map(_is_text, value))


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_or_list(value: object) -> bool:
    return _is_text(value) or _is_list(value)


_KINDS: dict[str, Callable[[object], bool]] = {
    "docs": _is_text_or_list,
    "tools": _is_list,
    "mcp": _is_list,
    "hooks": _is_list,
    "max_turns": _is_number,
}
