"""Agents as tools of agents: spending, limits and cancellation are shared with nested runs."""

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Context, Hook, Limits, MemorySessions, Run, Usage, tool
from agentkit.backend import ReplyStream, Request
from agentkit.event import Reply, ToolProgress
from agentkit.hooks import Cache, Proceed, ToolCallRequest
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome


def spending(text: str, tokens: int) -> Reply:
    return Reply({"role": "assistant", "content": text}, "stop", Usage(requests=1, input_tokens=tokens))


@tool(read_only=True)
def look_up(topic: str, ctx: Context) -> str:
    """Look something up."""
    return f"{topic}: {ctx.deps}"


def test_an_agent_is_a_tool_of_another() -> None:
    inner = ScriptedBackend(("look_up", {"topic": "tides"}), "High at noon.")
    outer = ScriptedBackend(("expert", {"task": "When is the tide high?"}), "At noon.")
    expert = Agent(inner, tools=[look_up], instructions="You know tides.")
    agent = Agent(outer, tools=[expert.as_tool("expert", "Knows all about tides.")])
    result = agent.run("Tide?", deps="the almanac")
    assert result.output == "At noon."
    assert result.tool_calls[0].response == "High at noon."
    assert inner.requests[0].messages == [
        {"role": "system", "content": "You know tides."},
        {"role": "user", "content": "When is the tide high?"},
    ]
    assert "tides: the almanac" in str(inner.requests[1].messages[-1]["content"])
    (schema,) = outer.requests[0].tools
    assert schema["function"]["name"] == "expert"
    assert list(schema["function"]["parameters"]["properties"]) == ["task"]


def test_what_nested_agents_spend_is_spent_by_the_outer_one() -> None:
    inner = ScriptedBackend(spending("Inner.", 300))
    outer = ScriptedBackend(("expert", {"task": "x"}), spending("Outer.", 50))
    result = Agent(outer, tools=[Agent(inner).as_tool("expert", "Knows.")]).run("Go.")
    assert result.usage.input_tokens == 350
    assert result.usage.requests == 3


def test_the_outer_limits_hold_for_nested_agents() -> None:
    def inner_reply(messages: list[Any]) -> Any:
        if "No more tool calls" in str(messages[-1]["content"]):
            return spending("Enough.", 100)
        return Reply(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"c{len(messages)}",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": f'{{"topic": "{len(messages)}"}}'},
                    }
                ],
            },
            "tool_calls",
            Usage(requests=1, input_tokens=100),
        )

    inner = ScriptedBackend(*[inner_reply] * 30)
    outer = ScriptedBackend(("expert", {"task": "x"}), "Done.", "Done.")
    expert = Agent(inner, tools=[look_up]).as_tool("expert", "Knows.")
    result = Agent(outer, tools=[expert], limits=Limits(tokens=500)).run("Go.")
    assert result.stopped == "tokens"
    assert len(inner.requests) == 5
    assert result.usage.input_tokens <= 500
    assert "stopped early: tokens" in result.tool_calls[0].response


def test_nested_agents_in_threads_share_one_budget() -> None:
    inner = ScriptedBackend(*[spending("Inner.", 10)] * 24)
    expert = Agent(inner).as_tool("expert", "Knows.", read_only=True)
    outer = ScriptedBackend([("expert", {"task": str(number)}) for number in range(24)], "Done.")
    result = Agent(outer, tools=[expert]).run("Go.")
    assert result.usage.input_tokens == 240
    assert result.usage.requests == 26


def test_the_context_of_a_trace_passes_down() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
    seen = []

    @tool(read_only=True, timeout=5)
    def look(topic: str) -> str:
        """Look."""
        seen.append(trace.get())
        return topic

    inner = ScriptedBackend([("look", {"topic": "a"}), ("look", {"topic": "b"})], "Inner.")
    expert = Agent(inner, tools=[look], limits=Limits(seconds=20)).as_tool("expert", "Knows.", read_only=True)
    trace.set("trace-1")
    Agent(ScriptedBackend(("expert", {"task": "x"}), "Outer."), tools=[expert]).run("Go.", cancel=threading.Event())
    assert seen == ["trace-1", "trace-1"]


