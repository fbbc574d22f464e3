"""What every backend promises, whatever model and server it stands for: one suite, run on each of them.

The backends are the table BACKENDS in tests/support/backend_cases.py; a new one is a function and an entry there. A
test names the scenes that it needs (`@every(Scene.CALLS)`) and runs on each backend whose model plays them. What only
one backend promises is tested in its own file. Here: replies, stopping them, usage, tools;
test_every_backend_around.py has what is around a reply: types, images, errors, capabilities, sampling.

The suite covers in particular where streams of other libraries are known to differ from their whole replies: no usage
in a stream; reasoning left in the text, or lost; calls lost or merged when each arrives in one piece and all with one
index; "stop" as the finish reason of a reply with calls, or none; an error inside of a stream taken for its end; a
stream that was left and goes on in the server.
"""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from agentkit import Agent, Limits, Result, tool
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.event import ReasoningDelta, ReplyFinished, TextDelta
from agentkit.message import response_of, stop_reason, without_stop_note
from agentkit.middleware.base import Middleware
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript
from tests.support.backend_cases import Player, Scene, each_scene, every
from tests.support.backend_suite import SOON, either_way, replies, research, result_of, search, without_ids

# ---- streaming equals whole


@each_scene(Scene.ANSWERS, Scene.THINKS, Scene.CALLS, Scene.CALLS_BOTH)
def test_a_streamed_reply_is_the_whole_reply(player: Player, scene: Scene) -> None:
    tools: list[Any] = [search, research] if scene in (Scene.CALLS, Scene.CALLS_BOTH) else []
    (whole,) = replies(player.play(scene), stream=False, tools=tools)
    *deltas, streamed = replies(player.play(scene), stream=True, tools=tools)
    assert without_ids([streamed.message])[0] == without_ids([whole.message])[0]
    assert streamed.finish_reason == whole.finish_reason != ""
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert {type(each) for each in deltas} <= {TextDelta, ReasoningDelta}
    said = "".join(each.text for each in deltas if isinstance(each, TextDelta))
    thought = "".join(each.text for each in deltas if isinstance(each, ReasoningDelta))
    assert said == (whole.message["content"] or "")
    assert thought == whole.message.get("reasoning_content", "")
    assert bool(thought) == (scene is Scene.THINKS)


@each_scene(Scene.ANSWERS, Scene.THINKS, Scene.CALLS, Scene.CALLS_BOTH, Scene.CALLS_RESEARCH)
def test_a_streamed_run_has_the_transcript_of_a_whole_one(player: Player, scene: Scene) -> None:
    tools: list[Any] = [search, research]
    whole = Agent(player.play(scene), tools=tools).run("Look it up.")
    with Agent(player.play(scene), tools=tools).stream("Look it up.") as run:
        events = list(run)
    assert run.result is not None
    assert without_ids(run.result.messages) == without_ids(whole.messages)
    assert (run.result.output, run.result.stopped) == (whole.output, whole.stopped) == (whole.output, "answer")
    last = max(place for place, event in enumerate(events) if isinstance(event, ReplyFinished))
    first = max((place for place, event in enumerate(events[:last]) if isinstance(event, ReplyFinished)), default=0)
    assert "".join(event.text for event in events[first:last] if isinstance(event, TextDelta)) == whole.output


@every(Scene.TALKS, is_random=True)
def test_a_seed_repeats_a_random_reply_and_temperature_0_is_not_random(player: Player) -> None:
    backend = player.play(Scene.TALKS, max_tokens=30, top_k=0, top_p=1.0, min_p=0.0)

    def letters(stream: bool, temperature: float, seed: int | None = None) -> str:
        sampling = {"temperature": temperature, "seed": seed}
        return str(replies(backend, stream=stream, sampling=sampling)[-1].message["content"])

    hot = letters(False, 20.0, 7)
    assert letters(True, 20.0, 7) == hot
    assert letters(True, 20.0, 8) != hot
    assert letters(True, 0) == letters(False, 0)


# ---- stopping a reply


class CancelsWhenAsked(Middleware):
    """Cancels the run after its reply has been requested: nothing tells that a whole reply is being generated."""

    def __init__(self, backend: Backend, cancel: threading.Event) -> None:
        super().__init__(backend)
        self._cancel = cancel

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        threading.Timer(0.2, self._cancel.set).start()
        return self.backend.reply(request)


def cancelled(backend: Backend, stream: bool) -> Result:
    """The result of a run that is cancelled while its reply is generated."""
    cancel = threading.Event()
    if not stream:
        return Agent(CancelsWhenAsked(backend, cancel)).run("Go on.", cancel=cancel)
    with Agent(backend).stream("Go on.", cancel=cancel) as run:
        for event in run:
            if isinstance(event, TextDelta):
                cancel.set()
    assert run.result is not None
    return run.result


@every(Scene.TALKS)
@either_way
def test_a_cancelled_reply_ends_the_run_soon_and_the_conversation_goes_on(player: Player, stream: bool) -> None:
    started = time.monotonic()
    result = cancelled(player.play(Scene.TALKS), stream)
    assert time.monotonic() - started < SOON
    assert result.stopped == "cancelled"
    if stream:  # what had arrived is kept
        assert [message["role"] for message in result.messages] == ["user", "assistant"]
        assert stop_reason(result.messages[1]) == "cancelled"
        assert result.output == without_stop_note(result.messages[1])
        later = Agent(player.play(Scene.ANSWERS)).run("Go on.", messages=result.messages)
    else:
        assert [message["role"] for message in result.messages] == ["user"]
        later = Agent(player.play(Scene.ANSWERS)).resume(result.messages)
    roles = [message["role"] for message in result.messages]
    more = ["user", "assistant"] if stream else ["assistant"]
    assert (later.stopped, [message["role"] for message in later.messages]) == ("answer", roles + more)


