"""Sets of questions: what is wrong with one is told before anything is asked, with the number of each line."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from agentkit import Agent, ConfigurationError, tool
from agentkit.evaluation import evaluate, rescored
from agentkit.evaluation.checks import Known
from agentkit.evaluation.sets import EvaluationSet
from agentkit.testing import ScriptedBackend
from tests.evaluation.capitals import knows, lines, written
from tests.support.model_server import serve, whole


@tool(read_only=True)
def look(place: str) -> str:
    """Look at a place."""
    return place


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Why?", "checks": ["containz"]}, "line 3: check containz: there is no check 'containz': did you"),
        ({"question": "Why?", "checks": ["f1"]}, "line 3: check f1"),
        ({"question": "Why?", "checks": [{"check": "called", "tool": "lok"}]}, "there is no tool 'lok': did you mean"),
        (
            {"question": "Why?", "checks": [{"check": "f1", "column": "best"}]},
            "line 3: check f1: there is no column 'best'",
        ),
        ({"question": "Why?", "checks": 7}, "line 3: check 7"),
        ({"question": "Why?", "checks": ["regex: ("]}, "line 3: check regex: ("),
        ({"question": "Why?", "checks": [{"check": "judge", "rubric": "Good?"}]}, "judge needs a model of its own"),
        ({"question": "Why?", "checks": ["lacks: x"], "id": "a#2"}, "line 3: the id 'a#2' has a #"),
        ({"questoin": "Why?", "checks": ["lacks: x"]}, "line 3:"),
        ({"question": "", "checks": ["lacks: x"]}, "line 3:"),
        ({"question": "Why?", "id": "c1", "checks": ["lacks: x"]}, "line 3:"),
    ],
    ids=range(11),
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_asked(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    given = written(tmp_path / "capitals.jsonl", [*lines(2), row, *lines(4)[2:]])
    with serve([whole("Hello")]) as server:
        with pytest.raises(ConfigurationError) as raised:
            evaluate(Agent(f"openai:tiny@{server.url}", tools=[look]), given)
        assert not server.requests
    assert said in str(raised.value)
    assert str(raised.value).startswith("capitals.jsonl:\n")


def test_all_lines_that_are_wrong_are_told_at_once() -> None:
    rows = [{"question": f"{number}?", "checks": ["f2"]} for number in range(30)]
    with pytest.raises(ConfigurationError) as raised:
        evaluate(Agent("extractive"), rows)
    told = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in told[1:21]] == [f"line {number}" for number in range(1, 21)]
    assert told[21] == "and 10 more"


def test_a_set_without_checks_or_without_questions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="says of no answer what is right"):
        evaluate(Agent("extractive"), ["How?"])
    with pytest.raises(ConfigurationError, match="has no question"):
        evaluate(Agent("extractive"), [], checks=["f1"])
    with pytest.raises(ConfigurationError, match="use a whole number"):
        evaluate(Agent("extractive"), lines(), repeat=0)
    with pytest.raises(ConfigurationError, match="there is no such answers file"):
        evaluate(Agent("extractive"), lines(), against="none.jsonl")


def test_repeats_are_items_of_their_own() -> None:
    given = EvaluationSet(lines(2), repeat=3)
    assert [item.id for item in given] == ["c0", "c0#2", "c0#3", "c1", "c1#2", "c1#3"]
    assert [item.id for item in given] == [item.id for item in given]


def test_a_table_has_its_checks_as_json_or_as_a_text(tmp_path: Path) -> None:
    path = tmp_path / "capitals.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "question", "answer", "checks"])
        table.writerow(["a", "Capital of Land 1?", "City 1", '["contains", "lacks: maybe"]'])
        table.writerow(["b", "Capital of Land 2?", "City 2", "contains"])
        table.writerow(["c", "Capital of Land 3?", "City 3", ""])
    with serve(knows(2)) as server:
        found = evaluate(Agent(f"openai:tiny@{server.url}"), path, checks=["f1"])
    scored = found.first.summaries
    assert {name: (each.n, round(each.mean, 3)) for name, each in scored.items()} == {
        "contains": (2, 0.5),
        "lacks": (1, 1.0),
        "f1": (3, pytest.approx(0.444, abs=0.01)),
    }


def test_of_several_checks_of_one_name_the_worst_counts() -> None:
    rows = [{"question": "Capital of Land 1?", "checks": ["contains: City", "contains: Rome", "contains: 1"]}]
    with serve(knows()) as server:
        found = evaluate(Agent(f"openai:tiny@{server.url}"), rows)
    assert found.first.summaries["contains"].mean == 0


def test_a_question_may_be_a_conversation() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows = [{"messages": [*talk, {"role": "user", "content": "Capital of Land 7?"}], "answer": "City 7"}]
    with serve(knows()) as server:
        found = evaluate(Agent(f"openai:tiny@{server.url}"), rows, checks=["contains"])
    (outcome,) = found.first.outcomes
    assert (outcome.question, outcome.expected, outcome.output) == ("Capital of Land 7?", "City 7", "It is City 7.")


def test_what_checks_need_is_kept() -> None:
    rows = [{"question": "Look.", "checks": [{"check": "not_called"}]}]
    assert EvaluationSet(rows, known=Known.of([look])).needs() == ("tool_calls",)
    assert EvaluationSet(lines()).needs() == ()


def test_a_judge_sees_the_question_and_is_asked_once(tmp_path: Path) -> None:
    verdict = whole(json.dumps({"reason": "It names the city.", "grade": 4}))
    rows = lines(3, checks=[{"check": "judge", "rubric": "It names the city."}])
    out = tmp_path / "answers.jsonl"
    with serve(knows()) as server, serve([verdict]) as judging:
        agent, judge = Agent(f"openai:tiny@{server.url}"), f"openai:judge@{judging.url}"
        found = evaluate(agent, rows, judge=judge, out=out)
        assert found.first.summaries["judge"].mean == 0.75
        assert len(judging.requests) == 3
        assert "Capital of Land 0?" in "".join(str(each.body["messages"]) for each in judging.requests)
        assert evaluate(agent, rows, judge=judge, out=out).first.summaries["judge"].mean == 0.75
        assert len(judging.requests) == 3
    assert rescored(out, rows).first.summaries["judge"].mean == 0.75
    with pytest.raises(
        ConfigurationError, match=r"check other \(item c\d\): it has no score, and asking is not allowed"
    ):
        rescored(out, lines(3, checks=[{"check": "judge", "rubric": "It is kind.", "name": "other"}]))


@pytest.mark.parametrize(("said", "share"), [("[1, 2]", 1.0), ("1", 0.0)])
def test_a_right_answer_in_a_table_may_be_a_list_itself(said: str, share: float, tmp_path: Path) -> None:
    table = tmp_path / "q.csv"
    table.write_text('question,answer\n"sorted([2, 1])?","[1, 2]"\n', encoding="utf-8")
    found = evaluate(Agent(ScriptedBackend(said)), table, checks=["exact"])
    assert found.first.summaries["exact"].mean == share


def test_a_table_has_several_right_answers_as_json(tmp_path: Path) -> None:
    """Cells are texts: a list was one long right answer, which no answer of a model contains."""
    table = tmp_path / "q.csv"
    rows = ['a?,"[""Paris"", ""Rome""]"', "b?,[Paris]", 'c?,"[""Paris"""', "d?,[12]", 'e?,"[""Paris"", null]"']
    table.write_text("\n".join(["question,answer", *rows]), encoding="utf-8")
    found = [line.item.columns["answer"] for line in EvaluationSet(table, checks=["contains"]).lines()]
    assert found == [["Paris", "Rome"], "[Paris]", '["Paris"', "[12]", '["Paris", null]']
    as_text = [line.item.columns["answer"] for line in EvaluationSet(table, checks=["json"]).lines()]
    assert as_text[0] == '["Paris", "Rome"]'
    lines = [{"question": "a?", "answer": '["Paris"]'}]
    assert [line.item.columns["answer"] for line in EvaluationSet(lines, checks=["contains"]).lines()] == ['["Paris"]']


