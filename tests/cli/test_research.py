"""`agentkit research` on the command line."""

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentkit.cli import app
from agentkit.research.journal import PREFIX
from agentkit.sessions import SQLiteSessions
from tests.cli.test_ask import DOCUMENTS, agentkit, environment
from tests.support.forked_cli import command
from tests.support.model_server import Asked, calls, serve, whole

QUESTION = "How many seconds slow was H4 after the voyage to Jamaica?"


def researched(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return agentkit("research", *arguments, cwd=folder, AGENTKIT_SESSIONS=str(folder / "s.db"))


def in_this_process(folder: Path, *arguments: str) -> Result:
    """What starts no process, for what is said before anything is done."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, ["research", *arguments], env={"AGENTKIT_SESSIONS": str(folder / "s.db")})


def test_without_a_model_it_is_a_bibliography_of_the_documents_in_each_form(tmp_path: Path) -> None:
    outputs = ("--out", "r.html", "--out", "r.md", "--out", "r.json", "--out", "r.bib")
    done = researched(tmp_path, QUESTION, "--docs", DOCUMENTS, "--no-web", *outputs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    markdown = (tmp_path / "r.md").read_text()
    assert "H4 was only 5.1 seconds slow." in markdown
    assert re.search(r"1\. H4 and its trials\. 06-h4-trials\.html \(read 20", markdown)
    record = json.loads((tmp_path / "r.json").read_text())
    assert {each["verdict"] for each in record["citations"]} == {"supported"}
    assert "<h1" in (tmp_path / "r.html").read_text()
    assert "@misc{file-h4-and-" in (tmp_path / "r.bib").read_text()
    assert (record["question"], record["plan"], record["has_model"]) == (QUESTION, [QUESTION], False)
    again = researched(tmp_path, "--resume", record["session"], "--json")
    assert {**json.loads(again.stdout), "at": "", "usage": {}} == {**record, "at": "", "usage": {}}


def test_several_folders_are_researched_and_kept_for_its_continuation(tmp_path: Path) -> None:
    for name, fact in (("a", "The Kestrel lamp was lit in 1871."), ("b", "The Merlin lamp was lit in 1902.")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lamps.txt").write_text(fact)
    done = in_this_process(tmp_path, "When was each lamp lit?", "--docs", "a", "--docs", "b", "--no-web")
    assert "1. a/lamps.txt (read" in done.stdout
    assert "2. b/lamps.txt (read" in done.stdout
    assert "2. b/lamps.txt (read" in in_this_process(tmp_path, "--resume").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("How?", "--out", "report.pdf"), "the suffix says the form: use .md"),
        (("How?", "--out", "nowhere/report.md"), "is no folder"),
        (("How?", "--no-web"), "--no-web leaves nothing to read"),
        (("--resume",), "no research is stored that could be continued"),
        (("--resume", "20200101-000000-abcd"), "there is no research '20200101-000000-abcd'"),
        (("--resume", "a b"), "is not a valid session id"),
        (("How?", "--tool", "nothing:here"), "can't be imported"),
        (("",), 'the question is empty: write agentkit research "QUESTION"'),
        (("x" * 20_000,), "has more than 10,000 characters"),
        (("How?", "--no-web", "--docs", ".", "--model", "opanai:x"), "opanai"),
    ],
    ids=["suffix", "folder", "nothing to read", "none", "unknown", "id", "tool", "empty", "long", "model"],
)
def test_mistakes_are_said_before_anything_is_spent(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = in_this_process(tmp_path, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    with SQLiteSessions(tmp_path / "s.db") as sessions:
        assert list(sessions.list(PREFIX)) == []  # what is resumed is the one before


def test_one_process_at_a_time_works_on_a_research(tmp_path: Path) -> None:
    assert in_this_process(tmp_path, QUESTION, "--docs", DOCUMENTS, "--no-web").exit_code == 0
    failed = in_this_process(tmp_path, "How?", "--no-web", "--tool", "nothing:here")
    assert failed.exit_code == 2  # and nothing of it is kept
    with SQLiteSessions(tmp_path / "s.db") as sessions:
        (name,) = [info.id for info in sessions.list(PREFIX)]
        with sessions[name].hold():
            done = in_this_process(tmp_path, "--resume")
    assert done.exit_code == 1
    assert done.stderr.startswith("agentkit: another process works on the research")


def test_nothing_found_is_code_1(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "fish.md").write_text("# Herring\n\nHerring were landed at the quay.\n")
    done = in_this_process(tmp_path, "Who wrote the opera Fidelio?", "--docs", "docs", "--no-web")
    assert done.exit_code == 1
    assert "Nothing was found" in done.stdout


def test_a_question_of_any_bytes_is_one(tmp_path: Path) -> None:
    done = in_this_process(
        tmp_path, f"{QUESTION} \udce9", "--docs", DOCUMENTS, "--no-web", "-o", "r.json", "-o", "r.md"
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["question"] == f"{QUESTION} \ufffd"
    assert in_this_process(tmp_path, "--resume", "--model", "opanai:x").exit_code == 2
    assert in_this_process(tmp_path, "--resume").exit_code == 0  # with its own model


def test_a_model_server_that_refuses_is_an_error_and_the_research_can_be_resumed(tmp_path: Path) -> None:
    with serve(lambda asked: whole("no", finish_reason="stop")) as server:
        address = server.url
    done = in_this_process(tmp_path, "How?", "--docs", DOCUMENTS, "--no-web", "--model", f"openai:any@{address}")
    assert done.exit_code == 1
    assert done.stderr.startswith("agentkit: ")
    assert "Traceback" not in done.stderr


def test_on_a_terminal_the_plan_and_the_work_are_shown(tmp_path: Path) -> None:
    def model(asked: Asked) -> object:
        system, last = asked.body["messages"][0]["content"], asked.body["messages"][-1]
        if "You plan" in system:
            return whole('{"questions": ["How slow was H4?", "Who built it?\\u001b[31m"]}')
        if "You write" in system:
            return whole("H4 was only 5.1 seconds slow [1].")
        if last["role"] == "user":
            return calls(("search_documents", {"query": ["H4 Jamaica"]}))
        return whole("H4 was slow.")

    with serve(model) as server:  # type: ignore[arg-type]
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [*command(), "research", QUESTION, "--docs", DOCUMENTS, "--no-web", "--model", f"openai:any@{server.url}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            cwd=tmp_path,
            env=environment(AGENTKIT_SESSIONS=str(tmp_path / "s.db"), TERM="xterm"),
        )
        os.close(slave)
        shown = b""
        while piece := _read(master):
            shown += piece
        os.close(master)
        assert process.communicate(timeout=60)[0].startswith(b"# How many seconds slow")
    text = shown.decode()
    assert process.returncode == 0, text
    assert "1. How slow was H4?" in text
    assert "2. Who built it?[31m" in text
    assert re.search(r"✓.{0,20} ?[12]  search_documents", text)
    assert re.search(r"■.{0,20} ?1  done", text)
    assert "writing the report, part 1 of 1" in text
    assert "sources cited" in text


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # the other end is closed
        return b""
