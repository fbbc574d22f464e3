"""Each fault that a file of questions may have is named, with the number of its line, before anything is asked."""

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.batch.items import Checked, open_items
from agentkit.batch.text_lines import MAX_BYTES
from agentkit.errors import ConfigurationError, MissingExtraError
from tests.support.growth import assert_linear

GOOD = '{"id": "a", "question": "How high is it?"}\n'
ASKS = {"role": "user", "content": "Why?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def line(value: Any) -> str:
    return json.dumps(value) + "\n"


def request(**changes: Any) -> str:
    made: dict[str, Any] = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions"}
    made["body"] = {"model": "m", "messages": [ASKS]}
    return line({name: value for name, value in {**made, **changes}.items() if value is not None})


LINES: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("How high is it?\n", "is not JSON: Expecting value at position 1"),
    "cut off": ('{"question": "How hi\n', "it ends in the middle"),
    "cut off behind a value": ('{"question": "How"\n', "it ends in the middle"),
    "Python's repr": ("{'question': 'How?'}\n", "double quotes"),
    "comma at its end": ('{"question": "How?"},\n', "a comma behind the value"),
    "two values": ('{"question": "How?"} {"question": "Why?"}\n', "more than one JSON value"),
    "two values with CR alone": ('{"question": "How?"}\r{"question": "Why?"}\n', "CR alone"),
    "bare tab in a text": ('{"question": "How\thigh?"}\n', "bare control character at position 18"),
    "no quotes around a key": ('{question: "How?"}\n', "is not JSON: Expecting property name"),
    "comment": ("// questions\n", "is not JSON"),
    "key twice": ('{"question": "How?", "question": "Why?"}\n', "has the key 'question' twice"),
    "NaN": ('{"question": "How?", "answer": NaN}\n', "has NaN, which JSON does not have"),
    "Infinity": ('{"question": "How?", "answer": -Infinity}\n', "has -Infinity"),
    "number beyond a double": ('{"question": "How?", "answer": 1e999}\n', "too large"),
    "number of 5,000 digits": ('{"question": "How?", "answer": ' + "9" * 5000 + "}\n", "too many digits"),
    "nested too deeply": ('{"question": "How?", "x": ' + "[" * 200_000 + "\n", "nested too deeply"),
    "no UTF-8": (b'{"question": "caf\xe9"}\n', "is not UTF-8 (byte 0xE9 at position 18)"),
    "bare NUL": (b'{"question": "a\x00b"}\n', "NUL character"),
    "escaped NUL": ('{"question": "a\\u0000b"}\n', "has a NUL character (position 2 of a text)"),
    "NUL in another field": ('{"question": "a", "x": ["\\u0000"]}\n', "NUL"),
    "half a surrogate pair": ('{"question": "a\\ud83d"}\n', "half a surrogate pair (\\ud83d)"),
    "half a pair in a key": ('{"question": "a", "\\uDE00": 1}\n', "half a surrogate pair"),
    "over 1 MB": ('{"question": "' + "x" * MAX_BYTES + '"}\n', "is longer than 1,000,000 bytes"),
    "empty text": ('""\n', "asks nothing: the text is empty"),
    "empty question": ('{"question": ""}\n', "the field 'question' is empty"),
    "blank question": ('{"prompt": " \\n\\t"}\n', "the field 'prompt' is empty"),
    "number for a question": ('{"question": 7}\n', "has a number for a text (the field 'question')"),
    "bool for a question": ('{"question": true}\n', "has true or false for a text"),
    "null for a question": ('{"question": null}\n', "has null for a text"),
    "object for a question": ('{"question": {"text": "How?"}}\n', "has an object for a text"),
    "list for a question": ('{"question": ["How?"]}\n', "has a list for a text"),
    "number": ("7\n", "is a number: a line is a text, or an object"),
    "null": ("null\n", "is null"),
    "list": ('["How?"]\n', "is a list: a line is a text"),
    "bare messages": (line([ASKS]), 'is a list of messages: write {"messages": [...]}'),
    "no question": (
        '{"text": "How?", "topic": "x"}\n',
        "has no question: none of question, prompt, input, messages, but ",
    ),
    "no fields": ("{}\n", "but no fields"),
    "two questions": ('{"question": "How?", "input": "Why?"}\n', "has more than one of the fields question, input"),
    "results of a batch": (line({"custom_id": "x", "response": {}}), "a line of results of OpenAI's batch format"),
    "Anthropic's batch format": (line({"custom_id": "x", "params": {}}), "Anthropic's batch format"),
    "answers": (line({"id": "x", "ok": True, "output": "7"}), "this is a line of answers"),
    "id twice": (GOOD, "has the id 'a', which an earlier line has too"),
    "empty id": ('{"id": "", "question": "How?"}\n', "has an empty id"),
    "object as id": ('{"id": {"n": 1}, "question": "How?"}\n', "has an id that is an object"),
    "bool as id": ('{"id": true, "question": "How?"}\n', "has an id that is true or false"),
    "long id": (line({"id": "x" * 1001, "question": "How?"}), "an id of more than 1,000 characters"),
    "messages that are a text": ('{"messages": "How?"}\n', "has messages that are a text"),
    "no messages": ('{"messages": []}\n', "its list of messages is empty"),
    "unknown role": (line({"messages": [{"role": "bot", "content": "a"}]}), "messages[0] has the role 'bot'"),
    "text as message": (line({"messages": ["How?"]}), "messages[0] is a str"),
    "number as content": (line({"messages": [{"role": "user", "content": 7}]}), "content of type int"),
    "calls without results": (line({"messages": [ASKS, CALLING, ASKS]}), "it has tool calls without their results"),
    "open calls at the end": (line({"messages": [ASKS, CALLING]}), "it has tool calls without their results"),
    "result without a call": (
        line({"messages": [{"role": "tool", "tool_call_id": "c1", "content": "7"}]}),
        "no preced",
    ),
    "answered already": (
        line({"messages": [ASKS, {"role": "assistant", "content": "So."}]}),
        "has the role 'assistant'",
    ),
    "empty last message": (line({"messages": [{"role": "user", "content": " "}]}), "text of its last message is empty"),
    "embeddings": (request(url="/v1/embeddings"), "only requests to /v1/chat/completions"),
    "no body": (request(body=None), "has no body"),
    "body that is a text": (request(body="How?"), "has a body that is a text"),
    "no messages in a body": (request(body={"model": "m"}), "has no messages in its body"),
    "tools in a body": (request(body={"messages": [ASKS], "tools": [{"type": "function"}]}), "has 'tools' in its body"),
    "method GET": (request(method="GET"), "has the method 'GET': it must be POST"),
    "several answers": (request(body={"messages": [ASKS], "n": 2}), "asks for more than one answer (n)"),
}
"""A bad line between good ones, and what is said of it."""

