"""One run of an agent: an iterator of its events, and its result."""

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from types import TracebackType
from typing import Any, Generic, cast, get_args

from agentkit._closing import Closable
from agentkit.backend import ending_of
from agentkit.errors import SessionError
from agentkit.event import (
    ApprovalNeeded,
    CutOff,
    Event,
    LimitReached,
    Reply,
    ReplyDiscarded,
    ReplyFinished,
    ReplyStarted,
    Result,
    RunFinished,
    Steps,
    Stopped,
    T,
    TextDelta,
    ToolFinished,
    ToolRecord,
)
from agentkit.evidence.settings import Evidence
from agentkit.executor import Executor, open_call
from agentkit.limits import Budget, Usage
from agentkit.message import STOP_NOTES, Message, stop_reason, stopped_answer
from agentkit.middleware.text_answer import TextAnswer
from agentkit.running.cited_answers import with_citations
from agentkit.running.closable import ClosableEvents
from agentkit.running.misuse import Synchronous
from agentkit.sessions.turn import Turn
from agentkit.tooling.closing import Closing
from agentkit.tools import Context
from agentkit.transcript import Due, Transcript


class Run(Synchronous, Closable, Iterator[Event], Generic[T]):
    """A run of an agent, as an iterator of events. `messages` is the valid transcript at any time, `usage` what was
    spent; `result` is set when the run has ended. Close it (or use `with`) to stop it early; a run that is
    garbage-collected is closed too."""

    def __init__(
        self,
        events: Steps,
        transcript: Transcript,
        turn: Turn,
        arriving: "Arriving",
        closing: Closing | None,
        release: Callable[[], object] | None,
    ) -> None:
        self.result: Result[T] | None = None
        self._transcript = transcript
        self._turn = turn
        self._arriving = arriving
        self._records: list[ToolRecord] = []
        # the session is released also when the run is never started
        self._events = ClosableEvents(events, closing, None if release is None else weakref.finalize(self, release))

    def __next__(self) -> Event:
        try:
            event = self._events.__next__()  # a call less, for each event, than `next`
        except BaseException as error:
            self._end(error)
            if not isinstance(error, StopIteration):
                with contextlib.suppress(AttributeError, SessionError):
                    error.usage = self._arriving.usage  # type: ignore[attr-defined]
                    error.messages = self.messages  # type: ignore[attr-defined]
            raise
        if isinstance(event, ToolFinished):
            self._records.append(event.record)
        elif isinstance(event, RunFinished):
            self.result = event.result
            self.close()
        return event

    def __repr__(self) -> str:
        state = repr(self.result) if self.result is not None else "no result yet"
        return f"Run({len(self._transcript)} messages, {state})"

    @property
    def messages(self) -> list[Message]:
        """The transcript so far. Raises SessionError when the beginning of the session can't be read."""
        return self._turn.whole(self._transcript, self._transcript.held)

    @property
    def tool_calls(self) -> list[ToolRecord]:
        """The tool calls answered so far."""
        return list(self._records)

    @property
    def usage(self) -> Usage:
        """What the run has spent so far, also when it was closed: all that servers have reported. Most report nothing
        of a reply that was not received to its end."""
        return self._arriving.usage

    def close(self) -> None:
        """Stop the run; what was done so far stays in `messages` and in the session. A reply that was arriving is not a
        part of that: whoever continues from there gets another.

        Any thread may close it, and waits for nothing. A thread that waits for the next event is woken, and its
        iteration ends, with a tool that it was calling itself, whose result is kept."""
        self._events.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the run. Ctrl-C keeps the text of a reply that was arriving, as a stopped answer."""
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Close the run, which this has ended."""
        try:
            if isinstance(error, KeyboardInterrupt):
                self._events.stop()
                with contextlib.suppress(Exception):  # what is stored is valid without it
                    self._arriving.keep("cancelled")
        finally:
            self.close()


_NO_TEXT_ARRIVES = (ReplyStarted, ReplyFinished, ReplyDiscarded, LimitReached)


class Arriving:
    """The text of the reply that is arriving, which is kept when the run stops before the reply is complete."""

    def __init__(self, transcript: Transcript, turn: Turn, budget: Budget) -> None:
        self._transcript = transcript
        self._turn = turn
        self._budget = budget
        self._parts: list[str] = []

    @property
    def usage(self) -> Usage:
        """What the run has spent so far."""
        return self._budget.usage

    def note(self, event: Event) -> None:
        """Take in an event of the loop."""
        if isinstance(event, TextDelta):
            self._parts.append(event.text)
        elif self._parts and isinstance(event, _NO_TEXT_ARRIVES):
            self.forget()

    def forget(self) -> None:
        """The text does not count: its reply is complete, or was discarded."""
        self._parts.clear()

    def keep(self, reason: str) -> ReplyFinished | None:
        """Add the text to the transcript and the session as a stopped answer; None when there is none, or when the
        whole reply is in the transcript: it was being stored. reason: "cancelled" or "seconds". Raises SessionError."""
        text = "".join(self._parts)
        self.forget()
        if not text.strip() or self._transcript.whats_due() is not Due.REPLY:
            return None
        reply = Reply(stopped_answer(text, reason), reason, Usage(requests=1))
        event = ReplyFinished(reply, adds=(reply.message,))
        self._budget.end_reply(reply.usage)
        self._transcript.extend(event.adds)
        self._turn.note(event)
        return event


