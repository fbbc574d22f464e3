"""OAuth for MCP servers over HTTP: `OAuth`, which goes into `auth=`."""

from agentkit.mcp.oauth.auth import OAuth, stored_login

__all__ = ["OAuth", "stored_login"]
