"""The events of a run, and its result.

Every event names the messages that it adds to the transcript; they are in the transcript before the event is emitted.
"""

import re
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, cast, overload

from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import short_repr
from agentkit.evidence.citation import Citation
from agentkit.evidence.source import Source
from agentkit.limits import Limit, Usage
from agentkit.message import Message, text_of
from agentkit.tooling.questions import Question

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

CutOff = Literal["length", "content_filter"]
"""What ended a reply before the model was done, when the server did not fail: a limit on its length, or a filter."""
Stopped = Literal["answer", "empty", "cancelled", "approval"] | CutOff | Limit


class _Text:
    """`reply.text`: the text of a reply; `Reply.text("...")`: a reply that is this text."""

    @overload
    def __get__(self, reply: None, owner: type["Reply"]) -> "Callable[[str], Reply]": ...
    @overload
    def __get__(self, reply: "Reply", owner: type["Reply"]) -> str: ...
    def __get__(self, reply: "Reply | None", owner: type["Reply"]) -> "Callable[[str], Reply] | str":
        if reply is not None:
            return text_of(reply.message)
        return lambda text: owner({"role": "assistant", "content": text}, "stop")


@dataclass(frozen=True)
class Reply:
    """A complete reply of the model. finish_reason: as the server sent it, "" when it sent none. extra: fields of the
    reply that are not sent back in later requests (citations, audio, ...). then: messages that follow it, to which the
    model is asked to reply: what is wrong with a typed answer. model: the name of the model that wrote it, "" when that
    is not known. others: the part of `usage` that other models took, by name, whose replies were discarded for it.
    response_model, response_id: what the server called the model and the reply, "" when it did not say. text: of the
    message; `Reply.text("...")` makes a reply of a text."""

    message: Message
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    extra: dict[str, Any] = field(default_factory=dict)
    then: tuple[Message, ...] = ()
    model: str = ""
    others: Mapping[str, Usage] = field(default_factory=dict, metadata={"in_json": False})
    response_model: str = field(default="", compare=False, repr=False, metadata={"in_json": False})
    response_id: str = field(default="", compare=False, repr=False, metadata={"in_json": False})
    text: ClassVar[_Text] = _Text()

    def without_calls(self) -> "Reply":
        """The reply without its tool calls, for a run that may make no more; never empty, which servers refuse."""
        message = cast(Message, {key: value for key, value in self.message.items() if key != "tool_calls"})
        return replace(self, message={**message, "content": message.get("content") or ""})


@dataclass(frozen=True)
class ToolRecord:
    """A tool call that was answered.

    arguments: as the model wrote them, read as JSON; {} when they can't be read. raw_arguments: their JSON text.
    response: the text that the model reads. error: the same text when the call failed, else None. seconds: how long the
    tool ran. sources: what it has found or read, with their numbers.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    raw_arguments: str
    response: str
    error: str | None = None
    seconds: float = 0.0
    sources: tuple[Source, ...] = field(default=(), metadata={"in_json": "if any"})


@dataclass(frozen=True)
class OpenCall:
    """A tool call that was not run, or of which it is not known whether it ran. arguments: as the model wrote them,
    read as JSON; {} when they can't be read. raw_arguments: their JSON text. question: what it asks a person; None for
    one that waits for an approval. reason: why this call needs one, as the end of a sentence ("its argument `to` has a
    mail address from ..."); None where every call of its kind does."""

    id: str
    name: str
    arguments: dict[str, Any]
    raw_arguments: str
    question: Question | None = field(default=None, metadata={"in_json": "if any"})
    reason: str | None = field(default=None, metadata={"in_json": "if any"})


class _Messages:
    """The messages of a result; those of a long session are read when they are asked for."""

    def __get__(self, result: Any, owner: type) -> Any:
        if result is None:
            raise AttributeError("messages")  # the field has no default
        messages = result.__dict__["messages"]
        if callable(messages):
            messages = result.__dict__["messages"] = messages()
        return messages

    def __set__(self, result: Any, messages: Any) -> None:
        result.__dict__["messages"] = messages


@dataclass(frozen=True, repr=False)
class Result(Generic[T]):
    """The result of a run.

    output: the final answer's text, or the result of a tool that ended the run; with `output=`, the value (None when
    the run stopped before there was one).
    messages: the whole transcript, from which a later run can continue. stopped: "answer", or what ended the run before
    it had one ("empty": the reply was empty, and again when it was retried; "length" and "content_filter": the last
    reply was cut off there, and what arrived of it is the output). tool_calls: the calls that were answered.
    repairs: what had to be repaired in the messages that were given, a sentence each. pending: the calls that wait for
    a person's approval or answer, when stopped is "approval". unknown_calls: calls that an earlier run of the session
    had started when it was killed: whether they had an effect is not known. replayed: the request was answered by an
    earlier run, whose answer this is; its usage is not counted again. finish_reason: of the last reply, as the server
    sent it, or agentkit.backend.NO_ANSWER of a backend that only looks things up; "" when there was none. models: what
    each model took of `usage`, by its name, in the order of first use; with that of nested agents, without tool calls
    and seconds. first_new: the index in `messages` of the first message of this run. citations: what
    the check of the answer says of its sentences (`Agent(evidence=)`). sources: those that the tools of this run have
    found or read, and those that the answer cites.
    """

    output: T
    if TYPE_CHECKING:
        messages: list[Message]
    else:
        messages: list[Message] = _Messages()
    usage: Usage
    stopped: Stopped
    tool_calls: list[ToolRecord]
    repairs: list[str] = field(default_factory=list)
    pending: list[OpenCall] = field(default_factory=list)
    unknown_calls: list[OpenCall] = field(default_factory=list)
    replayed: bool = False
    finish_reason: str = ""
    models: dict[str, Usage] = field(default_factory=dict)
    first_new: int = field(default=0, metadata={"in_json": False})
    citations: list[Citation] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    @property
    def new_messages(self) -> list[Message]:
        """The messages of this run alone, from its prompt on: what `messages` has behind the history given to it."""
        return self.messages[self.first_new :]

    def __str__(self) -> str:
        return str(self.output)

    def __repr__(self) -> str:
        counts = f"tool_calls={len(self.tool_calls)}, usage={self.usage.input_tokens}+{self.usage.output_tokens} tokens"
        return f"Result({short_repr(self.output)}, stopped={self.stopped!r}, {counts})"

    def _repr_markdown_(self) -> str:
        """The answer as notebooks show it: a text as Markdown, another value as code; and why it is not complete."""
        from pprint import pformat

        shown = self.output if isinstance(self.output, str) else _as_code(pformat(self.output))
        ending = "" if self.stopped == "answer" else f"*(stopped: {self.stopped})*"
        return "\n\n".join(part for part in (shown, ending) if part)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "messages": self.messages}


