"""Answers files of earlier evaluations: what is compared with them, and what files of others may have in them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError
from agentkit.batch.journal import Journal, read_records
from agentkit.evaluation import evaluate, table
from agentkit.evaluation.comparison import surely_worse
from agentkit.evaluation.report import write_report
from agentkit.evaluation.running import Evaluation, rescored
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents

Rows = list[dict[str, Any]]


def questions(name: str, count: int, answer: str = "Kendall") -> Rows:
    made = [{"id": f"{name}{place}", "question": f"Who made {name}{place}?"} for place in range(count)]
    return [{**each, "answer": answer, "checks": ["contains"]} for each in made]


def record(row: dict[str, Any], output: str | None = "", **fields: Any) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name != "id"}
    answer = output or row["answer"]
    made = {"id": row["id"], "ok": True, "output": answer, "usage": {}, "cost": None, "seconds": 1.0, "error": None}
    return {**made, **fields, "item": columns}


def saved(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")
    return path


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """One that finds nothing."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("Bread is baked.\n", encoding="utf-8")
    return Agent("extractive", tools=documents(str(tmp_path / "docs")))


def mean(found: Evaluation, place: int) -> float:
    return found.configurations[place].summaries["contains"].mean


def test_questions_that_a_saved_file_lacks_are_left_out_and_told(agent: Agent, tmp_path: Path) -> None:
    old, new = questions("h", 20), questions("e", 30, "Nothing found")
    found = evaluate(agent, [*old, *new], against=[saved(tmp_path / "old.jsonl", list(map(record, old)))])
    assert (mean(found, 1), found.comparisons[0].left_out) == (1.0, 30)
    assert "30 questions left out" in table(found)
    (worse,) = surely_worse(found.comparisons[0], 0.02)
    assert worse.startswith("contains is 0.0 %, and was 100.0 % in old.jsonl")


def test_repeats_that_a_saved_file_lacks_are_not_wrong_in_it(agent: Agent, tmp_path: Path) -> None:
    rows = questions("h", 20)
    old = saved(tmp_path / "old.jsonl", list(map(record, rows)))
    found = evaluate(agent, rows, against=[old], repeat=2)
    assert mean(found, 1) == 1.0
    assert surely_worse(found.comparisons[0], 0.02)
    assert "old.jsonl: its questions were asked once, and not 2 times" in table(found)


def test_a_saved_file_of_another_set_is_refused(agent: Agent, tmp_path: Path) -> None:
    other = saved(tmp_path / "other.jsonl", list(map(record, questions("h", 3))))
    with pytest.raises(ConfigurationError, match="has no answer to a question of questions: it is that of another set"):
        evaluate(agent, questions("e", 3), against=[other])
    with pytest.raises(ConfigurationError, match="it is that of another set"):
        rescored(other, questions("e", 3))


def test_another_comparison_lets_no_worse_agent_pass(agent: Agent, tmp_path: Path) -> None:
    rows = [*questions("h", 7), *questions("e", 20, "Nothing found")]
    base = saved(tmp_path / "base.jsonl", list(map(record, rows)))
    same = [record(row, "Nothing found") for row in rows]
    others = [saved(tmp_path / f"o{place}.jsonl", same) for place in range(4)]
    found = evaluate(agent, rows, against=[*others, base])
    assert found.comparisons[-1].checks[0].kind == ""
    assert "alone it had p = .016" in found.comparisons[-1].checks[0].verdict
    assert surely_worse(found.comparisons[-1], 0.0)


