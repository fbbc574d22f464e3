"""The tools of a service where nobody can be asked: over the OpenAI API, and without a session."""

import functools
import json
from dataclasses import replace
from typing import Any

from agentkit._text import cut
from agentkit.running.agent_tools import AgentTools, AnyTool
from agentkit.toolbox import Toolbox
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.questions import Question
from agentkit.tools import Context, Tool

ELSEWHERE = "It can be decided in the chat page of this service, or in a session over /api/llm/chat/session."
MAX_SHOWN = 1000
"""Characters of the arguments, and of the question, that the user of another API is told."""


class Unattended(Tool[..., Any]):
    """A tool of which some calls need a person, whom this API can't ask: they are not run.

    ends_run: whether such a call ends the answer with a text that says so (`told`), instead of being an error for the
    model.
    """

    def __init__(self, tool: Tool[..., Any], ends_run: bool) -> None:
        self.__dict__.update(tool.__dict__)
        self.options = replace(tool.options, approve=False)
        self._tool = tool
        self._ends_run = ends_run

    @property
    def schema(self) -> dict[str, Any]:
        """See `Tool.schema`."""
        return self._tool.schema

    def answer(self, arguments: str, context: Context) -> Outcome:
        """See `Tool.answer`."""
        if self._tool.needs_approval(arguments):
            return self._refused(arguments, None)
        outcome = self._tool.answer(arguments, context)
        return outcome if outcome.question is None else self._refused(arguments, outcome.question)

    def _refused(self, arguments: str, question: Question | None) -> Outcome:
        if self._ends_run:
            return Outcome(told(self.name, arguments, question), failed=True, ends_run=True)
        wants = "needs a person's approval" if question is None else "asks a person something"
        return failure(f"this call of {self.name} {wants}, which can't be had here. It was not run: tell the user.")


def told(name: str, arguments: str, question: Question | None) -> str:
    """What a user reads of a call that waits for a person where it can't be decided. arguments: JSON text."""
    shown = json.dumps(read_arguments(arguments), ensure_ascii=False)
    call = f"`{name}({cut(shown, MAX_SHOWN)})`"
    if question is None:
        return f"{call} needs a person's approval, which can't be given over this API. It was not run. {ELSEWHERE}"
    asks = (
        f"{call} asks: {cut(question.text, MAX_SHOWN)}\n\nThis can't be answered over this API; the call was not run."
    )
    return f"{asks} {ELSEWHERE}"


def unattended(tools: tuple[AnyTool, ...], *, ends_run: bool) -> tuple[Tool[..., Any], ...]:
    """The tools of a service where nobody can be asked; the same objects as long as nothing has changed. ends_run: see
    `Unattended`."""
    return _unattended(_kept(tools).now(), ends_run)


_kept = functools.lru_cache(16)(AgentTools)


@functools.lru_cache(32)
def _unattended(tools: Toolbox, ends_run: bool) -> tuple[Tool[..., Any], ...]:
    return tuple(Unattended(tool, ends_run) if _may_ask(tool) else tool for tool in tools)


def _may_ask(tool: Tool[..., Any]) -> bool:
    return tool.options.approve is not False or tool.takes_context
