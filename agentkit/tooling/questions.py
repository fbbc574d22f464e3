"""Questions of a tool to a person, for which its run pauses."""

from collections.abc import Mapping
from typing import Any

from agentkit._lazy.records import dataclass
from agentkit.errors import Remade


@dataclass(frozen=True)
class Question:
    """What a tool asks a person before it goes on.

    text: for the person. schema: the JSON schema of an object that the answer has to fit; None: yes is enough. problem:
    what was wrong with the last answer, "" when there was none.
    """

    text: str
    schema: Mapping[str, Any] | None = None
    problem: str = ""


class QuestionAsked(Remade):
    """Ends a call that waits for a person's answer. No Exception, so that no tool takes it for an error."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.text)
        self.question = question
