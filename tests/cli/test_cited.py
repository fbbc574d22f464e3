"""What the sources say of an answer is shown under it, and is no part of it where it is piped."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.cli.cited import cited_line
from agentkit.evidence.citation import Citation, Verdict
from tests.cli.test_ask import agentkit, environment
from tests.support.cited_tools import CITING, READ, citing
from tests.support.forked_cli import command_for
from tests.support.model_server import ModelServer, serve

LINE = (
    "sources: 2 sentences supported; 1 not found [1]: the source says nothing of it; "
    "1 citing what was not read [9]: there is no source 9"
)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serve(citing) as running:
        yield running


def arguments(server: ModelServer, *more: str) -> list[str]:
    return ["ask", "Norway?", "--model", f"openai:m@{server.url}", "--tool", READ, *more]


def test_a_piped_answer_is_the_answer_alone(server: ModelServer) -> None:
    done = agentkit(*arguments(server))
    assert done.stdout.strip() == CITING.strip()
    assert done.stderr.splitlines()[-1] == LINE
    quiet = agentkit(*arguments(server, "--quiet"))
    assert (quiet.stdout.strip(), quiet.stderr) == (CITING.strip(), "")


def test_on_a_terminal_it_stands_under_the_answer_with_the_cited_sources(server: ModelServer) -> None:
    """tobocop2/lilbee#528: each number of the answer has its line, once."""
    leader, follower = pty.openpty()
    done = subprocess.run(
        [*command_for({}), *arguments(server, "--quiet", "--no-markdown")],
        stdout=follower,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment(TERM="dumb"),
        timeout=60,
        check=False,
    )
    os.close(follower)
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert done.stderr == b""
    assert shown.replace("\r", "").split("\n")[-4:] == [
        LINE,
        "[1] Oslo - https://a.example/oslo",
        "[2] notes/bergen.txt",
        "",
    ]


def test_evidence_off_checks_nothing_and_ask_again_asks_again(server: ModelServer, tmp_path: Path) -> None:
    off = agentkit(*arguments(server, "--evidence", "off"))
    assert "sources:" not in off.stderr
    (tmp_path / "agentkit").mkdir()
    (tmp_path / "agentkit" / "config.toml").write_text('evidence = "ask-again"\n')
    server.requests.clear()
    agentkit(*arguments(server), XDG_CONFIG_HOME=str(tmp_path))
    told = ["not backed by the sources" in str(request.body["messages"]) for request in server.requests]
    assert told == [False, False, True, True]
    wrong = agentkit(*arguments(server), AGENTKIT_EVIDENCE="maybe")
    assert wrong.returncode == 2
    assert "'flag', 'ask-again', 'off'" in wrong.stderr


def citation(start: int, number: int | None, verdict: Verdict, reason: str = "") -> Citation:
    return Citation(f"Sentence {start}.", start, start + 9, number, verdict, reason=reason)


def test_the_line_counts_sentences_and_names_what_is_not_supported() -> None:
    citations = [
        citation(0, 1, "supported"),
        citation(0, 2, "supported"),
        citation(10, 1, "supported"),
        citation(10, 3, "weak"),
        citation(20, 4, "not found", "\x1b[2Jthe number\n42 is not in the source"),
        citation(30, 4, "not found", "the source says nothing of it"),
        citation(40, None, "no source", "the sentence cites no source"),
        citation(50, None, "no source", "the sentence cites no source"),
    ]
    assert cited_line(citations) == (
        "sources: 1 sentence supported; 1 weak [3]; 2 not found [4]: [2Jthe number 42 is not in the source, "
        "the source says nothing of it; 2 without a source"
    )
