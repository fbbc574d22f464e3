"""Checks of final answers that are text (`output_check=`): what is wrong with one is returned to the model."""

from collections.abc import Callable, Sequence
from contextlib import closing

from agentkit._lazy.records import replace
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import OutputError
from agentkit.event import Reply, ToolRecord
from agentkit.limits import Budget
from agentkit.message import INVALID_ANSWER, Message, stop_reason, user
from agentkit.middleware.base import Middleware
from agentkit.middleware.text_answer import TextAnswer, objection


class CheckedText(TextAnswer):
    """The answer of one run as text that has to pass a check. retries: how often the model is sent what is wrong with
    it to try again. failure: why there is no valid answer, or what the check has raised instead."""

    def __init__(self, check: Callable[[str], object], retries: int) -> None:
        self.failure: Exception | None = None
        self._check = check
        self._left = retries

    def opening(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> Sequence[Message]:
        """See `TextAnswer.opening`."""
        last = transcript[-1]
        if ended_by is not None or last["role"] != "assistant" or last.get("tool_calls"):
            return ()
        complaint = () if stop_reason(last) is not None else self.take(super().output([last], None))
        if self.failure is not None:
            raise self.failure
        return complaint

    def wrapped(self, backend: Backend, budget: Budget) -> Backend:
        """See `TextAnswer.wrapped`."""
        return _CheckedReplies(backend, self, budget)

    def output(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> str:
        """See `TextAnswer.output`. Raises OutputError when there is no valid one and no retries are left."""
        text: str = super().output(transcript, ended_by)
        if ended_by is not None:
            self.take(text, is_last="its tool ended the run")
        if self.failure is not None:
            raise self.failure
        return text

    def take(self, text: str, *, is_last: str | None = None) -> Sequence[Message]:
        """Check an answer. Returns a message for the model when it is not valid; none when it is, or when the model
        can't try again, which sets `failure`. is_last: why it can't, whatever its retries."""
        try:
            wrong = objection(self._check, text)
        except Exception as error:  # noqa: BLE001 - raised when the reply is in the transcript
            self.failure = error
            return ()
        if wrong is None:
            return ()
        if is_last is not None or self._left <= 0:
            self.failure = OutputError(f"{is_last or 'the model tried again'} without a valid answer: {wrong}", text)
            return ()
        self._left -= 1
        return (user(f"{INVALID_ANSWER}{wrong}. Write the whole answer again."),)


class _CheckedReplies(Middleware):
    """Wraps any backend for one run. Raises OutputError, behind the reply, when the model can't try again."""

    def __init__(self, backend: Backend, answer: CheckedText, budget: Budget) -> None:
        super().__init__(backend)
        self._answer = answer
        self._budget = budget

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                yield self._checked(delta) if isinstance(delta, Reply) else delta
        if self._answer.failure is not None:
            raise self._answer.failure

    def _checked(self, reply: Reply) -> Reply:
        limit = self._budget.ending
        if reply.message.get("tool_calls") and limit is None:
            return reply
        is_last = None if limit is None else f"the run reached its limit ({limit})"
        text = TextAnswer().output([reply.without_calls().message], None)
        return replace(reply, then=tuple(self._answer.take(text, is_last=is_last)))
