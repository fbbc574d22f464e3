"""A tool as clients of the server see it, and its results."""

import base64
from collections.abc import Iterable
from typing import Any

from agentkit.agent import Agent
from agentkit.mcp.serving.protocol import Message
from agentkit.mcp.serving.structured import structured_of
from agentkit.running.agent_tools import AgentTools, AnyTool
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Tool

AGENT_NAME = "ask"
"""The name of an agent that is served without another one."""


class Offered:
    """One tool. entry: as `tools/list` has it."""

    def __init__(self, tool: Tool[..., Any]) -> None:
        self.tool = tool
        self._structured = structured_of(tool)
        self.entry: Message = {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.parameters,
            "annotations": {"readOnlyHint": tool.options.read_only},
        }
        if self._structured is not None:
            self.entry["outputSchema"] = self._structured.schema

    def result(self, outcome: Outcome) -> Message:
        """The result of a call."""
        outcome = outcome.uncut()
        text = outcome.text + outcome.note
        if outcome.failed:
            return failed(text.removeprefix("Error: "))
        for image in outcome.images:
            text = text.replace(
                f"[{image.name}: the image is in the next message]", f"[{image.name}: the image follows]"
            )
        content: list[Message] = [{"type": "text", "text": text}]
        for image in outcome.images:
            data = base64.b64encode(image.data).decode()
            content.append({"type": "image", "data": data, "mimeType": image.media_type})
        structured = None if self._structured is None else self._structured.of(outcome)
        if self._structured is not None and structured is None:
            content.append({"type": "text", "text": f"(This is not what {self.tool.name} is declared to return.)"})
            return {"content": content, "isError": True}
        made: Message = {"content": content, "isError": False}
        return made if structured is None else {**made, "structuredContent": structured}


def failed(text: str) -> Message:
    """The result of a call that failed."""
    return {"content": [{"type": "text", "text": text}], "isError": True}


class Offer:
    """What a server offers: tools, which may come and go where they are those of a toolset. Raises ToolDefinitionError
    for an invalid tool."""

    def __init__(self, tools: Agent | Iterable[AnyTool | Agent]) -> None:
        given: Any = [tools] if isinstance(tools, Agent) else tools
        if not isinstance(given, str | bytes) and isinstance(given, Iterable):
            given = [agent_tool(each) if isinstance(each, Agent) else each for each in given]
        self._tools = AgentTools(given)
        self._latest: tuple[Any, dict[str, Offered]] = (None, {})

    def now(self) -> dict[str, Offered]:
        """The tools that there are now, by name. Raises what a toolset raises."""
        toolbox = self._tools.now()
        known, offered = self._latest
        if toolbox is not known:
            offered = {each.name: Offered(each) for each in toolbox}
            self._latest = (toolbox, offered)
        return offered


def agent_tool(agent: Agent, name: str = AGENT_NAME, description: str = "") -> Tool[..., str]:
    """An agent as a tool: read-only when all of its own tools are. Raises ToolDefinitionError for an invalid name."""
    names = ", ".join(each.name for each in agent.tools)
    used = f" with its tools: {names}" if names else ""
    about = description or f"Gives a task to an agent, which answers it{used}."
    return agent.as_tool(name, about, read_only=all(each.options.read_only for each in agent.tools))
