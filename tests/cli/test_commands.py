"""The commands as they are listed, completed and loaded: each is imported when it is run."""

import gc
import os
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from agentkit import __version__
from agentkit.__main__ import main
from agentkit.cli import app
from agentkit.cli.deferred import OwnCommand
from agentkit.cli.own_commands import OWN_COMMANDS
from agentkit.cli.plugin_commands import OWN
from tests.support.imports import loaded_by

HEAVY = {"openai", "httpx2", "pydantic", "requests", "urllib3", "fastapi", "jsonschema", "jinja2", "griffe", "paho"}
NAMES = [str(command.name) for command in OWN_COMMANDS]


@pytest.mark.parametrize("command", OWN_COMMANDS, ids=NAMES)
def test_the_list_says_of_a_command_what_its_own_help_begins_with(command: OwnCommand) -> None:
    loaded = command.loaded()
    assert (loaded.name, command.help) == (command.name, (loaded.short_help or loaded.help).split("\n\n")[0])
    assert not loaded.hidden
    assert loaded.get_short_help_str(200) == command.get_short_help_str(200)


def test_the_names_that_plugins_cannot_have_are_those_of_the_commands() -> None:
    assert {*NAMES, "help"} == set(OWN)


def test_help_lists_the_commands_and_loads_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_NO_PLUGINS", "1")
    shown, loaded = loaded_by("from agentkit.cli import app; app(['--help'], prog_name='agentkit')")
    assert [name for name in re.findall(r"^  ([a-z-]+)  ", shown, re.MULTILINE) if name in NAMES] == NAMES
    assert not HEAVY & loaded
    assert not {"rich", "agentkit.agent", "agentkit.cli.ask", "agentkit.cli.serve", "agentkit.event"} & loaded


def test_the_version_is_said_without_loading_the_command_line() -> None:
    code = "import sys; from agentkit.__main__ import main; sys.argv[1:] = ['--version']; main()"
    shown, loaded = loaded_by(code)
    assert shown == f"agentkit {__version__}\n"
    assert not {"typer", "rich", "agentkit.cli", *HEAVY} & loaded


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_version_that_cannot_be_written_is_reported(unbuffered: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no device that is always full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agentkit", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"agentkit: standard output can't be written")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mq", "mqtt-chat"),
        ("sessions ex", "export"),
        ("serve keys re", "remove"),
        ("ask --max", "--max-turns"),
        ("batch export --t", "--to"),
    ],
)
def test_commands_and_their_options_are_completed(typed: str, completed: str) -> None:
    asked_for = {"_AGENTKIT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"agentkit {typed}"}
    assert completed in CliRunner().invoke(app, [], env=asked_for, prog_name="agentkit").stdout


def test_a_command_is_a_command_of_typer_to_whoever_looks_at_the_program() -> None:
    group = typer.main.get_command(app)
    context = group.make_context("agentkit", ["sessions", "list"], resilient_parsing=True)
    assert isinstance(group, typer.core.TyperGroup)
    name, command, rest = group.resolve_command(context, ["sessions", "list"])
    assert command is not None
    with command.make_context(name, rest, parent=context, resilient_parsing=True) as inner:
        assert isinstance(inner.command, typer.core.TyperGroup)
        assert {"list", "show", "export", "delete", "rename"} <= set(inner.command.commands)


def test_garbage_is_collected_while_a_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr("agentkit.cli.app", lambda prog_name: seen.append(gc.isenabled()))
    monkeypatch.setattr(sys, "argv", ["agentkit", "models"])
    try:
        main()
    finally:
        gc.unfreeze()
    assert seen == [True]
