"""Questions without ids of their own: what is asked says which they are, not what is expected of the answer."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends.openai import OpenAIBackend
from agentkit.batch import run_batch
from agentkit.batch.begun import Begun
from agentkit.batch.items import open_items
from agentkit.batch.journal import read_records
from agentkit.batch.provider_files import export_requests
from agentkit.evaluation import evaluate, rescored
from agentkit.evaluation.report import report
from agentkit.testing import ScriptedBackend
from tests.evaluation.capitals import CAPITALS, knows, written
from tests.support.model_server import ModelServer, serve, whole

Rows = list[dict[str, Any]]


def rows(count: int = 4, **more: Any) -> Rows:
    named = list(CAPITALS.items())[:count]
    return [{"question": f"Capital of {land}?", "answer": city, "checks": ["contains"], **more} for land, city in named]


def agent_of(server: ModelServer) -> Agent:
    return Agent(OpenAIBackend("tiny", base_url=server.url, api_key="none"))


def by_lines(given: Any) -> list[str]:
    """The ids that earlier versions gave to the questions of a set."""
    return [item.id for item in open_items(given)]


def made_before(path: Path, given: Rows, answers: list[str]) -> Path:
    """An answers file of an earlier version."""
    ids = by_lines(given)
    records = [
        {
            "id": id_,
            "ok": True,
            "output": answer,
            "stopped": "answer",
            "usage": {},
            "cost": None,
            "seconds": 1.0,
            "error": None,
            "item": row,
        }
        for id_, row, answer in zip(ids, given, answers, strict=False)
    ]
    return written(path, records)


def mended(given: Rows, place: int = 0, **changes: Any) -> Rows:
    return [{**row, **(changes if number == place else {})} for number, row in enumerate(given)]


def mean(found: Any, place: int = 0) -> float:
    return float(found.configurations[place].summaries["contains"].mean)


@pytest.mark.parametrize(
    "change",
    [
        {"answer": ["City 0", "Town"]},
        {"checks": ["contains", "lacks: x"]},
        {"note": "new"},
        {"answer": 5, "checks": []},
    ],
    ids=["answer", "checks", "column", "both"],
)
def test_a_question_stays_the_same_when_what_is_expected_changes(change: dict[str, Any], tmp_path: Path) -> None:
    # confident-ai/deepeval#1996: what is right is changed after a run, and nothing should be asked again
    out, given = tmp_path / "answers.jsonl", rows()
    with serve(knows()) as server:
        evaluate(agent_of(server), given, out=out)
        assert len(server.requests) == 4
        found = evaluate(agent_of(server), mended(given, **change), out=out)
        assert len(server.requests) == 4
        assert rescored(out, mended(given, **change)).first.missing() == {}
    assert (found.first.missing(), found.first.items) == ({}, 4)
    assert len(list(read_records(out))) == 4


def test_one_question_alone_is_found_with_another_answer(tmp_path: Path) -> None:
    out, given = tmp_path / "answers.jsonl", rows(1)
    with serve(knows()) as server:
        assert mean(evaluate(agent_of(server), mended(given, answer="Nowhere"), out=out)) == 0.0
    assert mean(rescored(out, given)) == 1.0


def test_questions_that_are_equal_have_answers_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    given = [*rows(1), *rows(1, checks=["lacks: City"]), *rows(1)]
    with serve(knows()) as server:
        found = evaluate(agent_of(server), given, out=out)
        assert len(server.requests) == 3
        evaluate(agent_of(server), [*given, *rows(1)], out=out)
        assert len(server.requests) == 4
    first, second, third = (each.item for each in found.first.outcomes)
    assert (second, third) == (f"{first}-2", f"{first}-3")


@pytest.mark.parametrize(
    "line",
    [
        {"messages": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Capital of Land 0?"}]},
        {"body": {"messages": [{"role": "user", "content": "Capital of Land 0?"}], "temperature": 0}, "method": "POST"},
    ],
    ids=["messages", "sampling"],
)
def test_what_else_is_sent_makes_another_question(line: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    with serve(knows()) as server:
        evaluate(agent_of(server), rows(1), out=out)
        evaluate(agent_of(server), [*rows(1), line], out=out)
        assert len(server.requests) == 2
    assert len({each["id"].partition("-2")[0] for each in read_records(out)}) == 2


def test_a_table_and_json_lines_are_one_set(tmp_path: Path) -> None:
    out, given = tmp_path / "answers.jsonl", rows()
    table = tmp_path / "set.csv"
    table.write_text("question,answer\n" + "".join(f"{each['question']},{each['answer']}\n" for each in given))
    with serve(knows()) as server:
        evaluate(agent_of(server), given, out=out)
        assert mean(evaluate(agent_of(server), table, checks=["contains"], out=out)) == 1.0
        assert len(server.requests) == 4


def test_an_answers_file_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    given = rows(5)
    out = made_before(tmp_path / "answers.jsonl", given, ["City 0", "City 1", "Nowhere"])
    with serve(knows()) as server:
        found = evaluate(agent_of(server), given, out=out, repeat=2, anyway=True)
        assert len(server.requests) == 2 + 5
        assert mean(found) == pytest.approx(0.9)
        evaluate(agent_of(server), given, out=out, repeat=2)
        assert len(server.requests) == 7
    ids = by_lines(given)
    assert {each["id"] for each in read_records(out)} == {*ids, *(f"{each}#2" for each in ids)}


def test_a_mended_answer_is_found_in_an_answers_file_of_an_earlier_version(tmp_path: Path) -> None:
    given = rows(4)
    out = made_before(tmp_path / "answers.jsonl", given, ["City 0", "Nowhere", "City 2"])
    new = mended(given, 1, answer=["City 1", "Nowhere"])
    found = rescored(out, new)
    assert found.first.missing() == {"not asked": 1}
    assert mean(found) == 0.75
    with serve(knows()) as server:
        assert mean(evaluate(agent_of(server), new, out=out, anyway=True)) == 1.0
        assert len(server.requests) == 1
    assert [each["id"] for each in read_records(out)][:3] == by_lines(given)[:3]
    assert rescored(out, mended(given, 0, answer="Nowhere")).first.missing() == {}
    new = [*mended(given, 0, answer="Nowhere"), *rows(1)]
    assert [each.output for each in rescored(out, new).first.outcomes] == [
        "",
        "Nowhere",
        "City 2",
        "It is City 3.",
        "City 0",
    ]
    one = made_before(tmp_path / "one.jsonl", rows(1), ["City 0"])
    assert mean(rescored(one, mended(rows(1), answer="Nowhere"))) == 0.0


def test_equal_questions_are_found_in_an_answers_file_of_an_earlier_version(tmp_path: Path) -> None:
    given: Rows = [*rows(1, note="a"), *rows(1, note="b"), *rows(2)]
    out = made_before(tmp_path / "answers.jsonl", given, ["Nowhere", "City 0", "City 0", "Nowhere"])
    outcomes = rescored(out, given).first.outcomes
    assert [each.output for each in outcomes] == ["Nowhere", "City 0", "City 0", "Nowhere"]


def test_an_answers_file_of_an_earlier_version_is_compared_with(tmp_path: Path) -> None:
    given = rows(6)
    old = made_before(tmp_path / "old.jsonl", given, [f"It is {each}." for each in ("City 0", "City 1", "Nowhere")])
    changed = mended(given, 1, answer=["City 1"])
    verdict = whole(json.dumps({"reason": "It is right.", "better": "first"}))
    with serve(knows(5)) as server, serve(lambda _: verdict) as judge:
        judging = Agent(OpenAIBackend("judge", base_url=judge.url, api_key="none"))
        before = old.read_bytes()
        found = evaluate(
            agent_of(server), changed, against=[old], judge=judging, prefer="It is right.", out=tmp_path / "new.jsonl"
        )
        assert len(judge.requests) == 2  # "City 2" against "Nowhere", in both orders; the others are the same
    assert old.read_bytes() == before
    assert found.comparisons[0].left_out == 3
    assert mean(found, 1) == pytest.approx(2 / 3)
    assert [each.output for each in found.configurations[1].outcomes][2] == "It is Nowhere."
    preferred = found.comparisons[0].preferred
    assert preferred is not None
    assert (preferred.n, preferred.ties) == (3, 3)


def test_the_report_page_knows_what_an_answers_file_calls_a_question(tmp_path: Path) -> None:
    given = rows(2)
    out = made_before(tmp_path / "answers.jsonl", given, ["City 0", "City 1"])
    found = rescored(out, given)
    packed = re.search(r'id="data"[^>]*>\s*([A-Za-z0-9+/=]+)', report(found, ".html"))
    assert packed is not None
    items = json.loads(zlib.decompress(base64.b64decode(packed[1])))["items"]
    assert [item[-1][0][-1] for item in items] == by_lines(given)
    assert [item[0] for item in items] == [each.item for each in found.first.outcomes]


def test_what_an_earlier_version_has_begun_is_not_asked_again(tmp_path: Path) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    given, out = rows(2), tmp_path / "answers.jsonl"
    agent = Agent(ScriptedBackend("City 1", "City 1", "City 1"), tools=[pay])
    with run_batch(agent, given[:1], out=out) as run:
        run.cancel()
    out.write_bytes(b"")
    begun = Begun(tmp_path / "answers.jsonl.state" / "begun")
    begun.begin(by_lines(given)[:1], 0)
    begun.close()
    found = evaluate(agent, given, out=out)
    assert found.first.missing() == {"unknown_effect": 1}


def test_answers_of_a_batch_service_are_found_for_a_set_without_ids(tmp_path: Path) -> None:
    given, requests = written(tmp_path / "set.jsonl", rows(3)), tmp_path / "requests.jsonl"
    export_requests(given, requests, "tiny")
    ids = [json.loads(line)["custom_id"] for line in requests.read_text().splitlines()]
    answers = [
        {"id": id_, "ok": True, "output": f"City {place}", "usage": {}, "seconds": 0.0, "error": None}
        for place, id_ in enumerate(ids)
    ]
    assert mean(rescored(written(tmp_path / "answers.jsonl", answers), given)) == 1.0
