"""An item keeps its id whatever happens to the lines around it, so that a batch goes on from its answers."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.batch.items import open_items

Row = dict[str, Any]
ROWS: list[Row] = [{"question": f"How high is {name}?", "n": n} for n, name in enumerate("abcdef")]


def ids_of(source: Any, **options: Any) -> list[str]:
    return [item.id for item in open_items(source, **options)]


def file_of(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def compact(row: Row) -> str:
    return json.dumps(row, separators=(",", ":"))


def spaced(row: Row) -> str:
    return "  " + json.dumps(row, indent=None, separators=(" , ", " : ")) + "\t"


def reordered(row: Row) -> str:
    return json.dumps(dict(reversed(row.items())))


LINES = [json.dumps(row) for row in ROWS]
CHANGES: dict[str, tuple[list[str], set[int]]] = {
    "nothing": (LINES, set(range(6))),
    "rows added at the end": ([*LINES, '"New?"'], set(range(6))),
    "rows added at the beginning": (['"New?"', *LINES], set(range(6))),
    "rows added between": ([*LINES[:3], '"New?"', '"Newer?"', *LINES[3:]], set(range(6))),
    "rows removed": ([LINES[0], *LINES[3:]], {0, 3, 4, 5}),
    "rows moved": (LINES[::-1], set(range(6))),
    "rows mixed": (random.Random(7).sample(LINES, 6), set(range(6))),
    "keys reordered": ([reordered(row) for row in ROWS], set(range(6))),
    "white space": ([spaced(row) for row in ROWS], set(range(6))),
    "less white space": ([compact(row) for row in ROWS], set(range(6))),
    "escaped otherwise": ([line.replace("high", "\\u0068igh") for line in LINES], set(range(6))),
    "blank lines": ([line for each in LINES for line in (each, "")], set(range(6))),
    "a question changed": (['{"question": "How long is a?", "n": 0}', *LINES[1:]], {1, 2, 3, 4, 5}),
    "another field changed": ([LINES[0].replace('"n": 0', '"n": 9'), *LINES[1:]], {1, 2, 3, 4, 5}),
    "a row twice": ([*LINES, LINES[2]], set(range(6))),
    "a bad line": (["{", *LINES], set(range(6))),
}
"""What is done to a file between two starts, and which of its rows are still known."""


@pytest.mark.parametrize("name", CHANGES)
def test_rows_are_known_after_a_change(name: str, tmp_path: Path) -> None:
    before = ids_of(file_of(tmp_path / "q.jsonl", LINES))
    lines, known = CHANGES[name]
    after = ids_of(file_of(tmp_path / "q.jsonl", lines), skip_bad=True)
    assert len(set(after)) == len(after)
    assert {place for place, each in enumerate(before) if each in after} == known
    assert after == ids_of(file_of(tmp_path / "other.jsonl", lines, "\r\n"), skip_bad=True)


def test_ids_are_those_of_the_lines_whatever_else_changes(tmp_path: Path) -> None:
    rows = [{"id": n, **row} for n, row in enumerate(ROWS)]
    before = ids_of(rows)
    assert before == ["0", "1", "2", "3", "4", "5"]
    assert ids_of([{**row, "question": "Changed?"} for row in reversed(rows)]) == before[::-1]
    assert ids_of([{"custom_id": "a", "prompt": "b"}, {"id": 7.0, "prompt": "b"}, {"id": 1.5, "prompt": "b"}]) == [
        *("a", "7", "1.5")
    ]
    assert ids_of([{"id": None, "custom_id": "x", "prompt": "b"}]) == ["x"]


@pytest.mark.parametrize(("first", "second"), [(7, "7"), (7, 7.0), ("é", "\u00e9"), ("a", "a")], ids=str)
def test_ids_that_are_the_same_text_are_the_same(first: Any, second: Any) -> None:
    """llm-d/llm-d-batch-gateway#147: two answers with one id can't be told apart."""
    items = open_items([{"id": first, "prompt": "a"}, "between", {"id": second, "prompt": "b"}], skip_bad=True)
    (bad,) = items.check().bad
    assert bad.line == 3
    assert "which an earlier line has too" in bad.reason
    assert [item.problem != "" for item in items] == [False, False, True]


