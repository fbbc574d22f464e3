"""A store of sessions is the book of a batch: nothing else changes by it, and nothing is done twice."""

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError, tool
from agentkit.agent import Agent
from agentkit.batch import read_records, run_batch
from agentkit.batch.item import Item
from agentkit.batch.item_sessions import ItemSessions, check_sessions, session_id
from agentkit.batch.job import Job
from agentkit.batch.journal import Journal, JournalError
from agentkit.batch.pace import ServerPaces
from agentkit.batch.worker import Worker
from agentkit.errors import SessionError
from agentkit.net.abort import AbortingEvent
from tests.support.model_server import Answer, Asked, calls, serve, whole

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
HI = {"role": "user", "content": "hi"}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "an image": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
        }
    ],
    "a result at the end": [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ],
    "a system message at the end": [HI, {"role": "system", "content": "be short"}],
    "a system message first": [{"role": "system", "content": "be short"}, HI],
    "an earlier answer": [HI, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "go on"}],
}
ITEMS = [
    *(Item(name, messages=messages) for name, messages in CONVERSATIONS.items()),
    Item("a prompt", "hi"),
    Item("a prompt and messages", "The question", messages=[HI, {"role": "assistant", "content": "hello"}]),
]


def test_the_same_is_sent_with_sessions_and_without_and_an_answer_is_not_asked_for_again(tmp_path: Path) -> None:
    bodies: list[list[str]] = []
    with serve(lambda asked: whole("fine")) as server:
        for options in ({}, *[{"sessions": str(tmp_path / "s.db"), "name": "b"}] * 2):
            worker = Worker(Job.of(Agent(f"openai:m@{server.url}"), **options), ServerPaces(1, 1, 1))
            before = len(server.requests)
            records = [worker.answer(item, AbortingEvent()) for item in ITEMS]
            worker.close()
            assert [each["output"] for each in records] == ["fine"] * len(ITEMS)
            bodies.append([str(request.body["messages"]) for request in server.requests[before:]])
    assert len(bodies[0]) == len(ITEMS)
    assert bodies[1] == bodies[0]
    assert bodies[2] == []


def test_an_answer_that_failed_is_asked_for_again_and_what_was_done_for_it_is_not(tmp_path: Path) -> None:
    effects: list[str] = []
    mended = threading.Event()

    @tool
    def send(to: str) -> str:
        """Send it."""
        effects.append(to)
        return "sent"

    def answer(asked: Asked) -> Answer:
        has_result = any(each["role"] == "tool" for each in asked.body["messages"])
        return whole("sent it" * mended.is_set()) if has_result else calls(("send", {"to": "Ada"}))

    with serve(answer) as server:
        agent = Agent(f"openai:m@{server.url}", tools=[send])
        worker = Worker(Job.of(agent, sessions=str(tmp_path / "s.db"), name="b"), ServerPaces(1, 1, 1))
        first = worker.answer(Item("1", "Send it to Ada"), AbortingEvent())
        mended.set()
        second = worker.answer(Item("1", "Send it to Ada"), AbortingEvent())
        worker.close()
    assert (first["ok"], first["error"]["type"]) == (False, "empty")
    assert (second["ok"], second["output"], effects) == (True, "sent it", ["Ada"])


def test_a_first_start_that_ends_without_an_answer_is_gone_on_with(tmp_path: Path) -> None:
    effects: list[str] = []
    begun, hung = threading.Event(), threading.Event()

    @tool
    def send(to: str) -> str:
        """Send it."""
        effects.append(to)
        return "sent"

    def answer(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("send", {"to": "Ada"}))
        if not hung.is_set():
            begun.set()
            hung.wait(20)
        return whole("sent it")

    out, options = tmp_path / "answers.jsonl", {"sessions": str(tmp_path / "s.db"), "at_once": 1}
    with serve(answer) as server:
        agent = Agent(f"openai:m@{server.url}", tools=[send])
        run = run_batch(agent, ["Send it to Ada"], out=out, **options)  # type: ignore[arg-type]
        assert begun.wait(20)
        run.cancel()
        assert (list(run), out.read_text(), effects) == ([], "", ["Ada"])
        hung.set()
        (record,) = run_batch(agent, ["Send it to Ada"], out=out, **options)  # type: ignore[arg-type]
    assert (record["output"], effects) == ("sent it", ["Ada"])


