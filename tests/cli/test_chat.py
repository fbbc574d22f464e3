"""`agentkit chat`, `sessions` and `replay`, run as subprocesses."""

import contextlib
import json
import os
import pty
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentkit.sessions import SQLiteSessions
from tests.support import forked_cli
from tests.support.model_server import Answer, Asked, calls, serve, whole

TOOLS = '''
from agentkit import Image, tool

@tool(approve=True)
def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"

@tool(read_only=True)
def photo(of: str) -> list:
    """Take a photo."""
    return ["here it is", Image(b"\\x89PNG\\r\\n\\x1a\\n" + bytes(30), "image/png", "p.png")]

@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."
'''


def reply(asked: Asked) -> Answer:
    """Repeats the messages of the user; calls look_up or pay when the last message asks for it."""
    messages = asked.body["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        return whole(f"Result: {last['content'].splitlines()[1]}")
    if "look" in last["content"]:
        return calls(("look_up", {"topic": "x"}))
    if "pay" in last["content"]:
        return calls(("pay", {"amount": 5}))
    earlier = [message["content"] for message in messages if message["role"] == "user"]
    return whole(f"You said {' then '.join(earlier)}.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mytools.py").write_text(TOOLS)
    return tmp_path


@pytest.fixture
def model() -> Iterator[str]:
    with serve(reply) as server:
        yield f"openai:m@{server.url}"


def agentkit(
    folder: Path, *arguments: str, stdin: str = "", begin: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "AGENTKIT_SESSIONS": str(folder / "kept" / "sessions.db"), "PYTHONUTF8": "1"}
    command = [*(begin or forked_cli.command()), *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, check=False, cwd=folder, env=environment
    )


def chat(
    folder: Path, model: str, *lines: str, options: Sequence[str] = (), begin: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    tools = ("--tool", "mytools:look_up", "--tool", "mytools:pay")
    typed = "".join(f"{line}\n" for line in lines)
    return agentkit(folder, "chat", "--model", model, *tools, *options, stdin=typed, begin=begin)


def test_a_conversation_goes_on_from_line_to_line(folder: Path, model: str) -> None:
    done = chat(folder, model, "one", "", "two", "look it up", begin=(sys.executable, "-m", "agentkit"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["You said one.", "You said one then two.", "Result: All about x."]
    assert '→ look_up(topic="x")' in done.stderr
    assert not (folder / "kept").exists()  # without --session nothing is stored


def test_a_message_may_have_several_lines(folder: Path, model: str) -> None:
    """simonw/llm#267, google-gemini/gemini-cli#6980, openinterpreter/openinterpreter#1446, rustformers/llm#155"""
    blocks = ('"""one', "", '  two"""', '"""', "/three", '"""  ', '"""four"""', '""""""', '"""five', "six")
    done = chat(folder, model, *blocks, options=("--session", "work"))
    assert done.returncode == 0, done.stderr
    with SQLiteSessions(folder / "kept" / "sessions.db") as sessions:
        said = [each["content"] for each in sessions["work"].messages if each["role"] == "user"]
    assert said == ["one\n\n  two", "/three", "four", "five\nsix"]
    assert '"""' in chat(folder, model, "/help").stderr


def test_a_session_survives_a_restart(folder: Path, model: str) -> None:
    chat(folder, model, "one", options=("--session", "work"))
    done = chat(folder, model, "two", options=("--session", "work"))
    assert done.stdout.splitlines() == ["You said one then two."]
    assert "> one" in done.stderr
    assert "You said one." in done.stderr


def test_undo_removes_the_last_message(folder: Path, model: str) -> None:
    done = chat(folder, model, "one", "two", "/undo", "three", "/undo", "/undo", "/undo", options=("--session", "work"))
    assert done.stdout.splitlines()[-1] == "You said one then three."
    assert "nothing to undo" in done.stderr
    with SQLiteSessions(folder / "kept" / "sessions.db") as sessions:
        assert sessions["work"].messages == []


@pytest.mark.parametrize(("asks", "options"), [("photo", ()), ("look", ("--max-turns", "1"))])
def test_undo_removes_what_the_run_has_added_with_the_message(
    folder: Path, asks: str, options: tuple[str, ...]
) -> None:
    """The images of a tool and what is said at a limit are messages of the role `user` too."""

    def reply(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        is_asked = messages[-1]["role"] == "user" and str(messages[-1]["content"]).startswith("please")
        name, argument = ("photo", "of") if asks == "photo" else ("look_up", "topic")
        return calls((name, {argument: "x"})) if is_asked and asked.body.get("tools") else whole("Done.")

    with serve(reply) as server:
        lines = (f"please {asks}", "/save before.json", "/undo", "/save after.json", "one")
        chosen = ("--tool", "mytools:photo", "--session", "work", *options)
        done = chat(folder, f"openai:m@{server.url}", *lines, options=chosen)
        asked = [message["content"] for message in server.requests[-1].body["messages"] if message["role"] == "user"]
    before = json.loads((folder / "before.json").read_text())
    assert [message["role"] for message in before].count("user") == 2
    assert json.loads((folder / "after.json").read_text()) == []
    assert asked == ["one"], done.stderr


def test_the_other_commands(folder: Path, model: str) -> None:
    other = f"{model.replace('openai:m', 'openai:n')}"
    lines = (
        "/tools",
        "one",
        "/save talk.md",
        "/save talk.json",
        f"/model {other}",
        "/model nonsense:x",
        "/save ~nosuchuser/talk.md",
        "/save a\0b",
        "/what",
        "/help",
    )
    done = chat(folder, model, *lines, "/exit", "never sent")
    assert done.returncode == 0
    for text in (
        "look_up: Look something up.",
        "saved 2 messages",
        "OpenAIBackend('n'",
        "no model provider",
        "there is no home directory ~nosuchuser",
        "null",
        "unknown command /what",
    ):
        assert text in done.stderr
    assert (folder / "talk.md").read_text() == "**user**\n\none\n\n**assistant**\n\nYou said one.\n"
    assert json.loads((folder / "talk.json").read_text())[0] == {"role": "user", "content": "one"}
    assert "never sent" not in done.stdout


def test_a_failing_server_does_not_end_the_conversation(folder: Path) -> None:
    answers = [Answer(b'{"error": {"message": "no such model"}}', status=404), whole("Here.")]
    with serve(answers) as server:
        done = chat(folder, f"openai:m@{server.url}", "one", "two")
    assert "no such model" in done.stderr
    assert done.stdout == "Here.\n"
    assert done.returncode == 0


def test_without_a_terminal_nothing_that_needs_approval_is_run(folder: Path, model: str) -> None:
    done = chat(folder, model, "pay it")
    assert "the user did not approve this call: no terminal to ask for approval" in done.stderr
    asked = agentkit(folder, "ask", "pay it", "--model", model, "--tool", "mytools:pay")
    assert "no terminal to ask for approval" in asked.stdout


@pytest.mark.parametrize(
    ("word", "says"), [("y", "Result: paid 5"), ("too much", "did not approve this call: too much")]
)
def test_at_a_terminal_a_person_is_asked(folder: Path, model: str, word: str, says: str) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "dumb"}
    command = [sys.executable, "-m", "agentkit", "chat", "--model", model, "--tool", "mytools:pay"]
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=environment
    ) as process:
        os.close(follower)
        seen = _until(leader, "> ")
        os.write(leader, b"pay it\n")
        seen += _until(leader, "a reason for refusing:")
        assert "? pay(amount=5)" in seen
        os.write(leader, f"{word}\n".encode())
        assert says in _until(leader, says)
        os.write(leader, b"/exit\n")
        process.wait(20)
    os.close(leader)


def _until(leader: int, text: str) -> str:
    seen, end = b"", time.monotonic() + 30
    while text.encode() not in seen and time.monotonic() < end:
        seen += os.read(leader, 4096)
    return seen.decode(errors="replace")


# ---- sessions and replay


@pytest.fixture
def kept(folder: Path, model: str) -> Path:
    chat(folder, model, "look it up", "thanks", options=("--session", "work"))
    chat(folder, model, "hello", options=("--session", "home"))
    return folder


def test_sessions_are_listed_shown_exported_renamed_and_deleted(kept: Path) -> None:
    listed = agentkit(kept, "sessions", "list").stdout.splitlines()
    assert [line.split()[-1] for line in listed] == ["home", "work"]
    shown = agentkit(kept, "sessions", "show", "work").stdout
    assert "**user**\n\nlook it up" in shown
    assert "> All about x." in shown
    exported: list[Any] = json.loads(agentkit(kept, "sessions", "export", "work").stdout)
    assert [message["role"] for message in exported] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert agentkit(kept, "sessions", "export", "work", "--format", "md").stdout == shown
    assert agentkit(kept, "sessions", "rename", "work", "office").returncode == 0
    assert agentkit(kept, "sessions", "delete", "office").returncode == 1  # no terminal to confirm at
    assert agentkit(kept, "sessions", "delete", "office", "--yes").returncode == 0
    assert [line.split()[-1] for line in agentkit(kept, "sessions", "list").stdout.splitlines()] == ["home"]


def test_sessions_that_were_not_written_to_for_long_are_pruned(kept: Path) -> None:
    """NousResearch/hermes-agent#69369, PxA-Labs/AgentsScope#31, kagent-dev/kagent#2409"""
    with contextlib.closing(sqlite3.connect(kept / "kept" / "sessions.db")) as database, database:
        database.execute("UPDATE sessions SET updated = updated - 100 * 86400 WHERE id = 'work'")
    prune = ("sessions", "prune", "--days", "90")
    shown = agentkit(kept, *prune, "--dry-run").stdout.splitlines()
    assert shown[0].endswith("  work")
    assert shown[1:] == ["1 conversations would be deleted"]
    assert agentkit(kept, *prune).returncode == 1  # no terminal to confirm at
    assert agentkit(kept, *prune, "--prefix", "home", "--yes").stdout == "0 conversations deleted\n"
    assert agentkit(kept, *prune, "--yes").stdout == "1 conversations deleted\n"
    assert [line.split()[-1] for line in agentkit(kept, "sessions", "list").stdout.splitlines()] == ["home"]
    assert agentkit(kept, "sessions", "prune", "--days", "0").returncode == 2


def test_a_damaged_session_is_shown_without_its_damaged_entries(kept: Path) -> None:
    before = agentkit(kept, "sessions", "export", "work").stdout
    with SQLiteSessions(kept / "kept" / "sessions.db") as sessions, sessions["work"].hold() as writer:
        number = len(sessions["work"].entries())
        sessions._append("work", ['{"v": 1, "message": []}'], {}, writer._lock)
    for command in (["sessions", "export", "work"], ["sessions", "show", "work"], ["replay", "work"]):
        failed = agentkit(kept, *command)
        assert failed.returncode == 1
        assert f"entry {number} of session 'work' is damaged: its message is a list" in failed.stderr
        assert "--skip-damaged" in failed.stderr
        assert agentkit(kept, *command, "--skip-damaged").returncode == 0
    assert agentkit(kept, "sessions", "export", "work", "--skip-damaged").stdout == before


def test_a_run_is_replayed_step_by_step(kept: Path) -> None:
    done = agentkit(kept, "replay", "work")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("──")] == [
        "── step 1 of 3",
        "── step 2 of 3",
        "── step 3 of 3",
    ]
    assert '→ look_up({"topic": "x"})' in done.stdout
    later = agentkit(kept, "replay", "work", "--from", "3").stdout
    assert "thanks" in later
    assert "All about x." not in later


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["sessions", "show", "nobody"], "session 'nobody' not found", 1),
        (["replay", "work", "--from", "9"], "has 3 steps", 2),
        (["sessions", "export", "work", "--format", "pdf"], "use json or md", 2),
        (["sessions", "show", "../x"], "is not a valid session id", 1),
        (["chat", "--session", "a/b"], "is not a valid session id", 2),
        (["chat", "--model", "nonsense:x"], "no model provider", 2),
        (["sessions", "list", "--store", "redis://127.0.0.1:1/0"], "can't be used", 1),
    ],
)
def test_bad_usage_is_a_sentence(kept: Path, arguments: list[str], says: str, code: int) -> None:
    done = agentkit(kept, *arguments)
    assert says in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr
