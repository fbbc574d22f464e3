"""The resources of a server: a tool that reads them, for the model, made where there are any."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.mcp.connection import Connection
from agentkit.mcp.content import resource_value, words_of
from agentkit.mcp.errors import MCPError
from agentkit.mcp.server_tool import CONTEXT, ServerTool, unused
from agentkit.tools import Context

NAME = "read_resource"
MAX_NAMED = 30
"""How many resources the description of the tool names."""
MAX_LINE = 200

_PARAMETERS = {
    "type": "object",
    "properties": {"uri": {"type": "string", "description": "The URI of the resource."}},
    "required": ["uri"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class ResourceCall:
    """Reads a resource of a server."""

    server: Connection

    def __call__(self, /, uri: str, **more: Any) -> Any:
        """What stands in the resource: a text, or a list of texts and images. Raises Gone, Slow and MCPError."""
        context: Context | None = more.get(CONTEXT)
        return read_resource(self.server, uri, context)


def read_resource(server: Connection, uri: str, context: Context | None = None) -> Any:
    """The contents of a resource: a text, or a list of texts and images. Raises Gone, Slow and MCPError."""
    result = server.client.request("resources/read", {"uri": uri}, server.patience(context))
    return resource_value(result, uri)


def resources_of(server: Connection, key: str = "resources", end: float | None = None) -> list[dict[str, Any]]:
    """The resources of a server as it describes them; key "resourceTemplates": the templates of their addresses. end:
    the `time.monotonic()` at which no more is waited for. Raises Gone, Slow and MCPError."""
    if server.client.server(server.patience(end=end)).capabilities.get("resources") is None:  # {} is said, too
        return []
    method = {"resources": "resources/list", "resourceTemplates": "resources/templates/list"}[key]
    return server.client.list_all(method, key, server.patience(end=end)).items


def resource_tool(server: Connection, taken: Collection[str], end: float) -> Iterator[ServerTool]:
    """Yield the tool that reads resources, where there are any. taken: names that it can't have. end: see
    `resources_of`. Raises Gone, Slow."""
    try:
        known = [*resources_of(server, end=end), *resources_of(server, "resourceTemplates", end)]
    except MCPError:
        return
    if known:
        label = server.settings.label
        name = NAME if NAME not in taken else unused(f"{NAME}_of_{label}", taken, label)
        yield ServerTool(
            name, _description(label, known), _PARAMETERS, ResourceCall(server), context=CONTEXT, read_only=True
        )


def _description(label: str, known: list[dict[str, Any]]) -> str:
    lines = [_line(each) for each in known[:MAX_NAMED]]
    if len(known) > MAX_NAMED:
        lines.append(f"- and {len(known) - MAX_NAMED:,} more")
    return "\n".join([f"Reads a resource of {label}, also one that a result of its tools links to.", *lines])


def _line(resource: Mapping[str, Any]) -> str:
    uri = words_of(resource.get("uri") or resource.get("uriTemplate"))
    about = words_of(resource.get("description") or resource.get("title") or resource.get("name"))
    return in_a_line(f"- {uri}: {about}" if about else f"- {uri}", MAX_LINE)
