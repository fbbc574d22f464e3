"""Read-only tools start while the reply is streaming, and leave no trace if the reply is discarded."""

import gc
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, Context, Limits, tool
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.backends.chat_protocol import Accumulator
from agentkit.event import ReplyDiscarded, ToolFinished, ToolProgress, ToolStarted
from agentkit.limits import Budget
from agentkit.tooling.arguments import as_json_object
from agentkit.transcript import Transcript
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, Asked, delta, serve, streamed, whole

PAUSE = 0.15
"""Seconds between two chunks of a reply."""


def call(index: int, name: str, arguments: str = '{"topic": "x"}', **more: Any) -> dict[str, Any]:
    """A chunk with a whole tool call."""
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": f"c{index}", "type": "function", "function": function, **more}])


def slowly(*chunks: dict[str, Any], **more: Any) -> Answer:
    """A stream of chunks of one size, with a pause after each."""
    texts = [json.dumps(chunk) for chunk in chunks]
    size = max(map(len, texts))
    body = "".join(f"data: {text.ljust(size)}\n\n" for text in texts)
    return Answer(body.encode(), content_type="text/event-stream", piece=size + 8, pause=PAUSE, **more)


class Watch:
    """Tools that record when they start."""

    def __init__(self) -> None:
        self.started: list[tuple[str, float]] = []

        @tool(read_only=True)
        def look(topic: str) -> str:
            """Look something up."""
            self.started.append((f"look {topic}", time.monotonic()))
            return f"All about {topic}."

        @tool
        def change(topic: str) -> str:
            """Change something."""
            self.started.append((f"change {topic}", time.monotonic()))
            return "Changed."

        self.tools = [look, change]

    def names(self) -> list[str]:
        return [name for name, _ in self.started]


def timed(first: Answer, ask: Callable[[Agent], Any], **agent: Any) -> tuple[Any, Watch, float, Any]:
    """Run an agent whose first reply is given. Returns its result, the calls started and the second request's time."""
    times: list[float] = []

    def reply(_: Asked) -> Answer:
        times.append(time.monotonic())
        return first if len(times) == 1 else whole("Done.")

    watch = Watch()
    with serve(reply) as server, Agent(f"openai:m@{server.url}", tools=watch.tools, **agent) as made:
        result = ask(made)
        return result, watch, times[1] if len(times) > 1 else 0.0, server


def run(agent: Agent) -> Any:
    return agent.run("Go.")


def stream(agent: Agent) -> Any:
    return list(agent.stream("Go."))[-1].result  # type: ignore[attr-defined]


TEXT = [delta(content=f"word{number} ") for number in range(4)]


@pytest.mark.parametrize("ask", [run, stream])
def test_a_read_only_tool_starts_while_the_reply_is_streaming(ask: Callable[[Agent], Any]) -> None:
    result, watch, second, _ = timed(slowly(call(0, "look"), *TEXT, delta("tool_calls")), ask)
    assert second - watch.started[0][1] > 3 * PAUSE  # the rest of the reply arrived after it
    assert watch.names() == ["look x"]
    assert [record.response for record in result.tool_calls] == ["All about x."]
    assert result.output == "Done."


def test_it_starts_within_fifty_milliseconds_of_its_own_arguments_closing() -> None:
    pieces = ['{"top', 'ic": "a}', '\\"]"', "}"]
    first = call(0, "look", pieces[0])
    rest = [delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces[1:]]
    asked_at = []

    def ask(agent: Agent) -> Any:
        asked_at.append(time.monotonic())
        return agent.run("Go.")

    openai.OpenAI(api_key="x")  # loads the package, so that its time is not counted
    _, watch, _, _ = timed(slowly(first, *rest, *TEXT), ask)
    took = watch.started[0][1] - asked_at[0] - 3 * PAUSE  # the fourth chunk completes the arguments
    assert watch.names() == ['look a}"]']
    assert took < 0.05 + 0.25  # tolerance for a busy machine; the next chunk would arrive PAUSE later


def test_calls_with_effects_and_all_calls_after_them_wait_for_the_complete_reply() -> None:
    chunks = [call(0, "look"), call(1, "change", '{"topic": "y"}'), call(2, "look", '{"topic": "z"}'), *TEXT]
    result, watch, _, _ = timed(slowly(*chunks, delta("tool_calls")), run)
    assert watch.names() == ["look x", "change y", "look z"]
    assert watch.started[1][1] - watch.started[0][1] > 5 * PAUSE
    assert [record.id for record in result.tool_calls] == ["c0", "c1", "c2"]


