"""`agentkit keys`: keys that are stored, used and never shown."""

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentkit import ConfigurationError
from agentkit.cli import app
from agentkit.providers import resolve
from tests.support.model_server import Answer, serve, whole

KEY = "sk-never-to-be-seen-1234"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "agentkit"


def run(*arguments: str, stdin: str | None = None) -> Result:
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert KEY not in done.output
    return done


def test_a_key_is_stored_for_its_owner_only_and_shown_by_its_end(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert run("keys", "set", "OpenAI", stdin=f"  {KEY}\n").exit_code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert run("keys", "list").stdout == "openai       …1234\n"
    assert run("keys", "path").stdout == f"{folder / 'keys.json'}\n"
    assert run("keys", "remove", "openai").exit_code == 0
    assert run("keys", "list").stdout == ""
    assert run("keys", "remove", "openai").exit_code == 2


def test_a_stored_key_is_used_when_the_variable_is_unset_and_reaches_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="agentkit keys set openai"):
        resolve("openai:gpt-5-mini")
    run("keys", "set", "openai", stdin=KEY)
    resolve("openai:gpt-5-mini").close()
    refused = Answer(json.dumps({"error": {"message": f"bad key {KEY}"}}).encode(), status=401)
    with serve([refused, whole("Fine.")]) as server:
        ask = ("ask", "x", "-m", f"openai:m@{server.url}", "-T", "tests.cli.test_habits:print_everywhere", "--json")
        assert run(*ask).exit_code == 1
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        assert run(*ask).exit_code == 0
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == [f"Bearer {KEY}", "Bearer sk-of-the-environment"]
    assert "OPENAI_API_KEY is set" in run("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["openai"], "", "no key was given"),
        (["openai"], "sk-one\nsk-two\n", "has to be one line"),
        (["openai"], f"Bearer {KEY}", "begins with 'Bearer'"),
        (["open ai"], KEY, "the name of a key"),
        (["openai", KEY], None, "can be seen by others"),
    ],
    ids=["empty", "lines", "bearer", "name", "argument"],
)
def test_what_is_no_key_is_not_stored(folder: Path, arguments: list[str], stdin: str | None, says: str) -> None:
    done = run("keys", "set", *arguments, stdin=stdin)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (folder / "keys.json").exists()


def test_a_folder_that_can_not_be_written_and_a_damaged_file_are_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    (folder / "keys.json").write_text(f'{{"openai": "{KEY}"')
    for arguments in (["keys", "list"], ["ask", "x", "-m", "openai:gpt-5-mini"]):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "keys.json is damaged" in done.stderr
    monkeypatch.setenv("XDG_CONFIG_HOME", "/proc/nowhere")
    done = run("keys", "set", "openai", stdin=KEY)
    assert done.exit_code == 2
    assert "the keys can't be stored" in done.stderr
    assert run("keys", "list").exit_code == 0


def test_a_user_without_a_home_directory_has_no_keys_and_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert run("keys", "list").exit_code == 0
    assert run("config", "show").exit_code == 0
    for arguments in (["keys", "set", "openai"], ["keys", "path"], ["config", "path"]):
        done = run(*arguments, stdin=KEY)
        assert done.exit_code in (1, 2)
        assert "set HOME or XDG_CONFIG_HOME" in done.stderr
