"""OAuth for MCP servers over HTTP: `OAuth`, which goes into `auth=`."""

from agentkit.mcp.oauth.auth import OAuth

__all__ = ["OAuth"]
