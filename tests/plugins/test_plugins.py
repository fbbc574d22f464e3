"""What installed packages add by entry points: used by name, lazily, and hurting nothing when they are broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.cli import app
from agentkit.cli.plugin_commands import OWN
from agentkit.plugins.installed import KINDS, plugins
from tests.plugins.conftest import Command, Process
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.package import write_package

CODE = '''
import os
import typer
from agentkit import tool
from agentkit.hooks import Hook
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.text.families import Family

open(os.path.join(os.path.dirname(__file__), "imported"), "a").close()


@tool(read_only=True)
def tides(harbour: str) -> str:
    """When the tide is high."""
    return f"high in {harbour} at noon"


def backend(provider, model, url, environment):
    return ScriptedBackend(f"I am {provider}:{model}.")


def store(url):
    return MemorySessions()


class Loud(Hook):
    def after_model(self, reply):
        return reply.text.upper() or None


def hooks_made():
    return Loud()


def greet(name: str, times: int = 1) -> None:
    """Greet someone."""
    print(f"Hello {name}! " * times)


app = typer.Typer()


@app.command()
def north() -> None:
    """Go north."""
    print("went north")


@app.command()
def south() -> None:
    """Go south."""
    raise typer.Exit(7)


FAMILY = Family("harbour", ("harbourlm",), "", "agentkit.text.formats.hermes", ("<end>",), None)
NUMBER = 3
'''
GOOD = {
    "agentkit.tools": {"tides": "harbour:tides"},
    "agentkit.backends": {"harbour": "harbour:backend"},
    "agentkit.sessions": {"quay": "harbour:store"},
    "agentkit.families": {"harbour": "harbour:FAMILY"},
    "agentkit.hooks": {"loud": "harbour:Loud", "made": "harbour:hooks_made"},
    "agentkit.cli": {"greet": "harbour:greet", "go_to": "harbour:app"},
}
BROKEN = {
    "import": ("import no_such_module_anywhere", "x", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "raises": ("raise OSError('the disk is full')", "x", "OSError: the disk is full"),
    "exits": ("import sys; sys.exit('bye')", "x", "SystemExit: bye"),
    "syntax": ("def (:", "x", "SyntaxError"),
    "base": ("class Skipped(BaseException): ...\nraise Skipped('no network')", "x", "Skipped: no network"),
    "missing": ("", "x.y", "AttributeError"),
    "type": ("x = 3", "x", "it is n"),
}
"""What is in the module, the attribute, and what is said of it."""


@pytest.fixture
def good(folder: Path) -> Path:
    write_package(folder, "harbour", CODE, GOOD, package="agentkit-harbour", version="2.1")
    return folder


def play(asked: Asked) -> Answer:
    is_called = any(message["role"] == "tool" and "at noon" in message["content"] for message in asked.body["messages"])
    return whole("high at noon") if is_called else calls(("tides", {"harbour": "Oslo"}))


def test_each_kind_is_used_by_its_name(good: Path, process: Process) -> None:
    with serve(play) as server:
        ask = ("ask", "When?", "-m", f"openai:m@{server.url}", "--tool", "tides")
        assert process(*ask).stdout == "high at noon\n"
        assert process(*ask, "--hook", "loud").stdout == "HIGH AT NOON\n"
        assert process(*ask, "--hook", "made").stdout == "HIGH AT NOON\n"
        assert process(*ask, "--hook", "harbour:Loud").stdout == "HIGH AT NOON\n"
    assert process("ask", "Who?", "-m", "harbour:small").stdout == "I am harbour:small.\n"
    done = process("ask", "Who?", "-m", "harbour:small", "--session", "x", "--store", "quay:1")
    assert (done.returncode, done.stdout) == (0, "I am harbour:small.\n")
    assert ", harbour" in process("models").stdout.replace("\n  harbour,", ", harbour,")
    assert process("greet", "Ada", "--times", "2").stdout == "Hello Ada! Hello Ada! \n"
    assert process("go-to", "north").stdout == "went north\n"
    assert process("go_to", "south").returncode == 7


def test_the_hooks_of_the_configuration_file_are_used(good: Path, run: Command, tmp_path: Path) -> None:
    config = tmp_path / "config" / "agentkit"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('hook = ["loud"]\nmodel = "harbour:small"\n')
    assert run("ask", "Who?").stdout == "I AM HARBOUR:SMALL.\n"
    chat = run("chat", "--hook", "made", "-q")
    assert chat.exit_code == 0
    assert "hook       config.toml       loud" in run("config", "show").stdout


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_named_to_who_asks_for_it_and_hurts_no_other(
    how: str, good: Path, run: Command, caplog: pytest.LogCaptureFixture
) -> None:
    code, attribute, reason = BROKEN[how]
    entry_points = {f"agentkit.{kind}": {"wreck": f"wrecked:{attribute}"} for kind in KINDS}
    write_package(good, "wrecked", code, entry_points, package="some-wreck", version="0.3")
    commands = {
        "tools": ("ask", "When?", "--tool", "wreck"),
        "backends": ("ask", "When?", "-m", "wreck:small"),
        "sessions": ("sessions", "list", "--store", "wreck:1"),
        "hooks": ("ask", "When?", "-m", "harbour:small", "--hook", "wreck"),
        "cli": ("wreck", "--help"),
    }
    for kind, command in commands.items():
        done = run(*command)
        assert done.exit_code == 2, (kind, done.stderr)
        assert done.stdout == ""
        assert f"'wreck' of the package some-wreck 0.3 can't be used (entry point agentkit.{kind}, " in done.stderr
        assert f"wrecked:{attribute}): {reason}" in done.stderr
        assert isinstance(done.exception, SystemExit)
    help_ = run("--help")
    assert help_.exit_code == 0
    assert "from some-wreck 0.3" in help_.stdout
    assert "from agentkit-harbour 2.1" in help_.stdout
    listed = run("tools")
    assert "tides" in listed.stdout
    assert "some-wreck 0.3" in listed.stderr
    models = run("models")
    assert models.exit_code == 0
    assert "a model family is left out: 'wreck' of the package some-wreck 0.3" in caplog.text
    assert run("greet", "Ada").stdout == "Hello Ada! \n"


def test_a_package_cannot_take_a_name_of_agentkit(good: Path, run: Command) -> None:
    names = {
        "agentkit.tools": "search",
        "agentkit.backends": "groq",
        "agentkit.sessions": "sqlite",
        "agentkit.hooks": "Otel",
        "agentkit.cli": "mqtt_chat",
    }
    entry_points = {group: {name: "takes:over"} for group, name in names.items()}
    (good / "own.py").write_text(CODE.replace('"harbour", ("harbourlm",)', '"qwen3", ("qwen3",)'))
    entry_points["agentkit.families"] = {"qwen3": "own:FAMILY"}
    write_package(good, "takes", "import sys; sys.exit('taken over')", entry_points)
    assert run("sessions", "list").exit_code == 0
    assert "taken over" not in (help_ := run("--help")).stdout
    assert "from takes" not in help_.stdout
    assert "GROQ_API_KEY" in run("ask", "When?", "-m", "groq:m").stderr
    assert "broker" in run("mqtt-chat", "--help").stdout
    assert "there is no such hook" in run("ask", "When?", "--hook", "Otel").stderr
    checked = json.loads(run("plugins", "--check", "--json").stdout)
    problems = {each["kind"]: each["problem"] for each in checked if each["package"] == "takes"}
    assert len(problems) == 6
    assert all("which a package can't replace" in problem for problem in problems.values())


def test_two_packages_with_one_name_are_both_named_unless_they_mean_the_same(good: Path, run: Command) -> None:
    write_package(good, "canal", CODE, {"agentkit.tools": {"tides": "canal:tides"}}, package="agentkit-canal")
    write_package(good, "_", "", {"agentkit.hooks": {"loud": "harbour:Loud"}}, package="old-name-of-harbour")
    done = run("ask", "When?", "--tool", "tides")
    assert done.exit_code == 2
    assert "agentkit-harbour 2.1" in done.stderr
    assert "agentkit-canal 1.0" in done.stderr
    assert "canal:tides" in done.stderr
    assert "harbour:tides" in done.stderr
    assert "uninstall one of the packages" in done.stderr
    assert run("ask", "Who?", "-m", "harbour:small", "--hook", "loud").stdout == "I AM HARBOUR:SMALL.\n"
    assert run("plugins", "--check").exit_code == 1


def test_a_name_may_be_written_with_other_separators_and_capitals(good: Path, run: Command) -> None:
    write_package(good, "sea", CODE, {"agentkit.tools": {"High_Tides": "sea:tides"}})
    assert "When the tide is high" in run("tools", "--tool", "high-tides").stdout
    write_package(good, "sea_2", CODE, {"agentkit.tools": {"high-tideS": "sea:tides"}})
    assert run("tools", "--tool", "High_Tides").exit_code == 0
    assert "there is no such tool" in run("tools", "--tool", "HIGH-TIDES").stderr


def test_help_lists_commands_without_importing_them(good: Path, run: Command) -> None:
    shown = run("--help").stdout
    assert "Commands of other packages" in shown
    assert "greet" in shown
    assert "go_to" in shown
    assert shown.count("from agentkit-harbour 2.1") == 2
    assert run("plugins").exit_code == 0
    assert "Did you mean 'greet'?" in run("gret").stderr
    assert not (good / "imported").exists()
    assert "Greet someone." in run("greet", "--help").stdout
    assert "--install-completion" not in run("go_to", "--help").stdout
    assert (good / "imported").exists()


def test_plugins_lists_all_and_checks_them(good: Path, run: Command, process: Process) -> None:
    done = run("plugins")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "tools     tides    agentkit-harbour 2.1  harbour:tides" in done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()} == set(KINDS)
    checked = run("plugins", "--check")
    assert checked.exit_code == 0
    assert checked.stdout.count("ok  ") == len(checked.stdout.splitlines()) == 8
    printing: dict[str, dict[str, str]] = {
        "agentkit.tools": {"odd": "printing:x"},
        "agentkit.tool": {"other": "printing:y"},
    }
    write_package(good, "printing", "import os\nprint('hi')\nos.write(1, b'there')\nx = 3", printing)
    broken = process("plugins", "--check", "--json")
    assert broken.returncode == 1
    found = {each["name"]: each for each in json.loads(broken.stdout)}
    assert found["tides"] == {
        "kind": "tools",
        "name": "tides",
        "package": "agentkit-harbour",
        "version": "2.1",
        "value": "harbour:tides",
        "folder": str(good),
        "problem": "",
    }
    assert "it is neither a tool nor a function" in found["odd"]["problem"]
    assert "agentkit.tool is no kind of plug-in" in found["other"]["problem"]
    assert "broken  tools     odd" in run("plugins", "--check").stdout
    assert [each["problem"] for each in json.loads(run("plugins", "--json").stdout)] == [None] * 10


NOISY = """
import os
print("NOISE of Python")
os.write(1, b"NOISE of C\\n")
from agentkit import tool
from agentkit.hooks import Hook
from agentkit.sessions.memory import MemorySessions
from agentkit.testing import ScriptedBackend