ROWS: dict[str, tuple[str | bytes, str]] = {
    "short row": ("7\n", "has 1 cells, but there are 3 columns"),
    "long row": (
        "7,How high, and why?,x\n",
        "has 4 cells, but there are 3 columns: put texts with a separator in double",
    ),
    "quotation mark not closed": ('7,"How?,x\n8,Why?,x\n', "(up to line 5)"),
    "quotation marks not doubled": ('7,"How "high"?",x\n', "double the quotation marks within a quoted text"),
    "NUL in a row": (b"7,How\x00?,x\n", "has a NUL character"),
    "latin-1": ("7,Café?,x\n".encode("latin-1"), "is not UTF-8"),
    "row over 1 MB": ("7," + "x" * MAX_BYTES + ",x\n", "is longer than 1,000,000 bytes"),
    "no question in a row": ("7,,x\n", "the field 'question' is empty"),
    "id of a row twice": ("1,How?,x\n", "has the id '1', which an earlier line has too"),
    "row without end": ('7,"' + ("x" * 1000 + "\n") * 1100, "is a quotation mark not closed?"),
}

WHOLE: dict[str, tuple[str, bytes, str]] = {
    "JSON array on one line": (
        "q.jsonl",
        b'[{"question": "a"}, {"question": "b"}]\n',
        "line 1: is one JSON array of 2 records",
    ),
    "JSON array over lines": (
        "q.json",
        b'[\n{"question": "a"},\n{"question": "b"}\n]\n',
        "line 1: begins JSON that goes over",
    ),
    "JSON array, a record a line": (
        "q.jsonl",
        b'[{"question": "a"},\n{"question": "b"}]',
        "line 1: begins JSON that goes",
    ),
    "pretty-printed": (
        "q.jsonl",
        b'{\n  "question": "a"\n}\n{\n  "question": "b"\n}\n',
        "write each record in one line (jq -c .",
    ),
    "empty": ("q.jsonl", b"", "is empty"),
    "blank lines only": ("q.jsonl", b"\n\n  \r\n", "is empty"),
    "byte order mark only": ("q.jsonl", b"\xef\xbb\xbf", "is empty"),
    "empty table": ("q.csv", b"", "is empty"),
    "names of columns only": ("q.csv", b"id,question\n", "has no questions"),
    "UTF-16": ("q.jsonl", GOOD.encode("utf-16"), "line 1: is UTF-16: save the file as UTF-8"),
    "UTF-16 table": ("q.csv", "id,question\n1,How?\n".encode("utf-16"), "line 1: is UTF-16"),
    "UTF-16 without a mark": ("q.csv", "id,question\n1,How?\n".encode("utf-16-le"), "is UTF-16 or a binary file"),
    "UTF-32": ("q.jsonl", GOOD.encode("utf-32"), "line 1: is UTF-32"),
    "workbook": ("q.csv", b"PK\x03\x04....", "an Excel workbook: unpack it, or save it as CSV"),
    "parquet by another name": ("q.jsonl", b"PAR1....", "give its name the suffix .parquet"),
    "zstd": ("q.jsonl", b"\x28\xb5\x2f\xfd....", "compressed with zstd"),
    "gzip cut off": ("q.jsonl.gz", gzip.compress(GOOD.encode() * 9999)[:-40], "as a compressed file"),
    "no gzip behind it": ("q.jsonl.gz", gzip.compress(GOOD.encode()) + b"rubbish", "is broken at its beginning"),
    "column twice": ("q.csv", b"question,answer,answer\na,b,c\n", "line 1: has the column 'answer' twice"),
    "no column with a question": (
        "q.csv",
        b"id,text\n1,How?\n",
        "line 1: has no column with a question; its columns are id, text",
    ),
    "two columns with a question": (
        "q.csv",
        b"prompt,input\n1,How?\n",
        "line 1: has more than one of the columns prompt, input",
    ),
    "no names of columns": ("q.csv", b"1,How?,x\n2,Why?,x\n", "its columns are 1, How?, x"),
    "names with a quotation mark": (
        "q.csv",
        b'id,"question\n1,How?\n',
        "line 1: has a quotation mark that is not closed",
    ),
    "no parquet": ("q.parquet", b"id,question\n1,How?\n", "can't be read as a parquet file"),
    "another suffix": ("q.xlsx", b"PK\x03\x04....", "questions are read from .jsonl, .jsonl.gz, .csv, .parquet"),
}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def the_bad(checked: Checked) -> tuple[int, str]:
    (bad,) = checked.bad
    assert checked.bad_count == 1
    return bad.line, bad.reason


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_named_by_its_number(name: str, tmp_path: Path) -> None:
    text, says = LINES[name]
    path = written(tmp_path / "q.jsonl", GOOD.encode() + as_bytes(text) + b'"And who?"\n')
    number, reason = the_bad(open_items(path).check())
    assert number == 2
    assert says in reason
    with pytest.raises(ConfigurationError, match=r"q\.jsonl: line 2: "):
        list(open_items(path))


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_that_is_skipped_is_an_item_with_a_problem(name: str, tmp_path: Path) -> None:
    text, says = LINES[name]
    path = written(tmp_path / "q.jsonl", GOOD.encode() + as_bytes(text) + b'"And who?"\n')
    items = open_items(path, skip_bad=True)
    first, bad, last = items
    assert (first.problem, last.problem) == ("", "")
    assert (first.prompt, last.prompt) == ("How high is it?", "And who?")
    assert says in bad.problem
    assert bad.line == 2
    assert len({first.id, bad.id, last.id}) == 3
    assert items.check().total == 3
    json.dumps(bad.as_json()).encode()
    moved = written(tmp_path / "moved.jsonl", b'"New?"\n' + GOOD.encode() + as_bytes(text))
    assert bad.id in [item.id for item in open_items(moved, skip_bad=True)]


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_is_named_by_the_line_in_which_it_begins(name: str, tmp_path: Path) -> None:
    text, says = ROWS[name]
    path = written(tmp_path / "q.csv", b"id,question,topic\n1,Who?,x\n" + as_bytes(text) + b"2,When?,x\n")
    items = open_items(path, skip_bad=True)
    checked = items.check()
    assert checked.bad[0].line == 3
    assert says in checked.bad[0].reason
    assert [item.id for item in items if not item.problem][:1] == ["1"]
    assert len({item.id for item in items}) == checked.total


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_of_another_form_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    file, content, says = WHOLE[name]
    path = written(tmp_path / file, content)
    with pytest.raises(ConfigurationError) as raised:
        open_items(path, skip_bad=True).check()
    assert says in str(raised.value)
    assert file in str(raised.value)


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        ({"question": None, "prompt": "Why?"}, "Why?"),
        ({"prompt": "Why?", "input": None, "messages": None}, "Why?"),
        ({"id": None, "custom_id": "c", "question": None, "messages": [ASKS]}, ""),
    ],
)
def test_a_field_that_is_null_is_no_question(tmp_path: Path, value: dict[str, Any], asks: str) -> None:
    # huggingface/datasets#8241: rows of objects of several forms have all fields of all of them
    opened = open_items(written(tmp_path / "q.jsonl", line(value)))
    assert opened.check().bad == []
    assert [item.prompt or "" for item in opened] == [asks]
    both = {**value, "question": "How?", "input": "Why?"}
    assert (
        "more than one of the fields question, "
        in open_items(written(tmp_path / "r.jsonl", line(both))).check().bad[0].reason
    )


