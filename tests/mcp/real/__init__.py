"""Tests with the programs of others: the official conformance suite, SDK and Inspector (make test-mcp)."""
