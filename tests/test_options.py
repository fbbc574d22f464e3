"""The options of one run: instead of the agent's own, and for this run only."""

import asyncio
import threading
import time
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Context, LimitError, Limits, Tool, tool
from agentkit.errors import ToolDefinitionError
from agentkit.event import LimitReached, ToolFinished, ToolStarted
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support.model_server import calls, serve, whole


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


@tool(read_only=True)
def count(text: str) -> int:
    """Count."""
    return len(text)


def test_instructions_tools_and_limits_are_those_of_the_run() -> None:
    backend = ScriptedBackend(("count", {"text": "abc"}), "3.", "Hello.")
    agent = Agent(backend, tools=[look_up], instructions="Be brief.")
    result = agent.run("How long?", instructions="Count.", tools=[count], limits=Limits(turns=1))
    assert (result.output, result.stopped) == ("3.", "turns")
    agent.run("Hi.")
    asked, last, next_run = backend.requests
    assert asked.messages[0] == {"role": "system", "content": "Count."}
    assert [each["function"]["name"] for each in asked.tools] == ["count"]
    assert last.tools == []
    assert next_run.messages[0]["content"] == "Be brief."
    assert [each["function"]["name"] for each in next_run.tools] == ["look_up"]


def test_no_tools_and_no_instructions_can_be_asked_for() -> None:
    backend = ScriptedBackend("Hello.")
    Agent(backend, tools=[look_up], instructions="Be brief.").run("Hi.", tools=[], instructions="")
    assert (backend.requests[0].tools, backend.requests[0].messages[0]["role"]) == ([], "user")


