"""`agentkit sessions`: conversations for scripts and other machines."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentkit.cli import app
from agentkit.sessions import SQLiteSessions
from tests.cli.test_habits import configure

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TALK: list[Any] = [
    {"role": "system", "content": "Brief."},
    {"role": "user", "content": [{"type": "text", "text": "Grüße, 日本"}, PICTURE]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    {"role": "assistant", "content": "✓ ž"},
]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("AGENTKIT_SESSIONS", str(tmp_path / "sessions.db"))
    with SQLiteSessions(tmp_path / "sessions.db") as sessions:
        for name in ("work", "home", "old"):
            sessions[name].append(TALK)
    return tmp_path


def run(*arguments: str, stdin: str | bytes | None = None, **options: Any) -> Result:
    return CliRunner(**options).invoke(app, ["sessions", *arguments], input=stdin)


def names(where: Path) -> set[str]:
    with SQLiteSessions(where) as sessions:
        return {info.id for info in sessions.list()}


def test_an_exported_conversation_can_be_imported_and_is_the_same(store: Path) -> None:
    """joule-sh/code#367, github/copilot-cli#3630, earendil-works/pi#2274, omnigent-ai/omnigent#3141"""
    exported = run("export", "work").stdout
    other = ("--store", str(store / "other.db"))
    done = run("import", "copy", *other, stdin=exported)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "5 messages in the session copy\n")
    assert run("export", "copy", *other).stdout == exported
    with SQLiteSessions(store / "other.db") as sessions, SQLiteSessions(store / "sessions.db") as before:
        assert sessions["copy"].messages == before["work"].messages


def test_what_other_commands_print_of_a_conversation_can_be_imported(store: Path) -> None:
    whole = json.dumps({"output": "Half", "messages": TALK})
    (store / "talk.json").write_bytes(whole.encode("utf-16"))  # as PowerShell redirects
    assert run("import", "copy", str(store / "talk.json")).exit_code == 0
    assert json.loads(run("export", "copy").stdout) == TALK


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no JSON"),
        ("[" * 100_000, "has no JSON"),
        ("[]", "has no conversation"),
        ('{"error": "x"}', "has no conversation"),
        ('["hello"]', "a message can't be stored"),
        ('[{"role": "robot", "content": "x"}]', "a message can't be stored"),
        ('[{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": 5}]', "a message can't be stored"),
    ],
)
def test_what_is_no_conversation_is_not_imported(store: Path, content: str, says: str) -> None:
    done = run("import", "copy", stdin=content)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "copy" not in names(store / "sessions.db")


def test_an_import_without_standard_input_is_an_error(store: Path) -> None:
    command = f"exec {sys.executable} -m agentkit sessions import x <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"has no JSON" in done.stderr


def test_an_import_leaves_the_conversation_of_that_name_alone(store: Path) -> None:
    done = run("import", "work", stdin=json.dumps(TALK))
    assert done.exit_code == 1
    assert "session 'work' already exists" in done.stderr
    with SQLiteSessions(store / "sessions.db") as sessions:
        assert len(sessions["work"].messages) == len(TALK)
    missing = run("import", "x", str(store / "no.json"))
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("charset", ["cp1252", "ascii", "utf-8"])
def test_an_export_loses_no_letter_whatever_the_encoding_of_the_terminal(store: Path, charset: str) -> None:
    """Aider-AI/aider#1408, nmbrthirteen/podcli#12"""
    done = run("export", "work", charset=charset)
    assert done.exit_code == 0
    assert json.loads(done.stdout_bytes.decode(charset)) == TALK


def test_sessions_are_listed_as_json(store: Path) -> None:
    """QwenLM/qwen-code#4825, google-gemini/gemini-cli#24711"""
    listed = json.loads(run("list", "--json").stdout)
    assert {each["id"] for each in listed} == {"work", "home", "old"}
    assert {each["entries"] for each in listed} == {len(TALK)}
    assert all(each["updated"].endswith("+00:00") for each in listed)
    assert json.loads(run("list", "--json", "--store", "memory:").stdout) == []


def test_several_sessions_are_deleted_at_once_or_none(store: Path) -> None:
    """NousResearch/hermes-agent#14302, sigoden/aichat#909"""
    assert run("delete", "work", "nope", "--yes").exit_code == 1
    assert names(store / "sessions.db") == {"work", "home", "old"}
    assert run("delete", "work", "old", "--yes").exit_code == 0
    assert names(store / "sessions.db") == {"home"}


def completed(typed: str) -> str:
    asked_for = {"_AGENTKIT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"agentkit {typed}"}
    return CliRunner().invoke(app, [], env=asked_for, prog_name="agentkit").stdout


def test_the_names_of_the_store_that_is_used_are_completed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("sessions show wo", "sessions delete home wo", "replay wo", "ask --session wo"):
        assert "work" in completed(command), command
    monkeypatch.delenv("AGENTKIT_SESSIONS")
    assert "work" not in completed("sessions show wo")
    assert "work" in completed(f"sessions show --store {store / 'sessions.db'} wo")
    configure(store, f'store = "{store / "sessions.db"}"\n')
    assert "work" in completed("sessions show wo")
    assert "work" in completed("chat --session wo")


def test_each_command_uses_the_store_of_the_configuration(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `prune` that looked into another store than `list` deleted what nobody had been shown."""
    monkeypatch.delenv("AGENTKIT_SESSIONS")
    default = store / "data" / "agentkit" / "sessions.db"
    default.parent.mkdir(parents=True)
    with SQLiteSessions(default) as sessions:
        sessions["precious"].append(TALK)
    configure(store, f'store = "{store / "sessions.db"}"\n')
    for where in (default, store / "sessions.db"):
        with contextlib.closing(sqlite3.connect(where)) as database, database:
            database.execute("UPDATE sessions SET updated = updated - 86400 WHERE id IN ('home', 'precious')")
    assert run("prune", "--days", "0.5", "--yes").stdout == "1 conversations deleted\n"
    assert run("import", "copy", stdin=json.dumps(TALK)).exit_code == 0
    assert run("delete", "work", "--yes").exit_code == 0
    assert run("rename", "old", "older").exit_code == 0
    assert names(store / "sessions.db") == {"copy", "older"}
    assert names(default) == {"precious"}
