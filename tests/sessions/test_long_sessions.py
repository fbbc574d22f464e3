"""Long sessions: a turn reads what is sent of them, and nothing of them is lost."""

import itertools
import json
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from agentkit import Agent, Limits, SessionError, Window, tool
from agentkit.event import ReplyFinished
from agentkit.session import Session
from agentkit.sessions import MemorySessions
from agentkit.sessions.views import last_view
from agentkit.testing import ScriptedBackend

TEXT = "The tide is high at noon and low in the evening, as the moon wants it. " * 4


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}. " + "x" * 3000


class Counted(MemorySessions):
    """A store that counts what is read of it."""

    rows = 0

    def _read(self, session_id: str, start: int, count: int | None = None) -> Sequence[str]:
        found = super()._read(session_id, start, count)
        self.rows += len(found)
        return found


def filled(session: Session, size: int) -> None:
    roles = ("user", "assistant") * (size // 2)
    session.append([{"role": role, "content": f"{place} {TEXT}"} for place, role in enumerate(roles)])


def agent_of(*steps: Any, **options: Any) -> Agent:
    return Agent(ScriptedBackend(*steps or ["Aye."] * 50), window=Window(4_000), **options)


def test_a_turn_reads_what_is_sent_however_long_the_session_is() -> None:
    rows = {}
    for size in (200, 2_000):
        sessions = Counted()
        filled(sessions["a"], size)
        agent = agent_of()
        agent.run("Aye?", session=sessions["a"], request_id="r0")  # makes the view
        sessions.rows = 0
        for number in range(1, 4):
            agent.run("Aye?", session=sessions["a"], request_id=f"r{number}")
        rows[size] = sessions.rows
    assert rows[2_000] <= rows[200] * 1.1
    assert rows[2_000] < 300


def test_a_long_turn_reads_the_session_no_more_often_the_more_often_it_is_cut() -> None:
    read = {}
    for steps in (20, 80):
        sessions = Counted()
        calls: list[Any] = [("look_up", {"topic": f"t{number}"}) for number in range(steps)]
        result = agent_of(*calls, "Aye.", tools=[look_up], limits=Limits(turns=None)).run("One?", session=sessions["a"])
        read[steps] = sessions.rows
        assert result.output == "Aye."
        assert sum('"view"' in text for text in sessions._read("a", 0)) >= steps // 10
    assert read[80] == read[20]


def test_the_result_has_the_whole_transcript_and_reads_its_beginning_when_it_is_asked_for() -> None:
    sessions = Counted()
    filled(sessions["a"], 200)
    agent = agent_of(instructions="Be brief.")
    agent.run("One?", session=sessions["a"])
    result = agent.run("Two?", session=sessions["a"])
    rows = sessions.rows
    assert result.output == "Aye."
    assert sessions.rows == rows
    assert result.messages == [{"role": "system", "content": "Be brief."}, *sessions["a"].messages]
    assert sessions.rows > rows
    assert len(result.messages) == 205
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_running_and_a_failing_run_have_the_whole_transcript_too() -> None:
    sessions = Counted()
    filled(sessions["a"], 200)
    agent = agent_of("Aye.", "Aye.", ValueError("no server"))
    agent.run("One?", session=sessions["a"])
    with agent.stream("Two?", session=sessions["a"]) as run:
        next(run)
        assert len(run.messages) == 203
    with pytest.raises(ValueError, match="no server") as caught:
        agent_of(ValueError("no server")).run("Three?", session=sessions["a"])
    assert len(caught.value.messages) == 204  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["renamed", "deleted", "replaced"])
def test_the_beginning_of_another_session_is_not_taken_for_that_of_a_result(what: str) -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 200)
    agent = agent_of()
    agent.run("One?", session=sessions["a"])
    result = agent.run("Two?", session=sessions["a"])
    if what == "renamed":
        sessions.rename("a", "b")
    else:
        sessions.delete("a")
    if what == "replaced":
        filled(sessions["a"], 210)
    assert result.output == "Aye."
    for read in (lambda: result.messages, lambda: result.new_messages, lambda: pickle.dumps(result)):
        with pytest.raises(SessionError, match="session 'a' was renamed or deleted"):
            read()


def test_what_is_sent_stays_the_same_from_turn_to_turn() -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 200)
    backend = ScriptedBackend(*["Aye."] * 6)
    agents = [Agent(backend, window=Window(4_000)) for _ in range(2)]
    for number in range(6):
        agents[number % 2].run(f"{number}?", session=sessions["a"])  # an agent that knows nothing of the other's view
    bodies = [request.body for request in backend.requests]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(bodies))


