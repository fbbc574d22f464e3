"""Spans of runs, requests and tool calls: their tree, what they say, and whose parents they are."""

import asyncio
import gc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

from agentkit import Agent, Context, Hook, Limits, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.backends import OpenAIBackend
from agentkit.errors import Refused
from agentkit.event import Reply, RunFinished, TextDelta, ToolFinished
from agentkit.hooks import Proceed, ToolCallRequest
from agentkit.limits import Usage
from agentkit.net.http_client import Transport
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome
from tests.support.model_server import Answer, delta, serve, streamed, whole
from tests.support.telemetry import Recorder, attributes, times

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}}


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Looks a topic up."""
    return f"All about {topic}."


@tool
def pay(amount: int) -> str:
    """Pays."""
    return f"Paid {amount}."


def told(agent: Agent, way: str, prompt: str = "Go.", **options: Any) -> None:
    """Run an agent to the end in one of three ways."""
    if way == "whole":
        agent.run(prompt, **options)
    elif way == "streamed":
        for _ in agent.stream(prompt, **options):
            pass
    else:
        "".join(agent.stream_text(prompt, **options))


WAYS = ["whole", "streamed", "text"]


@pytest.mark.parametrize("way", WAYS)
def test_a_run_has_the_same_spans_streamed_and_whole(way: str) -> None:
    recorder = Recorder()
    backend = ScriptedBackend([("look_up", {"topic": "a"}), ("look_up", {"topic": "b"})], ("pay", {"amount": 3}), "Ok.")
    told(Agent(backend, tools=[look_up, pay], hooks=[recorder.otel("clerk")]), way)
    agent = recorder.one("invoke_agent")
    assert [each for each in recorder.tree()[0][1] if each != "execute_tool look_up"] == [
        *("chat", "chat", "execute_tool pay", "chat")
    ]
    assert len(recorder.named("execute_tool look_up")) == 2
    assert agent.name == "invoke_agent clerk"
    assert agent.kind is SpanKind.INTERNAL
    assert {each.kind for each in recorder.named("chat")} == {SpanKind.CLIENT}
    assert {each.kind for each in recorder.named("execute_tool")} == {SpanKind.INTERNAL}
    assert {each.status.status_code for each in recorder.ended} == {StatusCode.UNSET}
    assert recorder.open == []
    assert attributes(agent)["agentkit.stopped"] == "answer"
    found = {name for span in recorder.ended for name in attributes(span)}
    assert found <= {
        *("gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.tool.type", "agentkit.stopped"),
        *("gen_ai.provider.name", "gen_ai.request.stream", "gen_ai.response.finish_reasons"),
        *("gen_ai.response.time_to_first_chunk", "gen_ai.tool.call.id"),
    }


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_says_what_was_asked_for_and_what_came(stream: bool) -> None:
    recorder = Recorder()
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 7}}
    named = {"id": "chatcmpl-1", "model": "tiny-2025-01-01"}
    text = streamed({**delta(content="Hi."), **named}, {**delta("stop"), **named}, {"choices": [], "usage": usage})
    full = whole("Hi.", usage=usage)
    full = Answer(full.body[:-1] + b', "id": "chatcmpl-1", "model": "tiny-2025-01-01"}')
    with serve([text if stream else full]) as server:
        backend = OpenAIBackend("tiny", base_url=server.url, api_key="k")
        sampling: dict[str, Any] = {"temperature": 0, "max_tokens": 50, "top_p": 0.5, "seed": 7, "stop": ["END"]}
        told(Agent(backend, hooks=[recorder.otel()]), "streamed" if stream else "whole", sampling=sampling)
        port = int(server.url.split(":")[2].split("/")[0])
    chat = recorder.one("chat")
    assert chat.name == "chat tiny"
    found = attributes(chat)
    if stream:
        assert 0 < found.pop("gen_ai.response.time_to_first_chunk") < 10
        assert found.pop("gen_ai.request.stream") is True
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.seed": 7,
        "server.address": "127.0.0.1",
        "server.port": port,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "tiny-2025-01-01",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.reasoning.output_tokens": 7,
    }


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://x.openai.azure.com/openai", "azure.ai.openai"),
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://generativelanguage.googleapis.com/v1beta", "gcp.gemini"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("http://user:secret@box:8000/v1?key=secret", "fake"),
        ("https://evil-openai.com/v1", "fake"),
        ("http://[::1]:8000/v1", "fake"),
        ("", "fake"),
    ],
)
def test_the_provider_is_told_by_the_server(url: str, provider: str) -> None:
    class FakeBackend:
        def reply(self, request: Request) -> ReplyStream:
            yield Reply.text("Hi.")

        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities(model="/home/me/models/tiny.gguf", base_url=url or None)

        def close(self) -> None:
            pass

    recorder = Recorder()
    Agent(FakeBackend(), hooks=[recorder.otel()]).run("Go.")
    found = attributes(recorder.one("chat"))
    assert found["gen_ai.provider.name"] == provider
    assert found["gen_ai.request.model"] == "tiny.gguf"
    assert "secret" not in recorder.text()
    assert "/home/me" not in recorder.text()


def test_the_tokens_of_the_requests_add_up_to_those_of_the_run() -> None:
    recorder = Recorder()

    def reply(text: str, tokens: int, **call: str) -> Reply:
        usage = Usage(requests=1, input_tokens=tokens, output_tokens=2 * tokens, cached_tokens=tokens // 2, cost=0.5)
        message: Any = {"role": "assistant", "content": text}
        if call:
            message["tool_calls"] = [{"id": "c", "type": "function", "function": call}]
        return Reply(message, "stop", usage)

    inner = Agent(ScriptedBackend(reply("Inner.", tokens=300)), hooks=[recorder.otel("inner")])
    outer = ScriptedBackend(reply("", tokens=40, name="expert", arguments='{"task": "x"}'), reply("Outer.", tokens=2))
    agent = Agent(outer, tools=[inner.as_tool("expert", "Knows.")], hooks=[recorder.otel("outer")])
    usage = agent.run("Go.").usage
    chats = [attributes(each) for each in recorder.named("chat")]
    for name, total in {"input": usage.input_tokens, "output": usage.output_tokens}.items():
        assert sum(each[f"gen_ai.usage.{name}_tokens"] for each in chats) == total > 0
    assert sum(each["gen_ai.usage.cache_read.input_tokens"] for each in chats) == usage.cached_tokens
    assert sum(each["agentkit.cost"] for each in chats) == usage.cost == 1.5
    found = attributes(recorder.one("invoke_agent outer"))
    assert found["gen_ai.aggregated_usage.input_tokens"] == usage.input_tokens == 342
    assert found["gen_ai.aggregated_usage.output_tokens"] == usage.output_tokens
    assert attributes(recorder.one("invoke_agent inner"))["gen_ai.aggregated_usage.input_tokens"] == 300
    others = [*recorder.named("invoke_agent"), *recorder.named("execute_tool")]
    assert not [name for each in others for name in attributes(each) if name.startswith("gen_ai.usage.")]


def test_each_attempt_is_a_span() -> None:
    recorder = Recorder()
    broken = streamed(delta(content="Hal"), done=False, cut=True)
    with serve([broken, streamed(delta(content="Hi."), delta("stop"))]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()])
        told(agent, "streamed")
    first, second = recorder.named("chat")
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, None)
    assert attributes(first)["error.type"] == "openai.APIConnectionError"
    assert attributes(first)["gen_ai.response.finish_reasons"] == ("error",)
    assert second.status.status_code is StatusCode.UNSET
    assert recorder.one("invoke_agent").status.status_code is StatusCode.UNSET


def test_a_failed_request_fails_the_run_and_names_the_status() -> None:
    recorder = Recorder()
    with serve([Answer(b'{"error": {"message": "no such model"}}', status=404)]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()])
        with pytest.raises(Exception, match="no such model"):
            agent.run("Go.")
    for span in recorder.ended:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert attributes(span)["error.type"] == "404"
        assert list(span.events) == []


def test_a_failed_tool_names_the_class_of_its_exception() -> None:
    recorder = Recorder()

    @tool
    def fail() -> str:
        """Fails."""
        raise ZeroDivisionError("secret")

    backend = ScriptedBackend(("fail", {}), ("pay", {"amount": "much"}), ("nothing", {}), "Ok.")
    Agent(backend, tools=[fail, pay], hooks=[recorder.otel()]).run("Go.")
    failed, unfit = recorder.named("execute_tool")
    assert failed.status.status_code is unfit.status.status_code is StatusCode.ERROR
    assert attributes(failed)["error.type"] == "ZeroDivisionError"
    assert attributes(unfit)["error.type"] == "agentkit.errors.ArgumentsError"


def test_a_tool_has_the_id_of_its_call() -> None:
    recorder = Recorder()

    @tool
    def fail(why: str = "") -> str:
        """Fails."""
        raise ValueError(why)

    @tool
    def look(at: str) -> str:
        """Looks."""
        return at

    backend = ScriptedBackend(
        [("look", {"at": "sea"}), ("look", {"at": "sky"}), ("look", {"at": "sea"}), ("fail", {})],
        ("fail", {"why": "again"}),
        ("look", {"at": "sea"}),
        "Ok.",
    )
    result = Agent(backend, tools=[look, fail], hooks=[recorder.otel()]).run("Go.")
    wanted = sorted(call["id"] for message in result.messages for call in message.get("tool_calls") or ())
    assert len(wanted) == 6
    assert sorted(attributes(span)["gen_ai.tool.call.id"] for span in recorder.named("execute_tool")) == wanted
    assert all("gen_ai.tool.call.id" not in dict(point.attributes) for _, point in recorder.points())


def test_a_tool_that_begins_before_its_reply_is_complete_has_the_id_if_it_ends_later() -> None:
    recorder = Recorder()

    @tool(read_only=True)
    def look(at: str) -> str:
        """Looks."""
        time.sleep(0.3)
        return at

    backend = ScriptedBackend([("look", {"at": "sea"}), ("look", {"at": "sky"})], "Ok.")
    result = Agent(backend, tools=[look], hooks=[recorder.otel()]).run("Go.")
    wanted = sorted(call["id"] for message in result.messages for call in message.get("tool_calls") or ())
    assert sorted(attributes(span)["gen_ai.tool.call.id"] for span in recorder.named("execute_tool")) == wanted


def test_of_calls_with_equal_arguments_each_span_has_the_id_of_its_own() -> None:
    recorder, seconds = Recorder(), iter((0.3, 0.8, 0.0))

    @tool(read_only=True)
    def look(at: str) -> str:
        """Looks."""
        time.sleep(next(seconds))
        return at

    backend = ScriptedBackend([("look", {"at": "sea"})] * 3, "Ok.")
    agent = Agent(backend, tools=[look], hooks=[recorder.otel()], parallel=2)
    result = agent.run("Go.")  # two begin before the reply is complete, the last one while the second still runs
    wanted = [call["id"] for message in result.messages for call in message.get("tool_calls") or ()]
    spans = sorted(recorder.named("execute_tool"), key=lambda span: span.start_time or 0)
    assert [attributes(span)["gen_ai.tool.call.id"] for span in spans] == wanted


def test_a_model_may_give_the_calls_of_each_reply_the_same_id() -> None:
    recorder = Recorder()

    @tool
    def look(at: str) -> str:
        """Looks."""
        return at

    def asks(at: str) -> Answer:
        called = {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": f'{{"at": "{at}"}}'}}
        return whole({"role": "assistant", "content": None, "tool_calls": [called]}, finish_reason="tool_calls")

    with serve([asks("sea"), asks("sky"), asks("sea"), whole("Ok.")]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        Agent(backend, tools=[look], hooks=[recorder.otel()]).run("Go.")
    spans = recorder.named("execute_tool")
    assert [attributes(span).get("gen_ai.tool.call.id") for span in spans] == ["call_0"] * 3


def test_an_id_that_is_no_identifier_is_not_sent() -> None:
    recorder = Recorder()
    call = {"id": "my secret question", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 1}'}}
    with serve([whole({"role": "assistant", "content": None, "tool_calls": [call]}), whole("Ok.")]) as server:
        with Agent(OpenAIBackend("m", base_url=server.url), tools=[pay], hooks=[recorder.otel()]) as agent:
            agent.run("Go.")
    assert "my secret question" not in recorder.text()


def test_sessions_are_conversations() -> None:
    recorder = Recorder()
    Agent(ScriptedBackend("Hi."), hooks=[recorder.otel()]).run("Go.", session=MemorySessions()["anna-1"])
    assert {attributes(each)["gen_ai.conversation.id"] for each in recorder.ended} == {"anna-1"}


def spanned(tracers: TracerProvider) -> Callable[..., str]:
    def work(topic: str) -> str:
        """Works."""
        with trace.get_tracer("mine", tracer_provider=tracers).start_as_current_span(f"mine {topic}"):
            time.sleep(0.01)
        return topic

    return work


@pytest.mark.parametrize("early_start", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_programs_own_spans_are_below_those_of_the_tools(way: str, early_start: bool) -> None:
    recorder = Recorder()
    work = tool(read_only=True, name="work")(spanned(recorder.tracers))
    made = [("work", {"topic": str(number)}) for number in range(4)]
    agent = Agent(ScriptedBackend(made, "Ok."), tools=[work], hooks=[recorder.otel()], early_start=early_start)
    told(agent, way)
    ((name, below),) = recorder.tree()
    assert name == "invoke_agent agent"
    assert sorted(below, key=str) == sorted(
        ["chat", "chat", *(("execute_tool work", [f"mine {number}"]) for number in range(4))], key=str
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_span_of_the_caller_is_the_parent(way: str) -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Ok."), tools=[pay], hooks=[recorder.otel()])
    with trace.get_tracer("mine", tracer_provider=recorder.tracers).start_as_current_span("mine"):
        before = get_current()
        told(agent, way)
        assert get_current() is before
    assert recorder.tree() == [("mine", [("invoke_agent agent", ["chat", "execute_tool pay", "chat"])])]


def test_a_stream_is_below_the_span_in_which_it_was_begun() -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend("Ok."), hooks=[recorder.otel()])
    with trace.get_tracer("mine", tracer_provider=recorder.tracers).start_as_current_span("mine"):
        run = agent.stream("Go.")
    with trace.get_tracer("mine", tracer_provider=recorder.tracers).start_as_current_span("other"):
        for _ in run:
            pass
    assert recorder.tree() == [("mine", [("invoke_agent agent", ["chat"])]), "other"]


def test_the_reader_of_a_stream_keeps_its_own_context() -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "One two."), tools=[pay], hooks=[recorder.otel()])
    before = get_current()
    for _ in agent.stream("Go."):
        assert get_current() is before
        assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("left_after", range(9))
def test_a_stream_may_move_between_threads_and_be_left_anywhere(
    left_after: int, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "One two."), tools=[pay], hooks=[recorder.otel()])
    runs = [agent.stream("Go.")]
    contexts = []

    def step() -> None:
        token = attach(baggage.set_baggage("thread", str(threading.get_ident())))
        before = get_current()
        next(runs[0], None)
        contexts.append(get_current() is before)
        detach(token)

    with caplog.at_level(logging.DEBUG):
        for _ in range(left_after):
            thread = threading.Thread(target=step)
            thread.start()
            thread.join()
        runs.clear()
        gc.collect()
    assert all(contexts)
    assert recorder.open == []
    assert "detach" not in caplog.text
    assert "different Context" not in caplog.text


def test_runs_in_an_event_loop_do_not_mix_their_spans(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    work = tool(read_only=True, name="work")(spanned(recorder.tracers))

    async def one(number: int) -> None:
        backend = ScriptedBackend(("work", {"topic": str(number)}), "One two three.")
        agent = Agent(backend, tools=[work], hooks=[recorder.otel(f"n{number}")])
        before = get_current()
        run = agent.stream("Go.")
        while await asyncio.to_thread(next, run, None) is not None:
            assert get_current() is before
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(8)))

    asyncio.run(all_of_them())
    assert sorted(recorder.tree()) == [
        (f"invoke_agent n{number}", ["chat", ("execute_tool work", [f"mine {number}"]), "chat"]) for number in range(8)
    ]
    assert "detach" not in caplog.text


def traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cancel", [None, threading.Event()], ids=["here", "in-a-thread"])
def test_the_trace_goes_out_with_the_request_and_nothing_else(way: str, cancel: threading.Event | None) -> None:
    recorder = Recorder()
    answer = streamed(delta(content="Hi."), delta("stop")) if way != "whole" else whole("Hi.")
    token = attach(baggage.set_baggage("user", "secret"))
    with serve([answer]) as server:
        agent = Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()])
        told(agent, way, cancel=cancel)
        (asked,) = server.requests
    detach(token)
    assert asked.headers["traceparent"] == traceparent(recorder.one("chat"))
    assert "baggage" not in asked.headers
    assert "secret" not in str(asked.headers)


def test_the_trace_goes_out_by_the_other_http_client_too() -> None:
    recorder = Recorder()

    class Other:
        def __init__(self, url: str) -> None:
            self.transport = Transport(url)

        def reply(self, request: Request) -> ReplyStream:
            yield Reply.text(self.transport.post("/any", {})["choices"][0]["message"]["content"])

        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities()

        def close(self) -> None:
            self.transport.close()

    with serve([whole("Hi.")]) as server:
        backend = Other(server.url)
        assert Agent(backend, hooks=[recorder.otel()]).run("Go.").output == "Hi."
        backend.transport.post("/any", {})
        first, second = server.requests
    assert first.headers["traceparent"] == traceparent(recorder.one("chat"))
    assert "traceparent" not in second.headers


def nested(recorder: Recorder, way: str, inner_hooks: Sequence[Hook], outer_hooks: Sequence[Hook]) -> list[Any]:
    inner = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Inner."), tools=[look_up], hooks=inner_hooks)
    outer = Agent(
        ScriptedBackend(("expert", {"task": "x"}), "Outer."),
        tools=[inner.as_tool("expert", "Knows.")],
        hooks=outer_hooks,
    )
    told(outer, way)
    return recorder.tree()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hooks", ["inherited", "shared", "own"])
def test_an_agent_inside_of_a_tool_is_below_it_and_traced_once(way: str, hooks: str) -> None:
    recorder = Recorder()
    otel = recorder.otel("boss")
    inner = {"inherited": [], "shared": [otel], "own": [recorder.otel("expert")]}[hooks]
    assert nested(recorder, way, inner, [otel]) == [
        (
            "invoke_agent boss",
            [
                "chat",
                ("execute_tool expert", [("invoke_agent expert", ["chat", "execute_tool look_up", "chat"])]),
                "chat",
            ],
        )
    ]
    assert recorder.open == []


def test_an_agent_that_runs_by_its_context_is_below_the_tool() -> None:
    recorder = Recorder()

    @tool
    def research(topic: str, ctx: Context) -> str:
        """Researches."""
        return ctx.run(Agent(ScriptedBackend("Found.")), topic).output

    agent = Agent(ScriptedBackend(("research", {"topic": "x"}), "Ok."), tools=[research], hooks=[recorder.otel()])
    agent.run("Go.")
    assert recorder.tree() == [
        ("invoke_agent agent", ["chat", ("execute_tool research", [("invoke_agent research", ["chat"])]), "chat"])
    ]


class Guard(Hook):
    """Answers, refuses or passes calls."""

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome | str:
        if call.arguments["amount"] == 1:
            return "answered by the hook"
        if call.arguments["amount"] == 2:
            raise Refused("no")
        return proceed(call)


@pytest.mark.parametrize("first", [True, False])
def test_a_call_that_does_not_run_has_no_span(first: bool) -> None:
    recorder = Recorder()
    backend = ScriptedBackend(*(("pay", {"amount": amount}) for amount in (1, 2, 3)), "Ok.")
    hooks: list[Hook] = [Guard(), recorder.otel()]
    Agent(backend, tools=[pay], hooks=hooks if first else hooks[::-1]).run("Go.")
    assert len(recorder.named("execute_tool")) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("guarded", [True, False])
def test_a_call_that_waits_for_a_person_has_its_span_when_it_runs(way: str, guarded: bool) -> None:
    recorder = Recorder()
    careful = tool(approve=True, name="pay")(pay.function)
    hooks: list[Hook] = [Guard(), recorder.otel()] if guarded else [recorder.otel()]
    agent = Agent(ScriptedBackend(("pay", {"amount": 3}), "Ok."), tools=[careful], hooks=hooks)
    result = agent.run("Go.")
    assert attributes(recorder.one("invoke_agent"))["agentkit.stopped"] == "approval"
    assert recorder.named("execute_tool") == []
    assert {each.status.status_code for each in recorder.ended} == {StatusCode.UNSET}
    agent.resume(result.messages, approve={result.pending[0].id: True})
    assert len(recorder.named("execute_tool")) == 1
    assert recorder.open == []


def test_a_span_processor_that_fails_does_not_fail_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Recorder):
        def on_start(self, *args: Any, **options: Any) -> None:
            raise RuntimeError("secret")

        def on_end(self, *args: Any) -> None:
            raise RuntimeError("secret")

    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Ok."), tools=[pay], hooks=[Failing().otel()])
    with caplog.at_level(logging.WARNING):
        assert agent.run("Go.").output == "Ok."
    assert "telemetry could not begin a span: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_64_threads_keep_their_spans_apart() -> None:
    recorder = Recorder()
    otel = recorder.otel()
    work = tool(read_only=True, name="work")(spanned(recorder.tracers))
    barrier = threading.Barrier(64)

    def one() -> None:
        backend = ScriptedBackend([("work", {"topic": "a"}), ("work", {"topic": "b"})], "Ok.")
        agent = Agent(backend, tools=[work], hooks=[otel])
        barrier.wait()
        told(agent, "streamed")

    threads = [threading.Thread(target=one) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.tree()) == 64
    for name, below in recorder.tree():
        assert name == "invoke_agent agent"
        assert sorted(below, key=str) == sorted(
            ["chat", "chat", ("execute_tool work", ["mine a"]), ("execute_tool work", ["mine b"])], key=str
        )


def test_spans_are_not_longer_than_what_they_are_about() -> None:
    recorder = Recorder()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Ok."), tools=[pay], hooks=[recorder.otel()])
    for event in agent.stream("Go."):
        if isinstance(event, ToolFinished | TextDelta | RunFinished):
            time.sleep(0.05)  # the reader's time
    began, ended = times(recorder.one("execute_tool"))
    assert (ended - began) / 1e9 < 0.05
    spans = sorted(times(each) for each in recorder.ended if not each.name.startswith("invoke"))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_limits_are_no_errors() -> None:
    recorder = Recorder()
    backend = ScriptedBackend(("pay", {"amount": 1}), "Enough.")
    Agent(backend, tools=[pay], hooks=[recorder.otel()], limits=Limits(turns=1)).run("Go.")
    agent = recorder.one("invoke_agent")
    assert agent.status.status_code is StatusCode.UNSET
    assert attributes(agent)["agentkit.stopped"] == "turns"


def test_a_span_ends_after_those_below_it() -> None:
    recorder = Recorder()
    inner = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Inner."), tools=[look_up])
    outer = ScriptedBackend([("expert", {"task": "a"}), ("look_up", {"topic": "b"})], "One two.")
    agent = Agent(outer, tools=[inner.as_tool("expert", "Knows.", read_only=True), look_up], hooks=[recorder.otel()])
    told(agent, "streamed")
    by_id = {each.get_span_context().span_id: each for each in recorder.ended if each.get_span_context()}  # type: ignore[union-attr]
    for span in recorder.ended:
        if span.parent is not None:
            above = times(by_id[span.parent.span_id])
            assert above[0] <= times(span)[0] <= times(span)[1] <= above[1]


def test_requests_that_the_run_makes_for_itself_are_below_it_too() -> None:
    recorder = Recorder()
    history = [{"role": role, "content": "word " * 500} for _ in range(20) for role in ("user", "assistant")]
    backend = ScriptedBackend(*["A summary."] * 3, "Ok.", "Ok.", "Ok.")
    agent = Agent(backend, window=4_000, hooks=[recorder.otel()])
    agent.run("Go.", messages=history)
    assert len(recorder.named("chat")) == len(backend.requests)
    assert len(recorder.tree()) == 1


def test_the_model_stands_on_requests_alone() -> None:
    """Viewers take a span with a model and tokens for a request, and would count the run as one more."""
    recorder = Recorder()
    with serve([whole("Hi.", usage=USAGE)]) as server:
        Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()]).run("Go.")
    assert "gen_ai.request.model" not in attributes(recorder.one("invoke_agent"))
    assert "gen_ai.request.model" in attributes(recorder.one("chat"))


def test_a_guard_that_replaces_an_answer_leaves_the_spans_of_what_was_asked() -> None:
    class Silent(Hook):
        def after_model(self, reply: Reply) -> str:
            return "I can't say that."

        def before_model(self, request: Request) -> Reply | None:
            return Reply.text("Not asked.") if "secret" in str(request.transcript[-1]["content"]) else None

    recorder = Recorder()
    agent = Agent(ScriptedBackend("A word."), hooks=[recorder.otel(), Silent()])
    told(agent, "streamed")
    told(agent, "streamed", "secret")
    assert recorder.tree() == [("invoke_agent agent", ["chat"]), "invoke_agent agent"]
    assert recorder.open == []


def test_what_cannot_be_described_is_traced_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("secret")

    for name in ("attributes_of_request", "attributes_of_reply", "attributes_of_input", "attributes_of_output"):
        monkeypatch.setattr(f"agentkit.telemetry.otel.{name}", fail)
    recorder = Recorder()
    agent = Agent(ScriptedBackend(("pay", {"amount": 1}), "Hi."), tools=[pay], hooks=[recorder.otel(content=True)])
    assert agent.run("Go.").output == "Hi."
    assert recorder.tree() == [("invoke_agent agent", ["chat", "execute_tool pay", "chat"])]
    assert "telemetry could not say what a span is about: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_reply_whose_end_the_server_does_not_name() -> None:
    recorder = Recorder()
    reply = Reply({"role": "assistant", "content": "Hi."})
    Agent(ScriptedBackend(reply), hooks=[recorder.otel(content=True)]).run("Go.")
    assert "gen_ai.response.finish_reasons" not in attributes(recorder.one("chat"))


def test_a_server_that_claims_more_tokens_than_can_be_sent() -> None:
    recorder = Recorder()
    with serve([whole("Hi.", usage={"prompt_tokens": 10**30, "completion_tokens": 10**25})]) as server:
        Agent(OpenAIBackend("tiny", base_url=server.url, api_key="k"), hooks=[recorder.otel()]).run("Go.")
    for span in recorder.ended:
        assert all(value < 2**63 for value in attributes(span).values() if isinstance(value, int))
    assert all(getattr(point, "sum", 0) < 2**64 for _, point in recorder.points())


@pytest.mark.parametrize("way", WAYS)
def test_each_model_of_a_list_has_spans_of_its_own(way: str) -> None:
    recorder = Recorder()
    answer = streamed(delta(content="Hi."), delta("stop"), {"choices": [], "usage": USAGE})
    good = whole("Hi.", usage=USAGE) if way == "whole" else answer
    with serve([Answer(b"{}", status=401)]) as broken, serve([good]) as other:
        first = OpenAIBackend("first", base_url=broken.url, api_key="k")
        second = OpenAIBackend("second", base_url=other.url, api_key="k")
        told(Agent([first, second], hooks=[recorder.otel()]), way)
    assert recorder.tree() == [("invoke_agent agent", ["chat first", "chat second"])]
    assert attributes(recorder.one("chat first"))["error.type"] == "401"
    assert attributes(recorder.one("chat second"))["gen_ai.usage.input_tokens"] == 100
    assert attributes(recorder.one("invoke_agent"))["gen_ai.aggregated_usage.input_tokens"] == 100
    assert recorder.one("invoke_agent").status.status_code is StatusCode.UNSET