@every(Scene.TALKS)
@either_way
def test_the_seconds_of_a_run_end_a_reply_too(player: Player, stream: bool) -> None:
    started = time.monotonic()
    result = result_of(Agent(player.play(Scene.TALKS), limits=Limits(seconds=0.5)), "Go on.", stream)
    assert time.monotonic() - started < SOON
    assert result.stopped == "seconds"
    Transcript(result.messages)


@every(Scene.TALKS)
@pytest.mark.parametrize("how", ["closed", "cancelled", "cancelled whole"])
def test_a_reply_that_is_left_does_not_keep_the_model_from_the_next_request(player: Player, how: str) -> None:
    backend = player.play(Scene.TALKS)
    started = time.monotonic()
    for _ in range(4):  # as many as the llama.cpp server generates at once
        if how == "closed":
            with Agent(backend).stream("Go on.") as run:
                assert any(isinstance(event, TextDelta) for event in run)
            assert [message["role"] for message in run.messages] == ["user"]
        else:
            cancelled(backend, stream=how == "cancelled")
    with Agent(backend).stream("Go on.") as run:
        assert any(isinstance(event, TextDelta) for event in run)
    assert time.monotonic() - started < SOON


# ---- usage


@every(Scene.CALLS)
@either_way
def test_the_usage_is_the_sum_of_the_replies(player: Player, stream: bool) -> None:
    with Agent(player.play(Scene.CALLS), tools=[search]).stream("Look it up.") as run:
        spent = [event.reply.usage for event in run if isinstance(event, ReplyFinished)]
    result = run.result if stream else Agent(player.play(Scene.CALLS), tools=[search]).run("Look it up.")
    assert result is not None
    assert (result.usage.requests, result.usage.tool_calls) == (2, 1)
    assert [usage.requests for usage in spent] == [1, 1]
    assert result.usage.input_tokens == sum(usage.input_tokens for usage in spent)
    assert result.usage.output_tokens == sum(usage.output_tokens for usage in spent)
    for usage in spent:
        assert (usage.input_tokens > 0, usage.output_tokens > 0) == (player.case.reports_tokens,) * 2


# ---- tools


@every(Scene.CALLS)
@either_way
def test_a_call_reaches_the_function_and_its_result_the_model(player: Player, stream: bool) -> None:
    taken: list[tuple[str, int]] = []

    @tool(name="search")
    def recording(query: str, most: int = 3) -> str:
        """Search for something."""
        taken.append((query, most))
        return "It is the answer that was found."

    result = result_of(Agent(player.play(Scene.CALLS), tools=[recording]), "Look it up.", stream)
    (record,) = result.tool_calls
    assert taken == [(record.arguments["query"], record.arguments.get("most", 3))]
    assert taken[0][0]
    roles = [message["role"] for message in result.messages]
    assert (roles, result.stopped) == (["user", "assistant", "tool", "assistant"], "answer")
    assert response_of(result.messages[2]) == record.response == "It is the answer that was found."
    assert result.messages[2]["tool_call_id"] == result.messages[1]["tool_calls"][0]["id"] == record.id


@every(Scene.CALLS_BOTH)
@either_way
def test_the_calls_of_a_reply_run_at_once_and_are_answered_in_their_order(player: Player, stream: bool) -> None:
    second_ran = threading.Event()

    @tool(read_only=True, name="search")
    def slow(query: str) -> str:
        """Search for something."""
        return f"second ran: {second_ran.wait(10)}"

    @tool(read_only=True, name="research")
    def fast(query: str) -> str:
        """Search everywhere."""
        second_ran.set()
        return "fast"

    result = result_of(Agent(player.play(Scene.CALLS_BOTH), tools=[slow, fast]), "Look it up.", stream)
    called = result.messages[1]["tool_calls"]
    assert [call["function"]["name"] for call in called] == ["search", "research"]
    assert [message["tool_call_id"] for message in result.messages[2:4]] == [call["id"] for call in called]
    assert [response_of(message) for message in result.messages[2:4]] == ["second ran: True", "fast"]
    assert result.stopped == "answer"


class Offers(Middleware):
    """Tells the model of other tools than the agent has."""

    def __init__(self, backend: Backend, *tools: Any) -> None:
        super().__init__(backend)
        self._tools = Toolbox(tools)

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self.backend.reply(replace(request, tools=self._tools))


@tool(name="search")
def search_with_words(query: str, most: str) -> str:
    """Search for something."""
    return ""


@pytest.mark.parametrize(
    ("scene", "offered", "says"),
    [
        pytest.param(Scene.CALLS_RESEARCH, research, "search", id="unknown tool"),
        pytest.param(Scene.CALLS_WRONGLY, search_with_words, "most", id="wrong arguments"),
    ],
)
@every(Scene.CALLS_RESEARCH, Scene.CALLS_WRONGLY)
@either_way
def test_a_call_that_fits_no_tool_is_told_to_the_model(
    player: Player, scene: Scene, offered: Any, says: str, stream: bool
) -> None:
    ran: list[str] = []

    @tool(name="search")
    def recording(query: str, most: int = 3) -> str:
        """Search for something."""
        ran.append(query)
        return "Found."

    agent = Agent(Offers(player.play(scene), offered), tools=[recording])
    result = result_of(agent, "Look it up.", stream)
    (record,) = result.tool_calls
    assert ran == []
    assert record.error is not None
    assert says in record.error
    assert response_of(result.messages[2]) == record.response
    assert (result.messages[-1]["role"], result.stopped) == ("assistant", "answer")
