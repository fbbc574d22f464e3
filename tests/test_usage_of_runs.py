"""What a run has spent, while it goes on and when it was left."""

from typing import Any

import pytest

from agentkit import Agent, Usage, tool
from agentkit.event import Reply, ToolFinished
from agentkit.message import Message
from agentkit.testing import ScriptedBackend


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


CALL: Message = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "double", "arguments": '{"number": 4}'}}],
}


def made() -> Agent:
    first = Reply(CALL, "tool_calls", Usage(requests=1, input_tokens=100, output_tokens=20))
    last = Reply({"role": "assistant", "content": "8."}, "stop", Usage(requests=1, input_tokens=130, output_tokens=5))
    return Agent(ScriptedBackend(first, last), tools=[double])


def counts(usage: Usage) -> tuple[int, int, int, int]:
    return usage.requests, usage.input_tokens, usage.output_tokens, usage.tool_calls


@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_run_that_is_left_has_what_it_has_spent(how: str) -> None:
    """Whoever bills for it needs it (openai/openai-agents-js#995, vercel/ai#7805, mastra-ai/mastra#15287)."""
    run = made().stream("Twice four?")
    assert counts(run.usage) == (0, 0, 0, 0)
    for event in run:
        if isinstance(event, ToolFinished):
            break
    if how == "close":
        run.close()
    assert run.result is None
    assert counts(run.usage) == (1, 100, 20, 1)


def test_a_complete_run_has_the_usage_of_its_result() -> None:
    run = made().stream("Twice four?")
    list(run)
    assert run.result is not None
    assert counts(run.usage) == counts(run.result.usage) == (2, 230, 25, 1)


def test_the_text_of_a_run_has_its_result_to_go_on_from() -> None:
    pieces = made().stream_text("Twice four?")
    assert pieces.result is None
    assert "".join(pieces) == ""  # a Reply of a script has no deltas
    result: Any = pieces.result
    assert result.output == "8."
    assert pieces.messages == result.messages
    assert counts(pieces.usage) == (2, 230, 25, 1)


def test_a_text_that_is_left_can_be_continued() -> None:
    agent = Agent(ScriptedBackend("One two three.", "Four."))
    with agent.stream_text("Count.") as pieces:
        assert next(pieces) == "One"
    assert pieces.result is None
    assert agent.run("And?", messages=pieces.messages).output == "Four."


def test_the_usage_of_several_runs_is_their_sum() -> None:
    """pydantic/pydantic-ai#5749, nicobailon/pi-subagents#348: what all runs of a job took, by Python's own `sum`."""
    agent = Agent(ScriptedBackend(*["Hi."] * 3))
    usages = [agent.run("Hello").usage for _ in range(3)]
    assert sum(usages) == usages[0] + usages[1] + usages[2] == sum(usages, Usage())
    with pytest.raises(TypeError):
        1 + usages[0]
