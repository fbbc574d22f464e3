"""Recognizes the chunks of a stream that have a piece of text and nothing else: nearly all are such."""

from collections.abc import Mapping
from typing import Any

_OF_A_CHUNK = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "provider")
)
_OF_A_CHOICE = frozenset(("index", "delta", "finish_reason", "logprobs"))
_OF_A_DELTA = frozenset(("content", "role"))


def plain_text(chunk: Mapping[str, Any], choice: object) -> str:
    """The text of a chunk of a choice; "" for a chunk that has more than a text, or none. choice: its number."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or not chunk.keys() <= _OF_A_CHUNK or chunk.get("usage"):
        return ""
    found = choices[0]
    if type(found) is not dict or not found.keys() <= _OF_A_CHOICE or found.get("index") != choice:
        return ""
    delta = found.get("delta")
    if type(delta) is not dict or found.get("finish_reason") or found.get("logprobs"):
        return ""
    text = delta.get("content")
    return text if type(text) is str and delta.keys() <= _OF_A_DELTA else ""
