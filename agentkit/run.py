"""One run of an agent: an iterator of its events, and its result."""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from agentkit._closing import Closable
from agentkit.backend import is_broken_off
from agentkit.errors import LimitError, OutputError
from agentkit.event import (
    ApprovalNeeded,
    Event,
    LimitReached,
    OpenCall,
    ReplyFinished,
    Result,
    RunFinished,
    Steps,
    Stopped,
    ToolFinished,
    ToolRecord,
)
from agentkit.limits import Budget
from agentkit.message import Message, text_of
from agentkit.sessions.journal import Journal
from agentkit.toolbox import open_call
from agentkit.transcript import Due, Transcript

if TYPE_CHECKING:
    from agentkit.middleware.structured_output import TypedAnswer


class Run(Closable, Iterator[Event]):
    """A run of an agent, as an iterator of events. `messages` is the valid transcript at any time; `result` is set when
    the run has ended. Close it (or use `with`) to stop it early; a run that is garbage-collected is closed too."""

    def __init__(
        self,
        steps: Callable[[], Steps],
        transcript: Transcript,
        budget: Budget,
        cancel: threading.Event | None,
        journal: Journal,
        repairs: Sequence[str],
        raises: bool,
        answer: "TypedAnswer | None",
        release: Callable[[], object],
    ) -> None:
        self.result: Result | None = None
        self._repairs = list(repairs)
        self._raises = raises
        self._transcript = transcript
        self._cancel = cancel
        self._journal = journal
        self._records: list[ToolRecord] = []
        self._limit: Stopped | None = None
        self._pending: list[OpenCall] = []
        self._finish_reason = ""
        self._budget = budget
        self._answer = answer
        self._make_steps = steps
        self._steps = steps()
        self._is_over = False
        self._release = weakref.finalize(self, release)  # releases the session, also when the run is never started

    def __next__(self) -> Event:
        if self._is_over:
            raise StopIteration
        if self._cancelled or self._pending or self._has_value:
            return self._finished()
        try:
            event = next(self._steps, None) or self._retried()
            if event is None:
                return self._finished()
            self._journal.note(event)
            self._note(event)
        except BaseException as error:
            self.close()
            with contextlib.suppress(AttributeError):
                error.messages = self.messages  # type: ignore[attr-defined]
            raise
        return event

    @property
    def messages(self) -> list[Message]:
        """The transcript so far."""
        return list(self._transcript)

    @property
    def tool_calls(self) -> list[ToolRecord]:
        """The tool calls answered so far."""
        return list(self._records)

    def close(self) -> None:
        """Stop the run; what was done so far stays in `messages` and in the session."""
        self._is_over = True
        self._steps.close()
        self._budget.release()
        self._release()

    @property
    def _has_value(self) -> bool:
        """Whether the tool final_answer has accepted a value, and all other calls of its reply are answered."""
        answer = self._answer
        return answer is not None and answer.is_there and self._transcript.whats_due() is Due.REPLY

    def _retried(self) -> Event | None:
        """Send the model the validation error of its answer; the next event, or None when there is no error."""
        answer = self._answer
        if answer is None or answer.is_there or self._transcript.whats_due() is not Due.NOTHING:
            return None
        broken_off = is_broken_off(self._finish_reason)
        error_message = answer.take_text(text_of(self._transcript[-1]), broken_off=broken_off)
        if error_message is None:
            return None
        if self._limit is not None:
            raise OutputError(f"the run reached its limit ({self._limit}) without an answer", self._output())
        self._transcript.extend([error_message])
        self._journal.add(error_message)
        self._steps = self._make_steps()
        return next(self._steps, None)

    def _finished(self) -> RunFinished:
        self.close()
        self.result = Result(
            self._output() if self._answer is None else self._answer.value,
            self.messages,
            self._budget.usage,
            self._stopped(),
            self.tool_calls,
            self._repairs,
            self._pending,
            [open_call(call) for call in self._journal.unknown],
        )
        return RunFinished(self.result)

    def _note(self, event: Event) -> None:
        if isinstance(event, ToolFinished):
            self._records.append(event.record)
            if self._answer is not None and self._answer.failure is not None:
                raise self._answer.failure
        elif isinstance(event, ApprovalNeeded):
            self._pending = list(event.calls)
        elif isinstance(event, LimitReached):
            self._limit = event.limit
            if self._raises:
                raise LimitError(f"the run reached its limit: {event.limit}")
        elif isinstance(event, ReplyFinished):
            self._finish_reason = event.reply.finish_reason

    @property
    def _cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_set()

    def _output(self) -> str:
        """The text of the last message if it is the model's final reply, or of its refusal."""
        last = self._transcript[-1]
        is_final = last["role"] == "assistant" and not last.get("tool_calls")
        return text_of(last) or last.get("refusal", "") if is_final else ""

    def _stopped(self) -> Stopped:
        if self._pending:
            return "approval"
        if self._limit:
            return self._limit
        if self._answer is not None and self._answer.is_there:
            return "answer"
        if self._transcript.whats_due() is not Due.NOTHING:
            return "cancelled" if self._cancelled else "seconds"
        if self._finish_reason == "length":
            return "length"
        if self._finish_reason == "content_filter":
            return "content_filter"
        return "answer" if self._output().strip() or isinstance(self._transcript[-1].get("content"), list) else "empty"
