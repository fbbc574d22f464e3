"""One turn of a session: a client's request is answered once, whatever fails, and however often it is sent."""

import hashlib
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, ConfigurationError, Image, Limits, SessionError, Window, tool
from agentkit.errors import RequestConflictError, SessionBusyError
from agentkit.event import ReplyFinished, RunFinished, TextDelta, ToolStarted
from agentkit.run import Run
from agentkit.session import Session, Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions
from agentkit.sessions.log import Marks, find_mark
from agentkit.sessions.views import last_view
from agentkit.testing import ScriptedBackend
from tests.support.redis_server import RedisServer, serve_redis


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serve_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "redis"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sessions]:
    if request.param == "memory":
        store: Sessions = MemorySessions()
    elif request.param == "sqlite":
        store = SQLiteSessions(tmp_path / "chat.db")
    else:
        store = RedisSessions(request.getfixturevalue("redis").url, prefix=f"{tmp_path.name}:")
    with store:
        yield store


@pytest.fixture
def session() -> Iterator[Session]:
    with MemorySessions() as sessions:
        yield sessions["a"]


effects: list[str] = []


@tool
def send(to: str) -> str:
    """Send a message."""
    effects.append(to)
    return f"sent to {to}"


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


@pytest.fixture(autouse=True)
def no_effects() -> None:
    effects.clear()


def contents(session: Session) -> list[Any]:
    return [each["content"] for each in session.messages]


def test_the_same_request_gets_the_answer_that_it_has(sessions: Sessions) -> None:
    backend = ScriptedBackend(("send", {"to": "x"}), "Sent.", "Other.")
    agent, session = Agent(backend, tools=[send]), sessions["a"]
    first = agent.run("Send it.", session=session, request_id="r1")
    agent.run("And now?", session=session, request_id="r2")
    again = agent.run("Send it.", session=session, request_id="r1")
    assert (again.output, again.replayed, first.replayed) == ("Sent.", True, False)
    assert [record.response for record in again.tool_calls] == ["sent to x"]
    assert (again.usage.requests, again.usage.input_tokens) == (0, 0)
    assert again.messages == first.messages
    assert (effects, len(backend.requests), len(session.messages)) == (["x"], 3, 6)


def test_a_replayed_stream_yields_its_text(session: Session) -> None:
    agent = Agent(ScriptedBackend("Hello Ann."))
    agent.run("I am Ann.", session=session, request_id="r1")
    events = list(agent.stream("I am Ann.", session=session, request_id="r1"))
    assert [type(event) for event in events] == [TextDelta, RunFinished]
    assert events[0] == TextDelta("Hello Ann.")


def test_another_content_with_the_same_id_is_refused(session: Session) -> None:
    agent = Agent(ScriptedBackend("One."))
    agent.run(["Look:", Image(b"1", "image/png")], session=session, request_id="r1")
    with pytest.raises(RequestConflictError, match="'r1' was used before"):
        agent.run(["Look:", Image(b"2", "image/png")], session=session, request_id="r1")
    assert len(session.messages) == 2


def test_without_an_id_nothing_is_recognised(session: Session) -> None:
    agent = Agent(ScriptedBackend("One.", "Two."))
    assert [agent.run("Go.", session=session).output for _ in range(2)] == ["One.", "Two."]


@pytest.mark.parametrize("request_id", ["", "x" * 257, 7])
def test_an_invalid_id_is_a_clear_error(session: Session, request_id: Any) -> None:
    with pytest.raises(SessionError, match="request_id"):
        Agent(ScriptedBackend()).run("Go.", session=session, request_id=request_id)


def test_an_id_needs_a_session() -> None:
    with pytest.raises(ConfigurationError, match="request_id needs a session"):
        Agent(ScriptedBackend()).run("Go.", request_id="r1")


def test_a_request_that_failed_before_an_effect_leaves_no_trace_and_is_asked_anew(sessions: Sessions) -> None:
    backend = ScriptedBackend(("look_up", {"topic": "x"}), ValueError("no server"), "Done.")
    agent, session = Agent(backend, tools=[look_up]), sessions["a"]
    with pytest.raises(ValueError, match="no server"):
        agent.run("Go.", session=session, request_id="r1")
    assert session.messages == []
    assert agent.run("Another.", session=session, request_id="r1").output == "Done."  # nothing is known of r1


class Unheard(MemorySessions):
    """A store that keeps what it is given and can't say so, once."""

    appends = -1

    def _append_marked(self, *given: Any) -> None:
        super()._append_marked(*given)
        self.appends -= 1
        if self.appends == 0:
            raise SessionError("the connection broke")


