"""Anthropic's Messages API, for Claude Code and Anthropic's SDKs."""