def test_sampling_goes_over_the_backends_own_in_each_request_of_the_run() -> None:
    with serve([calls(("look_up", {"topic": "x"})), whole("Done."), whole("Hello.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[look_up], early_start=False) as agent:
            agent.run("Go.", sampling={"temperature": 0.25, "max_tokens": 9})
            agent.run("Hi.")
        assert [sent(each) for each in server.requests] == [(0.25, 9), (0.25, 9), (None, None)]


def sent(request: Any) -> tuple[Any, Any]:
    return request.body.get("temperature"), request.body.get("max_tokens")


def test_the_options_of_a_resumed_run_are_its_own() -> None:
    backend = ScriptedBackend("One.", "Two.")
    agent = Agent(backend, instructions="Be brief.")
    with MemorySessions() as sessions:
        agent.run("Hi.", session=sessions["a"])
        sessions["a"].append([{"role": "user", "content": "And?"}])
        agent.resume(sessions["a"], instructions="Be long.")
    assert backend.requests[1].messages[0]["content"] == "Be long."


def test_instructions_of_a_run_replace_those_with_which_its_messages_begin() -> None:
    """A conversation that is handed over begins with those of the first agent (pydantic-ai#885, #722, #1402)."""
    first = Agent(ScriptedBackend("Ask the other one."), instructions="You are the first.").run("Who knows?")
    backend = ScriptedBackend(*["I do."] * 4)
    second = Agent(backend, instructions="You are the second.")
    handed_over = [*first.messages, {"role": "user", "content": "Well?"}]
    result = second.run("Well?", messages=first.messages, instructions="You are the second.")
    list(second.stream("Well?", messages=first.messages, instructions="You are the second."))
    second.resume(handed_over, instructions="You are the second.")
    second.run("Well?", messages=first.messages)  # a follow-up keeps what it has
    begin = {"role": "system", "content": "You are the second."}
    assert [each.messages[0] for each in backend.requests] == [begin] * 3 + [first.messages[0]]
    assert [each["role"] for each in result.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert result.new_messages == result.messages[-2:]
    assert first.messages[0]["content"] == "You are the first."


def test_no_instructions_of_a_run_leave_those_of_its_messages() -> None:
    backend = ScriptedBackend("Yes.")
    given = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "Are you?"}]
    Agent(backend, instructions="Be brief.").run(messages=given, instructions="")
    assert [each["content"] for each in backend.requests[0].messages] == ["You are kind.", "Are you?"]


def test_instructions_may_be_a_function_of_the_context() -> None:
    seen: list[Any] = []

    def instructions(ctx: Context[str]) -> str:
        seen.append([each["role"] for each in ctx.messages])
        return f"You help {ctx.deps}."

    backend = ScriptedBackend(("count", {"text": "abc"}), "3.", "Hello.", "And.")
    agent = Agent(backend, tools=[count], instructions=instructions)
    first = agent.run("How long?", deps="ann")
    agent.run("Hi.", deps="bob", messages=first.messages)
    agent.run("Hi.", instructions=lambda ctx: None)
    asked = [each.messages[0] for each in backend.requests]
    texts = ["You help ann.", "You help ann.", "You help bob.", "Hi."]
    assert [each["content"] for each in asked] == texts  # once in a run, and anew in each
    assert seen == [["user"], ["system", "user", "assistant", "tool", "assistant", "user"]]
    assert len(backend.requests[2].messages) == len(first.messages) + 1


def test_instructions_of_a_session_are_those_of_the_run() -> None:
    backend = ScriptedBackend("One.", "Two.")
    agent = Agent(backend, instructions=lambda ctx: f"Session {ctx.session}, {len(ctx.messages)} messages.")
    with MemorySessions() as sessions:
        list(agent.stream("First?", session=sessions["a"]))
        list(agent.stream("Second?", session=sessions["a"]))
        assert [each["role"] for each in sessions["a"].messages] == ["user", "assistant"] * 2
    assert [each.messages[0]["content"] for each in backend.requests] == [
        "Session a, 1 messages.",
        "Session a, 3 messages.",
    ]


@pytest.mark.parametrize(
    ("instructions", "error", "says"),
    [
        (lambda ctx: ctx.deps["user"], TypeError, "not subscriptable"),
        (lambda ctx: 5, ConfigurationError, "<lambda> returned a int: return a str"),
        (lambda ctx: asyncio.sleep(0), ConfigurationError, "<lambda> returned a coroutine"),
    ],
    ids=["raises", "number", "coroutine"],
)
def test_instructions_that_fail_are_an_error_before_anything_is_sent(
    instructions: Any, error: type[Exception], says: str
) -> None:
    backend = ScriptedBackend()
    with MemorySessions() as sessions:
        for ask in (Agent(backend).run, Agent(backend).stream):
            with pytest.raises(error, match=says):
                ask("Hi.", instructions=instructions, session=sessions["a"])
            assert not sessions["a"].is_held
            assert sessions["a"].messages == []
    assert backend.requests == []


@pytest.mark.parametrize("early_start", [True, False])
@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_calls_run_at_once_than_the_agent_says(parallel: int, early_start: bool) -> None:
    running: list[int] = []
    counts: list[int] = []

    @tool(read_only=True)
    def look(number: int) -> int:
        """Look."""
        running.append(number)
        counts.append(len(running))
        time.sleep(0.01)
        running.remove(number)
        return number

    backend = ScriptedBackend([("look", {"number": number}) for number in range(7)], "Done.")
    result = Agent(backend, tools=[look], parallel=parallel, early_start=early_start).run("Go.")
    assert [call.response for call in result.tool_calls] == list("0123456")
    assert max(counts) == parallel


def test_a_slow_call_holds_back_no_other_than_those_beyond_the_limit() -> None:
    ended: list[int] = []
    last = threading.Event()

    @tool(read_only=True)
    def look(number: int) -> int:
        """Look."""
        if number == 0:
            assert last.wait(5)
        ended.append(number)
        if number == 4:
            last.set()
        return number

    backend = ScriptedBackend([("look", {"number": number}) for number in range(5)], "Done.")
    events = list(Agent(backend, tools=[look], parallel=2, early_start=False).stream("Go."))
    assert ended == [1, 2, 3, 4, 0]
    assert [event.record.response for event in events if isinstance(event, ToolFinished)] == list("01234")
    assert len([event for event in events if isinstance(event, ToolStarted)]) == 5


def test_a_tool_without_a_timeout_has_that_of_the_agent() -> None:
    ended = threading.Event()

    @tool
    def hang() -> str:
        """Hang."""
        ended.wait(5)
        return "late"

    @tool
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(5)
        return "late"

    @tool(timeout=5)
    def slow() -> str:
        """Take its time."""
        time.sleep(0.1)
        return "slow"

    backend = ScriptedBackend(("hang", {}), ("wait", {}), ("slow", {}), "Done.")
    result = Agent(backend, tools=[hang, wait, slow], tool_timeout=0.05).run("Go.")
    ended.set()
    late = "Error: {} did not finish within 0.05 seconds."
    assert [call.response for call in result.tool_calls] == [late.format("hang"), late.format("wait"), "slow"]


def test_a_wrong_option_names_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"Agent\.run\(\): unexpected keyword argument 'sesion'.*; valid are .*session"):
        Agent(ScriptedBackend("x")).run("Hi.", sesion=None)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"tool f: unexpected keyword argument 'reed_only'; valid are read_only"):
        Tool("f", "d", {"type": "object"}, print, reed_only=True)  # type: ignore[call-arg]
    with pytest.raises(ToolDefinitionError, match="tool f: timeout=0"):
        Tool("f", "d", {"type": "object"}, print, timeout=0)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("system_prompt", r'here it is instructions="\.\.\."'),
        ("max_turns", r"here it is limits=Limits\(turns="),
        ("temperature", r"agent\.run\(\.\.\., sampling="),
        ("output_type", r"agent\.run\(\.\.\., output=TYPE\)"),
        ("mcp_servers", r"tools=\[MCP\("),
        ("api_key", r"read from the environment"),
        ("instructionss", r"did you mean instructions=\?"),
        ("zzz", r"; valid are tools, instructions"),
    ],
)
def test_an_option_of_another_framework_is_told_as_it_is_written_here(name: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"Agent\(\): unexpected keyword argument '{name}'.*{meant}") as caught:
        Agent(ScriptedBackend("x"), **{name: "sk-a-key"})  # type: ignore[arg-type]
    assert "sk-a-key" not in str(caught.value)