def test_a_file_that_is_being_written_is_not_scored_anew(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions("h", 3)
    with Journal.open(path, {"model": "x"}) as running:
        running.write(record(rows[0]))
        with pytest.raises(ConfigurationError, match=r"is writing a\.jsonl"):
            rescored(path)
        running.write(record(rows[1]))
    assert len(list(read_records(path))) == 2
    rescored(path)
    assert all(each["scores"]["contains"]["passed"] for each in read_records(path))


def test_what_was_begun_without_a_record_stays_known_where_a_file_is_scored_anew(tmp_path: Path) -> None:
    path, rows, made_with = tmp_path / "a.jsonl", questions("h", 4), {"model": "x"}
    error = {"type": "ValueError", "message": "no", "status": None}
    failures = [record(each, ok=False, error=error) for each in rows]
    with Journal.open(path, made_with) as running:
        for each in failures[:3]:
            running.write(each)
    running = Journal.open(path, made_with, retry_failed=True)
    running.begin([each["id"] for each in rows])
    running.write(failures[0])  # it was asked again, and has failed again
    running.write(record(rows[1]))
    shutil.copytree(tmp_path, tmp_path / "killed")
    running.close()
    path = tmp_path / "killed" / "a.jsonl"
    for _ in range(2):
        rescored(path)
    with Journal.open(path, made_with, retry_failed=True) as next_start:
        assert next_start.in_flight == ["h2", "h3"]
    assert all("scores" in each for each in read_records(path))


def test_what_was_scored_anew_stays_where_it_was(tmp_path: Path) -> None:
    real = saved(tmp_path / "real.jsonl", [record(each) for each in questions("h", 2)])
    link = tmp_path / "link.jsonl"
    link.symlink_to(real.name)
    rescored(link)
    assert link.is_symlink()
    assert all("scores" in each for each in read_records(real))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.jsonl", "real.jsonl"]


def test_a_question_of_which_only_a_later_repeat_is_there_is_scored_anew(tmp_path: Path) -> None:
    one, two = questions("q", 2)
    rows = [record(one), record({**one, "id": "q0#2"}), record({**two, "id": "q1#2"})]
    assert rescored(saved(tmp_path / "a.jsonl", rows)).first.items == 2


@pytest.mark.parametrize(
    "ids",
    [["ticket#41230011", "ticket#41230012"], ["a", "a#4000"], ["a#1", "a#2"], ["a", "a#02"], ["a#b", "c"]],
    ids=["of a tracker", "far away", "from one on", "written otherwise", "no number"],
)
def test_ids_that_name_no_repeats_are_scored_anew_as_they_are(ids: list[str], tmp_path: Path) -> None:
    rows = [{"question": f"Who made {each}?", "answer": "Kendall", "checks": ["contains"], "id": each} for each in ids]
    path = saved(tmp_path / "a.jsonl", [record(each) for each in rows])
    found = rescored(path)
    assert (found.repeat, found.first.items, [each.item for each in found.first.outcomes]) == (1, 2, ids)
    assert found.first.summaries["contains"].mean == 1.0
    assert [each["id"] for each in read_records(path)] == ids


def test_repeats_of_an_evaluation_that_was_killed_are_scored_anew_as_repeats(tmp_path: Path) -> None:
    one, two, three = questions("q", 3)
    rows = [record({**one, "id": f"q0#{number}"}) for number in (2, 3, 5)]
    rows += [record(each) for each in (one, two)] + [record({**three, "id": "q2#2"})]
    found = rescored(saved(tmp_path / "a.jsonl", rows))
    assert (found.repeat, found.first.items) == (5, 3)


def test_a_changed_question_is_not_shown_beside_the_old_answer(agent: Agent, tmp_path: Path) -> None:
    one, two = questions("h", 2, "Nothing found")
    out = tmp_path / "r.jsonl"
    evaluate(agent, [one, two], out=out)
    changed = {**one, "question": "What is the weather?"}
    found = evaluate(agent, [changed, two], out=out)
    first, second = found.first.outcomes
    assert (first.question, first.output, first.missing) == ("What is the weather?", "", "question changed")
    assert second.scores["contains"].passed
    assert "1 answer is to another question of the same id" in table(found)
    assert rescored(out, [changed, two]).first.summaries["contains"].mean == 0.5
    assert {each["id"]: each["item"]["question"] for each in read_records(out)} == {
        each["id"]: each["question"] for each in (one, two)
    }
    compared = evaluate(agent, [changed, two], against=[out])
    assert (mean(compared, 1), compared.comparisons[0].left_out) == (1.0, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"cost": float("nan")},
        {"cost": -1e308},
        {"seconds": float("inf")},
        {"usage": {"input_tokens": -5, "output_tokens": "x"}},
        {"output": "bad \ud800"},
        {"scores": {"contains": {"value": float("nan")}}},
        {"item": [1]},
    ],
    ids=["nan", "negative", "infinite", "tokens", "surrogate", "score", "item"],
)
def test_what_others_write_into_a_file_ends_no_evaluation(fields: dict[str, Any], agent: Agent, tmp_path: Path) -> None:
    rows = questions("h", 2, "Nothing found")
    old = saved(tmp_path / "old.jsonl", [{**record(each), **fields} for each in rows])
    found = evaluate(agent, rows, against=[old])
    shown = table(found).lower()
    assert "nan" not in shown
    assert "inf " not in shown
    for suffix in (".json", ".html", ".md"):
        write_report(found, tmp_path / f"report{suffix}")