def test_cancelling_passes_down() -> None:
    cancel = threading.Event()

    @tool(read_only=True)
    def wait() -> str:
        """Wait."""
        cancel.set()
        time.sleep(0.2)
        return "waited"

    inner = ScriptedBackend(("wait", {}), "Never.")
    outer = ScriptedBackend(("expert", {"task": "x"}), "Never.")
    agent = Agent(outer, tools=[Agent(inner, tools=[wait]).as_tool("expert", "Knows.")])
    result = agent.run("Go.", cancel=cancel)
    assert result.stopped == "cancelled"
    assert len(inner.requests) == 1
    assert len(outer.requests) == 1


class Expert(ScriptedBackend):
    """Calls a tool again and again. asked: set when it has been asked twice."""

    def __init__(self) -> None:
        super().__init__(*[("look_up", {"topic": str(number)}) for number in range(60)], "Never.")
        self.asked = threading.Event()

    def reply(self, request: Request) -> ReplyStream:
        if self.requests:
            self.asked.set()
        time.sleep(0.02)
        yield from super().reply(request)

    def has_stopped(self) -> bool:
        """Whether it is asked no more, within a second."""
        time.sleep(0.3)
        before = len(self.requests)
        time.sleep(0.3)
        return 2 <= len(self.requests) == before < 50


def leaves_the_loop(run: Run[str], expert: Expert) -> None:
    for event in run:
        if isinstance(event, ToolProgress) and expert.asked.wait(5):
            break
    run.close()


def leaves_the_block(run: Run[str], expert: Expert) -> None:
    with run:
        next(event for event in run if isinstance(event, ToolProgress))
        assert expert.asked.wait(5)


def raises_in_the_block(run: Run[str], expert: Expert) -> None:
    with contextlib.suppress(KeyboardInterrupt), run:
        next(event for event in run if isinstance(event, ToolProgress))
        assert expert.asked.wait(5)
        raise KeyboardInterrupt


def lets_it_go(run: Run[str], expert: Expert) -> None:
    next(event for event in run if isinstance(event, ToolProgress))
    assert expert.asked.wait(5)


@pytest.mark.parametrize("leave", [leaves_the_loop, leaves_the_block, raises_in_the_block, lets_it_go])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("session", [False, True])
def test_agents_in_tools_end_when_the_reader_leaves_the_run(
    leave: Callable[[Run[str], Expert], None], depth: int, session: bool
) -> None:
    expert = Expert()
    agent = Agent(expert, tools=[look_up], limits=Limits(turns=100))
    for number in range(depth):
        asks = ScriptedBackend((f"expert{number}", {"task": "x"}), "Never.")
        agent = Agent(asks, tools=[agent.as_tool(f"expert{number}", "Knows.")])
    with MemorySessions() as sessions:
        leave(agent.stream("Go.", session=sessions["a"] if session else None), expert)
        assert expert.has_stopped()
        assert not sessions["a"].is_held


def test_agents_in_tools_end_with_a_call_that_has_hooks_and_was_approved() -> None:
    class Around(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call)

    expert = Expert()
    inner = Agent(expert, tools=[look_up], limits=Limits(turns=100)).as_tool("expert", "Knows.", approve=True)
    agent = Agent(ScriptedBackend(("expert", {"task": "x"}), "Never."), tools=[inner], hooks=[Around()])
    waiting = agent.run("Go.")
    approve = {waiting.pending[0].id: True}
    leaves_the_block(agent.stream(messages=waiting.messages, approve=approve), expert)
    assert expert.has_stopped()


def test_the_calls_of_nested_agents_are_reported_as_progress() -> None:
    inner = ScriptedBackend(("look_up", {"topic": "tides"}), "High at noon.")
    outer = ScriptedBackend(("expert", {"task": "x"}), "At noon.")
    agent = Agent(outer, tools=[Agent(inner, tools=[look_up]).as_tool("expert", "Knows.")])
    reported = [event.text for event in agent.stream("Go.") if isinstance(event, ToolProgress)]
    assert reported == ['expert: look_up({"topic": "tides"})']


def test_the_error_of_a_nested_agent_is_returned_to_the_outer_model() -> None:
    inner = ScriptedBackend(ValueError("no model"))
    outer = ScriptedBackend(("expert", {"task": "x"}), "It failed.")
    result = Agent(outer, tools=[Agent(inner).as_tool("expert", "Knows.")]).run("Go.")
    assert result.output == "It failed."
    assert "no model" in (result.tool_calls[0].error or "")


@dataclass
class City:
    name: str
    people: int


OSLO = ("final_answer", {"name": "Oslo", "people": 717_710})


