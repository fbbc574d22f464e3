"""The backends; each loads on first use."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.backends.extractive import ExtractiveBackend as ExtractiveBackend
    from agentkit.backends.gguf import GGUFBackend as GGUFBackend
    from agentkit.backends.lightllm import LightLLMBackend as LightLLMBackend
    from agentkit.backends.openai import OpenAIBackend as OpenAIBackend

_HOME = {
    "ExtractiveBackend": "extractive",
    "GGUFBackend": "gguf",
    "LightLLMBackend": "lightllm",
    "OpenAIBackend": "openai",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agentkit.backends' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"agentkit.backends.{_HOME[name]}"), name)