def test_a_number_that_json_has_not_is_named_where_a_file_is_written_anew(tmp_path: Path) -> None:
    old = saved(tmp_path / "old.jsonl", [record(questions("h", 1)[0], cost=float("nan"))])
    before = old.read_bytes()
    with pytest.raises(ConfigurationError, match=r"old\.jsonl, item h0: it has a number that JSON has not"):
        rescored(old)
    assert old.read_bytes() == before


def test_a_file_is_scored_before_the_agent_is_asked(agent: Agent, tmp_path: Path) -> None:
    rows, out = questions("h", 2), tmp_path / "new.jsonl"
    old = saved(tmp_path / "old.jsonl", list(map(record, rows)))
    with pytest.raises(ConfigurationError, match=r"old\.jsonl: check called .*were not kept"):
        evaluate(agent, rows, against=[old], checks=["called: search_documents"], out=out)
    assert not out.exists()


def test_an_evaluation_is_not_compared_with_the_file_that_it_writes(agent: Agent, tmp_path: Path) -> None:
    rows = questions("h", 1)
    out = saved(tmp_path / "old.jsonl", list(map(record, rows)))
    with pytest.raises(ConfigurationError, match="can't be compared with itself"):
        evaluate(agent, rows, against=[out], out=out)


def test_questions_without_a_check_are_told(agent: Agent) -> None:
    rows = questions("h", 2)
    found = evaluate(agent, [rows[0], {**rows[1], "checks": []}])
    assert (found.unchecked, "1 of 2 questions has no check" in table(found)) == (1, True)


def judged_by(grade: int, **options: Any) -> tuple[ScriptedBackend, Agent]:
    """A judge that gives each answer the same grade."""
    backend = ScriptedBackend(*[json.dumps({"reason": "by the rubric", "grade": grade})] * 60)
    return backend, Agent(backend, **options)


def judged_questions(rubric: str = "Is it polite?", answer: str = "Kendall") -> Rows:
    check = {"check": "judge", "rubric": rubric}
    return [{**row, "checks": [check]} for row in questions("h", 20, answer)]


def value(found: Evaluation, place: int = 0) -> float:
    return found.configurations[place].summaries["judge"].mean


@pytest.mark.parametrize("changed", ["judge", "rubric", "answer"])
def test_scores_of_another_judge_rubric_or_right_answer_do_not_count(
    agent: Agent, tmp_path: Path, changed: str
) -> None:
    # TIGER-AI-Lab/ClawBench#363: they were kept by the name of the check alone
    out = tmp_path / "a.jsonl"
    evaluate(agent, judged_questions(), judge=judged_by(5)[1], out=out)
    backend, other = judged_by(1, instructions="Be strict." if changed == "judge" else None)
    changes = {"rubric": {"rubric": "Is it right?"}, "answer": {"answer": "Larcum Kendall"}}.get(changed, {})
    rows = judged_questions(**changes)
    found = evaluate(agent, rows, judge=other, against=out)
    assert (value(found), value(found, 1), found.comparisons[0].checks[0].kind) == (0, 0, "")
    asked = len(backend.requests)
    again = [evaluate(agent, rows, judge=other, out=out) for _ in range(2)]
    assert ([value(each) for each in again], len(backend.requests) - asked) == ([0, 0], 20)
    assert value(rescored(out, rows)) == 0


