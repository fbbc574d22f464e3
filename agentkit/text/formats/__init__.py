"""Tool-call text formats, one file each with a FORMAT, which model families share (see agentkit.text.families)."""
