"""What a run tells while it goes on.

Every event names the messages it adds to the transcript; they are in the transcript before the event is told.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from agentkit.limits import Limit, Usage
from agentkit.message import Message

Stopped = Literal["answer", "empty", "cancelled", "length", "content_filter", "approval"] | Limit


@dataclass(frozen=True)
class Reply:
    """A whole reply. finish_reason: as the server gave it, "" when it gave none. extra: fields of the reply that
    are not sent back (citations, audio, ...)."""

    message: Message
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    extra: dict[str, Any] = field(default_factory=dict)

    def without_calls(self) -> "Reply":
        """The same reply for a run that can take no more calls; never an empty message, which servers refuse."""
        message = cast(Message, {key: value for key, value in self.message.items() if key != "tool_calls"})
        return replace(self, message={**message, "content": message.get("content") or ""})


@dataclass(frozen=True)
class ToolRecord:
    """One tool call, answered.

    arguments: as the model wrote them, read as JSON; {} when they can't be read. raw_arguments: their JSON text.
    response: the text the model reads. error: the same text when the call failed, else None. seconds: how long the tool
    ran.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    raw_arguments: str
    response: str
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class OpenCall:
    """A tool call that was not run, or of which it is not known whether it ran. arguments: as the model wrote them,
    read as JSON; {} when they can't be read. raw_arguments: their JSON text."""

    id: str
    name: str
    arguments: dict[str, Any]
    raw_arguments: str


@dataclass(frozen=True)
class Result:
    """What a run came to.

    output: the final answer's text; with `output=`, the value (None when the run stopped before there was one).
    messages: the whole transcript, to go on from. stopped: "answer", or what
    ended the run before it had one ("empty": the model said nothing, twice). sources are in the answer's text;
    tool_calls tells what was looked at. repairs: what had to be put right in the messages that were given, a
    sentence each. pending: the calls that wait for a person's approval, when stopped is "approval". unknown_calls:
    calls that an earlier run of the session had started when it was killed: whether they had an effect is not known.
    """

    output: Any
    messages: list[Message]
    usage: Usage
    stopped: Stopped
    tool_calls: list[ToolRecord]
    repairs: list[str] = field(default_factory=list)
    pending: list[OpenCall] = field(default_factory=list)
    unknown_calls: list[OpenCall] = field(default_factory=list)

    def __str__(self) -> str:
        return str(self.output)


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; `adds` are the messages it put into the transcript."""

    adds: tuple[Message, ...] = field(default=(), kw_only=True)


Steps = Generator[Event, None, None]
"""What happens, one event after another; close it to stop."""


@dataclass(frozen=True)
class ReplyStarted(Event):
    """The model is asked; `turn` counts from 1."""

    turn: int


@dataclass(frozen=True)
class TextDelta(Event):
    """A piece of the reply's text."""

    text: str


@dataclass(frozen=True)
class ReasoningDelta(Event):
    """A piece of what the model thinks before it replies."""

    text: str


@dataclass(frozen=True)
class CallDelta(Event):
    """A piece of the arguments of a tool call, for the wrapper of a backend that has asked for them."""

    name: str
    arguments: str


@dataclass(frozen=True)
class OutputDelta(Event):
    """What has come so far of an answer of a type (`output=`), as JSON has it: not checked yet."""

    value: Any


@dataclass(frozen=True)
class ReplyDiscarded(Event):
    """Forget the pieces that were told of this reply: its stream broke and it is asked for again, or what was told as
    its text turns out to be reasoning, which comes next as such."""


@dataclass(frozen=True)
class ReplyFinished(Event):
    """The model's reply is whole."""

    reply: Reply


@dataclass(frozen=True)
class ToolStarted(Event):
    """A tool call begins. arguments: as the model wrote them, read as JSON; {} when they can't be read. raw_arguments:
    their JSON text. read_only: whether the tool changes nothing."""

    id: str
    name: str = field(kw_only=True)
    arguments: dict[str, Any] = field(kw_only=True)
    raw_arguments: str = field(kw_only=True)
    read_only: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class ToolProgress(Event):
    """What a running tool told by `ctx.progress(text)`."""

    id: str
    text: str = field(kw_only=True)


@dataclass(frozen=True)
class ToolFinished(Event):
    """A tool call is answered."""

    record: ToolRecord


@dataclass(frozen=True)
class ApprovalNeeded(Event):
    """Calls wait for a person's approval; the run ends here, and goes on by `agent.resume(..., approve={id: True})`."""

    calls: tuple[OpenCall, ...]


@dataclass(frozen=True)
class LimitReached(Event):
    """A limit is reached: the model is asked once more, without tools, for its best answer."""

    limit: Limit


@dataclass(frozen=True)
class LoopDetected(Event):
    """The calls come to nothing new; the model is told `what`, once, before the run is ended for it."""

    what: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run is over; the last event."""

    result: Result
