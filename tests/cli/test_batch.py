"""`agentkit batch` on the command line."""

import contextlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from agentkit.cli import app
from tests.cli.test_ask import DOCUMENTS, agentkit, environment
from tests.support.forked_cli import command
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole

TOOLS = '''
from agentkit import Agent, tool

print("a module that prints")

@tool(read_only=True)
def look(place: str) -> str:
    """Look at a place."""
    print("a tool that prints")
    return "It is cold."

def make():
    return Agent("extractive", tools=[look])
'''


def question_of(asked: Asked) -> str:
    return str(next(each["content"] for each in asked.body["messages"] if each["role"] == "user"))


USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}


def echo(asked: Asked) -> Answer:
    return whole(f"re: {question_of(asked)}", usage=USAGE)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Folder:
    """A folder in which a batch is begun again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers = path / "a.jsonl"

    def ask(self, *lines: Any) -> None:
        """Write the questions, each as JSON but for bytes."""
        told = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
        (self.path / "q.jsonl").write_bytes(b"\n".join(told) + b"\n")

    def arguments(self, server: ModelServer, *more: str) -> list[str]:
        return ["batch", "q.jsonl", "-o", "a.jsonl", "-m", f"openai:m@{server.url}", "--no-tools", *more]

    def run(self, server: ModelServer, *more: str) -> Done:
        return self.command(*self.arguments(server, *more))

    def command(self, *arguments: str) -> Done:
        """Run a command in this process, which costs no start of another."""
        with contextlib.chdir(self.path):
            done = CliRunner().invoke(app, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    def begin(self, server: ModelServer, *more: str) -> "subprocess.Popen[str]":
        return self.popen(self.arguments(server, *more))

    def popen(self, arguments: list[str], **more: Any) -> "subprocess.Popen[str]":
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen([*command(), *arguments], text=True, cwd=self.path, env=environment(), **streams)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answers.read_text().splitlines()]

    def outputs(self) -> dict[str, Any]:
        return {each["id"]: each["output"] for each in self.records()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "mytools.py").write_text(TOOLS)
    return Folder(tmp_path)


def test_the_first_command_needs_no_model_and_a_second_one_has_nothing_to_do(folder: Folder) -> None:
    folder.ask("How many seconds slow was H4?", {"id": "act", "question": "What did the Longitude Act offer?", "n": 7})
    arguments = ("batch", "q.jsonl", "-o", "a.jsonl", "--docs", DOCUMENTS)
    done = folder.command(*arguments)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "agentkit: 2 questions: 2 to ask" in done.stderr
    assert "2 of 2 questions answered" in done.stderr
    by_id = {each["id"]: each for each in folder.records()}
    assert by_id["act"]["ok"]
    assert by_id["act"]["item"] == {"n": 7}
    assert any("5.1 seconds slow" in each["output"] for each in by_id.values())
    before = folder.answers.read_bytes()
    again = folder.command(*arguments)
    assert again.returncode == 0
    assert "2 of them answered before: 0 to ask" in again.stderr
    assert folder.answers.read_bytes() == before


def test_bad_lines_are_named_and_nothing_is_asked(folder: Folder) -> None:
    folder.ask("fine", *[b"{" if number % 2 else b'{"id": "x"}' for number in range(25)])
    with serve(echo) as server:
        done = folder.run(server)
        assert server.requests == []
        assert done.returncode == 2
        named = re.findall(r"^line (\d+): ", done.stderr, re.MULTILINE)
        assert named == [str(number) for number in range(2, 22)]
        assert "25 lines can't be asked (the first 20 are named above), and nothing was: mend them" in done.stderr
        assert not folder.answers.exists()
        skipped = folder.run(server, "--skip-bad")
    assert skipped.returncode == 1
    assert len(folder.records()) == 26
    assert "25 x bad_input" in skipped.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say where the answers are written: -o answers.jsonl"),
        (("-o", "."), "it is a folder"),
        (("-o", "no/where.jsonl"), "is no folder that it could be written to"),
        (("-o", "a.jsonl", "--at-once", "0"), "--at-once '0': write a number"),
        (("-o", "a.jsonl", "--at-once", "8-4"), "--at-once '8-4': write a number"),
        (("-o", "a.jsonl", "--at-once", "many"), "such as 4-128"),
        (("-o", "a.jsonl", "--sampling", "seed"), "write KEY=VALUE"),
        (("-o", "a.jsonl", "--sampling", "temperature=1", "--temperature", "0"), "temperature is given twice"),
        (("-o", "a.jsonl", "--agent", "mytools:make", "--model", "extractive"), "leave out --model"),
        (("-o", "a.jsonl", "--agent", "mytools:make", "--no-tools"), "leave out --no-tools"),
        (("-o", "a.jsonl", "--agent", "mytools:nothing"), "has no 'nothing'"),
        (("-o", "a.jsonl", "--no-tools", "--tool", "search"), "--no-tools and --tool contradict each other"),
        (("-o", "a.jsonl", "--docs", "nowhere"), "the folder does not exist"),
        (("-o", "a.jsonl", "--model", "nonsense:x"), "no model provider 'nonsense'"),
        (("-o", "a.jsonl", "--on", "moon"), "moon"),
        (("-o", "a.jsonl", "--limit-cost", "1"), "prices of the model are not known"),
        (("-o", "-", "--ordered"), "--ordered needs a file"),
        (
            (
                "-o",
                "q.jsonl",
            ),
            "give another file",
        ),
        (("-o", "a.jsonl", "--question", "nothing"), "nothing"),
    ],
    ids=lambda each: " ".join(each)[:60] if isinstance(each, tuple) else None,
)
def test_mistakes_are_said_before_anything_is_asked(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.ask({"question": "Who made K1?"})
    has_tools = {"--agent", "--docs", "--no-tools"} & set(arguments)
    done = folder.command("batch", "q.jsonl", *(arguments if has_tools else (*arguments, "--no-tools")))
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not folder.answers.exists()


def test_failures_are_grouped_and_are_asked_again_only_when_told(folder: Folder) -> None:
    refuses = True

    def answer(asked: Asked) -> Answer:
        if refuses and question_of(asked).startswith("bad"):
            return Answer(json.dumps({"error": {"message": "too\nlong"}}).encode(), status=400)
        return echo(asked)

    folder.ask(*[{"id": f"b{number}", "question": f"bad {number}"} for number in range(5)], "good")
    with serve(answer) as server:
        done = folder.run(server, "--at-once", "1")
        assert done.returncode == 1
        assert re.search(
            r"^  5 x BadRequestError 400: .*too long.*  \[b0, b1, b2, \.\.\.\]$", done.stderr, re.MULTILINE
        )
        assert done.stderr.splitlines()[-1] == (
            "agentkit: 5 failed: their errors are in a.jsonl; --retry-failed asks them again"
        )
        asked = len(server.requests)
        again = folder.run(server)
        assert (again.returncode, len(server.requests)) == (1, asked)
        assert "5 failed" in again.stderr
        refuses = False
        mended = folder.run(server, "--retry-failed")
        assert mended.returncode == 0, mended.stderr
    assert len(server.requests) == asked + 5
    assert sorted(folder.outputs().values()) == [*[f"re: bad {number}" for number in range(5)], "re: good"]


def test_an_account_that_is_refused_is_code_4_and_no_item_has_failed(folder: Folder) -> None:
    is_paid = False

    def answer(asked: Asked) -> Answer:
        if is_paid:
            return echo(asked)
        return Answer(json.dumps({"error": {"message": "Incorrect API key provided"}}).encode(), status=401)

    folder.ask(*[f"{number}?" for number in range(40)])
    with serve(answer) as server:
        done = folder.run(server, "--at-once", "2")
        assert done.returncode == 4, done.stderr
        assert len(server.requests) <= 8
        assert "Incorrect API key provided" in done.stderr
        assert "the same command again goes on with the 40 that are left" in done.stderr.splitlines()[-1]
        is_paid = True
        assert folder.run(server).returncode == 0
    assert len(folder.outputs()) == 40


def test_a_limit_of_the_whole_is_code_3_and_a_higher_one_goes_on(folder: Folder) -> None:
    folder.ask(*[f"{number}?" for number in range(40)])
    with serve(echo) as server:
        done = folder.run(server, "--limit-tokens", "100", "--at-once", "2")
        assert done.returncode == 3, done.stderr
        assert all(each["ok"] for each in folder.records())
        assert 0 < len(folder.records()) < 40
        left = 40 - len(folder.records())
        assert done.stderr.splitlines()[-1] == (
            "agentkit: stopped at the limit of the batch; with a higher one, the same command again goes on with the "
            f"{left} that are left"
        )
        assert folder.run(server).returncode == 0
    assert len(folder.outputs()) == 40
    assert len(server.requests) == 40


FULL = """
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
from agentkit.cli import app

