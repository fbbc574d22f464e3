"""The openai package's completion types, which can be subscripted as well: `call["function"]["name"]`."""

from collections.abc import Iterator
from typing import Any

from openai.types.chat import ChatCompletion as _ChatCompletion
from openai.types.chat import ChatCompletionChunk as _ChatCompletionChunk
from openai.types.chat import ChatCompletionMessage as _Message
from openai.types.chat import chat_completion as completion_types
from openai.types.chat import chat_completion_chunk as chunk_types
from openai.types.chat import chat_completion_message_function_tool_call as tool_call
from openai.types.chat import chat_completion_token_logprob as token_logprob
from openai.types.completion_usage import CompletionUsage as _Usage


class _Subscriptable:
    """Access to fields by name, as in the JSON."""

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str) or not self._has(name):
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._has(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field, or the default if it does not exist."""
        return getattr(self, name) if self._has(name) else default

    def keys(self) -> Iterator[str]:
        """Return the names of all fields, so that `dict(message)` and `{**message}` work."""
        return iter([*type(self).model_fields, *(self.model_extra or {})])  # type: ignore[attr-defined]

    def _has(self, name: str) -> bool:
        return name in type(self).model_fields or name in (self.model_extra or {})  # type: ignore[attr-defined]


class UsageObject(_Subscriptable, _Usage):
    """Token counts."""


class Function(_Subscriptable, tool_call.Function):
    """The name and the JSON text of the arguments."""


class ToolCallObject(_Subscriptable, tool_call.ChatCompletionMessageFunctionToolCall):
    """A tool call; `index` is its position in the reply."""

    function: Function


class MessageObject(_Subscriptable, _Message):
    """The message of a reply.

    reasoning_content: the model's reasoning, if any. invalid_tool_calls: calls that could not be parsed, each
    `{"text", "error", "name"}`; their text is in `content` too.
    """

    tool_calls: list[ToolCallObject] | None = None  # type: ignore[assignment]


class TokenLogprob(_Subscriptable, token_logprob.ChatCompletionTokenLogprob):
    """The log probability of a token."""


class Logprobs(_Subscriptable, completion_types.ChoiceLogprobs):
    """The log probabilities of the tokens of a reply."""

    content: list[TokenLogprob] | None = None  # type: ignore[assignment]


class ChunkLogprobs(_Subscriptable, chunk_types.ChoiceLogprobs):
    """The log probabilities of the tokens of a chunk."""

    content: list[TokenLogprob] | None = None  # type: ignore[assignment]


class Choice(_Subscriptable, completion_types.Choice):
    """One of the replies."""

    message: MessageObject
    logprobs: Logprobs | None = None


class ChatCompletion(_Subscriptable, _ChatCompletion):
    """A whole answer."""

    choices: list[Choice]  # type: ignore[assignment]
    usage: UsageObject | None = None


class DeltaFunction(_Subscriptable, chunk_types.ChoiceDeltaToolCallFunction):
    """A delta of a call's name and arguments."""


class DeltaToolCall(_Subscriptable, chunk_types.ChoiceDeltaToolCall):
    """A delta of a call."""

    function: DeltaFunction | None = None


class Delta(_Subscriptable, chunk_types.ChoiceDelta):
    """A delta of a reply; `reasoning_content` and `invalid_tool_calls` as in Message."""

    tool_calls: list[DeltaToolCall] | None = None  # type: ignore[assignment]


class ChunkChoice(_Subscriptable, chunk_types.Choice):
    """A delta of one of the replies."""

    delta: Delta
    logprobs: ChunkLogprobs | None = None


class ChatCompletionChunk(_Subscriptable, _ChatCompletionChunk):
    """A chunk of a streamed response."""

    choices: list[ChunkChoice]  # type: ignore[assignment]
    usage: UsageObject | None = None


def completion(answer: dict[str, Any]) -> ChatCompletion:
    """Build a completion from its JSON; fields whose types differ from OpenAI's are kept unchanged."""
    return ChatCompletion.construct(**answer)


def chunk(answer: dict[str, Any]) -> ChatCompletionChunk:
    """Build a chunk from its JSON."""
    return ChatCompletionChunk.construct(**answer)