def test_several_run_at_once_and_each_once() -> None:
    chunks = [call(number, "look", json.dumps({"topic": str(number)})) for number in range(4)]
    result, watch, _, _ = timed(slowly(*chunks, delta("tool_calls")), stream)
    assert watch.names() == [f"look {number}" for number in range(4)]
    assert all(later - earlier > PAUSE / 2 for (_, earlier), (_, later) in zip(watch.started, watch.started[1:]))  # noqa: B905
    assert [record.response for record in result.tool_calls] == [f"All about {number}." for number in range(4)]


def test_two_calls_that_are_the_same_are_both_answered() -> None:
    result, watch, _, _ = timed(slowly(call(0, "look"), call(1, "look"), delta("tool_calls")), run)
    assert [record.id for record in result.tool_calls] == ["c0", "c1"]
    assert watch.names() == ["look x", "look x"]


def test_an_early_call_is_reported_and_stored_as_if_it_started_after_the_reply() -> None:
    kinds: dict[bool, list[Any]] = {}
    messages: dict[bool, Any] = {}
    for early in (True, False):
        reply = slowly(call(0, "look"), *TEXT, delta("tool_calls"))
        kinds[early], _, _, _ = timed(reply, lambda agent: list(agent.stream("Go.")), early_start=early)
        messages[early] = kinds[early][-1].result.messages
    assert [type(event) for event in kinds[True]] == [type(event) for event in kinds[False]]
    assert messages[True] == messages[False]


def test_an_agent_can_do_without_it() -> None:
    _, watch, second, server = timed(slowly(call(0, "look"), *TEXT, delta("tool_calls")), stream, early_start=False)
    assert second - watch.started[0][1] < PAUSE + 0.3
    _, _, _, server = timed(whole("Done."), run, early_start=False)
    assert server.requests[0].body["stream"] is False


def test_without_read_only_tools_a_run_requests_no_stream() -> None:
    with serve([whole("Done.")]) as server, Agent(f"openai:m@{server.url}", tools=Watch().tools[1:]) as agent:
        agent.run("Go.")
    assert server.requests[0].body["stream"] is False


