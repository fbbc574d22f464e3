"""The functions of `questions.jsonl`: they have schemas, and do nothing. With each question its own are offered.

    agentkit eval examples/eval/bfcl/questions.jsonl --agent examples/eval/bfcl/tools.py:make_agent

The model is AGENTKIT_MODEL. What is compared is which functions it calls in its first reply, with which arguments.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentkit import Agent, Hook, Limits, Tool
from agentkit.backend import Request, newest_question
from agentkit.message import text_of
from agentkit.toolbox import Toolbox

FOLDER = Path(__file__).parent
INSTRUCTIONS = (
    "Call the functions that the user's request needs, all in one reply. If none fits, or the request lacks what "
    "they need, answer without a call."
)


def read(name: str) -> Iterator[dict[str, Any]]:
    """The lines of a file."""
    yield from map(json.loads, (FOLDER / name).read_text(encoding="utf-8").splitlines())


def done(**arguments: Any) -> str:
    """What each function does."""
    return "done"


class OwnFunctions(Hook):
    """Offers the model the functions of the question alone."""

    def __init__(self, tools: list[Tool[..., Any]]) -> None:
        named = {each.name: each for each in tools}
        self._boxes = {row["question"]: Toolbox([named[each] for each in row["functions"]]) for row in read(QUESTIONS)}

    def before_model(self, request: Request) -> Request:
        """The request with these functions; that for the answer after the last turn has none."""
        if not len(request.tools):
            return request
        place = newest_question(request.transcript)
        asked = "" if place is None else text_of(request.transcript[place])
        return replace(request, tools=self._boxes[asked])


QUESTIONS, FUNCTIONS = "questions.jsonl", "tools.jsonl"


def make_agent() -> Agent:
    """An agent with all functions, which answers with one reply."""
    tools = [Tool(row["name"], row["description"], row["parameters"], done, ends_run=True) for row in read(FUNCTIONS)]
    model = os.environ.get("AGENTKIT_MODEL", "extractive")
    return Agent(model, tools=tools, instructions=INSTRUCTIONS, hooks=[OwnFunctions(tools)], limits=Limits(turns=1))
