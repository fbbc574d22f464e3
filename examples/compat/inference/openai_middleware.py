"""The drop-in clients under the names of `inference/openai_middleware.py`: they are agentkit's, see LIGHTLLM_USAGE.md.

    from inference.openai_middleware import LightLLMClient as OpenAI

The errors are the openai package's own: `APITimeoutError` is a subclass of `APIConnectionError`, so catch it first.
"""

from typing import Any

from openai import APIConnectionError, APIError, APITimeoutError
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall as ToolCall,
)
from openai.types.chat.chat_completion_message_function_tool_call import Function as ToolCallFunction

from agentkit import ChatCompletionMessage, LightLLMClient, OpenAICompatibleClient
from agentkit.lightllm.openai_types import ChatCompletion
from agentkit.lightllm.openai_types import Choice as ChatCompletionChoice

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "Chat",
    "ChatCompletion",
    "ChatCompletionChoice",
    "ChatCompletionMessage",
    "ChatCompletions",
    "LightLLMClient",
    "OpenAICompatibleClient",
    "ToolCall",
    "ToolCallFunction",
    "lightllm_Chat",
    "lightllm_ChatCompletions",
]


class ChatCompletions:
    """`client.chat.completions` of an `OpenAICompatibleClient`, on its own."""

    client: type[LightLLMClient] | type[OpenAICompatibleClient] = OpenAICompatibleClient

    def __init__(self, api_key: str | None, base_url: str, timeout: float = 600.0) -> None:
        self.api_key, self.base_url, self.timeout = api_key, base_url, timeout
        self._create = self.client(api_key, base_url, timeout).chat.completions.create

    def create(self, model: str, messages: list[Any], **options: Any) -> Any:
        """Return a ChatCompletion, or with stream=True an iterator of its chunks. options: as the client takes them.

        Raises the openai package's errors.
        """
        return self._create(model=model, messages=messages, **options)


class lightllm_ChatCompletions(ChatCompletions):
    """`client.chat.completions` of a `LightLLMClient`, on its own."""

    client = LightLLMClient


class Chat:
    """`client.chat` of an `OpenAICompatibleClient`, on its own."""

    def __init__(self, api_key: str | None, base_url: str, timeout: float = 600.0) -> None:
        self.completions = ChatCompletions(api_key, base_url, timeout)


class lightllm_Chat:
    """`client.chat` of a `LightLLMClient`, on its own."""

    def __init__(self, api_key: str | None, base_url: str, timeout: float = 600.0) -> None:
        self.completions = lightllm_ChatCompletions(api_key, base_url, timeout)