def test_an_option_of_an_agent_is_told_to_a_run_and_to_a_copy() -> None:
    agent = Agent(ScriptedBackend("x"))
    with pytest.raises(TypeError, match=r"Agent\.run\(\).*'max_steps'; here it is limits=Limits\(turns="):
        agent.run("Hi.", max_steps=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"'temperature'; here it is agent\.run"):
        agent.run("Hi.", temperature=0)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"did you mean limits=\?"):
        agent.replace(limit=None)


def test_a_subclass_may_have_options_of_its_own() -> None:
    class Polite(Agent):
        def __init__(self, model: Any, *, temperature: float) -> None:
            self.warmth = temperature
            super().__init__(model)

    class Plain(Agent):
        pass

    assert Polite(ScriptedBackend("x"), temperature=1).warmth == 1
    assert Plain(model=ScriptedBackend("x")).run("Hi.").output == "x"
    with pytest.raises(TypeError, match="limits=Limits"):
        Plain(ScriptedBackend("x"), max_turns=3)  # type: ignore[call-arg]


def test_a_limit_that_raises_stores_no_request_for_an_answer() -> None:
    agent = Agent(ScriptedBackend(("look_up", {"topic": "x"})), tools=[look_up])
    with MemorySessions() as sessions:
        run = agent.stream("Go.", session=sessions["a"], limits=Limits(turns=1, on_limit="raise"))
        events = []
        with pytest.raises(LimitError, match="reached its limit: turns") as raised:
            events += list(run)
        assert not any(isinstance(event, LimitReached) for event in events)
        assert sessions["a"].messages == []
    assert raised.value.messages[-1]["role"] == "tool"  # type: ignore[attr-defined]


def test_a_context_has_the_deps_of_its_type_and_the_messages_of_the_run() -> None:
    seen: list[Any] = []

    @tool
    def record(topic: str, ctx: Context[dict[str, str]]) -> str:
        """Record."""
        seen.append((ctx.deps["user"], [each["role"] for each in ctx.messages]))
        return topic

    assert list(record.parameters["properties"]) == ["topic"]
    Agent(ScriptedBackend(("record", {"topic": "x"}), "Done."), tools=[record]).run("Go.", deps={"user": "ann"})
    assert seen == [("ann", ["user", "assistant"])]


def test_a_hand_written_tool_takes_the_context_by_the_name_of_its_parameter() -> None:
    def record(topic: str, run: Context) -> str:
        return f"{topic} for {run.deps}"

    schema = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    made = Tool("record", "Records.", schema, record, context="run")
    result = Agent(ScriptedBackend(("record", {"topic": "x"}), "Done."), tools=[made]).run("Go.", deps="ann")
    assert result.tool_calls[0].response == "x for ann"


@pytest.mark.parametrize(
    "options",
    [
        {"retries": 1.5},
        {"retries": True},
        {"max_result": 10.5},
        {"max_result": 1e4},
        {"max_result": "50"},
        {"read_only": "no"},
        {"ends_run": "no"},
        {"isolate": 1},
        {"shared": "x"},
        {"timeout": "5"},
        {"timeout": True},
        {"memory": 1e9, "isolate": True},
        {"cache": "60", "read_only": True},
    ],
    ids=str,
)
def test_an_option_of_a_wrong_type_is_an_error_before_any_call(options: Any) -> None:
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    with pytest.raises(ToolDefinitionError, match=f"tool pay: {next(iter(options))}="):
        tool(**options)(pay)
