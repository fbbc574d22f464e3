"""The Model Context Protocol: the tools of its servers for an agent, and an agent's tools as a server."""
