"""`at`: when a run emitted each event, in seconds since its start."""

import copy
import pickle
import time

from agentkit import Agent, Context, MemorySessions, tool
from agentkit.backend import ReplyStream, Request
from agentkit.event import Event, ReplyDiscarded, RunFinished, TextDelta, ToolFinished, ToolProgress, ToolStarted
from agentkit.middleware.base import Middleware
from agentkit.record import event_record
from agentkit.testing import ScriptedBackend


@tool(read_only=True)
def wait(seconds: float) -> str:
    """Wait."""
    time.sleep(seconds)
    return "waited"


def times(events: list[Event]) -> list[float]:
    return [event.at for event in events]


def test_the_events_of_a_run_have_their_times_in_order() -> None:
    began = time.monotonic()
    agent = Agent(ScriptedBackend(("wait", {"seconds": 0.05}), "Done."), tools=[wait])
    events = list(agent.stream("Go."))
    took = time.monotonic() - began
    assert times(events) == sorted(times(events))
    assert 0 < events[0].at < events[-1].at <= took
    assert isinstance(events[-1], RunFinished)
    (started,) = (event for event in events if isinstance(event, ToolStarted))
    (finished,) = (event for event in events if isinstance(event, ToolFinished))
    assert finished.at - started.at >= 0.04
    assert [event_record(event)["at"] for event in events] == [round(event.at, 6) for event in events]
    assert abs(events[-1].result.usage.seconds - events[-1].at) < 0.1


def test_the_progress_of_an_agent_that_is_a_tool_has_the_times_of_the_outer_run() -> None:
    @tool
    def report(ctx: Context) -> str:
        """Report."""
        ctx.progress("half")
        return "reported"

    inner = Agent(ScriptedBackend(("report", {}), "Inner."), tools=[report])
    time.sleep(0.02)
    outer = Agent(ScriptedBackend(("ask", {"task": "x"}), "Outer."), tools=[inner.as_tool("ask", "Ask.")])
    events = list(outer.stream("Go."))
    assert any(isinstance(event, ToolProgress) for event in events)
    assert times(events) == sorted(times(events))
    assert all(times(events))


class Same(Middleware):
    """Yields one object again and again, as a middleware may."""

    discard = ReplyDiscarded()

    def reply(self, request: Request) -> ReplyStream:
        for step in super().reply(request):
            yield self.discard
            yield step


def test_an_event_that_is_yielded_again_keeps_the_time_it_had() -> None:
    agent = Agent(ScriptedBackend("One two three.", "Four five."), middleware=[Same])
    for _ in range(2):
        found = [event for event in agent.stream("Go.") if isinstance(event, ReplyDiscarded)]
        assert len({id(event) for event in found[1:]}) == len(found) - 1
        assert len(set(times(list(found)))) >= len(found) - 1


def test_the_time_of_an_event_is_kept_by_copies_and_makes_no_other_event_of_it() -> None:
    said, *_ = (event for event in Agent(ScriptedBackend("Yes.")).stream("Go?") if isinstance(event, TextDelta))
    assert said == TextDelta(said.text)
    assert said.at > 0 == TextDelta(said.text).at
    assert [copy.copy(said).at, pickle.loads(pickle.dumps(said)).at] == [said.at] * 2


def test_an_answer_that_is_replayed_has_times_too() -> None:
    with MemorySessions() as sessions:
        for _ in range(2):
            events = list(Agent(ScriptedBackend("Yes.")).stream("Go?", session=sessions["a"], request_id="1"))
            assert all(times(events))
            assert times(events) == sorted(times(events))