def test_at_least_sixty_faults_are_tried() -> None:
    assert len(LINES) + len(ROWS) + len(WHOLE) >= 90


def test_all_bad_lines_are_counted_and_the_first_hundred_named(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", GOOD + "no\n" * 250)
    checked = open_items(path).check()
    assert (checked.total, checked.bad_count) == (251, 250)
    assert [bad.line for bad in checked.bad] == list(range(2, 102))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere.jsonl", "can't be read: No such file or directory: give a file, or a list of questions"),
        ("How high is the Eiffel tower?", "can't be read"),
        (".", "is no file"),
        ("a\0b", "can't be read"),
        ({"question": "How?"}, "a dict can't be asked"),
        (b"How?", "a bytes can't be asked"),
        (7, "int is not iterable"),
    ],
    ids=["no file", "question", "folder", "NUL", "dict", "bytes", "number"],
)
def test_what_is_no_source_of_questions_is_refused(source: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_items(source)
    assert says in str(raised.value)


def test_a_data_frame_is_not_asked_the_names_of_its_columns() -> None:
    class Frame:
        columns = ("question",)

        def __iter__(self) -> Any:
            return iter(self.columns)

    with pytest.raises(ConfigurationError, match="to_dict"):
        open_items(Frame())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"question": "How?", "x": object()}, "can't be written as JSON"),
        ({"question": "How?", "x": "\ud800"}, "half a surrogate pair"),
        ("x" * (MAX_BYTES + 1), "is longer than"),
        (None, "is null"),
        ({"question": "How?", 1: 2, "1": 3}, "can't be written as JSON"),
    ],
    ids=["object", "surrogate", "long", "None", "keys"],
)
@pytest.mark.parametrize("once", [False, True], ids=["list", "iterator"])
def test_what_a_program_gives_is_checked_as_lines_are(value: Any, says: str, once: bool) -> None:
    given: list[Any] = ["Who?", value]
    with open_items(iter(given) if once else given, skip_bad=True) as items:
        number, reason = the_bad(items.check())
        assert number == 2
        assert says in reason
        assert [item.problem != "" for item in items] == [False, True]


