"""A user message, its answer, and the state of a request as recorded in the session log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit import Result
from agentkit.event import Stopped
from agentkit.limits import Usage
from agentkit.message import Message, Prompt, text_of
from agentkit.serving.tool_loading import AnyTool
from agentkit.session import Entry


@dataclass(frozen=True)
class UserInput:
    """One user message. text: the message; None continues from the existing messages. session: id of its session in the
    store; None: the conversation is `messages`, and nothing is stored. system_prompt: instructions of the agent; None:
    no instructions are added. sampling: sampling fields of the model request. tools: tools of the agent. request_id: id
    of the message in the session log (idempotency key), or "". is_retry: whether a further message with the same
    request_id is a retry of the same request."""

    text: Prompt | None
    session: str | None = None
    messages: Sequence[Mapping[str, Any]] = ()
    system_prompt: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[AnyTool, ...] = ()
    request_id: str = ""
    is_retry: bool = True


@dataclass(frozen=True)
class Answer:
    """The answer to one message. text: without surrounding whitespace; "" when the model returned no text. was_cut:
    whether part of the history was omitted. result: result of the run; None for an answer that an earlier run stored in
    the session."""

    text: str
    was_cut: bool = False
    result: Result | None = None

    @property
    def usage(self) -> Usage:
        """Resource usage of the run; nothing for a stored answer."""
        return self.result.usage if self.result is not None else Usage()

    @property
    def stopped(self) -> Stopped:
        """Why the run ended; "answer" for a stored answer."""
        return self.result.stopped if self.result is not None else "answer"


@dataclass
class RequestState:
    """State of one request, read from the session log. is_begun: the request was recorded. is_answered: the client has
    received the answer. is_asked: the user message is in the log. is_cut: part of the history was omitted. has_answer:
    the final reply is in the log. replies: the model's replies. start: index of the request's first log entry."""

    is_begun: bool = False
    is_answered: bool = False
    is_asked: bool = False
    is_cut: bool = False
    has_answer: bool = False
    replies: list[Message] = field(default_factory=list)
    start: int = 0

    @classmethod
    def of(cls, user_input: UserInput, entries: Sequence[Entry]) -> "RequestState":
        """Return the state of the request for a message."""
        begins = [index for index, entry in enumerate(entries) if _is_request_note(entry, "begun")]
        own = [index for index in begins if entries[index].value.get("id") == user_input.request_id]
        if not (user_input.request_id and own and user_input.is_retry):
            return cls(start=len(entries))
        start = own[-1]
        end = next((index for index in begins if index > start), len(entries))
        answered = (each for each in entries[start:] if _is_request_note(each, "answered"))
        is_answered = any(each.value.get("id") == user_input.request_id for each in answered)
        return replace(cls.read(entries[start:end]), is_answered=is_answered, start=start)

    @classmethod
    def read(cls, entries: Sequence[Entry]) -> "RequestState":
        """Return the state described by the log entries of one request."""
        found = cls(is_begun=True)
        for entry in entries:
            if entry.kind == "view":
                found.is_cut = True
            elif entry.kind == "undo":
                found = cls(is_begun=True)
            elif entry.kind == "message":
                found._add(entry.value)
        return found

    def _add(self, message: Message) -> None:
        if message["role"] == "user":
            self.is_asked = True
        elif message["role"] == "assistant":
            self.replies.append(message)
        self.has_answer = message["role"] == "assistant" and not message.get("tool_calls")

    @property
    def answer(self) -> Answer:
        """The answer stored in the log."""
        return Answer(text_of(self.replies[-1]).strip() if self.replies else "", self.is_cut)


def _is_request_note(entry: Entry, state: str) -> bool:
    return entry.kind == "request" and entry.value.get("state") == state
