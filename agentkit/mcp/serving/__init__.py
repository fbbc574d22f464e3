"""An agent's tools as an MCP server: what `agentkit.mcp.server` is made of."""
