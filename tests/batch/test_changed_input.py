"""The input changes between two starts of a batch: what has an answer is not asked again, what is new is asked."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit import Agent, ConfigurationError
from agentkit.batch import run_batch
from agentkit.batch.items import open_items
from tests.support.model_server import Asked, ModelServer, serve, whole

A, B, C, D = ({"question": name, "language": "en"} for name in "abcd")
FIRST = [A, B, B, C]


def jsonl(*lines: object) -> bytes:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines).encode()


WAYS: dict[str, tuple[str, bytes, list[str]]] = {
    "nothing": ("q.jsonl", jsonl(*FIRST), []),
    "a row at the end": ("q.jsonl", jsonl(*FIRST, D), ["d"]),
    "a row at the beginning": ("q.jsonl", jsonl(D, *FIRST), ["d"]),
    "rows removed": ("q.jsonl", jsonl(C, B), []),
    "rows moved": ("q.jsonl", jsonl(B, C, B, A), []),
    "rows moved, one removed and one added": ("q.jsonl", jsonl(C, D, B, A), ["d"]),
    "one more of equal rows": ("q.jsonl", jsonl(B, *FIRST), ["b"]),
    "another text": ("q.jsonl", jsonl(A, B, B, D), ["d"]),
    "the order of the fields": ("q.jsonl", jsonl(dict(reversed(A.items())), B, B, C), []),
    "spaces, a BOM, CRLF, an empty line and no end of the last": (
        "q.jsonl",
        b"\xef\xbb\xbf" + jsonl(*FIRST).replace(b", ", b" ,  ").replace(b"\n", b"\r\n").strip(),
        [],
    ),
    "escapes": ("q.jsonl", jsonl(*FIRST).replace(b'"a"', b'"\\u0061"'), []),
    "another name": ("others.jsonl", jsonl(*FIRST), []),
    "compressed": ("q.jsonl.gz", gzip.compress(jsonl(*FIRST)), []),
    "a table": ("q.csv", b"question,language\na,en\nb,en\nb,en\nc,en\n", []),
    "another column": ("q.jsonl", jsonl(*[{**each, "set": 1} for each in FIRST]), ["a", "b", "b", "c"]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serve(lambda asked: whole(f"re: {question_of(asked)}")) as running:
        yield running


def question_of(asked: Asked) -> str:
    return str(asked.body["messages"][-1]["content"])


@pytest.mark.parametrize("way", WAYS)
def test_what_was_answered_is_not_asked_again(way: str, server: ModelServer, tmp_path: Path) -> None:
    name, changed, asked = WAYS[way]
    out = tmp_path / "a.jsonl"
    agent = Agent(f"openai:m@{server.url}", tools=[])
    (tmp_path / "q.jsonl").write_bytes(jsonl(*FIRST))
    assert len(list(run_batch(agent, tmp_path / "q.jsonl", out=out))) == 4
    before = len(server.requests)
    (tmp_path / name).write_bytes(changed)
    run = run_batch(agent, tmp_path / name, out=out)
    assert sorted(record["output"] for record in run) == [f"re: {each}" for each in asked]
    assert run.ending == "complete"
    assert sorted(map(question_of, server.requests[before:])) == asked
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len({each["id"] for each in records}) == len(records) == 4 + len(asked)


def test_an_id_is_what_a_record_belongs_to_whatever_the_rest_of_its_line_is(
    server: ModelServer, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    agent = Agent(f"openai:m@{server.url}", tools=[])
    assert len(list(run_batch(agent, [{"id": 1, "question": "a"}, {"id": 2, "question": "b"}], out=out))) == 2
    changed = [{"id": "2", "question": "changed"}, {"id": 3, "question": "c"}, {"custom_id": "1", "question": "a"}]
    assert [each["id"] for each in run_batch(agent, changed, out=out)] == ["3"]


@pytest.mark.parametrize("ordered", [False, True])
def test_questions_that_are_gone_at_the_end_cost_the_order_alone(
    server: ModelServer, tmp_path: Path, ordered: bool
) -> None:
    questions, out = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    questions.write_bytes(jsonl(*FIRST))
    run = run_batch(Agent(f"openai:m@{server.url}", tools=[]), questions, out=out, ordered=ordered)
    records = [next(run)]
    questions.unlink()
    if ordered:
        with pytest.raises(
            ConfigurationError, match=r"all is answered, but .* in the order of the questions: .*q.jsonl"
        ):
            records.extend(run)
    else:
        records.extend(run)
    assert len(records) == len(out.read_bytes().splitlines()) == len(FIRST)
    assert run.ending == "complete"


def test_a_line_that_has_become_none_since_the_check_says_that_the_file_was_changed(
    tmp_path: Path,
) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_bytes(jsonl(*FIRST))
    with open_items(questions) as items:
        items.check()
        questions.write_bytes(jsonl(*FIRST)[:-5])
        with pytest.raises(ConfigurationError, match=r"q.jsonl: was changed: line 4 is not JSON"):
            list(items)
        with pytest.raises(ConfigurationError, match=r"q.jsonl: was changed: line 4 is not JSON"):
            list(items.unanswered(lambda item_id: False))
