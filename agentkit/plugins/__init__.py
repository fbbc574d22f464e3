"""Plug-ins: what installed packages add to agentkit by entry points (docs/plugins.md)."""
