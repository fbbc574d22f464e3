"""Weather for agentkit: a tool, a hook and a command."""
