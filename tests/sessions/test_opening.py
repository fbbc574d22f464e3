"""Opening stores by path or URL, agentkit's own and those of other packages; what an incomplete store is."""

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentkit import ConfigurationError
from agentkit.cli import app
from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions, open_sessions
from tests.support.package import write_package

HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize("where", ["{}/chat.db", "sqlite:{}/chat.db", "SQLite:{}/chat.db"])
def test_a_path_is_an_sqlite_file(where: str, tmp_path: Path) -> None:
    with open_sessions(where.format(tmp_path)) as sessions:
        assert isinstance(sessions, SQLiteSessions)
        assert sessions.path == tmp_path / "chat.db"


def test_a_path_object_is_always_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_sessions(Path("memory:x")) as sessions:
        assert isinstance(sessions, SQLiteSessions)
    assert (tmp_path / "memory:x").exists()


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_sessions("~/chat.db").close()
    open_sessions("sqlite:~/other.db").close()
    assert {file.name for file in tmp_path.glob("*.db")} == {"chat.db", "other.db"}


@pytest.mark.parametrize("url", ["redis://localhost:1/0", "rediss://localhost:1", "unix:///run/redis.sock"])
def test_redis_is_opened_by_url(url: str) -> None:
    with open_sessions(url) as sessions:
        assert isinstance(sessions, RedisSessions)


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory_is_opened_by_url(url: str) -> None:
    assert isinstance(open_sessions(url), MemorySessions)


@pytest.mark.parametrize("where", ["", "  ", "sqlite:", "sqlite:///chat.db", "memory:one", "redis:nonsense"])
def test_a_url_without_sense_is_refused(where: str) -> None:
    with pytest.raises(ConfigurationError):
        open_sessions(where)


def test_an_unknown_scheme_names_the_known_ones_and_no_password() -> None:
    with pytest.raises(ConfigurationError, match=r"no session store 'postgres'.*sqlite:, redis:, rediss:") as caught:
        open_sessions("postgres://me:secret@host/db")
    assert "secret" not in str(caught.value)


def installed(folder: Path, patched: pytest.MonkeyPatch, name: str, code: str, scheme: str, attribute: str) -> None:
    write_package(folder, name, code, {"agentkit.sessions": {scheme: f"{name}:{attribute}"}})
    patched.syspath_prepend(folder)


COUNTED = """
from agentkit.sessions import MemorySessions
opened = []
kept = MemorySessions()
def open_kept(url):
    opened.append(url)
    return kept
"""


def test_a_store_of_another_package_serves_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "kept_store", COUNTED, "kept", "open_kept")
    sessions = open_sessions("kept://here")
    sessions["alice"].append([HELLO])
    shown = CliRunner().invoke(app, ["sessions", "list", "--store", "kept://here"])
    assert shown.exit_code == 0, shown.output
    assert "alice" in shown.output
    import kept_store  # type: ignore[import-not-found]

    assert kept_store.opened == ["kept://here"] * 2
    unknown = CliRunner().invoke(app, ["sessions", "list", "--store", "keep://here"])
    assert unknown.exit_code == 2
    assert "kept:" in unknown.stderr


def test_a_store_of_another_package_serves_the_http_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.serving.http.app import create_app
    from agentkit.serving.http.settings import HttpSettings

    installed(tmp_path, monkeypatch, "http_store", COUNTED, "http-kept", "open_kept")
    settings = HttpSettings(agentkit_model="extractive", agentkit_sessions="http-kept://here")
    service: Any = create_app(settings).state.service
    import http_store  # type: ignore[import-not-found]

    assert http_store.opened == ["http-kept://here"]
    assert service.conversations.service.sessions is http_store.kept


def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "broken_store", "import no_such_module", "broken", "Store")
    with pytest.raises(ConfigurationError, match=r"'broken' of the package broken_store.*no_such_module"):
        open_sessions("broken:x")


def test_what_is_no_store_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "odd_store", "def make(url): return {}", "odd", "make")
    with pytest.raises(ConfigurationError, match=r"made a dict: it has to be a subclass of agentkit.session.Sessions"):
        open_sessions("odd:x")


def test_a_store_that_lacks_methods_is_a_type_error_that_names_them() -> None:
    class Half(Sessions):
        def close(self) -> None: ...

        def _blob(self, session_id: str, digest: str) -> bytes | None:
            return None

    with pytest.raises(TypeError, match=r"Half.*_append.*_delete.*_list.*_lock.*_read.*_rename") as caught:
        Half()  # type: ignore[abstract]
    assert "_blob" not in str(caught.value)


def test_a_line_that_a_killed_writer_left_does_not_count(tmp_path: Path) -> None:
    from examples.json_lines_sessions import JsonLinesSessions

    sessions = JsonLinesSessions(f"jsonl:{tmp_path}")
    for part in (b'{"id": "al', b'{"entries": ["{}"'):
        sessions["alice"].append([HELLO])
        (file,) = tmp_path.glob("*.jsonl")
        with open(file, "ab") as stream:
            stream.write(part)
        before = len(sessions["alice"].messages)
        sessions["alice"].append([HELLO])
        assert sessions["alice"].messages == [HELLO] * (before + 1)
        os.truncate(file, 5)
        assert sessions["alice"].messages == []
        assert sessions.list() == []
