"""A run that is stopped while a reply has more calls than its limit leaves."""

import threading
from typing import Any

import pytest

from agentkit import Agent, Context, Limits, tool
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend


@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_run_that_is_cancelled_in_a_reply_with_calls_beyond_its_limit(
    stream: bool, read_only: bool, has_session: bool
) -> None:
    cancel = threading.Event()
    begun: list[int] = []

    @tool(read_only=read_only)
    def work(number: int, ctx: Context) -> str:
        """Work."""
        begun.append(number)
        cancel.set()
        assert ctx.cancel is not None
        assert ctx.cancel.wait(20)
        return "done"

    steps: list[Any] = [[("work", {"number": 1}), ("work", {"number": 2}), ("work", {"number": 3})], "Done."]
    agent = Agent(ScriptedBackend(*steps), tools=[work], limits=Limits(tool_calls=2), early_start=False)
    session = MemorySessions()["a"] if has_session else None
    if stream:
        with agent.stream("Go.", cancel=cancel, session=session) as run:
            list(run)
        assert run.result is not None
        result = run.result
    else:
        result = agent.run("Go.", cancel=cancel, session=session)
    assert result.stopped == "cancelled"
    assert 3 not in begun
    answers = [each["tool_call_id"] for each in result.messages if each["role"] == "tool"]
    calls = [call["id"] for call in result.messages[1]["tool_calls"]]
    assert answers == calls[: len(answers)]
    if session is not None:
        assert session.messages == result.messages
