"""`agentkit eval`: scores, exit codes, and what is kept."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentkit import Agent, ConfigurationError
from agentkit.cli import app
from agentkit.evaluation import assert_eval
from tests.evaluation.capitals import knows, lines, written
from tests.support.model_server import Answer, Asked, serve, whole

ROOT = Path(__file__).parents[2]


def agentkit(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments), "--no-tools", "-q"])


def rescored(*arguments: object) -> Result:
    """--rescore of the last argument."""
    *options, out = map(str, arguments)
    return CliRunner().invoke(app, ["eval", *options, "--rescore", out, "-q"])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.delenv("AGENTKIT_MODEL", raising=False)


def test_the_scores_of_a_set_are_printed_and_kept_with_the_answers(tmp_path: Path) -> None:
    given, out = written(tmp_path / "capitals.jsonl", lines()), tmp_path / "answers.jsonl"
    with serve(knows(3, 4)) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out)
        assert (done.exit_code, len(server.requests)) == (0, 20)
        assert "capitals.jsonl: 20 questions" in done.stdout
        assert "contains  90.0 % (69.9-97.2)" in done.stdout
        records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert {each["id"]: each["scores"]["contains"]["passed"] for each in records} == {
            each["id"]: each["id"] not in ("c3", "c4") for each in lines()
        }
        again = agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out)
        assert again.stdout == done.stdout
        assert len(server.requests) == 20


@pytest.mark.parametrize(
    ("options", "code", "ending"),
    [
        (("--min", "contains>=.95", "--sure", "contains>=.1"), 1, "complete"),
        (("--min", "contains>=.5"), 0, "complete"),
        (("--limit-tokens", 500, "--at-once", 1), 3, "budget"),
    ],
    ids=["missed", "reached", "at a limit"],
)
def test_the_last_event_has_the_exit_code_and_what_does_not_hold(
    options: tuple[object, ...], code: int, ending: str, tmp_path: Path
) -> None:
    given, out = written(tmp_path / "capitals.jsonl", lines()), tmp_path / "answers.jsonl"
    known = knows(3, 4)

    def answer(asked: Asked) -> Answer:
        text = json.loads(known(asked).body)["choices"][0]["message"]["content"]
        return whole(text, usage={"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100})

    with serve(answer) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out, "--json", *options)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    kinds = [each["event"] for each in events if each["event"] != "progress"]
    assert (done.exit_code, kinds) == (code, ["begin", "answered", "end"])
    assert (events[-1]["exit_code"], events[-1]["ending"]) == (code, ending)
    assert bool(events[-1]["message"]) == (ending != "complete")
    assert [each[:8] for each in events[-1]["failures"]] == ["contains"] * (code == 1)
    assert events[0]["agent"].startswith("openai:tiny")
    assert "out" not in events[0]
    again = rescored("--json", *options[:2], out) if code == 1 else None
    assert again is None or json.loads(again.stderr)["exit_code"] == again.exit_code == 1


def test_a_question_without_an_answer_counts_as_wrong_and_is_told(tmp_path: Path) -> None:
    """UKGovernmentBEIS/inspect_ai#2914, #4286, vibrantlabsai/ragas#2980"""

    def some_fail(asked: Asked) -> Answer:
        answer = knows(1)(asked)
        return Answer(b'{"error": {"message": "no"}}', status=400) if b"City 2." in answer.body else answer

    given, report = written(tmp_path / "capitals.jsonl", lines()), tmp_path / "report.json"
    with serve(some_fail) as server:
        options = ("-m", f"openai:tiny@{server.url}", "--without-errors", "--report", report)
        done = agentkit(given, *options)
    assert done.exit_code == 0
    assert "90.0 % (69.9-97.2), 1 of 20 without an answer counts as wrong, without them 94.7 %" in done.stdout
    assert "without an answer: 1 BadRequestError" in done.stdout
    check = json.loads(report.read_text(encoding="utf-8"))["configurations"][0]["checks"]["contains"]
    assert (check["runs"], check["missing"], check["without_errors"]["runs"]) == (20, 1, 19)


def test_an_account_that_is_refused_is_no_evaluation(tmp_path: Path) -> None:
    """i-dot-ai/themefinder#119"""
    given = written(tmp_path / "capitals.jsonl", lines(8))
    with serve(
        [Answer(b'{"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}', status=401)]
    ) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "--min", "contains>=0")
    assert done.exit_code == 4
    assert "8 not asked" in done.stdout


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        (("--min", "contains>=.9"), 0, ""),
        (("--min", "contains>=91%"), 1, "contains is 90.0 %, less than the 91.0 % asked for"),
        (("--sure", "contains>=.69"), 0, ""),
        (("--sure", "contains>=.9"), 1, "surely only 69.9 %, less than the 90.0 % asked for; its mean is 90.0 %"),
        (("--min", "f1>=.5"), 2, "there is no such check; there is contains"),
        (("--min", "contains=.5"), 2, "write CHECK>=SHARE"),
        (("--by", "country"), 2, "the set has no such column; it has"),
        (("--report", "report.doc"), 2, "the suffix says the form"),
        (("--check", "cantains"), 2, "did you mean 'contains'?"),
    ],
    ids=lambda each: "-".join(each).strip("-") if isinstance(each, tuple) else None,
)
def test_the_exit_code_says_whether_the_scores_are_reached(
    option: tuple[str, str], code: int, said: str, tmp_path: Path
) -> None:
    given = written(tmp_path / "capitals.jsonl", lines())
    with serve(knows(3, 4)) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", *option)
    assert done.exit_code == code, done.output
    assert said in " ".join(done.stderr.split())