def streams_of_a_second_run(tools: list[Any], calls: list[dict[str, Any]]) -> list[bool]:
    """Whether each request of a run asked for a stream, when the same agent has made these calls in an earlier run."""

    def reply(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        made = sum(message["role"] == "tool" for message in messages)
        chunks = [calls[made], delta("tool_calls")] if made < len(calls) else [delta("stop", content="Done.")]
        return streamed(*chunks) if asked.body["stream"] else whole_of(chunks)

    with serve(reply) as server, Agent(f"openai:m@{server.url}", tools=tools) as agent:
        agent.run("Go.")
        count = len(server.requests)
        agent.run("Go.")
    return [asked.body["stream"] for asked in server.requests[count:]]


def whole_of(chunks: list[dict[str, Any]]) -> Answer:
    """Those chunks as a reply that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for chunk in chunks:
        message.update({key: value for key, value in chunk["choices"][0]["delta"].items() if value is not None})
    return Answer(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())


def test_no_stream_is_requested_that_nobody_reads_once_the_tools_were_quick() -> None:
    assert streams_of_a_second_run(Watch().tools, [call(0, "look")]) == [False, False]


@pytest.mark.parametrize("others", [[], [call(0, "look")]])
def test_a_stream_is_requested_for_a_tool_that_takes_long(others: list[Any]) -> None:
    @tool(read_only=True)
    def search(topic: str) -> str:
        """Search for something."""
        time.sleep(0.05)
        return topic

    calls = [*others, call(0, "search"), *others]
    assert streams_of_a_second_run([search, *Watch().tools], calls) == [True] * (len(calls) + 1)


def test_a_call_that_was_none_says_nothing_of_how_long_the_tools_take() -> None:
    calls = [call(0, "look", '{"wrong": 1}'), call(0, "unknown")]
    assert streams_of_a_second_run(Watch().tools, calls) == [True] * 3


def test_a_stream_that_somebody_reads_is_requested_however_quick_the_tools_are() -> None:
    with serve(lambda asked: streamed(call(0, "look"), delta("tool_calls"))) as server:
        with Agent(f"openai:m@{server.url}", tools=Watch().tools, limits=Limits(turns=3)) as agent:
            list(agent.stream("Go."))
    assert all(asked.body["stream"] for asked in server.requests)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Your organization must be verified to stream this model."),
        (500, "Cannot use tools with stream"),
        (422, "streaming is not supported"),
    ],
)
def test_after_a_refused_stream_complete_replies_are_requested(status: int, message: str) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.body["stream"]:
            body = {"error": {"message": message, "param": "stream"}}
            return Answer(json.dumps(body).encode(), status=status)
        return whole("Done.")

    with serve(reply) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=0)
        agent = Agent(backend, tools=Watch().tools)
        assert [agent.run("Go.").output for _ in range(2)] == ["Done.", "Done."]
        assert next(event for event in agent.stream("Go.") if hasattr(event, "text")).text == "Done."
        backend.close()
    assert [asked.body["stream"] for asked in server.requests] == [True, False, False, False]
    assert "stream_options" not in server.requests[1].body


def test_a_stream_that_fails_afterwards_leaves_no_trace() -> None:
    watch = Watch()
    broken = slowly(call(0, "look"), *TEXT[:1], cut=True)
    with serve([broken, broken]) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=0)
        with pytest.raises(openai.APIConnectionError) as caught:
            Agent(backend, tools=watch.tools).run("Go.")
        backend.close()
    assert caught.value.messages == [{"role": "user", "content": "Go."}]  # type: ignore[attr-defined]
    assert watch.names() == ["look x"]  # the retry found it running


def test_the_retried_reply_counts_when_it_differs() -> None:
    watch = Watch()
    broken = slowly(call(0, "look"), *TEXT[:1], cut=True)
    again = streamed(call(0, "look", '{"topic": "other"}'), delta("tool_calls"))
    with serve([broken, again, whole("Done.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=watch.tools) as agent:
            events = list(agent.stream("Go."))
    result = events[-1].result  # type: ignore[attr-defined]
    assert [record.arguments for record in result.tool_calls] == [{"topic": "other"}]
    assert sum(isinstance(event, ReplyDiscarded) for event in events) == 1
    assert [event.record.response for event in events if isinstance(event, ToolFinished)] == ["All about other."]
    assert "about x" not in json.dumps(result.messages)


@pytest.mark.parametrize(
    ("again", "ending"),
    [
        (whole("Done."), "Done."),
        (streamed(call(0, "look"), delta("tool_calls")), "Done."),
        (streamed(call(0, "change"), delta("tool_calls")), "Done."),
        (slowly(*TEXT[:1], cut=True), None),
    ],
    ids=["an answer", "a quick call", "a call with an effect", "none"],
)
def test_what_a_broken_stream_has_started_stops_where_the_retried_reply_lacks_it(again: Answer, ending: Any) -> None:
    begun, told = threading.Event(), threading.Event()

    @tool(read_only=True)
    def wait(topic: str, ctx: Context) -> str:
        """Wait."""
        begun.set()
        assert ctx.cancel is not None
        if ctx.cancel.wait(5):
            told.set()
        return topic

    broken = slowly(call(0, "wait"), *TEXT[:1], cut=True)
    with serve([broken, again, whole("Done.")]) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=1)
        agent = Agent(backend, tools=[wait, *Watch().tools])
        if ending is None:
            with pytest.raises(openai.APIConnectionError):
                agent.run("Go.")
        else:
            assert agent.run("Go.").output == ending
        backend.close()
    assert begun.is_set()
    assert told.wait(1)


def test_an_early_call_that_is_claimed_is_not_told_to_stop() -> None:
    told: list[bool] = []

    @tool(read_only=True)
    def wait(topic: str, ctx: Context) -> str:
        """Wait."""
        assert ctx.cancel is not None
        told.append(ctx.cancel.wait(6 * PAUSE))
        told.append(ctx.cancel.is_set())
        return topic

    with serve([slowly(call(0, "wait"), *TEXT, delta("tool_calls")), whole("Done.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[wait]) as agent:
            result = agent.run("Go.")
    assert [record.response for record in result.tool_calls] == ["x"]
    assert told == [False, False]


def test_progress_of_an_early_tool_has_the_id_of_its_call() -> None:
    @tool(read_only=True)
    def look(topic: str, ctx: Context) -> str:
        """Look something up."""
        ctx.progress("looking")
        return topic

    first = delta(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": '{"topic": "x"}'}}])
    late = delta(tool_calls=[{"index": 0, "id": "late", "function": {}}])
    with serve([slowly(first, late, delta("tool_calls")), whole("Done.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[look]) as agent:
            events = [event for event in agent.stream("Go.") if isinstance(event, ToolStarted | ToolProgress)]
    assert [(type(event).__name__, event.id) for event in events] == [("ToolStarted", "late"), ("ToolProgress", "late")]


def test_the_time_limit_of_a_tool_counts_from_its_start() -> None:
    @tool(read_only=True, timeout=2 * PAUSE)
    def look(topic: str) -> str:
        """Look something up."""
        time.sleep(5)
        return topic

    with serve([slowly(call(0, "look"), *TEXT, delta("tool_calls")), whole("Done.")]) as server:
        with Agent(f"openai:m@{server.url}", tools=[look]) as agent:
            started = time.monotonic()
            result = agent.run("Go.")
    assert "did not finish within" in result.tool_calls[0].response
    assert time.monotonic() - started < 6 * PAUSE + 0.8


def test_no_more_calls_start_early_than_may_be_run() -> None:
    chunks = [call(number, "look", json.dumps({"topic": str(number)})) for number in range(4)]
    result, watch, _, _ = timed(slowly(*chunks, delta("tool_calls")), run, limits=Limits(tool_calls=2))
    assert watch.names() == ["look 0", "look 1"]
    assert result.stopped == "tool_calls"


def test_a_cancelled_run_begins_nothing_more() -> None:
    cancel = threading.Event()
    chunks = [call(number, "look", json.dumps({"topic": str(number)})) for number in range(6)]
    threading.Timer(2.5 * PAUSE, cancel.set).start()
    result, watch, _, _ = timed(slowly(*chunks), lambda agent: agent.run("Go.", cancel=cancel))
    time.sleep(2 * PAUSE)
    assert result.stopped == "cancelled"
    assert len(watch.started) <= 4
    Transcript(result.messages)


def test_a_call_cut_off_by_the_length_limit_does_not_start() -> None:
    _, watch, _, _ = timed(slowly(call(0, "look", '{"topic": "x'), delta("length")), run)
    assert watch.names() == []


def test_calls_in_a_text_protocol_start_early_too() -> None:
    watch = Watch()
    text = '<tool_call>\n{"name": "look", "arguments": {"topic": "x"}}\n</tool_call>' + "\nword" * 12
    with serve_lightllm([Says(text, pause=0.05), Says("Done.")]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        result = Agent(backend, tools=watch.tools).run("Go.")
        backend.close()
    assert result.tool_calls[0].response == "All about x."
    assert watch.names() == ["look x"]


OBJECTS = st.dictionaries(
    st.text(max_size=4), st.recursive(st.text() | st.integers(-(2**63), 2**63 - 1), st.lists), max_size=4
)


@given(OBJECTS, st.booleans(), st.data())
def test_arguments_are_closed_at_their_last_letter_however_they_are_cut(value: Any, ascii_: bool, data: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_)
    cuts = sorted(data.draw(st.lists(st.integers(1, max(1, len(text) - 1)), max_size=8)))
    begun: list[tuple[str, str]] = []
    accumulator = Accumulator("call", lambda name, arguments, before: begun.append((name, arguments)))
    for place, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(text)], strict=True)):
        function = {"name": "look" if place == 0 else None, "arguments": text[start:end]}
        list(accumulator.feed(delta(tool_calls=[{"index": 0, "function": function}])))
        assert (begun == []) == (end < len(text))
    assert begun == [("look", as_json_object(text))]


@pytest.mark.parametrize("ask", [run, stream])
def test_a_run_that_calls_no_tool_leaves_nothing_to_the_garbage_collector(ask: Callable[[Agent], Any]) -> None:
    reply = streamed(*TEXT, delta("stop"))
    with serve(lambda asked: reply) as server, Agent(f"openai:m@{server.url}", tools=Watch().tools) as agent:
        ask(agent)
        gc.collect()
        gc.disable()
        try:
            others = _budgets()  # those that the report of a failed test keeps
            for _ in range(3):
                ask(agent)
            assert not [each for each in _budgets() if not any(each is other for other in others)]
        finally:
            gc.enable()


def _budgets() -> list[Budget]:
    return [each for each in gc.get_objects() if isinstance(each, Budget)]
