"""A tool that calls an MCP server, in a module that a subprocess can import."""

from agentkit import tool
from tests.mcp.servers import bad, process_of

SERVER = bad()


@tool(isolate=True, read_only=True)
def server_process() -> int:
    """Returns the process id of the server."""
    return process_of(SERVER)
