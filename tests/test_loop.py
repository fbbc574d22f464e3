"""Runs: their events, how they end, how they are resumed."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import openai
import pytest

from agentkit import Agent, ConfigurationError, Image, LimitError, Limits, tool
from agentkit.errors import TranscriptError
from agentkit.event import (
    Event,
    LimitReached,
    LoopDetected,
    ReplyFinished,
    ReplyStarted,
    RunFinished,
    TextDelta,
    ToolFinished,
    ToolStarted,
)
from agentkit.record import event_record, result_record
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look a topic up."""
    return f"All about {topic}."


@tool
def note(text: str) -> str:
    """Write a note."""
    return f"noted {text}"


def script() -> ScriptedBackend:
    """Two parallel look-ups, a note, an answer."""
    return ScriptedBackend(
        [("look_up", {"topic": "fjords"}), ("look_up", {"topic": "ferries"})],
        {"content": "Let me note that.", "tool_calls": [{"function": {"name": "note", "arguments": '{"text": "x"}'}}]},
        "Fjords are deep.",
    )


def agent_of(backend: Any, **options: Any) -> Agent:
    return Agent(backend, tools=[look_up, note], instructions="Be brief.", **options)


def test_a_run_ends_with_the_answer_and_the_whole_transcript() -> None:
    backend = script()
    result = agent_of(backend).run("What are fjords?")
    assert result.output == str(result) == "Fjords are deep."
    assert result.stopped == "answer"
    assert [message["role"] for message in result.messages] == [
        *("system", "user", "assistant", "tool", "tool", "assistant", "tool", "assistant")
    ]
    assert [(record.name, record.response, record.error) for record in result.tool_calls] == [
        ("look_up", "All about fjords.", None),
        ("look_up", "All about ferries.", None),
        ("note", "noted x", None),
    ]
    assert (result.usage.requests, result.usage.tool_calls) == (3, 3)
    assert [request["function"]["name"] for request in backend.requests[0].tools] == ["look_up", "note"]


def test_a_stream_yields_each_step_and_ends_with_the_result() -> None:
    events = list(agent_of(script()).stream("What are fjords?"))
    kinds = [type(event) for event in events if not isinstance(event, TextDelta)]
    assert kinds == [
        *(ReplyStarted, ReplyFinished, ToolStarted, ToolStarted, ToolFinished, ToolFinished),
        *(ReplyStarted, ReplyFinished, ToolStarted, ToolFinished),
        *(ReplyStarted, ReplyFinished, RunFinished),
    ]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == (
        "Let me note that.Fjords are deep."
    )


def test_streaming_and_not_streaming_have_the_same_result() -> None:
    whole = agent_of(script()).run("What are fjords?")
    *_, last = agent_of(script()).stream("What are fjords?")
    assert isinstance(last, RunFinished)
    assert last.result.messages == whole.messages
    assert last.result.output == whole.output


def test_a_message_is_in_the_transcript_before_its_event_is_yielded() -> None:
    run = agent_of(script()).stream("What are fjords?")
    for event in run:
        for message in event.adds:
            assert message in run.messages


EVENTS = len(list(agent_of(script()).stream("What are fjords?")))


@pytest.mark.parametrize("stop_after", range(EVENTS))
def test_a_stream_dropped_at_any_event_can_be_resumed_from_its_messages(stop_after: int) -> None:
    expected = agent_of(script()).run("What are fjords?").messages

    def answering(messages: list[Any]) -> Any:
        """The script as a function of the messages, as a model is."""
        said = sum(message["role"] == "assistant" for message in messages)
        return script()._steps[said]

    backend = ScriptedBackend(*[answering] * 8)
    run = agent_of(backend).stream("What are fjords?")
    for _ in range(stop_after):
        next(run)
    run.close()
    Transcript(run.messages)
    taken_up = agent_of(backend).run(messages=run.messages)
    assert without_ids(taken_up.messages) == without_ids(expected)


def without_ids(messages: list[Any]) -> list[Any]:
    return [
        {
            **{key: value for key, value in message.items() if key not in ("tool_call_id", "tool_calls")},
            "calls": [call["function"] for call in message.get("tool_calls", [])],
        }
        for message in messages
    ]


