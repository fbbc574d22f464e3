"""How hooks, middleware, guardrails and callbacks break for users of other projects, through ours, on real servers."""

import contextvars
import copy
import dataclasses
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agentkit import Agent, ConfigurationError, Context, Hook, Limits, Result, SQLiteSessions, ToolError, tool
from agentkit.backend import Request
from agentkit.errors import HookError
from agentkit.event import (
    Event,
    OutputDelta,
    ReasoningDelta,
    ReplyDiscarded,
    ReplyFinished,
    RunFinished,
    TextDelta,
    ToolStarted,
)
from agentkit.hooks import Proceed, Redact, Refused, Reply, Streamed, ToolCallRequest
from agentkit.message import Message, user
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome
from agentkit.transcript import Transcript
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, Asked, ModelServer, delta, serve, streamed, whole

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
Step = str | dict[str, Any] | list[tuple[str, dict[str, Any]]]
"""A reply: a text, the fields of a message, or calls."""


def message_of(step: Step) -> dict[str, Any]:
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    if isinstance(step, dict):
        return {"role": "assistant", **step}
    calls = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(step)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def chunks_of(message: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
    for field in ("reasoning_content", "content"):
        text = message.get(field) or ""
        yield from (delta(**{field: text[start : start + size]}) for start in range(0, len(text), size))
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield delta(tool_calls=[{"index": index, **call, "function": {**function, "arguments": ""}}])
        text = function["arguments"]
        for start in range(0, len(text), size):
            part = {"index": index, "function": {"arguments": text[start : start + size]}}
            yield delta(tool_calls=[part])


@contextmanager
def playing(*steps: Step, size: int = 3) -> Iterator[ModelServer]:
    """A chat completions server that plays these replies, streamed in pieces of `size` where that is asked for."""
    count = iter(range(len(steps)))

    def answer(asked: Asked) -> Answer:
        message = message_of(steps[next(count)])
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        if asked.body.get("stream"):
            return streamed(*chunks_of(message, size), delta(reason))
        return whole(message, finish_reason=reason)

    with serve(answer) as server:
        yield server


@contextmanager
def agent_of(*steps: Step, size: int = 3, **options: Any) -> Iterator[tuple[Agent, ModelServer]]:
    with playing(*steps, size=size) as server, Agent(f"openai:m@{server.url}", **options) as agent:
        yield agent, server


def ask(agent: Agent, stream: bool, prompt: str | None = "Go on.", **options: Any) -> tuple[Result[Any], list[Event]]:
    if not stream:
        return agent.run(prompt, **options), []
    with agent.stream(prompt, **options) as run:
        events = list(run)
    assert run.result is not None
    return run.result, events


def everything(result: Result[Any], events: list[Event]) -> str:
    """All that a reader of the events, and of the result, can get to see."""
    return repr([*events, result.output, result.messages, result.tool_calls])


done: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


@tool(read_only=True)
def look(topic: str) -> str:
    """Look something up."""
    done.append(topic)
    return f"about {topic}"


@tool
def pay(amount: int, to: str = "Ann") -> str:
    """Pay."""
    done.append((amount, to))
    return f"paid {amount} to {to}"


@tool(approve=True)
def wire(amount: int) -> str:
    """Wire money."""
    done.append(amount)
    return f"wired {amount}"


@tool
def delete(amount: int = 0) -> str:
    """Delete everything."""
    done.append("deleted")
    return "deleted"


class Guard(Hook):
    """Holds replies back that have a word in them."""

    def __init__(self, word: str = "sekret") -> None:
        self.word = word

    def after_model(self, reply: Reply) -> str | None:
        return "I can't say that." if self.word in json.dumps(reply.message) else None


# Replies: what is streamed, and what is kept


@BOTH
@pytest.mark.parametrize("where", ["content", "reasoning_content"])
def test_nothing_of_a_guarded_reply_is_shown_or_kept(stream: bool, where: str, tmp_path: Path) -> None:
    """langchain-ai/langchain#35011, openai/openai-agents-python#495, #2758, api7/aisix#204."""
    reply = {"content": "Here you are.", where: "It is a sekret, as I said."}
    sessions = SQLiteSessions(tmp_path / "s.db")
    with agent_of(reply, "Fine.", hooks=[Guard()]) as (agent, server):
        result, events = ask(agent, stream, session=sessions["a"])
        assert result.output == "I can't say that."
        assert "sekret" not in everything(result, events)
        assert "sekret" not in json.dumps(list(sessions["a"].messages))
        ask(agent, stream, session=sessions["a"])
        assert b"sekret" not in server.requests[1].raw


@BOTH
def test_a_guard_on_the_input_comes_before_tokens_and_tools(stream: bool) -> None:
    """openai/openai-agents-python#300, #959, #991, #624: the answer streams, and tools run, before the guard trips."""

    class InputGuard(Hook):
        def before_model(self, request: Request) -> Reply | None:
            return Reply.text("No.") if "password" in str(request.transcript[-1]["content"]) else None

    with agent_of([("delete", {})], tools=[delete], hooks=[InputGuard()]) as (agent, server):
        result, events = ask(agent, stream, "My password?")
    assert (result.output, server.requests, done) == ("No.", [], [])
    assert [event.text for event in events if isinstance(event, TextDelta)] == (["No."] if stream else [])


@BOTH
def test_what_a_hook_asks_of_another_model_is_no_part_of_the_answer(stream: bool) -> None:
    """langchain-ai/langchain#34382: the tokens of a model that a middleware asks are in the stream of the agent."""
    with agent_of("The verdict is: safe.") as (judge, _):

        class Judged(Hook):
            def after_model(self, reply: Reply) -> str | None:
                return None if "safe" in judge.run(reply.text).output else "No."

        with agent_of("Blue.", hooks=[Judged()]) as (agent, _):
            result, events = ask(agent, stream)
    assert result.output == "Blue."
    assert "verdict" not in everything(result, events)
    assert result.usage.requests == 1


@BOTH
def test_a_hook_sees_the_calls_of_a_reply_before_any_of_them_starts(stream: bool) -> None:
    """yaalalabs/agent-kernel#670, microsoft/semantic-kernel#6645: hooks of streamed runs never see the tool calls."""
    seen: list[Any] = []

    class Watching(Hook):
        def after_model(self, reply: Reply) -> None:
            seen.append(([call["function"]["name"] for call in reply.message.get("tool_calls") or ()], list(done)))

    with agent_of(
        [("look", {"topic": "a"}), ("pay", {"amount": 3})], "Done.", tools=[look, pay], hooks=[Watching()]
    ) as (
        agent,
        _,
    ):
        ask(agent, stream)
    assert seen == [(["look", "pay"], []), ([], ["a", (3, "Ann")])]


SPLIT = [
    (r"sk-ant-[a-zA-Z0-9-]{10,40}", "Here is the key: sk-ant-api03-abcdef1234567890 done"),
    (r"\d{3}-\d{2}-\d{4}", "SSN 123-45-6789 ok, and 987-65-4321."),
    (r"Authorization: (?:Basic|Bearer) \S{1,30}", "x Authorization: Basic dXNlcjpwYXNzd29yZDEyMw== y z"),
    (r"(?i)system\s{1,9}prompt\s{0,9}[:=]", "my system prompt: be nice, my SYSTEM \n PROMPT = x"),
    (r"[\w.]{1,20}@[\w.]{1,20}", "Contact bob@acme.com now, or jo@x.de."),
]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(("pattern", "text"), SPLIT, ids=["key", "number", "header", "words", "address"])
def test_what_is_split_between_chunks_is_filtered(pattern: str, text: str, size: int) -> None:
    """mastra-ai/mastra#21049, #23783, elizaOS/eliza#15348, NVIDIA-AI-Blueprints/aiq#292, BerriAI/litellm#35257."""
    text = f"{'Some words before. ' * 6}{text}{' And some after.' * 6}"
    expected = re.sub(pattern, "[*]", text)
    with agent_of(text, size=size, hooks=[Streamed(lambda text: re.sub(pattern, "[*]", text))]) as (agent, _):
        result, events = ask(agent, stream=True)
    shown = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(shown) == result.output == expected
    assert len(shown) > 1 or size == 1000
    assert not any(isinstance(event, ReplyDiscarded) for event in events)


def test_a_filter_holds_in_the_text_alone_and_over_a_broken_stream() -> None:
    """mastra-ai/mastra#24189: where a stream ends, or begins anew, what was held back is lost or shown unfiltered."""
    text = f"{'word ' * 30}my key is sk-abcdefgh1234"
    broken = streamed(*chunks_of(message_of(text), 4), done=False, cut=True)
    good = streamed(*chunks_of(message_of(text), 5), delta("stop"))
    masked = text.replace("sk-abcdefgh1234", "[k]")
    hook = Streamed(lambda text: re.sub(r"sk-\w{8,40}", "[k]", text))
    with serve([broken, good]) as server, Agent(f"openai:m@{server.url}", hooks=[hook]) as agent:
        assert "".join(agent.stream_text("Go on.")) == masked
        assert len(server.requests) == 2


@BOTH
def test_a_typed_answer_is_filtered_however_it_arrives(stream: bool) -> None:
    """langchain-ai/langchain#35011 and agno-agi/agno#5068: a typed output is no text, so nothing filters it."""

    class Note(BaseModel):
        title: str
        tags: list[str]

    hook = Streamed(lambda text: re.sub(r"sk-\w{8,40}", "[k]", text))
    answer = {"title": "It is sk-abcdefgh12", "tags": ["sk-ABCDEFGH12", "x"]}
    by_call = ask(Agent(ScriptedBackend(("final_answer", answer)), hooks=[hook]), stream, output=Note)
    with agent_of(json.dumps(answer), hooks=[hook]) as (agent, _):
        by_text = ask(agent, stream, output=Note)
    for result, events in (by_call, by_text):
        assert result.output == Note(title="It is [k]", tags=["[k]", "x"])
        assert "sk-" not in everything(result, events)
        assert any(isinstance(event, OutputDelta) for event in events) == stream


def test_reasoning_is_filtered_where_it_ends_and_shown_before_the_text() -> None:
    """langchain4j/langchain4j#4316, managoat/fountain#2359: what is held back of reasoning comes last."""
    thoughts = f"{'Let me see. ' * 20}The key is sk-abcdefgh1234"
    hook = Streamed(lambda text: re.sub(r"sk-\w{8,40}", "[k]", text))
    with agent_of({"reasoning_content": thoughts, "content": "It is 42."}, hooks=[hook]) as (agent, _):
        result, events = ask(agent, stream=True)
    kinds = [type(event) for event in events if isinstance(event, TextDelta | ReasoningDelta)]
    assert kinds == sorted(kinds, key=[ReasoningDelta, TextDelta].index)
    shown = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert shown == thoughts.replace("sk-abcdefgh1234", "[k]")
    assert "sk-" not in everything(result, events)


def test_reasoning_that_a_filter_changes_too_late_is_shown_anew() -> None:
    text = f"{'x' * 80}<pem>{'k' * 100}</pem> and on"

    class Pieces(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            yield from map(ReasoningDelta, re.findall(r".{1,7}", text))
            yield TextDelta("Ok.")
            yield Reply({"role": "assistant", "content": "Ok.", "reasoning_content": text}, "stop")

    agent = Agent(Pieces(), hooks=[Streamed(lambda text: re.sub(r"<pem>.*</pem>", "[pem]", text), lookback=16)])
    _, events = ask(agent, stream=True)
    at = next(place for place, event in enumerate(events) if isinstance(event, ReplyDiscarded))
    shown = [(type(event), event.text) for event in events[at:] if isinstance(event, TextDelta | ReasoningDelta)]
    assert shown == [(ReasoningDelta, f"{'x' * 80}[pem] and on"), (TextDelta, "Ok.")]


PATTERNS = [
    *((r"\bcat\b", "#"), (r"(?<=id:)\d{3,6}", "#"), (r"\d{4}(?!\d)", "#"), (r"sk-\w{3,6}", "[k]"), (r"ab", "b")),
    *((r"(?m)^>.{0,5}", "Q"), (r"[ \t]{2,9}", " "), (r"a(?=b)", "@"), (r"\d{2}$", "##"), (r"(\w)\1", r"\1")),
    *((r"Auth: (Basic|Bearer) \w{2,6}", "[auth]"), (r"(?<!x)y{2}", "Y"), (r"(?i)secret", ""), (r"a", "aa")),
]
PARTS = st.sampled_from(
    ["cat", " ", "id:", "12", "3456", "sk-", "ab", "c", "\n", ">", "x", "y", "Auth: ", "Basic ", "sec"]
)


@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
    st.lists(PARTS, max_size=60).map("".join),
    st.lists(st.integers(1, 12), min_size=1, max_size=9),
    st.sampled_from([16, 24, 64]),
)
@settings(max_examples=100, deadline=None)
def test_a_filter_with_lookarounds_and_anchors_shows_what_it_makes_of_the_whole(
    patterns: list[tuple[str, str]], text: str, sizes: list[int], lookback: int
) -> None:
    text = text if text.strip() else "."  # an empty reply is asked for again

    def made(text: str) -> str:
        for pattern, instead in patterns:
            text = re.sub(pattern, instead, text)
        return text

    class Pieces(ScriptedBackend):
        def reply(self, request: Request) -> Any:
            at, number = 0, 0
            while at < len(text):
                size = sizes[number % len(sizes)]
                yield TextDelta(text[at : at + size])
                at, number = at + size, number + 1
            yield Reply({"role": "assistant", "content": text}, "stop")

    _, events = ask(Agent(Pieces(), hooks=[Streamed(made, lookback=lookback)]), stream=True)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == made(text)
    assert not any(isinstance(event, ReplyDiscarded) for event in events)


# Tool calls


@BOTH
def test_each_call_passes_the_hook_alone_or_in_parallel_early_or_not(stream: bool) -> None:
    """google/adk-python#4704, #4181: callbacks are skipped in the live (streamed) path of tool calls."""
    seen: list[str] = []

    class Noting(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            seen.append(f"before {call.name}")
            result = proceed(call)
            seen.append(f"after {call.name}")
            return result

    calls: Step = [("look", {"topic": "a"}), ("look", {"topic": "b"}), ("pay", {"amount": 1})]
    with agent_of(calls, [("look", {"topic": "c"})], "Done.", tools=[look, pay], hooks=[Noting()]) as (agent, _):
        ask(agent, stream)
    assert sorted(seen) == ["after look"] * 3 + ["after pay"] + ["before look"] * 3 + ["before pay"]
    assert done[2:] == [(1, "Ann"), "c"]


@BOTH
def test_a_hook_is_around_the_call_not_before_it(stream: bool) -> None:
    """agno-agi/agno#2359: the hook that is to run after the function runs before it."""

    class After(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            result = proceed(call)
            done.append(f"after: {result.text}")
            return result

    with agent_of([("pay", {"amount": 2})], "Done.", tools=[pay], hooks=[After()]) as (agent, _):
        ask(agent, stream)
    assert done == [(2, "Ann"), "after: paid 2 to Ann"]


def in_place(call: ToolCallRequest) -> ToolCallRequest:
    call.arguments["amount"] = 50
    return call


CHANGES: dict[str, Callable[[ToolCallRequest], ToolCallRequest]] = {
    "replace": lambda call: call.replace(arguments={**call.arguments, "amount": 50}),
    "dataclasses": lambda call: dataclasses.replace(call, arguments={**call.arguments, "amount": 50}),
    "in place": in_place,
}


@BOTH
@pytest.mark.parametrize("how", CHANGES)
def test_changed_arguments_run_whatever_the_other_hooks_do(how: str, stream: bool) -> None:
    """anthropics/claude-code#79321, #15897, #16117, github/copilot-cli#2013: a rewritten input is silently ignored, or
    lost where another hook returns nothing of its own."""

    class Capped(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(CHANGES[how](call))

    class Passing(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call)

    hooks = [Passing(), Capped(), Passing()]
    with agent_of([("pay", {"amount": 900, "to": "Bob"})], "Done.", tools=[pay], hooks=hooks) as (agent, _):
        ask(agent, stream)
    assert done == [(50, "Bob")]


def test_changes_inside_of_arguments_run_too() -> None:
    @tool
    def send(names: list[str], note: dict[str, Any]) -> str:
        """Send."""
        done.append((names, note))
        return "sent"

    class Cleaned(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            call.arguments["names"].remove("Eve")
            return proceed(call)

    call = ("send", {"names": ["Ann", "Eve"], "note": {"a": 1}})
    Agent(ScriptedBackend(call, "Done."), tools=[send], hooks=[Cleaned()]).run("Go on.")
    assert done == [(["Ann"], {"a": 1})]


@BOTH
def test_arguments_that_a_hook_leaves_out_are_missing_and_told(stream: bool) -> None:
    """anthropics/claude-code#30770: a rewritten input replaces the whole one, and crashes what comes behind it."""

    class Half(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call.replace(arguments={"to": "Bob"}))

    with agent_of([("pay", {"amount": 9})], "Done.", tools=[pay], hooks=[Half()]) as (agent, _):
        result, _ = ask(agent, stream)
    assert done == []
    assert "amount" in str(result.messages[2]["content"])


def test_what_a_hook_does_not_change_of_a_call_stays_as_it_was_written() -> None:
    """openai/codex#20527: a rewrite has to keep what it does not touch; here, values that have no JSON of their own."""
    from pydantic import Base64Bytes, SecretStr

    @tool
    def store(data: Base64Bytes, key: SecretStr, note: str) -> str:
        """Store."""
        done.append((data, key.get_secret_value(), note))
        return "stored"

    class Noted(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call.replace(arguments={**call.arguments, "note": "seen"}))

    call = ("store", {"data": "/+8=", "key": "top", "note": "x"})
    Agent(ScriptedBackend(call, "Done."), tools=[store], hooks=[Noted()]).run("Go on.")
    assert done == [(b"\xff\xef", "top", "seen")]


@BOTH
def test_a_hook_that_crashes_lets_no_call_through(stream: bool) -> None:
    """NeoLabs-Systems/NeoAgent#47, openclaw/openclaw#59822, octos-org/octos#2329: a policy hook that throws is logged,
    and the tool runs; after three failures it is switched off."""

    class Broken(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            raise PermissionError("/root/MEMORY.md")

    steps: list[Step] = [[("delete", {"amount": number})] for number in range(5)]
    with agent_of(*steps, "Done.", tools=[delete], hooks=[Broken()]) as (agent, _):
        result, _ = ask(agent, stream)
    assert done == []
    answers = [record.response for record in result.tool_calls]
    assert len(answers) == 5
    assert all("was not run" in each and "MEMORY.md" not in each for each in answers)


@BOTH
def test_a_filter_that_ends_a_call_itself_answers_it(stream: bool) -> None:
    """microsoft/semantic-kernel#8020, #6404: a filter that terminates leaves a call without a result in the history."""

    class Math(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> str:
            return "Stop trying to ask me to do math."

    with agent_of([("pay", {"amount": 1}), ("look", {"topic": "a"})], "Fine.", tools=[pay, look], hooks=[Math()]) as (
        agent,
        server,
    ):
        result, _ = ask(agent, stream)
        sent = server.requests[1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]
    assert all("Stop trying" in message["content"] for message in sent[2:])
    assert (result.output, done) == ("Fine.", [])


def test_a_call_of_several_threads_of_a_hook_has_its_effect_once() -> None:
    """google-antigravity/antigravity-sdk-python#109: what parallel threads check and then set is done twice."""

    class Hasty(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> str:
            gate, errors = threading.Barrier(16), []

            def attempt() -> None:
                gate.wait()
                try:
                    proceed(call)
                except HookError as error:
                    errors.append(error)

            threads = [threading.Thread(target=attempt) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return f"{len(errors)} refused"

    result = Agent(ScriptedBackend(("pay", {"amount": 1}), "Done."), tools=[pay], hooks=[Hasty()]).run("Go on.")
    assert done == [(1, "Ann")]
    assert "15 refused" in str(result.messages[2]["content"])


@BOTH
def test_parallel_hooks_see_the_messages_of_the_run(stream: bool) -> None:
    """agno-agi/agno#7851: after parallel hooks the messages that later hooks see are those of then, for good."""
    seen: list[list[str]] = []

    class Looking(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            seen.append([message["role"] for message in call.context.messages])
            return proceed(call)

    calls: Step = [("look", {"topic": topic}) for topic in "abcde"]
    with agent_of(calls, [("pay", {"amount": 1})], "Done.", tools=[look, pay], hooks=[Looking()]) as (agent, _):
        ask(agent, stream)
    assert seen[-1] == ["user", "assistant", *["tool"] * 5, "assistant"]


TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")


@BOTH
@pytest.mark.parametrize("count", [1, 3])
def test_hooks_have_the_context_variables_of_the_caller(count: int, stream: bool) -> None:
    """jaseci-labs/jac#7655, NousResearch/hermes-agent#18123: they are lost where tools run in threads."""
    seen: set[str] = set()

    class Reading(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            seen.add(TENANT.get())
            return proceed(call)

        def before_model(self, request: Request) -> None:
            seen.add(TENANT.get())

        def after_model(self, reply: Reply) -> None:
            seen.add(TENANT.get())

    calls: Step = [("look", {"topic": str(number)}) for number in range(count)]
    options: dict[str, Any] = {
        "tools": [look, wire],
        "hooks": [Reading()],
        "tool_timeout": 60,
        "limits": Limits(seconds=60),
    }
    token = TENANT.set("acme")
    try:
        with agent_of(calls, [("wire", {"amount": 1})], "Done.", **options) as (agent, _):
            ask(agent, stream)
    finally:
        TENANT.reset(token)
    assert seen == {"acme"}


# Approval


@BOTH
def test_an_approved_call_keeps_its_tool(stream: bool) -> None:
    """langchain-ai/langchain#40166: an edit that names another tool runs it, past the approval that it needs."""

    class Redirecting(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(dataclasses.replace(call, name="wire"))

    with agent_of([("pay", {"amount": 7})], "Done.", tools=[pay, wire], hooks=[Redirecting()]) as (agent, _):
        result, _ = ask(agent, stream)
    assert (result.stopped, done) == ("answer", [(7, "Ann")])


@BOTH
def test_the_hooks_hold_for_a_run_that_is_continued(stream: bool, tmp_path: Path) -> None:
    """agno-agi/agno#9102: a run that goes on after a confirmation skips the hooks, or runs them after the tool.
    langchain-ai/langchain#32988: the model reads the result of the call as it was edited."""
    order: list[str] = []

    class Strict(Hook):
        def before_model(self, request: Request) -> None:
            order.append("before_model")

        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            order.append(f"around_tool {call.arguments}")
            if call.arguments["amount"] > 100:
                raise Refused("too much")
            return proceed(call)

    sessions = SQLiteSessions(tmp_path / "s.db")
    calls: Step = [("wire", {"amount": 10}), ("wire", {"amount": 20})]
    with agent_of(calls, "Done.", tools=[wire], hooks=[Strict()]) as (agent, server):
        result, _ = ask(agent, stream, session=sessions["a"])
        assert [call.arguments for call in result.pending] == [{"amount": 10}, {"amount": 20}]
        order.clear()
        first, second = result.pending
        result = agent.resume(sessions["a"], approve={first.id: {"amount": 11}, second.id: {"amount": 500}})
        sent = server.requests[1].body["messages"]
    assert order == ["around_tool {'amount': 11}", "around_tool {'amount': 500}", "before_model"]
    assert done == [11]
    assert "wired 11" in sent[2]["content"]
    assert "too much" in sent[3]["content"]


# Requests


@BOTH
def test_what_a_hook_changes_in_a_message_is_sent_and_not_stored(stream: bool) -> None:
    """langchain-ai/langchainjs#9086: a middleware that changes messages in place changes those of the conversation."""

    class Masking(Hook):
        def outgoing(self, message: Message) -> None:
            if isinstance(message["content"], str):
                message["content"] = f"{message['content'].replace('Bob', '(name)')}!"

    with agent_of([("look", {"topic": "Bob"})], "Done.", tools=[look], hooks=[Masking()]) as (agent, server):
        result, _ = ask(agent, stream, "Who is Bob?")
        bodies = [request.body["messages"] for request in server.requests]
    assert bodies[0][0]["content"] == bodies[1][0]["content"] == "Who is (name)?!"
    assert bodies[1][2]["content"].endswith("!")
    assert result.messages[0]["content"] == "Who is Bob?"


def test_the_messages_of_a_request_are_not_changed_in_place() -> None:
    class Appending(Hook):
        def before_model(self, request: Request) -> None:
            request.transcript.extend([user("And be nice.")])

    class Writing(Hook):
        def before_model(self, request: Request) -> None:
            request.transcript[-1]["content"] = "(masked)"

    for hook in (Appending(), Writing()):
        backend = ScriptedBackend("Done.")
        with pytest.raises(HookError, match="can't be changed in place") as caught:
            Agent(backend, hooks=[hook]).run("Who is Bob?")
        assert caught.value.messages == [user("Who is Bob?")]  # type: ignore[attr-defined]
        assert backend.requests == []


def test_a_reply_that_a_hook_changes_in_place_is_the_reply() -> None:
    class Writing(Hook):
        def after_model(self, reply: Reply) -> None:
            reply.message["content"] = reply.text.upper()

    kept = Reply({"role": "assistant", "content": "done"}, "stop")
    result, events = ask(Agent(ScriptedBackend(kept), hooks=[Writing()]), stream=True)
    assert result.output == "DONE"
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["DONE"]
    assert kept.text == "done"


@BOTH
def test_requests_keep_their_beginning_byte_for_byte(stream: bool) -> None:
    """langchain-ai/deepagents#1356, langchain-ai/deepagentsjs#285: each middleware that adds to a request, or changes
    it, makes the server read all of it again."""

    class Adding(Hook):
        def __init__(self, text: str) -> None:
            self.text = text

        def before_model(self, request: Request) -> Request:
            messages = [user(self.text), *request.transcript]
            return dataclasses.replace(request, transcript=Transcript(messages))

    class Numbering(Hook):
        count = 0

        def outgoing(self, message: Message) -> Any:
            self.count += 1
            return (
                {**message, "content": f"{self.count}: {message['content']}"}
                if message["role"] != "assistant"
                else None
            )

    steps: list[Step] = [[("look", {"topic": str(number)})] for number in range(4)]
    hooks = [Numbering(), Adding("First."), Adding("Second.")]
    with agent_of(*steps, "Done.", tools=[look], hooks=hooks) as (agent, server):
        ask(agent, stream)
        bodies = [json.dumps(request.body["messages"])[:-1] for request in server.requests]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(bodies))
    contents = [message["content"] for message in json.loads(f"{bodies[-1]}]")]
    assert [each.count(": ") for each in contents if each][:3] == [1, 1, 1]  # each passed the hook once


REDACTED = [
    ("history", {"cmd": "OPENAI_API_KEY=sk-proj-abcdef1234567890"}),
    ("nested", {"a": [{"b": 'sk-proj-abcdef1234567890\n"quoted"'}], "n": 5}),
    ("key", {"sk-proj-abcdef1234567890": True}),
]


@BOTH
@pytest.mark.parametrize("arguments", [each for _, each in REDACTED], ids=[name for name, _ in REDACTED])
def test_redacted_calls_stay_json_and_the_tool_gets_what_was_written(arguments: dict[str, Any], stream: bool) -> None:
    """NousResearch/hermes-agent#42846, BerriAI/litellm#30723, maziyarpanahi/openmed#2281: redaction of the arguments in
    the history makes invalid JSON of them, or forgets them."""
    from agentkit import Tool

    def run(**given: Any) -> str:
        done.append(given)
        return "ok"

    anything = Tool("anything", "Anything.", {"type": "object"}, run)
    redact = Redact([r"(?:\w+_KEY=)?sk-\S*\w", r"proj-abcdef\d+"])  # which overlap: mastra-ai/mastra#23783
    with agent_of([("anything", arguments)], "Done.", tools=[anything], hooks=[redact]) as (agent, server):
        ask(agent, stream)
        sent = server.requests[1]
    assert done == [arguments]
    assert b"abcdef" not in sent.raw
    json.loads(sent.body["messages"][1]["tool_calls"][0]["function"]["arguments"])


def test_reasoning_is_redacted_in_whatever_form_it_is_kept() -> None:
    """elizaOS/eliza#15348, managoat/fountain#2359: a value leaves by a channel that nobody thought of."""
    history: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "It is 4111111111111111."}]},
        {
            "role": "assistant",
            "content": "I see 4111111111111111.",
            "reasoning": "4111111111111111",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "4111111111111111", "index": 0},
                {"type": "reasoning.encrypted", "data": "4111111111111111=="},
            ],
        },
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/4111111111111111.png"}}]},
    ]
    made = [Redact([r"\b\d{16}\b"]).outgoing(message) for message in history]  # type: ignore[arg-type]
    text = json.dumps(made)
    assert text.count("[redacted]") == 4
    assert text.count("4111111111111111") == 2  # what is encrypted, and an address


# Results


@BOTH
def test_the_rest_of_a_long_result_has_passed_the_hooks(stream: bool) -> None:
    """MCKRUZ/microsoft-agentic-harness#577, netclaw-dev/netclaw#1301: what is kept of a long result, to be read on, is
    what it was before redaction."""

    @tool(read_only=True, max_result=100)
    def page() -> str:
        """A page."""
        return f"{'word ' * 30}sk-abcdefgh1234{' word' * 30}"

    class OfPages(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome | str:
            assert call.name == "page"  # reading on is no call of the program's
            result = proceed(call)
            return dataclasses.replace(result, text=result.text.replace("sk-abcdefgh1234", "[k]"))

    reading: Step = [("earlier_result", {"number": 2, "start": 100})]
    with agent_of([("page", {})], reading, "Done.", tools=[page], hooks=[OfPages()]) as (agent, _):
        result, events = ask(agent, stream)
    assert len(str(result.messages[2]["content"])) < 300
    assert "word [k] word" in str(result.messages[4]["content"])
    assert "sk-" not in everything(result, events)


@pytest.mark.parametrize("size", [10, 1000])
def test_hooks_leave_a_result_and_its_notes_as_they_are(size: int) -> None:
    @tool(read_only=True, max_result=100)
    def page() -> str:
        """A page."""
        return "z" * size

    class Passing(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call)

    results = [
        Agent(ScriptedBackend(("page", {"odd": 1}), "Done."), tools=[page], hooks=hooks).run("Go on.").messages[2]
        for hooks in ([], [Passing()])
    ]
    assert results[0] == results[1]
    assert "no such arguments: odd" in str(results[0]["content"])


def test_one_cache_serves_two_conversations_and_mixes_nothing() -> None:
    """cloudwego/eino#860: middleware that treats the reading of a long result like any call works against itself."""
    texts = iter(["first " * 50, "second " * 50])

    @tool(read_only=True, max_result=20)
    def page(number: int) -> str:
        """A page."""
        return next(texts)

    class Kept(Hook):
        def __init__(self) -> None:
            self.results: dict[Any, Outcome] = {}

        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            if call.key not in self.results:
                self.results[call.key] = proceed(call)
            return self.results[call.key]

    hook, read = Kept(), ("earlier_result", {"number": 2, "start": 20})
    for number, word in ((1, "first"), (2, "second"), (1, "first")):
        backend = ScriptedBackend(("page", {"number": number}), read, "Done.")
        result = Agent(backend, tools=[page], hooks=[hook]).run("Go on.")
        assert str(result.messages[2]["content"]).count(word) <= 4
        assert str(result.messages[4]["content"]).count(word) > 30
    assert len(hook.results) == 2


# Callbacks, typed answers, failures, nested agents


@BOTH
def test_events_of_the_last_step_reach_a_hook(stream: bool) -> None:
    """huggingface/smolagents#1879, #1499: callbacks are not called for the final answer, or for planning."""
    seen: list[type] = []
    asked: list[str] = []

    class Following(Hook):
        def on_event(self, event: Event) -> None:
            seen.append(type(event))

        def before_model(self, request: Request) -> None:
            asked.append(str(request.transcript[-1]["role"]))

    with agent_of(
        [("look", {"topic": "a"})], "At last.", tools=[look], limits=Limits(turns=1), hooks=[Following()]
    ) as (agent, _):
        result, _ = ask(agent, stream)
    assert result.output == "At last."
    assert seen[-2:] == [ReplyFinished, RunFinished]
    assert asked == ["user", "user"]  # the last words too


@BOTH
@pytest.mark.parametrize("by_call", [False, True])
def test_a_typed_answer_is_corrected_behind_hooks(stream: bool, by_call: bool) -> None:
    """crewAIInc/crewAI#4126, langchain-ai/langchainjs#9345, langchain-ai/deepagentsjs#480: a guard and a typed output
    together crash at the second invalid answer. pydantic/pydantic-ai#3624: what sees the output is called for parts."""
    seen: list[str] = []

    class City(BaseModel):
        name: str
        size: int

    class Watching(Hook):
        def before_model(self, request: Request) -> Request:
            return dataclasses.replace(request, sampling={**request.sampling, "temperature": 0})

        def after_model(self, reply: Reply) -> None:
            seen.append(json.dumps(reply.message))

    answers: list[dict[str, Any]] = [{"name": "Oslo"}, {"name": "Oslo", "size": "big"}, {"name": "Oslo", "size": 7}]
    checked: list[Any] = []
    options: dict[str, Any] = {"output": City, "output_check": checked.append}
    if by_call:
        backend = ScriptedBackend(*[("final_answer", each) for each in answers])
        result, _ = ask(Agent(backend, hooks=[Watching()]), stream, **options)
    else:
        with agent_of(*map(json.dumps, answers), hooks=[Watching()]) as (agent, server):
            result, _ = ask(agent, stream, **options)
            assert all(request.body["temperature"] == 0 for request in server.requests)
    assert result.output == City(name="Oslo", size=7)
    assert checked == [result.output]
    assert len(seen) == 3


@BOTH
def test_a_guard_whose_own_model_fails_is_no_verdict(stream: bool) -> None:
    """crewAIInc/crewAI#7150: an error of the provider that a guard asks counts as a violation, and the agent's model is
    told of it and asked again."""
    with (
        serve([Answer(b'{"error": {"message": "bad key"}}', status=401)]) as down,
        Agent(f"openai:m@{down.url}") as judge,
    ):

        class Judged(Hook):
            def after_model(self, reply: Reply) -> str | None:
                return None if "safe" in judge.run(reply.text).output else "No."

        with agent_of("Blue.", "Green.", hooks=[Judged()]) as (agent, server):
            with pytest.raises(HookError, match=r"Judged\.after_model raised AuthenticationError") as caught:
                ask(agent, stream)
            assert len(server.requests) == 1
    assert type(caught.value.__cause__).__name__ == "AuthenticationError"
    assert "Blue" not in repr(caught.value.messages)  # type: ignore[attr-defined]


@BOTH
def test_a_method_that_returns_nothing_changes_nothing(stream: bool) -> None:
    """crewAIInc/crewAI#6439: a callback without a return makes the result None."""

    class Silent(Hook):
        def outgoing(self, message: Message) -> None:
            pass

        def before_model(self, request: Request) -> None:
            pass

        def after_model(self, reply: Reply) -> None:
            pass

    with agent_of([("pay", {"amount": 4})], "Done.", tools=[pay], hooks=[Silent()]) as (agent, _):
        result, _ = ask(agent, stream)
    assert (result.output, done) == ("Done.", [(4, "Ann")])


@BOTH
def test_the_hooks_of_an_agent_hold_in_the_agents_of_its_tools(stream: bool) -> None:
    """langchain-ai/deepagents#2744, #166: an agent that another one calls has none of its middleware."""

    class Strict(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            if call.name == "delete":
                raise Refused("never")
            return proceed(call)

    with agent_of([("delete", {})], "My sekret report.", tools=[delete]) as (inner, asked_inner):
        helper = inner.as_tool("helper", "Helps.")

        @tool
        def other(ctx: Context) -> str:
            """Ask in another way."""
            with agent_of([("delete", {})], "Also sekret.", tools=[delete]) as (agent, _):
                return ctx.run(agent, "Do it.").output

        steps: list[Step] = [[("helper", {"task": "Do it."})], [("other", {})], "Done."]
        with agent_of(*steps, tools=[helper, other], hooks=[Strict(), Guard(), Redact(["Do it"])]) as (agent, _):
            result, events = ask(agent, stream)
        assert b"Do it" not in asked_inner.requests[0].raw
    assert done == []
    assert "sekret" not in everything(result, events)
    assert [record.response for record in result.tool_calls] == ["I can't say that."] * 2


@BOTH
def test_what_a_check_of_an_inner_agent_says_is_not_told_to_the_model(stream: bool) -> None:
    """typeclaw/typeclaw#1318: a guard that fails stops what it guards, and the model is given no path and no reason."""

    class Broken(Hook):
        inherit = False

        def after_model(self, reply: Reply) -> None:
            raise PermissionError("/root/MEMORY.md")

    inner = Agent(ScriptedBackend("A sekret."), hooks=[Broken()])
    with agent_of([("helper", {"task": "Do it."})], "Fine.", tools=[inner.as_tool("helper", "Helps.")]) as (agent, _):
        result, events = ask(agent, stream)
    assert (result.output, result.tool_calls[0].error) == ("Fine.", "Error: helper did not finish: a check failed.")
    assert not re.search("MEMORY|sekret", everything(result, events))


@BOTH
def test_hooks_hold_for_tools_as_text_and_for_lightllm(stream: bool) -> None:
    """BerriAI/litellm#35257: a guard is skipped where replies come in another form."""
    call = '<tool_call>\n{"name": "pay", "arguments": {"amount": 900}}\n</tool_call>'

    class Capped(Hook):
        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            return proceed(call.replace(arguments={"amount": min(call.arguments["amount"], 50)}))

    options: dict[str, Any] = {"tools": [pay], "hooks": [Capped(), Guard(), Redact(["Bob"])]}
    with (
        serve_lightllm([Says(call), Says("A sekret.")]) as server,
        Agent(f"lightllm:Qwen3-8B@{server.url}", **options) as a,
    ):
        result, events = ask(a, stream, "Pay Bob.")
    assert "sekret" not in everything(result, events)
    with agent_of(call, "A sekret.", tools_as="text", **options) as (agent, chat):
        result, events = ask(agent, stream, "Pay Bob.")
        assert all(b"Bob" not in request.raw for request in chat.requests)
    assert "sekret" not in everything(result, events)
    assert done == [(50, "Ann")] * 2


def test_a_misspelt_hook_is_refused() -> None:
    """sagents-ai/sagents#175, google/adk-python#6259: a callback that is never called is noticed in production."""

    class Misspelt(Hook):
        def arround_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            raise Refused("never")

    with pytest.raises(ConfigurationError, match="Misspelt would do nothing"):
        Agent(ScriptedBackend("Done."), hooks=[Misspelt()])
    hook = Hook()
    hook.on_event = lambda event: None  # type: ignore[method-assign]
    Agent(ScriptedBackend("Done."), hooks=[hook])


def test_a_hook_with_other_parameters_is_refused_before_it_guards_anything() -> None:
    """In a run its TypeError is told the model as "a check failed"."""

    class Short(Hook):
        def around_tool(self, call: Any) -> Any:  # type: ignore[override]
            return "x"

    class Bare(Hook):
        def before_model(self) -> None:  # type: ignore[override]
            return None

    class Wide(Hook):
        def on_event(self, *events: Any, **more: Any) -> None:
            return None

    says = r"Short\.around_tool is called with 2 arguments, \(call, proceed\): give it these parameters"
    with pytest.raises(ConfigurationError, match=says):
        Agent(ScriptedBackend("Done."), hooks=[Short()])
    with pytest.raises(ConfigurationError, match=r"Bare\.before_model is called with 1 arguments, \(request\)"):
        Agent(ScriptedBackend("Done."), hooks=[Bare()])
    assert Agent(ScriptedBackend("Done."), hooks=[Wide()]).run("Go.").output == "Done."


def test_an_agent_is_copied_with_hooks_that_have_locks() -> None:
    """google/adk-python#3471: cannot pickle '_thread.lock' object."""

    class Locked(Hook):
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def on_event(self, event: Event) -> None:
            with self.lock:
                done.append(event)

    hook = Locked()
    for made in (copy.copy, copy.deepcopy):
        copied: Any = made(Agent(ScriptedBackend("Done."), hooks=[hook]))
        assert copied.run("Go on.").output == "Done."
    assert len(done) > 2


def test_for_run_has_to_return_a_hook() -> None:
    class Forgetful(Hook):
        def for_run(self, context: Any) -> Any:
            self.state: list[Any] = []

    class Failing(Hook):
        def for_run(self, context: Any) -> Any:
            raise OSError("no room")

    with pytest.raises(TypeError, match=r"Forgetful\.for_run returned None"):
        Agent(ScriptedBackend("Done."), hooks=[Forgetful()]).run("Go on.")
    with pytest.raises(HookError, match=r"Failing\.for_run raised OSError"):
        Agent(ScriptedBackend("Done."), hooks=[Failing()]).run("Go on.")


def test_a_refusal_or_error_of_a_hook_does_not_end_the_run_of_a_final_tool() -> None:
    """microsoft/semantic-kernel#6810: ending early differs from ending."""

    @tool(ends_run=True)
    def finish(text: str) -> str:
        """Finish."""
        return text

    class Once(Hook):
        count = 0

        def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
            self.count += 1
            if self.count == 1:
                raise ToolError("not yet")
            return proceed(call)

    backend = ScriptedBackend(("finish", {"text": "a"}), ("finish", {"text": "b"}))
    result = Agent(backend, tools=[finish], hooks=[Once()]).run("Go on.")
    assert (result.output, len(backend.requests)) == ("b", 2)


@BOTH
def test_a_stopped_run_keeps_only_what_a_filter_let_pass(stream: bool) -> None:
    """openai/openai-agents-js#1124: what was blocked can be read in the state that is left behind."""
    text = f"{'word ' * 40}sk-abcdefgh1234 {'word ' * 40}"
    hook = Streamed(lambda text: re.sub(r"sk-\w{8,40}", "[k]", text))
    with agent_of(text, size=7, hooks=[hook]) as (agent, _):
        cancel = threading.Event()
        seen = ""
        with agent.stream("Go on.", cancel=cancel) as run:
            for event in run:
                seen += event.text if isinstance(event, TextDelta) else ""
                if "[k]" in seen:
                    cancel.set()
    assert run.result is not None
    assert "sk-" not in repr(run.messages)
    assert "[k]" in seen or not stream


def test_started_calls_that_hooks_hold_are_not_shown_as_started() -> None:
    """openai/openai-agents-python#2688: a call that a guard stops has been started in a streamed run."""
    with agent_of([("look", {"topic": "sekret"})], tools=[look], hooks=[Guard()]) as (agent, _):
        _, events = ask(agent, stream=True)
    assert done == []
    assert not any(isinstance(event, ToolStarted) for event in events)


def test_what_a_hook_adds_to_a_request_is_encoded_and_the_rest_is_not_again() -> None:
    """agno-agi/agno#7851 and others copy all messages around each hook, which long conversations pay for."""

    class Adding(Hook):
        def before_model(self, request: Request) -> Request:
            seen.append(request.transcript)
            made = Transcript([*request.transcript, user("Be nice.")])
            seen.append(made)
            return dataclasses.replace(request, transcript=made)

    seen: list[Transcript] = []
    backend = ScriptedBackend(("look", {"topic": "a"}), "Done.")
    result = Agent(backend, tools=[look], hooks=[Adding(), Redact(["Bob"])]).run("Who is it?")
    given, made = (list(each.each_encoded()) for each in seen[2:])
    assert all(first is second for first, second in zip(given, made, strict=False))
    assert [message["role"] for message in backend.requests[1].messages] == ["user", "assistant", "tool", "user"]
    copied = copy.deepcopy(seen[2][1])
    copied["tool_calls"][0]["function"]["name"] = "changed"  # a copy is the hook's own
    assert "changed" not in repr(result.messages)
