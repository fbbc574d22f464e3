"""How LightLLM samples where a program does not say it."""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "temperature": 0.6,
    "top_p": 0.95,
    "top_k": 50,
    "max_tokens": 10000,
    "presence_penalty": 1.1,
    "repetition_penalty": 1.0,
}
"""What is used for an argument that is missing; null leaves it to the server."""
