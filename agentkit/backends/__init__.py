"""The backends; each is imported on first use."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.backends.extractive import ExtractiveBackend as ExtractiveBackend
    from agentkit.backends.gguf import GGUFBackend as GGUFBackend
    from agentkit.backends.lightllm import LightLLMBackend as LightLLMBackend
    from agentkit.backends.openai import OpenAIBackend as OpenAIBackend
    from agentkit.backends.responses import ResponsesBackend as ResponsesBackend
else:
    __getattr__, __dir__ = lazy_exports(__name__)
