"""Write-ahead journal of a run: messages, and an entry before each call with an effect, are stored in the session
before their events are emitted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agentkit.event import Event, ReplyFinished, ToolStarted
from agentkit.limits import Usage
from agentkit.message import Message, ToolCall, tool_result
from agentkit.record import usage_from
from agentkit.session import Entry, Session, Writer, messages_of, started_calls
from agentkit.transcript import whats_due

UNKNOWN = (
    "It is not known whether this call had its effect: the program was stopped while it ran. Check before you make it "
    "again."
)


class Journal:
    """The session of a run, locked for writing; without a session it writes nothing.

    messages: the messages of the session, or None. held: the messages that come after the results of open calls.
    unknown: the calls that an earlier run started and did not finish. view, spent: which part of the session was sent
    last, and what that took.
    """

    def __init__(self, writer: Writer | None) -> None:
        self._writer = writer
        self.messages: list[Message] | None = None
        self.held: list[Message] = []
        self.view: Mapping[str, Any] | None = None
        self.spent: Usage | None = None
        self.unknown: list[ToolCall] = []
        if writer is not None:
            entries = writer.session.entries()
            self.messages, self.held = messages_of(entries)
            self.unknown = _unknown(self.messages, started_calls(entries))
            self.view, self.spent = _last_view(entries)

    @classmethod
    @contextmanager
    def opened(cls, session: Session | None) -> "Iterator[Journal]":
        """The journal of a run. Raises SessionError, SessionBusyError."""
        if session is None:
            yield cls(None)
            return
        with session.hold() as writer:
            yield cls(writer)

    def unknown_results(self) -> list[Message]:
        """The tool messages that answer the calls whose effect is not known."""
        return [tool_result(call["id"], f"Error: {UNKNOWN}") for call in self.unknown]

    def write(
        self,
        unknown_results: Sequence[Mapping[str, Any]],
        repaired: Sequence[Mapping[str, Any]],
        earlier: Sequence[Mapping[str, Any]],
        prompt: Sequence[Mapping[str, Any]],
    ) -> None:
        """Store what a run starts with. unknown_results: what was added to `earlier` for unknown calls. repaired: both
        after repair; its new end is stored when nothing in `earlier` had to be changed. prompt: the user message."""
        if self._writer is None:
            return
        is_longer = list(repaired[: len(earlier)]) == list(earlier)
        self._writer.append([*(repaired[len(earlier) :] if is_longer else unknown_results), *prompt])

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Store messages that belong to no event."""
        if self._writer is not None:
            self._writer.append(messages)

    def note_view(self, view: Mapping[str, Any]) -> None:
        """Store which part of the session is sent from now on."""
        if self._writer is not None:
            self._writer.note_view(view)

    def note(self, event: Event) -> None:
        """Store what an event adds, before the event is emitted."""
        if self._writer is None:
            return
        if event.adds:
            usage = event.reply.usage if isinstance(event, ReplyFinished) else None
            self._writer.append(event.adds, usage)
        elif isinstance(event, ToolStarted) and not event.read_only:
            self._writer.mark_started(event.id, event.name, event.raw_arguments)


def _unknown(messages: Sequence[Message], started: Mapping[str, ToolCall]) -> list[ToolCall]:
    """The open calls that were started, up to the first that was not, since calls are answered in order."""
    due = whats_due(messages)
    found = []
    for call in due if isinstance(due, tuple) else ():
        if call["id"] not in started:
            break
        found.append(call)
    return found


def _last_view(entries: Sequence[Entry]) -> tuple[Mapping[str, Any] | None, Usage | None]:
    """The view in effect at the end of a log, and the usage of the last reply; an undo clears both."""
    view: Mapping[str, Any] | None = None
    spent: Usage | None = None
    for entry in entries:
        if entry.kind == "undo":
            view = spent = None
        elif entry.kind == "view":
            view = entry.value
        elif entry.kind == "message" and entry.usage:
            spent = usage_from(entry.usage)
        elif entry.kind == "message" and entry.value.get("role") != "user":
            spent = None if entry.value.get("role") == "tool" else spent
    return view, spent if spent is not None and spent.input_tokens else None
