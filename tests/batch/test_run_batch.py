"""`run_batch` in threads: each question has one line, whatever ends a batch, and the next start goes on from there."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, ConfigurationError, Limits, Prices, tool
from agentkit.backend import Capabilities
from agentkit.backends.openai import OpenAIBackend
from agentkit.batch import BadInputError, Job, read_records, run_batch
from agentkit.event import Reply
from agentkit.limits import Usage
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole

USAGE = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}


def question_of(asked: Asked) -> str:
    return str([each["content"] for each in asked.body["messages"] if each["role"] == "user"][-1])


def echo(asked: Asked) -> Answer:
    return whole(f"Answer to {question_of(asked)}", usage=USAGE)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(echo) as running:
        yield running


AGENTS: list[Agent] = []


@pytest.fixture(autouse=True)
def closed_agents() -> Iterator[None]:
    yield
    while AGENTS:
        AGENTS.pop().close()


def agent_of(server: ModelServer, **options: Any) -> Agent:
    AGENTS.append(Agent(f"openai:tiny@{server.url}", **options))
    return AGENTS[-1]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: str(record["id"]))


def test_each_question_has_one_record_and_one_line(server: ModelServer, tmp_path: Path) -> None:
    questions = [{"question": f"What is {number}?", "number": number} for number in range(40)]
    out = tmp_path / "answers.jsonl"
    run = run_batch(agent_of(server), questions, out=out)
    records = list(run)
    assert run.ending == "complete"
    assert sorted(record["item"]["number"] for record in records) == list(range(40))
    assert {record["output"] for record in records} == {f"Answer to What is {number}?" for number in range(40)}
    assert by_id(lines(out)) == by_id(records)
    first = records[0]
    assert list(first)[:2] == ["id", "ok"]
    assert (first["ok"], first["stopped"], first["error"], first["attempts"]) == (True, "answer", None, 1)
    assert first["usage"] == {"requests": 1, "input_tokens": 90, "output_tokens": 10}
    stats = run.stats()
    assert (stats.total, stats.done, stats.failed, stats.in_flight, stats.input_tokens) == (40, 40, 0, 0, 3600)


def test_a_second_start_asks_what_is_not_answered(server: ModelServer, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    assert len(list(run_batch(agent_of(server), ["a", "b", "a"], out=out))) == 3
    run = run_batch(agent_of(server), ["a", "c", "b", "a", "a"], out=out)
    assert sorted(record["output"] for record in run) == ["Answer to a", "Answer to c"]
    assert Counter(question_of(asked) for asked in server.requests) == {"a": 3, "b": 1, "c": 1}
    assert len({record["id"] for record in lines(out)}) == 5
    assert list(run_batch(agent_of(server), ["a", "c", "b", "a", "a"], out=out)) == []
    assert len(server.requests) == 5


def test_without_an_answers_file_records_are_iterated_and_nothing_is_kept(server: ModelServer) -> None:
    assert {record["output"] for record in run_batch(agent_of(server), iter(["a", "b"]))} == {
        "Answer to a",
        "Answer to b",
    }


def test_a_batch_that_is_left_early_leaves_a_file_from_which_it_goes_on(server: ModelServer, tmp_path: Path) -> None:
    out, questions = tmp_path / "answers.jsonl", [str(number) for number in range(300)]
    with run_batch(agent_of(server), questions, out=out, at_once=4) as run:
        for _ in zip(range(5), run, strict=False):
            pass
    assert run.ending == "stopped"
    before = {record["id"] for record in lines(out)}
    assert 5 <= len(before) < 300
    rest = [record["id"] for record in run_batch(agent_of(server), questions, out=out)]
    assert len(rest) + len(before) == 300 == len(before | set(rest))


def test_what_fails_is_a_record_and_is_asked_again_on_request(tmp_path: Path) -> None:
    is_broken = True

    def sometimes(asked: Asked) -> Answer:
        if is_broken and "bad" in question_of(asked):
            return Answer(status=400, body=b'{"error": {"message": "no such thing"}}')
        return echo(asked)

    out = tmp_path / "answers.jsonl"
    with serve(sometimes) as server:
        run = run_batch(agent_of(server), ["good", "bad"], out=out)
        found = {record["ok"]: record for record in run}
        assert run.ending == "complete"
        assert found[False]["output"] is None
        assert (found[False]["error"]["type"], found[False]["error"]["status"]) == ("BadRequestError", 400)
        assert "no such thing" in found[False]["error"]["message"]
        (kind,) = run.stats().failures.items()
        assert (kind[0], kind[1].count, kind[1].ids) == ("BadRequestError 400", 1, (found[False]["id"],))
        assert list(run_batch(agent_of(server), ["good", "bad"], out=out)) == []
        is_broken = False
        (mended,) = run_batch(agent_of(server), ["good", "bad"], out=out, retry_failed=True)
    assert mended["output"] == "Answer to bad"
    assert sorted(record["ok"] for record in lines(out)) == [True, True]


def test_a_passing_failure_is_tried_again_from_what_the_run_has_paid_for(tmp_path: Path) -> None:
    seen: list[str] = []

    @tool(read_only=True)
    def look_up(topic: str) -> str:
        """Look it up."""
        seen.append(topic)
        return "found"

    def breaking(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("look_up", {"topic": "tides"}), usage=USAGE)
        return whole("Done.", usage=USAGE) if len(model.requests) > 3 else Answer(status=500, body=b"{}")

    with serve(breaking) as model:
        agent = agent_of(model, tools=[look_up])
        (record,) = run_batch(agent, ["go"], out=tmp_path / "answers.jsonl", keep=["tool_calls", "messages"])
    assert (record["output"], seen) == ("Done.", ["tides"])
    assert [call["name"] for call in record["tool_calls"]] == ["look_up"] or record["attempts"] > 1
    assert [message["role"] for message in record["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert record["usage"]["input_tokens"] == 180


def test_an_account_that_is_refused_stops_the_batch_and_marks_nothing_failed(tmp_path: Path) -> None:
    is_paid = False

    def paid(asked: Asked) -> Answer:
        refusal = b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}'
        return echo(asked) if is_paid else Answer(status=401, body=refusal)

    out, questions = tmp_path / "answers.jsonl", [str(number) for number in range(50)]
    with serve(paid) as server:
        run = run_batch(agent_of(server), questions, out=out, at_once=8)
        assert list(run) == []
        assert run.ending == "account"
        assert "Incorrect API key" in run.message
        assert len(server.requests) < 50
        assert lines(out) == []
        is_paid = True
        assert len(list(run_batch(agent_of(server), questions, out=out))) == 50


def test_one_question_that_is_refused_as_an_account_stops_no_other(tmp_path: Path) -> None:
    def firewalled(asked: Asked) -> Answer:
        return Answer(status=403, body=b'{"error": "blocked"}') if "bad" in question_of(asked) else echo(asked)

    with serve(firewalled) as server:
        run = run_batch(agent_of(server), ["bad", "a", "b", "c"], out=tmp_path / "answers.jsonl", at_once=1)
        records = {record["ok"]: record for record in run}
        assert run.ending == "complete"
        assert run.stats().done == 4
    assert (records[False]["error"]["status"], records[True]["stopped"]) == (403, "answer")


def test_a_credit_that_ends_in_the_middle_marks_nothing_failed(tmp_path: Path) -> None:
    @tool(read_only=True)
    def look_up(topic: str) -> str:
        """Look it up."""
        return "found"

    def spent(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("look_up", {"topic": "tides"}), usage=USAGE)
        return Answer(status=402, body=b'{"error": {"message": "no credit"}}')

    with serve(spent) as server:
        agent = agent_of(server, tools=[look_up])
        run = run_batch(agent, [str(number) for number in range(8)], out=tmp_path / "answers.jsonl", at_once=4)
        assert (list(run), run.ending) == ([], "account")
    assert lines(tmp_path / "answers.jsonl") == []


def test_a_mistake_in_the_options_is_one_error_and_not_one_of_each_question(server: ModelServer) -> None:
    run = run_batch(agent_of(server), ["a", "b", "c"], sampling={"messages": []})
    with pytest.raises(ConfigurationError, match="messages"):
        list(run)
    assert (run.ending, server.requests) == ("failed", [])


def test_a_limit_of_time_ends_a_batch_that_waits(tmp_path: Path) -> None:
    with serve(lambda asked: Answer(status=429, body=b"{}", headers={"Retry-After": "30"})) as server:
        run = run_batch(agent_of(server), ["a", "b"], out=tmp_path / "answers.jsonl", limit_seconds=0.3, grace=0.1)
        assert (list(run), run.ending) == ([], "budget")
    assert lines(tmp_path / "answers.jsonl") == []


@pytest.mark.parametrize("seconds", [1e10, 1e300, float("inf")])
def test_a_time_of_any_length_is_no_limit_at_worst(
    seconds: float, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    run = run_batch(agent_of(server), ["a", "b"], out=tmp_path / "a.jsonl", limit_seconds=seconds, grace=seconds)
    run.stop()
    assert len(list(run)) <= 2
    with run_batch(agent_of(server), ["a", "b"], out=tmp_path / "a.jsonl", limit_seconds=seconds) as rest:
        assert len(list(rest)) <= 2
    assert rest.ending == "complete"
    assert len(lines(tmp_path / "a.jsonl")) == 2
    assert failed == []


def test_what_is_in_progress_when_the_time_is_up_is_finished(tmp_path: Path) -> None:
    limit = threading.Event()

    def slow(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("look", {}))
        limit.wait(20)
        return echo(asked)

    @tool(read_only=True)
    def look() -> str:
        """Look."""
        return "seen"

    with serve(slow) as server:
        agent = agent_of(server, tools=[look])
        options: dict[str, Any] = {"at_once": 1, "limit_seconds": 0.3, "grace": 0.1}
        run = run_batch(agent, ["a", "b"], out=tmp_path / "answers.jsonl", **options)
        threading.Timer(1.5, limit.set).start()
        assert ([each["output"] for each in run], run.ending) == (["Answer to a"], "budget")
        assert len(server.requests) == 2


def test_what_a_run_has_spent_that_waits_when_the_time_is_up_is_counted(tmp_path: Path) -> None:
    def refusing(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("send", {"to": "Ada"}), usage=USAGE)
        return Answer(status=429, body=b"{}", headers={"Retry-After": "30"})

    out = tmp_path / "answers.jsonl"
    with serve(refusing) as server:
        agent = agent_of(server, tools=[send])
        run = run_batch(agent, ["a"], out=out, limit_seconds=1.0, grace=0.1)
        assert (list(run), run.ending, run.stats().input_tokens) == ([], "budget", 90)
        (record,) = run_batch(agent, ["a"], out=out)  # it may have been sent
    assert record["error"]["type"] == "unknown_effect"


def test_stopping_waits_for_nobody_and_leaves_no_lock(tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    with serve(lambda asked: Answer(status=429, body=b"{}", headers={"Retry-After": "30"})) as server:
        agent = agent_of(server, tools=[send])
        run = run_batch(agent, ["a", "b"], out=out, grace=0.1)
        run.stop()
        assert list(run) == []
        assert lines(out) == []
    with serve(echo) as server:  # nothing was called: nothing is in doubt
        assert {
            record["ok"] for record in run_batch(agent_of(server, tools=[send]), ["a", "b"], out=out, anyway=True)
        } == {True}


@tool
def send(to: str) -> str:
    """Send it."""
    return "sent"


def test_a_budget_stops_the_batch_close_to_it_and_marks_nothing_failed(server: ModelServer, tmp_path: Path) -> None:
    out, questions = tmp_path / "answers.jsonl", [str(number) for number in range(200)]
    agent = agent_of(server, prices=Prices(1000.0, 1000.0))  # 0.1 a question
    run = run_batch(agent, questions, out=out, limit_cost=5.0)
    records = list(run)
    assert run.ending == "budget"
    assert "budget" in run.message
    assert 40 <= len(records) <= 52
    assert all(record["ok"] and record["cost"] == pytest.approx(0.1) for record in records)
    assert run.stats().cost == pytest.approx(len(records) / 10)
    assert list(run_batch(agent, questions, out=out, limit_tokens=2000)) == []  # what earlier starts took counts
    more = 100 * len(records) + 2000
    run = run_batch(agent, questions, out=out, limit_tokens=more)
    assert 16 <= len(list(run)) <= 21
    assert run.ending == "budget"


def test_what_was_spent_for_failures_that_are_asked_again_counts(tmp_path: Path) -> None:
    out, endings = tmp_path / "answers.jsonl", []
    with serve(lambda asked: whole("", usage=USAGE)) as server:
        for _ in range(4):
            options: dict[str, Any] = {"at_once": 1, "retry_failed": True, "limit_tokens": 1000}
            run = run_batch(agent_of(server), ["a", "b", "c", "d"], out=out, **options)
            assert all(each["error"]["type"] == "empty" for each in run)
            endings.append(run.ending)
        assert len(server.requests) == 10
    assert endings[-2:] == ["budget"] * 2


def test_what_was_spent_for_runs_that_were_stopped_counts(tmp_path: Path) -> None:
    begun, hung = threading.Semaphore(0), threading.Event()

    def held(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("_look_up", {"topic": "tides"}), usage=USAGE)
        begun.release()
        hung.wait(20)
        return echo(asked)

    out = tmp_path / "answers.jsonl"
    with serve(held) as server:
        agent = agent_of(server, tools=[_look_up])
        run = run_batch(agent, ["a", "b"], out=out, at_once=2)
        for _ in range(2):
            assert begun.acquire(timeout=20)
        run.cancel()
        assert list(run) == []
        hung.set()
        run = run_batch(agent, ["a", "b"], out=out, limit_tokens=200)
        assert (list(run), run.ending, len(server.requests)) == ([], "budget", 4)


def test_a_limit_on_the_cost_of_a_model_without_a_price_is_refused(server: ModelServer) -> None:
    with pytest.raises(ConfigurationError, match="prices of the model are not known"):
        run_batch(agent_of(server), ["a"], limit_cost=1.0)
    assert server.requests == []


def test_lines_that_are_no_questions_are_refused_before_anything_is_asked(server: ModelServer, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('"fine"\n{"question": 7}\n')
    with pytest.raises(BadInputError, match="line 2: ") as raised:
        run_batch(agent_of(server), questions)
    assert (raised.value.count, raised.value.bad[0].line, server.requests) == (1, 2, [])
    out = tmp_path / "answers.jsonl"
    records = {record["ok"]: record for record in run_batch(agent_of(server), questions, skip_bad=True, out=out)}
    assert records[True]["output"] == "Answer to fine"
    assert records[False]["error"]["type"] == "bad_input"


def test_equal_questions_are_asked_once_where_that_is_wanted(server: ModelServer, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    questions = [{"question": "same"}, {"question": "same"}, {"question": "other"}]
    records = list(run_batch(agent_of(server), questions, out=out, dedup=True))
    assert len(server.requests) == 2
    assert sorted(record["output"] for record in records) == ["Answer to other", "Answer to same", "Answer to same"]
    (copy,) = [record for record in records if "same_as" in record]
    assert (copy["usage"], copy["cost"]) == ({}, 0.0)
    assert by_id(lines(out)) == by_id(records)


def test_the_file_is_in_the_order_of_the_input_where_that_is_wanted(tmp_path: Path) -> None:
    order = threading.Event()

    def reversing(asked: Asked) -> Answer:
        if question_of(asked) == "0":
            assert order.wait(20)
        elif question_of(asked) == "9":
            order.set()
        return echo(asked)

    out = tmp_path / "answers.jsonl"
    with serve(reversing) as server:
        questions = [{"id": str(number), "question": str(number)} for number in range(10)]
        records = list(run_batch(agent_of(server), questions, out=out, ordered=True))
    assert [record["id"] for record in records] != [str(number) for number in range(10)]
    assert [record["id"] for record in read_records(out)] == [str(number) for number in range(10)]


def test_stopping_finishes_what_is_in_progress_and_begins_nothing(tmp_path: Path) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def held(asked: Asked) -> Answer:
        begun.release()
        assert go_on.wait(20)
        return echo(asked)

    out = tmp_path / "answers.jsonl"
    with serve(held) as server:
        run = run_batch(agent_of(server), [str(number) for number in range(20)], out=out, at_once=3)
        for _ in range(3):
            assert begun.acquire(timeout=20)
        run.stop()
        go_on.set()
        assert len(list(run)) == 3
        assert run.ending == "stopped"
        assert len(server.requests) == 3
    assert len(lines(out)) == 3


def test_cancelling_leaves_what_is_in_progress_unanswered(tmp_path: Path) -> None:
    begun, hung = threading.Semaphore(0), threading.Event()

    def held(asked: Asked) -> Answer:
        begun.release()
        hung.wait(20)
        return echo(asked)

    out = tmp_path / "answers.jsonl"
    with serve(held) as server:
        run = run_batch(agent_of(server), ["a", "b", "c"], out=out, at_once=2)
        for _ in range(2):
            assert begun.acquire(timeout=20)
        run.cancel()
        assert run.stats().in_flight == 0
        assert list(run) == []
        hung.set()
        assert run.ending == "stopped"
        assert lines(out) == []
        assert len(list(run_batch(agent_of(server), ["a", "b", "c"], out=out))) == 3


def test_a_run_that_outlives_its_limit_is_left_behind(tmp_path: Path) -> None:
    hung = threading.Event()

    @tool
    def look_up(topic: str) -> str:
        """Look it up."""
        hung.wait(30)
        return "found"

    def slow(asked: Asked) -> Answer:
        is_hanging = "hang" in question_of(asked) and asked.body["messages"][-1]["role"] != "tool"
        return calls(("look_up", {"topic": "tides"})) if is_hanging else echo(asked)

    with serve(slow) as server:
        job = Job.of(agent_of(server, tools=[look_up]), run_seconds=0.5, at_once=1)
        run = run_batch(job, ["hang", "a", "b"], out=tmp_path / "answers.jsonl")
        records = {record["output"]: record for record in run}
        hung.set()
    assert set(records) == {None, "Answer to a", "Answer to b"}
    assert records[None]["error"]["type"] == "timeout"


def test_records_have_what_was_asked_for(tmp_path: Path) -> None:
    class City(BaseModel):
        name: str

    with serve(lambda asked: whole('{"name": "Kyiv"}')) as server:
        (record,) = run_batch(agent_of(server), ["Which?"], output=City, sampling={"temperature": 0.5})
        assert record["output"] == {"name": "Kyiv"}
        assert server.requests[-1].body["temperature"] == 0.5
        assert "messages" not in record
        history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        asked = {"messages": [*history, {"role": "user", "content": "Which?"}]}
        (record,) = run_batch(agent_of(server), [asked], keep=["messages"])
    assert [each["content"] for each in record["messages"]] == ["Hi", "Hello", "Which?", '{"name": "Kyiv"}']


def test_a_store_of_sessions_has_each_item_as_a_session_and_each_effect_once(tmp_path: Path) -> None:
    effects: list[str] = []

    @tool
    def send(to: str) -> str:
        """Send it."""
        effects.append(to)
        return "sent"

    def sending(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] != "tool":
            return calls(("send", {"to": question_of(asked)}))
        return echo(asked) if len(model.requests) > 5 else Answer(status=500, body=b"{}")

    with serve(sending) as model:
        options: dict[str, Any] = {"out": tmp_path / "answers.jsonl", "sessions": str(tmp_path / "s.db"), "attempts": 3}
        records = list(run_batch(agent_of(model, tools=[send]), ["a", "b"], **options))
    assert sorted(record["output"] for record in records) == ["Answer to a", "Answer to b"]
    assert sorted(effects) == ["a", "b"]


def test_a_copied_answer_is_changed_as_its_own(server: ModelServer, tmp_path: Path) -> None:
    def scored(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "score": record["item"]["right"] in record["output"]}

    questions = [{"question": "same", "right": "same"}, {"question": "same", "right": "other"}]
    records = run_batch(agent_of(server), questions, out=tmp_path / "answers.jsonl", dedup=True, finish=scored)
    assert {record["item"]["right"]: record["score"] for record in records} == {"same": True, "other": False}


@pytest.mark.parametrize("made", [None, SystemExit("enough")], ids=["nothing", "exit"])
def test_what_changes_records_can_not_hang_a_batch(server: ModelServer, tmp_path: Path, made: Any) -> None:
    def broken(record: dict[str, Any]) -> Any:
        if made is not None:
            raise made

    run = run_batch(agent_of(server), ["a", "b"], out=tmp_path / "answers.jsonl", finish=broken)
    with pytest.raises((TypeError, SystemExit)):
        list(run)
    assert run.ending == "failed"


def test_sessions_of_a_new_answers_file_are_new(server: ModelServer, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    for _ in range(2):
        assert len(list(run_batch(agent_of(server), ["a"], out=out, sessions=str(tmp_path / "s.db")))) == 1
        out.unlink()
    assert len(server.requests) == 2


def test_options_of_a_job_are_not_ignored(server: ModelServer) -> None:
    with pytest.raises(ConfigurationError, match="keep is an option of the job"):
        run_batch(Job.of(agent_of(server)), ["a"], keep=["messages"])


def test_an_answer_of_nothing_is_an_answer() -> None:
    with serve(lambda asked: whole("null")) as server:
        (record,) = run_batch(agent_of(server), ["a"], output=int | None)
    assert (record["ok"], record["output"], record["error"]) == (True, None, None)


def test_the_error_of_what_changes_records_is_raised(server: ModelServer, tmp_path: Path) -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("score")

    run = run_batch(agent_of(server), ["a", "b"], out=tmp_path / "answers.jsonl", finish=broken)
    with pytest.raises(KeyError, match="score"):
        list(run)
    assert run.ending == "failed"
    assert lines(tmp_path / "answers.jsonl") == []


def test_options_that_cannot_be_are_named(server: ModelServer, tmp_path: Path) -> None:
    for options, words in (
        ({"at_once": 0}, "at_once"),
        ({"at_once": (9, 3)}, "at_once"),
        ({"limit_tokens": -1}, "limit on the tokens"),
        ({"grace": float("nan")}, "grace"),
        ({"keep": ["everything"]}, "keep"),
        ({"attempts": 0}, "attempts"),
        ({"on": "moon"}, "moon"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            run_batch(agent_of(server), ["a"], **options)
    questions = tmp_path / "questions.jsonl"
    questions.write_text('"a"\n')
    with pytest.raises(ConfigurationError, match="has the questions"):
        run_batch(agent_of(server), questions, out=questions)
    assert questions.read_text() == '"a"\n'


def test_a_run_with_a_limit_of_its_own_ends_there(server: ModelServer) -> None:
    with serve(lambda asked: calls(("look_up", {"topic": str(len(asked.body["messages"]))}))) as looping:
        (record,) = run_batch(agent_of(looping, tools=[_look_up], limits=Limits(turns=2)), ["go"])
    assert (record["stopped"], record["ok"]) == ("turns", False)


@tool(read_only=True)
def _look_up(topic: str) -> str:
    """Look it up."""
    return "found"


@pytest.mark.parametrize("at_once", [1, 4])
def test_replies_that_take_longer_than_a_server_is_remembered_end_no_lane(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reply changes the number of runs; with none in flight by then it was 0, and nobody went on."""
    monkeypatch.setattr("agentkit.batch.pace.RECENT", 0.05)
    with serve(lambda asked: Answer(echo(asked).body, delay=0.2)) as server:
        with run_batch(agent_of(server), list("abcdef"), out=tmp_path / "a.jsonl", at_once=at_once) as run:
            assert [record["ok"] for record in run] == [True] * 6