def test_a_dropped_stream_closes_the_backends_reply() -> None:
    closed = threading.Event()

    class Endless:
        def reply(self, request: Any) -> Any:
            try:
                while True:
                    yield TextDelta("more ")
            finally:
                closed.set()

        def close(self) -> None:
            """Nothing to close."""

    with Agent(cast(Any, Endless())).stream("Go.") as run:
        assert isinstance(next(run), ReplyStarted)
        assert isinstance(next(run), TextDelta)
    assert closed.is_set()
    assert run.messages == [{"role": "user", "content": "Go."}]


def test_a_conversation_continues_from_its_messages() -> None:
    backend = ScriptedBackend("One.", "Two.")
    agent = agent_of(backend)
    first = agent.run("First?")
    second = agent.run("Second?", messages=first.messages)
    assert second.messages[: len(first.messages)] == first.messages
    assert [message["content"] for message in second.messages[1:]] == ["First?", "One.", "Second?", "Two."]
    assert sum(message["role"] == "system" for message in second.messages) == 1


def test_messages_that_end_with_an_answer_need_no_request() -> None:
    backend = ScriptedBackend()
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    assert agent_of(backend).run(messages=earlier).output == "Hello."
    assert backend.requests == []


def test_images_and_texts_of_a_prompt_arrive_in_order() -> None:
    backend = ScriptedBackend("A cat.")
    Agent(backend).run(["What is this?", Image(b"x", "image/png")])
    content = backend.requests[0].messages[0]["content"]
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "image_url"]


# Limits


def asks_for_ever(messages: list[Any]) -> Any:
    """A model that calls a tool as long as it can, each time with other arguments."""
    if messages[-1]["role"] == "user" and len(messages) > 2:
        return "My best answer."
    return ("look_up", {"topic": str(len(messages))})


@pytest.mark.parametrize(
    ("limits", "stopped"),
    [
        (Limits(turns=3), "turns"),
        (Limits(tool_calls=2), "tool_calls"),
        (Limits(seconds=1.0), "seconds"),
    ],
)
def test_a_run_at_its_limit_gets_one_last_reply_without_tools(limits: Limits, stopped: str) -> None:
    def slow(messages: list[Any]) -> Any:
        time.sleep(0.05)
        return asks_for_ever(messages)

    backend = ScriptedBackend(*[slow] * 40)
    result = agent_of(backend, limits=limits).run("Go.")
    assert result.stopped == stopped
    assert result.output == "My best answer."
    assert backend.requests[-1].tools == []
    assert all(request.tools for request in backend.requests[:-1])
    Transcript(result.messages)
    if stopped == "turns":
        assert limits.turns
        assert len(backend.requests) == limits.turns + 1


def test_tokens_and_cost_are_limits_too() -> None:
    from agentkit import Usage
    from agentkit.event import Reply
    from agentkit.message import FunctionCall, ToolCall

    def spending(messages: list[Any]) -> Reply:
        step = asks_for_ever(messages)
        if isinstance(step, str):
            return Reply({"role": "assistant", "content": step}, usage=Usage(1, 60, 0, 40, cost=0.5))
        function: FunctionCall = {"name": "look_up", "arguments": "{}"}
        call: ToolCall = {"id": f"c{len(messages)}", "type": "function", "function": function}
        return Reply({"role": "assistant", "content": None, "tool_calls": [call]}, usage=Usage(1, 60, 0, 40, cost=0.5))

    for limits, stopped in ((Limits(tokens=450, repeats=None), "tokens"), (Limits(cost=2.2, repeats=None), "cost")):
        backend = ScriptedBackend(*[spending] * 9)
        result = agent_of(backend, limits=limits).run("Go.")
        assert result.stopped == stopped
        assert result.output == "My best answer."
        assert len(backend.requests) == 4  # as much as a reply takes is reserved for the last one
        assert result.usage.input_tokens + result.usage.output_tokens <= 450
        assert result.usage.cost is not None
        assert result.usage.cost <= 2.2


