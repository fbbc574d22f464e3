"""What the tests of tests/backends/test_every_backend*.py share: tools, a request to a backend, the result of a run."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, Result, tool
from agentkit.backend import Backend, Request
from agentkit.event import RunFinished
from agentkit.message import Message, user
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript
from tests.support.backend_cases import TALK

SOON = TALK / 2
"""Seconds in which what would take TALK seconds has to be over."""

either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
"""Runs a test with whole replies and with streamed ones; it takes `stream`."""


@tool
def search(query: str, most: int = 3) -> str:
    """Search for something."""
    return f"Found {query!r}, {most} at most."


@tool
def research(query: str) -> str:
    """Search everywhere."""
    return f"Researched {query!r}."


class City(BaseModel):
    """A city."""

    name: str
    population: int


def replies(
    backend: Backend, *, stream: bool = False, tools: Iterable[Any] = (), text: str = "Hello.", **fields: Any
) -> list[Any]:
    """What a backend yields for one request. fields: of the Request."""
    request = Request(Transcript([user(text)]), Toolbox(tools), stream, **fields)
    with closing(backend.reply(request)) as deltas:
        return list(deltas)


def result_of(agent: Agent, prompt: Any, stream: bool, **options: Any) -> Result:
    """The result of a run, whole or streamed."""
    if not stream:
        return agent.run(prompt, **options)
    with agent.stream(prompt, **options) as run:
        last = list(run)[-1]
    assert isinstance(last, RunFinished)
    return last.result


def without_ids(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages without the ids of calls, which a server may draw at random; that they fit together is checked."""
    given = list(messages)
    Transcript(given)
    compared: list[dict[str, Any]] = []
    for message in given:
        plain: dict[str, Any] = {key: value for key, value in message.items() if key != "tool_call_id"}
        if calls := message.get("tool_calls"):
            plain["tool_calls"] = [call["function"] for call in calls]
        compared.append(plain)
    return compared