def test_scores_of_judges_are_kept_where_nothing_is_asked_otherwise(agent: Agent, tmp_path: Path) -> None:
    out, (backend, judge) = tmp_path / "a.jsonl", judged_by(5)
    rows = judged_questions()
    both = [{**row, "checks": [*row["checks"], {"check": "judge", "rubric": "Is it right?"}]} for row in rows]
    evaluate(agent, both, judge=judge, out=out)
    content = out.read_bytes()
    assert value(evaluate(agent, both, judge=judged_by(1)[1], out=out)) == 1
    assert out.read_bytes() == content
    assert value(rescored(out, both)) == value(rescored(out)) == 1
    assert len(backend.requests) == 40
    with pytest.raises(ConfigurationError, match="its score is of another rubric, question or right answer, and"):
        rescored(out, rows)


def test_scores_of_judges_of_an_earlier_version_count(agent: Agent, tmp_path: Path) -> None:
    rows, (backend, judge) = judged_questions(), judged_by(1)
    scores = {"judge": {"value": 1.0, "passed": True, "why": "fine", "spent": {"cost": 0.1}}}
    old = saved(tmp_path / "old.jsonl", [record(row, scores=scores) for row in rows])
    assert value(evaluate(agent, rows, judge=judge, against=old), 1) == 1
    assert (value(rescored(old, rows)), len(backend.requests)) == (1, 20)


def test_a_judge_that_fails_on_one_answer_ends_no_evaluation_and_is_asked_again_about_it_alone(tmp_path: Path) -> None:
    """confident-ai/deepeval#805, NVIDIA/SkillEvaluator#70: a refusal of the judge cost the rest of the night."""
    out, rows = tmp_path / "a.jsonl", judged_questions()
    verdict = json.dumps({"reason": "", "grade": 5})
    refused = ValueError("content_filter: the prompt was flagged")
    asked = ScriptedBackend(*["1971"] * len(rows))
    judge = ScriptedBackend(*[verdict] * 4, refused, *[verdict] * (len(rows) - 5), refused)
    with pytest.raises(ConfigurationError, match=r"no verdict on 1 answers, such as on item .*: check judge .*flagged"):
        evaluate(Agent(asked), rows, judge=Agent(judge), out=out, at_once=1)
    assert len(asked.requests) == len(rows)
    records = list(read_records(out))
    assert [len(records), sum("judge" in each["scores"] for each in records)] == [len(rows), len(rows) - 1]
    backend, judge_again = judged_by(5)
    assert value(evaluate(Agent(ScriptedBackend()), rows, judge=judge_again, out=out, anyway=True)) == 1
    assert len(backend.requests) == 1


def test_a_judge_that_hardly_ever_works_stops_an_evaluation(tmp_path: Path) -> None:
    rows = [{"id": str(number), "question": f"{number}?", "checks": ["judge: Good?"]} for number in range(40)]
    asked = ScriptedBackend(*["1971"] * len(rows))
    judge = Agent(ScriptedBackend(*[RuntimeError("no")] * 40))
    with pytest.raises(ConfigurationError, match="the judge gave no verdict"):
        evaluate(Agent(asked), rows, judge=judge, out=tmp_path / "a.jsonl", at_once=1)
    assert len(asked.requests) < len(rows)


def test_what_a_judge_has_said_before_it_fails_is_kept(agent: Agent, tmp_path: Path) -> None:
    out, rows = tmp_path / "a.jsonl", judged_questions()
    evaluate(agent, [{**row, "checks": ["exact"]} for row in rows], out=out)
    failing = ScriptedBackend(*[json.dumps({"reason": "", "grade": 5})] * 7, *[RuntimeError("no")] * 13)
    with pytest.raises(ConfigurationError, match="the judge gave no verdict"):
        evaluate(agent, rows, judge=Agent(failing), out=out)
    assert sum("judge" in each["scores"] for each in read_records(out)) == 7
    backend, judge = judged_by(5)
    assert (value(evaluate(agent, rows, judge=judge, out=out)), len(backend.requests)) == (1, 13)