def test_the_number_of_an_earlier_result_is_that_in_the_session() -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 200)
    numbers: list[int] = []

    def reads(messages: list[Any]) -> Any:
        stubs = [str(each["content"]) for each in messages if "left out to save space" in str(each["content"])]
        numbers.append(int(stubs[-1].split("with number ")[1].split()[0]))
        return ("earlier_result", {"number": numbers[0]})

    calls: list[Any] = [("look_up", {"topic": f"t{number}"}) for number in range(8)]
    backend = ScriptedBackend("Aye.", *calls, reads, "Read.")
    agent = Agent(backend, tools=[look_up], window=Window(8_000), instructions="Be brief.")
    agent.run("One?", session=sessions["a"])
    result = agent.run("Look.", session=sessions["a"])
    stored = sessions["a"].messages[numbers[0]]
    assert stored["role"] == "tool"
    assert result.tool_calls[-1].response.splitlines()[0] == str(stored["content"]).splitlines()[1]


def test_an_undo_behind_the_view_keeps_it_and_one_that_goes_further_does_not() -> None:
    sessions = Counted()
    session = sessions["a"]
    filled(session, 200)
    agent = agent_of()
    agent.run("One?", session=session)
    agent.run("Two?", session=session)
    with session.hold() as writer:
        writer.undo(4)  # the view was made in the first of these turns
    sessions.rows = 0
    assert agent.run("Three?", session=session).output == "Aye."
    assert sessions.rows < 100
    assert [each["content"] for each in session.messages[-2:]] == ["Three?", "Aye."]
    with session.hold() as writer:
        writer.undo(150)
    result = agent.run("Four?", session=session)
    assert result.messages == session.messages
    assert len(session.messages) == 202 - 150 + 2


def test_an_older_agentkit_refuses_such_a_session() -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 200)
    agent_of().run("One?", session=sessions["a"])
    views = [json.loads(text) for text in sessions._read("a", 0) if '"view"' in text]
    assert [view["v"] for view in views] == [2]
    assert views[0]["view"]["from"]["message"] > 100
    assert max([*views[0]["view"]["left_out"], 0]) == 0 or min(views[0]["view"]["left_out"]) > 100


def test_a_view_without_a_beginning_is_read_as_before() -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 20)
    with sessions["a"].hold() as writer:
        writer.note_view({"left_out": list(range(10)), "stubs": [], "note": "(Cut.)"})
    backend = ScriptedBackend("Aye.")
    Agent(backend).run("One?", session=sessions["a"])
    sent = backend.requests[0].messages
    assert (len(sent), str(sent[0]["content"]).partition("\n")[0]) == (11, "(Cut.)")


def test_a_retry_of_a_request_before_the_view_gets_its_answer() -> None:
    sessions = MemorySessions()
    agent = agent_of()
    agent.run("First?", session=sessions["a"], request_id="r0")
    filled(sessions["a"], 200)
    agent.run("One?", session=sessions["a"], request_id="r1")
    again = agent.run("First?", session=sessions["a"], request_id="r0")
    assert (again.replayed, len(again.messages)) == (True, 2)


def test_a_failing_turn_that_cut_the_history_is_rolled_back_and_keeps_the_view() -> None:
    sessions = Counted()
    filled(sessions["a"], 200)
    with pytest.raises(ValueError, match="no server"):
        agent_of(ValueError("no server")).run("One?", session=sessions["a"])
    assert len(sessions["a"].messages) == 200
    sessions.rows = 0
    agent_of().run("Two?", session=sessions["a"])
    assert sessions.rows < 100


def test_what_services_store_for_themselves_is_not_listed() -> None:
    sessions = MemorySessions()
    sessions["_agentkit.http.names"].append([{"role": "user", "content": "x"}])
    filled(sessions["a"], 2)
    filled(sessions["b"], 2)
    assert {info.id for info in sessions.list()} == {"a", "b"}
    assert [info.id for info in sessions.list(prefix="b")] == ["b"]


def test_a_damaged_store_is_an_error_when_the_beginning_is_asked_for() -> None:
    sessions = MemorySessions()
    filled(sessions["a"], 200)
    agent = agent_of()
    agent.run("One?", session=sessions["a"])
    result = agent.run("Two?", session=sessions["a"])
    sessions._stored["a"].entries[0] = "{"
    assert result.output == "Aye."
    with pytest.raises(SessionError, match="entry"):
        _ = result.messages


CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "t"}'}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
REPAIRED: dict[str, list[dict[str, Any]]] = {
    "a call without a result": [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
    "two of them": [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
    ],
    "a picture that only a user may show": [{"role": "assistant", "content": [PICTURE]}],
    "a result too many": [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "Seen."},
        {"role": "tool", "tool_call_id": "c1", "content": "Seen."},
    ],
}
"""Messages of other programs which each run repairs, so that its transcript is longer or shorter than the session."""


