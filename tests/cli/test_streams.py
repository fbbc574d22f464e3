"""The commands with odd standard streams, run as subprocesses: no answer is lost, and nothing is a traceback."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_ask import environment
from tests.support import forked_cli
from tests.support.forked_cli import command_for
from tests.support.model_server import ModelServer, serve, whole

ANSWER = "Grüße — 🥪 done"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve([whole(ANSWER)]) as running:
        yield running


def shell(
    server: ModelServer,
    redirected: str = "",
    question: str = "x",
    stdin: bytes = b"",
    begin: str = "",
    **variables: str,
) -> tuple[int, str, str]:
    """Run `agentkit ask` in a shell, with these redirections. Returns exit status, standard output and error. A process
    is forked where nothing asks for what an interpreter does when it starts."""
    real = f"{sys.executable} -m agentkit"
    begin = begin or (real if "&-" in redirected else shlex.join(command_for(variables)))
    command = f"{begin} ask {question} --model openai:m@{server.url} {redirected}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        input=stdin,
        env=environment(**variables),
        timeout=60,
        check=False,
    )
    encoding = variables.get("PYTHONIOENCODING", "utf-8")
    stderr = done.stderr.decode(encoding, "replace")
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    return done.returncode, done.stdout.decode(encoding), stderr


@pytest.mark.parametrize(
    ("encoding", "shown", "stream"),
    [
        ("cp1252", "Grüße — ? done\n", ""),
        ("ascii", "Gr??e ? ? done\n", "--stream"),
        ("gbk", "Gr\u00fc?e — ? done\n", ""),
    ],
)
def test_a_letter_that_the_output_can_not_show_is_replaced(
    server: ModelServer, encoding: str, shown: str, stream: str
) -> None:
    assert shell(server, stream, PYTHONIOENCODING=encoding)[:2] == (0, shown)


def test_in_the_c_locale_too(server: ModelServer) -> None:
    status, shown, _ = shell(server, LANG="C", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert (status, shown) == (0, "Gr??e ? ? done\n")


def test_an_answer_without_standard_output_goes_to_standard_error(server: ModelServer) -> None:
    status, shown, progress = shell(server, ">&-")
    assert (status, shown) == (0, "")
    assert ANSWER in progress


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&-"])
def test_a_missing_or_full_standard_error_costs_no_answer(server: ModelServer, redirected: str) -> None:
    assert shell(server, redirected)[:2] == (0, f"{ANSWER}\n")


def test_without_any_streams_it_ends_well(server: ModelServer) -> None:
    assert shell(server, ">&- 2>&- <&-")[0] == 0


def test_a_reader_that_leaves_is_no_error_to_report(server: ModelServer) -> None:
    assert shell(server, "-q --stream | true")[1:] == ("", "")


def test_a_full_disk_is_one_sentence(server: ModelServer) -> None:
    status, _, message = shell(server, "-q > /dev/full")
    assert (status, message) == (1, "agentkit: standard output can't be written: No space left on device\n")


REPLACED = """
import io, sys
class Writer:
    def __init__(self, stream): self.stream = stream
    def write(self, text): self.stream.write(text)
    def flush(self): self.stream.flush()
sys.argv = ["agentkit", *sys.argv[1:]]
sys.stdout, sys.stderr = {stdout}, {stderr}
replaced = sys.stdout
from agentkit.__main__ import main
try:
    main()
finally:
    assert sys.stdout is replaced
    if isinstance(replaced, io.StringIO):
        print(replaced.getvalue(), end="", file=sys.__stdout__)
"""


@pytest.mark.parametrize(
    ("stdout", "stderr", "more"),
    [
        ("Writer(sys.stdout)", "sys.stderr", []),
        ("Writer(sys.stdout)", "Writer(sys.stderr)", ["--stream"]),
        ("Writer(sys.stdout)", "sys.stderr", ["--json"]),
        ("io.StringIO()", "None", []),
    ],
)
def test_streams_of_another_program_are_written_to(
    server: ModelServer, stdout: str, stderr: str, more: list[str]
) -> None:
    code = REPLACED.format(stdout=stdout, stderr=stderr)
    arguments = ["ask", "x", "--model", f"openai:m@{server.url}", *more]
    done = subprocess.run(
        [*forked_cli.command(), "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["output"] + "\n" if more == ["--json"] else done.stdout
    assert shown == f"{ANSWER}\n"


BYTES = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""An environment in which Python reads the command line as ASCII."""


