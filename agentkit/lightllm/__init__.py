"""Drop-in clients for LightLLM and OpenAI-compatible servers, with the interface of the openai package."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.lightllm.client import LightLLMClient as LightLLMClient
    from agentkit.lightllm.client import OpenAICompatibleClient as OpenAICompatibleClient
    from agentkit.lightllm.openai_types import ChatCompletionMessage as ChatCompletionMessage
else:
    __getattr__, __dir__ = lazy_exports(__name__)
