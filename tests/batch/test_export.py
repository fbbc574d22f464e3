"""Answers as CSV and parquet files, and to and from the batch services of providers."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from agentkit.batch import export as export_module
from agentkit.batch import read_records
from agentkit.batch.answer_lines import line_of
from agentkit.batch.export import EXCEL_CELL, export_csv, export_parquet
from agentkit.batch.provider_files import export_requests, read_replies
from agentkit.batch.record_columns import MAX_COLUMNS
from agentkit.cli import app
from agentkit.errors import ConfigurationError

ODD = 'a "quoted", text\r\nwith\rall\nkinds of \u2028 ends; é 明 \ud83d'
RECORDS = [
    {
        "id": "a",
        "ok": True,
        "output": ODD,
        "stopped": "answer",
        "citations": [{"marker": 1}],
        "usage": {"requests": 2, "input_tokens": 10, "cached_tokens": 4},
        "cost": 0.25,
        "seconds": 1.5,
        "attempts": 1,
        "refusals": 0,
        "scores": {"f1": {"value": 1.0, "passed": True, "why": ""}},
        "error": None,
        "item": {"topic": "x", "rank": 1, "tags": ["p", "q"], "n": 1},
    },
    {
        "id": "b",
        "ok": False,
        "output": {"name": "value"},
        "stopped": "",
        "usage": {},
        "cost": None,
        "error": {"type": "ValueError", "message": "=1+1", "status": 500},
        "item": {"rank": 2.5, "n": "two"},
    },
    {"id": "-c", "ok": True, "output": "=HYPERLINK(1)", "cost": 1, "item": {"topic": -3}},
]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"".join(map(line_of, RECORDS)))
    return path


def rows_of(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    with open(path, encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_each_text_exactly_and_lists_as_json(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    assert export_csv(answers, out) == 3
    first, second, third = rows_of(out)
    assert first["output"] == ODD.replace("\ud83d", "\ufffd")
    assert (first["ok"], first["usage.input_tokens"], first["usage.cached_tokens"]) == ("true", "10", "4")
    assert json.loads(first["citations"]) == [{"marker": 1}]
    assert (first["scores.f1.value"], first["scores.f1.passed"], first["scores.f1.why"]) == ("1.0", "true", "")
    assert (first["item.topic"], json.loads(first["item.tags"])) == ("x", ["p", "q"])
    assert json.loads(second["output"]) == {"name": "value"}
    assert (second["error.type"], second["error.message"], second["error.status"]) == ("ValueError", "=1+1", "500")
    assert (second["cost"], second["item.topic"]) == ("", "")
    assert (third["id"], third["output"]) == ("-c", "=HYPERLINK(1)")
    assert list(first)[:3] == ["id", "ok", "output"]


def test_csv_for_a_spreadsheet_has_a_mark_and_runs_no_formula(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    export_csv(answers, out, for_excel=True)
    assert out.read_bytes().startswith(b"\xef\xbb\xbfid,ok,output")
    _, second, third = rows_of(out, "utf-8-sig")
    assert (second["error.message"], third["id"], third["output"]) == ("'=1+1", "'-c", "'=HYPERLINK(1)")
    assert third["item.topic"] == "-3"  # a number, in a column of texts


@pytest.mark.parametrize("sign", ["x", "\U0001f600", "="], ids=["letters", "beyond the BMP", "a formula"])
def test_csv_for_a_spreadsheet_has_no_more_in_a_cell_than_fits(sign: str, tmp_path: Path) -> None:
    """SheetJS/sheetjs#2108, dfinke/ImportExcel#1166: the rest of a longer text stands in other rows."""
    path, long = tmp_path / "answers.jsonl", sign * 40_000
    fits = long[: EXCEL_CELL // (2 if sign > "\uffff" else 1) - 1]
    records = [{"id": name, "ok": True, "output": text, "error": None} for name, text in (("a", long), ("b", fits))]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    export_csv(path, tmp_path / "answers.csv", for_excel=True)
    cut, whole = (row["output"] for row in rows_of(tmp_path / "answers.csv", "utf-8-sig"))
    assert EXCEL_CELL - 1 <= len(cut.encode("utf-16-le")) // 2 <= EXCEL_CELL
    assert cut.endswith(sign + " … (the rest is left out)")
    assert whole.endswith(fits[-10:])
    export_csv(path, tmp_path / "answers.csv")
    assert [row["output"] for row in rows_of(tmp_path / "answers.csv")] == [long, fits]


def test_parquet_has_types_that_all_row_groups_share(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "ROWS", 2)
    out = tmp_path / "answers.parquet"
    assert export_parquet(answers, out) == 3
    file = pyarrow.parquet.ParquetFile(out)
    assert file.num_row_groups == 2
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["ok"] == "bool"
    assert (types["cost"], types["usage.input_tokens"], types["error.status"]) == ("double", "int64", "int64")
    assert (types["item.rank"], types["item.n"], types["item.topic"]) == ("double", "string", "string")
    rows = file.read().to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "-c"]
    assert rows[0]["output"] == ODD.replace("\ud83d", "\ufffd")
    assert [row["item.n"] for row in rows] == ["1", "two", None]
    assert [row["cost"] for row in rows] == [0.25, None, 1.0]