def test_ids_of_letters_that_look_the_same_differ() -> None:
    assert ids_of([{"id": "é", "prompt": "a"}, {"id": "e\u0301", "prompt": "a"}, {"id": " é", "prompt": "a"}]) == [
        *("é", "e\u0301", " é")
    ]


def test_equal_lines_are_asked_as_often_as_they_stand_there(tmp_path: Path) -> None:
    one, *rest = ids_of(["a", "b", "a", "a", "b"])
    assert rest[1] == f"{one}-2"
    assert rest[2] == f"{one}-3"
    assert ids_of(["b", "a", "a"])[1:] == [one, f"{one}-2"]
    many = Counter(ids_of(["a"] * 1000))
    assert len(many) == 1000


def test_a_digest_is_that_of_the_canonical_line() -> None:
    """The form of ids stays: answers files of today are gone on from by later versions."""
    assert ids_of(["How?", {"question": "Wie hoch ist der Öl?", "b": [1.5, None], "a": {"y": True, "x": "\n"}}]) == [
        *("q-075dc4b845714ebc", "q-61c05b12ab15ba1f")
    ]


def test_made_ids_and_those_of_lines_are_never_the_same() -> None:
    made = ids_of(["a"])[0]
    rows: list[Any] = ["a", "a", {"id": f"{made}-2", "prompt": "b"}, {"id": "bad-1", "prompt": "b"}]
    assert len(set(ids_of(rows))) == 4
    assert ids_of(rows)[2] == f"{made}-2"
    (twice,) = open_items([{"id": made, "prompt": "b"}, "a", {"id": made, "prompt": "c"}]).check().bad
    assert twice.line == 3
    assert len(set(ids_of([{"id": made, "prompt": "b"}, "a"]))) == 2
    bad = ids_of(["a", 7], skip_bad=True)[1]
    both = ids_of([{"id": bad, "prompt": "b"}, 7, 7], skip_bad=True)
    assert both[0] == bad
    assert len(set(both)) == 3


def test_equal_rows_of_a_csv_and_a_parquet_file_have_the_same_id(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {
        "question": ["How?", "Line\ntwo", "é"],
        "n": [7, None, -1],
        "price": [1.5, 0.25, None],
        "note": ["", None, "x"],
        "yes": [True, False, None],
        "__index_level_0__": [0, 1, 2],
    }
    pq.write_table(pyarrow.table(columns), tmp_path / "q.parquet")
    table = tmp_path / "q.csv"
    table.write_text(
        ',yes,note,price,n,question\n0,True,,1.5,7,How?\n1,False,,0.25,,"Line\ntwo"\n2,,x,,-1,é\n', encoding="utf-8"
    )
    assert ids_of(tmp_path / "q.parquet") == ids_of(table)
    texts = [{"question": "How?", "n": "7", "price": "1.5", "yes": "True"}]
    assert ids_of(texts) == ids_of(table)[:1]


def test_an_object_has_the_same_id_in_a_file_and_in_a_program(tmp_path: Path) -> None:
    assert ids_of(file_of(tmp_path / "q.jsonl", LINES)) == ids_of(ROWS) == ids_of(iter(ROWS))
    assert ids_of(file_of(tmp_path / "q.txt", ["How?"])) == ids_of(["How?"])


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=3)
VALUES = st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS | st.none(), max_size=2)
OBJECTS = st.builds(lambda more, text: {**more, "question": f"{text}?"}, VALUES, TEXTS).filter(
    lambda row: row.keys().isdisjoint(("id", "custom_id", "prompt", "input", "messages"))
)


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(OBJECTS, max_size=5), st.lists(OBJECTS, max_size=2), st.randoms(use_true_random=False))
def test_rows_that_stay_keep_their_ids_whatever_comes_and_goes(
    rows: list[Row], new: list[Row], luck: random.Random
) -> None:
    before = ids_of(rows)
    assert len(set(before)) == len(rows)
    later = [dict(luck.sample(list(row.items()), len(row))) for row in (*rows, *new)]
    luck.shuffle(later)
    after = ids_of(later)
    assert len(set(after)) == len(later)
    assert set(before) <= set(after)
    by_id = dict(zip(after, later, strict=True))
    assert all(by_id[each] == row for each, row in zip(before, rows, strict=True))
