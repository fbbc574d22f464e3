"""Metrics of runs, requests and tool calls: names, units, buckets, and attributes of few values."""

from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support.model_server import Answer, delta, serve, streamed, whole
from tests.support.telemetry import Recorder

USAGE = {"prompt_tokens": 100, "completion_tokens": 20}


@tool
def look_up(topic: str) -> str:
    """Looks a topic up."""
    if topic == "nothing":
        raise LookupError("secret")
    return topic


def by_name(recorder: Recorder) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, point in recorder.points():
        found.setdefault(name, []).append(point)
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_requests_are_measured(stream: bool) -> None:
    recorder = Recorder()
    parts = streamed(delta(content="Hi."), delta("stop"), {"choices": [], "usage": USAGE})
    answer = parts if stream else whole("Hi.", usage=USAGE)
    with serve([answer, answer, Answer(b"{}", status=404)]) as server:
        backend = OpenAIBackend("tiny", base_url=server.url, api_key="k")
        agent = Agent(backend, hooks=[recorder.otel()])
        for _ in range(2):
            list(agent.stream("Go.", session=MemorySessions()["anna"])) if stream else agent.run("Go.")
        with pytest.raises(Exception, match="404"):
            agent.run("Go.")
    found = by_name(recorder)
    durations = found["gen_ai.client.operation.duration"]
    of_all = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.split(":")[2].split("/")[0]),
    }
    assert [(dict(point.attributes), point.count) for point in durations] == [
        (of_all, 2),
        ({**of_all, "error.type": "404"}, 1),
    ]
    assert durations[0].explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert durations[0].explicit_bounds[-1] == pytest.approx(81.92)
    tokens = {point.attributes["gen_ai.token.type"]: point for point in found["gen_ai.client.token.usage"]}
    assert {kind: (point.count, point.sum) for kind, point in tokens.items()} == {"input": (2, 200), "output": (2, 40)}
    assert tokens["input"].explicit_bounds == tuple(4**power for power in range(14))
    assert ("gen_ai.client.operation.time_to_first_chunk" in found) is stream
    assert all(0 <= point.sum < 10 for point in durations)


def test_tools_and_runs_are_measured() -> None:
    recorder = Recorder()
    backend = ScriptedBackend(("look_up", {"topic": "a"}), ("look_up", {"topic": "nothing"}), "Ok.")
    Agent(backend, tools=[look_up], hooks=[recorder.otel("clerk")]).run("Go.")
    found = by_name(recorder)
    of_all = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up", "gen_ai.tool.type": "function"}
    assert [(dict(point.attributes), point.count) for point in found["gen_ai.execute_tool.duration"]] == [
        (of_all, 1),
        ({**of_all, "error.type": "LookupError"}, 1),
    ]
    (run,) = found["gen_ai.invoke_agent.duration"]
    assert dict(run.attributes) == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
    assert run.explicit_bounds[0] == 0.1


def test_a_conversation_is_no_dimension_of_a_metric() -> None:
    recorder = Recorder()
    sessions = MemorySessions()
    replies = [Reply({"role": "assistant", "content": "Hi."}, "stop", Usage(1, 10, 0, 5)) for _ in range(20)]
    agent = Agent(ScriptedBackend(*replies), hooks=[recorder.otel(content=True)])
    for number in range(20):
        agent.run(f"Question {number}", session=sessions[f"s{number}"])
    assert {name: len(points) for name, points in by_name(recorder).items()} == {
        "gen_ai.client.operation.duration": 1,
        "gen_ai.client.token.usage": 2,
        "gen_ai.invoke_agent.duration": 1,
    }


def test_units_are_those_of_the_conventions() -> None:
    recorder = Recorder()
    Agent(ScriptedBackend(("look_up", {"topic": "a"}), "Ok."), tools=[look_up], hooks=[recorder.otel()]).run("Go.")
    data = recorder._reader.get_metrics_data()
    assert data is not None
    units = {each.name: each.unit for each in data.resource_metrics[0].scope_metrics[0].metrics}
    assert set(units.values()) == {"s"}
    assert data.resource_metrics[0].scope_metrics[0].scope.name == "agentkit"
