"""The events that a run yields.

Every event carries the messages it adds to the transcript; they are in the transcript before the event is yielded.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from agentkit.limits import Limit, Usage
from agentkit.message import Message

Stopped = Literal["answer", "empty", "cancelled", "length", "content_filter", "approval"] | Limit


@dataclass(frozen=True)
class Reply:
    """A complete reply. finish_reason: as the server sent it, "" when it sent none. extra: fields of the reply that
    are not sent back (citations, audio, ...)."""

    message: Message
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    extra: dict[str, Any] = field(default_factory=dict)

    def without_calls(self) -> "Reply":
        """The same reply without its tool calls, for a run that can make no more; its content is set, since servers
        reject an empty message."""
        message = cast(Message, {key: value for key, value in self.message.items() if key != "tool_calls"})
        return replace(self, message={**message, "content": message.get("content") or ""})


@dataclass(frozen=True)
class ToolRecord:
    """One answered tool call.

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
    """The result of a run.

    output: the final answer's text; with `output=`, the value (None when the run stopped before there was one).
    messages: the whole transcript, from which another run can continue. usage: what was spent. stopped: "answer", or
    what ended the run without one ("empty": the model's reply was empty twice). tool_calls: a record of each answered
    call; the answer's sources are in its text. repairs: what was repaired in the messages that were given, one sentence
    each. pending: the calls that wait for a person's approval, when stopped is "approval". unknown_calls: calls that an
    earlier run of the session had started when it was killed: whether they had an effect is not known.
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
    """An event of a run; `adds` are the messages that it added to the transcript."""

    adds: tuple[Message, ...] = field(default=(), kw_only=True)


Steps = Generator[Event, None, None]
"""The events of a run in order; close it to stop."""


@dataclass(frozen=True)
class ReplyStarted(Event):
    """A reply was requested from the model; `turn` counts from 1."""

    turn: int


@dataclass(frozen=True)
class TextDelta(Event):
    """A chunk of the reply's text."""

    text: str


@dataclass(frozen=True)
class ReasoningDelta(Event):
    """A chunk of the model's reasoning before its reply."""

    text: str


@dataclass(frozen=True)
class CallDelta(Event):
    """A chunk of the arguments of a tool call, for a middleware that set `Request.call_deltas`."""

    name: str
    arguments: str


@dataclass(frozen=True)
class OutputDelta(Event):
    """The part of a typed answer (`output=`) received so far, as JSON values, not validated yet."""

    value: Any


@dataclass(frozen=True)
class ReplyDiscarded(Event):
    """Discard the deltas yielded for this reply: its stream broke and it is requested again, or the text yielded so far
    turned out to be reasoning, which is yielded again as such."""


@dataclass(frozen=True)
class ReplyFinished(Event):
    """The model's reply is complete."""

    reply: Reply


@dataclass(frozen=True)
class ToolStarted(Event):
    """A tool call starts. arguments: as the model wrote them, read as JSON; {} when they can't be read. raw_arguments:
    their JSON text. read_only: whether the tool changes nothing."""

    id: str
    name: str = field(kw_only=True)
    arguments: dict[str, Any] = field(kw_only=True)
    raw_arguments: str = field(kw_only=True)
    read_only: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class ToolProgress(Event):
    """A text that a running tool passed to `ctx.progress(text)`."""

    id: str
    text: str = field(kw_only=True)


@dataclass(frozen=True)
class ToolFinished(Event):
    """A tool call has been answered."""

    record: ToolRecord


@dataclass(frozen=True)
class ApprovalNeeded(Event):
    """Calls wait for a person's approval; the run ends here, `agent.resume(..., approve={id: True})` continues it."""

    calls: tuple[OpenCall, ...]


@dataclass(frozen=True)
class LimitReached(Event):
    """A limit is reached: the model is asked one last time, without tools, for its best answer."""

    limit: Limit


@dataclass(frozen=True)
class LoopDetected(Event):
    """The calls repeat without progress; the model is sent the text `what`, once, before the run is ended for it."""

    what: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run has ended; the last event."""

    result: Result
