"""The promise of a backend: messages and tools in, the pieces of a reply and then the whole reply out.

Also the one accumulator that makes a reply of what chat completions servers send, in pieces or at once, and the
finding of a backend by a name such as "openai:gpt-5-mini".
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentkit.event import CallDelta, OutputDelta, ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

Begin = Callable[[str, str, Sequence[str]], None]
"""Takes the name of a tool call, its arguments (JSON text), and the names of the calls before it."""


@dataclass(frozen=True)
class Request:
    """What a backend is asked.

    stream: whether somebody reads the pieces as they come. begin: in a streamed reply, told of each tool call as soon
    as its arguments are closed, with the names of the calls before it; nothing is lost where it is not told.
    call_deltas: whether the pieces of a streamed reply shall have CallDelta. response_format: of OpenAI's chat
    completions, the schema that the reply's text has to fit, for a backend whose `takes_schema(has_tools)` is true.
    conversation: all that was said, where the transcript is only the part of it that fits into the model's context.
    """

    transcript: Transcript
    tools: Toolbox = field(default_factory=Toolbox)
    stream: bool = False
    begin: Begin | None = None
    call_deltas: bool = False
    response_format: Mapping[str, Any] | None = None
    conversation: Transcript | None = None

    @property
    def said(self) -> Transcript:
        """All that was said in the conversation."""
        return self.transcript if self.conversation is None else self.conversation


Pieces = Generator[TextDelta | ReasoningDelta | CallDelta | OutputDelta | ReplyDiscarded | Reply, None, None]
"""The pieces of a reply as they come, and last the Reply."""


class Backend(Protocol):
    """What an agent needs of a model: shared by threads, so it keeps no state of a conversation."""

    def reply(self, request: Request) -> Pieces:
        """Yield the pieces of the reply as they come (none when it comes whole), then exactly one Reply.

        Raises the openai package's APIError and its children when the server can't be asked or refuses.
        """
        ...

    def close(self) -> None:
        """Give back connections, memory and processes; it can't be asked afterwards."""
        ...


_BROKEN_OFF = frozenset(
    (
        *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
        *("content_filter", "safety", "recitation", "sensitive", "blocklist", "prohibited_content", "refusal"),
        *("error", "abort", "network_error", "timeout", "cancelled", "insufficient_system_resource"),
    )
)


def is_broken_off(finish_reason: str) -> bool:
    """Whether a reply did not come to its own end, in the words of many servers: what it ends with is not whole."""
    return finish_reason.lower() in _BROKEN_OFF
