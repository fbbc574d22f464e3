"""The openai package's completion types, which can be subscripted as well: `answer["choices"][0]["message"]`.

Tool calls are dicts (`tool_call_types`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Self

from openai.types import Completion as _Completion
from openai.types import completion_choice as text_choice
from openai.types.chat import ChatCompletion as _ChatCompletion
from openai.types.chat import ChatCompletionChunk as _ChatCompletionChunk
from openai.types.chat import ChatCompletionMessage as _Message
from openai.types.chat import chat_completion as completion_types
from openai.types.chat import chat_completion_chunk as chunk_types
from openai.types.chat import chat_completion_token_logprob as token_logprob
from openai.types.completion_usage import CompletionUsage as _Usage

from agentkit.lightllm.tool_call_types import DeltaToolCall, ToolCallObject


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


class ChatCompletionMessage(_Subscriptable, _Message):
    """The message of a reply, or one that you make: `ChatCompletionMessage("It is 9 degrees.")`.

    tool_calls: dicts whose keys are attributes as well. reasoning_content: the model's reasoning, if any.
    invalid_tool_calls: calls that could not be parsed, each `{"text", "error", "name"}`; their text is in `content`.
    """

    role: str = "assistant"  # type: ignore[assignment]
    tool_calls: list[ToolCallObject] | None = None  # type: ignore[assignment]

    def __init__(
        self,
        content: str | None = None,
        role: str = "assistant",
        tool_calls: Iterable[Any] | None = None,
        **more: Any,
    ) -> None:
        calls = None if tool_calls is None else [ToolCallObject.of(call) for call in tool_calls]
        super().__init__(content=content, role=role, tool_calls=calls, **more)  # type: ignore[arg-type]

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Build a message from its JSON, unchecked."""
        made = super().construct(_fields_set, **values)
        if made.tool_calls:
            made.tool_calls = [ToolCallObject.of(call) for call in made.tool_calls]
        return made


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

    message: ChatCompletionMessage
    logprobs: Logprobs | None = None


class ChatCompletion(_Subscriptable, _ChatCompletion):
    """A whole answer."""

    choices: list[Choice]  # type: ignore[assignment]
    usage: UsageObject | None = None


class Delta(_Subscriptable, chunk_types.ChoiceDelta):
    """A delta of a reply; its fields are as in ChatCompletionMessage."""

    tool_calls: list[DeltaToolCall] | None = None  # type: ignore[assignment]

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Build a delta from its JSON, unchecked."""
        made = super().construct(_fields_set, **values)
        if made.tool_calls:
            made.tool_calls = [DeltaToolCall.of(call) for call in made.tool_calls]
        return made


class ChunkChoice(_Subscriptable, chunk_types.Choice):
    """A delta of one of the replies."""

    delta: Delta
    logprobs: ChunkLogprobs | None = None


class ChatCompletionChunk(_Subscriptable, _ChatCompletionChunk):
    """A chunk of a streamed response."""

    choices: list[ChunkChoice]  # type: ignore[assignment]
    usage: UsageObject | None = None


class TextLogprobs(_Subscriptable, text_choice.Logprobs):
    """The log probabilities of the tokens of a text."""


class TextChoice(_Subscriptable, text_choice.CompletionChoice):
    """One of the texts."""

    logprobs: TextLogprobs | None = None


class TextCompletion(_Subscriptable, _Completion):
    """The answer to raw prompts, whole or a chunk of it."""

    choices: list[TextChoice]  # type: ignore[assignment]
    usage: UsageObject | None = None