@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_an_answers_file_without_records_has_the_usual_columns(tmp_path: Path, export: Callable[..., int]) -> None:
    (tmp_path / "answers.jsonl").write_bytes(b"")
    out = tmp_path / "out"
    assert export(tmp_path / "answers.jsonl", out) == 0
    assert out.stat().st_size > 0


def test_a_field_with_very_many_names_is_one_column(tmp_path: Path) -> None:
    path, out = tmp_path / "answers.jsonl", tmp_path / "answers.csv"
    with open(path, "wb") as file:
        for number in range(2 * MAX_COLUMNS):
            file.write(line_of({"id": str(number), "ok": True, "output": 1, "item": {f"c{number}": 1}}))
    export_csv(path, out)
    rows = rows_of(out)
    assert len(rows[0]) < 30
    assert json.loads(rows[7]["item"]) == {"c7": 1}


def test_what_is_exported_is_whole_or_not_there(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    out.write_text("before")
    with open(answers, "ab") as file:
        file.write(b'{"id":"d"}\n{"id":"e","ok":true}\n')
    with pytest.raises(ConfigurationError, match="line 4"):
        export_csv(answers, out)
    assert out.read_text() == "before"
    for bad in (answers, tmp_path, "", tmp_path / "no" / "x.csv"):
        with pytest.raises(ConfigurationError):
            export_csv(answers, bad)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["answers.csv", "answers.jsonl"]


def test_questions_become_requests_of_a_batch_service(tmp_path: Path) -> None:
    questions, out = tmp_path / "questions.jsonl", tmp_path / "requests.jsonl"
    messages = [{"role": "user", "content": "Why\u2028?"}]
    questions.write_text(f'"How?"\n{{"id": "q2", "messages": {json.dumps(messages)}}}\n')
    count = export_requests(questions, out, "gpt-5-mini", system="Be brief.", sampling={"seed": 1})
    lines = out.read_text().splitlines()
    made = [json.loads(line) for line in lines]
    assert count == len(made) == 2
    assert made[1] == {
        "custom_id": "q2",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-5-mini",
            "messages": [{"role": "system", "content": "Be brief."}, *messages],
            "seed": 1,
        },
    }
    assert made[0]["body"]["messages"][1] == {"role": "user", "content": "How?"}
    questions.write_text('"How?"\n""\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        export_requests(questions, out, "gpt-5-mini")


def reply(id_: str, body: Any, status: Any = 200, error: Any = None) -> dict[str, Any]:
    return {
        "id": f"batch_req_{id_}",
        "custom_id": id_,
        "response": None if body is None else {"status_code": status, "request_id": "r", "body": body},
        "error": error,
    }


def chat(content: Any, reason: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content, **message}}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A reply of the Responses API."""
    used = {"input_tokens": 9, "output_tokens": 2}
    return {"object": "response", "status": "completed", "output": list(output), "usage": used, "error": None, **fields}


def said(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "role": "assistant", "content": parts}


CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

REPLIES: dict[str, tuple[dict[str, Any], Any]] = {
    "answer": (reply("a", chat("42")), "42"),
    "vllm": ({**reply("a", chat("42")), "error": None, "id": "vllm-1"}, "42"),
    "parts": (reply("a", chat([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}])), "42"),
    "a refusal": (reply("a", chat(None, refusal="I can't.")), "I can't."),
    "an error in the body": (reply("a", {"error": {"message": "too long", "code": "limit"}}, 400), ("limit", 400)),
    "an error beside": (reply("a", None, error={"code": "batch_expired", "message": "late"}), ("batch_expired", None)),
    "neither": (reply("a", {}, status=0), ("no_reply", None)),
    "an error of vllm": (
        reply("a", {"object": "error", "message": "no", "type": "BadRequest"}, 400),
        ("BadRequest", 400),
    ),
    "an empty reply": (reply("a", chat("", "length")), ("length", 200)),
    "a tool call": (reply("a", chat(None, "tool_calls", tool_calls=[{"id": "x"}])), ("tool_calls", 200)),
    "null": (reply("a", None), ("no_reply", None)),
    # vllm-project/vllm#17292, noonghunna/benchlocal-cli#13: a server without a parser leaves the thinking in the text
    "thinking": (reply("a", chat("<think>41? No.</think>\n\n42")), "42"),
    "thinking whose beginning is in the prompt": (reply("a", chat("41? No.\n</think>\n\n42")), "42"),
    "nothing but thinking": (reply("a", chat("<think>41? No, it", "length")), ("length", 200)),
    "tags that are the answer": (reply("a", chat("`<think>` opens it")), "`<think>` opens it"),
    # tobert/kaibo#93, opentargets/mira#70
    "a response": (reply("a", response({"type": "reasoning", "summary": []}, said("4", "2"))), "42"),
    "a response in several items": (reply("a", response(said("4"), said("2"))), "42"),
    "a response that is a refusal": (
        reply("a", response({"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]})),
        "I can't.",
    ),
    "a response that calls": (reply("a", response({"type": "function_call", "name": "x"})), ("tool_calls", 200)),
    "a response without a text": (reply("a", response(**CUT)), ("no_reply", 200)),
    "a response that failed": (
        reply("a", response(status="failed", error={"code": "server_error", "message": "no"})),
        ("server_error", 200),
    ),
}


@pytest.mark.parametrize(("line", "expected"), REPLIES.values(), ids=REPLIES)
def test_what_a_batch_service_gives_back_becomes_records(tmp_path: Path, line: dict[str, Any], expected: Any) -> None:
    path = tmp_path / "output.jsonl"
    path.write_text(json.dumps(line) + "\n")
    (record,) = read_replies(path)
    assert record["id"] == "a"
    if isinstance(expected, str):
        assert (record["ok"], record["output"], record["stopped"], record["error"]) == (True, expected, "answer", None)
        assert record["usage"] == {"requests": 1, "input_tokens": 9, "output_tokens": 2}
    else:
        assert (record["ok"], record["output"]) == (False, None)
        assert (record["error"]["type"], record["error"]["status"]) == expected
        assert record["error"]["message"]


def test_a_response_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "output.jsonl"
    path.write_text(json.dumps(reply("a", response(said("It is 4"), **CUT))) + "\n")
    (record,) = read_replies(path)
    assert (record["ok"], record["output"], record["stopped"]) == (True, "It is 4", "length")


@pytest.mark.parametrize("line", ["no", "[]", '{"custom_id": 1}', '{"custom_id": "a", "body": {}}', "[" * 10_000])
def test_a_line_that_no_service_has_written_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "output.jsonl"
    path.write_text(f"{json.dumps(reply('a', chat('42')))}\n\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"line 3 of output\.jsonl"):
        list(read_replies(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_a_pipe_gets_what_is_exported_and_stays_a_pipe(
    answers: Path, tmp_path: Path, export: Callable[..., int]
) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    export(answers, pipe)
    reader.join(10)
    export(answers, tmp_path / "file")
    assert got == [(tmp_path / "file").read_bytes()]
    assert pipe.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="devices of Linux")
@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
def test_standard_output_has_what_is_exported_and_nothing_else(answers: Path, tmp_path: Path, out: str) -> None:
    export_csv(answers, tmp_path / "a.csv")
    command = [sys.executable, "-m", "agentkit", "batch", "export", str(answers), "--to", "csv", "-o", out]
    piped = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    with open(tmp_path / "log", "wb") as log:  # which has something already, that stays
        log.write(b"before\n")
        log.flush()
        subprocess.run(command, stdout=log, check=True, timeout=60)
    assert piped == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "log").read_bytes() == b"before\n" + piped


def test_what_takes_bytes_gets_nothing_of_an_export_that_fails(answers: Path) -> None:
    out = io.BytesIO()
    assert export_csv(answers, out) == 3
    assert len(list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))) == 3
    with open(answers, "ab") as file:
        file.write(b'{"id":"d"}\n{"id":"e","ok":true}\n')
    failed = io.BytesIO()
    with pytest.raises(ConfigurationError):
        export_csv(answers, failed)
    assert failed.getvalue() == b""


def test_a_file_keeps_its_permissions_and_its_link(answers: Path, tmp_path: Path) -> None:
    place, link = tmp_path / "private.csv", tmp_path / "link.csv"
    place.write_text("before")
    place.chmod(0o600)
    link.symlink_to(place)
    export_csv(answers, link)
    assert link.is_symlink()
    assert (len(rows_of(place)), place.stat().st_mode & 0o777) == (3, 0o600)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="a file system in memory of Linux")
def test_a_file_in_memory_is_a_file(answers: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        out = Path(folder, "a.csv")
        out.write_text("before")
        export_csv(answers, out)
        assert len(rows_of(out)) == 3


@pytest.mark.parametrize("name", ["open", "replace"])
def test_a_file_that_can_not_be_replaced_is_written_to(
    answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As a file that a container has mounted alone, or one in a folder that belongs to somebody else."""
    out = tmp_path / "mounted.csv"
    out.write_text("before")

    def refused(path: Any, *rest: Any) -> Any:
        if name == "open" and rest != ("xb",):
            return open(path, *rest)
        raise OSError(errno.EBUSY if name == "replace" else errno.EACCES, "refused")

    if name == "replace":
        monkeypatch.setattr(os, "replace", refused)
    else:
        monkeypatch.setattr("agentkit.batch.whole_file.open", refused, raising=False)
    assert (export_csv(answers, out), len(rows_of(out))) == (3, 3)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["answers.jsonl", "mounted.csv"]