_set = object.__setattr__  # events are frozen

_ENDS = (ReplyFinished, ToolFinished, ApprovalNeeded, LimitReached)
"""The events that a result is made of."""


def events_of(
    steps: Steps,
    transcript: Transcript,
    executor: Executor,
    answer: TextAnswer,
    turn: Turn,
    arriving: Arriving,
    repairs: Sequence[str],
    streams: bool,
    evidence: Evidence,
) -> Steps:
    """The events of a run: each is stored in the session before it is yielded; the last is RunFinished, before which
    the answer is checked. streams: whether an answer that an earlier run has stored is yielded as text.

    A function and no method: a run that refers to a generator of its own would keep the lock of its session until the
    garbage collector finds it.
    """
    context = executor.context
    budget = context.budget
    assert budget is not None
    ends: list[Event] = []
    try:
        yield from _stored(steps, turn, context, budget, arriving, ends)
        output = answer.output(transcript, executor.ended_by)
    except Exception:
        turn.roll_back()
        raise
    finally:
        executor.leave_begun()
        executor.answer_left(transcript)
    is_replayed = turn.state == "answered"
    if is_replayed and streams and isinstance(output, str):
        text = TextDelta(output)
        _set(text, "at", budget.seconds)
        yield text
    read: Any = functools.partial(turn.whole, list(transcript), transcript.held)  # when they are asked for
    finished = RunFinished(
        Result(
            output,
            read if turn.first_number else read(),
            budget.usage,
            _stopped(ends, transcript, executor, answer, output, turn),
            list(turn.records) if is_replayed else [event.record for event in ends if isinstance(event, ToolFinished)],
            list(repairs),
            [call for event in ends if isinstance(event, ApprovalNeeded) for call in event.calls],
            [open_call(call) for call in turn.unknown],
            is_replayed,
            _finish_reason(ends, turn),
            budget.models,
            turn.begins + turn.first_number,
        )
    )
    _set(finished, "at", budget.seconds)
    yield from with_citations(finished, executor, evidence)


def _stored(steps: Steps, turn: Turn, context: Context, budget: Budget, arriving: Arriving, ends: list[Event]) -> Steps:
    """The events of the loop with their times until the run is to stop; the text of a reply that was arriving then is a
    last reply. ends: gets those that the result is made of."""
    clock, started, cancel = budget.clock, budget.started, context.cancel
    try:
        for event in () if _is_cancelled(context) else steps:
            if event.at:  # of a middleware that yields an object again
                event = copy(event)
            _set(event, "at", clock() - started)  # each delta passes here
            turn.note(event)
            arriving.note(event)
            if isinstance(event, _ENDS):
                ends.append(event)
            if isinstance(event, ReplyFinished):
                budget.note_models(event.reply.model, event.reply.usage, event.reply.others)
            yield event
            if isinstance(event, ApprovalNeeded) or (cancel is not None and cancel.is_set()):
                break
    finally:
        steps.close()
    kept = arriving.keep("cancelled" if _is_cancelled(context) else "seconds")
    if kept is not None:
        ends.append(kept)
        _set(kept, "at", budget.seconds)
        yield kept


_CUT_OFFS = get_args(CutOff)


def _stopped(
    ends: Sequence[Event],
    transcript: Transcript,
    executor: Executor,
    answer: TextAnswer,
    output: object,
    turn: Turn,
) -> Stopped:
    if ends and isinstance(ends[-1], ApprovalNeeded):
        return "approval"
    for event in ends:
        if isinstance(event, LimitReached):
            return event.limit
    replied = any(isinstance(event, ReplyFinished) for event in ends)
    reason = _finish_reason(ends, turn) if replied else turn.finish_reason or stop_reason(transcript[-1])
    if reason in STOP_NOTES:
        return cast(Stopped, reason)
    if answer.is_there or executor.ended_by is not None:
        return "answer"
    if transcript.whats_due() is not Due.NOTHING:
        return "cancelled" if _is_cancelled(executor.context) else "seconds"
    ending = ending_of(reason or "")
    if ending in _CUT_OFFS:
        return cast(Stopped, ending)
    has_content = isinstance(transcript[-1].get("content"), list)
    return "answer" if has_content or str(output).strip() else "empty"


def _finish_reason(ends: Sequence[Event], turn: Turn) -> str:
    replies = [event.reply for event in ends if isinstance(event, ReplyFinished)]
    return replies[-1].finish_reason if replies else turn.finish_reason


def _is_cancelled(context: Context) -> bool:
    return context.cancel is not None and context.cancel.is_set()