def test_calls_beyond_the_limit_of_one_reply_are_answered_without_being_run() -> None:
    backend = ScriptedBackend([("look_up", {"topic": str(number)}) for number in range(3)], "Done.")
    result = agent_of(backend, limits=Limits(tool_calls=2)).run("Go.")
    assert [record.error is None for record in result.tool_calls] == [True, True, False]
    assert "limit on tool calls" in result.tool_calls[2].response
    assert (result.usage.tool_calls, result.stopped) == (2, "tool_calls")


def circling(*calls: Any) -> ScriptedBackend:
    """Makes the calls alternately until no tools are offered."""

    def step(messages: list[Any]) -> Any:
        if "No more tool calls" in str(messages[-1]["content"]):
            return "I give up."
        made = sum(len(message.get("tool_calls") or ()) for message in messages)
        return calls[made % len(calls)]

    return ScriptedBackend(*[step] * 60)


def test_repeated_calls_with_the_same_result_are_warned_about_once_and_then_end_the_run() -> None:
    backend = circling(("look_up", {"topic": "x"}))
    events = list(agent_of(backend).stream("Go."))
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    result = finished.result
    assert (result.stopped, result.output, result.usage.tool_calls) == ("loop", "I give up.", 4)
    noticed = [event for event in events if isinstance(event, LoopDetected)]
    assert len(noticed) == 1
    assert "3 times in a row" in noticed[0].what


def test_two_alternating_calls_end_the_run_too() -> None:
    backend = circling(("look_up", {"topic": "x"}), ("look_up", {"topic": "y"}))
    result = agent_of(backend).run("Go.")
    assert (result.stopped, result.usage.tool_calls) == ("loop", 7)


def test_a_streak_of_failures_ends_the_run_too() -> None:
    backend = ScriptedBackend(*[("nothing", {"number": number}) for number in range(9)], "I give up.")
    result = agent_of(backend).run("Go.")
    assert (result.stopped, len(result.tool_calls)) == ("loop", 9)


def test_a_model_that_heeds_the_warning_continues() -> None:
    same = ("look_up", {"topic": "x"})
    backend = ScriptedBackend(same, same, same, ("look_up", {"topic": "y"}), "Found.")
    result = agent_of(backend).run("Go.")
    assert (result.stopped, result.output) == ("answer", "Found.")


def test_polling_whose_results_change_continues() -> None:
    counter = itertools.count()

    @tool(read_only=True)
    def progress() -> str:
        """Tell the progress."""
        return f"{next(counter)} %"

    backend = ScriptedBackend(*[("progress", {})] * 12, "Ready.")
    result = Agent(backend, tools=[progress]).run("Go.")
    assert (result.stopped, result.output) == ("answer", "Ready.")


def test_tool_calls_in_the_last_reply_are_not_run() -> None:
    backend = ScriptedBackend(*[("look_up", {"topic": str(number)}) for number in range(5)])
    run = agent_of(backend, limits=Limits(turns=2)).stream("Go.")
    events = list(run)
    assert any(isinstance(event, LimitReached) for event in events)
    assert run.result is not None
    assert (run.result.stopped, run.result.output) == ("turns", "")
    assert len(backend.requests) == 3
    assert run.messages[-1] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("limits", [{"turns": 0}, {"tokens": -1}, {"seconds": "x"}, {"repeats": True}])
def test_an_invalid_limit_is_rejected(limits: dict[str, Any]) -> None:
    with pytest.raises(LimitError, match=next(iter(limits))):
        Limits(**limits)


# Stopping


def test_a_cancelled_run_returns_a_partial_result_and_can_be_resumed() -> None:
    cancel = threading.Event()

    @tool
    def stop_here() -> str:
        """Stop."""
        cancel.set()
        return "stopped"

    agent = Agent(ScriptedBackend(("stop_here", {}), "Never said."), tools=[stop_here])
    result = agent.run("Go.", cancel=cancel)
    assert (result.stopped, result.output) == ("cancelled", "")
    Transcript(result.messages)
    assert agent.run(messages=result.messages).output == "Never said."


def test_a_run_is_cancelled_while_its_tools_run() -> None:
    cancel, released = threading.Event(), threading.Event()

    @tool(read_only=True, timeout=30)
    def wait_long() -> str:
        """Wait."""
        cancel.set()
        released.wait(20)
        return "late"

    started = time.monotonic()
    result = Agent(ScriptedBackend(("wait_long", {}), "Done."), tools=[wait_long]).run("Go.", cancel=cancel)
    released.set()
    assert time.monotonic() - started < 10
    assert result.stopped == "cancelled"


