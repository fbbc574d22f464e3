"""The protocol of a backend: a request goes in, the deltas of a reply and then the whole reply come out."""

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Any, Literal, Protocol

from agentkit._lazy.records import dataclass, field
from agentkit.event import CallDelta, OutputDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.limits import is_remark_of_the_run
from agentkit.message import INVALID_ANSWER, Message, is_shown_by_a_tool, text_of
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

Begin = Callable[[str, str, Sequence[str]], str | None]
"""Called with the name of a tool call, its arguments (JSON text), and the names of the calls before it. Returns the
name of the tool that the call means, where that is another one: it stands for the call in what comes after it."""


@dataclass(frozen=True)
class Request:
    """A request to a model.

    stream: whether deltas are yielded as they arrive. is_shown: whether somebody reads them, who may not be able to
    take them back; else they are requested for `begin` alone. begin: called in a streamed reply for each tool call as
    soon as its arguments are complete, with the names of the calls before it; a backend may leave it out. call_deltas:
    whether a streamed reply yields CallDelta too. response_format: as in OpenAI's chat completions, the schema that the
    reply's text has to match, for a backend whose capabilities accept it. conversation: the whole conversation,
    where the transcript is only the part that fits into the model's context. sampling: fields such as temperature,
    max_tokens and tool_choice, which override the backend's own; None omits a field, or takes the server's default.
    may_cut: whether a history that is too long is cut; else that raises, since another model may have more room.
    """

    transcript: Transcript
    tools: Toolbox = field(default_factory=Toolbox)
    stream: bool = False
    is_shown: bool = True
    begin: Begin | None = None
    call_deltas: bool = False
    response_format: Mapping[str, Any] | None = None
    conversation: Transcript | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    may_cut: bool = True

    @property
    def said(self) -> Transcript:
        """The whole conversation."""
        return self.transcript if self.conversation is None else self.conversation


def schema_in_words(schema: Any) -> str:
    """A JSON schema as an instruction to the model."""
    return f"Answer with JSON only, conforming to this schema: {json.dumps(schema, ensure_ascii=False)}"


def told_schema(response_format: Mapping[str, Any]) -> str:
    """The same for that of a `response_format`; "" where it has none."""
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    return "" if schema is None else schema_in_words(schema)


def is_from_the_run(message: Message) -> bool:
    """Whether a user message was added by a run: images of a tool, or a remark on the model's replies."""
    if is_shown_by_a_tool(message):
        return True
    text = text_of(message)
    return text.startswith(INVALID_ANSWER) or is_remark_of_the_run(text)


def newest_question(messages: Sequence[Message]) -> int | None:
    """The index of the last message of the user, None when there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user" and not is_from_the_run(messages[index]):
            return index
    return None


def with_text(message: Message, text: str) -> Message:
    """A message with a text behind its own; as it is when it has that already."""
    if text in text_of(message):
        return message
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [*content, {"type": "text", "text": text}]}
    return {**message, "content": f"{content or ''}\n\n{text}"}


ReplyStream = Generator[TextDelta | ReasoningDelta | CallDelta | OutputDelta | ReplyDiscarded | Reply, None, None]
"""The deltas of a reply as they arrive, and last the Reply."""


@dataclass(frozen=True)
class Capabilities:
    """What is known of a backend at a moment; a server's refusals and answers change it.

    model, base_url: as for prices; "" and None where there are none. schema: whether `response_format` constrains a
    reply to a JSON schema: not at all, only in requests without tools ("text"), or always. tells_schema: whether the
    server shows the schema to the model, instead of only constraining its output. images: whether images are accepted;
    None when that is not known. context_length: maximum tokens of prompt and reply together; None when not known.
    tools: whether tools reach the model, as the server says of its chat template or a reply has shown; None when that
    is not known.
    tool_choice: what a request asks for that has none in its sampling, as in OpenAI's chat completions. samples:
    whether the fields of a request's sampling mean anything; False where no model writes the reply. sampling: the names
    of those that it takes, for a backend that raises ConfigurationError for others; None: any.
    """

    model: str = ""
    base_url: str | None = None
    schema: Literal["no", "text", "always"] = "no"
    tells_schema: bool = False
    images: bool | None = None
    context_length: int | None = None
    tools: bool | None = None
    tool_choice: Any = None
    samples: bool = True
    sampling: Collection[str] | None = None

    def takes_schema(self, has_tools: bool) -> bool:
        """Whether a request may have a schema as its response_format. has_tools: whether it has tools too."""
        return self.schema == "always" or (self.schema == "text" and not has_tools)


class Backend(Protocol):
    """What an agent needs of a model. Shared by threads, so it keeps no state of a conversation."""

    def reply(self, request: Request) -> ReplyStream:
        """Yield the deltas of the reply as they arrive (none when it is not streamed), then exactly one Reply.

        Raises the openai package's APIError and its subclasses when the server can't be reached or refuses.
        """
        ...

    def capabilities(self, ask: bool = False) -> Capabilities:
        """What is known of the model and its server. ask: whether the server may be queried for what is not known yet,
        which costs a request.

        Raises the openai package's APIConnectionError when the server can't be queried.
        """
        ...

    def close(self) -> None:
        """Release connections, memory and processes; the backend can't be used afterwards."""
        ...