def test_sessions_are_new_where_the_answers_file_was_removed_and_no_start_has_named_it_since(tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    with serve(lambda asked: whole("fine")) as server:
        agent = Agent(f"openai:m@{server.url}")
        sessions = str(tmp_path / "s.db")
        assert len(list(run_batch(agent, ["a"], out=out, sessions=sessions))) == 1
        out.unlink()
        Journal.open(out, None).close()  # a start that was killed before it had asked anything
        assert len(list(run_batch(agent, ["a"], out=out, sessions=sessions))) == 1
        assert len(server.requests) == 2


def test_a_question_that_was_changed_has_a_session_of_its_own() -> None:
    names = {session_id("b", each) for each in (Item("1", "a"), Item("1", "b"), Item("1", messages=[HI]))}
    assert len(names) == 3
    assert session_id("b", Item("a b" * 100, "a")).isascii()


@pytest.mark.parametrize(
    "url", [":memory:", "sqlite::memory:", "memory:", "memory://", "sqlite://s.db", "nosuch:x", ""]
)
def test_a_store_that_does_not_outlast_the_process_or_cannot_be_opened_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        check_sessions(url)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_this_machine_is_refused_for_others_and_means_the_same_in_each_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = Job.of("extractive:agent", sessions="s.db")
    assert job.sessions == f"sqlite:{tmp_path / 's.db'}"
    check_sessions(job.sessions)
    assert Job.of("extractive:agent", sessions="redis://a:1/0").sessions == "redis://a:1/0"
    with pytest.raises(ConfigurationError, match="other machines"):
        check_sessions(job.sessions, remote=True)
    (tmp_path / "no database").write_text("text " * 100)
    with pytest.raises(ConfigurationError, match="can't be used"):
        check_sessions(str(tmp_path / "no database"))


class Unspeakable(BaseException):
    """An error without words."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, Unspeakable])
def test_whatever_a_run_raises_in_a_thread_is_the_outcome_of_its_item(raised: type[BaseException]) -> None:
    class Model:
        def reply(self, request: Any) -> Any:
            raise raised

    run = run_batch(Agent(Model()), ["a", "b"], at_once=2)  # type: ignore[arg-type]
    assert [each["error"]["type"] for each in run] == [raised.__name__] * 2


def _failing(monkeypatch: pytest.MonkeyPatch, is_away: Callable[[int], bool]) -> None:
    """Has the store of sessions be full or away at some of its runs, which are counted from 1."""
    runs, run = count(1), ItemSessions.run

    def failing(self: ItemSessions, *given: Any) -> Any:
        if is_away(next(runs)):
            raise SessionError("the sessions in s.db can't be used: database or disk is full") from OSError(28, "full")
        return run(self, *given)

    monkeypatch.setattr(ItemSessions, "run", failing)
    monkeypatch.setattr("agentkit.batch.worker.seconds_before", lambda attempt: 0.0)


def test_questions_that_come_while_the_store_is_away_are_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(monkeypatch, lambda run: 3 <= run < 8)
    with serve([whole("fine")]) as server:
        agent = Agent(f"openai:m@{server.url}")
        records = list(run_batch(agent, list("abcdef"), sessions=str(tmp_path / "s.db"), at_once=2))
    assert [each["ok"] for each in records] == [True] * 6
    assert sum(each["attempts"] for each in records) == 11


def test_a_store_that_is_full_ends_the_batch_and_no_question_counts_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = tmp_path / "a.jsonl", str(tmp_path / "s.db")
    questions = [f"question {number}" for number in range(20)]
    with serve([whole("fine")]) as server:
        agent = Agent(f"openai:m@{server.url}")
        _failing(monkeypatch, lambda run: run > 5)
        with run_batch(agent, questions, out=out, sessions=kept, at_once=1) as run:
            with pytest.raises(JournalError, match="disk is full: settle that, then start again to go on"):
                list(run)
        assert (run.ending, [each["ok"] for each in read_records(out)]) == ("disk", [True] * 5)
        monkeypatch.undo()
        list(run_batch(agent, questions, out=out, sessions=kept, at_once=1))
        assert [each["ok"] for each in read_records(out)] == [True] * 20
        assert len(server.requests) == 20


def test_one_question_whose_session_alone_cannot_be_stored_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ItemSessions.run

    def failing(self: ItemSessions, agent: Agent, item: Item, options: Any) -> Any:
        if item.prompt == "b":
            raise SessionError("it is too large") from OSError(27, "File too large")
        return run(self, agent, item, options)

    _failing(monkeypatch, lambda run: False)
    monkeypatch.setattr(ItemSessions, "run", failing)
    with serve([whole("fine")]) as server:
        agent = Agent(f"openai:m@{server.url}")
        records = list(run_batch(agent, list("abcd"), sessions=str(tmp_path / "s.db"), at_once=1))
    assert sorted((each["ok"], (each["error"] or {}).get("type")) for each in records) == [
        (False, "SessionError"), *[(True, None)] * 3,
    ]  # fmt: skip
