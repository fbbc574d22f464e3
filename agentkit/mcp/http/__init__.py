"""MCP over HTTP: `Http`, the channel of streamable HTTP in all its revisions, and of HTTP with SSE before it."""

from agentkit.mcp.http.channel import Http

__all__ = ["Http"]