def test_an_exception_from_a_run_has_the_valid_messages() -> None:
    error = openai.OpenAIError("the server is gone")
    backend = ScriptedBackend(("look_up", {"topic": "x"}), error, "There it is.")
    agent = agent_of(backend)
    with pytest.raises(openai.OpenAIError) as raised:
        agent.run("Go.")
    messages = raised.value.messages  # type: ignore[attr-defined]
    assert messages[-1]["role"] == "tool"
    assert agent.run(messages=messages).output == "There it is."


def test_a_keyboard_interrupt_in_a_tool_leaves_a_transcript_that_can_be_sent_again() -> None:
    interrupted: list[bool] = []

    @tool
    def work() -> str:
        """Work."""
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return "worked"

    run = Agent(ScriptedBackend(("work", {}), "Done."), tools=[work]).stream("Go.")
    with pytest.raises(KeyboardInterrupt):
        list(run)
    agent = Agent(ScriptedBackend("Done."), tools=[work])
    assert agent.run(messages=run.messages).output == "Done."


# Bad input


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda agent: agent.run(""), "the prompt is empty"),
        (lambda agent: agent.run("  \n"), "the prompt is empty"),
        (lambda agent: agent.run([]), "the prompt is a list"),
        (lambda agent: agent.run(42), "the prompt is a int"),
        (lambda agent: agent.run(["x", 42]), "a part of type int"),
        (lambda agent: agent.run(), "nothing to answer"),
        (lambda agent: agent.run("x", messages="hello"), "messages is a str"),
        (lambda agent: agent.run("x", messages={"role": "user", "content": "x"}), "messages is a dict"),
        (lambda agent: agent.run("x", messages=[{"role": "wizard", "content": "x"}]), "has the role 'wizard'"),
        (lambda agent: agent.run("x", messages=["hello"]), "is a str"),
    ],
)
def test_bad_input_is_a_clear_error_before_anything_is_sent(ask: Callable[[Agent], Any], says: str) -> None:
    backend = ScriptedBackend("Never.")
    with pytest.raises(TranscriptError, match=says):
        ask(Agent(backend))
    assert backend.requests == []


def test_an_invalid_model_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="a name such as"):
        Agent(42)  # type: ignore[arg-type]


def test_a_finished_script_raises_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="the script has 1 replies"):
        agent_of(ScriptedBackend(("look_up", {"topic": "x"}))).run("Go.")


def test_an_agent_closes_only_the_backend_it_made() -> None:
    backend = ScriptedBackend("Hi.")
    with Agent(backend) as agent:
        agent.run("Hello")
    assert not backend.closed
    with Agent("llamacpp:") as agent:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        agent.run("Hello")


# Records


def test_events_and_results_are_json() -> None:
    import json

    run = agent_of(script()).stream("What are fjords?")
    records: list[dict[str, Any]] = [json.loads(json.dumps(event_record(event))) for event in run]
    assert [record["event"] for record in records if record["event"] != "text_delta"][:4] == [
        *("reply_started", "reply_finished", "tool_started", "tool_started")
    ]
    assert run.result is not None
    assert json.loads(json.dumps(result_record(run.result)))["output"] == "Fjords are deep."
    assert records[-1].pop("at") > 0
    assert records[-1] == {"event": "run_finished", "result": json.loads(json.dumps(result_record(run.result)))}


def test_every_event_has_the_messages_it_adds() -> None:
    run = agent_of(script()).stream("What are fjords?")
    start = run.messages
    added = [message for event in run for message in event.adds]
    assert [*start, *added] == run.messages


def test_events_are_values() -> None:
    assert issubclass(TextDelta, Event)
    assert TextDelta("a") == TextDelta("a")


@pytest.mark.parametrize("name", ["tools", "limits", "instructions", "_backend"])
def test_setting_an_attribute_of_an_agent_raises(name: str) -> None:
    agent = Agent(ScriptedBackend("Hello."))
    with pytest.raises(AttributeError, match="immutable"):
        setattr(agent, name, None)
    assert agent.run("Hi").output == "Hello."