@pytest.mark.parametrize("files", [1, 2], ids=["in one file", "in two files"])
def test_an_import_has_the_answer_to_what_has_failed_before_in_the_same_command(files: int, tmp_path: Path) -> None:
    error = {"error": {"message": "oops", "type": "server_error"}}
    given = [reply("a", error, 500), reply("b", chat("first")), reply("a", chat("Paris")), reply("b", chat("second"))]
    given += [reply("a", error, 500), reply("c", error, 500), reply("c", error, 503)]
    per_file = -(-len(given) // files)
    outputs = [tmp_path / f"output{number}.jsonl" for number in range(files)]
    for number, output in enumerate(outputs):
        some = given[number * per_file : (number + 1) * per_file]
        output.write_text("".join(f"{json.dumps(each)}\n" for each in some))
    out = tmp_path / "answers.jsonl"
    done = CliRunner().invoke(app, ["batch", "import", *map(str, outputs), "-o", str(out)])
    assert (done.exit_code, "5 records added" in done.output) == (0, True)
    found = {each["id"]: each for each in read_records(out)}
    assert {name: each["output"] for name, each in found.items()} == {"a": "Paris", "b": "first", "c": None}
    assert found["c"]["error"]["status"] == 503
    assert len(out.read_bytes().splitlines()) == 3


def test_the_commands_export_and_import(answers: Path, tmp_path: Path) -> None:
    output = tmp_path / "output.jsonl"
    given = [reply("a", chat("other")), reply("b", chat("now")), reply("d", {}, 0)]
    output.write_text("".join(f"{json.dumps(each)}\n" for each in given))
    done = CliRunner().invoke(app, ["batch", "import", str(output), "-o", str(answers)])
    assert (done.exit_code, done.output.split("to", 1)[0]) == (0, "2 records added ")
    assert "1 of them failed; 1 questions were answered already" in done.output
    found = {each["id"]: each for each in read_records(answers)}
    assert found["b"]["output"] == "now"
    assert len(answers.read_bytes().splitlines()) == len(found) == 4
    done = CliRunner().invoke(app, ["batch", "export", str(answers), "--to", "csv", "-o", str(tmp_path / "a.csv")])
    assert (done.exit_code, len(rows_of(tmp_path / "a.csv"))) == (0, 4)
    for options, code in (([], 2), (["-m", "openai:gpt-5-mini"], 0), (["-m", "gpt"], 2)):
        (tmp_path / "q.jsonl").write_text('"Why?"\n')
        command = ["batch", "export", str(tmp_path / "q.jsonl"), "--to", "openai", "-o", str(tmp_path / "r"), *options]
        assert CliRunner().invoke(app, command).exit_code == code
