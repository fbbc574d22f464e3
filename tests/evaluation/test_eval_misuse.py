"""`agentkit eval`: what is refused before anything is asked, overwritten or promised."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentkit.cli import app
from tests.evaluation.capitals import knows, lines, written
from tests.support.model_server import serve


def agentkit(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments), "-q"])


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a set of one question, documents that answer it, others that don't, and an answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTKIT_MODEL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    for name, text in (("docs", "K1 was made by Larcum Kendall.\n"), ("others", "Bread is baked.\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(text, encoding="utf-8")
    row = {"id": "a", "question": "Who made K1?", "answer": "Kendall", "checks": ["contains"]}
    written(tmp_path / "s.jsonl", [row])
    columns = {name: value for name, value in row.items() if name != "id"}
    made = {"id": "a", "ok": True, "output": "Kendall", "usage": {}, "cost": None, "seconds": 1.0, "error": None}
    written(tmp_path / "old.jsonl", [{**made, "item": columns}])
    return tmp_path


def said(done: Result) -> str:
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--min f1>=.6", "--min f1: there is no such check; there is contains"),
        ("--sure containz>=.6", "--sure containz: there is no such check"),
        ("--check cost<=.01", "check cost: the prices of extractive are not known"),
        ("--limit-cost 1", "the prices of the model are not known"),
        ("--by x", "groups by 'x': the set has no such column"),
        ("--on foo", "'foo'"),
        ("--retry-failed", "--retry-failed needs a file"),
        ("--not-worse-than old.jsonl --check called:search_documents", "old.jsonl: check called (item a)"),
        ("-o run.json --report run.json", "--report run.json: it is what --out names"),
        ("--record old.jsonl", "--record old.jsonl: it is a file"),
    ],
    ids=lambda each: each.split()[0].strip("-") + each.split()[-1][:6] if each.startswith("-") else None,
)
def test_nothing_is_asked_where_the_options_are_wrong(options: str, told: str) -> None:
    done = agentkit("s.jsonl", "--docs", "docs", *options.split())
    assert done.exit_code == 2, done.output
    assert told in said(done)
    for word in ("by='", "on='", "Agent(prices"):
        assert word not in said(done)
    assert not done.stdout


@pytest.mark.parametrize("other", ["set", "rescore", "against"])
def test_a_report_overwrites_nothing_that_is_read(other: str, place: Path) -> None:
    taken = place / "taken.json"
    taken.write_bytes((place / ("s.jsonl" if other == "set" else "old.jsonl")).read_bytes())
    before = taken.read_bytes()
    given = {
        "set": ("taken.json", "--docs", "docs"),
        "rescore": ("--rescore", "taken.json"),
        "against": ("s.jsonl", "--docs", "docs", "--not-worse-than", "taken.json"),
    }[other]
    done = agentkit(*given, "--report", "./taken.json")
    assert (done.exit_code, taken.read_bytes()) == (2, before)
    assert "which the report would overwrite" in said(done)


@pytest.mark.parametrize("option", ["-o new.jsonl", "--repeat 5", "-m extractive", "--judge x", "--limit-cost 1"])
def test_an_option_that_rescore_has_no_use_for_is_refused(option: str, place: Path) -> None:
    before = (place / "old.jsonl").read_bytes()
    done = agentkit("--rescore", "old.jsonl", *option.split())
    assert done.exit_code == 2
    assert "--rescore asks nothing" in said(done)
    assert (place / "old.jsonl").read_bytes() == before


def test_answers_of_other_documents_are_not_taken_for_those_of_these() -> None:
    assert "100.0 %" in agentkit("s.jsonl", "--docs", "docs", "-o", "r.jsonl").stdout
    other = agentkit("s.jsonl", "--docs", "others", "-o", "r.jsonl")
    assert other.exit_code == 2
    assert "made with another documents folder" in said(other)
    assert agentkit("s.jsonl", "--docs", "./docs", "-o", "r.jsonl").exit_code == 0


def test_without_an_answers_file_nothing_is_promised(place: Path) -> None:
    given = written(place / "capitals.jsonl", lines())
    options = ("--no-tools", "--limit-tokens", "500", "--at-once", "1")
    with serve(knows()) as server:
        model = f"openai:tiny@{server.url}"
        done = agentkit(given, "-m", model, *options)
        kept = agentkit(given, "-m", model, *options, "-o", "r.jsonl")
    assert (done.exit_code, kept.exit_code) == (3, 3)
    assert "start again" not in done.stdout
    assert "only with an answers file (-o, out=)" in done.stdout
    assert "only with an answers file" not in kept.stdout


def test_a_line_of_a_report_may_have_a_lone_surrogate(place: Path) -> None:
    old = json.loads((place / "old.jsonl").read_text(encoding="utf-8"))
    written(place / "old.jsonl", [{**old, "output": "bad \ud800"}])
    reports = [part for name in ("r.json", "r.html", "r.md") for part in ("--report", name)]
    assert agentkit("--rescore", "old.jsonl", *reports).exit_code == 0
    assert json.loads((place / "r.json").read_text(encoding="utf-8"))["set"] == "old.jsonl"
