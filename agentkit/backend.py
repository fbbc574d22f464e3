"""The protocol of a backend: a request goes in, the deltas of a reply and then the whole reply come out."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agentkit.event import CallDelta, OutputDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

Begin = Callable[[str, str, Sequence[str]], None]
"""Called with the name of a tool call, its arguments (JSON text), and the names of the calls before it."""


@dataclass(frozen=True)
class Request:
    """A request to a model.

    stream: whether deltas are read as they arrive. begin: called in a streamed reply for each tool call as soon as its
    arguments are complete, with the names of the calls before it; a backend may leave it out. call_deltas: whether a
    streamed reply yields CallDelta too. response_format: as in OpenAI's chat completions, the schema that the reply's
    text has to match, for a backend whose capabilities accept it. conversation: the whole conversation,
    where the transcript is only the part that fits into the model's context. sampling: fields such as temperature,
    max_tokens and tool_choice, which override the backend's own; None omits a field, or takes the server's default.
    """

    transcript: Transcript
    tools: Toolbox = field(default_factory=Toolbox)
    stream: bool = False
    begin: Begin | None = None
    call_deltas: bool = False
    response_format: Mapping[str, Any] | None = None
    conversation: Transcript | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> Transcript:
        """The whole conversation."""
        return self.transcript if self.conversation is None else self.conversation


ReplyStream = Generator[TextDelta | ReasoningDelta | CallDelta | OutputDelta | ReplyDiscarded | Reply, None, None]
"""The deltas of a reply as they arrive, and last the Reply."""


@dataclass(frozen=True)
class Capabilities:
    """What is known of a backend at a moment; a server's refusals and answers change it.

    model, base_url: as for prices; "" and None where there are none. schema: whether `response_format` constrains a
    reply to a JSON schema: not at all, only in requests without tools ("text"), or always. tells_schema: whether the
    server shows the schema to the model, instead of only constraining its output. images: whether images are accepted;
    None when that is not known. context_length: maximum tokens of prompt and reply together; None when not known.
    tool_choice: what a request asks for that has none in its sampling, as in OpenAI's chat completions.
    """

    model: str = ""
    base_url: str | None = None
    schema: Literal["no", "text", "always"] = "no"
    tells_schema: bool = False
    images: bool | None = None
    context_length: int | None = None
    tool_choice: Any = None

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


_BROKEN_OFF = frozenset(
    (
        *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
        *("content_filter", "safety", "recitation", "sensitive", "blocklist", "prohibited_content", "refusal"),
        *("error", "abort", "network_error", "timeout", "cancelled", "insufficient_system_resource"),
    )
)


def is_broken_off(finish_reason: str) -> bool:
    """Whether a finish reason, in the terms of any known server, says that the reply was cut off before its end."""
    return finish_reason.lower() in _BROKEN_OFF
