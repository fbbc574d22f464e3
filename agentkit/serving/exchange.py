"""A user message and its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit import Result
from agentkit.event import Stopped
from agentkit.limits import Usage
from agentkit.message import Message, Prompt, user
from agentkit.running.decisions import Approvals
from agentkit.serving.tool_loading import AnyTool
from agentkit.sessions.waiting import Waiting

CACHED = "agentkit_cached"
"""The key in `Reply.extra` of a reply that an earlier request got."""


@dataclass(frozen=True)
class UserInput:
    """One user message.

    text: the message; None continues from the existing messages; a function makes it from the messages of the session.
    session: id of its session in the store; None: the conversation is `messages`, and nothing is stored. system_prompt:
    instructions of the agent; None: no instructions are added. sampling: sampling fields of the model request. tools:
    tools of the agent. request_id: the client's id of the request (idempotency key), or "". content: what the client
    sent, by which a request_id that is used again for something else is detected; None: the text. is_retry: False for a
    request_id that means nothing beyond this message, whatever it was used for before. output: the type of the answer,
    as `Agent.run` takes it. is_whole: whether `messages` are sent as they are, or refused by the model server; else
    what does not fit into the history's tokens is left out. approve: instead of a message, the decisions on calls of
    the session that wait for a person; asked: of what the client has seen of them, or "".
    """

    text: Prompt | Callable[[Sequence[Message]], Prompt] | None
    session: str | None = None
    messages: Sequence[Mapping[str, Any]] = ()
    system_prompt: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[AnyTool, ...] = ()
    request_id: str = ""
    content: Any = None
    is_retry: bool = True
    output: Any = str
    is_whole: bool = False
    approve: Approvals | None = None
    asked: str = ""

    @property
    def sent(self) -> Any:
        """What the client sent, as JSON values."""
        if self.approve is not None:
            return {"approve": dict(self.approve), "asked": self.asked}
        if self.content is not None or self.text is None or callable(self.text):
            return self.content
        return user(self.text)["content"]

    def prompt(self, messages: Sequence[Message] = ()) -> Prompt | None:
        """The message. messages: those of its session."""
        return self.text(messages) if callable(self.text) else self.text


@dataclass(frozen=True)
class Answer:
    """The answer to one message. text: without surrounding whitespace; "" when the model returned no text. was_cut:
    whether part of the history was omitted. result: result of the run. added: the messages that the run added, none for
    an answer that an earlier run has stored. extra: `Reply.extra` of the last reply. waiting: the calls of the session
    that wait for a person, where the run has stopped for them."""

    text: str
    was_cut: bool
    result: Result[Any]
    added: tuple[Message, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting | None = None

    @property
    def usage(self) -> Usage:
        """Resource usage of the run; nothing for an answer that an earlier run has stored."""
        return self.result.usage

    @property
    def was_kept(self) -> bool:
        """Whether the model gave it to an earlier request, so that it was not asked (see `answer_cache`)."""
        return bool(self.extra.get(CACHED))

    @property
    def stopped(self) -> Stopped:
        """Why the run ended."""
        return self.result.stopped
