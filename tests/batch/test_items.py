"""Questions are read from files of several kinds, from streams and from programs, lazily and each time anew."""

import gzip
import io
import json
import math
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.batch.item import Item
from agentkit.batch.items import open_items
from agentkit.errors import ConfigurationError
from tests.support.growth import assert_linear

ASKS: dict[str, Any] = {"role": "user", "content": "Why?"}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def prompts(source: Any, **options: Any) -> list[str | None]:
    return [item.prompt for item in open_items(source, **options)]


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pyarrow.table(columns), path, **options)
    return path


def test_a_line_is_a_text_or_an_object_with_a_question(tmp_path: Path) -> None:
    lines = ['"How?"', '{"question": "Who?", "answer": 7}', '{"prompt": "When?"}', '{"input": "Where?", "id": 4}']
    items = list(open_items(written(tmp_path / "q.jsonl", "\n".join(lines))))
    assert [item.prompt for item in items] == ["How?", "Who?", "When?", "Where?"]
    assert [item.line for item in items] == [1, 2, 3, 4]
    assert items[1].columns == {"answer": 7}
    assert items[3].id == "4"
    assert items[3].columns == {}


def test_messages_are_a_conversation(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be short."}
    shown = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    called = [ASKS, {"role": "assistant", "content": None, "tool_calls": [call]}]
    called += [{"role": "tool", "tool_call_id": "c", "content": "7"}]
    values: list[dict[str, Any]] = [
        {"messages": [system, ASKS], "checks": ["exact"]},
        {"messages": [shown]},
        {"messages": called},
    ]
    path = written(tmp_path / "q.jsonl", "".join(json.dumps(each) + "\n" for each in [*values, {"prompt": [ASKS]}]))
    items = list(open_items(path))
    assert [item.messages for item in items] == [*(each["messages"] for each in values), [ASKS]]
    assert [item.prompt for item in items] == [None] * 4
    assert items[0].columns == {"checks": ["exact"]}


def test_a_named_field_is_the_question_and_the_others_come_back(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", '{"instruction": "Sum up.", "input": "A text", "output": "x", "id": "a"}\n')
    (item,) = open_items(path, question="instruction")
    assert item == Item("a", "Sum up.", columns={"input": "A text", "output": "x"}, line=1)
    checked = open_items(path, question="query").check()
    assert checked.bad[0].reason == "has no field 'query'; it has instruction, input, output, id"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_instruction_with_an_input_asks_both(kind: str, tmp_path: Path) -> None:
    """ConardLi/easy-dataset#549, sgl-project/SpecForge#720: of records of Alpaca's format only a half was asked."""
    rows = [("Sum up.", "A text"), ("Say hello.", ""), ("", "Who?")]
    lines = [json.dumps({"instruction": told, "input": given, "output": "x"}) for told, given in rows]
    table = ["instruction,input,output", *(f"{told},{given},x" for told, given in rows)]
    path = written(tmp_path / f"q.{kind}", "\n".join(lines if kind == "jsonl" else table) + "\n")
    assert prompts(path) == ["Sum up.\n\nA text", "Say hello.", "Who?"]
    assert [item.columns["instruction"] for item in open_items(path)] == ["Sum up.", "Say hello.", ""]
    assert [item.prompt for item in open_items(path, question="input", skip_bad=True)] == ["A text", None, "Who?"]


def test_lines_of_openais_batch_format_are_recognised(tmp_path: Path) -> None:
    body = {
        "model": "small",
        "messages": [ASKS],
        "temperature": 0,
        "max_tokens": 5,
        "stream": True,
        "n": 1,
        "stop": None,
    }
    lines = [
        {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body, "answer": "7"},
        {"custom_id": 2, "url": "http://host:8000/v1/chat/completions", "body": {"messages": [ASKS], "model": "large"}},
        {"custom_id": "r3", "method": "post", "body": {"messages": [ASKS]}},
    ]
    items = open_items(written(tmp_path / "q.jsonl", "".join(json.dumps(each) + "\n" for each in lines)))
    assert [item.id for item in items] == ["r1", "2", "r3"]
    first = next(iter(items))
    assert first.sampling == {"temperature": 0, "max_tokens": 5}
    assert first.messages == [ASKS]
    assert first.columns == {"answer": "7"}
    assert items.models == {"small": 1, "large": 1}


def test_a_page_with_an_address_and_an_id_is_no_line_of_that_format(tmp_path: Path) -> None:
    path = written(
        tmp_path / "q.jsonl", '{"custom_id": "a", "url": "https://x.org", "body": "A page", "question": "How?"}'
    )
    (item,) = open_items(path)
    assert (item.id, item.prompt) == ("a", "How?")
    assert item.columns == {"url": "https://x.org", "body": "A page"}


def test_byte_order_marks_line_ends_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    content = mark + b'\n  \r\n"a"\r\n' + mark + b'{"question": "b"}\n\n\t"c" \n\n\n'
    assert prompts(written(tmp_path / "q.jsonl", content)) == ["a", "b", "c"]
    assert prompts(written(tmp_path / "last.jsonl", b'"a"\n"b"')) == ["a", "b"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_is_whole_wherever_the_pieces_end_in_which_a_file_is_read(tmp_path: Path, end: str) -> None:
    """Lines that end around 64 KB, longer ones, and some that are too long; byte order marks anywhere."""
    lengths = [*range(65_500, 65_560), 10, 200_000, 999_990, 1_000_000, 1_000_001, 1_000_001, 5, 3_000_000, 7, 65_536]
    texts = ["\ufeff" * (length % 10 == 0) + '"' + "x" * (length - 2) + '"' for length in lengths]
    items = list(open_items(written(tmp_path / "q.jsonl", end.join(texts)), skip_bad=True))
    assert [item.line for item in items] == list(range(1, len(lengths) + 1))
    asked = [len(item.prompt or "") + 2 for item in items if not item.problem]
    assert asked == [each for each in lengths if each <= 1_000_000]
    long = [item for item in items if item.problem]
    assert [lengths[item.line - 1] for item in long] == [1_000_001, 1_000_001, 3_000_000]
    alone = open_items(written(tmp_path / "alone.jsonl", '"a"' + end + texts[long[0].line - 1] + end), skip_bad=True)
    assert [item.id for item in long[:2]] == [list(alone)[1].id, f"{long[0].id}-2"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x1e", "\u200b"], ids=ascii)
def test_only_lf_ends_a_line(character: str, tmp_path: Path) -> None:
    """volcengine/OpenViking#3984 and others: str.splitlines() cuts a record at these."""
    text = f"One{character}two"
    content = json.dumps({"question": text}, ensure_ascii=False).replace("\\u000b", "\x0b").replace("\\u001e", "\x1e")
    if character in "\x0b\x1e":  # JSON has no bare control characters
        content = json.dumps({"question": text})
    assert prompts(written(tmp_path / "q.jsonl", content + '\n"b"\n')) == [text, "b"]
    assert prompts(written(tmp_path / "q.csv", f'question,x\n{text},1\n"{text}",2\n')) == [text, text]
    assert prompts(written(tmp_path / "q.txt", f"{text}\nb\n")) == [text, "b"]


def test_a_text_file_has_a_question_in_each_line(tmp_path: Path) -> None:
    assert prompts(written(tmp_path / "q.txt", '\ufeffHow?\r\n\n"Who?"\n{')) == ["How?", '"Who?"', "{"]


@pytest.mark.parametrize("name", ["q.jsonl.gz", "q.jsonl", "q.csv.gz"])
def test_gzip_is_recognised_by_its_content(name: str, tmp_path: Path) -> None:
    content = b"question\nHow?\n" if "csv" in name else b'"How?"\n'
    more = gzip.compress(content) + gzip.compress(b"Who?\n" if "csv" in name else b'"Who?"\n')
    assert prompts(written(tmp_path / name, more)) == ["How?", "Who?"]


CSV = {
    "commas": "id,question,n\n1,How?,7\n",
    "semicolons": "id;question;n\n1;How?;7\n",
    "semicolons, and commas in a name": "id;question;n, in all\n1;How?;7\n",
    "tabs": "id\tquestion\tn\n1\tHow?\t7\n",
    "bars": "id|question|n\n1|How?|7\n",
    "announced": "sep=;\nid;question;n\n1;How?;7\n",
    "a mark": "\ufeffid,question,n\n1,How?,7\n",
    "a mark before a quotation mark": '\ufeff"id","question","n"\r\n"1","How?","7"\r\n',
    "blank lines": "\nid,question,n\n\n1,How?,7\n,,\n\n",
    "spaces around names": "id , question, n\n1,How?,7\n",
    "empty columns at the end": "id,question,n,,\n1,How?,7,,\n",
    "cells beyond the columns": "id,question,n\n1,How?,7,,\n",
    "an index without a name": ",id,question,n\n0,1,How?,7\n",
}


@pytest.mark.parametrize("name", CSV)
def test_a_table_is_read_whatever_separates_its_cells(name: str, tmp_path: Path) -> None:
    (item,) = open_items(written(tmp_path / "q.csv", CSV[name]))
    assert (item.id, item.prompt) == ("1", "How?")
    assert next(iter(item.columns.values())) == "7"


def test_cells_are_taken_as_they_stand(tmp_path: Path) -> None:
    rows = 'question,answer\n"Line one\nline two, with ""marks""",=SUM(A1)\n  Spaces  ,007\n-1,+1\n"",""\nLast?,\n'
    items = list(open_items(written(tmp_path / "q.csv", rows)))
    assert [item.prompt for item in items] == ['Line one\nline two, with "marks"', "  Spaces  ", "-1", "Last?"]
    assert [item.columns["answer"] for item in items] == ["=SUM(A1)", "007", "+1", ""]
    assert [item.line for item in items] == [2, 4, 5, 7]


def test_cells_may_be_as_long_as_questions_may_be(tmp_path: Path) -> None:
    """cldf/csvw#69, simonw/datasette-lite#84: a cell of more than 131,072 characters is an error of Python's csv."""
    long = "x" * 400_000
    assert prompts(written(tmp_path / "q.csv", f'question,n\n{long},1\n"{long}",2\n')) == [long, long]


def test_messages_in_a_table_are_json(tmp_path: Path) -> None:
    cell = json.dumps([ASKS]).replace('"', '""')
    items = open_items(written(tmp_path / "q.csv", f'id,messages\n1,"{cell}"\n2,[\n3,\n'), skip_bad=True)
    first, second, third = items
    assert first.messages == [ASKS]
    assert "not JSON" in second.problem
    assert "messages that are a text" in third.problem


def test_a_parquet_file_is_read_by_rows(tmp_path: Path) -> None:
    columns = {
        "id": [1, 2, 3],
        "question": ["How?", "Who?", "When?"],
        "price": [1.5, float("nan"), None],
        "paid": [Decimal("1.50"), None, None],
        "picture": [b"\x89PNG", None, None],
        "tags": [["a"], [], None],
    }
    items = list(open_items(parquet(tmp_path / "q.parquet", columns, row_group_size=2)))
    assert [item.id for item in items] == ["1", "2", "3"]
    assert [item.prompt for item in items] == ["How?", "Who?", "When?"]
    assert [item.columns["price"] for item in items] == [1.5, None, None]
    assert items[0].columns["paid"] == "1.50"
    assert items[0].columns["picture"].startswith("(4 bytes, blake2b ")
    assert items[0].columns["tags"] == ["a"]
    json.dumps([item.as_json() for item in items], allow_nan=False)


def test_messages_of_a_parquet_file_have_no_fields_of_other_messages(tmp_path: Path) -> None:
    """verl-project/verl#4112, rllm-org/rllm#281: all structs of a column have the same fields, most of them null."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    called = [ASKS, {"role": "assistant", "content": "", "tool_calls": [call]}]
    called += [{"role": "tool", "content": "7", "tool_call_id": "c"}]
    path = parquet(tmp_path / "q.parquet", {"prompt": [called, [ASKS]], "answer": [["7"], None]})
    first, second = open_items(path)
    assert first.messages == called
    assert second.messages == [ASKS]
    assert first.columns == {"answer": ["7"]}


def test_bad_rows_of_a_parquet_file_are_named(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    broken = pyarrow.array([b"How?", b"caf\xe9", b"", b"a\x00b", b"Who?"]).cast(pyarrow.string(), safe=False)
    items = open_items(parquet(tmp_path / "q.parquet", {"question": broken}), skip_bad=True)
    assert [(bad.line, bad.reason[:22]) for bad in items.check().bad] == [
        (2, "has a text that is not"),
        (3, "asks nothing: the fiel"),
        (4, "has a NUL character (p"),
    ]
    assert [item.prompt for item in items if not item.problem] == ["How?", "Who?"]
    numbers = parquet(tmp_path / "n.parquet", {"question": [1, 2]})
    assert "has a number for a text" in open_items(numbers).check().bad[0].reason
    with pytest.raises(ConfigurationError, match="has no column 'q'"):
        open_items(numbers, question="q")


def test_a_program_gives_texts_objects_and_items() -> None:
    given_items = ["How?", {"question": "Who?", "answer": (1, 2)}, Item("own", "When?", sampling={"seed": 1})]
    for source in (given_items, tuple(given_items), iter(given_items), (each for each in given_items)):
        with open_items(source) as items:
            for _ in range(2):
                assert [item.prompt for item in items] == ["How?", "Who?", "When?"]
                assert list(items)[2].id == "own"
                assert list(items)[2].sampling == {"seed": 1}
    assert open_items([]).check().total == 0


def test_rows_of_tables_in_a_program_are_read_as_those_of_parquet_files() -> None:
    """A row of pandas' `to_dict("records")` has NaN for what is missing, times, and numbers of NumPy."""
    cells = {
        "at": datetime(2020, 1, 1),
        "share": Decimal("0.1"),
        "key": UUID(int=7),
        "lost": math.nan,
        "in": (math.inf,),
    }
    for source in ([{"id": 1, "question": "Who?", **cells}], iter([{"id": 1, "question": "Who?", **cells}])):
        with open_items(source) as items:
            [item] = items
        at, share, key, lost, inside = (item.columns[name] for name in cells)
        assert [at, share, key] == ["2020-01-01 00:00:00", "0.1", str(UUID(int=7))]
        assert (lost, inside) == (None, [None])
    with open_items([{"question": "Who?", "lost": math.nan, 2: "two"}]) as items:
        assert [item.columns["2"] for item in items] == ["two"]
    [bad] = open_items([{"question": math.nan}], skip_bad=True).check().bad
    assert "has null for a text" in bad.reason
    [bad] = open_items([{"question": "Who?", "by": object()}], skip_bad=True).check().bad
    assert "object is not JSON serializable" in bad.reason


def test_numbers_and_rows_of_numpy_and_pandas_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {"id": [1, 2], "question": ["a?", "b?"], "x": [1.5, None], "at": pandas.to_datetime(["2020-01-01", None])}
    )
    items = list(open_items(table.to_dict("records")))
    assert [(item.id, dict(item.columns)) for item in items] == [
        ("1", {"x": 1.5, "at": "2020-01-01 00:00:00"}),
        ("2", {"x": None, "at": None}),
    ]


def test_a_temporary_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    items = open_items(iter(["How?"]))
    assert len(list(tmp_path.iterdir())) == 1
    items.close()
    assert not list(tmp_path.iterdir())
    del items
    items = open_items(iter(["How?"]))
    del items
    assert not list(tmp_path.iterdir())

    def failing() -> Iterator[str]:
        yield "How?"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        open_items(failing())
    assert not list(tmp_path.iterdir())


STREAMS: dict[str, bytes] = {
    "lines": b'"How?"\n{"question": "Who?"}\n',
    "gzip": gzip.compress(b'"How?"\n"Who?"\n'),
    "table": b"id;question\n1;How?\n2;Who?\n",
}


@pytest.mark.parametrize("name", STREAMS)
def test_standard_input_is_read_again_and_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(STREAMS[name])))
    with open_items("-") as items:
        assert items.check().total == 2
        assert [item.prompt for item in items] == ["How?", "Who?"]
        assert [item.prompt for item in items] == ["How?", "Who?"]


def test_standard_input_that_is_neither_is_told_as_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"How high is it, and why?\n")))
    with open_items("-") as items:
        assert items.check().bad[0].reason.startswith("is not JSON")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="standard input"):
        open_items("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_read_as_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b'"How?"\n'))
    writer.start()
    with open_items(path) as items:
        assert [item.prompt for item in items] == ["How?"]
    writer.join()


def test_lines_that_are_added_after_the_check_wait_for_the_next_start(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", '"a"\n"b"\n')
    items = open_items(path)
    items.check()
    with path.open("a") as file:
        file.write('"c"\n{"questi')
    assert [item.prompt for item in items] == ["a", "b"]


IDS = {
    "at the front": '{"id": "a", "question": "Who?"}',
    "at the end": '{"question": "Say \\"id\\": \\"b\\"", "id":"b"}',
    "as custom_id": '{"question": "Who?", "custom_id" : "c"}',
    "a number": '{"id": 7, "question": "Who?"}',
    "no number of its own": '{"question": "Who?", "about": {"id": "d"}}',
    "behind an inner one": '{"about": {"id": "e"}, "question": "Who?", "id": "f"}',
    "a brace in the text": '{"question": "Why {?", "about": {"id": "g"}}',
    "both": '{"custom_id": "h", "question": "Who?", "id": "i"}',
    "null": '{"id": null, "question": "Who?", "custom_id": "j"}',
    "escaped": '{"\\u0069d": "k", "question": "Who?", "custom_id": "l"}',
    "a key that ends so": '{"my\\"id": "m", "question": "Who?"}',
    "a value that is so": '{"question": "id", "of": "custom_id"}',
    "other characters": '{"id": "\u00fc\u4f60", "question": "\\u4f60?"}',
    "of a request": '{"custom_id": "n", "body": {"messages": [{"role": "user", "content": "Hi"}]}}',
    "of no request": '{"id": "o", "method": "POST", "body": {"messages": [{"role": "user", "content": "Hi"}]}}',
    "without one": '"Who?"',
    "without one again": '"Who?"',
    "bad": '{"id": "p"}',
    "twice": '{"id": "a", "question": "Who?"}',
}


def test_items_that_are_answered_are_left_out_by_the_ids_that_they_have(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", "\n".join(IDS.values()))
    with open_items(path, skip_bad=True) as items:
        every = list(items)
        assert len({item.id for item in every}) == len(IDS)
        assert list(items.unanswered(lambda _: False)) == every
        for line, item in enumerate(every):
            assert list(items.unanswered(item.id.__eq__)) == every[:line] + every[line + 1 :], item
            assert list(items.unanswered(item.id.__ne__)) == [item]


def test_what_is_not_answered_of_other_sources_is_the_same(tmp_path: Path) -> None:
    table = written(tmp_path / "q.csv", "id,question,n\n1,Who?,2\n2,Why?,3\n3,Why?,3\n")
    given: list[Any] = ["Who?", {"question": "Why?", "id": 7}, Item("x", "How?"), "Who?"]
    for source, dedup in ((table, False), (given, False), (iter(given), False), (given, True)):
        with open_items(source, dedup=dedup) as items:
            every = list(items)
            for item in every:
                assert list(items.unanswered(item.id.__eq__)) == [each for each in every if each != item]


def test_equal_questions_are_asked_once_where_that_is_wanted() -> None:
    source = [{"question": "a", "n": 1}, "b", {"question": "a", "n": 2}, "a", {"messages": [ASKS]}, {"prompt": [ASKS]}]
    items = list(open_items(source, dedup=True))
    first, other = items[0].id, items[4].id
    assert [item.same_as for item in items] == ["", "", first, first, "", other]
    assert len({item.id for item in items}) == 6
    assert [item.same_as for item in open_items(source)] == [""] * 6
    sampled = [Item("1", "a"), Item("2", "a", sampling={"seed": 1}), Item("3", "a", sampling={"seed": 1})]
    assert [item.same_as for item in open_items(sampled, dedup=True)] == ["", "", "2"]


def test_files_are_read_lazily(tmp_path: Path) -> None:
    few, many = (written(tmp_path / f"{n}.jsonl", f'{{"question": "{"x" * 4000}", "n": 1}}\n' * n) for n in (100, 2000))

    def peak(path: Path) -> int:
        tracemalloc.start()
        items = open_items(path)
        items.check()
        for _ in items:
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(many) - peak(few) < 1_500_000  # of 8 MB


def test_the_time_of_reading_grows_with_the_lines(tmp_path: Path) -> None:
    def work(size: int) -> None:
        items = open_items(paths[size])
        items.check()
        for _ in items:
            pass

    paths = {}
    for size in (5_000, 10_000):
        lines = (json.dumps({"question": f"How high is {n % (size // 2)}?"}) for n in range(size))
        paths[size] = written(tmp_path / f"{size}.jsonl", "\n".join(lines))
    assert_linear(work, 5_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
QUICK = settings(max_examples=40, deadline=None, database=None)


@QUICK
@given(st.lists(JSON, max_size=6))
def test_each_value_is_an_item_or_has_a_problem(values: list[Any]) -> None:
    items = open_items(values, skip_bad=True)
    found = list(items)
    assert len(found) == items.check().total == len(values)
    assert len({item.id for item in found}) == len(values)
    assert all(item.problem or item.prompt or item.messages for item in found)
    assert [bool(item.problem) for item in found].count(True) == items.check().bad_count
    json.dumps([item.as_json() for item in found], ensure_ascii=False).encode()


@settings(QUICK, max_examples=60)
@given(st.binary(max_size=60), st.sampled_from([b"", b'"a"\n', b"question\n", b'{"question": "']))
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
def test_any_bytes_are_read_or_refused(suffix: str, content: bytes, begin: bytes) -> None:
    assert_read_or_refused(suffix, begin + content)


def assert_read_or_refused(suffix: str, content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / f"q{suffix}", content)
        try:
            items = open_items(path, skip_bad=True)
            found = list(items)
        except ConfigurationError as error:
            assert path.name in str(error)
            return
        assert len(found) == items.check().total
        assert len({item.id for item in found}) == len(found)


@QUICK
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)))
def test_texts_come_back_from_every_kind_of_file(texts: list[str]) -> None:
    import csv
    import tempfile

    asked = [text for text in texts if text.strip()] or ["a"]
    with tempfile.TemporaryDirectory() as folder:
        lines = written(
            Path(folder) / "q.jsonl", "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in asked)
        )
        assert prompts(lines) == asked
        table = Path(folder) / "q.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                [["n", "question"], *([n, each] for n, each in enumerate(asked))]
            )
        assert prompts(table) == asked
