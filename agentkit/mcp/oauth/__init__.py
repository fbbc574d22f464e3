"""OAuth for MCP servers over HTTP: `OAuth` and `ClientCredentials`, one of which goes into `auth=`."""

from agentkit.mcp.oauth.auth import OAuth, stored_login
from agentkit.mcp.oauth.service import ClientCredentials

__all__ = ["ClientCredentials", "OAuth", "stored_login"]