@pytest.mark.parametrize("what", REPAIRED)
@pytest.mark.parametrize("with_tools", [True, False])
def test_a_session_that_each_run_repairs_can_be_gone_on_with_when_it_gets_long(what: str, with_tools: bool) -> None:
    session = MemorySessions()["a"]
    before = [{"role": "user", "content": "Imported."}, *REPAIRED[what], {"role": "user", "content": "Go on."}]
    session.append([*before, {"role": "assistant", "content": "Yes."}])
    assert [each["content"] for each in session.messages[-2:]] == ["Go on.", "Yes."]
    for turn in range(8):
        calls: list[Any] = [("look_up", {"topic": f"t{turn}.{step}"}) for step in range(3)] if with_tools else []
        backend = ScriptedBackend(*calls, f"Answer {turn}. {TEXT * 3}")
        Agent(backend, tools=[look_up], window=Window(600)).run(f"Question {turn}? {TEXT * 2}", session=session)
        view = last_view(session.entries())[0]
        if turn and view is not None:
            begins = session.messages[view["from"]["message"]]
            first = next(each for each in backend.requests[-1].messages if each["role"] == "user")
            assert str(first["content"]).endswith(str(begins["content"]))  # a note stands before it
    assert view is not None
    backend = ScriptedBackend("Fine.")
    result = Agent(backend, window=Window(600)).run("Still there?", session=session)
    assert (result.output, result.repairs) == ("Fine.", [])  # what is sent needs no repair
    sent = [str(each["content"]) for each in backend.requests[-1].messages if each["role"] != "tool"]
    stored = [str(each["content"]) for each in session.messages if each["role"] != "tool"]
    assert sent[1:] == stored[len(stored) - len(sent) : -1] or with_tools


def test_the_number_of_an_earlier_result_is_that_in_the_session_also_behind_a_repair() -> None:
    session = MemorySessions()["a"]
    session.append([{"role": "user", "content": "One?"}, *REPAIRED["a call without a result"]])
    session.append([{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "Two."}])

    @tool(read_only=True, max_result=1000)
    def log() -> str:
        """Read the log."""
        return "".join(f"line {number}\n" for number in range(5000))

    Agent(ScriptedBackend(("log", {}), "Long."), tools=[log]).run("Three?", session=session)
    told = str(session.messages[-2]["content"])
    number = int(told.split("with number ")[1].split()[0])
    assert session.messages[number] == session.messages[-2]


@pytest.mark.parametrize(
    "view",
    [
        {"left_out": [3], "stubs": []},  # a call without its result
        {"left_out": [4], "stubs": []},
        {"left_out": [], "stubs": [2]},  # no result
        {"from": {"entry": 2, "message": 2}, "left_out": [3], "stubs": []},
        {"from": {"entry": 2, "message": 2}, "left_out": [], "stubs": [5]},
    ],
)
def test_a_view_that_parts_a_call_from_its_result_is_made_anew(view: dict[str, Any]) -> None:
    session = MemorySessions()["a"]
    session.append([{"role": "user", "content": "One?"}, {"role": "assistant", "content": "One."}])
    Agent(ScriptedBackend(("look_up", {"topic": "t"}), "Two."), tools=[look_up]).run("Two?", session=session)
    with session.hold() as writer:
        writer.note_view({**view, "note": "(Cut.)"})
    backend = ScriptedBackend("Three.")
    result = Agent(backend).run("Three?", session=session)
    assert [each["role"] for each in backend.requests[0].messages] == [each["role"] for each in session.messages[:-1]]
    assert result.messages == session.messages


def test_a_request_whose_try_was_rolled_back_behind_an_open_call_can_be_tried_again() -> None:
    """The call was left out by the try, and its result was another message in the next one."""
    session, window = MemorySessions()["a"], Window(700)
    for number in range(4):
        Agent(ScriptedBackend("Aye. " + "z" * 900), window=window).run(f"Hello {number}.", session=session)

    def asked(*steps: Any) -> Any:
        agent = Agent(ScriptedBackend(*steps), tools=[look_up], window=window)
        return agent.stream("Research this.", session=session, request_id="r1")

    with asked(("look_up", {"topic": "t1"})) as run:  # killed while the first call runs
        next(event for event in run if isinstance(event, ReplyFinished))
    before = session.messages
    with pytest.raises(ValueError, match="no server"):
        list(asked(*[("look_up", {"topic": f"t{number}"}) for number in range(2, 6)], ValueError("no server")))
    assert session.messages == before
    assert any(entry.kind == "undo" for entry in session.entries())
    view = last_view(session.entries())[0]
    assert view is not None
    assert (view["left_out"], view["stubs"]) == ([], [])  # nothing of the reply with the open call
    assert [*asked("Done.")][-1].result.output == "Done."


@pytest.mark.parametrize("undone", range(1, 12))
def test_a_session_can_be_gone_on_with_wherever_an_undo_ends(undone: int) -> None:
    session, window = MemorySessions()["a"], Window(700)
    for number in range(4):
        Agent(ScriptedBackend("Aye. " + "z" * 900), window=window).run(f"Hello {number}.", session=session)
    calls: list[Any] = [("look_up", {"topic": f"t{number}"}) for number in range(6)]
    Agent(ScriptedBackend(*calls, "Done."), tools=[look_up], window=window).run("Research this.", session=session)
    view = last_view(session.entries())[0]
    assert view is not None
    assert len(view["left_out"]) > 4
    with session.hold() as writer:
        writer.undo(undone)
    left = session.messages
    for text in ("One.", "Two."):
        assert Agent(ScriptedBackend(text), tools=[look_up], window=window).run("And?", session=session).output == text
    assert session.messages[: len(left)] == left