def test_parquet_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path = written(tmp_path / "q.parquet", b"PAR1")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"] or ["pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="parquet"):
        open_items(path)


GROWING: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "a line of brackets": ("q.jsonl", lambda size: b"[" * size),
    "an unfinished text": ("q.jsonl", lambda size: b'{"question": "' + b"\\" * size),
    "surrogates": ("q.jsonl", lambda size: b'{"question": "' + b"\\ud83d" * (size // 6) + b'"}'),
    "lines without end": ("q.jsonl", lambda size: b"x\n" * (size // 50)),
    "one line": ("q.jsonl", lambda size: b'"a"\n' + b"x" * size * 30),
    "blank lines": ("q.jsonl", lambda size: b'"a"\n' + b"\n" * (size // 10)),
    "open quotation marks": ("q.csv", lambda size: b'question\n"' + b'x","\n' * (size // 10)),
    "many cells": ("q.csv", lambda size: b"question\n" + b",,x" * size),
    "many columns": ("q.csv", lambda size: b"question" + b",x" * (size // 4) + b"\n"),
    "equal lines": ("q.jsonl", lambda size: b'"a"\n' * (size // 20)),
}


@pytest.mark.parametrize("name", GROWING)
def test_hostile_files_are_read_in_linear_time(name: str, tmp_path: Path) -> None:
    file, content = GROWING[name]

    def work(size: int) -> None:
        path = tmp_path / f"{size}{file}"
        if not path.exists():
            path.write_bytes(content(size))
        with contextlib.suppress(ConfigurationError):
            open_items(path, skip_bad=True).check()

    work(100_000)
    work(200_000)
    assert_linear(work, 100_000)
