"""Renders a conversation as text for a model, and parses the text of its reply."""
