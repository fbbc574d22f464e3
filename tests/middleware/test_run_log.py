"""The log of runs: requests, turns, tools and retries, without the content of any of them."""

import logging

import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, serve, whole

SECRET = "Zaphod"


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    if topic == "nothing":
        raise ValueError(f"there is nothing of {SECRET}")
    return f"all about {SECRET} and {topic}"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "agentkit.run"]


def test_each_reply_and_each_tool_is_a_line_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend(("look_up", {"topic": SECRET}), ("look_up", {"topic": "nothing"}), (SECRET, {}), SECRET)
    caplog.set_level(logging.INFO, "agentkit.run")
    Agent(backend, tools=[look_up]).run(f"Who is {SECRET}?", instructions=SECRET)
    found = lines(caplog)
    turns = [line.split(":")[0] for line in found if line.startswith("turn")]
    assert turns == ["turn 1", "turn 2", "turn 3", "turn 4"]
    assert "1 tool calls" in found[0]
    assert [line.split(" after")[0] for line in found if line.startswith("tool")] == [
        "tool look_up returned",
        "tool look_up failed",
        "tool (unknown) failed",
    ]
    assert SECRET not in "\n".join(found)


def test_requests_that_are_sent_again_and_failures_say_why_without_the_words_of_the_server(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)
    failure = Answer(f'{{"error": {{"message": "{SECRET} is over capacity"}}}}'.encode(), 503)
    caplog.set_level(logging.DEBUG, "agentkit.run")
    with serve([whole(""), failure, whole("Fine."), Answer(b'{"error": "no"}', 401)]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, api_key="sk-hidden"))
        assert agent.run("Go.").output == "Fine."
        with pytest.raises(Exception, match="401"):
            agent.run("Go.")
    found = "\n".join(lines(caplog))
    assert "turn 1: request to m: 1 messages, 0 tools" in found
    assert "the request is sent again: the reply was empty" in found
    assert "the model server answered with status 503" in found
    assert "the request is sent again (retry 1)" in found
    assert "m failed after" in found
    assert "AuthenticationError (status 401)" in found
    assert SECRET not in found
    assert "sk-hidden" not in found
