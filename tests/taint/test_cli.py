"""--taint, in the configuration file too, and the reason at the terminal."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentkit.cli import app
from agentkit.cli.approvals import decided
from agentkit.event import OpenCall
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole
from tests.taint.test_taint import EVIL, READ, done


def gullible(asked: Asked) -> Answer:
    results = sum(message["role"] == "tool" for message in asked.body["messages"])
    last: Any = asked.body["messages"][-1]["content"]
    return calls(READ) if results == 0 else calls(EVIL) if results == 1 else whole(str(last))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done.clear()
    with serve(gullible) as running:
        yield running


def ask(server: ModelServer, *options: str) -> Result:
    tools = ("-T", "tests.taint.test_taint:TOOLS")
    return CliRunner().invoke(app, ["ask", "When is it open?", "-m", f"openai:m@{server.url}", *tools, *options])


def test_the_option_refuses_such_calls(server: ModelServer) -> None:
    assert "a mail address from the result of `read`" in ask(server, "--taint", "refuse").stdout
    assert done == []


def test_without_a_terminal_a_call_that_is_asked_about_is_refused(server: ModelServer) -> None:
    assert "no terminal to ask for approval" in ask(server, "--taint", "ask").stdout
    assert done == []


def test_it_is_off_unless_the_configuration_says_otherwise(server: ModelServer, tmp_path: Path) -> None:
    assert ask(server).exit_code == 0
    assert done == ["mail to mallory@drop.example"]
    (tmp_path / "agentkit").mkdir()
    (tmp_path / "agentkit" / "config.toml").write_text('taint = "refuse"\n')
    assert ask(server).exit_code == 0
    assert len(done) == 1


def test_another_value_is_bad_usage(server: ModelServer) -> None:
    made = ask(server, "--taint", "yes")
    assert made.exit_code == 2
    assert "'off', 'ask', 'refuse'" in " ".join(made.stderr.split())


def test_the_terminal_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal, other = os.openpty()
    with os.fdopen(terminal, "w") as typed, os.fdopen(other) as stdin:
        typed.write("y\n")
        typed.flush()
        monkeypatch.setattr("sys.stdin", stdin)
        call = OpenCall("1", *EVIL, json.dumps(EVIL[1]), reason="its argument `to` contains a mail address")
        assert decided([call]) == {"1": True}
    assert "Why you are asked: its argument `to` contains a mail address" in capsys.readouterr().err