def test_every_kind_of_table_has_several_right_answers_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in a compressed table, or in one of standard input, was one long right answer."""
    text = b'question,answer\n"a?","[""Paris"", ""Rome""]"\n'
    (tmp_path / "q.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "q.TSV").write_bytes(b'question\tanswer\na?\t["Paris", "Rome"]\n')
    pyarrow.parquet.write_table(
        pyarrow.table({"question": ["a?"], "answer": ['["Paris", "Rome"]']}), tmp_path / "q.parquet"
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    sources: list[str | Path] = [*tmp_path.iterdir(), "-"]
    for source in sources:
        (line,) = EvaluationSet(source, checks=["contains"]).lines()
        assert line.item.columns["answer"] == ["Paris", "Rome"], source


@pytest.mark.parametrize(
    ("row", "said"),
    [
        # vibrantlabsai/ragas#119, mlflow/mlflow#10002: which column is meant
        (
            {"question": "Why?", "expected": "So", "lang": "en"},
            "line 1: check contains: the line has no column 'answer': if another one has the right answer "
            "(expected, lang), name it (--answer, answer=)",
        ),
        ({"question": "Why?"}, "line 1: check contains: the line has no column 'answer', and so no right answer"),
        (
            {"question": "Why?", "answer": None},
            "check contains: the column 'answer' is null, and so no right answer",
        ),
        ({"question": "Why?", "answer": {"a": 1}}, "the answer has to be a text, a number or a list of them, not"),
    ],
    ids=["another column", "none", "null", "another type"],
)
def test_a_line_without_its_right_answer_says_which_columns_there_are(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        EvaluationSet([row], checks=["contains"]).check()
    assert said in str(raised.value)


def test_the_right_answer_is_in_the_column_that_is_named(tmp_path: Path) -> None:
    rows = [{"question": "Capital of Land 0?", "target": "City 0", "answer": "no"}]
    with serve(knows()) as server:
        agent, out = Agent(f"openai:tiny@{server.url}"), tmp_path / "answers.jsonl"
        found = evaluate(agent, rows, answer="target", checks="contains", out=out)
    assert found.first.summaries["contains"].mean == 1.0
    assert found.first.outcomes[0].expected == "City 0"
    assert rescored(out, rows, answer="target", checks=["contains"]).first.summaries["contains"].mean == 1.0
    with pytest.raises(ConfigurationError, match="line 1: check contains: the line has no column 'gold'"):
        EvaluationSet(rows, answer="gold", checks=["contains"]).check()
