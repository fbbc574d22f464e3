"""The tool of a request that has none, for servers that refuse the messages of tools in a request without tools."""

import functools

from agentkit._lazy.records import replace
from agentkit.backend import Request
from agentkit.toolbox import Toolbox
from agentkit.tools import Tool


def without_tools(request: Request) -> Request:
    """The request with a tool that says that there is none."""
    return replace(request, tools=_no_tool())


def _nothing() -> str:
    return "there are no tools here."


@functools.cache
def _no_tool() -> Toolbox:
    said = "Does nothing: there are no tools at the moment. Answer in words."
    tool: Tool[..., str] = Tool("no_tool", said, {"type": "object", "properties": {}}, _nothing, read_only=True)
    return Toolbox([tool])
