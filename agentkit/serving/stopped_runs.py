"""What is kept of a run that was stopped before a reply, so that the history of its session can show it."""

from contextlib import suppress

from agentkit.errors import SessionError
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, ReplyFinished, ReplyStarted
from agentkit.message import STOP_NOTES
from agentkit.serving.exchange import Answer
from agentkit.sessions.turn import Turn


class StoppedRun:
    """The reasoning of the reply that is arriving, which is kept when the run stops before there is a reply."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def note(self, event: Event) -> None:
        """Take in an event of the run."""
        if isinstance(event, ReasoningDelta):
            self._parts.append(event.text)
        elif isinstance(event, ReplyStarted | ReplyDiscarded | ReplyFinished):
            self._parts.clear()

    def keep(self, turn: Turn, answer: Answer) -> None:
        """Note it in the session, which is valid without it, where the run was stopped and has no last reply."""
        last = answer.added[-1] if answer.added else None
        has_reply = last is not None and last["role"] == "assistant" and not last.get("tool_calls")
        if answer.stopped in STOP_NOTES and not has_reply:
            with suppress(SessionError):
                turn.note_stopped(answer.stopped, "".join(self._parts).strip())