def test_a_limit_on_the_cost_needs_the_prices_of_each_model() -> None:
    two = [OpenAIBackend(name, base_url="http://127.0.0.1:9", api_key="x") for name in ("first", "second")]
    prices = {"first": Prices(1.0, 2.0), "second": Prices(0, 0)}
    with pytest.raises(ConfigurationError, match="the prices of the model are not known"):
        run_batch(Agent(two, prices={"first": Prices(1.0, 2.0)}), ["a"], limit_cost=1.0)
    for known in (prices, Prices(1.0, 2.0)):
        run_batch(Agent(two, prices=known), [], limit_cost=1.0).close()


def test_an_answer_of_unknown_cost_ends_a_batch_with_a_limit_on_it(tmp_path: Path) -> None:
    out, questions = tmp_path / "a.jsonl", [str(number) for number in range(60)]

    class Model:
        def reply(self, request: Any) -> Any:
            yield Reply({"role": "assistant", "content": "fine"}, "stop", Usage(requests=1, input_tokens=1_000_000))

        def capabilities(self, ask: bool = False) -> Capabilities:
            return Capabilities(model="own", base_url="https://openrouter.ai/api/v1")

        def close(self) -> None: ...

    with run_batch(Agent(Model()), questions, out=out, limit_cost=0.01, at_once=4) as run:
        assert 0 < len(list(run)) < 10
    assert (run.ending, "a cost that is not known" in run.message) == ("budget", True)
    with run_batch(Agent(Model(), prices=Prices(0, 0)), questions, out=out, limit_cost=0.01, anyway=True) as run:
        list(run)
    assert run.ending == "complete"
