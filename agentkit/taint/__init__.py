"""Tool calls whose arguments come from outside: from the results of tools, and not from a user (docs/taint.md)."""