def test_an_agent_that_is_a_tool_may_answer_with_a_type() -> None:
    expert = Agent(ScriptedBackend(OSLO)).as_tool("expert", "Knows cities.", output=City)
    result = Agent(ScriptedBackend(("expert", {"task": "Which?"}), "Oslo."), tools=[expert]).run("Go.")
    assert result.tool_calls[0].response == '{"name":"Oslo","people":717710}'
    assert Agent(ScriptedBackend(OSLO)).as_tool("e", "d", output=City)(task="x", ctx=Context()) == City("Oslo", 717710)
    bad = Agent(ScriptedBackend("No.", "No.", "No.")).as_tool("expert", "Knows cities.", output=City)
    result = Agent(ScriptedBackend(("expert", {"task": "Which?"}), "Sorry."), tools=[bad]).run("Go.")
    assert "gave no valid answer of type City" in (result.tool_calls[0].error or "")


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_runs_an_agent_within_the_budget_of_its_run(stream: bool) -> None:
    seen: list[Any] = []

    @tool
    def plan(ctx: Context) -> str:
        """Plan."""
        city = ctx.run(
            Agent(ScriptedBackend(("look_up", {"topic": "x"}), OSLO), tools=[look_up]), "Which?", output=City
        )
        text = ctx.run(Agent(ScriptedBackend(spending("Near.", 300))), "Where?")
        seen.append((city.output, text.output, city.tool_calls[0].response))
        return city.output.name

    agent = Agent(ScriptedBackend(("plan", {}), spending("Outer.", 50)), tools=[plan])
    run = agent.stream("Go.", deps="the almanac")
    reported = [event.text for event in run if isinstance(event, ToolProgress)]
    result = agent.run("Go.", deps="x") if run.result is None else run.result
    assert seen == [(City("Oslo", 717710), "Near.", "x: the almanac")]
    assert reported == ['look_up({"topic": "x"})', 'final_answer({"name": "Oslo", "people": 717710})']
    assert (result.usage.requests, result.usage.input_tokens, result.usage.tool_calls) == (5, 350, 3)