def test_a_check_that_fails_is_an_error_of_the_set_and_the_answers_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    own = tmp_path / "own.py"
    own.write_text("def check(record, answer):\n    raise ValueError('no such answer')\n", encoding="utf-8")
    given = written(tmp_path / "capitals.jsonl", lines(4, checks=["contains", f"python: {own}:check"]))
    with serve(knows()) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out)
        assert done.exit_code == 2
        assert "no such answer" in " ".join(done.stderr.split())
        written(given, lines(4))
        mended = agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out)
        assert (mended.exit_code, len(server.requests)) == (0, 4)


def test_answers_are_scored_anew_without_one_request(tmp_path: Path) -> None:
    given, out = written(tmp_path / "capitals.jsonl", lines()), tmp_path / "answers.jsonl"
    with serve(knows(3)) as server:
        agentkit(given, "-m", f"openai:tiny@{server.url}", "-o", out)
    mended = [{**each, "answer": ["I don't know", each["answer"]]} for each in lines()]
    written(given, mended)
    done = rescored(given, out)
    assert "contains  100.0 %" in done.stdout, done.output
    kept = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(each["scores"]["contains"]["passed"] for each in kept)
    assert list(kept[0])[:2] == ["id", "ok"]
    without_set = rescored("--check", "exact", out)
    assert "exact     5.0 %" in without_set.stdout
    assert rescored(given, tmp_path / "none.jsonl").exit_code == 2


def test_two_models_are_compared_and_what_changed_is_named(tmp_path: Path) -> None:
    given, out = written(tmp_path / "capitals.jsonl", lines(30)), tmp_path / "answers.jsonl"
    with serve(knows(*range(10))) as first, serve(knows(0, 1, 20)) as second:
        one, two = f"openai:tiny@{first.url}", f"openai:tiny@{second.url}"
        done = agentkit(given, "-m", one, "--against", f"model:{two}", "-o", out)
        assert done.exit_code == 0, done.output
        assert f"contains  {two} is better by 23.3 points" in done.stdout.replace("\n", "")
        assert "changed: 9 questions" in done.stdout
        assert "c2   0.0 % -> 100.0 %  Capital of Land 2?" in done.stdout
        assert "c20  100.0 % -> 0.0 %" in done.stdout
        assert (tmp_path / "answers.against.jsonl").exists()
        saved = tmp_path / "answers.against.jsonl"
        worse = agentkit(given, "-m", one, "-o", out, "--not-worse-than", saved, "--by-points", ".02")
        assert worse.exit_code == 1
        assert "surely worse by more than 2 points" in " ".join(worse.stderr.split())
        better = agentkit(given, "-m", two, "--not-worse-than", out)
        assert better.exit_code == 0, better.output


def test_repeats_are_asked_anew_and_their_mean_counts(tmp_path: Path) -> None:
    """promptfoo/promptfoo#360, UKGovernmentBEIS/inspect_ai#796"""
    asked: list[int] = []

    def every_other(request: Asked) -> Answer:
        asked.append(1)
        return whole("City 0" if len(asked) % 2 else "no idea")

    given = written(tmp_path / "capitals.jsonl", lines(1))
    with serve(every_other) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "--repeat", "4", "--at-once", "1")
    assert len(asked) == 4
    assert "contains  50.0 %" in done.stdout
    assert "one of 4 right 100.0 %, all 4 right 0.0 %, repeats disagree on 100.0 % of the questions" in done.stdout


def test_groups_are_scored_apart(tmp_path: Path) -> None:
    rows = [{**each, "size": "big" if place < 5 else "small"} for place, each in enumerate(lines())]
    given = written(tmp_path / "capitals.jsonl", rows)
    with serve(knows(1, 2)) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "--by", "size")
    assert "    big    60.0 %" in done.stdout
    assert "    small  100.0 %" in done.stdout


def test_a_budget_leaves_questions_unasked_and_they_count_as_wrong(tmp_path: Path) -> None:
    given = written(tmp_path / "capitals.jsonl", lines())
    with serve(knows()) as server:
        done = agentkit(given, "-m", f"openai:tiny@{server.url}", "--limit-tokens", "500", "--at-once", "1")
    assert done.exit_code == 3
    assert "15 of 20 without an answer count as wrong" in done.stdout


def test_an_evaluation_is_an_assertion() -> None:
    with serve(knows(3, 4)) as server, Agent(f"openai:tiny@{server.url}") as agent:
        found = assert_eval(agent, lines(), contains=0.9)
        assert found.first.summaries["contains"].mean == pytest.approx(0.9)
        with pytest.raises(
            AssertionError, match=r"contains is 90\.0 %, less than the 95\.0 % asked for\n\nquestions: 20"
        ):
            assert_eval(agent, lines(), contains=0.95)
        with pytest.raises(AssertionError, match="surely only"):
            assert_eval(agent, lines(), contains=0.9, sure=True)
        with pytest.raises(ConfigurationError, match="there is no such check"):
            assert_eval(agent, lines(), f1=0.5)
        with pytest.raises(ConfigurationError, match="needs the least score"):
            assert_eval(agent, lines())


def test_the_first_evaluation_needs_no_key_and_no_network() -> None:
    done = CliRunner().invoke(
        app,
        ["eval", "examples/eval/questions_zh.jsonl", "--docs", "examples/documents_zh", "--min", "contains>=.8", "-q"],
    )
    assert done.exit_code == 0, done.output
    assert "refuses     100.0 %" in done.stdout
