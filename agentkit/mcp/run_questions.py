"""What a server asks a person in the middle of a call that a run makes: the run pauses, as for an approval."""

from typing import Any

from agentkit._text import cut
from agentkit.mcp.questions import Answer, Question
from agentkit.mcp.schemas import UnusableSchemaError, checked_here, usable
from agentkit.tools import Context

MAX_TEXT = 4_000
"""Maximum characters of a question."""


class RunQuestions:
    """Answers the questions of one call. context: of its run; None: outside of one, where each is declined.

    The first question ends the call and pauses the run. The call that is made with a person's answer gets it for the
    first question, and declines another one.
    """

    def __init__(self, context: Context[Any] | None) -> None:
        self._context = context
        self._was_asked = False

    def __call__(self, question: Question) -> Answer:
        """The answer; None for no answer. Raises what `Context.ask` raises."""
        if self._context is None or self._was_asked:
            return None
        self._was_asked = True
        text = cut(f"{question.server} asks: {question.message}", MAX_TEXT)
        if question.url is not None:
            return bool(self._context.ask(f"{text}\n(Agree, and open {question.url})"))
        try:
            schema = checked_here(usable(question.schema)[0])
        except UnusableSchemaError:
            return None
        answer: Answer = self._context.ask(text, schema)
        return answer


def declined(question: Question) -> Answer:
    """The answer to what no call has asked."""
    return None