app(prog_name="agentkit")
"""
"""The program, for which the disk is full after some lines."""


def test_answers_that_cannot_be_written_are_code_5_and_those_that_are_stay_whole(folder: Folder) -> None:
    folder.ask(*[{"id": str(number), "question": f"{number}?" + "x" * 500} for number in range(40)])
    with serve(echo) as server:
        process = folder.popen(["-c", FULL, *folder.arguments(server)])
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 5, stderr
        assert "a.jsonl can't be written" in stderr.splitlines()[-1]
        assert "Traceback" not in stderr
        written = folder.records()
        assert 0 < len(written) < 40
        assert folder.run(server).returncode == 0
    assert len(folder.records()) == len(folder.outputs()) == 40


class Holding:
    """Answers some questions at once, and holds the others until they are let go."""

    def __init__(self, at_once: Callable[[str], bool]) -> None:
        self.let_go = threading.Event()
        self.held = threading.Semaphore(0)
        self._at_once = at_once

    def __call__(self, asked: Asked) -> Answer:
        if not self._at_once(question_of(asked)):
            self.held.release()
            self.let_go.wait(60)
        return echo(asked)


def wait_for(stream: Any, words: str) -> str:
    seen = ""
    while words not in seen:
        line = stream.readline()
        assert line, seen
        seen += line
    return seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_finishes_what_is_in_progress_and_sends_nothing_new(folder: Folder, number: int) -> None:
    """UKGovernmentBEIS/inspect_ai#4859: after Ctrl-C exit code 0, and what was finished is lost."""
    folder.ask(*[{"id": str(index), "question": str(index)} for index in range(30)])
    holding = Holding(lambda question: int(question) < 4)
    with serve(holding) as server:
        process = folder.begin(server, "--at-once", "3", "--grace", "60")
        for _ in range(3):
            assert holding.held.acquire(timeout=60)
        process.send_signal(number)
        wait_for(process.stderr, "interrupted: waiting up to 60 s for what is in progress")
        holding.let_go.set()
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert stderr.splitlines()[-1] == (
            "agentkit: interrupted; the same command again goes on with the 23 that are left"
        )
        assert len(server.requests) == 7
        assert set(folder.outputs()) == set(map(str, range(7)))
        assert folder.run(server).returncode == 0
    assert len(server.requests) == 30
    assert folder.outputs() == {str(index): f"re: {index}" for index in range(30)}


