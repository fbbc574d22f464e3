"""The sets in examples/eval: whole, and a model that is right in all gets all points."""

import json
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentkit import Agent
from agentkit.evaluation import evaluate
from tests.evaluation.capitals import CAPITALS
from tests.support.model_server import Answer, Asked, calls, serve, whole

SETS = Path(__file__).parents[2] / "examples/eval"
Calls = list[tuple[str, dict[str, Any]]]


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SETS / name).read_text(encoding="utf-8").splitlines()]


def module(name: str) -> ModuleType:
    specification = spec_from_file_location("eval_tools", SETS / name)
    assert specification is not None
    assert specification.loader is not None
    made = module_from_spec(specification)
    specification.loader.exec_module(made)
    return made


def question_of(asked: Asked) -> str:
    """The question of a run, whose later requests end with a remark of agentkit's."""
    return str(next(each["content"] for each in asked.body["messages"] if each["role"] == "user"))


def said(made: Calls) -> Answer:
    return calls(*made) if made else whole("I can answer that myself.")


def test_sets_of_the_examples_are_whole() -> None:
    assert len(CAPITALS) == 40
    counts = {}
    names = (
        "questions.jsonl",
        "questions_zh.jsonl",
        "tool_calls.jsonl",
        "cmrc/questions.jsonl",
        "xquad/questions.jsonl",
    )
    for name in names:
        rows = rows_of(name)
        assert len({row["id"] for row in rows}) == len(rows)
        counts[name] = len(rows)
    assert counts == {
        "questions.jsonl": 27,
        "questions_zh.jsonl": 13,
        "tool_calls.jsonl": 60,
        "cmrc/questions.jsonl": 100,
        "xquad/questions.jsonl": 400,
    }


def test_the_answers_of_cmrc_stand_in_their_paragraphs_and_get_all_points() -> None:
    rows = rows_of("cmrc/questions.jsonl")
    texts = {each.name: each.read_text(encoding="utf-8") for each in (SETS / "cmrc/paragraphs").iterdir()}
    assert {row["source"] for row in rows} == texts.keys()
    assert all(row["answer"] in texts[row["source"]] for row in rows)
    answers = {row["question"]: row["answer"] for row in rows}
    with serve(lambda asked: whole(answers[question_of(asked)])) as server, Agent(f"openai:x@{server.url}") as agent:
        assert evaluate(agent, SETS / "cmrc/questions.jsonl").first.summaries["f1"].mean == 1


def test_the_cases_of_tool_calls_fit_their_tools() -> None:
    answers: dict[str, Calls] = {}
    for row in rows_of("tool_calls.jsonl"):
        made = [each for each in row["checks"] if isinstance(each, dict) and each["check"] == "called"]
        answers[row["question"]] = [(each["tool"], each["arguments"]) for each in made]
    fill = {
        "send_message": {"text": "Hello"},
        "add_to_list": {},
        "set_timer": {},
        "book_table": {},
    }

    def right(asked: Asked) -> Answer:
        return said([(tool, {**fill.get(tool, {}), **given}) for tool, given in answers[question_of(asked)]])

    with serve(right) as server:
        with Agent(f"openai:tiny@{server.url}", tools=module("tools.py").TOOLS) as agent:
            found = evaluate(agent, SETS / "tool_calls.jsonl")
    assert {name: each.mean for name, each in found.first.summaries.items()} == {
        "called": 1.0,
        "calls": 1.0,
        "not_called": 1.0,
    }


def right_calls(row: dict[str, Any]) -> Calls:
    """The calls of a case of BFCL, with the first value of each argument that is right."""
    return [
        (each["tool"], {name: values[0] for name, values in each["one_of"].items() if values[0] is not None})
        for each in row["checks"]
        if each["check"] == "called"
    ]


@pytest.fixture(scope="module")
def asked_of_bfcl() -> Iterator[Any]:
    """Evaluates on each so-manieth case of BFCL a server that makes its calls as a function changes them."""
    answers = {row["question"]: right_calls(row) for row in rows_of("bfcl/questions.jsonl")}
    changes = [lambda made: made]

    def answer(asked: Asked) -> Answer:
        return said(changes[-1](answers[question_of(asked)]) if "tools" in asked.body else [])

    def evaluated(change: Any, each: int = 1) -> tuple[dict[str, float], list[Asked]]:
        changes.append(change)
        server.requests.clear()
        found = evaluate(agent, rows_of("bfcl/questions.jsonl")[::each], by="category")
        groups = {group: scored["bfcl"].summary.mean for group, scored in found.first.groups.items()}
        return groups, server.requests

    with serve(answer) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AGENTKIT_MODEL", f"openai:tiny@{server.url}")
        environment.setenv("OPENAI_API_KEY", "none")
        with module("bfcl/tools.py").make_agent() as agent:
            yield evaluated


CATEGORIES = {"simple_python": 60, "multiple": 30, "parallel": 20, "parallel_multiple": 10, "irrelevance": 30}


def test_a_model_that_is_right_gets_all_points_of_bfcl_and_sees_its_own_functions_alone(asked_of_bfcl: Any) -> None:
    rows = {row["question"]: row for row in rows_of("bfcl/questions.jsonl")}
    assert len(rows) == len({row["id"] for row in rows.values()}) == 150
    assert {each: sum(row["category"] == each for row in rows.values()) for each in CATEGORIES} == CATEGORIES
    groups, asked = asked_of_bfcl(lambda made: made)
    assert groups == dict.fromkeys(CATEGORIES, 1.0)
    assert len(asked) == 150
    for each in asked:
        offered = [one["function"]["name"] for one in each.body["tools"]]
        assert offered == rows[question_of(each)]["functions"]


@pytest.mark.parametrize(
    ("change", "irrelevance"),
    [
        (lambda made: [(name, {**given, next(iter(given)): "\u2205"}) for name, given in made], 1.0),
        (lambda made: [*made, made[0]] if made else made, 1.0),
        (lambda made: made[:-1], 1.0),
    ],
    ids=("value", "one_more", "one_less"),
)
def test_what_is_wrong_gets_no_point_of_bfcl(change: Any, irrelevance: float, asked_of_bfcl: Any) -> None:
    groups, _ = asked_of_bfcl(change, 5)
    assert groups == {**dict.fromkeys(CATEGORIES, 0.0), "irrelevance": irrelevance}