class MadeByName:
    """A backend that is pickled as the name that it was made from (`agentkit.providers.resolve`), and made again from
    it where it is loaded, with the keys of that environment; one that was made otherwise is not pickled."""

    _made_from: tuple[Callable[[Any], Any], str] | None = None

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if self._made_from is None:
            from pickle import PicklingError

            raise PicklingError("it was made by hand, with connections and keys of this process")
        make, name = self._made_from
        from agentkit.net.kept_keys import keyless_address

        return make, (keyless_address(name),)

    def __copy__(self) -> "MadeByName":
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied


NO_ANSWER = "nothing_found"
"""The finish reason of a reply that is no answer since no source has one, of a backend that only looks things up."""

Ending = Literal["stop", "length", "content_filter", "error"]
"""How a reply ended. stop: the model was done, with text or with tool calls. length: a limit on its length cut it off.
content_filter: a filter held it back, or the model refused. error: the server failed in the middle of it."""

_ENDINGS: Mapping[Ending, tuple[str, ...]] = {
    "stop": (
        *("stop", "stop_sequence", "stop_token", "eos", "eos_token", "end", "end_turn", "end_of_text", "complete"),
        *("completed", "done", "finish", "finished", "normal", "success", "tool_call", "tool_calls", "tool_use"),
        *("function_call", "max_tool_calls"),
    ),
    "length": (
        *("length", "max_length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens"),
        *("token_limit", "model_length", "context", "context_length", "model_context_window_exceeded", "error_limit"),
        *("time_limit", "truncated", "incomplete", "pause_turn", "repetition"),
    ),
    "content_filter": (
        *("content_filter", "content_filtered", "safety", "recitation", "sensitive", "blocklist", "blocked", "spii"),
        *("prohibited_content", "refusal", "guardrail_intervened", "moderation", "error_toxic", "model_armor"),
    ),
    "error": (
        *("error", "abort", "aborted", "network_error", "timeout", "cancel", "cancelled", "canceled", "interrupted"),
        *("insufficient_system_resource", "overloaded", "unavailable", "failed", "other", "image_other", "language"),
        *("malformed_function_call", "malformed_response", "malformed_model_output", "malformed_tool_use"),
        *("unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature", "no_image"),
    ),
}
_PARTS_OF_WORDS: tuple[tuple[Ending, tuple[str, ...]], ...] = (
    ("error", ("error", "abort", "cancel", "timeout", "timedout", "fail", "interrupt", "overload", "ratelimit")),
    ("error", ("malformed", "unavailable", "disconnect", "exception", "insufficient")),
    ("content_filter", ("filter", "safety", "blocked", "blocklist", "guardrail", "refus", "prohibited", "moderation")),
    ("content_filter", ("sensitive", "recitation")),
    ("length", ("length", "maxtoken", "maxoutput", "tokenlimit", "limitreached", "contextwindow", "truncat")),
)
"""What tells how a reply ended in a word that no known server uses, the worst first."""
_NO_END = frozenset(("", "null", "none", "undefined", "unspecified", "unknown", "notfinished"))


def _letters_of(finish_reason: str) -> str:
    """A finish reason as it is compared: `MAX_TOKENS`, `max-tokens` and `FinishReason.MAX_TOKENS` are one."""
    return "".join(filter(str.isalnum, finish_reason[:200].lower())).removeprefix("finishreason")


_BY_WORD: Mapping[str, Ending] = {
    form: ending for ending, words in _ENDINGS.items() for word in words for form in (word, _letters_of(word))
}


def ending_of(finish_reason: str) -> Ending | None:
    """What a finish reason, in the terms of any server, says of the end of a reply; None when it says nothing. A word
    that is not known is "stop", unless a part of it says otherwise (`engine_error`, `output_length_exceeded`)."""
    letters = finish_reason if finish_reason in _BY_WORD else _letters_of(finish_reason)
    if letters in _NO_END:
        return None
    if letters in _BY_WORD:
        return _BY_WORD[letters]
    return next((ending for ending, parts in _PARTS_OF_WORDS if any(part in letters for part in parts)), "stop")


def is_broken_off(finish_reason: str) -> bool:
    """Whether a finish reason says that the reply ended before the model was done."""
    return ending_of(finish_reason) not in ("stop", None)


def is_empty(reply: Reply) -> bool:
    """Whether a reply has no content, and no reason for it (a length limit, a content filter)."""
    message = reply.message
    content = text_of(message).strip() or message.get("tool_calls") or message.get("refusal")
    has_other = isinstance(message.get("content"), list) and bool(message.get("content"))
    return not content and not has_other and not is_broken_off(reply.finish_reason)
