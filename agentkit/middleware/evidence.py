"""Final answers that their sources don't support: the model is told once (`evidence="ask again"`)."""

from collections.abc import Iterator
from contextlib import closing

from agentkit._lazy.records import replace
from agentkit._text import cut
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import Reply, ReplyDiscarded, TextDelta
from agentkit.evidence.citation import Citation
from agentkit.executor import Executor
from agentkit.limits import Budget
from agentkit.message import INVALID_ANSWER, Message, user
from agentkit.middleware.base import Middleware
from agentkit.middleware.text_answer import TextAnswer
from agentkit.running.cited_answers import FAILURES_LOGGED, citations_of, relevant

MAX_NAMED = 10
"""How many sentences the model is told of."""
MAX_SENTENCE = 300
"""Maximum characters of one that it is told."""


class SupportedAnswers(Middleware):
    """Wraps any backend for one run."""

    def __init__(self, backend: Backend, executor: Executor, budget: Budget) -> None:
        super().__init__(backend)
        self._executor = executor
        self._budget = budget
        self._has_asked = False

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                yield self._asked_again(delta) if isinstance(delta, Reply) else delta

    def _asked_again(self, reply: Reply) -> Reply:
        is_final = not reply.message.get("tool_calls") and not reply.then
        turns = self._budget.limits.turns
        may_ask = self._budget.ending is None and (turns is None or self._budget.turn < turns)
        if self._has_asked or not is_final or not may_ask:
            return reply
        wrong = self._wrong(TextAnswer().output([reply.message], None))
        if not wrong:
            return reply
        self._has_asked = True
        return replace(reply, then=(_complaint(wrong),))

    @property
    def may_ask(self) -> bool:
        """Whether the next reply may be one that the model is asked to write again."""
        return not self._has_asked and bool(self._executor.context.sources.as_mapping())

    def _wrong(self, text: str) -> list[Citation]:
        found: list[Citation] = []
        with FAILURES_LOGGED:
            found = citations_of(text, relevant(text, self._executor))
        return [each for each in found if each.verdict in ("not found", "no source")]


class CheckedFirst(Middleware):
    """Emits the text of a reply when it is complete and was checked, so that nobody is shown sentences that are taken
    back; that of a reply which breaks off or is stopped before, as it has arrived. It surrounds what stops a reply."""

    def __init__(self, backend: Backend, answers: SupportedAnswers) -> None:
        super().__init__(backend)
        self._answers = answers

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self._held(request) if self._answers.may_ask else self.backend.reply(request)

    def _held(self, request: Request) -> ReplyStream:
        held: list[str] = []
        try:
            with closing(self.backend.reply(request)) as deltas:
                yield from _checked_first(deltas, held)
        except Exception:
            yield from _said(held)
            raise
        yield from _said(held)  # it was stopped


def _checked_first(deltas: ReplyStream, held: list[str]) -> ReplyStream:
    for delta in deltas:
        if isinstance(delta, TextDelta):
            held.append(delta.text)
            continue
        if isinstance(delta, ReplyDiscarded) or (isinstance(delta, Reply) and delta.then):
            held.clear()
        elif isinstance(delta, Reply):
            yield from _said(held)
        yield delta


def _said(held: list[str]) -> Iterator[TextDelta]:
    """What was held as one piece, which is held no longer."""
    text = "".join(held)
    held.clear()
    if text:
        yield TextDelta(text)


def _complaint(wrong: list[Citation]) -> Message:
    named = [f'- "{cut(" ".join(each.sentence.split()), MAX_SENTENCE)}": {each.reason}' for each in wrong[:MAX_NAMED]]
    more = [f"- and {len(wrong) - MAX_NAMED} more"] if len(wrong) > MAX_NAMED else []
    lines = "\n".join(["these sentences are not backed by the sources:", *named, *more])
    what = (
        "Look again in the sources, correct or leave out what they don't say, cite each statement by the number of a "
        "source that you have read, and write the whole answer again."
    )
    return user(f"{INVALID_ANSWER}{lines}\n{what}")
