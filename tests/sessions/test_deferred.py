"""A question that comes again when the process is killed is stored in one step with the first thing that follows it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import Agent, SessionError, tool
from agentkit.event import ReplyFinished
from agentkit.session import Session
from agentkit.sessions import MemorySessions, SQLiteSessions
from agentkit.sessions.log import Marks
from agentkit.testing import ScriptedBackend
from tests.sessions.conftest import Store

ASKED = {"role": "user", "content": "Go."}


class Counting(MemorySessions):
    """Counts its writes, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__(wait=0.2)
        self.writes: list[list[str]] = []
        self.fails = False

    def _append_marked(
        self, session_id: str, entries: Sequence[str], blobs: Mapping[str, bytes], lock: Any, marks: Marks
    ) -> None:
        if self.fails:
            raise SessionError("the disk is full")
        self.writes.append(list(entries))
        super()._append_marked(session_id, entries, blobs, lock, marks)


@pytest.fixture
def counting() -> Iterator[Counting]:
    with Counting() as sessions:
        yield sessions


def run(session: Session, agent: Agent, comes_again: bool, request_id: str = "r1", see: Any = None) -> str | None:
    """Answer a request; None when that fails. see: called with each event."""
    try:
        with session.turn(request_id, content="Go.") as turn:
            turn.comes_again = comes_again
            with agent.stream("Go.", session=turn) as events:
                for event in events:
                    if see is not None:
                        see(event)
                assert events.result is not None
                return str(events.result.output)
    except RuntimeError:
        return None


def test_a_question_and_its_answer_are_one_write(counting: Counting) -> None:
    stored: list[int] = []
    session = counting["a"]
    agent = Agent(ScriptedBackend("Done.", "Done."))
    run(session, agent, True, see=lambda event: stored.append(len(session.entries())))
    assert stored[0] == 0
    assert [len(write) for write in counting.writes] == [3]
    assert [entry.kind for entry in session.entries()] == ["request", "message", "message"]
    assert session.is_begun("r1")
    run(session, agent, False, "r2")
    assert [len(write) for write in counting.writes] == [3, 2, 1]


def test_a_question_is_stored_before_an_effect(counting: Counting) -> None:
    seen: list[list[str]] = []
    session = counting["a"]

    @tool
    def send(to: str) -> str:
        """Send a message."""
        seen.append([entry.kind for entry in session.entries()])
        return "sent"

    run(session, Agent(ScriptedBackend(("send", {"to": "Ann"}), "Done."), tools=[send]), True)
    assert seen == [["request", "message", "message", "started"]]


def test_nothing_is_stored_of_a_run_that_fails_before_it_had_an_effect(counting: Counting) -> None:
    session = counting["a"]
    assert run(session, Agent(ScriptedBackend(RuntimeError("down"))), True) is None
    assert counting.writes == []
    assert run(session, Agent(ScriptedBackend("Done.")), True) == "Done."
    assert [message["role"] for message in session.messages] == ["user", "assistant"]


def leave(session: Session, ends: Callable[[], object]) -> None:
    """Begin a run and leave it. ends: called at its end; what it returns is raised when it is an error."""
    with session.turn("r2", content="Go.") as turn:
        turn.comes_again = True
        next(Agent(ScriptedBackend("Done.")).stream("Go.", session=turn))
        if isinstance(error := ends(), Exception):
            raise error


def test_a_question_whose_run_is_left_stays(counting: Counting) -> None:
    session = counting["a"]
    with session.turn("r1", content="Go.") as turn:
        turn.comes_again = True
        next(Agent(ScriptedBackend("Done.")).stream("Go.", session=turn))
        assert counting.writes == []
    assert session.messages == [ASKED]
    with pytest.raises(KeyError):
        leave(session, KeyError)
    assert session.messages == [ASKED, ASKED]


def test_what_cannot_be_stored_fails_the_run(counting: Counting) -> None:
    session = counting["a"]

    def fail(event: object) -> None:
        counting.fails = True

    with pytest.raises(SessionError, match="disk is full"):
        run(session, Agent(ScriptedBackend("Done.")), True, see=fail)
    counting.fails = False
    assert session.entries() == []
    with pytest.raises(SessionError, match="disk is full"):
        leave(session, lambda: fail(None))


def test_a_session_is_read_with_what_is_deferred(store: Store) -> None:
    session = store()["a"]
    with session.hold() as writer:
        writer.defer([{"request": {"id": "1", "state": "begun"}}, {"message": ASKED}], {}, {"request:1": 0})
        assert writer.marks("view", "request:1") == [None, 0]
        writer.defer([{"request": {"id": "2", "state": "begun"}}, {"message": ASKED}], {}, {"request:2": 0})
        writer.write([{"view": {}}], marks=Marks({"view": 0}))
        writer.defer([{"request": {"id": "3", "state": "begun"}}, {"message": ASKED}], {}, {"request:3": 0})
        writer.write_undo(1, 5, 2)
    assert writer.marks("view", "request:1", "request:2", "request:3") == [4, 0, 2, None]
    assert session.messages == [ASKED, ASKED]


@tool
def send(to: str) -> str:
    """Send a message."""
    if to == "nobody":
        raise ValueError("nobody is there")
    return f"sent to {to}"


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


STEPS = st.sampled_from(
    [("send", {"to": "Ann"}), ("send", {"to": "nobody"}), ("look_up", {"topic": "x"}), RuntimeError("down"), "Done."]
)
RUNS = st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.lists(STEPS, max_size=4)), min_size=1, max_size=4)


@given(RUNS, st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_it_ends_as_when_each_step_is_stored_at_once(runs: list[tuple[str, list[Any]]], leaves: bool) -> None:
    found = []
    for comes_again in (True, False):
        with MemorySessions() as sessions:
            answers = []
            for request_id, steps in runs:
                agent = Agent(ScriptedBackend(*steps, RuntimeError("no more")), tools=[send, look_up])
                answers.append(run(sessions["a"], agent, comes_again, request_id))
                if leaves:
                    with suppress(RuntimeError), sessions["a"].turn(f"left {request_id}", content="Go.") as turn:
                        turn.comes_again = comes_again
                        for event in Agent(ScriptedBackend(*steps, "Done."), tools=[send]).stream("Go.", session=turn):
                            if isinstance(event, ReplyFinished):
                                break
            ids = [f"{way}{each}" for way in ("", "left ") for each in ("r1", "r2", "r3")]
            begun = [sessions["a"].is_begun(each) for each in ids]
            kept = [entry.value for entry in sessions["a"].entries() if entry.kind == "started"]
            found.append((answers, sessions["a"].messages, begun, kept))
    assert found[0] == found[1]


def test_two_writers_of_a_file_see_one_step(tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "chat.db") as one, SQLiteSessions(tmp_path / "chat.db") as two:
        counts: list[int] = []
        see: Callable[[object], None] = lambda event: counts.append(len(two["a"].entries()))  # noqa: E731
        assert run(one["a"], Agent(ScriptedBackend("Done.")), True, see=see) == "Done."
        assert set(counts) == {0, 3}
        assert two["a"].is_begun("r1")
