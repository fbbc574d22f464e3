"""One message and its answer, and what the log of a session tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit import Result
from agentkit.limits import Usage
from agentkit.message import Message, Prompt, text_of
from agentkit.serving.tool_loading import AnyTool
from agentkit.session import Entry


@dataclass(frozen=True)
class UserInput:
    """What a user says. session: the id in the store of the conversation that it belongs to; None: `messages` are what
    was said before, and nothing is kept. text: None goes on with what is there. mark: by which the log of the session
    knows the message, or "". is_known_again: whether another message with this mark is the same. sampling: fields of
    the request to the model."""

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
    """text: without white space around it; "" when the model gave none. was_cut: some of the history was left out.
    result: of the run; None for an answer that an earlier run had left in the session."""

    text: str
    was_cut: bool = False
    result: Result | None = None

    @property
    def usage(self) -> Usage:
        """What it took."""
        return self.result.usage if self.result is not None else Usage()


@dataclass
class RequestState:
    """What the log of a session tells of one request. start: of its entries. is_asked: the message is in the log.
    is_said: so is its answer."""

    is_begun: bool = False
    is_answered: bool = False
    is_asked: bool = False
    is_cut: bool = False
    is_said: bool = False
    replies: list[Message] = field(default_factory=list)
    start: int = 0

    @classmethod
    def of(cls, asked: UserInput, entries: Sequence[Entry]) -> "RequestState":
        """What is known of a message."""
        begins = [place for place, entry in enumerate(entries) if _is_request_note(entry, "begun")]
        own = [place for place in begins if entries[place].value.get("id") == asked.request_id]
        if not (asked.request_id and own and asked.is_retry):
            return cls(start=len(entries))
        start = own[-1]
        end = next((place for place in begins if place > start), len(entries))
        answered = (each for each in entries[start:] if _is_request_note(each, "answered"))
        is_answered = any(each.value.get("id") == asked.request_id for each in answered)
        return replace(cls.read(entries[start:end]), is_answered=is_answered, start=start)

    @classmethod
    def read(cls, entries: Sequence[Entry]) -> "RequestState":
        """What was done since a request was begun."""
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
        self.is_said = message["role"] == "assistant" and not message.get("tool_calls")

    @property
    def answer(self) -> Answer:
        """The answer that the log has."""
        return Answer(text_of(self.replies[-1]).strip() if self.replies else "", self.is_cut)


def _is_request_note(entry: Entry, state: str) -> bool:
    return entry.kind == "request" and entry.value.get("state") == state
