"""The openai package's completions, which can be subscripted as well: `call["function"]["name"]`."""

from collections.abc import Iterator
from typing import Any

from openai.types.chat import ChatCompletion as _ChatCompletion
from openai.types.chat import ChatCompletionChunk as _ChatCompletionChunk
from openai.types.chat import ChatCompletionMessage as _Message
from openai.types.chat import chat_completion as whole
from openai.types.chat import chat_completion_chunk as piece
from openai.types.chat import chat_completion_message_function_tool_call as tool_call
from openai.types.chat import chat_completion_token_logprob as token_logprob
from openai.types.completion_usage import CompletionUsage as _Usage


class _Subscriptable:
    """Fields by their names, as in the JSON."""

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str) or not self._has(name):
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._has(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or the default where there is none."""
        return getattr(self, name) if self._has(name) else default

    def keys(self) -> Iterator[str]:
        """The names of all fields, so that `dict(message)` and `{**message}` work."""
        return iter([*type(self).model_fields, *(self.model_extra or {})])  # type: ignore[attr-defined]

    def _has(self, name: str) -> bool:
        return name in type(self).model_fields or name in (self.model_extra or {})  # type: ignore[attr-defined]


class UsageObject(_Subscriptable, _Usage):
    """Tokens."""


class Function(_Subscriptable, tool_call.Function):
    """The name and the JSON text of the arguments."""


class ToolCallObject(_Subscriptable, tool_call.ChatCompletionMessageFunctionToolCall):
    """A call; `index` is its place in the reply."""

    function: Function


class MessageObject(_Subscriptable, _Message):
    """A reply.

    reasoning_content: what the model thought before, if it thinks. invalid_tool_calls: calls that could not be read,
    each `{"text", "error", "name"}`; their text is in `content` too.
    """

    tool_calls: list[ToolCallObject] | None = None  # type: ignore[assignment]


class TokenLogprob(_Subscriptable, token_logprob.ChatCompletionTokenLogprob):
    """How likely a token was."""


class Logprobs(_Subscriptable, whole.ChoiceLogprobs):
    """How likely the tokens of a reply were."""

    content: list[TokenLogprob] | None = None  # type: ignore[assignment]


class ChunkLogprobs(_Subscriptable, piece.ChoiceLogprobs):
    """The same for a piece of a reply."""

    content: list[TokenLogprob] | None = None  # type: ignore[assignment]


class Choice(_Subscriptable, whole.Choice):
    """One of the replies."""

    message: MessageObject
    logprobs: Logprobs | None = None


class ChatCompletion(_Subscriptable, _ChatCompletion):
    """A whole answer."""

    choices: list[Choice]  # type: ignore[assignment]
    usage: UsageObject | None = None


class DeltaFunction(_Subscriptable, piece.ChoiceDeltaToolCallFunction):
    """A piece of a call's name and arguments."""


class DeltaToolCall(_Subscriptable, piece.ChoiceDeltaToolCall):
    """A piece of a call."""

    function: DeltaFunction | None = None


class Delta(_Subscriptable, piece.ChoiceDelta):
    """A piece of a reply; `reasoning_content` and `invalid_tool_calls` as in Message."""

    tool_calls: list[DeltaToolCall] | None = None  # type: ignore[assignment]


class ChunkChoice(_Subscriptable, piece.Choice):
    """A piece of one of the replies."""

    delta: Delta
    logprobs: ChunkLogprobs | None = None


class ChatCompletionChunk(_Subscriptable, _ChatCompletionChunk):
    """A piece of an answer."""

    choices: list[ChunkChoice]  # type: ignore[assignment]
    usage: UsageObject | None = None


def completion(answer: dict[str, Any]) -> ChatCompletion:
    """A whole answer from its JSON; fields of other types than OpenAI's are kept as they are."""
    return ChatCompletion.construct(**answer)


def chunk(answer: dict[str, Any]) -> ChatCompletionChunk:
    """A piece of an answer from its JSON."""
    return ChatCompletionChunk.construct(**answer)