@pytest.mark.parametrize("lost", range(1, 5))
@pytest.mark.parametrize("request_id", [None, "r1"])
def test_a_failed_run_leaves_no_trace_of_what_was_stored_unheard(lost: int, request_id: str | None) -> None:
    sessions = Unheard()
    session = sessions["a"]
    Agent(ScriptedBackend("Oslo.")).run("Norway?", session=session)
    sessions.appends = lost
    with pytest.raises(SessionError, match="the connection broke"):
        output_of(asked(session, request_id))
    assert contents(session) == ["Norway?", "Oslo."]
    assert output_of(asked(session, request_id)) == "Paris."
    assert contents(session)[2::3] == ["France?", "Paris."]


@pytest.mark.parametrize("lost", range(1, 4))
def test_a_stopped_answer_is_there_again_whatever_was_stored_unheard_in_its_place(lost: int) -> None:
    sessions = Unheard()
    session = sessions["a"]
    with suppress(KeyboardInterrupt), asked(session, "r1", "Paris is the capital.") as run:
        for event in run:
            if isinstance(event, TextDelta):
                raise KeyboardInterrupt
    before = contents(session)
    assert len(before) == 4
    sessions.appends = lost
    with pytest.raises(SessionError, match="the connection broke"):
        output_of(asked(session, "r1"))
    assert contents(session) == before
    assert output_of(asked(session, "r1")) == "Paris."


def asked(session: Session, request_id: str | None, answer: str = "Paris.") -> Run:
    steps = ScriptedBackend(("look_up", {"topic": "x"}), answer)
    return Agent(steps, tools=[look_up]).stream("France?", session=session, request_id=request_id)


def output_of(run: Run) -> str:
    *_, last = run
    assert isinstance(last, RunFinished)
    return str(last.result.output)


def test_a_request_that_failed_after_an_effect_goes_on_from_there(sessions: Sessions) -> None:
    backend = ScriptedBackend(("send", {"to": "x"}), ValueError("no server"), ValueError("still none"), "Sent.")
    agent, session = Agent(backend, tools=[send]), sessions["a"]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"no server|still none"):
            agent.run("Send it.", session=session, request_id="r1")
    result = agent.run("Send it.", session=session, request_id="r1")
    assert (result.output, effects) == ("Sent.", ["x"])
    assert [each["role"] for each in session.messages] == ["user", "assistant", "tool", "assistant"]


def test_a_request_is_the_same_whatever_order_the_keys_of_its_content_have(session: Session) -> None:
    content = {"text": "Hi", "seat": {"row": 4, "column": ["a", {"x": 1, "y": 2}]}}
    in_another = {"seat": {"column": ["a", {"y": 2, "x": 1}], "row": 4}, "text": "Hi"}
    agent = Agent(ScriptedBackend("Hello."))
    for each in (content, in_another, content):
        with session.turn("r1", content=each) as turn:
            assert agent.run("Hi", session=turn).output == "Hello."
    with pytest.raises(RequestConflictError), session.turn("r1", content={**content, "text": "Ho"}):
        pass


def test_a_request_that_an_older_agentkit_has_begun_is_known(session: Session) -> None:
    """Its digest is that of the content with the keys as they came."""
    content = {"text": "Hi", "seat": 4}
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()[:32]
    with session.hold() as writer:
        request = {"request": {"id": "r1", "state": "begun", "digest": digest}}
        writer.write([request, {"message": {"role": "user", "content": "Hi"}}], marks=Marks({"request:r1": 0}))
        writer.append([{"role": "assistant", "content": "Hello."}])
    with session.turn("r1", content=content) as turn:
        assert turn.state == "answered"


def test_a_request_that_was_overtaken_by_another_question_is_asked_anew(session: Session) -> None:
    """A request was killed after its question was stored; another was answered since: it got the other's answer."""
    agent = Agent(ScriptedBackend("To B.", "To A."))
    killed(session, "A?", "r1")
    assert agent.run("B?", session=session, request_id="r2").output == "To B."
    assert agent.run("A?", session=session, request_id="r1").output == "To A."
    assert agent.run("A?", session=session, request_id="r1").replayed
    assert contents(session) == ["A?", "B?", "To B.", "A?", "To A."]


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_request_that_was_overtaken_behind_an_effect_is_not_asked_anew(session: Session, has_ended: bool) -> None:
    failure: BaseException = ValueError("no server") if has_ended else KeyboardInterrupt()
    with pytest.raises(type(failure)):
        Agent(ScriptedBackend(("send", {"to": "x"}), failure), tools=[send]).run(
            "Send it.", session=session, request_id="r1"
        )
    assert Agent(ScriptedBackend("Hello.")).run("Hi.", session=session, request_id="r2").output == "Hello."
    before = contents(session)
    for _ in range(2):
        with pytest.raises(RequestConflictError, match="'r1' has called tools that may have had effects") as raised:
            Agent(ScriptedBackend(("send", {"to": "x"}), "Sent."), tools=[send]).run(
                "Send it.", session=session, request_id="r1"
            )
        assert raised.value.was_overtaken
    assert effects == ["x"]
    assert contents(session) == before
    assert Agent(ScriptedBackend("Sent.")).run("Send it.", session=session, request_id="r3").output == "Sent."


