"""The plan of a research: the sub-questions into which a model divides the question."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agentkit._text import joined_surrogates
from agentkit.agent import Agent
from agentkit.errors import OutputError
from agentkit.limits import Usage
from agentkit.research.limits import UNFINISHED, of_an_agent, reached
from agentkit.tools import Context

LONGEST = 500
"""Characters of a sub-question."""
PLANNER = (
    "You plan a research. Divide the question into sub-questions that can be looked up independently of each other, in "
    "the language of the question. Together they answer it; each can be understood alone."
)
ASKED = "The question: {question}\n\nWrite {least} to {most} sub-questions; fewer where the question is simple."
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\(?\d{1,2}[.):、]|[a-z][.)])[ \t]*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """The sub-questions of a research."""

    questions: Annotated[list[str], Field(description="The sub-questions, the most important first.")]


def plan_of(question: str, most: int, planner: Agent, context: Context) -> list[str]:
    """At most `most` sub-questions; the question itself where the model can't plan, none where a limit or `cancel` has
    ended the planning. Raises what the server raises."""
    if most <= 1:
        return [question]
    budget = context.budget
    if budget is not None and reached(budget) is not None:
        return []  # an earlier run has taken everything
    before = Usage() if budget is None else budget.usage
    prompt = ASKED.format(question=question, least=min(3, most), most=most)
    try:
        result = context.run(
            planner, prompt, output=Plan, output_retries=1, instructions=PLANNER, limits=of_an_agent(context.budget, 3)
        )
        if result.output is None and result.stopped in UNFINISHED:
            return []
        given = result.output.questions if result.output is not None else []
    except OutputError as error:
        given = _ITEM.findall(error.text[:20_000])
        has_ended = budget is not None and reached(budget, ahead=budget.usage - before) is not None
        if not given and (has_ended or context.cancelled):  # it was not asked again, as there was no room for that
            return []
    return checked(given, most) or [question]


def checked(given: list[str], most: int) -> list[str]:
    """Sub-questions in a line each, none twice."""
    lines = [" ".join(joined_surrogates(each)[: 4 * LONGEST].split())[:LONGEST] for each in given]
    first = {line.casefold(): line for line in reversed(lines)}
    return [line for line in dict.fromkeys(first[line.casefold()] for line in lines) if line][:most]
