"""What reaches the log of a program: nothing where none is configured, one line for a tool that fails."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit import Agent, Tool, tool
from agentkit.serving.http.app import create_app
from agentkit.testing import ScriptedBackend
from tests.support.http_service import settings_for
from tests.support.model_server import calls, serve, whole

ROOT = Path(__file__).parents[1]
SECRET = "postgres://admin:hunter2@db/x"

FAILING = f"""
from agentkit import tool

@tool
def pay(amount: int) -> str:
    '''Pay.'''
    raise RuntimeError("can't connect to {SECRET}")
"""
PROGRAM = """
from agentkit import Agent
from agentkit.testing import ScriptedBackend
print(Agent(ScriptedBackend(("pay", {"amount": 3}), "Done."), tools=[pay]).run("Pay.").output)
"""


def run(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT", "OPENAI"))}
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else []), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(folder)},
        timeout=60,
        check=True,
    )


def test_a_program_that_configures_no_log_has_nothing_of_ours_on_its_streams(tmp_path: Path) -> None:
    done = run(FAILING + PROGRAM, folder=tmp_path)
    assert (done.stdout, done.stderr) == ("Done.\n", "")


def test_a_log_that_is_configured_later_has_our_lines(tmp_path: Path) -> None:
    done = run(f"{FAILING}import logging; logging.basicConfig()\n{PROGRAM}", folder=tmp_path)
    assert done.stderr == "WARNING:agentkit:tool pay raised RuntimeError at <string>:7\n"


def test_the_command_line_shows_the_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "payments.py").write_text(FAILING, encoding="utf-8")
    with serve([calls(("pay", {"amount": 3})), whole("Done.")]) as model:
        ask = ["-m", "agentkit", "ask", "Pay.", "-q", "-T", "payments:pay", "-m", f"openai:m@{model.url}"]
        done = run("", *ask, folder=tmp_path)
    assert (done.stdout, done.stderr) == ("Done.\n", "tool pay raised RuntimeError at payments.py:7\n")


def test_a_service_shows_its_warnings_where_no_log_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("agentkit"), "handlers", [logging.NullHandler()])
    create_app(settings_for(tmp_path, "http://127.0.0.1:9"))
    assert logging.getLogger("agentkit").handlers == []  # so that Python's handler of last resort writes them


def check_on(values: dict[str, object]) -> bool:
    raise KeyError(SECRET)


@tool
async def look() -> str:
    """Look."""
    raise ValueError(SECRET)


@tool(retries=1)
def wide(text: str) -> str:
    """Widen."""
    return text.encode("ascii").decode()


@tool(approve=check_on)
def pay(amount: int) -> str:
    """Pay."""
    return "paid"


CASES = [
    (look, {}, logging.WARNING, ["tool look raised ValueError at test_logging.py:N"]),
    (
        wide,
        {"text": SECRET + "é"},
        logging.INFO,
        [
            "tool wide is retried after UnicodeEncodeError at test_logging.py:N",
            "tool wide raised UnicodeEncodeError at test_logging.py:N",
        ],
    ),
    (pay, {"amount": 1}, logging.WARNING, ["the approve function of tool pay raised KeyError at test_logging.py:N"]),
]


@pytest.mark.parametrize(("made", "arguments", "level", "expected"), CASES, ids=["async", "retried", "approve"])
def test_what_a_tool_raises_is_one_line_without_its_message(
    made: "Tool[..., object]",
    arguments: dict[str, object],
    level: int,
    expected: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(level, "agentkit")
    Agent(ScriptedBackend((made.name, arguments), "Done."), tools=[made]).run("Go.")
    lines = dict.fromkeys(record.getMessage() for record in caplog.records if record.name == "agentkit")
    assert [re.sub(r"\d+$", "N", line) for line in lines] == expected
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


def test_the_traceback_is_there_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agentkit")
    Agent(ScriptedBackend(("look", {}), "Done."), tools=[look]).run("Go.")
    assert caplog.text.count("Traceback") == 1
    assert SECRET in caplog.text