@tool
def look(n: int) -> str:
    'Look.'
    return "seen"

class Quiet(Hook):
    pass

def backend(provider, model, url, environment):
    return ScriptedBackend("an answer")

def store(url):
    return MemorySessions()

def command() -> None:
    'A command.'
    print("its output")
"""
NOISY_POINTS = {
    "agentkit.tools": {"look": "noisy:look"},
    "agentkit.hooks": {"quiet": "noisy:Quiet"},
    "agentkit.backends": {"noisy": "noisy:backend"},
    "agentkit.sessions": {"noisy": "noisy:store"},
    "agentkit.cli": {"noisy-command": "noisy:command"},
}


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("ask", "hello", "-m", "noisy:x"), "an answer\n"),
        (("chat", "-m", "noisy:x"), ""),
        (("chat", "-m", "extractive", "--tool", "look", "--hook", "quiet"), ""),
        (("chat", "-m", "extractive", "--store", "noisy:", "--session", "w"), ""),
        (("noisy-command",), "its output\n"),
        (("sessions", "list", "--store", "noisy:"), ""),
        (("doctor", "noisy:x", "--json", "--no-faults"), None),
        (("tools", "--tool", "look", "--json"), None),
    ],
)
def test_what_a_plugin_prints_while_it_is_imported_is_not_in_the_output_of_any_command(
    arguments: tuple[str, ...], output: str | None, folder: Path, process: Process
) -> None:
    write_package(folder, "noisy", NOISY, NOISY_POINTS)
    done = process(*arguments)
    assert "NOISE of Python" in done.stderr
    assert "NOISE of C" in done.stderr
    assert "NOISE" not in done.stdout
    assert done.stdout == output if output is not None else done.stdout[0] in "[{"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_all_can_be_turned_off(how: str, good: Path, run: Command) -> None:
    write_package(good, "wrecked", "raise SystemExit", {"agentkit.families": {"wreck": "wrecked:x"}})
    option, variables = (("--no-plugins",), {}) if how == "option" else ((), {"AGENTKIT_NO_PLUGINS": "1"})
    for command in (
        ("ask", "When?", "--tool", "tides"),
        ("ask", "When?", "-m", "harbour:small"),
        ("sessions", "list", "--store", "quay:1"),
        ("ask", "When?", "--hook", "loud"),
    ):
        done = run(*option, *command, **variables)
        assert done.exit_code == 2
        assert "plug-ins are turned off" in done.stderr
    assert run(*option, "greet", "Ada", **variables).exit_code == 2
    assert "greet" not in run(*option, "--help", **variables).stdout
    assert run(*option, "models", **variables).stderr == ""
    done = run(*option, "plugins", "--check", "--json", **variables)
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert "turned off" in done.stderr
    assert not (good / "imported").exists()
    if how == "option":
        assert "Nothing found" in run(*option, "What is it, then?", "--docs", str(good), **variables).stdout


def test_a_value_that_means_no_leaves_them_on(good: Path, run: Command) -> None:
    assert run("ask", "Who?", "-m", "harbour:small", AGENTKIT_NO_PLUGINS="0").stdout == "I am harbour:small.\n"


LAZY = """
import sys
import agentkit
assert 'importlib.metadata' not in sys.modules
from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

@tool
def f() -> str:
    "Do it."
    return "done"

assert Agent(ScriptedBackend("Hi."), tools=[f]).run("Hello").output == "Hi."
agentkit.Agent("llamacpp:")
agentkit.Agent("extractive").run("Hello")
from agentkit.sessions import open_sessions
open_sessions("memory:").close()
assert 'agentkit.plugins' not in sys.modules
"""


def test_what_needs_no_plugin_does_not_look_for_any(good: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(good), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", LAZY], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_of_agentkit_are_known_by_their_names() -> None:
    import typer

    group = typer.main.get_group(app)
    assert {*group.commands, "help"} == set(OWN)


@pytest.mark.parametrize("folder", ["odd-1.dist-info", "Odd-1.EGG-INFO"])
def test_an_entry_point_is_seen_however_its_group_is_written(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "entry_points.txt").write_text(
        "[console_scripts]\na = b:c\n\n  [  agentkit.tools ]\nodd = odd:it\n"
    )
    monkeypatch.delenv("AGENTKIT_NO_PLUGINS", raising=False)
    assert [each.name for each in plugins("agentkit.tools")] == []
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert [each.name for each in plugins("agentkit.tools")] == ["odd"]
