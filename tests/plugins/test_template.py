"""The template of a plug-in (examples/plugin): built and installed by pip, and used by the commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_ask import ROOT
from tests.plugins.conftest import Process
from tests.support.model_server import Answer, Asked, calls, serve, whole

pytest.importorskip("pip")
pytest.importorskip("hatchling")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder into which pip has installed the template."""
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(ROOT / "examples" / "plugin", source, ignore=shutil.ignore_patterns("__pycache__"))
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--no-compile")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *alone, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def play(asked: Asked) -> Answer:
    said = [message["content"] for message in asked.body["messages"] if message["role"] == "tool"]
    return whole("cold: " + said[-1].splitlines()[1]) if said else calls(("forecast", {"city": "Oslo"}))


def test_the_template_is_built_installed_and_used(folder: Path, process: Process) -> None:
    listed = process("plugins", "--check", "--json")
    assert listed.returncode == 0, listed.stdout
    found = {each["kind"]: (each["name"], each["package"], each["version"]) for each in json.loads(listed.stdout)}
    package = ("agentkit-weather-plugin", "0.1.0")
    assert found == {
        "tools": ("forecast", *package),
        "hooks": ("fahrenheit", *package),
        "cli": ("weather", *package),
    }
    assert "forecast  (read-only)" in process("tools").stdout
    assert process("weather", "Lisbon").stdout == "17 °C\n"
    assert "there is no forecast" in process("weather", "Atlantis").stderr
    with serve(play) as server:
        ask = ("ask", "What about Oslo?", "-m", f"openai:m@{server.url}", "--tool", "forecast")
        assert process(*ask).stdout == "cold: -3 °C\n"
        assert process(*ask, "--hook", "fahrenheit").stdout == "cold: 27 °F\n"
        off = process("--no-plugins", *ask)
    assert off.returncode == 2
    assert "plug-ins are turned off" in off.stderr


def test_the_tests_of_the_template_pass(tmp_path: Path) -> None:
    tests = ROOT / "examples" / "plugin" / "tests"
    alone = ("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *alone, str(tests)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": ":".join(map(str, (ROOT / "examples" / "plugin", ROOT))),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # some of those that this project uses take seconds to import
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