def killed(session: Session, prompt: str, request_id: str) -> None:
    """A process is killed after it has stored a question."""
    with session.turn(request_id, content=prompt) as turn:
        turn.write([], [], [], [{"role": "user", "content": prompt}])


def test_a_request_that_was_killed_before_the_answer_is_not_asked_twice(sessions: Sessions) -> None:
    session = sessions["a"]
    killed(session, "A?", "r1")
    assert Agent(ScriptedBackend("To A.")).run("A?", session=session, request_id="r1").output == "To A."
    assert contents(session) == ["A?", "To A."]


def test_an_unknown_call_is_reported_until_there_is_an_answer(session: Session) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{"to": "x"}'}}
    with session.turn("r1", content="Send it.") as turn:
        turn.write([], [], [], [{"role": "user", "content": "Send it."}])
        turn.add([{"role": "assistant", "content": None, "tool_calls": [call]}])
        turn.note(ToolStarted("c1", name="send", arguments={"to": "x"}, raw_arguments='{"to": "x"}'))
    with pytest.raises(KeyboardInterrupt):
        Agent(ScriptedBackend(KeyboardInterrupt()), tools=[send]).run("Send it.", session=session, request_id="r1")
    agent = Agent(ScriptedBackend("I don't know.", "Hello."), tools=[send])
    for _ in range(2):  # told, and told again with the replay
        result = agent.run("Send it.", session=session, request_id="r1")
        assert [each.id for each in result.unknown_calls] == ["c1"]
    assert agent.run("Hi.", session=session).unknown_calls == []
    assert effects == []


def test_a_pause_for_approval_repeats_without_a_request_and_is_answered_after_it(session: Session) -> None:
    asked = tool(approve=True)(send.function)
    backend = ScriptedBackend(("send", {"to": "x"}), "Sent.")
    agent = Agent(backend, tools=[asked])
    for _ in range(2):
        paused = agent.run("Send it.", session=session, request_id="r1")
        assert (paused.stopped, [each.name for each in paused.pending]) == ("approval", ["send"])
    assert len(backend.requests) == 1
    agent.resume(session, approve={paused.pending[0].id: True})
    again = agent.run("Send it.", session=session, request_id="r1")
    assert (again.output, again.replayed, effects) == ("Sent.", True, ["x"])


def test_an_undo_forgets_the_ids_of_the_requests_that_it_takes_back(sessions: Sessions) -> None:
    agent, session = Agent(ScriptedBackend("One.", "Two.", "Two again.")), sessions["a"]
    agent.run("1?", session=session, request_id="r1")
    agent.run("2?", session=session, request_id="r2")
    with session.hold() as writer:
        assert [each["content"] for each in writer.undo(2)] == ["2?", "Two."]
    assert agent.run("2?", session=session, request_id="r2").output == "Two again."
    assert agent.run("1?", session=session, request_id="r1").replayed


class City(BaseModel):
    name: str


@pytest.mark.parametrize("has_schema", [True, False])
def test_the_value_of_a_replay_has_its_type(session: Session, has_schema: bool) -> None:
    step: Any = '{"name": "Oslo"}' if has_schema else ("final_answer", {"name": "Oslo"})
    agent = Agent(Schemed(step) if has_schema else ScriptedBackend(step))
    for replayed in (False, True):
        result = agent.run("Which?", session=session, request_id="r1", output=City)
        assert (result.output, result.replayed) == (City(name="Oslo"), replayed)


class Schemed(ScriptedBackend):
    """A backend with support for schemas."""

    def capabilities(self, ask: bool = False) -> Any:
        from agentkit.backend import Capabilities

        return Capabilities(schema="always", tells_schema=True)