def _as_code(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}python\n{text}\n{fence}"


@dataclass(frozen=True)
class Event:
    """The base class of events; `adds` are the messages that the event added to the transcript.

    at: when the run emitted it, in seconds since the run's start (monotonic); 0.0 before. Events that differ in nothing
    else are equal.
    """

    adds: tuple[Message, ...] = field(default=(), kw_only=True)
    at: float = field(default=0.0, init=False, compare=False, repr=False)


Steps = Generator[Event, None, None]
"""The events of a run in order; close it to stop the run."""


@dataclass(frozen=True)
class ReplyStarted(Event):
    """A request is sent to the model; `turn` counts from 1."""

    turn: int


@dataclass(frozen=True)
class TextDelta(Event):
    """A chunk of the reply's text."""

    text: str


@dataclass(frozen=True)
class ReasoningDelta(Event):
    """A chunk of the model's reasoning."""

    text: str


@dataclass(frozen=True)
class CallDelta(Event):
    """A chunk of the arguments of a tool call, for a middleware that has requested them."""

    name: str
    arguments: str


@dataclass(frozen=True)
class OutputDelta(Event):
    """What has arrived so far of a typed answer (`output=`), as JSON; not validated yet."""

    value: Any


@dataclass(frozen=True)
class ReplyDiscarded(Event):
    """Discard the deltas of this reply: its stream broke and the request is sent again, to this model or another one,
    or what was emitted as its text turned out to be reasoning, which follows as such. A reader that can't take text
    back has to hold back or to end (`agentkit.running.append_only`).

    reason: why, in plain words of agentkit's own; "" for late reasoning. model: the name of the model whose reply it
    was, "" when that is not known."""

    reason: str = ""
    model: str = ""


@dataclass(frozen=True)
class ReplyFinished(Event):
    """The model's reply is complete."""

    reply: Reply

    @property
    def model(self) -> str:
        """The name of the model that wrote it, "" when that is not known."""
        return self.reply.model


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
    """A running tool reported progress by `ctx.progress(text)`."""

    id: str
    text: str = field(kw_only=True)


@dataclass(frozen=True)
class ToolFinished(Event):
    """A tool call has been answered. ends_run: whether it ends the run."""

    record: ToolRecord
    ends_run: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class ApprovalNeeded(Event):
    """Calls wait for a person's approval, or for the answer to what they ask. The run ends here;
    `agent.resume(..., approve={id: True})` continues it."""

    calls: tuple[OpenCall, ...]


@dataclass(frozen=True)
class LimitReached(Event):
    """A limit is reached: the model is asked one last time, without tools, for its best answer."""

    limit: Limit


@dataclass(frozen=True)
class LoopDetected(Event):
    """The calls repeat without progress; `what` is sent to the model once, before the run is stopped for it."""

    what: str


@dataclass(frozen=True)
class CitationsChecked(Event):
    """The answer was compared with the sources: what is said of each of its sentences, in their order."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True)
class RunFinished(Event):
    """The run has ended; the last event."""

    result: Result[Any]