def test_what_the_encoding_of_the_locale_lacks_is_read_as_utf_8(server: ModelServer) -> None:
    """The texts of a command line, as in a container without a locale (pallets/click#1212)."""
    arguments = ["ask", "Größe 漢字?", "-s", "Antworte: ä", "-q", "-m", f"openai:m@{server.url}"]
    done = subprocess.run(
        [sys.executable, "-m", "agentkit", *arguments],
        capture_output=True,
        env={**environment(), **BYTES},
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [message["content"] for message in server.requests[0].body["messages"]]
    assert told == ["Antworte: ä", "Größe 漢字?"]


@pytest.mark.parametrize(
    ("stdin", "question"),
    [
        ("Wie hoch? ä 你".encode(), "Wie hoch? ä 你"),
        ("Wie hoch? ä".encode("utf-8-sig"), "Wie hoch? ä"),
        ("Wie hoch? ä 你\r\n".encode("utf-16"), "Wie hoch? ä 你\n"),
        ("\ufeffWie hoch? ä".encode("utf-16-be"), "Wie hoch? ä"),
        ("Wie hoch? ä".encode("utf-16-le"), "Wie hoch? ä"),
        ("Wie hoch? ä".encode("utf-32"), "Wie hoch? ä"),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32"],
)
def test_a_question_of_another_encoding_is_read(server: ModelServer, stdin: bytes, question: str) -> None:
    assert shell(server, question="-", stdin=stdin)[0] == 0
    assert server.requests[0].body["messages"][-1]["content"] == question


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        ("Zeile\nWie hoch? ä".encode("latin-1"), "neither UTF-8 nor UTF-16 (the byte 0xE4 in line 2)"),
        ("多高".encode("gbk"), "neither UTF-8 nor UTF-16 (the byte 0xB6 in line 1)"),
        (b"\x7fELF\x02\0\0\0\0\0\0\0", "null characters"),
        (b"a\0b\x1b[31mred\x07", "null characters"),  # no letters of UTF-16
        (b"./notes.txt\0./a.md\0", "null characters"),  # find -print0
        (b"\xef\xbb\xbf", "the question is empty"),
    ],
)
def test_what_can_not_be_read_is_one_sentence(server: ModelServer, stdin: bytes, says: str) -> None:
    begin = shlex.join(forked_cli.command())
    status, shown, message = shell(server, question="-", stdin=stdin, begin=begin)
    assert (status, shown) == (2, "")
    assert says in message
    assert message.count("\n") == 1
    assert server.requests == []


SET = '{"question": "Who made K1?", "answer": "Kendall"}\n' * 2


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["ask", "--help"], 0),
        (["models"], 0),
        (["tools"], 0),
        (["ask", "x", "--model", "openai:m@{url}"], 0),
        (["ask", "x", "--model", "openai:m@{url}", "--stream"], 0),
        (["ask", "", "--model", "openai:m@{url}"], 2),
        (["eval", "-", "--model", "openai:m@{url}", "--check", "contains", "--min", "contains>=1"], 1),
        (["batch", "-", "--model", "openai:m@{url}", "-o", "-"], 1),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, list) else "",
)
def test_a_command_ends_with_its_own_status_when_its_reader_leaves(
    server: ModelServer, tmp_path: Path, arguments: list[str], status: int, unbuffered: str
) -> None:
    """Comfy-Org/comfy-cli#615, Sherin-SEF-AI/CanLab#24, Backblaze/B2_Command_Line_Tool#1071: `command | head -1`
    was a failure, or was none, by chance. What can't be finished for a reader that has left says so."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text(SET)
    given = [str(questions) if each == "-" and place == 1 else each for place, each in enumerate(arguments)]
    command = [*command_for({"PYTHONUNBUFFERED": unbuffered}), *(each.format(url=server.url) for each in given)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command,
            stdout=writing,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(PYTHONUNBUFFERED=unbuffered),
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    message = done.stderr.decode()
    assert done.returncode == status, message
    assert "Traceback" not in message
    assert "Broken pipe" not in message


@pytest.mark.parametrize("columns", ["0", "", " ", "00"])
def test_a_terminal_without_columns_shows_all(columns: str, server: ModelServer) -> None:
    """metalama/Metalama#1517, rapid7/rex-text#71, armbian/build#9631: containers and CI set COLUMNS=0 or nothing."""
    command = [sys.executable, "-m", "agentkit", "tools"]
    variables = environment(COLUMNS=columns, LINES=columns)
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60, check=False)
    assert done.stdout.startswith("search  (read-only)\n  Search the web. Returns title"), done