def test_a_tool_that_ended_the_run_ends_the_replay(session: Session) -> None:
    submit = tool(ends_run=True)(send.function)
    agent = Agent(ScriptedBackend(("send", {"to": "x"}), "Hi."), tools=[submit])
    agent.run("Go.", session=session, request_id="r1")
    agent.run("Hello.", session=session, request_id="r2")
    again = agent.run("Go.", session=session, request_id="r1")
    assert (again.output, again.replayed, again.stopped, effects) == ("sent to x", True, "answer", ["x"])


def test_an_open_turn_is_taken_as_the_session(session: Session) -> None:
    agent = Agent(ScriptedBackend("1", "2", "2"))
    for number in range(2):
        with session.turn(f"r{number}", content=number) as turn:
            result = agent.run(f"{len(turn.messages or ())} messages so far.", session=turn)
    assert contents(session) == ["0 messages so far.", "1", "2 messages so far.", "2"]
    with session.turn("r1", content=1) as turn:
        assert (turn.state, agent.run("5 messages so far.", session=turn).output) == ("answered", result.output)
        with pytest.raises(ConfigurationError, match="one run"):
            agent.run("Another.", session=turn)


def test_who_waits_for_a_session_heeds_cancel_and_its_time(sessions: Sessions) -> None:
    agent, session, cancel = Agent(ScriptedBackend()), sessions["a"], threading.Event()
    with session.hold():
        threading.Timer(0.3, cancel.set).start()
        for options in ({"cancel": cancel}, {"limits": Limits(seconds=0.3)}):
            started = time.monotonic()
            with pytest.raises(SessionBusyError, match="cancelled or its time was up"):
                agent.run("Go.", session=session, **options)
            assert time.monotonic() - started < 2.0
    assert session.messages == []


def test_a_caller_whose_predecessor_fails_goes_on_itself(session: Session) -> None:
    asked, go = threading.Event(), threading.Event()

    def fails(messages: list[Any]) -> Any:
        asked.set()
        go.wait(10)
        raise ValueError("no server")

    agent = Agent(ScriptedBackend(fails, "Done."))
    outputs: list[Any] = []

    def ask() -> None:
        try:
            outputs.append(agent.run("Go.", session=session, request_id="r1").output)
        except ValueError as error:
            outputs.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    asked.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert outputs == ["no server", "Done."]
    assert contents(session) == ["Go.", "Done."]


def test_eight_callers_with_one_id_make_one_request(sessions: Sessions) -> None:
    def slow(messages: list[Any]) -> str:
        time.sleep(0.05)
        return "Done."

    backend, session = ScriptedBackend(slow), sessions["a"]
    outputs: list[str] = []
    agent = Agent(backend)
    ask = lambda: outputs.append(agent.run("Go.", session=session, request_id="r1").output)  # noqa: E731
    together(8, ask)
    assert (outputs, len(backend.requests), contents(session)) == (["Done."] * 8, 1, ["Go.", "Done."])


