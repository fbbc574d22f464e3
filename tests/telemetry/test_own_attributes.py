"""Attributes that a program gives to the spans of its runs."""

import logging
import pickle
from typing import Any

import pytest

from agentkit import Agent, Context, tool
from agentkit.errors import ConfigurationError
from agentkit.telemetry import Otel
from agentkit.testing import ScriptedBackend
from tests.support.telemetry import Recorder, attributes


@tool
def pay(amount: int) -> str:
    """Pays."""
    return f"Paid {amount}."


def of_the_user(ctx: Context[str]) -> dict[str, Any]:
    return {"user.id": ctx.deps, "tags": ["a", "b"], "nothing": None}


def agent_of(otel: Otel) -> Agent:
    inner = Agent(ScriptedBackend(*["Yes."] * 2))
    calls: Any = [("pay", {"amount": 3}), ("ask", {"task": "Well?"})]
    return Agent(ScriptedBackend(*[calls, "Ok."] * 2), tools=[pay, inner.as_tool("ask", "Asks.")], hooks=[otel])


def test_each_span_of_a_run_has_those_of_its_own_user() -> None:
    """Viewers group runs by them (mastra-ai/mastra#8224, BerriAI/litellm#35192, aegra/aegra#213)."""
    recorder = Recorder()
    agent = agent_of(recorder.otel(attributes=of_the_user))
    agent.run("Go.", deps="ann")
    count = len(recorder.ended)
    assert count == 7  # two runs, three requests, two tools
    assert {attributes(span)["user.id"] for span in recorder.ended} == {"ann"}
    assert {tuple(attributes(span)["tags"]) for span in recorder.ended} == {("a", "b")}
    assert all("nothing" not in attributes(span) for span in recorder.ended)
    list(agent.stream("Go.", deps="bob"))
    assert [attributes(span)["user.id"] for span in recorder.ended[count:]] == ["bob"] * count


def test_a_dict_holds_for_all_runs_and_replaces_nothing_that_a_span_says_itself() -> None:
    recorder = Recorder()
    given = {"deployment": "blue", "gen_ai.operation.name": "mine"}
    Agent(ScriptedBackend("Ok."), hooks=[recorder.otel(attributes=given)]).run("Go.")
    assert {attributes(span)["deployment"] for span in recorder.ended} == {"blue"}
    assert {attributes(span)["gen_ai.operation.name"] for span in recorder.ended} == {"invoke_agent", "chat"}


def test_a_function_that_fails_is_no_error_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    with caplog.at_level(logging.WARNING, "agentkit"):
        agent = Agent(ScriptedBackend("Ok."), hooks=[recorder.otel(attributes=lambda ctx: ctx.deps["user"])])
        assert agent.run("Go.", deps=None).output == "Ok."
    assert len(recorder.ended) == 2
    assert "attributes= of Otel raised TypeError" in caplog.text


def test_it_travels_with_the_hook_and_is_checked() -> None:
    assert pickle.loads(pickle.dumps(Otel(attributes=of_the_user))).attributes is of_the_user
    wrong: Any = "user.id"
    with pytest.raises(ConfigurationError, match=r"Otel\(attributes='user\.id'\): pass a dict, or a function"):
        Otel(attributes=wrong)