@pytest.mark.parametrize("signals", ["a second signal", "no time to finish"])
def test_what_never_ends_is_left_at_the_second_signal_or_when_its_time_is_over(folder: Folder, signals: str) -> None:
    """argilla-io/distilabel#404: a pipeline that is stuck can't be stopped; promptfoo/promptfoo#7606: one at a time
    looked for Ctrl-C only at the end."""
    folder.ask(*[{"id": str(index), "question": str(index)} for index in range(10)])
    holding = Holding(lambda question: int(question) < 2)
    with serve(holding) as server:
        grace = "3600" if signals == "a second signal" else "0"
        process = folder.begin(server, "--at-once", "1", "--grace", grace)
        assert holding.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        if signals == "a second signal":
            wait_for(process.stderr, "once more stops it at once")
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "the same command again goes on with the 8 that are left" in stderr
        assert len(server.requests) == 3
        holding.let_go.set()
        assert folder.run(server).returncode == 0
    assert folder.outputs() == {str(index): f"re: {index}" for index in range(10)}


def test_a_signal_while_questions_are_read_asks_nothing(folder: Folder) -> None:
    """argilla-io/distilabel#521: Ctrl-C while a pipeline still loads made it hang."""
    arguments = ["batch", "-", "-o", "a.jsonl", "--docs", DOCUMENTS]
    process = folder.popen(arguments, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write('"Who made K1?"\n')
    process.stdin.flush()
    while process.poll() is None:  # whenever it has come far enough
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
    _, stderr = process.communicate()
    assert process.returncode in (130, -signal.SIGINT), stderr
    assert "Traceback" not in stderr
    assert not folder.answers.exists()


def test_records_on_standard_output_are_json_lines_whatever_tools_print(folder: Folder) -> None:
    folder.ask("Is it cold in Oslo?", "And in Rome?")
    scripted = iter([calls(("look", {"place": "Oslo"})), whole("Yes."), whole("No.")])
    with serve(lambda asked: next(scripted)) as server:
        arguments = ("-m", f"openai:m@{server.url}", "--tool", "mytools:look", "--at-once", "1", "--keep", "tool_calls")
        done = agentkit("batch", "q.jsonl", "-o", "-", *arguments, cwd=folder.path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["output"] for each in records] == ["Yes.", "No."]
    assert [each["name"] for each in records[0]["tool_calls"]] == ["look"]
    assert "messages" not in records[0]
    assert "a tool that prints" in done.stderr


def test_a_pipe_that_nobody_reads_any_more_stops_the_asking(folder: Folder) -> None:
    folder.ask(*map(str, range(400)))
    with serve(lambda asked: Answer(echo(asked).body, delay=0.01)) as server:
        arguments = ["batch", "q.jsonl", "-o", "-", "-m", f"openai:m@{server.url}", "--no-tools", "--at-once", "1"]
        process = folder.popen(arguments)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ok"]
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1
        assert len(server.requests) < 400
    assert "Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_that_is_full_ends_as_a_full_disk_does(folder: Folder) -> None:
    folder.ask(*map(str, range(400)))
    with serve(lambda asked: Answer(echo(asked).body, delay=0.01)) as server, open("/dev/full", "w") as full:
        arguments = ["q.jsonl", "-o", "-", "-m", f"openai:m@{server.url}", "--no-tools", "--at-once", "1", "--quiet"]
        done = subprocess.run(
            [*command(), "batch", *arguments],
            cwd=folder.path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert len(server.requests) < 400
    assert (done.returncode, done.stderr) == (
        5,
        "agentkit: standard output can't be written: No space left on device\n",
    )


def test_events_on_standard_error_are_json(folder: Folder) -> None:
    folder.ask("a", "b")
    with serve(echo) as server:
        done = folder.run(server, "--json")
        events = [json.loads(line) for line in done.stderr.splitlines()]
        assert [each["event"] for each in events if each["event"] != "progress"] == ["begin", "end"]
        assert (events[-1]["done"], events[-1]["ending"], events[-1]["exit_code"]) == (2, "complete", 0)
        folder.ask("a", b"{")
        (event,) = [json.loads(line) for line in folder.run(server, "--json").stderr.splitlines()]
    assert (event["event"], event["exit_code"], [each["line"] for each in event["lines"]]) == ("error", 2, [2])


def test_equal_questions_are_asked_as_often_as_they_stand_there_after_an_interruption_too(folder: Folder) -> None:
    """NousResearch/hermes-agent#86523: what resumes by the text of a prompt drops the others like it."""
    folder.ask("same", "same", "same", "other")
    holding = Holding(lambda question: question != "other")
    with serve(holding) as server:
        process = folder.begin(server, "--at-once", "1", "--grace", "0")
        assert holding.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        holding.let_go.set()
        folder.ask("same", "same", "same", "other", "same")
        assert folder.run(server).returncode == 0
    assert [question_of(each) for each in server.requests].count("same") == 4
    assert sorted(folder.outputs().values()) == ["re: other", *["re: same"] * 4]


def test_rows_that_were_inserted_moved_and_removed_meanwhile_change_no_answer(folder: Folder) -> None:
    """NousResearch/hermes-agent#95322: what resumes by the number of a row skips those that have moved there, and a row
    whose prompt is no text breaks it."""
    folder.ask("a", "b", "c", {"id": 7, "question": "d"})
    with serve(echo) as server:
        assert folder.run(server).returncode == 0
        folder.ask("new", "c", {"id": 7, "question": "d"}, "a")
        done = folder.run(server)
        assert done.returncode == 0
        assert "4 of 4 questions answered (3 by earlier starts)" in done.stderr
        assert [question_of(each) for each in server.requests[4:]] == ["new"]
        folder.ask("new", {"question": 123}, "newer")
        broken = folder.run(server)
    assert broken.returncode == 2
    assert "line 2: " in broken.stderr
    assert sorted(folder.outputs().values()) == ["re: a", "re: b", "re: c", "re: d", "re: new"]


def test_defaults_of_the_configuration_file_are_for_agents_that_the_command_makes(folder: Folder) -> None:
    with serve(echo) as server:
        settings = folder.path / "agentkit" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(f'model = "openai:m@{server.url}"\ntool = ["mytools:look"]\n')
        folder.ask("Hello?")
        home = str(folder.path)
        done = agentkit("batch", "q.jsonl", "-o", "a.jsonl", "--no-tools", cwd=folder.path, XDG_CONFIG_HOME=home)
        assert done.returncode == 0, done.stderr
        assert "tools" not in server.requests[0].body
        assert [each["role"] for each in server.requests[0].body["messages"]] == ["user"]
        agent = ("--agent", "mytools.py:make")
        done = agentkit("batch", "q.jsonl", "-o", "b.jsonl", *agent, cwd=folder.path, XDG_CONFIG_HOME=home)
    assert "leave out" not in done.stderr
    assert len(server.requests) == 1


def test_another_agent_is_refused_and_named_and_goes_on_anyway(folder: Folder) -> None:
    folder.ask("a", "b")
    with serve(echo) as server:
        assert folder.run(server).returncode == 0
        folder.ask("a", "b", "c")
        done = folder.run(server, "--system", "Be brief.")
        assert done.returncode == 2
        assert "instructions" in done.stderr
        assert len(server.requests) == 2
        assert folder.run(server, "--system", "Be brief.", "--anyway").returncode == 0
    assert len(folder.records()) == 3


def test_sampling_is_of_each_request_and_a_line_may_have_its_own(folder: Folder) -> None:
    body = {"custom_id": "c", "body": {"messages": [{"role": "user", "content": "c"}], "temperature": 0.5}}
    folder.ask("a", body)
    with serve(echo) as server:
        arguments = ("--temperature", "0", "--sampling", "max_tokens=30", "--sampling", "seed=7")
        assert folder.run(server, *arguments).returncode == 0
    asked = {question_of(each): each.body for each in server.requests}
    assert (asked["a"]["temperature"], asked["a"]["max_tokens"], asked["a"]["seed"]) == (0, 30, 7)
    assert (asked["c"]["temperature"], asked["c"]["seed"]) == (0.5, 7)
    assert set(folder.outputs()) >= {"c"}