@pytest.mark.parametrize(
    ("limits", "stopped"),
    [(Limits(tokens=250), "tokens"), (Limits(tool_calls=4), "tool_calls"), (Limits(cost=2.5), "cost")],
    ids=["tokens", "tool_calls", "cost"],
)
def test_the_limits_of_a_run_hold_for_the_agents_that_its_tools_run(limits: Limits, stopped: str) -> None:
    seen: list[Any] = []

    def inner_reply(messages: list[Any]) -> Any:
        message: Any = {"role": "assistant", "content": "Enough."}
        if "No more tool calls" not in str(messages[-1]["content"]):
            function = {"name": "look_up", "arguments": f'{{"topic": "{len(messages)}"}}'}
            call = {"id": f"c{len(messages)}", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return Reply(message, "stop", Usage(requests=1, input_tokens=50, cost=0.5))

    @tool
    def plan(ctx: Context) -> str:
        """Plan."""
        seen.append(ctx.run(Agent(ScriptedBackend(*[inner_reply] * 30), tools=[look_up]), "Which?"))
        return "planned"

    outer = ScriptedBackend(Reply(calling("plan"), "stop", Usage(1, cost=0.0)), "Done.")
    Agent(outer, tools=[plan], limits=limits).run("Go.")
    assert (seen[0].stopped, seen[0].output) == (stopped, "Enough.")
    assert seen[0].usage.requests <= 5


def calling(name: str) -> Any:
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def test_an_agent_in_a_tool_stops_when_its_tool_has_taken_too_long() -> None:
    gone = threading.Event()
    turns: list[int] = []

    def turn(messages: list[Any]) -> Any:
        turns.append(len(messages))
        gone.wait(5)
        return ("look_up", {"topic": str(len(messages))})

    expert = Agent(ScriptedBackend(*[turn] * 5), tools=[look_up]).as_tool("expert", "Knows.", timeout=0.05)
    result = Agent(ScriptedBackend(("expert", {"task": "x"}), "Late."), tools=[expert]).run("Go.")
    gone.set()
    assert result.tool_calls[0].error == "Error: expert did not finish within 0.05 seconds."
    time.sleep(0.1)
    assert turns == [1]


def test_what_a_tool_runs_has_to_be_an_agent() -> None:
    context: Any = Context()
    with pytest.raises(ConfigurationError, match=r"ctx\.run\('expert', \.\.\.\): the first argument is the agent"):
        context.run("expert", "Which?")
    with pytest.raises(ConfigurationError, match="cancelled with the run"):
        context.run(Agent(ScriptedBackend()), "Which?", cancel=threading.Event())
    with pytest.raises(TypeError, match=r"Context\.run\(\): unexpected keyword argument 'outptu'"):
        context.run(Agent(ScriptedBackend()), "Which?", outptu=City)
    assert context.run(Agent(ScriptedBackend("Alone.")), "Which?").output == "Alone."


def endless(started: threading.Barrier | None = None) -> Any:
    """A model that calls tools until its last reply; its first reply waits for those of the others."""

    def reply(messages: list[Any]) -> Any:
        if started is not None and len(messages) == 1:
            started.wait(5)
        if "No more tool calls" in str(messages[-1]["content"]):
            return Reply({"role": "assistant", "content": "Enough."}, "stop", Usage(1, 10))
        functions = [{"name": "look_up", "arguments": f'{{"topic": "{len(messages)}-{place}"}}'} for place in range(3)]
        calls = [{"id": f"c{place}", "type": "function", "function": each} for place, each in enumerate(functions)]
        message: Any = {"role": "assistant", "content": None, "tool_calls": calls}
        return Reply(message, "tool_calls", Usage(1, 10))

    return reply


def outer_reply(count: int) -> Any:
    functions = [{"name": "expert", "arguments": f'{{"task": "{place}"}}'} for place in range(count)]
    calls = [{"id": f"c{place}", "type": "function", "function": each} for place, each in enumerate(functions)]
    message: Any = {"role": "assistant", "content": None, "tool_calls": calls}
    return Reply(message, "tool_calls", Usage(1, 10))


def test_concurrent_nested_agents_run_no_more_calls_than_the_limit() -> None:
    ran = []

    @tool(read_only=True)
    def look_up(topic: str) -> str:
        """Look something up."""
        ran.append(topic)
        time.sleep(0.02)
        return f"{topic} {len(ran)}"

    inner = ScriptedBackend(*[endless(threading.Barrier(8))] * 200)
    expert = Agent(inner, tools=[look_up]).as_tool("expert", "Knows.", read_only=True)
    result = Agent(ScriptedBackend(outer_reply(8), "Done."), tools=[expert], limits=Limits(tool_calls=30)).run("Go.")
    assert result.output == "Done."
    assert result.usage.tool_calls == 30
    assert len(ran) == 30 - 8  # the experts are calls too


@pytest.mark.parametrize("tokens", [150, 400, 1000])
def test_concurrent_nested_agents_spend_no_more_tokens_than_the_limit(tokens: int) -> None:
    inner = ScriptedBackend(*[endless()] * 200)
    expert = Agent(inner, tools=[look_up], limits=Limits(turns=None)).as_tool("expert", "Knows.", read_only=True)
    outer = ScriptedBackend(outer_reply(4), Reply({"role": "assistant", "content": "Done."}, "stop", Usage(1, 10)))
    result = Agent(outer, tools=[expert], limits=Limits(tokens=tokens)).run("Go.")
    assert result.output == "Done."
    assert all("stopped early: tokens" in record.response for record in result.tool_calls)
    assert tokens - 60 <= result.usage.input_tokens <= tokens


@pytest.mark.parametrize("kept_by", ["tool", "hook", "own tool"])
@pytest.mark.parametrize("output", [str, list[str]])
def test_an_answer_that_the_limits_of_a_run_cut_short_is_not_kept_for_others(output: Any, kept_by: str) -> None:
    def think(messages: Any) -> Any:
        if "No more tool calls" in str(messages[-1]["content"]):
            return '["not known"]'
        return '["the fact"]' if messages[-1]["role"] == "tool" else ("look_up", {"topic": "x"})

    inner = Agent(ScriptedBackend(*[think] * 9), tools=[look_up])
    cache = 60 if kept_by != "hook" else None

    @tool(name="expert", read_only=True, cache=cache)
    def own(task: str, ctx: Context) -> Any:
        """Ask an agent."""
        return ctx.run(inner, task, output=output)

    expert = (
        own if kept_by == "own tool" else inner.as_tool("expert", "Knows.", output=output, read_only=True, cache=cache)
    )
    hooks = [Cache(60)] if kept_by == "hook" else []

    def asked(limits: Limits | None) -> str:
        backend = ScriptedBackend(("expert", {"task": "t"}), "Done.")
        made = Agent(backend, tools=[expert], limits=limits, hooks=hooks).run("Go.")
        return made.tool_calls[0].response

    assert "not known" in asked(Limits(tool_calls=1))
    assert [asked(None) for _ in range(2)] == ['["the fact"]'] * 2
