"""The chat service: an agent served over HTTP."""
