"""Support for tool calls: schemas from signatures, arguments from JSON, and subprocesses to run tools in."""
