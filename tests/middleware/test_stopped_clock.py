"""Runs in a test that has stopped the clock, as freezegun does (spulec/freezegun#384): what waits still goes on."""

import threading
import time

import pytest

from agentkit import Agent, Context, tool
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, serve, whole

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1326499200.0)


def test_a_request_that_failed_is_sent_again() -> None:
    with serve([Answer(b"{}", 503), whole("Hello.")]) as server:
        assert Agent(f"openai:m@{server.url}").run("Hi.").output == "Hello."


def test_a_server_that_is_not_reached_is_an_error() -> None:
    with pytest.raises(Exception, match="Connection error"):
        Agent("openai:m@http://127.0.0.1:9/v1").run("Hi.")


def test_a_tool_that_waits_for_the_end_of_its_run_waits_as_long_as_it_says() -> None:
    @tool
    def wait(ctx: Context) -> str:
        """Wait."""
        assert ctx.cancel is not None
        return f"cancelled: {ctx.cancel.wait(0.2)}"

    agent = Agent(ScriptedBackend(("wait", {}), "Done."), tools=[wait])
    assert agent.run("Go.", cancel=threading.Event()).tool_calls[0].response == "cancelled: False"