def together(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_eight_processes_with_one_id_make_one_request(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = str(tmp_path / "chat.db") if kind == "sqlite" else request.getfixturevalue("redis").url
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ask_once, args=(kind, where, tmp_path)) for _ in range(8)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    assert [each.exitcode for each in processes] == [0] * 8
    assert (tmp_path / "requests").read_text() == "asked\n"
    with opened(kind, where, tmp_path) as store:
        assert contents(store["a"]) == ["Go.", "Done."]


def opened(kind: str, where: str, folder: Path) -> Sessions:
    return SQLiteSessions(where) if kind == "sqlite" else RedisSessions(where, prefix=f"{folder.name}:")


def ask_once(kind: str, where: str, folder: Path) -> None:
    def reply(messages: list[Any]) -> str:
        with (folder / "requests").open("a") as file:
            file.write("asked\n")
        time.sleep(0.1)
        return "Done."

    with opened(kind, where, folder) as store:
        result = Agent(ScriptedBackend(reply)).run("Go.", session=store["a"], request_id="r1")
        assert result.output == "Done."


def test_a_stored_view_outlives_an_undo_of_later_messages(session: Session) -> None:
    with session.hold() as writer:
        writer.append([{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}])
        writer.note_view({"left_out": [0], "stubs": [], "note": "(cut)"})
        writer.append([{"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}])
        writer.undo(2)
    with session.turn() as turn:
        assert turn.view is not None
        assert turn.view["note"] == "(cut)"
    with session.hold() as writer:
        writer.undo(2)
    with session.turn() as turn:
        assert turn.view is None


def test_a_typed_correction_does_not_end_the_request(session: Session) -> None:
    agent = Agent(Schemed("Oslo.", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        agent.run("Which?", session=session, request_id="r1", output=City)
    events = list(Agent(Schemed('{"name": "Oslo"}')).stream("Which?", session=session, request_id="r1", output=City))
    assert sum(isinstance(event, ReplyFinished) for event in events) == 1
    assert events[-1].result.output == City(name="Oslo")  # type: ignore[attr-defined]


def test_an_undo_keeps_what_was_noted_of_the_request_before_it(sessions: Sessions) -> None:
    agent, session = Agent(ScriptedBackend("One.", "Two.")), sessions["a"]
    agent.run("1?", session=session, request_id="r1")
    session.note_delivered("r1")
    agent.run("2?", session=session)
    with session.hold() as writer:
        writer.undo(2)
    assert session.is_delivered("r1")


def test_an_id_that_means_nothing_later_is_new_also_when_the_whole_session_is_read(session: Session) -> None:
    """A session with something to repair is read from its beginning, behind a view."""
    texts = [f"{number} {'x' * 300}" for number in range(100)]
    session.append([{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)])
    agent = Agent(ScriptedBackend("One.", "Two."), window=Window(4_000))
    agent.run("1?", session=session, request_id="p1")
    session.append([{"role": "assistant", "content": None, "tool_calls": [CALL]}])
    with session.turn("p1", content="2?", is_retry=False) as turn:
        assert turn.first_number > 0
        result = agent.run("2?", session=turn)
    assert (result.output, result.replayed) == ("Two.", False)
    assert result.repairs


CALL = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{"to": "x"}'}}


def stopped(session: Session) -> list[Any]:
    """What a session has after an answer was stopped in the middle."""
    cancel = threading.Event()
    for event in Agent(ScriptedBackend("High tide is at noon.")).stream(
        "When?", session=session, request_id="r1", cancel=cancel
    ):
        if isinstance(event, TextDelta):
            cancel.set()
    assert str(session.messages[-1]["content"]).startswith("High")
    return session.messages


RETRIES: list[list[Any]] = [[ValueError("no server")], [("look_up", {"topic": "x"}), ValueError("no server")]]


@pytest.mark.parametrize("steps", RETRIES, ids=["at once", "after a call"])
def test_a_stopped_answer_is_kept_when_the_next_try_fails(sessions: Sessions, steps: list[Any]) -> None:
    session = sessions["a"]
    kept = stopped(session)
    entry = session.entries()[-1]
    for _ in range(2):
        with pytest.raises(ValueError, match="no server"):
            Agent(ScriptedBackend(*steps), tools=[look_up]).run("When?", session=session, request_id="r1")
        assert session.messages == kept
    last = [each for each in session.entries() if each.kind == "message"][-1]
    assert (last.value, last.at, last.extra, last.usage) == (entry.value, entry.at, entry.extra, entry.usage)
    result = Agent(ScriptedBackend("At noon.")).run("When?", session=session, request_id="r1")
    assert (result.output, result.replayed) == ("At noon.", False)
    assert contents(session) == ["When?", "At noon."]
    assert Agent(ScriptedBackend()).run("When?", session=session, request_id="r1").output == "At noon."


def test_a_stopped_answer_is_kept_when_the_next_try_is_stopped_before_a_reply(session: Session) -> None:
    kept = stopped(session)
    cancel = threading.Event()
    cancel.set()
    agent = Agent(ScriptedBackend("At noon.", "At noon."))
    assert agent.run("When?", session=session, request_id="r1", cancel=cancel).stopped == "cancelled"
    agent.stream("When?", session=session, request_id="r1").close()
    assert session.messages == kept
    assert agent.run("When?", session=session, request_id="r1").output == "At noon."
    assert contents(session) == ["When?", "At noon."]


def test_a_view_that_is_made_before_a_stopped_answer_is_replaced_stays(session: Session) -> None:
    roles = ("user", "assistant") * 100
    session.append([{"role": role, "content": f"{place} {'x' * 300}"} for place, role in enumerate(roles)])
    stopped(session)
    agent = Agent(ScriptedBackend("At noon."), window=Window(4_000))
    assert agent.run("When?", session=session, request_id="r1").output == "At noon."
    entries = session.entries()
    assert [entry.kind for entry in entries[-4:]] == ["message", "view", "undo", "message"]
    assert last_view(entries)[0] is not None
    with session.hold() as writer:
        assert writer.mark("view") == find_mark(entries, "view") == len(entries) - 3
    assert contents(session)[-2:] == ["When?", "At noon."]
