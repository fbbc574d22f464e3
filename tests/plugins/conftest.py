"""Packages with entry points, made as pip leaves them, and the command line where they are found."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentkit.cli import app
from tests.cli.test_ask import ROOT, agentkit
from tests.support.installed_families import forget

Command = Callable[..., Result]
Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of installed packages."""
    made = tmp_path / "installed"
    made.mkdir()
    return made


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs a command in this process, with the folder on sys.path, and configuration and sessions of its own."""
    known = set(sys.modules)
    for name in ("AGENTKIT_NO_PLUGINS", "AGENTKIT_MODEL", "AGENTKIT_SESSIONS", "GROQ_API_KEY"):
        monkeypatch.setenv(name, "")  # so that it is as before in the end, whatever the command sets
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(folder)
    before = list(sys.path)

    def forget_modules() -> None:
        forget()
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[name]

    def run(*arguments: str, paths: str = "", **variables: str) -> Result:
        forget_modules()
        sys.path[:] = [*paths.split(":"), *before[1:]] if paths else before
        return CliRunner(env=variables).invoke(app, arguments)

    yield run
    sys.path[:] = before
    forget_modules()


@pytest.fixture
def process(folder: Path, tmp_path: Path) -> Process:
    """Runs a command in a process that has the folder in its PYTHONPATH."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        paths = ":".join(map(str, (folder, ROOT, ROOT / "tools")))
        return agentkit(*arguments, PYTHONPATH=paths, XDG_CONFIG_HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path))

    return run
